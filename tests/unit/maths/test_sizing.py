"""Sizing: an entry spends its cash and no more, an unwind frees what was asked, whatever the slippage bucket.

Both are held against the orders they stand for: coins at the executed price, both fees, profit of the closed short.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.costs import CostModel, Slippage
from dataflow.maths.perps import realised_pnl
from dataflow.maths.sizing import BasisMarket, entry_quantity, unwind_quantity

VENUE, PAIR = "binance", "BTCUSDT"
COSTS = CostModel(
    taker_fee={("spot", VENUE): 0.001, ("perp", VENUE): 0.0005},
    slippage_by_pair={
        ("spot", VENUE, PAIR): Slippage((5.0, 7.0, 13.0), (50_000.0, 500_000.0)),
        ("perp", VENUE, PAIR): Slippage((3.0, 4.0, 8.0), (50_000.0, 500_000.0)),
    },
    gas_units={},
    gas_charged=False,
)
CHEAPEST_BUCKET_GAP = 1.0 - (1.0 + 1.3e-3) ** -2
"""A quantity that would fit a cheaper bucket may leave this share of the cash: it is sized for the dearer one."""

cash = st.floats(1.0, 1e8)
spot_prices = st.floats(1.0, 1e6)
premiums = st.floats(-0.2, 0.2)
cost_models = st.sampled_from([COSTS, CostModel.free()])


def spent(quantity: float, market: BasisMarket) -> float:
    """USDT that buying the coins and selling the perpetual takes."""
    slip_spot, slip_perp = market.slippages(quantity)
    bought = market.spot_price * (1.0 + slip_spot)
    sold = market.perp_mark * (1.0 - slip_perp)
    costs = market.costs
    return quantity * (bought * (1.0 + costs.fee("spot", VENUE)) + sold * costs.fee("perp", VENUE))


def freed(quantity: float, entry_price: float, market: BasisMarket) -> float:
    """USDT that selling the coins and buying the perpetual back brings."""
    slip_spot, slip_perp = market.slippages(quantity)
    sold = market.spot_price * (1.0 - slip_spot)
    bought_back = market.perp_mark * (1.0 + slip_perp)
    costs = market.costs
    profit = realised_pnl(-quantity, entry_price, quantity, bought_back)
    return quantity * (sold * (1.0 - costs.fee("spot", VENUE)) - bought_back * costs.fee("perp", VENUE)) + profit


@given(amount=cash, spot=spot_prices, premium=premiums, costs=cost_models)
def test_an_entry_never_overspends(amount: float, spot: float, premium: float, costs: CostModel) -> None:
    market = BasisMarket(VENUE, PAIR, spot, spot * (1.0 + premium), costs)
    assert spent(entry_quantity(amount, market), market) <= amount * (1.0 + 1e-12)


@given(amount=cash, spot=spot_prices, premium=premiums, costs=cost_models)
def test_an_entry_leaves_no_more_than_a_bucket_of_slippage(
    amount: float, spot: float, premium: float, costs: CostModel
) -> None:
    market = BasisMarket(VENUE, PAIR, spot, spot * (1.0 + premium), costs)
    assert spent(entry_quantity(amount, market), market) >= amount * (1.0 - CHEAPEST_BUCKET_GAP)


@given(amount=st.floats(1.0, 40_000.0), spot=spot_prices, premium=premiums)
def test_an_entry_within_the_first_bucket_spends_all(amount: float, spot: float, premium: float) -> None:
    market = BasisMarket(VENUE, PAIR, spot, spot * (1.0 + premium), COSTS)
    assert spent(entry_quantity(amount, market), market) == pytest.approx(amount, rel=1e-12)


@pytest.mark.parametrize("bound", [50_000.0, 500_000.0])
def test_an_entry_at_the_edge_of_a_bucket_agrees_with_its_bucket(bound: float) -> None:
    market = BasisMarket(VENUE, PAIR, 100.0, 100.0, COSTS)
    for amount in (bound * 0.999, bound, bound * 1.0005, bound * 1.002, bound * 1.01):
        assert spent(entry_quantity(amount, market), market) <= amount * (1.0 + 1e-12)


def test_the_worked_example_without_costs() -> None:
    """100,000 USDT at 67,797 split 40/30/30 buys .59/.44/.44 BTC, the numbers of the user's example."""
    market = BasisMarket(VENUE, PAIR, 67_797.0, 67_797.0, CostModel.free())
    assert [round(entry_quantity(share * 100_000.0, market), 2) for share in (0.4, 0.3, 0.3)] == [0.59, 0.44, 0.44]


@given(amount=cash, spot=spot_prices, premium=premiums, move=st.floats(0.5, 2.0), costs=cost_models)
def test_an_unwind_frees_at_least_what_was_asked(
    amount: float, spot: float, premium: float, move: float, costs: CostModel
) -> None:
    market = BasisMarket(VENUE, PAIR, spot, spot * (1.0 + premium), costs)
    entry = spot * move
    quantity = unwind_quantity(amount, entry, market)
    if math.isfinite(quantity):
        assert freed(quantity, entry, market) >= amount * (1.0 - 1e-9)


def test_an_unwind_that_costs_more_than_it_frees_is_infinite() -> None:
    market = BasisMarket(VENUE, PAIR, 100.0, 205.0, COSTS)
    assert unwind_quantity(1.0, 100.0, market) == math.inf


def test_nothing_asked_closes_nothing() -> None:
    market = BasisMarket(VENUE, PAIR, 100.0, 100.0, COSTS)
    assert unwind_quantity(0.0, 100.0, market) == 0.0
    assert entry_quantity(0.0, market) == 0.0
