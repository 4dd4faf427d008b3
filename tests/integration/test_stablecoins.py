"""A stablecoin off its peg: valued at its own price in USD, while the share class in it notices nothing."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from dataflow.market.history.loading import load_market
from dataflow.market.market import Market
from dataflow.maths.costs import CostModel
from dataflow.services.backtest import BacktestRequest, run_backtest
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.holdings import Holdings
from schemas.instruments import wallet_key
from schemas.models.orders import Order
from schemas.snapshot import MarketSnapshot
from schemas.units import Column
from tests.support.data_sets import write_data_set, write_stable_price
from tests.support.markets import LOOK_BACK_ROWS, quiet_market
from tests.support.prices import token_prices
from tests.support.runs import MemoryRun, prepared, results_dir_of, run_in_memory

MODE = "pure_lending_usdt"
DAYS, HOURS = 8, 24
OFF = slice(3 * HOURS, 5 * HOURS)
"""Rows of the two days off the peg."""
DEPEGGED = 0.97
ROWS = DAYS * HOURS
GAS_GWEI = 12.0


def _price() -> Column:
    price = np.ones(ROWS + LOOK_BACK_ROWS)
    price[LOOK_BACK_ROWS:][OFF] = DEPEGGED
    return price


def _data_set(directory: Path) -> Path:
    rows = ROWS + LOOK_BACK_ROWS
    index = 1.05 * np.exp(2e-6 * np.arange(rows))
    market = quiet_market(MODE, ROWS, liquidity_index=index[:, None], gas_price_gwei=np.full(rows, GAS_GWEI))
    return write_data_set(directory, MODE, market)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryRun, MemoryRun]:
    """The run over one data set without and with the price of USDT."""
    root = tmp_path_factory.mktemp("stable")
    plain, priced = _data_set(root / "plain"), _data_set(root / "priced")
    start = quiet_market(MODE, ROWS).instants[0]
    write_stable_price(priced, "USDT", start + np.arange(ROWS + LOOK_BACK_ROWS) * np.timedelta64(1, "h"), _price())
    one, other = (run_in_memory(prepared(MODE), _market(each), root / f"{each.name}-log") for each in (plain, priced))
    assert one.outcome.counts.orders == other.outcome.counts.orders > 0
    return one, other


def _market(directory: Path) -> Market:
    return load_market(directory, prepared(MODE).market_request())


def test_in_usd_two_days_show_the_fall(runs: tuple[MemoryRun, MemoryRun]) -> None:
    plain, priced = runs
    relative = priced.column("equity_usd") / plain.column("equity_usd")
    price = priced.column("usd_per_share_class")
    assert set(price.tolist()) == {1.0, DEPEGGED}
    assert np.count_nonzero(price == DEPEGGED) == 2 * HOURS
    assert relative == pytest.approx(price, rel=1e-9)


def test_in_the_coin_itself_nothing_happens(runs: tuple[MemoryRun, MemoryRun]) -> None:
    plain, priced = runs
    assert priced.column("equity_share_class") == pytest.approx(plain.column("equity_share_class"), rel=1e-9)
    assert priced.column("supply_yield") == pytest.approx(plain.column("supply_yield"), rel=1e-9)
    capital = prepared(MODE).config.initial_capital
    assert np.abs(priced.column("unexplained_pnl")).max() < 1e-9 * capital


def test_coins_quoted_in_it_are_worth_less_usd(runs: tuple[MemoryRun, MemoryRun]) -> None:
    plain, priced = runs
    price = priced.column("usd_per_share_class")
    assert priced.column("eth_price").tolist() == (plain.column("eth_price") * price).tolist()


@pytest.mark.parametrize(("has_series", "said"), [(False, "USDT at 1 USD"), (True, "USDT at stable_usdt_usd_1h")])
def test_the_summary_says_what_it_was_valued_at(has_series: bool, said: str, tmp_path: Path) -> None:
    data = _data_set(tmp_path / "data")
    if has_series:
        start = quiet_market(MODE, ROWS).instants[0]
        write_stable_price(data, "USDT", start + np.arange(ROWS + LOOK_BACK_ROWS) * np.timedelta64(1, "h"), _price())
    request = BacktestRequest(mode=MODE, data=str(data), results=tmp_path / "results", logs=tmp_path / "logs")
    completed = run_backtest(request)
    assert completed.summary.stablecoins == (said,)
    assert said in (results_dir_of(completed) / "summary.md").read_text()


def test_a_price_that_ends_within_the_run_is_a_gap_and_not_a_peg(tmp_path: Path) -> None:
    data = _data_set(tmp_path / "data")
    start = quiet_market(MODE, ROWS).instants[0]
    half = (ROWS + LOOK_BACK_ROWS) // 2
    write_stable_price(data, "USDT", start + np.arange(half) * np.timedelta64(1, "h"), _price()[:half])
    market = _market(data)
    assert len(market.instants) <= half, "the window is what every series covers"


def test_gas_that_is_paid_in_it_takes_more_of_it() -> None:
    snapshot = MarketSnapshot("2024-05-12T00:00:00", {**token_prices(3_000.0), "USDT": DEPEGGED}, gas_unit_usd=1e-5)
    costs = CostModel(taker_fee={}, slippage_by_pair={}, gas_units={"supply": 200_000.0}, gas_charged=True)
    world = SimulatedWorld(costs, False, snapshot, Holdings({wallet_key("USDT"): 100.0}, {}))
    order = cast("Order", SimpleNamespace(atomic_group_id=None))
    assert world.gas(order, "supply", ()) == (2.0 / DEPEGGED, "USDT")
