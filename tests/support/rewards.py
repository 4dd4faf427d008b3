"""Runs that pay staking rewards on a market of constant prices, so that every number can be checked by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dataflow.market.market import DUST_PRICE, Market, RewardPayout
from dataflow.market.synthetic.random_markets import random_market
from schemas.units import SECONDS_PER_DAY
from tests.support.runs import MemoryRun, prepared, run_in_memory

REWARDS = "rewards_mode=base_eigen_seasonal"
KEPT = ("dust_delta=1.0",)
"""Reward tokens are kept: nothing is worth more than all equity."""

FREE = ("scenario:gas=false", "scenario:slippage=false")
ROWS, DAY_ROWS = 24 * 8, 24
PRICE, RATIO, EIGEN_PRICE, ETHFI_PRICE = 2_000.0, 1.25, 0.002, 0.001
GAS_GWEI = 10.0
EIGEN_KEY, ETHFI_KEY = "wallet:BaseToken:EIGEN", "wallet:BaseToken:ETHFI"

STAKING_MODES = ("eth_staking_only", "eth_leveraged", "usdt_market_neutral_no_leverage", "usdt_market_neutral")


def market_of(mode: str, *payouts: tuple[str, int, int, int, float]) -> Market:
    """Constant prices; payouts as token, day paid, first and last day, all from the first row on, and tokens an ETH."""
    backtest = prepared(mode, overrides=(REWARDS,))
    drawn = random_market(backtest.market_request(), 1, ROWS)
    market = replace(drawn, instants=drawn.instants - np.timedelta64(drawn.first_row, "h"))
    rows, first = len(market.instants), int(market.instants[market.first_row].astype(np.int64))
    prices = np.asfortranarray(np.tile([EIGEN_PRICE, ETHFI_PRICE], (rows, 1)))
    columns = {
        **market.columns,
        "eth_price": np.full(rows, PRICE),
        "lst_oracle_ratio": np.full(rows, RATIO),
        "gas_price_gwei": np.full(rows, GAS_GWEI),
        DUST_PRICE: prices,
    }
    dated = []
    for token, *days, rate in payouts:
        paid, start, end = (first + int(day) * SECONDS_PER_DAY for day in days)
        dated.append(RewardPayout(token, paid, start, end, rate))
    return replace(market, columns=columns, payouts=tuple(dated))


def run_of(
    market: Market, log_dir: Path, *overrides: str, mode: str = "eth_staking_only", costs: bool = False
) -> MemoryRun:
    """A run that pays rewards, without gas and slippage unless it is to have them."""
    free = () if costs else FREE
    return run_in_memory(prepared(mode, overrides=(REWARDS, *free, *overrides)), market, log_dir)
