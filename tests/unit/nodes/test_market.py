"""Market nodes: steps and premiums, gas in USD, prices of tokens."""

import numpy as np
import pytest

from dataflow.maths.costs import CostModel
from dataflow.nodes import market

CHARGED = CostModel(taker_fee={}, slippage_by_pair={}, gas_units={}, gas_charged=True)


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
