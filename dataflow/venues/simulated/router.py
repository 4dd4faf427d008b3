"""All simulated venues behind one port: routing, atomic groups, look-up, reported balances."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from dataflow.venues.capabilities import simulated_capabilities
from dataflow.venues.port import Router, Venue
from dataflow.venues.simulated.exchange import SimulatedExchange
from dataflow.venues.simulated.lending import SimulatedLending
from dataflow.venues.simulated.on_chain import SimulatedDex, SimulatedFlashLender, SimulatedStaking, SimulatedWallet
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode, PlatformError
from schemas.instruments import PositionKey, VenueKind, asset_of
from schemas.models.catalogue import Catalogue
from schemas.models.config_venues import VenueConfig
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus, OperationType

_SETTLED: Final = 1e-9
"""Share of a flash loan that rounding may leave unpaid. [domain] ruling 8."""

_ON_CHAIN: Final[Mapping[OperationType, Callable[[SimulatedWorld], Venue]]] = {
    OperationType.TRANSFER: SimulatedWallet,
    OperationType.SUPPLY: SimulatedLending,
    OperationType.STAKE: SimulatedStaking,
    OperationType.SWAP: SimulatedDex,
    OperationType.FLASH_BORROW: SimulatedFlashLender,
}
"""What simulates an on-chain venue, by the first of these operations that it supports."""


def simulated_venue(venue: VenueConfig, world: SimulatedWorld) -> Venue | None:
    """The simulation of a venue; None where nothing can be done there."""
    if venue.venue_type is VenueKind.CEX:
        return SimulatedExchange(venue.venue, world)
    for operation, simulation in _ON_CHAIN.items():
        if operation in venue.supported_operations:
            return simulation(world)
    return None


class SimulatedPort:
    """The simulated venues of a run.

    catalogue: every venue that there is. venues: those of the run.
    wrap: puts something between the router and the interface of one venue, for a refusal in the middle of a group.
    """

    def __init__(
        self,
        world: SimulatedWorld,
        catalogue: Catalogue,
        venues: Sequence[str],
        wrap: Callable[[Venue], Venue] | None = None,
    ) -> None:
        simulated = ((name, simulated_venue(catalogue.venues[name], world)) for name in venues)
        interfaces = {name: interface for name, interface in simulated if interface is not None}
        if wrap is not None:
            interfaces = {venue: wrap(interface) for venue, interface in interfaces.items()}
        self._world, self._router = world, Router(interfaces, simulated_capabilities(catalogue))

    def execute(self, order: Order) -> ExecutionHandshake:
        """Execute one order; the same operation id twice is executed once."""
        known = self._world.answers.get(order.operation_id)
        if known is not None and known.was_successful():
            return known
        return self._router.execute(order)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Execute all orders, or leave the books as they were and answer that all were rolled back.

        A group whose flash loans are not paid back in full is undone by the lender. [domain] 5.2 and 5.5.
        """
        known = [self._world.answers.get(order.operation_id) for order in orders]
        answered = tuple(handshake for handshake in known if handshake is not None and handshake.was_successful())
        if orders and len(answered) == len(orders):
            return answered
        books, answers = self._world.books, dict(self._world.answers)
        try:
            done = self._carried_out(orders)
        except PlatformError:
            self._world.books, self._world.answers = books, answers
            raise
        if isinstance(done, tuple):
            return done
        self._world.books, self._world.answers = books, answers
        return tuple(self._undone(order, done) for order in orders)

    def _carried_out(self, orders: Sequence[Order]) -> "tuple[ExecutionHandshake, ...] | ExecutionHandshake":
        """The answers of all members, or that of the one that failed."""
        done = []
        for order in orders:
            handshake = self._router.execute(order)
            if not handshake.was_successful():
                return handshake
            done.append(handshake)
        lender, debts = _unpaid_loan(orders)
        if lender is not None:
            message = f"flash loan not repaid: {debts} still owed at the end of the group"
            return self._world.refused(lender, ErrorCode.EXEC_ORDER_FAILED, message)
        return tuple(done)

    def _undone(self, order: Order, failure: ExecutionHandshake) -> ExecutionHandshake:
        """The answer for one member of a group that failed: the failing one keeps its own code."""
        is_culprit = order.operation_id == failure.operation_id
        handshake = ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.ROLLED_BACK,
            error_code=failure.error_code if is_culprit else ErrorCode.EXEC_GROUP_ROLLED_BACK,
            error_message=failure.error_message if is_culprit else f"rolled back with {failure.operation_id}",
            submitted_at=self._world.instant,
            simulated=True,
        )
        self._world.answers[order.operation_id] = handshake
        return handshake

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:  # noqa: ARG002 - one world, one list
        """What became of an operation of this decision."""
        return self._world.answers.get(operation_id)

    def cancel(self, operation_id: str, venue: str) -> None:
        """Nothing is ever open here: an order is filled or refused at once."""

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float]:
        """The balances of the venues named, or of all."""
        units = self._world.books.units
        if venues is None:
            return units
        return {key: held for key, held in units.items() if PositionKey.parse(key).venue in venues}


def _unpaid_loan(orders: Sequence[Order]) -> tuple[Order | None, str]:
    """The first flash loan of a group whose asset is not paid back in full (ETH and WETH are one), and what is owed."""
    owed: dict[str, float] = {}
    lent: dict[str, Order] = {}
    for order in orders:
        if order.operation is OperationType.FLASH_BORROW:
            asset = asset_of(order.target_token)
            lent.setdefault(asset, order)
            owed[asset] = owed.get(asset, 0.0) + order.amount
        elif order.operation is OperationType.FLASH_REPAY:
            asset = asset_of(order.source_token)
            lent.setdefault(asset, order)
            owed[asset] = owed.get(asset, 0.0) - order.amount
    for asset, amount in owed.items():
        if abs(amount) > _SETTLED * lent[asset].amount:
            return lent[asset], f"{amount!r} {asset}"
    return None, ""
