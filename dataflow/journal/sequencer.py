"""Numbers now, writing later: the one order of a run's events, and the events of a chunk that wait in it.

An event takes its number at the moment it happens, so that the twelve files together tell what came first. Its fields
may be known later: the balances that the operations of a decision lead to are valued together when the decision is
over. It is validated and written later still, when the frames of its chunk have held; rows without a decision never
become single events, they only take their numbers here. So a number depends on rows and phases, never on windows or on
when something is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.models.events import DomainEvent


@dataclass(frozen=True)
class Envelope:
    """What every event of a run carries. wall_clock: the text of now, for ``real_utc_time``."""

    correlation_id: str
    pid: int
    wall_clock: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Draft:
    """An event as it happened, not yet passed through its model: that is done when its chunk is written."""

    event_class: type[DomainEvent]
    fields: Mapping[str, object]

    def event(self) -> DomainEvent:
        """The validated event."""
        return self.event_class(**self.fields)


class Sequencer:
    """Gives each event of a run its number, and keeps the single events of a chunk until they are written."""

    def __init__(self, envelope: Envelope) -> None:
        self._wall_clock = envelope.wall_clock
        self._envelope = {"correlation_id": envelope.correlation_id, "pid": envelope.pid}
        self._next = 0
        self._drafts: list[Draft] = []
        self._unvalued: list[Callable[[], None]] = []
        self._events: list[DomainEvent] = []

    # -- numbers

    @property
    def next_order(self) -> int:
        """The number of the event that happens next."""
        return self._next

    def resume(self, order: int) -> None:
        """Go on where the partition before ended."""
        self._next = order

    def take(self, count: int = 1) -> int:
        """Take so many numbers; the first of them."""
        first, self._next = self._next, self._next + count
        return first

    # -- events

    def emit(self, event_class: type[DomainEvent], timestamp: str, **fields: object) -> None:
        """Number an event and keep it."""
        self.keep(event_class, timestamp, self.take(), **fields)

    def keep(self, event_class: type[DomainEvent], timestamp: str, order: int, **fields: object) -> None:
        """Keep an event whose number was taken before."""
        fields |= self._envelope
        fields |= {"timestamp": timestamp, "real_utc_time": self._wall_clock(), "order": order}
        self._drafts.append(Draft(event_class, fields))

    def keep_when_valued(self, record: Callable[[], None]) -> None:
        """Put off events that hold values of a decision until ``keep_valued``; their numbers are taken already."""
        self._unvalued.append(record)

    def keep_valued(self) -> None:
        """Keep what was put off: the values are known."""
        for record in self._unvalued:
            record()
        self._unvalued.clear()

    # -- the chunk

    @property
    def waiting(self) -> int:
        """How many events wait that have not been through their models."""
        return len(self._drafts)

    def since(self, first: int) -> tuple[Draft, ...]:
        """The events that came after the first so many."""
        return tuple(self._drafts[first:])

    @property
    def pending(self) -> list[DomainEvent]:
        """The events of the chunk through their models, in the order in which they were kept."""
        self._events += [draft.event() for draft in self._drafts]
        self._drafts.clear()
        return self._events

    def write(self, take: Callable[[DomainEvent], None]) -> None:
        """Give each event away once, also where the disk refuses one: the log keeps what it took, we what follows."""
        pending, self._events = iter(self.pending), []
        try:
            for event in pending:
                take(event)
        finally:
            self._events.extend(pending)

    def discard(self, order: int, kept: type[DomainEvent]) -> None:
        """Forget the events of the chunk but those of one class, which are numbered anew from ``order``."""
        found: list[Mapping[str, object]] = [event.__dict__ for event in self._events if isinstance(event, kept)]
        found += [draft.fields for draft in self._drafts if draft.event_class is kept]
        self.clear()
        self._drafts += [Draft(kept, {**fields, "order": number}) for number, fields in enumerate(found, start=order)]
        self._next = order + len(found)

    def clear(self) -> None:
        """Forget the events of the chunk."""
        self._drafts.clear()
        self._unvalued.clear()
        self._events.clear()
