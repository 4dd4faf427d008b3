"""What the matrix of trust looks at: each instrument by itself, and each mode as shipped. One interface for both.

An instrument is traded by a scripted strategy, so that one operation is alone in its books; a mode trades by its own
rules. Both run on the real engine, graph and simulated venues; nothing here computes what a position is worth.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from dataflow.engine.backtest import Backtest
from dataflow.execution.venue_set import VenueSetup
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import PlatformError
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.port import OrderPort
from tests.support.catalogue import SIMULATED
from tests.support.paths import Paths
from tests.support.runs import (
    FREE_OF_COSTS,
    Event,
    Lines,
    MemoryRun,
    RefusingPort,
    parsed_lines,
    prepared,
    read_lines,
    run_in_memory,
)
from tests.support.scripts import scripted

ROWS = 10
GROWTH = [1.0 + 0.002 * max(row - 1, 0) for row in range(ROWS)]
"""Of indexes and ratios, from the row on which instruments are traded."""

MOVING = Paths(
    ROWS,
    price=[2_000.0 + 7.0 * row * (-1) ** row for row in range(ROWS)],
    perp=[2_001.0 + 6.0 * row * (-1) ** row for row in range(ROWS)],
    funding={4: 1e-4, 8: -3e-5},
    supply_index=[1.05 * each for each in GROWTH],
    borrow_index=[1.08 * each**2 for each in GROWTH],
    oracle=[1.04 * each**0.5 for each in GROWTH],
)
"""Everything moves, each at its own pace, and two settlements with opposite signs."""

GROWING = replace(MOVING, price=2_000.0, perp=None, funding={})
"""Only indexes and ratios move."""

ClosedForm = Callable[[Paths, int], float]
"""From the market and the row of the trade to the share-class amount at the last row, by hand."""


class Trait(StrEnum):
    """What an invariant may be about; the value is how the page says that a subject lacks it."""

    EXIT = "no exit rule"
    DEBT = "no debt"
    INDEX = "no index"
    PERP = "no perpetual"


@dataclass(frozen=True)
class Stopped:
    """A run that its engine stopped, and what was on record by then."""

    error: PlatformError
    lines: Lines

    def events(self, name: str) -> list[Event]:
        """Parsed lines of one event file."""
        return parsed_lines(self.lines[name])

    def first_refusal(self) -> int:
        """Order of the first operation that was not confirmed, or of the error where none got so far."""
        refused = [event for event in self.events("operation_executions") if event["status"] != "confirmed"]
        return int(str((refused or self.events("system_errors"))[0]["order"]))


class MisroutingPort(RefusingPort):
    """A venue port that sends each order to a venue that does not declare its operation."""

    def __init__(self, port: OrderPort, world: SimulatedWorld, since: str) -> None:
        super().__init__(port, world, lambda _order, _timestamp: False)
        self._since, self._instant = since, world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Execute an order elsewhere."""
        return super().execute(self._elsewhere(order))

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Execute a group whose first member is elsewhere."""
        return super().execute_group([self._elsewhere(orders[0]), *orders[1:]])

    def _elsewhere(self, order: Order) -> Order:
        if self._instant.snapshot.timestamp < self._since:
            return order
        other = next(venue for venue, able in SIMULATED.items() if order.operation not in able.operations)
        return order.model_copy(update={"venue": other})


@dataclass(frozen=True, eq=False)
class Subject(ABC):
    """One column of the matrix.

    profit: what the trade has earned at the last row of a moving market, without costs. yields: names of P&L parts to
    what they sum to. traits: what it has; an invariant about a trait that it lacks does not apply.
    """

    name: str
    profit: ClosedForm
    traits: frozenset[Trait]
    yields: Mapping[tuple[str, ...], ClosedForm] = field(default_factory=dict)

    @property
    @abstractmethod
    def opened(self) -> int:
        """Row of the trade."""

    @abstractmethod
    def backtest(self, *, costs: bool = False) -> Backtest:
        """The trade, then nothing."""

    @abstractmethod
    def round_trip(self) -> MemoryRun:
        """The trade and its opposite, without costs, in a market that does not move what is held."""

    @abstractmethod
    def repaid(self) -> MemoryRun:
        """A loan taken, and repaid once interest has grown, without costs; only the debt index moves."""

    @cached_property
    def moved(self) -> MemoryRun:
        """The trade held through a moving market, without costs."""
        return run(self.backtest(), MOVING)

    @cached_property
    def stood(self) -> MemoryRun:
        """The trade held while nothing moves, without costs."""
        return run(self.backtest(), MOVING.still())

    @cached_property
    def grown(self) -> MemoryRun:
        """The trade held while indexes and ratios grow and prices stand still, without costs."""
        return run(self.backtest(), GROWING)

    @cached_property
    def paid(self) -> MemoryRun:
        """The trade held through a moving market, with every cost."""
        return run(self.backtest(costs=True), MOVING)

    def settled(self, funding: Mapping[int, float]) -> MemoryRun:
        """The trade held while nothing moves and perpetuals settle."""
        return run(self.backtest(), replace(MOVING.still(), funding=funding))

    def refused(self) -> MemoryRun:
        """Every order of the trade refused by its venue."""
        backtest = self.backtest()
        market = MOVING.still().market(backtest)
        since = str(market.instants[market.first_row + self.opened])

        def wrap(port: OrderPort, world: SimulatedWorld, _clock: object) -> OrderPort:
            return RefusingPort(port, world, lambda _order, timestamp: timestamp >= since)

        return run(backtest, MOVING.still(), simulated_venues(wrap))

    def misrouted(self) -> Stopped:
        """The trade, its orders sent to venues that cannot do them."""
        backtest = self.backtest()
        market = MOVING.still().market(backtest)
        since = str(market.instants[market.first_row + self.opened])

        def wrap(port: OrderPort, world: SimulatedWorld, _clock: object) -> OrderPort:
            return MisroutingPort(port, world, since)

        with TemporaryDirectory() as directory:
            try:
                run_in_memory(backtest, market, Path(directory), venues=simulated_venues(wrap))
            except PlatformError as error:
                return Stopped(error, read_lines(Path(directory)))
        raise AssertionError("the engine went on after an operation that no venue can do")


@dataclass(frozen=True, eq=False)
class Instrument(Subject):
    """An instrument by itself.

    books: the mode whose configuration, with ``options``, venues and valuation it is traded in. prepare: orders of the
    row before. close: opposite orders at a row of a market; a round trip makes them ``wait`` rows after the opening.
    """

    books: str = "btc_basis"
    options: tuple[str, ...] = ()
    prepare: Sequence[OrderIntent] = ()
    open: Sequence[OrderIntent] = ()
    close: Callable[[Paths, int], Sequence[OrderIntent]] = lambda _paths, _row: ()
    wait: int = 0

    @property
    def opened(self) -> int:
        """The row after the preparation."""
        return 1

    def _script(self, *trades: tuple[int, Sequence[OrderIntent]], costs: bool = False) -> Backtest:
        script: dict[int, list[OrderIntent]] = {}
        for row, orders in ((self.opened - 1, self.prepare), *trades):
            script.setdefault(row, []).extend(orders)
        options = self.options if costs else (*FREE_OF_COSTS, *self.options)
        return scripted(self.books, {row: orders for row, orders in script.items() if orders}, options)

    def backtest(self, *, costs: bool = False) -> Backtest:
        """Prepare, open, hold."""
        return self._script((self.opened, self.open), costs=costs)

    def round_trip(self) -> MemoryRun:
        """Open, wait, close."""
        still = replace(MOVING.still(), rows=ROWS + self.wait)
        row = self.opened + self.wait
        return run(self._script((self.opened, self.open), (row, self.close(still, row))), still)

    def repaid(self) -> MemoryRun:
        """Open, hold for four rows, close."""
        paths, row = replace(MOVING.still(), borrow_index=MOVING.borrow_index), self.opened + 4
        return run(self._script((self.opened, self.open), (row, self.close(paths, row))), paths)


@dataclass(frozen=True, eq=False)
class Mode(Subject):
    """A mode as shipped, which enters on the first row.

    leaves: a market in which one of its own rules closes everything; repays: one in which it pays back debt.
    """

    leaves: Paths | None = None
    repays: Paths | None = None

    @property
    def opened(self) -> int:
        """The first row."""
        return 0

    def backtest(self, *, costs: bool = False) -> Backtest:
        """Enter whatever the signal, then hold."""
        overrides = ("scenario:decisions=entry_only", *(() if costs else FREE_OF_COSTS))
        return prepared(self.name, overrides=overrides)

    def round_trip(self) -> MemoryRun:
        """The mode by its own rules until it has left."""
        assert self.leaves is not None
        return run(prepared(self.name, overrides=FREE_OF_COSTS), self.leaves)

    def repaid(self) -> MemoryRun:
        """The mode by its own rules until it has repaid."""
        assert self.repays is not None
        return run(prepared(self.name, overrides=FREE_OF_COSTS), self.repays)


def run(backtest: Backtest, paths: Paths, venues: VenueSetup | None = None) -> MemoryRun:
    """A run over the paths; its log is read back and its files are gone."""
    with TemporaryDirectory() as directory:
        return run_in_memory(backtest, paths.market(backtest), Path(directory), venues=venues)
