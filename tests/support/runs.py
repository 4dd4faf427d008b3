"""Running a backtest in memory, and comparing what two runs of one business have left."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest, EngineOptions, ExecutorName, Validation
from dataflow.engine.prepared import BacktestOutcome, PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.execution.venue_set import VenueSetup
from dataflow.graph.state import RunState
from dataflow.market.market import Market
from dataflow.maths.returns import FlowHistory
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.services.backtest import CompletedRun
from dataflow.services.simulated_venues import simulated_venues
from dataflow.settlement.capital_flows import HISTORY
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode
from schemas.flows import DueFlow
from schemas.models.events import EVENT_TYPES
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.models.results import EventDetail
from schemas.operations import ExecutionStatus
from schemas.port import OrderPort
from schemas.units import Column, Instants
from tests.support.markets import partition

CORRELATION_ID: Final = "0" * 32
PID: Final = 1
FREE_OF_COSTS: Final = ("scenario:fees=false", "scenario:slippage=false", "scenario:gas=false")
"""Overrides that leave every rule as it is and take away what trading costs."""

EVENT_NAMES: Final = tuple(event.file_name.removesuffix(".jsonl") for event in EVENT_TYPES)
HEALTH: Final = "health_status"

_WALL_CLOCK = re.compile(rb'"(real_utc_time|correlation_id|pid|\w*duration_ms)":("[^"]*"|[-+.eE\d]+)')

Lines = Mapping[str, tuple[bytes, ...]]
"""Name of an event file to its lines."""

Event = dict[str, object]


def parsed_lines(lines: Sequence[bytes]) -> list[Event]:
    """Events of the lines of one file."""
    return [orjson.loads(line) for line in lines]


@dataclass(frozen=True)
class MemoryRun:
    """What a run left: columns by stage, lines by event file, the state after the last row."""

    backtest: Backtest
    outcome: BacktestOutcome
    instants: Instants
    columns: Mapping[str, Mapping[str, Column]]
    lines: Lines
    log_dirs: tuple[Path, ...]

    @property
    def state(self) -> RunState:
        """State after the last row."""
        return self.outcome.state

    def column(self, name: str) -> Column:
        """A column of any stage."""
        return next(columns[name] for columns in self.columns.values() if name in columns)

    def events(self, name: str) -> list[Event]:
        """Parsed lines of one event file."""
        return parsed_lines(self.lines[name])

    def final_positions(self) -> dict[str, float]:
        """Units of every key after the last row."""
        return dict(self.backtest.parameters.groups.holdings(self.state.values).units)


@cache
def prepared(
    mode: str,
    *,
    scenarios: tuple[str, ...] = (),
    overrides: tuple[str, ...] = (),
    executor: ExecutorName = "plan",
    window: int | None = None,
    validation: Validation = "chunk",
    events: EventDetail = "every-step",
) -> Backtest:
    """A backtest of the shipped configuration; made once, since a run leaves nothing in it."""
    config = load_run_config(mode, scenarios=scenarios, overrides=overrides).config
    return Backtest(config, EngineOptions(executor, window, validation, events))


class _Kept:
    """Keeps the chunks of the sink."""

    def __init__(self) -> None:
        self.instants: list[Instants] = []
        self.stages: dict[str, dict[str, list[Column]]] = {}

    def __call__(self, stage: str, instants: Instants, columns: Mapping[str, Column]) -> None:
        if stage == "market":
            self.instants.append(instants)
        kept = self.stages.setdefault(stage, {})
        for name, column in columns.items():
            kept.setdefault(name, []).append(column)

    def whole(self) -> dict[str, dict[str, Column]]:
        return {
            stage: {name: np.concatenate(pieces) for name, pieces in columns.items()}
            for stage, columns in self.stages.items()
        }


def run_in_memory(
    backtest: Backtest,
    market: Market,
    log_dir: Path,
    *,
    capital: float | None = None,
    seed: int = 7,
    correlation_id: str = CORRELATION_ID,
    pid: int = PID,
    state: RunState | None = None,
    is_final: bool = True,
    venues: VenueSetup | None = None,
    flows: tuple[DueFlow, ...] = (),
    watch_from: np.datetime64 | None = None,
) -> MemoryRun:
    """Run a mode over a market, keeping every column and writing the event log under ``log_dir``."""
    kept = _Kept()
    with DomainEventLogger(log_dir, correlation_id, pid, next_order=state.order if state else 0) as log:
        request = RunRequest(
            capital=backtest.config.initial_capital if capital is None else capital,
            seed=seed,
            venues=venues or simulated_venues(),
            state=state,
            is_final=is_final,
            flows=flows,
            watch_from=watch_from,
        )
        outcome = PreparedBacktest(backtest, market).run(request, Recording.into(log, sink=kept))
    return MemoryRun(
        backtest, outcome, np.concatenate(kept.instants), kept.whole(), read_lines(log_dir), (Path(log_dir),)
    )


def run_in_partitions(
    backtest: Backtest, market: Market, log_dir: Path, cuts: Sequence[int], *, flows: tuple[DueFlow, ...] = ()
) -> MemoryRun:
    """The same run in chained partitions that begin at the rows of ``cuts``; the state goes through JSON between."""
    bounds = [0, *sorted(cuts), len(market.instants) - market.first_row]
    runs: list[MemoryRun] = []
    state: RunState | None = None
    for number, (start, end) in enumerate(pairwise(bounds)):
        run = run_in_memory(
            backtest,
            partition(market, start, end),
            log_dir / str(number),
            state=state,
            is_final=end == bounds[-1],
            flows=flows,
        )
        state = RunState.from_json(run.state.to_json())
        runs.append(run)
    return chained(runs)


def chained(runs: Sequence[MemoryRun]) -> MemoryRun:
    """Partitions of one run, one after the other, as if they were that run."""
    columns = {
        stage: {name: np.concatenate([run.columns[stage][name] for run in runs]) for name in names}
        for stage, names in runs[0].columns.items()
    }
    lines = {name: tuple(line for run in runs for line in run.lines[name]) for name in EVENT_NAMES}
    instants = np.concatenate([run.instants for run in runs])
    log_dirs = tuple(directory for run in runs for directory in run.log_dirs)
    return MemoryRun(runs[-1].backtest, runs[-1].outcome, instants, columns, lines, log_dirs)


def flow_history(run: MemoryRun) -> FlowHistory:
    """The initial capital and every flow after it."""
    return FlowHistory(*(np.asarray(run.state.values[name]) for name in HISTORY))


def log_dir_of(completed: CompletedRun) -> Path:
    """Where a completed run wrote its logs."""
    assert completed.summary.log_dir is not None
    return Path(completed.summary.log_dir)


def results_dir_of(completed: CompletedRun) -> Path:
    """Where a completed run wrote its results."""
    assert completed.summary.results_dir is not None
    return Path(completed.summary.results_dir)


def read_lines(log_dir: Path) -> dict[str, tuple[bytes, ...]]:
    """Raw lines of every event file of a small log (one part a file)."""
    return {
        name: tuple((log_dir / "events" / f"{name}.jsonl").read_bytes().splitlines(keepends=True))
        for name in EVENT_NAMES
    }


def business_lines(lines: Lines, *, without: Sequence[str] = ()) -> dict[str, tuple[bytes, ...]]:
    """The lines without what the wall clock and the process put into them."""
    return {
        name: tuple(_WALL_CLOCK.sub(b"", line) for line in of_file)
        for name, of_file in lines.items()
        if name not in without
    }


def differing_columns(one: MemoryRun, other: MemoryRun) -> list[str]:
    """Names of the columns of which any bit differs, of any stage."""
    assert {stage: set(names) for stage, names in one.columns.items()} == {
        stage: set(names) for stage, names in other.columns.items()
    }
    return [
        f"{stage}.{name}"
        for stage, columns in one.columns.items()
        for name, column in columns.items()
        if bits_of(column) != bits_of(other.columns[stage][name])
    ]


def bits_of(column: Column) -> bytes:
    """Every bit of a column, row by row."""
    return np.ascontiguousarray(column).tobytes()


def assert_same_business(one: MemoryRun, other: MemoryRun, *, without: Sequence[str] = ()) -> None:
    """Demand that two runs decided, did and recorded the same, bit for bit."""
    assert differing_columns(one, other) == []
    mine, others = business_lines(one.lines, without=without), business_lines(other.lines, without=without)
    for name, lines in mine.items():
        assert lines == others[name], f"{name} differs"
    assert one.state.to_json() == other.state.to_json()


class RefusingPort:
    """A venue port that refuses some orders, as an exchange does that is short of something or down."""

    def __init__(self, port: OrderPort, world: SimulatedWorld, is_refused: Callable[[Order, str], bool]) -> None:
        self._port, self._world, self._is_refused = port, world, is_refused

    def execute(self, order: Order) -> ExecutionHandshake:
        """Refuse the order if it is one of those, else pass it on."""
        if self._is_refused(order, self._world.snapshot.timestamp):
            return self._world.refused(order, ErrorCode.VEN_UNAVAILABLE, "The venue is down")
        return self._port.execute(order)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Undo a group if its first order is one of those, else pass it on."""
        if not self._is_refused(orders[0], self._world.snapshot.timestamp):
            return self._port.execute_group(orders)
        refused = (
            self._world.refused(order, ErrorCode.EXEC_GROUP_ROLLED_BACK, "The venue is down") for order in orders
        )
        return tuple(each.model_copy(update={"status": ExecutionStatus.ROLLED_BACK}) for each in refused)

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """Pass a look-up on."""
        return self._port.find(operation_id, venue)

    def cancel(self, operation_id: str, venue: str) -> None:
        """Pass a cancellation on."""
        self._port.cancel(operation_id, venue)

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Pass the balances on."""
        return self._port.balances(venues)


def run_with_refusals(
    backtest: Backtest, market: Market, log_dir: Path, is_refused: Callable[[Order, str], bool]
) -> MemoryRun:
    """A run whose venues refuse the orders for which ``is_refused(order, timestamp)`` holds."""

    def wrap(port: OrderPort, world: SimulatedWorld, _clock: object) -> OrderPort:
        return RefusingPort(port, world, is_refused)

    return run_in_memory(backtest, market, log_dir, venues=simulated_venues(wrap))


def rules_fired(run: MemoryRun) -> dict[str, int]:
    """How often each rule of the mode decided, by reason; rules that never did are 0."""
    codes = run.column("decision").astype(np.int64)
    return {rule.reason: int(np.count_nonzero(codes == rule.code)) for rule in run.backtest.spec.rules}
