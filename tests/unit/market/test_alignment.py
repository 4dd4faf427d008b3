"""Alignment on the clock: settlement grids are inferred, steps hold and go stale, nothing comes from the future."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.market.history.alignment import (
    FUNDING_INTERVALS,
    exact_values,
    funding_interval_after,
    last_known_values,
    missing_settlements,
)
from dataflow.market.series import Seconds

HOUR = 3_600


def hours(*at: int) -> Seconds:
    return np.array(at, dtype=np.int64) * HOUR


@pytest.mark.parametrize(
    ("settled", "missing"),
    [
        pytest.param(hours(0, 8, 16, 24), [], id="every-8-hours"),
        pytest.param(hours(0, 8, 24, 32), [16], id="one-of-8-hours"),
        pytest.param(hours(0, 8, 40, 48), [16, 24, 32], id="three-of-8-hours"),
        pytest.param(hours(0, 4, 8, 12), [], id="every-4-hours"),
        pytest.param(hours(0, 4, 12, 16), [8], id="one-of-4-hours"),
        pytest.param(hours(0, 8, 16, 20, 24), [], id="from-8-to-4-hours"),
        pytest.param(hours(0, 4, 8, 16, 24), [], id="from-4-to-8-hours"),
        pytest.param(hours(0, 1, 2, 5, 6), [3, 4], id="two-of-1-hour"),
        pytest.param(hours(0, 24), [8, 16], id="no-regular-step-is-8-hours"),
        pytest.param(hours(0), [], id="one-row"),
    ],
)
def test_missing_settlements_are_those_of_the_grid_in_force(settled: Seconds, missing: list[int]) -> None:
    assert (missing_settlements(settled) // HOUR).tolist() == missing


@given(
    interval=st.sampled_from(FUNDING_INTERVALS),
    count=st.integers(min_value=6, max_value=60),
    hole=st.integers(min_value=2, max_value=55),
)
def test_one_hole_in_a_regular_grid_is_found(interval: int, count: int, hole: int) -> None:
    whole = np.arange(count, dtype=np.int64) * interval
    if hole > count - 3:
        return
    assert missing_settlements(np.delete(whole, hole)).tolist() == [hole * interval]


@pytest.mark.parametrize(
    ("settled", "interval_hours"),
    [(hours(0, 8, 16), 8), (hours(0, 8, 12, 16), 4), (hours(0, 8, 32), 8), (hours(0), 8)],
)
def test_the_next_settlement_is_one_regular_interval_away(settled: Seconds, interval_hours: int) -> None:
    assert funding_interval_after(settled) == interval_hours * HOUR


@given(
    instants=st.lists(st.integers(0, 200), min_size=1, max_size=30, unique=True),
    age=st.integers(0, 50),
)
def test_a_step_function_is_the_last_fresh_row(instants: list[int], age: int) -> None:
    seconds = np.array(sorted(instants), dtype=np.int64)
    values = seconds.astype(np.float64)
    clock = np.arange(0, 220, dtype=np.int64)
    held = last_known_values(seconds, values, clock, age)
    for now, value in zip(clock.tolist(), held.tolist(), strict=True):
        fresh = [instant for instant in instants if now - age <= instant <= now]
        assert value == max(fresh) if fresh else np.isnan(value)


@given(instants=st.lists(st.integers(0, 50), min_size=1, max_size=30, unique=True))
def test_an_exact_value_is_the_row_of_that_label(instants: list[int]) -> None:
    seconds = np.array(sorted(instants), dtype=np.int64)
    found = exact_values(seconds, seconds.astype(np.float64), np.arange(60, dtype=np.int64))
    assert np.flatnonzero(~np.isnan(found)).tolist() == sorted(instants)
