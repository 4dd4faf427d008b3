"""Costs: slippage by the notional of the order at mid, against the taker; nothing where a scenario switches it off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.costs import CostModel, Slippage

BUCKETS = Slippage((3.0, 4.0, 8.0), (50_000.0, 500_000.0))
MODEL = CostModel(
    taker_fee={("spot", "okx"): 0.001},
    slippage_by_pair={("perp", "okx", "BTCUSDT"): BUCKETS},
    gas_units={"supply": 250_000.0},
    gas_charged=True,
)


@pytest.mark.parametrize(
    ("notional", "bps"),
    [(0.0, 3.0), (50_000.0, 3.0), (50_000.01, 4.0), (500_000.0, 4.0), (500_000.01, 8.0), (1e9, 8.0)],
)
def test_slippage_by_bucket(notional: float, bps: float) -> None:
    assert BUCKETS.fraction(notional) == pytest.approx(bps * 1e-4)


@given(mid=st.floats(1.0, 1e6), amount=st.floats(1e-6, 1e4))
def test_slippage_is_against_the_taker(mid: float, amount: float) -> None:
    bought = MODEL.executed_price("perp", "okx", "BTCUSDT", direction=+1, mid_price=mid, amount=amount)
    sold = MODEL.executed_price("perp", "okx", "BTCUSDT", direction=-1, mid_price=mid, amount=amount)
    assert sold < mid < bought
    assert bought - mid == pytest.approx(mid - sold)


def test_gas_is_units_times_the_price_of_one() -> None:
    # 250,000 units at 10 gwei and 3,000 USD per ETH.
    assert MODEL.gas_usd("supply", 10.0 * 1e-9 * 3_000.0) == pytest.approx(7.5)


def test_a_fee_that_no_venue_names_is_an_error_not_zero() -> None:
    with pytest.raises(KeyError):
        MODEL.fee("perp", "okx")


def test_a_world_without_costs_charges_nothing() -> None:
    free = CostModel.free()
    assert free.fee("perp", "anywhere") == 0.0
    assert free.slippage("swap", "uniswap", "weETHWETH", 1e9) == 0.0
    assert free.gas_usd("supply", 1.0) == 0.0
