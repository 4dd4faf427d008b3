"""Oracle and market ratio of a staking token are kept apart: a depeg hurts who sells, not who holds or owes.

And what a hedged book holds counts as ETH wherever it is: in the token, in the withdrawal queue or in the wallet.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.replay import replay
from schemas.intents import OrderIntent, perp_trade, spot_trade, stake, swap, transfer, unstake
from schemas.operations import OrderSide, StrategyIntent
from tests.support.runs import MemoryRun, bits_of, prepared, run_in_memory
from tests.support.scripts import scripted

ROWS, LEAVING_ROW, DELAY_ROWS = 40, 12, 24
GAP = 0.05
HEDGED = "usdt_market_neutral_no_leverage"
FREE = ("scenario:gas=false", "scenario:slippage=false", "scenario:fees=false")
QUEUE = ("strategy_config.unstake_route=queue", "venue:etherfi.unstaking_period_days=1")
INTENT = StrategyIntent.ENTRY_FULL


def hedged(leaving: OrderIntent) -> dict[int, list[OrderIntent]]:
    """Ten ETH bought, staked and shorted at the first row, and how some of it is left."""
    opening = [
        transfer("wallet", "binance", "USDT", 60_000.0, INTENT),
        spot_trade("binance", "ETH", OrderSide.BUY, 10.0, INTENT),
        transfer("binance", "wallet", "ETH", 10.0, INTENT),
        stake("weETH", "etherfi", 10.0, INTENT),
        perp_trade("binance", "ETH", OrderSide.SHORT, 10.0, INTENT),
    ]
    return {0: opening, LEAVING_ROW: [leaving]}


def depegged(market: Market) -> Market:
    """The market with tokens that fetch less, from the row of the sale on."""
    ratio = market.columns["lst_market_ratio"].copy()
    ratio[market.first_row + LEAVING_ROW :] = (1.0 - GAP) * market.columns["lst_oracle_ratio"][
        market.first_row + LEAVING_ROW :
    ]
    return replace(market, columns={**market.columns, "lst_market_ratio": ratio})


def at_par(market: Market) -> Market:
    """The market with tokens that fetch what the oracle says."""
    return replace(market, columns={**market.columns, "lst_market_ratio": market.columns["lst_oracle_ratio"]})


@pytest.mark.parametrize("column", ["health_factor", "ltv", "equity_usd", "risk_score"])
def test_a_depeg_moves_no_risk_of_a_held_position(column: str, tmp_path: Path) -> None:
    backtest = prepared("eth_leveraged", scenarios=("frictionless",))
    market = random_market(backtest.market_request(), 1, ROWS)
    par, off = (run_in_memory(backtest, m, tmp_path / str(n)) for n, m in enumerate((market, depegged(market))))
    assert par.column("ltv")[-1] > 0.5
    assert bits_of(par.column(column)) == bits_of(off.column(column))


def test_a_depeg_costs_who_sells_the_gap(tmp_path: Path) -> None:
    backtest = scripted(HEDGED, hedged(swap("weETH", "etherfi", 4.0, INTENT)), FREE)
    market = at_par(random_market(backtest.market_request(), 1, ROWS, calm_rows=ROWS))
    par, off = (run_in_memory(backtest, m, tmp_path / str(n)) for n, m in enumerate((market, depegged(market))))
    worth = 4.0 * par.column("lst_oracle_ratio")[LEAVING_ROW] * par.column("eth_price")[LEAVING_ROW]
    lost = par.column("equity_usd") - off.column("equity_usd")
    assert lost[LEAVING_ROW] == pytest.approx(GAP * worth, rel=1e-9)
    assert np.all(lost[:LEAVING_ROW] == 0.0)
    assert off.column("transaction_costs")[-1] == pytest.approx(-GAP * worth, rel=1e-9)
    assert par.column("transaction_costs")[-1] == pytest.approx(0.0, abs=1e-9)


def test_a_claim_of_a_hedged_book_is_as_much_delta_as_the_token_was(tmp_path: Path) -> None:
    backtest = scripted(HEDGED, hedged(unstake("weETH", "etherfi", 4.0, INTENT)), (*FREE, *QUEUE))
    market = random_market(backtest.market_request(), 1, ROWS, calm_rows=ROWS)
    run = run_in_memory(backtest, market, tmp_path)
    ratio = run.column("lst_oracle_ratio")
    tokens = np.where(np.arange(ROWS) < LEAVING_ROW, 10.0 / ratio[0], 10.0 / ratio[0] - 4.0)
    queued = np.where(np.arange(ROWS) < LEAVING_ROW, 0.0, 4.0 * ratio[LEAVING_ROW])
    assert run.column("net_delta_units") == pytest.approx(tokens * ratio + queued - 10.0, abs=1e-9)
    assert run.column("claim_units")[:, 0] == pytest.approx(
        np.where(np.arange(ROWS) < LEAVING_ROW + DELAY_ROWS, queued, 0.0), abs=1e-9
    )
    assert hedged_pnl(run) == pytest.approx(run.column("delta_pnl"), abs=1e-6)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100_000.0
    assert replay(tmp_path).ok


def hedged_pnl(run: MemoryRun) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Price P&L of what was net long before each row, at the ratio of the row before."""
    moved = np.diff(run.column("reference_price"))
    return np.concatenate([[0.0], np.add.accumulate(run.column("net_delta_units")[:-1] * moved)])
