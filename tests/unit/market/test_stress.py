"""Shocks over a market are what their YAML says, from their first row on and never before.

Claims: each kind moves the columns that belong together and no others; a value at a row follows from the data at and
before that row (no look-ahead); a partition sees the same values as the whole; the closed forms of gap and decay hold.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.engine.backtest import Backtest
from dataflow.market.market import Market
from dataflow.market.stress import begins_at, look_back_from, stressed
from dataflow.market.synthetic.random_markets import random_market
from schemas.errors import DataGapError
from schemas.models.config_base import ConfigModel
from schemas.models.config_scenario import (
    FundingShock,
    GasShock,
    LendingRateShock,
    LstDepeg,
    PriceGap,
    Shocks,
)
from schemas.units import DAYS_PER_YEAR, SECONDS_PER_DAY, Column
from tests.support.runs import prepared

ROWS = 240
MODES = ("usdt_market_neutral", "btc_basis", "pure_lending_eth", "ml_btc_directional_usdt_margin")

hours = st.floats(0.0, 300.0)
shocks = st.builds(
    Shocks,
    lst_depeg=st.none()
    | st.builds(
        LstDepeg,
        depth=st.floats(0.01, 0.9),
        half_life_hours=st.none() | st.floats(1.0, 200.0),
        starts_after_hours=hours,
    ),
    funding=st.none()
    | st.builds(
        FundingShock, funding_rate=st.floats(-0.01, 0.01), hours=st.floats(1.0, 200.0), starts_after_hours=hours
    ),
    lending_rates=st.none()
    | st.builds(
        LendingRateShock,
        borrow_apr=st.floats(0.0, 5.0),
        supply_apr=st.floats(0.0, 5.0),
        hours=st.floats(1.0, 200.0),
        starts_after_hours=hours,
    ),
    gas=st.none()
    | st.builds(GasShock, multiple=st.floats(0.1, 50.0), hours=st.floats(1.0, 200.0), starts_after_hours=hours),
    price_gap=st.none() | st.builds(PriceGap, size=st.floats(-0.95, 4.0), starts_after_hours=hours),
)


@cache
def market_of(mode: str, seed: int = 3) -> Market:
    return random_market(backtest(mode).market_request(), seed, ROWS, calm_rows=ROWS)


def backtest(mode: str) -> Backtest:
    return prepared(mode)


def under(mode: str, given_shocks: Shocks, market: Market | None = None) -> Market:
    market = market or market_of(mode)
    base, start = backtest(mode).config.base_asset, market_of(mode).instants[market_of(mode).first_row]
    return stressed(market, given_shocks, base_asset=base, run_start=start).market


def changed(mode: str, given_shocks: Shocks) -> set[str]:
    """Columns of which any value differs."""
    before, after = market_of(mode).columns, under(mode, given_shocks).columns
    return {name for name in before if not np.array_equal(before[name], after[name])}


def hours_of_run(market: Market) -> Column:
    waited: Column = (market.instants - market.instants[market.first_row]).astype(np.float64) / 3_600.0
    return waited


KINDS: list[tuple[str, ConfigModel, set[str]]] = [
    ("lst_depeg", LstDepeg(depth=0.05), {"lst_market_ratio"}),
    ("funding", FundingShock(funding_rate=-0.001, hours=48.0), {"funding_rate"}),
    ("gas", GasShock(multiple=20.0, hours=24.0), {"gas_price_gwei"}),
    (
        "lending_rates",
        LendingRateShock(borrow_apr=0.5, supply_apr=0.1, hours=24.0),
        {"liquidity_index", "variable_borrow_index"},
    ),
    ("price_gap", PriceGap(size=-0.4), {"eth_price", "spot_price", "perp_mark", "reference_price"}),
    ("price_gap", PriceGap(size=-0.4, assets=("BTC",)), set()),
]


@pytest.mark.parametrize(("kind", "shock", "columns"), KINDS)
def test_a_shock_moves_the_columns_that_belong_together(kind: str, shock: ConfigModel, columns: set[str]) -> None:
    given_shocks = Shocks.model_validate({kind: shock})
    assert changed("usdt_market_neutral", given_shocks) == columns
    result = stressed(
        market_of("usdt_market_neutral"), given_shocks, base_asset="ETH", run_start=np.datetime64("2024-01-05")
    )
    assert result.idle == (() if columns else (kind,))


@pytest.mark.parametrize("mode", MODES)
@given(given_shocks=shocks, row=st.integers(0, ROWS - 1))
def test_nothing_after_a_row_changes_the_row(mode: str, given_shocks: Shocks, row: int) -> None:
    whole = under(mode, given_shocks)
    end = market_of(mode).first_row + row + 1
    cut = replace(
        market_of(mode),
        instants=market_of(mode).instants[:end],
        columns={name: column[:end] for name, column in market_of(mode).columns.items()},
    )
    for name, column in under(mode, given_shocks, cut).columns.items():
        assert np.array_equal(column, whole.columns[name][:end]), name


@pytest.mark.parametrize("mode", MODES)
@given(given_shocks=shocks, row=st.integers(1, ROWS - 1))
def test_a_later_partition_sees_the_same_values(mode: str, given_shocks: Shocks, row: int) -> None:
    market = market_of(mode)
    run_start = market.instants[market.first_row]
    start = market.instants[market.first_row + row]
    loaded = look_back_from(given_shocks, run_start, int((market.instants[1] - market.instants[0]).astype(np.int64)))
    begin = int(np.searchsorted(market.instants, min(start, loaded if loaded is not None else start)))
    later = replace(
        market,
        instants=market.instants[begin:],
        first_row=market.first_row + row - begin,
        columns={name: column[begin:] for name, column in market.columns.items()},
    )
    whole = under(mode, given_shocks)
    for name, column in under(mode, given_shocks, later).columns.items():
        assert np.array_equal(column, whole.columns[name][begin:]), name


@pytest.mark.parametrize("mode", MODES)
@given(given_shocks=shocks)
def test_prices_stay_positive_and_indexes_never_fall(mode: str, given_shocks: Shocks) -> None:
    columns = under(mode, given_shocks).columns
    for name in ("spot_price", "perp_mark", "eth_price", "lst_market_ratio", "candle_low", "gas_price_gwei"):
        assert name not in columns or bool(np.all(columns[name] > 0.0))
    for name in ("liquidity_index", "variable_borrow_index"):
        assert name not in columns or bool(np.all(np.diff(columns[name], axis=0) >= 0.0))


def test_half_of_a_depeg_is_gone_after_each_half_life() -> None:
    market = market_of("usdt_market_neutral")
    depeg = LstDepeg(depth=0.05, half_life_hours=12.0, starts_after_hours=24.0)
    ratio = (
        under("usdt_market_neutral", Shocks(lst_depeg=depeg)).columns["lst_market_ratio"]
        / market.columns["lst_market_ratio"]
    )
    at = {int(hour): float(left) for hour, left in zip(hours_of_run(market), ratio, strict=True)}
    assert at[23] == 1.0
    assert [at[24], at[36], at[48]] == pytest.approx([0.95, 0.975, 0.9875], abs=1e-15)


def test_a_gap_keeps_every_spread_in_proportion() -> None:
    market, after = market_of("btc_basis"), under("btc_basis", Shocks(price_gap=PriceGap(size=0.5)))
    gapped = hours_of_run(market) >= 168.0
    for name in ("spot_price", "perp_mark"):
        before = market.columns[name] / market.columns["reference_price"][:, None]
        np.testing.assert_allclose(after.columns[name] / after.columns["reference_price"][:, None], before, rtol=1e-15)
    np.testing.assert_array_equal(
        after.columns["reference_price"][gapped], 1.5 * market.columns["reference_price"][gapped]
    )


def test_a_candle_that_closed_before_the_gap_does_not_show_it() -> None:
    mode = "ml_btc_directional_usdt_margin"
    market, after = market_of(mode), under(mode, Shocks(price_gap=PriceGap(size=-0.5, starts_after_hours=10.0)))
    row = market.first_row + 120
    assert hours_of_run(market)[row] == 10.0
    for name, first in (("perp_mark", row), ("candle_low", row + 1), ("candle_high", row + 1)):
        moved = np.flatnonzero(np.any(after.columns[name] != market.columns[name], axis=1))
        assert moved[0] == first, name


def test_a_fixed_borrow_rate_is_what_the_index_accrues() -> None:
    shock = LendingRateShock(borrow_apr=0.6, hours=48.0, starts_after_hours=24.0, tokens=("WETH",))
    market = market_of("usdt_market_neutral")
    index = under("usdt_market_neutral", Shocks(lending_rates=shock)).columns["variable_borrow_index"][:, 0]
    row = market.first_row + 24
    years = 48.0 * 3_600.0 / (DAYS_PER_YEAR * SECONDS_PER_DAY)
    assert index[row + 48] / index[row] == pytest.approx(np.exp(0.6 * years), rel=1e-12)
    data = market.columns["variable_borrow_index"][:, 0]
    np.testing.assert_allclose(index[row + 48 :] / index[row + 48], data[row + 48 :] / data[row + 48], rtol=1e-12)


def test_only_settlements_carry_the_funding_of_the_shock() -> None:
    shock = FundingShock(funding_rate=-0.001, hours=48.0, starts_after_hours=24.0, venues=("okx",))
    market = market_of("btc_basis")
    rates = under("btc_basis", Shocks(funding=shock)).columns["funding_rate"]
    inside = (hours_of_run(market) >= 24.0) & (hours_of_run(market) < 72.0)
    settles = market.columns["funding_settled"] > 0.0
    at = market.axes["funding_rate"].index("okx")
    assert np.all(rates[inside & settles[:, at], at] == -0.001)
    untouched = np.delete(rates, at, axis=1)
    np.testing.assert_array_equal(untouched, np.delete(market.columns["funding_rate"], at, axis=1))
    assert np.all(rates[~settles] == 0.0)


def test_fixed_rates_need_the_row_they_start_from() -> None:
    market = market_of("pure_lending_eth")
    rates = Shocks(lending_rates=LendingRateShock(supply_apr=0.0, hours=10.0, starts_after_hours=0.0))
    later = market.instants[0] - np.timedelta64(48, "h")
    with pytest.raises(DataGapError) as caught:
        stressed(market, rates, base_asset=None, run_start=later)
    assert caught.value.context["column"] == "liquidity_index"


@given(after=st.floats(0.0, 1e4))
def test_a_shock_begins_on_the_first_row_at_or_after_its_instant(after: float) -> None:
    start = np.datetime64("2024-01-05T00:00:00", "s")
    begins = begins_at(GasShock(multiple=2.0, hours=1.0, starts_after_hours=after), start, 3_600)
    waited = (begins - start).astype(np.int64) / 3_600
    assert -1e-6 <= waited - after < 1.0 + 1e-6


def test_an_instant_in_another_zone_is_that_instant() -> None:
    shock = GasShock(multiple=2.0, hours=1.0, starts_at="2024-02-01T02:00+02:00")
    assert begins_at(shock, np.datetime64("2024-01-01", "s"), 3_600) == np.datetime64("2024-02-01T00:00:00")
