"""The shape of whatever orders are sent to."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order


class OrderPort(Protocol):
    """Orders in, handshakes out; a refusal is a failed handshake, an unreachable venue an exception with a VEN code."""

    def execute(self, order: Order) -> ExecutionHandshake:
        """Carry one order out and say what changed."""
        ...

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Carry all orders of an atomic group out, or none: one handshake an order, in their sequence."""
        ...

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """What became of an operation; None where the venue never had it."""
        ...

    def cancel(self, operation_id: str, venue: str) -> None:
        """Ask the venue to end what is still open of an operation; ``find`` says what became of it."""
        ...

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Balances by position key as the venues named, or all, report them; None where they are not to be had."""
        ...
