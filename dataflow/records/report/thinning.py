"""Fewer rows to draw, with every extreme kept."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from schemas.units import Column

Rows = np.ndarray[tuple[int], np.dtype[np.int64]]
"""Row numbers, ascending, each once."""

_COARSER: Final = 0.8
"""Factor by which the buckets shrink in number until the kept rows fit."""

_ROWS_PER_BUCKET: Final = 3
"""Least, greatest, and the first row without a value: what one column keeps of one bucket."""


def kept_rows(columns: Sequence[Column], rows_max: int) -> Rows:
    """Rows that show the same picture: the first, the last, and of each bucket the extremes of every column.

    A bucket is a span of equally many rows. One set of rows serves all columns, so that they can be read off at the
    same instants; there are as many buckets as ``rows_max`` allows. NaN stands for no value: a bucket with a gap keeps
    the first row of it.

    Shape:  each column (rows,) of one length, at least 1; ``rows_max`` >= 2 + 3 a column.
    """
    rows = len(columns[0])
    least = 2 + _ROWS_PER_BUCKET * len(columns)
    assert rows_max >= least, f"{len(columns)} columns need at least {least} rows"
    if rows <= rows_max:
        return np.arange(rows)
    buckets = rows_max // 2
    while len(kept := _kept(columns, rows, buckets)) > rows_max:
        buckets = max(1, int(buckets * _COARSER))
    return kept


def _kept(columns: Sequence[Column], rows: int, buckets: int) -> Rows:
    width = -(-rows // buckets)
    found = [np.array([0, rows - 1])]
    for column in columns:
        found += _extremes(column, width)
    return np.unique(np.concatenate(found))


def _extremes(column: Column, width: int) -> list[Rows]:
    """Rows of the least and greatest value, and of the first gap, of each bucket of ``width`` rows."""
    rows = len(column)
    padded = np.full(-(-rows // width) * width, column[-1])
    padded[:rows] = column
    by_bucket = padded.reshape(-1, width)
    starts = np.arange(len(by_bucket)) * width
    is_gap = np.isnan(by_bucket)
    least = starts + np.where(is_gap, np.inf, by_bucket).argmin(axis=1)
    most = starts + np.where(is_gap, -np.inf, by_bucket).argmax(axis=1)
    gaps = (starts + is_gap.argmax(axis=1))[is_gap.any(axis=1)]
    return [np.minimum(found, rows - 1) for found in (least, most, gaps)]


def changed_rows(columns: Sequence[Column]) -> Rows:
    """Rows at which any column differs from the row before, with the first and the last: all that a step line needs.

    >>> changed_rows([np.array([1.0, 1.0, 2.0, 2.0])]).tolist()
    [0, 2, 3]
    """
    rows = len(columns[0])
    changed = np.zeros(rows, dtype=np.bool_)
    changed[[0, -1]] = True
    for column in columns:
        changed[1:] |= (column[1:] != column[:-1]) & ~(np.isnan(column[1:]) & np.isnan(column[:-1]))
    return np.flatnonzero(changed)
