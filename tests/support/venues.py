"""Fakes of the outside: venues that are slow, away, wrong or forgetful, in front of the simulated ones.

A fake passes everything on unless it is told otherwise, keeps count of what it was asked, and lets time pass on the
injected clock alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from dataflow.engine.backtest import Backtest
from dataflow.market.market import Market
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import (
    ErrorCode,
    PlatformError,
    VenueAuthenticationError,
    VenueError,
    VenueRateLimitError,
    VenueTimeoutError,
    VenueUnavailableError,
)
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus
from schemas.port import OrderPort
from tests.support.runs import Event, MemoryRun, read_lines, run_in_memory


@dataclass
class FakeVenues:
    """The simulated venues behind a line that a test controls.

    sent: operation ids of every order that reached the line, in order. looked_up: those that were asked about.
    """

    port: OrderPort
    world: SimulatedWorld
    clock: SimulatedClock
    sent: list[str] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)

    def execute(self, order: Order) -> ExecutionHandshake:
        """Pass an order on."""
        self.sent.append(order.operation_id)
        self.sent_at.append(self.clock.monotonic())
        return self.answer(order)

    def answer(self, order: Order) -> ExecutionHandshake:
        """What becomes of an order; fakes override this."""
        return self.port.execute(order)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Pass a group on."""
        return self.port.execute_group(orders)

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """Pass a look-up on."""
        self.looked_up.append(operation_id)
        return self.port.find(operation_id, venue)

    def cancel(self, operation_id: str, venue: str) -> None:
        """Pass a cancellation on."""
        self.port.cancel(operation_id, venue)

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Pass the balances on."""
        return self.port.balances(venues)

    def failed(self, order: Order, code: ErrorCode = ErrorCode.EXEC_ORDER_FAILED) -> ExecutionHandshake:
        """A refusal of the venue, which does nothing."""
        return ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.FAILED,
            error_code=code,
            error_message="refused by the venue",
            submitted_at=self.world.instant,
            simulated=True,
        )

    def pending(self, operation_id: str) -> ExecutionHandshake:
        """An order whose outcome is open."""
        return ExecutionHandshake(
            operation_id=operation_id,
            status=ExecutionStatus.PENDING,
            submitted_at=self.world.instant,
            simulated=True,
        )


MakeVenues = Callable[[OrderPort, SimulatedWorld, SimulatedClock], FakeVenues]

UNREACHABLE: Mapping[ErrorCode, type[VenueError]] = {
    error.code: error
    for error in (VenueTimeoutError, VenueUnavailableError, VenueAuthenticationError, VenueRateLimitError)
}
"""What a client of a venue reports when it gets no answer, by code."""


@dataclass
class Unreachable(FakeVenues):
    """Venues that give no answer to the first ``times`` orders; ``accepts``: the order arrived all the same."""

    code: ErrorCode = ErrorCode.VEN_TIMEOUT
    times: int = 10**9
    accepts: bool = False
    lookups_fail: bool = False

    def answer(self, order: Order) -> ExecutionHandshake:
        """Lose the answer, and perhaps the order."""
        if len(self.sent) > self.times:
            return self.port.execute(order)
        if self.accepts:
            self.port.execute(order)
        raise UNREACHABLE[self.code]("no answer", venue=order.venue)

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """Look up, unless look-ups fail too."""
        self.looked_up.append(operation_id)
        if self.lookups_fail:
            raise UNREACHABLE[self.code]("no answer", venue=venue)
        return self.port.find(operation_id, venue)


@dataclass(frozen=True)
class FaultyRun:
    """What a run with faulty venues left: its error if it stopped, and its event log."""

    venues: FakeVenues
    error: PlatformError | None
    run: MemoryRun | None
    lines: Mapping[str, Sequence[bytes]]

    def events(self, name: str) -> list[Event]:
        """Parsed lines of one event file."""
        return [orjson.loads(line) for line in self.lines[name]]

    def codes(self) -> list[str]:
        """Codes of the error events, in order."""
        return [str(event["error_code"]) for event in self.events("system_errors")]

    def operations(self) -> list[tuple[str, str]]:
        """Type and status of every operation, in order."""
        return [(str(e["operation_type"]), str(e["status"])) for e in self.events("operation_executions")]


def run_faulty(
    backtest: Backtest,
    market: Market,
    log_dir: Path,
    make: MakeVenues,
    *,
    live: bool,
    capital: float | None = None,
) -> FaultyRun:
    """Run a mode with fake venues, under the policy of a backtest or of a live session."""
    made: list[FakeVenues] = []

    def wrap(port: OrderPort, world: SimulatedWorld, clock: SimulatedClock) -> OrderPort:
        made.append(make(port, world, clock))
        return made[0]

    error: PlatformError | None = None
    run: MemoryRun | None = None
    try:
        run = run_in_memory(backtest, market, log_dir, capital=capital, venues=simulated_venues(wrap, live_policy=live))
    except PlatformError as stopped:
        error = stopped
    return FaultyRun(made[0], error, run, read_lines(log_dir))
