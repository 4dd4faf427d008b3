"""The port to the outside: one order in, one handshake out.

A venue answers with what it did; it never touches the positions of the engine. Routing is by operation and venue and
invents no operations. [domain] 5.7.
"""

from collections.abc import Mapping
from typing import Protocol

from dataflow.venues.capabilities import Capabilities
from schemas.errors import InterfaceNotFoundError, RoutingError
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order


class Venue(Protocol):
    """The interface of one venue."""

    def execute(self, order: Order) -> ExecutionHandshake:
        """Carry the order out and say what changed; a refusal is a failed handshake, not an exception."""
        ...


class Router:
    """Sends each order to the interface of its venue, if that declares the operation.

    capabilities: every venue that there is, in the run or not.
    """

    def __init__(self, interfaces: Mapping[str, Venue], capabilities: Mapping[str, Capabilities]) -> None:
        self._interfaces, self._capabilities = dict(interfaces), capabilities

    def execute(self, order: Order) -> ExecutionHandshake:
        """Route the order.

        Raises :class:`RoutingError` (VEN-001) where the venue cannot do the operation or does not declare it, and
        :class:`InterfaceNotFoundError` (VEN-004) where the run has no interface for the venue.
        """
        able = [venue for venue, declared in self._capabilities.items() if order.operation in declared.operations]
        if order.venue not in able:
            others = ", ".join(sorted(able)) or "none"
            raise RoutingError(
                f"{order.operation.value} cannot be done at {order.venue}; it can at {others}",
                operation_id=order.operation_id,
                operation=order.operation.value,
                venue=order.venue,
            )
        interface = self._interfaces.get(order.venue)
        if interface is None:
            raise InterfaceNotFoundError(
                f"no interface for venue {order.venue}; add it to the mode's venues",
                operation_id=order.operation_id,
                venue=order.venue,
            )
        return interface.execute(order)
