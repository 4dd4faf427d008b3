"""The life of one operation put together from the event files: decision, order, attempts, deltas, reconciliation, end.

An operation is sent, applied, reconciled and valued before the next one begins. So its life is what stands, in
``order``, between the first and the last event that name it, and the decision before them. Members of an atomic group
share one life.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Final

from dataflow.records.log.instants import instant_text, parse_instant
from dataflow.records.log.reading import EventRecord, read_events
from schemas.errors import ConfigValidationError
from schemas.models.events import (
    EVENT_TYPES,
    AtomicOperationGroupEvent,
    DomainEvent,
    ExecutionDeltaEvent,
    OperationExecutionEvent,
    PositionSnapshot,
    StrategyDecision,
    SystemErrorEvent,
    TightLoopExecutionEvent,
)

_NAMING: Final[Mapping[type[DomainEvent], str]] = {
    OperationExecutionEvent: "operation_id",
    TightLoopExecutionEvent: "operation_id",
    AtomicOperationGroupEvent: "atomic_group_id",
    ExecutionDeltaEvent: "source_operation_id",
}
"""Event to the field that names its operation, or its group; an error names it in its metadata."""

_NAMES_OF_ERRORS: Final = ("operation_id", "atomic_group_id")
_SHOWN_IDS: Final = 3


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One event of a life."""

    event_class: type[DomainEvent]
    record: EventRecord

    @property
    def order(self) -> int:
        """Number of the event in the run."""
        return _order(self.record)


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """A balance before and after, in the unit of its key."""

    position_key: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class Trace:
    """The life of an operation, of an atomic group, or of all operations of one instant."""

    subject: str
    """The full id, or the instant, that was asked for."""
    operations: tuple[str, ...]
    """Ids of the operations whose life it is."""
    steps: tuple[TraceStep, ...]
    """In the order in which they happened."""
    balances: tuple[BalanceChange, ...]
    """Of every key that an order was to change, or that changed."""
    equity_usd: tuple[float, float]
    """Before and after; USD."""

    def of(self, event_class: type[DomainEvent]) -> list[EventRecord]:
        """The records of one type."""
        return [step.record for step in self.steps if step.event_class is event_class]


def trace(path: Path | str, subject: str) -> Trace:
    """Put together the life of ``subject`` in the log under ``path``.

    subject: the id of an operation (or the unique start of one), the id of an atomic group, or the instant of a row,
    which gives everything that happened at it.
    Raises ``ConfigValidationError`` (CONFIG-003), naming the nearest ids or instants, for anything else;
    ``LogDirectoryError`` (LOG-003) without an event log; ``LogSerialisationError`` (LOG-004) at a damaged line.
    """
    operations = list(read_events(path, OperationExecutionEvent))
    if (instant := _instant(subject)) is not None:
        steps = [step for step in _every(path) if step.record["timestamp"] == instant]
        if not steps:
            raise _unknown(subject, f"no event at {instant}", _instants(operations, instant))
        held = [operation for operation in operations if operation["timestamp"] == instant]
        return _trace(path, instant, held, steps)
    unit = _unit(operations, subject)
    names = {str(operation["operation_id"]) for operation in unit} | {
        str(operation["atomic_group_id"]) for operation in unit if operation["atomic_group_id"] is not None
    }
    return _trace(path, _full_id(unit, subject), unit, list(_life(path, names, str(unit[0]["timestamp"]))))


def _trace(path: Path | str, subject: str, operations: Sequence[EventRecord], steps: list[TraceStep]) -> Trace:
    steps.sort(key=lambda step: step.order)
    changes = [step.order for step in steps if step.event_class is not StrategyDecision]
    before, after = _snapshots(path, min(changes), max(changes))
    held, left = _positions(before), _positions(after)
    foreseen = {str(delta["position_key"]) for operation in operations for delta in _deltas(operation)}
    keys = [key for key in left if key in foreseen or held.get(key, 0.0) != left[key]]
    return Trace(
        subject=subject,
        operations=tuple(str(operation["operation_id"]) for operation in operations),
        steps=tuple(steps),
        balances=tuple(BalanceChange(key, held.get(key, 0.0), left[key]) for key in keys),
        equity_usd=(_equity(before), _equity(after)),
    )


def _life(path: Path | str, names: Set[str], timestamp: str) -> Iterator[TraceStep]:
    """The events that name the operation, those of its instant between them, and the decision before them."""
    naming: tuple[type[DomainEvent], ...] = (*_NAMING, SystemErrorEvent)
    named = [
        TraceStep(kind, record) for kind in naming for record in read_events(path, kind) if names & _named(kind, record)
    ]
    yield from named
    known = {step.order for step in named}
    within = [step.order for step in named if step.record["timestamp"] == timestamp]
    first, last = min(within), max(within)
    for kind in EVENT_TYPES:
        for record in _until(path, kind, last):
            if _order(record) > first and _order(record) not in known:
                yield TraceStep(kind, record)
    decisions = [record for record in _until(path, StrategyDecision, first) if record["timestamp"] == timestamp]
    yield from (TraceStep(StrategyDecision, record) for record in decisions[-1:])


def _named(kind: type[DomainEvent], record: EventRecord) -> set[str]:
    """Operations and groups that an event names."""
    if kind is SystemErrorEvent:
        metadata = record["metadata"]
        assert isinstance(metadata, dict)
        return {str(metadata[name]) for name in _NAMES_OF_ERRORS if name in metadata}
    return {str(record[_NAMING[kind]])}


def _snapshots(path: Path | str, first: int, last: int) -> tuple[EventRecord, EventRecord]:
    """The balances before an ``order`` and those after another; empty before the first snapshot of a run."""
    before: EventRecord = {}
    after: EventRecord = {}
    for record in _until(path, PositionSnapshot, last):
        after = record
        if _order(record) < first:
            before = record
    return before, after


def _every(path: Path | str) -> Iterator[TraceStep]:
    return (TraceStep(kind, record) for kind in EVENT_TYPES for record in read_events(path, kind))


def _until(path: Path | str, kind: type[DomainEvent], last: int) -> Iterator[EventRecord]:
    """Events up to an ``order``; a file is read no further."""
    return takewhile(lambda record: _order(record) <= last, read_events(path, kind))


# -- what is asked for


def _unit(operations: Sequence[EventRecord], subject: str) -> list[EventRecord]:
    """The operation of an id with the other members of its group, or the members of a group."""
    ids = {str(operation["operation_id"]): operation for operation in operations}
    groups = {str(operation["atomic_group_id"]) for operation in operations if operation["atomic_group_id"]}
    known = sorted(groups | ids.keys())
    matches = [subject] if subject in known else [name for name in known if subject and name.startswith(subject)]
    if len({_group_or_self(ids, name) for name in matches}) != 1:
        what = f"{len(matches)} operations begin so" if matches else f"none of {len(ids):,} operations has this id"
        raise _unknown(subject, what, matches or get_close_matches(subject, known, n=_SHOWN_IDS, cutoff=0.0))
    (unit,) = {_group_or_self(ids, name) for name in matches}
    return [each for each in operations if unit in (each["operation_id"], each["atomic_group_id"])]


def _group_or_self(ids: Mapping[str, EventRecord], name: str) -> str:
    return str(ids[name]["atomic_group_id"] or name) if name in ids else name


def _full_id(unit: Sequence[EventRecord], subject: str) -> str:
    """The id that is meant: of the operation alone where the whole of it was given, else of the group."""
    first = unit[0]
    ids = {str(operation["operation_id"]) for operation in unit}
    return subject if subject in ids else str(first["atomic_group_id"] or first["operation_id"])


def _instant(subject: str) -> str | None:
    """The text of the logs for an instant; None where the subject is none."""
    if "-" not in subject:
        return None  # 32 digits read as a date are an id
    try:
        return instant_text(parse_instant(subject))
    except ValueError:
        return None


def _instants(operations: Sequence[EventRecord], instant: str) -> list[str]:
    """The instants with operations that are nearest to one, in their order."""
    wanted = parse_instant(instant)
    instants = {str(operation["timestamp"]) for operation in operations}
    return sorted(sorted(instants, key=lambda text: abs(parse_instant(text) - wanted))[:_SHOWN_IDS])


def _unknown(subject: str, what: str, near: Sequence[str]) -> ConfigValidationError:
    hint = f"near: {', '.join(near[:_SHOWN_IDS])}" if near else "see `basis events RUN operation_executions`"
    return ConfigValidationError(
        f"{subject!r} is no operation, group or instant of the run: {what}; {hint}", id=subject
    )


# -- fields of records


def _order(record: EventRecord) -> int:
    order = record.get("order")
    return order if isinstance(order, int) else -1


def _deltas(operation: EventRecord) -> list[dict[str, object]]:
    deltas = operation["expected_deltas"]
    assert isinstance(deltas, list)
    return [dict(delta) for delta in deltas if isinstance(delta, dict)]


def _positions(snapshot: EventRecord) -> dict[str, float]:
    positions = snapshot.get("positions", {})
    assert isinstance(positions, dict)
    return {key: float(units) for key, units in positions.items() if isinstance(units, int | float)}


def _equity(snapshot: EventRecord) -> float:
    equity = snapshot.get("total_value_usd", 0.0)
    assert isinstance(equity, int | float)
    return float(equity)
