"""Which orders of a decision are not sent, because of what became of those before them. [domain] ruling 29."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.models.orders import Order
from schemas.operations import OperationType


@dataclass
class Unfinished:
    """Orders of a decision that failed or were skipped (``lost``), and those that were filled in part."""

    lost: list[Order] = field(default_factory=list)
    partial: list[Order] = field(default_factory=list)

    def lose(self, orders: Iterable[Order]) -> None:
        """Take down what was not done."""
        self.lost.extend(orders)

    def hold_up(self, order: Order) -> bool:
        """Whether an order must not be sent: it needs a lost one, or leaves where something was not done in full."""
        needs = any(depends_on(order, earlier) for earlier in self.lost)
        return needs or any(leaves_after(order, earlier) for earlier in (*self.lost, *self.partial))


def depends_on(order: Order, earlier: Order) -> bool:
    """Whether an order needs what an earlier one was to bring: a credited key it debits, or its hedge's spot leg.

    [domain] ruling 29.
    """
    if (
        order.operation is OperationType.PERP_TRADE
        and earlier.operation is OperationType.SPOT_TRADE
        and order.venue == earlier.venue
    ):
        return True
    credited = {delta.position_key for delta in earlier.expected_deltas if delta.delta_amount > 0.0}
    return any(delta.delta_amount < 0.0 and delta.position_key in credited for delta in order.expected_deltas)


def leaves_after(order: Order, trade: Order) -> bool:
    """Whether an order takes something away from an exchange where an earlier trade of the decision was to be done.

    Where the trade was not done in full, what would leave may still be margin (``docs/adr``: unfinished exits).
    """
    return order.operation is OperationType.TRANSFER and trade.is_cex_trade() and order.source_venue == trade.venue
