"""Atomic groups: what a decision may ask for as one, and what a venue may answer. [domain] 5.5."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from schemas.errors import HandshakeInvalidError, OrderValidationError
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order


@dataclass(frozen=True, slots=True)
class Unit:
    """Orders of a decision that are done together: an atomic group, or one order alone (``group`` None).

    sequences: places of the orders in the decision, in the order in which they are to be done.
    """

    group: str | None
    sequences: tuple[int, ...]


def units_of(orders: Sequence[OrderIntent]) -> tuple[Unit, ...]:
    """The units of a decision, in its order; members of a group in that of ``sequence_in_group``.

    Raises :class:`OrderValidationError` (EXEC-004) before anything is sent: for a group inside another or taken up
    again, for sequence numbers that are not 0..n-1 once each, and for gas charged twice.
    """
    units: list[Unit] = []
    seen: set[str] = set()
    for group, members in groupby(enumerate(orders), key=lambda member: member[1].atomic_group):
        places = [place for place, _ in members]
        if group is None:
            units.extend(Unit(None, (place,)) for place in places)
            continue
        if group in seen:
            raise OrderValidationError(
                f"atomic group {group!r} is interrupted by other orders; groups cannot be nested or taken up again",
                atomic_group=group,
            )
        seen.add(group)
        units.append(Unit(group, _in_sequence(group, places, orders)))
    return tuple(units)


def _in_sequence(group: str, places: Sequence[int], orders: Sequence[OrderIntent]) -> tuple[int, ...]:
    numbers = [orders[place].sequence_in_group for place in places]
    by_number = {number: place for number, place in zip(numbers, places, strict=True) if number is not None}
    if sorted(by_number) != list(range(len(places))):
        raise OrderValidationError(
            f"atomic group {group!r} numbers its members {numbers}; they must be 0 to {len(places) - 1}, each once",
            atomic_group=group,
        )
    charged = [place for place in places if orders[place].gas_cost_type is not None]
    if len(charged) > 1:
        raise OrderValidationError(
            f"atomic group {group!r} charges gas {len(charged)} times; name gas_cost_type on one member",
            atomic_group=group,
        )
    return tuple(by_number[number] for number in range(len(places)))


def is_committed(group: str, orders: Sequence[Order], handshakes: Sequence[ExecutionHandshake]) -> bool:
    """Whether a group was done as a whole.

    Raises :class:`HandshakeInvalidError` (EXEC-008) where the answers are not one a member in their sequence, or say
    that some members were done and others not: then nobody knows what is held.
    """
    answered, asked = [h.operation_id for h in handshakes], [order.operation_id for order in orders]
    if answered != asked:
        raise HandshakeInvalidError(
            f"the venue answered about {answered}, not about the members {asked}; what is held is unknown",
            atomic_group_id=group,
        )
    done = [handshake.was_successful() for handshake in handshakes]
    if any(done) != all(done):
        raise HandshakeInvalidError(
            f"{sum(done)} of {len(done)} members of an atomic group are confirmed; what is held is unknown",
            atomic_group_id=group,
        )
    return all(done)
