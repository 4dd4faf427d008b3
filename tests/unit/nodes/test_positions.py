"""Positions nodes: units stand still inside a window but for funding, whose sign table is the specification."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.nodes import positions
from schemas.units import Column

flows = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(lambda values: np.array(values)[:, None])


@pytest.mark.parametrize(
    ("units", "rate", "expected"),
    [
        pytest.param(+2.0, +0.0001, -0.6, id="long-pays-positive-rate"),
        pytest.param(-2.0, +0.0001, +0.6, id="short-earns-positive-rate"),
        pytest.param(-2.0, -0.0001, -0.6, id="short-pays-negative-rate"),
    ],
)
def test_funding_sign(units: float, rate: float, expected: float) -> None:
    cell = np.ones((1, 1))
    flow = positions.funding_flow(units * cell, 3_000.0 * cell, rate * cell, np.ones(1))
    assert flow[0, 0] == pytest.approx(expected)


def test_funding_is_settled_once_at_its_row() -> None:
    """After a decision its row is evaluated again, as an old row: what has settled must not settle twice."""
    cell = np.ones((1, 1))
    assert positions.funding_flow(-cell, cell, 0.01 * cell, np.zeros(1))[0, 0] == 0.0


def test_a_flat_book_gets_a_positive_zero() -> None:
    flow = positions.funding_flow(np.zeros((1, 1)), np.ones((1, 1)), np.full((1, 1), 0.01), np.ones(1))
    assert not np.signbit(flow[0, 0]), "the event log prints the sign of zero"


@given(flow=flows, held=st.floats(-1e6, 1e6), data=st.data())
def test_usdt_is_the_same_bits_in_any_split_of_the_rows(flow: Column, held: float, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(flow)))
    whole = positions.quote_units(np.array([held]), flow)
    pieces = []
    carried = np.array([held])
    for piece in (flow[:cut], flow[cut:]):
        if len(piece):
            pieces.append(positions.quote_units(carried, piece))
            carried = pieces[-1][-1]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    "node", [positions.wallet_units, positions.a_token_units, positions.spot_units, positions.perp_units]
)
def test_units_stand_still_and_are_read_only(node: object) -> None:
    assert callable(node)
    units = node(np.array([1.5, -2.0]), np.ones(3))
    assert units.tolist() == [[1.5, -2.0]] * 3
    with pytest.raises(ValueError, match="read-only"):
        units[0, 0] = 1.0
