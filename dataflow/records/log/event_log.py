"""The event log of a run: twelve JSONL files with one global order (domain sections 6 and 8).

Single events pass through their models; rows where nothing happened are written from columns in bulk
(``dataflow.records.log.bulk_lines``). Both wait in one buffer, so that the lines of a file are always in ascending
``order``, even when the rows of a chunk arrive class by class.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Final, Self

import numpy as np

from dataflow.records.log.append_file import PART_BYTES, AppendFile, Sync, Write, part_paths
from dataflow.records.log.bulk_lines import BulkEncoder, Counts, FieldValue
from dataflow.records.log.event_csv import event_row, header, table_path
from dataflow.records.log.hash_chain import BLOCK_LINES, HashChain
from dataflow.records.log.instants import Clock, instant_text, utc_now
from dataflow.records.log.log_directory import EVENTS_DIRECTORY, validate_run_ids
from dataflow.records.log.reading import event_name, order_in, terminated_lines
from schemas.errors import LogBufferOverflowError, LogDirectoryError, LogSerialisationError, LogWriteError
from schemas.models.config_blocks import FsyncPolicy
from schemas.models.events import (
    EVENT_TYPES,
    AtomicOperationGroupEvent,
    DomainEvent,
    ExecutionDeltaEvent,
    ExposureSnapshot,
    HealthStatusEvent,
    OperationExecutionEvent,
    PnLCalculation,
    PositionSnapshot,
    ReconciliationEvent,
    RiskAssessment,
    StrategyDecision,
    SystemErrorEvent,
    TightLoopExecutionEvent,
    event_line,
)
from schemas.units import INSTANT_DTYPE, Instants

BUFFER_EVENTS: Final = 100
FLUSH_SECONDS: Final = 5.0
BUFFER_BYTES_MAX: Final = 1 << 30
"""Lines kept back for a missing ``order`` may take this much memory; then LOG-002."""


Hashed = Callable[[Counts, list[bytes], bytes], None]
"""Takes the orders of lines, the lines, and their text in one piece, just before they are written."""


class _Lines:
    """Lines of one file that wait to be written, in batches of ascending order."""

    def __init__(self, file: AppendFile, hashed: Hashed | None = None) -> None:
        self.file, self._hashed = file, hashed
        self.last_order = -1
        self.is_untouched = True
        self._orders: list[Counts] = []
        self._batches: list[list[bytes]] = []
        self._single_orders: list[int] = []
        self._single_lines: list[bytes] = []

    def add(self, order: int, line: bytes) -> None:
        self.is_untouched = False
        self._single_orders.append(order)
        self._single_lines.append(line)

    def add_batch(self, orders: Counts, lines: list[bytes]) -> None:
        self.is_untouched = False
        self._orders.append(orders)
        self._batches.append(lines)

    def write(self) -> None:
        """Merge what waits by order and append it; nothing is dropped when the disk refuses."""
        if self._single_lines:
            self._orders.append(np.array(self._single_orders, dtype=np.int64))
            self._batches.append(self._single_lines)
            self._single_orders, self._single_lines = [], []
        if not self._batches:
            self.file.append(b"")
            return
        orders = np.concatenate(self._orders)
        lines = list(chain.from_iterable(self._batches))
        if np.any(orders[1:] <= orders[:-1]):
            ascending = np.argsort(orders, kind="stable")
            orders, lines = orders[ascending], [lines[place] for place in ascending.tolist()]
        self._check_ascending(orders)
        self._orders, self._batches = [], []
        self.last_order = int(orders[-1])
        text = b"".join(lines)
        if self._hashed is not None:
            self._hashed(orders, lines, text)
        self.file.append(text)

    def _check_ascending(self, orders: Counts) -> None:
        late = orders[0] <= self.last_order
        repeated = np.flatnonzero(orders[1:] == orders[:-1])
        if late or repeated.size:
            order = int(orders[0] if late else orders[repeated[0]])
            raise LogWriteError(
                "an event comes twice or after a later one was written; give each event of a run its own order",
                path=str(self.file.path),
                order=order,
                last_written=self.last_order,
            )


class DomainEventLogger:
    """Writes the twelve event files under ``log_dir/events``; thread-safe, one instance is one writer.

    With ``tables``, a directory, it writes the same events there as CSV (``dataflow.records.log.event_csv``).

    The first event of each file is written at once, later ones when ``buffer_events`` wait, when 5 s have passed since
    the last write (seen at the next call, or by ``flush_if_due``), after a ``SystemErrorEvent``, on ``flush`` and on
    ``close``. A buffer is written only when no ``order`` is missing among the events received so far, so that a chunk
    may be logged class by class; ``flush`` and ``close`` write in any case.

    ``fsync`` says when the lines are put onto the disk for good: ``never`` leaves it to the operating system,
    ``interval`` does so 5 s after the last time and on ``close``, ``every`` with each write.

    Shape:  ``next_order`` is the first ``order`` of this log (a chained partition goes on counting).
    Raises: ``LogDirectoryError`` (LOG-003) on unusable ids or directory; from any call that writes ``LogWriteError``
            (LOG-001), ``LogRotationError`` (LOG-005), and LOG-003 when the directory was taken away: the lines are kept
            and lead the next attempt.
    """

    def __init__(
        self,
        log_dir: Path | str,
        correlation_id: str,
        pid: int,
        *,
        tables: Path | None = None,
        next_order: int = 0,
        part_bytes: int = PART_BYTES,
        buffer_events: int = BUFFER_EVENTS,
        buffer_bytes_max: int = BUFFER_BYTES_MAX,
        write: Write = os.write,
        fsync: FsyncPolicy = "never",
        sync: Sync = os.fsync,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        validate_run_ids(correlation_id, pid)
        self.log_dir, self.correlation_id, self.pid = Path(log_dir), correlation_id, pid
        events_dir = self.log_dir / EVENTS_DIRECTORY
        try:
            events_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LogDirectoryError(
                f"cannot create the events directory: {error.strerror}; choose a writable one with --logs",
                path=str(events_dir),
            ) from error
        self._fsync, syncing = fsync, None if fsync == "never" else sync
        self._chain = HashChain(self.log_dir, part_bytes=part_bytes, write=write, sync=syncing)
        self._lines = {
            event_class: _Lines(
                AppendFile(events_dir / event_class.file_name, part_bytes=part_bytes, write=write, sync=syncing),
                partial(self._chain.take, event_name(event_class)),
            )
            for event_class in EVENT_TYPES
        }
        self._tables = {} if tables is None else {kind: _table(tables, kind, write) for kind in EVENT_TYPES}
        self._cover_what_is_there(events_dir)
        self._counts = dict.fromkeys(EVENT_TYPES, 0)
        self._encoder = BulkEncoder(correlation_id, pid)
        self._clock, self._monotonic, self._lock = clock, monotonic, RLock()
        self._buffer_events, self._buffer_bytes_max = buffer_events, buffer_bytes_max
        self._first_order = self._next_order = next_order
        self._received = self._waiting = self._waiting_bytes = 0
        self._is_urgent = False
        self._flushed_at = float("-inf")
        self._synced_at = monotonic()

    # -- the twelve events

    def log_position_snapshot(self, event: PositionSnapshot) -> None:
        """Log balances after an update (PositionMonitor)."""
        self.log(event)

    def log_operation_execution(self, event: OperationExecutionEvent) -> None:
        """Log one attempted operation (ExecutionManager)."""
        self.log(event)

    def log_tight_loop_execution(self, event: TightLoopExecutionEvent) -> None:
        """Log one pass of the tight loop (ExecutionManager)."""
        self.log(event)

    def log_exposure_snapshot(self, event: ExposureSnapshot) -> None:
        """Log an exposure calculation (ExposureMonitor)."""
        self.log(event)

    def log_risk_assessment(self, event: RiskAssessment) -> None:
        """Log a risk calculation (RiskMonitor)."""
        self.log(event)

    def log_pnl_calculation(self, event: PnLCalculation) -> None:
        """Log a P&L calculation (PnLMonitor)."""
        self.log(event)

    def log_strategy_decision(self, event: StrategyDecision) -> None:
        """Log a decision, hold included (StrategyManager)."""
        self.log(event)

    def log_atomic_group(self, event: AtomicOperationGroupEvent) -> None:
        """Log an atomic group (ExecutionManager)."""
        self.log(event)

    def log_reconciliation_event(self, event: ReconciliationEvent) -> None:
        """Log a reconciliation (PositionUpdateHandler)."""
        self.log(event)

    def log_execution_delta(self, event: ExecutionDeltaEvent) -> None:
        """Log deltas applied to positions (PositionUpdateHandler)."""
        self.log(event)

    def log_health_status(self, event: HealthStatusEvent) -> None:
        """Log a health check (HealthMonitor)."""
        self.log(event)

    def log_system_error(self, event: SystemErrorEvent) -> None:
        """Log an error (any component); the buffer is written as soon as it is complete."""
        self.log(event)

    # -- the two paths

    def log(self, event: DomainEvent) -> None:
        """Log one event through its model; ``order`` is filled in, the next number, where it has none.

        Raises ``LogSerialisationError`` (LOG-004) for an event of another run.
        """
        if event.correlation_id != self.correlation_id:
            raise LogSerialisationError(
                f"a {type(event).__name__} of another run cannot be logged here; use that run's logger",
                correlation_id=event.correlation_id,
                run=self.correlation_id,
            )
        with self._lock:
            if event.order is None:
                event = event.model_copy(update={"order": self._next_order})
            order = event.order
            assert order is not None, "set above"
            line = event_line(event)
            lines = self._lines[type(event)]
            self._is_urgent |= lines.is_untouched or isinstance(event, SystemErrorEvent)
            lines.add(order, line)
            if self._tables:
                self._tables[type(event)].add(order, event_row(event))
            self._accept(type(event), rows=1, size=len(line), last_order=order)

    def log_rows(
        self,
        event_class: type[DomainEvent],
        *,
        order: Counts,
        timestamps: Instants,
        fields: Mapping[str, FieldValue],
    ) -> None:
        """Log one event a row, from columns, as ``log`` would write them one by one.

        Shape:  ``order`` (rows,) int64, strictly ascending; ``timestamps`` (rows,) datetime64[s]; ``fields``: see
                ``dataflow.records.log.bulk_lines.FieldValue``. ``real_utc_time`` is one instant for the batch.
        Raises: ``LogSerialisationError`` (LOG-004), naming event and field; then nothing of the batch was taken.
        """
        _check_envelope(event_class, order, timestamps)
        if len(order) == 0:
            return
        with self._lock:
            batch = self._encoder.encode(
                event_class,
                order=order,
                timestamps=timestamps,
                real_utc_time=self.real_utc_time(),
                fields=fields,
                with_table=bool(self._tables),
            )
            lines = self._lines[event_class]
            self._is_urgent |= lines.is_untouched
            lines.add_batch(order.copy(), batch.lines)
            if self._tables:
                self._tables[event_class].add_batch(order.copy(), batch.table_rows)
            rows = len(batch.lines)
            self._accept(event_class, rows=rows, size=len(batch.lines[0]) * rows, last_order=int(order[-1]))

    # -- reading and writing out

    @property
    def next_order(self) -> int:
        """The ``order`` that an event without one gets next."""
        return self._next_order

    @property
    def event_counts(self) -> dict[str, int]:
        """Events taken so far by file stem (``positions``, ...), zeros included."""
        return {event_name(kind): count for kind, count in self._counts.items()}

    @property
    def seal(self) -> str | None:
        """The value that stands for every byte of the log (``dataflow.records.log.hash_chain``), once it is closed."""
        return self._chain.value

    def real_utc_time(self) -> str:
        """Return the wall clock as the text of the logs."""
        return instant_text(self._clock())

    def flush(self) -> None:
        """Write everything that waits, by file and in order; make it durable where the policy says so."""
        with self._lock:
            for lines in self._files():
                lines.file.require_in_place()
                lines.write()
            self._chain.append()
            self._make_durable(is_due=self._fsync == "every" or self._monotonic() - self._synced_at >= FLUSH_SECONDS)
            self._waiting = self._waiting_bytes = 0
            self._is_urgent = False
            self._flushed_at = self._monotonic()

    def flush_if_due(self) -> None:
        """Write what waits if no order is missing and enough events, 5 s or an urgent event say so."""
        with self._lock:
            if self._received != self._next_order - self._first_order:
                self._refuse_overflow()
                return
            is_due = self._is_urgent or self._waiting >= self._buffer_events
            if is_due or (self._waiting and self._monotonic() - self._flushed_at >= FLUSH_SECONDS):
                self.flush()

    def close(self) -> None:
        """Write everything that waits, seal the log and close every file; safe to call twice.

        Every file is closed also where one refuses; the log then stays unsealed.
        """
        with self._lock, ExitStack() as files:
            files.callback(self._chain.close)
            for lines in reversed(self._files()):
                files.callback(lines.file.close)
            if not all(lines.file.is_closed for lines in self._files()):
                self.flush()
                self._chain.seal()
                self._make_durable(is_due=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_durable(self, *, is_due: bool) -> None:
        """Put what was written onto the disk; the tables are the results', which are made durable as a whole."""
        if self._fsync == "never" or not is_due:
            return
        for lines in self._lines.values():
            lines.file.make_durable()
        self._chain.file.make_durable()
        self._synced_at = self._monotonic()

    def _files(self) -> list[_Lines]:
        """Every file of the log; the lines come before the tables that repeat them."""
        return [*self._lines.values(), *self._tables.values()]

    def _cover_what_is_there(self, events_dir: Path) -> None:
        """Give the chain the lines that an earlier writer, which was stopped, left without a hash."""
        for event_class in EVENT_TYPES:
            event = event_name(event_class)
            parts = part_paths(events_dir / event_class.file_name)
            left = islice(chain.from_iterable(map(terminated_lines, parts)), self._chain.covered(event), None)
            while batch := list(islice(left, BLOCK_LINES)):
                orders = np.array([order_in(line) or 0 for line in batch], dtype=np.int64)
                self._chain.take(event, orders, batch, b"".join(batch))

    def _accept(self, event_class: type[DomainEvent], *, rows: int, size: int, last_order: int) -> None:
        self._counts[event_class] += rows
        self._received += rows
        self._waiting += rows
        self._waiting_bytes += size
        self._next_order = max(self._next_order, last_order + 1)
        self.flush_if_due()

    def _refuse_overflow(self) -> None:
        if self._waiting_bytes > self._buffer_bytes_max:
            missing = self._next_order - self._first_order - self._received
            raise LogBufferOverflowError(
                f"{missing} events before order {self._next_order} are missing; log a chunk completely, or flush()",
                waiting_bytes=self._waiting_bytes,
            )


def _table(directory: Path, event_class: type[DomainEvent], write: Write) -> _Lines:
    """A table with its header; it is one file, however long."""
    file = AppendFile(table_path(directory, event_class), part_bytes=sys.maxsize, write=write)
    file.append(header(event_class))
    return _Lines(file)


def _check_envelope(event_class: type[DomainEvent], order: Counts, timestamps: Instants) -> None:
    if order.dtype != np.int64 or timestamps.dtype != INSTANT_DTYPE or order.shape != timestamps.shape:
        raise LogSerialisationError(
            f"rows of {event_class.__name__} need int64 orders and {INSTANT_DTYPE} timestamps of one length",
            order=f"{order.dtype}{order.shape}",
            timestamps=f"{timestamps.dtype}{timestamps.shape}",
        )
    if order.size and (order[0] < 0 or np.any(order[1:] <= order[:-1])):
        raise LogSerialisationError(f"the orders of rows of {event_class.__name__} must ascend strictly from 0 or more")
