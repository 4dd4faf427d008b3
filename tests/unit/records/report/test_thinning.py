"""Claim: what is drawn has every extreme and every gap of what was recorded, in at most the rows asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dataflow.records.report.thinning import changed_rows, kept_rows
from schemas.units import Column

VALUES = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan))


@st.composite
def same_length(draw: st.DrawFn) -> list[Column]:
    rows = draw(st.integers(1, 400))
    return draw(st.lists(arrays.arrays(np.float64, rows, elements=VALUES), min_size=1, max_size=4))


@given(columns=same_length(), spare=st.integers(0, 60))
def test_first_last_least_and_greatest_of_every_column_are_kept(columns: list[Column], spare: int) -> None:
    rows_max = 2 + 3 * len(columns) + spare
    kept = kept_rows(columns, rows_max)
    assert len(kept) <= max(rows_max, 2)
    assert np.all(np.diff(kept) > 0)
    assert {0, len(columns[0]) - 1} <= set(kept.tolist())
    for column in columns:
        present = ~np.isnan(column)
        if present.any():
            assert np.nanmin(column[kept]) == np.nanmin(column)
            assert np.nanmax(column[kept]) == np.nanmax(column)
        assert np.isnan(column[kept]).any() == np.isnan(column).any()


@given(column=arrays.arrays(np.float64, st.integers(50, 300), elements=st.floats(-1e6, 1e6)))
def test_every_row_lies_within_what_is_drawn_around_it(column: Column) -> None:
    rows_max = 47
    kept = kept_rows([column], rows_max)
    buckets = int(0.8 * (rows_max - 2) / 3)
    width = -(-len(column) // buckets)
    for row in range(0, len(column), 7):
        near = column[kept[np.abs(kept - row) < width]]
        assert near.min() <= column[row] <= near.max()


@given(columns=same_length())
def test_nothing_is_lost_of_what_fits(columns: list[Column]) -> None:
    assert kept_rows(columns, max(len(columns[0]), 14)).tolist() == list(range(len(columns[0])))


@given(columns=same_length())
def test_a_step_line_is_drawn_exactly_by_the_rows_where_it_changes(columns: list[Column]) -> None:
    rows = len(columns[0])
    kept = changed_rows(columns)
    held = kept[np.searchsorted(kept, np.arange(rows), side="right") - 1]
    for column in columns:
        np.testing.assert_array_equal(column[held], column)


def test_too_few_rows_for_the_extremes_are_refused() -> None:
    with pytest.raises(AssertionError):
        kept_rows([np.zeros(100)] * 3, 10)
