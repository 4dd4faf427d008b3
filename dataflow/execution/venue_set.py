"""What a run is handed of the outside: the venues, the market that they stand in, and the time there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dataflow.execution.liquidations import Liquidator
from dataflow.graph.inputs import Parameters
from schemas.clock import Clock
from schemas.holdings import Holdings
from schemas.models.config import RunConfig
from schemas.operations import PositionSource
from schemas.port import OrderPort
from schemas.snapshot import MarketSnapshot


class VenueMarket(Protocol):
    """The market that venues stand in."""

    def advance_to(self, snapshot: MarketSnapshot, books: Holdings) -> None:
        """Go on to the instant of a decision; venues that have a market of their own are there already."""
        ...


@dataclass(frozen=True)
class VenueSet:
    """The venues of a run.

    port: takes the orders. market: told of each decision before its orders. liquidator: what the venues take by
    themselves. clock: the time at the venues. source: whose balances the books are.
    """

    port: OrderPort
    market: VenueMarket
    liquidator: Liquidator
    clock: Clock
    source: PositionSource

    @property
    def are_simulated(self) -> bool:
        """Whether nothing outside this process ever hears of an order."""
        return self.source is PositionSource.SIMULATED


MakeVenues = Callable[[RunConfig, Parameters, MarketSnapshot], VenueSet]
"""Makes the venues of a run from its configuration, the parameters of its graph and the market of its first row."""


@dataclass(frozen=True)
class VenueSetup:
    """How orders reach venues. live_policy: retry, look up and tolerate as a live session would."""

    make: MakeVenues
    live_policy: bool = False
