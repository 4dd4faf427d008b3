"""The simulated venues of a run, put together: one world, its port, its liquidations and its time."""

from collections.abc import Callable

from dataflow.execution.venue_set import VenueSet, VenueSetup
from dataflow.graph.inputs import Parameters, lending_terms
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.liquidation import SimulatedLiquidator
from dataflow.venues.simulated.router import SimulatedPort
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.models.config import RunConfig
from schemas.operations import PositionSource
from schemas.port import OrderPort
from schemas.snapshot import MarketSnapshot

PortWrapper = Callable[[OrderPort, SimulatedWorld, SimulatedClock], OrderPort]
"""Puts something between the engine and its venues: faults, a recorder, a refusal."""


def simulated_venues(wrap: PortWrapper | None = None, *, live_policy: bool = False) -> VenueSetup:
    """Return a setup with simulated venues of its own for each run, behind ``wrap`` where that is given."""

    def make(config: RunConfig, parameters: Parameters, first: MarketSnapshot) -> VenueSet:
        world = simulated_world(config, parameters, first)
        clock = SimulatedClock(lambda: world.instant)
        port: OrderPort = SimulatedPort(world, config.catalogue, tuple(config.venues))
        return VenueSet(
            port if wrap is None else wrap(port, world, clock),
            world,
            SimulatedLiquidator(world),
            clock,
            PositionSource.SIMULATED,
        )

    return VenueSetup(make, live_policy=live_policy)


def simulated_world(config: RunConfig, parameters: Parameters, first: MarketSnapshot) -> SimulatedWorld:
    """Return the world of a run's simulated venues at its first row, with empty books."""
    levels, groups = config.mode.strategy_config.margin_levels, parameters.groups
    return SimulatedWorld(
        parameters.costs,
        config.scenario.allow_negative_balances,
        first,
        groups.holdings(groups.empty()),
        lending=lending_terms(config),
        largest_trade_usd=parameters.largest_trade_usd,
        collateral_factor={venue: config.venues[venue].collateral_factor or 0.0 for venue in config.cex_venues},
        margin_min=levels.liquidation if levels is not None else 0.0,
        trade_rules=parameters.trade_rules,
    )
