"""Deterministic simulation: random markets, injected faults, and the laws after every run, all from one seed.

A run may complete or stop with a code that a fault can cause; anything else is a broken law. The report names the
command that repeats each run that broke one.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dataflow.config.files import list_modes, load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.engine.prepared import BacktestOutcome, PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.laws import attribution_faults, conservation_faults, replay_faults
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.records.log.reading import read_events
from dataflow.services.fault_plans import fault_wrapper, load_fault_plan
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.faults.plan import FaultPlan
from schemas.errors import ErrorCode, InvalidModeError, PlatformError
from schemas.models.events import OperationExecutionEvent, SystemErrorEvent
from schemas.units import Column, Instants

ROWS_MIN: Final = 200
OPERATIONS_MIN: Final = 5
"""Fewer rows or attempted operations prove too little; such a run counts as broken."""

_DOUBLINGS_MAX: Final = 3
"""How often a market in which too little happened is made again, twice as long."""

CALM_ROWS: Final = 220
"""Rows before the market turns violent; ``configs/faults/storm.yaml`` keeps its fatal faults until then as well."""

DEFINED_STOPS: Final = frozenset(
    {
        ErrorCode.EXEC_INTERFACE_UNAVAILABLE,
        ErrorCode.EXEC_RECONCILIATION_TIMEOUT,
        ErrorCode.EXEC_POSITION_MISMATCH,
        ErrorCode.EXEC_HANDSHAKE_INVALID,
        ErrorCode.POS_NEGATIVE,
        ErrorCode.POS_RECONCILIATION_MISMATCH,
    }
)
"""Codes with which a venue that misbehaves may stop a run; every other stop is a fault of ours."""

_NOT_ONCE: Final = {
    "filled_again": "was filled twice",
    "filled_unseen": "was filled after it had been given up",
}
"""Facts of a late acceptance that no run may have, and what they mean."""

_AHEAD_PER_JOB: Final = 4
_CORRELATION_ID: Final = "0" * 32

Progress = Callable[[int, int], None]
"""Called with runs done and runs in all."""


class SimulationRequest(BaseModel):
    """What to simulate; the options of ``basis simulate``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: Annotated[int, Field(ge=1)] = Field(default=20, description="Seeds, each run in every mode")
    first_seed: Annotated[int, Field(ge=0)] = Field(default=0, description="First seed")
    modes: tuple[str, ...] = Field(default=list_modes(), description="Modes")
    faults: str = Field(default="storm", description="Fault plan: a name, or a file")
    rows: Annotated[int, Field(ge=ROWS_MIN)] = Field(
        default=320,
        description=f"Rows of a run; up to eight times as many where it has fewer than {OPERATIONS_MIN} operations",
    )
    jobs: Annotated[int, Field(ge=1)] = Field(default=1, description="Processes")
    trade_rules: bool = Field(default=False, description="Trade in the lots and least sizes of the exchanges")

    def replay_command(self, mode: str, seed: int) -> str:
        """The command that repeats one run."""
        options = f"--faults {self.faults} --rows {self.rows}{' --trade-rules' if self.trade_rules else ''}"
        return f"basis simulate --seeds 1 --first-seed {seed} --modes {mode} {options}"


@dataclass(frozen=True)
class SimulatedRun:
    """One run of one mode and seed. code: what stopped it. broken: laws that it broke, in words."""

    mode: str
    seed: int
    code: ErrorCode | None
    rows: int
    operations: int
    faults: Mapping[str, int]
    broken: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """How it ended: ``completed`` or ``stopped CODE``."""
        return "completed" if self.code is None else f"stopped {self.code.value}"


@dataclass(frozen=True)
class SimulationReport:
    """What a simulation found."""

    request: SimulationRequest
    runs: tuple[SimulatedRun, ...]
    seconds: float

    def broken(self) -> tuple[SimulatedRun, ...]:
        """Runs that broke a law."""
        return tuple(run for run in self.runs if run.broken)

    def verdicts(self) -> dict[str, dict[str, int]]:
        """Verdict to mode to number of runs, most frequent first."""
        return _table((run.verdict, run.mode, 1) for run in self.runs)

    def faults(self) -> dict[str, dict[str, int]]:
        """Kind of fault to mode to how often it was injected, most frequent first."""
        return _table((kind, run.mode, count) for run in self.runs for kind, count in run.faults.items())


def _table(entries: Iterator[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    table: dict[str, Counter[str]] = {}
    for row, column, count in entries:
        table.setdefault(row, Counter())[column] += count
    return {row: dict(counts) for row, counts in sorted(table.items(), key=lambda entry: -entry[1].total())}


@dataclass
class _Kept:
    """Columns of a run, in memory."""

    instants: list[Instants] = field(default_factory=list)
    pieces: dict[str, list[Column]] = field(default_factory=dict)

    def __call__(self, stage: str, instants: Instants, columns: Mapping[str, Column]) -> None:
        if stage == "market":
            self.instants.append(instants)
        for name, column in columns.items():
            self.pieces.setdefault(name, []).append(column)

    def whole(self) -> dict[str, Column]:
        return {name: np.concatenate(pieces) for name, pieces in self.pieces.items()}


@cache
def _backtest(mode: str, *, trade_rules: bool) -> Backtest:
    """The backtest of a mode's shipped configuration; a run leaves nothing in it."""
    return Backtest(load_run_config(mode, scenarios=("trade_rules",) if trade_rules else ()).config)


@cache
def _plan(faults: str) -> FaultPlan:
    return load_fault_plan(faults)


def simulate_run(request: SimulationRequest, mode: str, seed: int) -> SimulatedRun:
    """Run one mode over the random market of a seed, with faults, and check the laws on what is left.

    A quiet market proves little: where a run had too few operations, a longer one of the same seed takes its place.
    """
    for doublings in range(_DOUBLINGS_MAX + 1):
        run = _simulated(request, mode, seed, request.rows << doublings)
        if run.broken or run.operations >= OPERATIONS_MIN:
            break
    if run.rows < ROWS_MIN or run.operations < OPERATIONS_MIN:
        proof = f"{run.rows} rows and {run.operations} operations prove too little"
        return replace(run, broken=(*run.broken, proof))
    return run


def _simulated(request: SimulationRequest, mode: str, seed: int, market_rows: int) -> SimulatedRun:
    backtest = _backtest(mode, trade_rules=request.trade_rules)
    market = random_market(backtest.market_request(), seed, market_rows, calm_rows=CALM_ROWS)
    kept, code, outcome = _Kept(), None, None
    broken: tuple[str, ...] = ()
    with TemporaryDirectory(prefix="basis-simulate-") as directory:
        log_dir = Path(directory)
        try:
            outcome = _run(backtest, market, _plan(request.faults), seed, log_dir, kept)
        except PlatformError as error:
            code = error.code
            if code not in DEFINED_STOPS:
                broken = (f"stopped by {error.one_line()}",)
        operations = sum(1 for _ in read_events(log_dir, OperationExecutionEvent))
        injected, twice = _injected(log_dir)
        rows = sum(map(len, kept.instants))
        broken += (*twice, *_broken(backtest, log_dir, kept, outcome, code))
    return SimulatedRun(mode, seed, code, rows, operations, injected, broken)


def _run(backtest: Backtest, market: Market, plan: FaultPlan, seed: int, log_dir: Path, kept: _Kept) -> BacktestOutcome:
    with DomainEventLogger(log_dir, _CORRELATION_ID, 1) as log:
        venues = simulated_venues(fault_wrapper(plan, backtest, market, seed=seed), live_policy=True)
        request = RunRequest(backtest.config.initial_capital, seed, venues)
        return PreparedBacktest(backtest, market).run(request, Recording.into(log, sink=kept))


def _injected(log_dir: Path) -> tuple[Counter[str], tuple[str, ...]]:
    """Injected faults by kind, and the orders that were not carried out once, in words; from the event log."""
    counts: Counter[str] = Counter()
    broken: list[str] = []
    for event in read_events(log_dir, SystemErrorEvent):
        metadata = event["metadata"]
        assert isinstance(metadata, dict)
        if "injected_fault" in metadata:
            told = [f"order {metadata['operation_id']} {what}" for key, what in _NOT_ONCE.items() if key in metadata]
            counts[str(metadata["injected_fault"])] += not told
            broken += told
    return counts, tuple(broken)


def _broken(
    backtest: Backtest, log_dir: Path, kept: _Kept, outcome: BacktestOutcome | None, code: ErrorCode | None
) -> Iterator[str]:
    positions = None
    if outcome is not None:
        positions = dict(backtest.parameters.groups.holdings(outcome.state.values).units)
    yield from replay_faults(log_dir, positions, code)
    if kept.instants:
        columns = kept.whole()
        yield from conservation_faults(log_dir, np.concatenate(kept.instants), columns, backtest.config.cex_venues)
        yield from attribution_faults(columns, backtest.attribution_types, backtest.config.initial_capital)


def simulate(request: SimulationRequest, progress: Progress | None = None) -> SimulationReport:
    """Run every mode over every seed.

    Raises InvalidModeError (CONFIG-001) for an unknown mode, ConfigValidationError (CONFIG-003) for an unusable plan.
    """
    known = list_modes()
    for mode in request.modes:
        if mode not in known:
            raise InvalidModeError(f"unknown mode {mode!r}; modes: {', '.join(known)}", mode=mode)
    _plan(request.faults)
    started = time.perf_counter()
    tasks = [(mode, request.first_seed + number) for number in range(request.seeds) for mode in request.modes]
    runs: list[SimulatedRun] = []
    for run in _results(request, tasks):
        runs.append(run)
        if progress is not None:
            progress(len(runs), len(tasks))
    runs.sort(key=lambda run: (run.seed, request.modes.index(run.mode)))
    return SimulationReport(request, tuple(runs), time.perf_counter() - started)


def _results(request: SimulationRequest, tasks: list[tuple[str, int]]) -> Iterator[SimulatedRun]:
    """Runs as they end, from this process or from several."""
    if request.jobs == 1 or len(tasks) == 1:
        yield from (simulate_run(request, mode, seed) for mode, seed in tasks)
        return
    left = iter(tasks)
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(request.jobs, mp_context=get_context("spawn")))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        waiting: set[Future[SimulatedRun]] = set()
        while True:
            room = request.jobs * _AHEAD_PER_JOB - len(waiting)
            waiting |= {pool.submit(simulate_run, request, mode, seed) for mode, seed in islice(left, room)}
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
