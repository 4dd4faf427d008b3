"""Replay and verification of a run from its event log alone (architecture, law 5; invariants of domain section 6).

The deltas of ``execution_deltas.jsonl`` are added, in ``order``, to an empty book, with the same floating-point
additions as the engine, and every position snapshot must then hold exactly those numbers.

A process that was stopped leaves some files further than others. Replay then takes the events before the first
``order`` that no file holds, and of them those up to the last complete operation. An operation, or an atomic group, is
complete with the event of its tight loop; a settlement with the position snapshot after it.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dataflow.records.audit.numbering import Numbering
from dataflow.records.log.log_directory import METADATA_FILE, LogDirectoryManager
from dataflow.records.log.log_fault import LogFault
from dataflow.records.log.reading import TornTail, events_directory, read_events, read_models, torn_tails
from schemas.models.events import (
    AtomicOperationGroupEvent,
    DomainEvent,
    ExecutionDeltaEvent,
    OperationExecutionEvent,
    PnLCalculation,
    PositionSnapshot,
    StrategyDecision,
    TightLoopExecutionEvent,
)
from schemas.operations import ExecutionStatus

DELTA_TOLERANCE: Final = 1e-9
"""Relative, per position key: actual against expected deltas of a confirmed operation (domain section 5.4)."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What the replay of a run found."""

    faults: tuple[LogFault, ...]
    torn_tails: tuple[TornTail, ...]
    final_positions: Mapping[str, float]
    """Native units of each position key after the last complete operation."""
    events: int
    deltas_applied: int
    snapshots_compared: int
    operations_checked: int
    complete_through: int = -1
    """``order`` of the last event that ``final_positions`` account for: all, unless the log ends in an operation."""
    left_out: int = 0
    """Events after it."""

    @property
    def ok(self) -> bool:
        """Whether the log is whole and proves itself."""
        return not self.faults and not self.torn_tails


@dataclass(slots=True)
class _Book:
    """Positions under replay, the delta that still waits for its snapshot, and the operation that is not complete."""

    positions: dict[str, float]
    complete_through: int
    faults: list[LogFault] = field(default_factory=list)
    keys_at_fault: set[str] = field(default_factory=set)
    unseen: ExecutionDeltaEvent | None = None
    unit: str | None = None
    unit_timestamp: str = ""
    complete_positions: dict[str, float] = field(default_factory=dict)
    deltas: int = 0
    snapshots: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether no operation and no settlement is under way."""
        return self.unit is None and self.unseen is None

    def take(self, event: DomainEvent) -> None:
        """Take the next event of the log."""
        if self.unit is not None and self.unit_timestamp != event.timestamp:
            self.unit = None  # the run went on: its missing tight loop is a fault and not the end of the log
        match event:
            case OperationExecutionEvent():
                self._begin(event)
                self.unit, self.unit_timestamp = event.atomic_group_id or event.operation_id, event.timestamp
            case TightLoopExecutionEvent() if event.operation_id == self.unit:
                self.unit = None
            case ExecutionDeltaEvent():
                self._apply(event)
            case PositionSnapshot():
                self._compare(event)

    def finish(self, last_order: int, *, is_cut: bool) -> None:
        """End with the last event; in a log that was cut an incomplete operation is undone, else it is a fault."""
        if self.unseen is not None and not is_cut:
            self._fault(self.unseen, None, "no position snapshot follows the delta")
        if self.is_complete:
            self.complete_through, self.complete_positions = last_order, self.positions

    def _begin(self, event: DomainEvent) -> None:
        """Keep what is held before an operation or a settlement."""
        if self.is_complete:
            self.complete_through, self.complete_positions = (event.order or 0) - 1, dict(self.positions)

    def _apply(self, event: ExecutionDeltaEvent) -> None:
        self._expect_snapshot_before(event)
        self._begin(event)
        stated = event.deltas or ()
        if len(stated) != event.deltas_applied:
            self._fault(event, None, f"deltas_applied is {event.deltas_applied}, {len(stated)} deltas are given")
        for delta in stated:
            self.positions[delta.position_key] = self.positions.get(delta.position_key, 0.0) + delta.delta_amount
        self.deltas += len(stated)
        self.unseen = event

    def _compare(self, event: PositionSnapshot) -> None:
        self._expect_snapshot_before(event)
        self.unseen = None
        self.snapshots += 1
        if event.positions == self.positions:
            return
        for key in sorted(event.positions.keys() | self.positions.keys()):
            held, replayed = event.positions.get(key, 0.0), self.positions.get(key, 0.0)
            if held != replayed and key not in self.keys_at_fault:
                self.keys_at_fault.add(key)
                self._fault(event, key, f"the snapshot holds {held!r}, the deltas give {replayed!r}")

    def _expect_snapshot_before(self, event: DomainEvent) -> None:
        """Every delta has a snapshot of its own instant; several deltas of one instant may share it."""
        if self.unseen is not None and self.unseen.timestamp != event.timestamp:
            self._fault(self.unseen, None, "no position snapshot of its instant follows the delta")
            self.unseen = None

    def _fault(self, event: DomainEvent, key: str | None, what: str) -> None:
        self.faults.append(LogFault(event.file_name, event.order, key, what))


def replay(
    path: Path | str, *, initial_positions: Mapping[str, float] | None = None, first_order: int | None = None
) -> ReplayReport:
    """Replay the event log under ``path`` (a logs or a results directory) and check what it says of itself.

    - each position snapshot equals, exactly, the sum of the deltas before it, and each delta has a snapshot;
    - ``order`` runs from ``first_order`` without gap or repetition over all files, ascending within each;
    - each operation has its tight loop (a group one), and as many operations were logged as orders attempted;
    - actual deltas of confirmed operations equal the filled share of the expected ones, to 1e-9 relative or to the
      wider tolerance that the operation says it was compared with.

    Only the first fault of each position key is reported, since every later snapshot repeats it. Of a log that was cut
    (a torn tail, or a missing ``order``) only what is complete is checked, and ``final_positions`` are of its end.

    Units:  ``initial_positions`` in native units of each key. They, and ``first_order``, are those that the metadata
            of the run name, unless given: a partition goes on where another ended.
    Raises: ``LogDirectoryError`` (LOG-003) without an event log; ``LogSerialisationError`` (LOG-004) at a damaged line.
    """
    first_order, initial_positions = _start(path, first_order, initial_positions)
    tails = tuple(torn_tails(path))
    numbering = Numbering.of(path, first_order)
    is_cut = bool(tails) or numbering.missing is not None
    book = _Book(dict(initial_positions), first_order - 1)
    logged, loops = list[OperationExecutionEvent](), set[str]()
    for event in _by_order(path):
        if (event.order or 0) <= numbering.last_order:
            book.take(event)
        if isinstance(event, OperationExecutionEvent):
            logged.append(event)
        elif isinstance(event, TightLoopExecutionEvent):
            loops.add(event.operation_id)
    book.finish(numbering.last_order, is_cut=is_cut)
    until = book.complete_through if is_cut else numbering.last_order
    operations = [event for event in logged if (event.order or 0) <= until]
    return ReplayReport(
        faults=(
            *book.faults,
            *numbering.faults,
            *numbering.missing_fault(book.complete_through),
            *_check_counts(path, operations, loops, until, is_cut=is_cut),
            *(fault for operation in operations for fault in _check_deltas(operation)),
        ),
        torn_tails=tails,
        final_positions=book.complete_positions,
        events=len(numbering.orders),
        deltas_applied=book.deltas,
        snapshots_compared=book.snapshots,
        operations_checked=len(operations),
        complete_through=book.complete_through,
        left_out=numbering.after(book.complete_through),
    )


def _start(
    path: Path | str, first_order: int | None, initial_positions: Mapping[str, float] | None
) -> tuple[int, Mapping[str, float]]:
    """Number and balances before the first event: those given, else those of the metadata, else nothing."""
    log_dir = events_directory(path).parent
    if not (log_dir / METADATA_FILE).is_file():
        return first_order or 0, initial_positions or {}
    metadata = LogDirectoryManager.read_run_metadata(log_dir)
    return (
        metadata.first_order if first_order is None else first_order,
        metadata.start_positions if initial_positions is None else initial_positions,
    )


def _by_order(path: Path | str) -> Iterator[DomainEvent]:
    """Yield what changes positions, and what begins and ends operations, in the order of the run."""
    kinds = (OperationExecutionEvent, ExecutionDeltaEvent, PositionSnapshot, TightLoopExecutionEvent)
    streams: list[Iterator[DomainEvent]] = [read_models(path, kind) for kind in kinds]
    return heapq.merge(*streams, key=lambda event: event.order or 0)


def _check_counts(
    path: Path | str, operations: list[OperationExecutionEvent], loops: set[str], until: int, *, is_cut: bool
) -> Iterator[LogFault]:
    """Hold operations against tight loops, groups and the orders that decisions made, up to an ``order``."""
    groups = {event.atomic_group_id: event for event in read_models(path, AtomicOperationGroupEvent)}
    for operation in operations:
        unit = operation.atomic_group_id or operation.operation_id
        if unit not in loops:
            yield LogFault(operation.file_name, operation.order, unit, "no tight loop event for the operation")
        group = groups.get(unit)
        if operation.atomic_group_id and (group is None or operation.operation_id not in group.operation_ids):
            yield LogFault(operation.file_name, operation.order, unit, "no group event names the operation")
    ordered, due = _orders_generated(path, until)
    attempted = len({operation.operation_id for operation in operations})
    # Orders that depend on one that failed, or was filled in part, are not attempted, nor those after the end of a log
    # that was cut or after an error that stopped the run; others are.
    all_done = all(
        operation.status is ExecutionStatus.CONFIRMED and _filled_share(operation) > 1.0 - DELTA_TOLERANCE
        for operation in operations
    )
    if attempted > ordered or (all_done and not is_cut and attempted < due):
        what = f"{attempted} operations were logged for {ordered} orders"
        yield LogFault(OperationExecutionEvent.file_name, None, None, what)


def _orders_generated(path: Path | str, until: int) -> tuple[int, int]:
    """Orders that decisions made up to an ``order``, and those that must have been attempted.

    A run that stopped in the middle of its last decision, after which no P&L follows, owes none of that decision.
    """
    ordered, of_last, last = 0, 0, -1
    for decision in read_events(path, StrategyDecision):
        if (order := _number(decision["order"])) <= until:
            of_last, last = _number(decision["orders_generated"]), order
            ordered += of_last
    valued = max((_number(event["order"]) for event in read_events(path, PnLCalculation)), default=-1)
    return ordered, ordered - of_last if last > valued else ordered


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _check_deltas(operation: OperationExecutionEvent) -> Iterator[LogFault]:
    """Hold the actual deltas of a confirmed operation against the expected ones, key by key."""
    if operation.status is not ExecutionStatus.CONFIRMED:
        return
    share, tolerance = _filled_share(operation), operation.metadata.get("reconciliation_tolerance")
    tolerance = tolerance if isinstance(tolerance, float) else DELTA_TOLERANCE
    expected = _sum_by_key((delta.position_key, delta.delta_amount * share) for delta in operation.expected_deltas)
    for key in sorted(expected.keys() | operation.actual_deltas.keys()):
        due, actual = expected.get(key, 0.0), operation.actual_deltas.get(key, 0.0)
        if abs(actual - due) > tolerance * max(abs(due), abs(actual)):
            what = f"the actual delta of {operation.operation_id} is {actual!r}, expected was {due!r}"
            yield LogFault(operation.file_name, operation.order, key, what)


def _filled_share(operation: OperationExecutionEvent) -> float:
    """Share of the ordered amount that was filled; 1 unless the operation says that it was less."""
    ordered = (operation.operation_details or {}).get("ordered_amount")
    if not isinstance(ordered, int | float) or operation.executed_amount is None:
        return 1.0
    return operation.executed_amount / ordered


def _sum_by_key(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for key, amount in amounts:
        total[key] += amount
    return dict(total)
