"""Rows that are done and not yet validated and written."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from schemas.units import Column, frozen

CHUNK_ROWS = 65_536
"""Rows after which a chunk is written, with the rest of the window that fills it; fewer when 5 s have passed since the
last time."""


class Chunk:
    """Rows committed since the last flush, each copied once to where it stays until then.

    rows_left: of the run. window_rows_max: rows of the largest window. What is not used costs nothing.
    """

    def __init__(self, first_row: int, first_order: int, *, rows_left: int, window_rows_max: int) -> None:
        capacity = min(rows_left, CHUNK_ROWS + window_rows_max)
        self.first_row, self.first_order, self.rows = first_row, first_order, 0
        self._columns: dict[str, Column] = {}
        self._idle = np.empty(capacity, dtype=np.bool_)

    def add(self, columns: Mapping[str, Column], *, idle: bool) -> None:
        """Append rows."""
        start, end = self.rows, self.rows + len(next(iter(columns.values())))
        assert end <= len(self._idle), "the chunk has no room for the window"
        assert not start or columns.keys() == self._columns.keys(), "every window has the same columns"
        assert all(len(column) == end - start for column in columns.values()), "a column has another length"
        for name, column in columns.items():
            kept = self._columns.get(name)
            if kept is None:
                shape = (len(self._idle), *column.shape[1:])
                kept = self._columns[name] = np.empty(shape, column.dtype, order="F")
            kept[start:end] = column
        self._idle[start:end] = idle
        self.rows = end

    @property
    def is_full(self) -> bool:
        """Whether it is to be written."""
        return self.rows >= CHUNK_ROWS

    @property
    def columns(self) -> dict[str, Column]:
        """Every column, (rows,) or (rows, n)."""
        return {name: frozen(kept[: self.rows]) for name, kept in self._columns.items()}

    @property
    def idle(self) -> npt.NDArray[np.bool_]:
        """Whether each row passed without a decision, (rows,)."""
        return self._idle[: self.rows]
