"""Sending a unit to its venue: one order, or an atomic group; what became of it is on record before it is booked."""

from collections.abc import Sequence
from dataclasses import dataclass

from dataflow.execution.outcomes import ExecutionRecords, Timing
from dataflow.execution.units import is_committed
from dataflow.execution.venue_access import VenueAccess
from dataflow.journal.operations import operation_fields
from dataflow.journal.recorder import Journal
from schemas.clock import Clock
from schemas.errors import ExecutionError, HandshakeInvalidError, VenueError
from schemas.holdings import Holdings
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order


@dataclass(frozen=True)
class Answered:
    """A unit that was sent, and what the venue said of each of its orders. is_done: whether it is to be booked."""

    identifier: str
    orders: Sequence[Order]
    handshakes: Sequence[ExecutionHandshake]
    timing: Timing
    is_done: bool


class UnitSender:
    """Sends units and writes their operations to the journal."""

    def __init__(self, access: VenueAccess, journal: Journal, records: ExecutionRecords, clock: Clock) -> None:
        self._access, self._journal, self._records, self._clock = access, journal, records, clock

    def single(self, timestamp: str, order: Order, holdings: Holdings) -> Answered:
        """Send one order alone, with ``holdings`` in the books; a failure is on record."""
        self._access.delivery.expect(holdings.units)
        started = self._clock.monotonic()
        try:
            with self._access.reaching(timestamp, order.operation_id) as delivery:
                handshake = _about(order, delivery.execute(order))
        except (VenueError, ExecutionError) as error:
            self._lost_track(timestamp, [order], order.operation_id, error, started)
            raise
        timing = Timing(started, self._clock.monotonic(), self._access.delivery.attempts)
        self._journal.execution.operation(timestamp, **operation_fields(order, handshake, timing.executed - started))
        done = handshake.was_successful()
        if not done:
            self._records.failure(timestamp, order, handshake, timing)
        return Answered(order.operation_id, [order], [handshake], timing, done)

    def group(self, timestamp: str, group: str, orders: Sequence[Order], holdings: Holdings) -> Answered:
        """Send an atomic group, with ``holdings`` in the books; a rollback is on record."""
        self._access.delivery.expect(holdings.units)
        started = self._clock.monotonic()
        try:
            with self._access.reaching(timestamp, group) as delivery:
                handshakes = delivery.execute_group(orders)
            committed = is_committed(group, orders, handshakes)
        except (VenueError, ExecutionError) as error:
            self._lost_track(timestamp, orders, group, error, started)
            raise
        timing = Timing(started, self._clock.monotonic())
        seconds = (timing.executed - started) / len(orders)
        for order, handshake in zip(orders, handshakes, strict=True):
            self._journal.execution.operation(timestamp, **operation_fields(order, handshake, seconds))
        self._records.group(timestamp, orders, handshakes, timing)
        if not committed:
            self._records.rollback(timestamp, group, orders, handshakes, timing)
        return Answered(group, orders, handshakes, timing, committed)

    def _lost_track(
        self,
        timestamp: str,
        orders: Sequence[Order],
        identifier: str,
        error: VenueError | ExecutionError,
        started: float,
    ) -> None:
        unknown = [self._access.delivery.unanswered(order, error) for order in orders]
        self._records.lost_track(timestamp, orders, unknown, identifier, started)


def _about(order: Order, handshake: ExecutionHandshake) -> ExecutionHandshake:
    """The answer; HandshakeInvalidError (EXEC-008) where it is about another operation. [domain] 5.3."""
    if handshake.operation_id != order.operation_id:
        raise HandshakeInvalidError(
            f"the venue answered about {handshake.operation_id}, not {order.operation_id}; the fill is unknown",
            operation_id=order.operation_id,
            venue=order.venue,
        )
    return handshake
