"""The shape of whatever orders are sent to."""

from typing import Protocol

from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order


class OrderPort(Protocol):
    """One order in, one handshake out; a refusal is a failed handshake, not an exception."""

    def execute(self, order: Order) -> ExecutionHandshake:
        """Carry the order out and say what changed."""
        ...
