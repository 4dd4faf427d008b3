"""Orders of which nobody knows whether they were carried out: which may be sent again, and where they would show."""

from collections.abc import Mapping

from dataflow.maths.deltas import RESIDUE
from schemas.instruments import PositionKey, PositionType
from schemas.models.orders import ExpectedDelta, Order
from schemas.operations import OperationType, OrderSide


def venues_of(order: Order) -> frozenset[str]:
    """Venues whose balances an order may move: those of its keys, and what pays its fee.

    The wallet pays the gas of whatever is not a trade at an exchange.
    """
    touched = {delta.venue for delta in order.expected_deltas}
    return frozenset({*touched, order.venue if order.is_cex_trade() else "wallet"})


def limits_itself(order: Order, held: Mapping[str, float]) -> bool:
    """Whether a second fill of the order could do nothing more, whatever became of the first.

    So at an exchange where it closes a whole perpetual or sells a whole coin, and on chain, where an id is carried out
    once; never a transfer. held: position key to units.
    """
    if not order.is_cex_trade():
        return order.operation is not OperationType.TRANSFER
    given_up = [delta for delta in order.expected_deltas if _is_given_up(order, delta)]
    return bool(given_up) and all(
        abs(held.get(delta.position_key, 0.0) + delta.delta_amount) <= RESIDUE * abs(delta.delta_amount)
        for delta in given_up
    )


def _is_given_up(order: Order, delta: ExpectedDelta) -> bool:
    """Whether a change is that of what a trade gives up: its perpetual, or the coin that it sells."""
    if PositionKey.parse(delta.position_key).position_type is PositionType.PERP:
        return True
    return order.side is OrderSide.SELL and delta.delta_amount < 0.0
