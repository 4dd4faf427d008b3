"""All simulated venues behind one port: routing, atomic groups, look-up, reported balances."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dataflow.venues.port import Router, Venue
from dataflow.venues.simulated.exchange import SimulatedExchange
from dataflow.venues.simulated.lending import SimulatedLending
from dataflow.venues.simulated.on_chain import SimulatedDex, SimulatedFlashLender, SimulatedStaking, SimulatedWallet
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode
from schemas.instruments import CEX_VENUES
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus

_ON_CHAIN: Final[Mapping[str, Callable[[SimulatedWorld], Venue]]] = {
    "wallet": SimulatedWallet,
    "aave_v3": SimulatedLending,
    "etherfi": SimulatedStaking,
    "lido": SimulatedStaking,
    "uniswap": SimulatedDex,
    "instadapp": SimulatedFlashLender,
    "morpho": SimulatedFlashLender,
}


class SimulatedPort:
    """The simulated venues of a run."""

    def __init__(self, world: SimulatedWorld, venues: Sequence[str]) -> None:
        interfaces: dict[str, Venue] = {v: SimulatedExchange(v, world) for v in venues if v in CEX_VENUES}
        interfaces |= {venue: _ON_CHAIN[venue](world) for venue in venues if venue in _ON_CHAIN}
        self._world, self._router = world, Router(interfaces)

    def execute(self, order: Order) -> ExecutionHandshake:
        """Execute one order; the same operation id twice is executed once."""
        known = self._world.answers.get(order.operation_id)
        if known is not None and known.was_successful():
            return known
        return self._router.execute(order)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Execute all orders, or leave the books as they were and answer that all were rolled back."""
        books, done = self._world.books, []
        for order in orders:
            handshake = self._router.execute(order)
            if not handshake.was_successful():
                self._world.books = books
                return tuple(self._undone(member, order, handshake) for member in orders)
            done.append(handshake)
        return tuple(done)

    def _undone(self, order: Order, failing: Order, failure: ExecutionHandshake) -> ExecutionHandshake:
        """The answer for one member of a group that failed: the failing one keeps its own code."""
        is_culprit = order is failing
        handshake = ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.ROLLED_BACK,
            error_code=failure.error_code if is_culprit else ErrorCode.EXEC_GROUP_ROLLED_BACK,
            error_message=failure.error_message if is_culprit else f"rolled back with {failing.operation_id}",
            submitted_at=self._world.instant,
            simulated=True,
        )
        self._world.answers[order.operation_id] = handshake
        return handshake

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:  # noqa: ARG002 - one world, one list
        """What became of an operation of this decision."""
        return self._world.answers.get(operation_id)

    def balances(self) -> Mapping[str, float]:
        """The venues' own balances."""
        return self._world.books.units
