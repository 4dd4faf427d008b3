"""Market nodes: what a funding series implies, known settlements only; gas in USD; prices of tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.costs import CostModel
from dataflow.nodes import market
from schemas.units import Column

CHARGED = CostModel(taker_fee={}, slippage_bps={}, gas_units={}, gas_charged=True)

settlement_rows = st.lists(st.booleans(), min_size=1, max_size=60).map(lambda flags: np.array(flags, dtype=np.float64))


@given(settles=settlement_rows, seed=st.integers(0, 2**32 - 1), lags=st.integers(1, 4))
def test_trailing_mean_is_that_of_the_last_settlements_known(settles: Column, seed: int, lags: int) -> None:
    rate = np.random.default_rng(seed).normal(0.0, 1e-3, len(settles)) * settles
    mean = market.funding_trailing_mean(rate, settles, lags)
    known = market.funding_known(settles, lags)
    seen: list[float] = []
    for row in range(len(settles)):
        if settles[row]:
            seen.append(rate[row])
        assert bool(known[row]) == (len(seen) >= lags)
        expected = sum(seen[-lags:]) / lags if len(seen) >= lags else 0.0
        assert mean[row] == pytest.approx(expected, abs=1e-15)


@given(settles=settlement_rows, seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 59))
def test_trailing_mean_does_not_look_ahead(settles: Column, seed: int, cut: int) -> None:
    rate = np.random.default_rng(seed).normal(0.0, 1e-3, len(settles)) * settles
    until = min(cut + 1, len(settles))
    whole = market.funding_trailing_mean(rate, settles, 3)
    assert whole[:until].tolist() == market.funding_trailing_mean(rate[:until], settles[:until], 3).tolist()


def test_a_row_settles_once_however_many_venues_do() -> None:
    assert market.funding_settles(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).tolist() == [1, 0, 1]


def test_weighted_rate_follows_the_allocation() -> None:
    rate = market.funding_rate_weighted(np.array([[1e-4, 2e-4, -1e-4]]), np.array([0.4, 0.3, 0.3]))
    assert rate.tolist() == pytest.approx([0.7e-4])


def test_the_first_row_of_a_series_has_no_step() -> None:
    """The row before the first of a run is loaded as look-back, so that this 0 is never one of the run's."""
    price = np.array([100.0, 90.0, 95.0])
    assert market.reference_price_step(price).tolist() == [0.0, -10.0, 5.0]
    index = np.array([[1.0], [1.25]])
    assert market.liquidity_index_step(index).tolist() == [[0.0], [0.25]]


def test_premiums_are_over_the_reference() -> None:
    venues, reference = np.array([[100.0, 101.0], [113.0, 110.0]]), np.array([100.0, 110.0])
    assert market.spot_premium_step(venues, reference).tolist() == [[0.0, 0.0], [3.0, -1.0]]
    assert market.perp_premium_step(venues, reference).tolist() == [[0.0, 0.0], [3.0, -1.0]]


def test_gas_is_charged_in_usd_at_the_price_of_eth() -> None:
    unit = market.gas_unit_usd(np.array([10.0]), np.array([3_000.0]), CHARGED)
    assert unit.tolist() == pytest.approx([3e-5])
    assert market.entry_gas_usd__once(unit, 250_000.0).tolist() == pytest.approx([7.5])


def test_reserve_is_a_multiple_of_one_entry_and_one_exit() -> None:
    reserve = market.gas_reserve_usd__once(np.array([3e-5]), 250_000.0, 220_000.0, 3.0)
    assert reserve.tolist() == pytest.approx([3.0 * (7.5 + 6.6)])


def test_a_run_without_gas_reserves_none() -> None:
    unit = market.gas_unit_usd(np.array([10.0]), np.array([3_000.0]), CostModel.free())
    assert market.gas_reserve_usd__once(unit, 250_000.0, 220_000.0, 3.0).tolist() == [0.0]


def test_a_dollar_of_usdt_is_a_dollar_and_weth_is_eth() -> None:
    prices = market.wallet_price_usd(("USDT", "ETH", "WETH"), np.array([3_000.0]))
    assert prices.tolist() == [[1.0, 3_000.0, 3_000.0]]
