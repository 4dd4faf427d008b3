"""The chunk of a run: rows gather in it, and when it is full or old it is checked and written.

Nothing unchecked is written (ADR 0010). When a run stops, what was done before is written all the same, and the error.
"""

import traceback
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from dataflow.engine.chunk import Chunk
from dataflow.graph.market_rows import MarketRows
from dataflow.journal.recorder import Journal
from dataflow.records.log.event_log import FLUSH_SECONDS
from schemas.clock import Clock
from schemas.errors import LogError, PlatformError
from schemas.units import Column, Instants


class ChunkSink(Protocol):
    """Where the columns of a chunk go."""

    def check(self, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Hold columns against their frames; raises the error of the first stage that is at fault."""
        ...

    def write(self, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Check every column of a complete chunk, and hand them on to the results."""
        ...


class ChunkWriter:
    """Gathers the rows of a run and writes them.

    first_order: number of the first row's first event. window_rows_max: rows of the largest window.
    """

    def __init__(
        self,
        market: MarketRows,
        journal: Journal,
        sink: ChunkSink,
        clock: Clock,
        *,
        first_order: int,
        window_rows_max: int,
    ) -> None:
        self._market, self._journal, self._sink, self._clock = market, journal, sink, clock
        self._window_rows_max, self._seconds = window_rows_max, 0.0
        self._chunk, self._flushed_at = self._new(0, first_order), clock.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds spent on checking and writing."""
        return self._seconds

    def add(self, columns: Mapping[str, Column], *, idle: bool) -> None:
        """Take rows that are done. idle: without a decision."""
        self._chunk.add(columns, idle=idle)

    def flush_if_due(self) -> None:
        """Write the chunk where it is full, or 5 s have passed since the last time."""
        if self._chunk.is_full or self._clock.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the chunk and begin the next one."""
        chunk = self._chunk
        start, end = chunk.first_row, chunk.first_row + chunk.rows
        instants, columns = self._market.instants[start:end], self._market.between(start, end)
        columns |= chunk.columns
        started = self._clock.monotonic()
        if chunk.rows:
            self._sink.write(instants, columns)
        self._journal.flush(instants, columns, chunk.idle)
        self._chunk = self._new(end, self._journal.sequencer.next_order)
        self._flushed_at = self._clock.monotonic()
        self._seconds += self._flushed_at - started

    def refusal(self, start: int, end: int, columns: Mapping[str, Column]) -> PlatformError | None:
        """What the frames have against columns of rows, if anything."""
        try:
            self._sink.check(self._market.instants[start:end], {**self._market.between(start, end), **columns})
        except PlatformError as refused:
            return refused
        return None

    def stop(self, error: PlatformError, timestamp: str) -> None:
        """Write what was done before an error, unless its frames refuse it, and then the error.

        Where the log refuses too, what could be written stands, and the error says so.
        """
        trace, first_order = traceback.format_exc(), self._chunk.first_order
        try:
            try:
                self.flush()
            except LogError:
                raise
            except PlatformError:
                self._journal.discard(first_order)
            self._journal.errors.failure(timestamp, error, trace)
            self._journal.flush(self._market.instants[:0], {}, np.zeros(0, dtype=np.bool_))
        except LogError as refused:
            error.add_note(f"not on record: {refused.one_line()}")

    def _new(self, first_row: int, first_order: int) -> Chunk:
        rows_left = len(self._market) - first_row
        return Chunk(first_row, first_order, rows_left=rows_left, window_rows_max=self._window_rows_max)
