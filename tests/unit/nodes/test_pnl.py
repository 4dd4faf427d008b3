"""P&L nodes: for any path of prices, indexes and rates, the parts telescope to the change of value of a held book."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.nodes import exposure, market, pnl, positions
from schemas.units import Column


class BasisPath(NamedTuple):
    """A random path of one book over three venues: (rows,) and (rows, 3), units (3,)."""

    reference: Column
    spot: Column
    mark: Column
    rate: Column
    coins: Column
    perps: Column


def basis_path(seed: int, rows: int) -> BasisPath:
    """A path from a seed; coins and perpetuals need not hedge each other."""
    rng = np.random.default_rng(seed)
    reference = 100.0 * np.exp(rng.normal(0.0, 0.1, rows).cumsum())
    spot, mark = (reference[:, None] * np.exp(rng.normal(0.0, 0.02, (rows, 3))) for _ in range(2))
    return BasisPath(
        reference, spot, mark, rng.normal(0.0, 1e-3, (rows, 3)), rng.uniform(0.0, 5.0, 3), rng.uniform(-5.0, 5.0, 3)
    )


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 40))
def test_delta_basis_and_funding_are_the_change_of_a_book(seed: int, rows: int) -> None:
    path, new, one = basis_path(seed, rows), np.ones(rows), np.ones(rows)
    coins, perps = positions.spot_units(path.coins, new), positions.perp_units(path.perps, new)
    flow = positions.funding_flow(perps, path.mark, path.rate, new)
    moved = market.reference_price_step(path.reference)
    delta = pnl.delta_pnl_step__coins(coins, perps, moved, one, new)
    basis = pnl.basis_pnl_step(
        coins,
        perps,
        market.spot_premium_step(path.spot, path.reference),
        market.perp_premium_step(path.mark, path.reference),
        one,
        new,
    )
    explained = (delta + basis + pnl.funding_pnl_step(flow, one))[1:]
    profit = exposure.perp_unrealised_pnl_usd(perps, path.mark, np.zeros_like(perps))
    value = exposure.venue_equity_usd(
        positions.quote_units(np.zeros(3), flow), exposure.spot_value_usd(coins, path.spot), profit
    ).sum(axis=1)
    assert explained == pytest.approx(np.diff(value), rel=1e-9, abs=1e-9 * np.abs(value).max())


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 40))
def test_supply_yield_in_the_token_supplied_is_the_growth_of_the_deposit(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    index = np.cumprod(1.0 + rng.exponential(1e-3, rows))[:, None]
    price = 3_000.0 * np.exp(rng.normal(0.0, 0.1, rows).cumsum())
    units = positions.a_token_units(np.array([100.0]), np.ones(rows))
    step = pnl.supply_yield_step(units, market.liquidity_index_step(index), price[:, None], price, np.ones(rows))
    earned = pnl.supply_yield(step, 0.0)
    assert earned == pytest.approx(100.0 * (index[:, 0] - index[0, 0]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "accumulate", [pnl.supply_yield, pnl.funding_pnl, pnl.delta_pnl, pnl.basis_pnl], ids=lambda node: str(node.__name__)
)
def test_a_total_carries_over_windows_to_the_bit(accumulate: object) -> None:
    assert callable(accumulate)
    steps = np.random.default_rng(0).normal(0.0, 1.0, 50)
    whole = accumulate(steps, 0.1)
    first = accumulate(steps[:17], 0.1)
    second = accumulate(steps[17:], float(first[-1]))
    assert np.concatenate([first, second]).tobytes() == whole.tobytes()


def test_an_old_row_earns_nothing_again() -> None:
    """After a decision its row is evaluated once more with ``row_is_new`` 0."""
    cell, old, one = np.ones((1, 1)), np.zeros(1), np.ones(1)
    assert pnl.supply_yield_step(cell, cell, cell, one, old).tolist() == [0.0]
    assert pnl.delta_pnl_step__coins(cell, 0.0 * cell, one, one, old).tolist() == [0.0]
    assert pnl.basis_pnl_step(cell, cell, cell, cell, one, old).tolist() == [0.0]


def test_total_and_unexplained() -> None:
    total = pnl.total_pnl_share_class(np.array([105.0]), 100.0)
    assert total.tolist() == [5.0]
    assert pnl.unexplained_pnl(total, np.array([4.5])).tolist() == [0.5]
