"""Replay and verification of a run from its event log alone (architecture, law 5; invariants of domain section 6).

The deltas of ``execution_deltas.jsonl`` are added, in ``order``, to an empty book, with the same floating-point
additions as the engine, and every position snapshot must then hold exactly those numbers.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from dataflow.records.reading import TornTail, events_directory, read_events, read_models, torn_tails
from schemas.models.events import (
    EVENT_TYPES,
    AtomicOperationGroupEvent,
    DomainEvent,
    ExecutionDeltaEvent,
    OperationExecutionEvent,
    PositionSnapshot,
    StrategyDecision,
    TightLoopExecutionEvent,
)
from schemas.operations import ExecutionStatus

DELTA_TOLERANCE: Final = 1e-9
"""Relative, per position key: actual against expected deltas of a confirmed operation (domain section 5.4)."""


@dataclass(frozen=True, slots=True)
class ReplayFault:
    """One thing in the log that does not hold."""

    file: str
    """Name of the event file."""
    order: int | None
    key: str | None
    """Position key or operation id."""
    what: str

    def __str__(self) -> str:
        place = self.file if self.order is None else f"{self.file} order {self.order}"
        return f"{place}: {self.what}" if self.key is None else f"{place}, {self.key}: {self.what}"


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What the replay of a run found."""

    faults: tuple[ReplayFault, ...]
    torn_tails: tuple[TornTail, ...]
    final_positions: Mapping[str, float]
    """Native units of each position key after the last delta."""
    events: int
    deltas_applied: int
    snapshots_compared: int
    operations_checked: int

    @property
    def ok(self) -> bool:
        """Whether the log is whole and proves itself."""
        return not self.faults and not self.torn_tails


@dataclass(slots=True)
class _Book:
    """Positions under replay, and the delta that still waits for its snapshot."""

    positions: dict[str, float]
    faults: list[ReplayFault] = field(default_factory=list)
    keys_at_fault: set[str] = field(default_factory=set)
    unseen: ExecutionDeltaEvent | None = None
    deltas: int = 0
    snapshots: int = 0

    def apply(self, event: ExecutionDeltaEvent) -> None:
        self._expect_snapshot_before(event)
        stated = event.deltas or ()
        if len(stated) != event.deltas_applied:
            self._fault(event, None, f"deltas_applied is {event.deltas_applied}, {len(stated)} deltas are given")
        for delta in stated:
            self.positions[delta.position_key] = self.positions.get(delta.position_key, 0.0) + delta.delta_amount
        self.deltas += len(stated)
        self.unseen = event

    def compare(self, event: PositionSnapshot) -> None:
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

    def finish(self) -> None:
        if self.unseen is not None:
            self._fault(self.unseen, None, "no position snapshot follows the delta")

    def _expect_snapshot_before(self, event: DomainEvent) -> None:
        """Every delta has a snapshot of its own instant; several deltas of one instant may share it."""
        if self.unseen is not None and self.unseen.timestamp != event.timestamp:
            self._fault(self.unseen, None, "no position snapshot of its instant follows the delta")
            self.unseen = None

    def _fault(self, event: DomainEvent, key: str | None, what: str) -> None:
        self.faults.append(ReplayFault(event.file_name, event.order, key, what))


def replay(
    path: Path | str, *, initial_positions: Mapping[str, float] | None = None, first_order: int = 0
) -> ReplayReport:
    """Replay the event log under ``path`` (a logs or a results directory) and check what it says of itself.

    - each position snapshot equals, exactly, the sum of the deltas before it, and each delta has a snapshot;
    - ``order`` runs from ``first_order`` without gap or repetition over all files, ascending within each;
    - each operation has its tight loop (a group one), and as many operations were logged as orders attempted;
    - actual deltas of confirmed operations equal the expected ones to 1e-9 relative.

    Only the first fault of each position key is reported, since every later snapshot repeats it.

    Units:  ``initial_positions`` in native units of each key; empty except for a chained partition.
    Raises: ``LogDirectoryError`` (LOG-003) without an event log; ``LogSerialisationError`` (LOG-004) at a damaged line.
    """
    events_directory(path)
    book = _Book(dict(initial_positions or {}))
    for event in _by_order(path):
        if isinstance(event, ExecutionDeltaEvent):
            book.apply(event)
        else:
            book.compare(event)
    book.finish()
    order_faults, events = _check_orders(path, first_order)
    operations = list(read_models(path, OperationExecutionEvent))
    return ReplayReport(
        faults=(
            *book.faults,
            *order_faults,
            *_check_counts(path, operations),
            *(fault for operation in operations for fault in _check_deltas(operation)),
        ),
        torn_tails=tuple(torn_tails(path)),
        final_positions=book.positions,
        events=events,
        deltas_applied=book.deltas,
        snapshots_compared=book.snapshots,
        operations_checked=len(operations),
    )


def _by_order(path: Path | str) -> Iterator[ExecutionDeltaEvent | PositionSnapshot]:
    """Yield deltas and snapshots in the order of the run."""
    return heapq.merge(
        read_models(path, ExecutionDeltaEvent), read_models(path, PositionSnapshot), key=lambda event: event.order or 0
    )


def _check_orders(path: Path | str, first_order: int) -> tuple[list[ReplayFault], int]:
    """Return what is wrong with the numbering, and the number of events."""
    faults = []
    by_file = [
        np.array([_order_of(record.get("order")) for record in read_events(path, kind)], dtype=np.int64)
        for kind in EVENT_TYPES
    ]
    for kind, of_file in zip(EVENT_TYPES, by_file, strict=True):
        late = np.flatnonzero(of_file[1:] <= of_file[:-1])
        if late.size:
            order, before = int(of_file[late[0] + 1]), int(of_file[late[0]])
            faults.append(ReplayFault(kind.file_name, order, None, f"stands after order {before}"))
    orders = np.sort(np.concatenate(by_file))
    off = np.flatnonzero(orders != np.arange(first_order, first_order + len(orders)))
    if off.size:
        due, found = first_order + int(off[0]), int(orders[off[0]])
        what = f"order {due} is missing" if found > due else f"order {found} comes twice or before {first_order}"
        owners = [kind.file_name for kind, of_file in zip(EVENT_TYPES, by_file, strict=True) if found in of_file]
        faults.append(ReplayFault(owners[-1], found, None, what))
    return faults, len(orders)


def _order_of(order: object) -> int:
    return order if isinstance(order, int) else -1


def _check_counts(path: Path | str, operations: list[OperationExecutionEvent]) -> Iterator[ReplayFault]:
    """Hold operations against tight loops, groups and the orders that decisions made."""
    loops = {event.operation_id for event in read_models(path, TightLoopExecutionEvent)}
    groups = {event.atomic_group_id: event for event in read_models(path, AtomicOperationGroupEvent)}
    for operation in operations:
        unit = operation.atomic_group_id or operation.operation_id
        if unit not in loops:
            yield ReplayFault(operation.file_name, operation.order, unit, "no tight loop event for the operation")
        group = groups.get(unit)
        if operation.atomic_group_id and (group is None or operation.operation_id not in group.operation_ids):
            yield ReplayFault(operation.file_name, operation.order, unit, "no group event names the operation")
    ordered = sum(event.orders_generated for event in read_models(path, StrategyDecision))
    attempted = len({operation.operation_id for operation in operations})
    # Orders that depend on a failed one are not attempted; otherwise every order is.
    all_confirmed = all(operation.status is ExecutionStatus.CONFIRMED for operation in operations)
    if attempted > ordered or (all_confirmed and attempted < ordered):
        what = f"{attempted} operations were logged for {ordered} orders"
        yield ReplayFault(OperationExecutionEvent.file_name, None, None, what)


def _check_deltas(operation: OperationExecutionEvent) -> Iterator[ReplayFault]:
    """Hold the actual deltas of a confirmed operation against the expected ones, key by key."""
    if operation.status is not ExecutionStatus.CONFIRMED:
        return
    expected = _sum_by_key((delta.position_key, delta.delta_amount) for delta in operation.expected_deltas)
    for key in sorted(expected.keys() | operation.actual_deltas.keys()):
        due, actual = expected.get(key, 0.0), operation.actual_deltas.get(key, 0.0)
        if abs(actual - due) > DELTA_TOLERANCE * max(abs(due), abs(actual)):
            what = f"the actual delta of {operation.operation_id} is {actual!r}, expected was {due!r}"
            yield ReplayFault(operation.file_name, operation.order, key, what)


def _sum_by_key(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for key, amount in amounts:
        total[key] += amount
    return dict(total)
