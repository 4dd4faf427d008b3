"""The one function that runs a backtest from names to a results directory; command line and Dagster both call it."""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dataflow.config.files import LoadedConfig, load_run_config
from dataflow.engine.backtest import Backtest, EngineOptions, ExecutorName, Validation
from dataflow.engine.prepared import BacktestOutcome, PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.execution.venue_set import VenueSetup
from dataflow.graph.state import RunState
from dataflow.journal.component_logs import WRITERS, ComponentLogs
from dataflow.market.history.loading import load_market
from dataflow.market.market import STABLE_PRICE, Market
from dataflow.market.series import stable_series
from dataflow.maths.returns import FlowHistory
from dataflow.records.log.append_file import BYTES_PER_MB, Write
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.records.log.instant_options import parse_instant
from dataflow.records.log.instants import instant_text, utc_now
from dataflow.records.log.log_directory import LogDirectoryManager
from dataflow.records.store.results import CONFIG_FILE, DATA_FILE, ResultsStore
from dataflow.services.fault_plans import fault_wrapper, load_fault_plan
from dataflow.services.flows_file import FlowsFile, read_flows
from dataflow.services.mode_files import backtest_of
from dataflow.services.provenance import code_version, package_versions
from dataflow.services.simulated_venues import simulated_venues
from dataflow.services.stored_columns import StoredColumns
from dataflow.services.stress import look_back_rows, shocked
from dataflow.settlement.capital_flows import HISTORY
from dataflow.venues.faults.plan import FaultPlan
from schemas.errors import ConfigValidationError, CriticalEngineError, LogDirectoryError, PlatformError
from schemas.models.config import RunConfig
from schemas.models.config_blocks import EventLoggerConfig
from schemas.models.results import DataProvenance, EventDetail, Manifest, RunStatus, RunSummary, SeriesSpan
from schemas.operations import DecisionType

SYNTHETIC = "synthetic"
"""Name of the embedded data set."""

ExecutionPolicyName = Literal["backtest", "live"]

Progress = Callable[[int, int], None]
"""Called with rows done and rows in all."""


class BacktestRequest(BaseModel):
    """What to run and where to put it; the options of ``basis backtest``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str = Field(description="Mode, see `basis modes`")
    data: str = Field(default=SYNTHETIC, description="Data set: a directory, or `synthetic`")
    start: str | None = Field(default=None, description="First row, ISO-8601, UTC assumed")
    end: str | None = Field(default=None, description="Last row, ISO-8601, UTC assumed")
    capital: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = Field(
        default=None, description="Initial capital in share-class units"
    )
    scenarios: tuple[str, ...] = Field(default=(), description="Overlays of configs/scenarios")
    overrides: tuple[str, ...] = Field(default=(), description="Changes to the mode's configuration, a.b=c")
    seed: Annotated[int, Field(ge=0)] = Field(default=7, description="Seed of identifiers and of synthetic data")
    executor: ExecutorName = Field(default="plan", description="plan, or Hamilton's own execute")
    window: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Fixed rows a window")
    validation: Validation = Field(default="chunk", description="Frames once a chunk, or on every node call")
    events: EventDetail = Field(default="every-step", description="How much the event log says of quiet rows")
    flows: Path | None = Field(default=None, description="Deposits and withdrawals: a CSV file")
    faults: str | None = Field(default=None, description="Fault plan: a name of configs/faults, or a file")
    policy: ExecutionPolicyName | None = Field(
        default=None, description="Retries and tolerances of a backtest or of a live session; live with faults"
    )
    logs: Path = Field(default=Path("logs"), description="Directory of the logs")
    results: Path = Field(default=Path("results"), description="Directory of the results")


@dataclass(frozen=True)
class CompletedRun:
    """A run that is complete: its summary, and the state that a following partition starts from."""

    summary: RunSummary
    state: RunState


@dataclass(frozen=True)
class _Run:
    """Everything that is known before the first row."""

    request: BacktestRequest
    config: RunConfig
    market: Market
    backtest: Backtest
    correlation_id: str
    run_id: str
    pid: int
    capital: float
    warnings: tuple[str, ...]
    created_at: str
    fault_plan: FaultPlan | None
    shocks: tuple[str, ...]
    shocked_from: np.datetime64 | None
    flows: FlowsFile

    @property
    def policy(self) -> ExecutionPolicyName:
        """Retries and tolerances: as asked for, else live with a fault plan and backtest without."""
        return self.request.policy or ("live" if self.fault_plan is not None else "backtest")

    def venues(self, state: RunState | None) -> VenueSetup:
        """How orders reach the venues: through the fault plan, if there is one."""
        request, plan, is_live = self.request, self.fault_plan, self.policy == "live"
        if plan is None:
            return simulated_venues(live_policy=is_live)
        wrap = fault_wrapper(plan, self.backtest, self.market, seed=request.seed, state=state)
        return simulated_venues(wrap, live_policy=is_live)

    def manifest(
        self, status: RunStatus, error: PlatformError | None = None, event_log_seal: str | None = None
    ) -> Manifest:
        instants = self.market.instants[self.market.first_row :]
        return Manifest(
            run_id=self.run_id,
            correlation_id=self.correlation_id,
            pid=self.pid,
            status=status,
            mode=self.config.mode.mode,
            share_class=self.config.mode.share_class,
            scenarios=self.request.scenarios,
            shocks=self.shocks,
            data_set=self.market.provenance.name,
            synthetic=self.market.provenance.synthetic,
            start=instant_text(instants[0]),
            end=instant_text(instants[-1]),
            initial_capital=self.capital,
            seed=self.request.seed,
            policy=self.policy,
            fault_plan=None if self.fault_plan is None else self.fault_plan.name,
            config_digest=self.config.config_digest,
            data_digest=self.market.provenance.digest,
            flows_digest=self.flows.digest,
            code_version=code_version(),
            package_versions=package_versions(),
            created_at=self.created_at,
            finished_at=None if status is RunStatus.RUNNING else instant_text(utc_now()),
            event_detail=self.request.events,
            event_log_seal=event_log_seal,
            error_code=None if error is None else error.code,
            error_message=None if error is None else error.message,
        )


def resolve_data_set(data: str, seed: int, progress: Progress | None = None) -> Path:
    """Directory of a data set; the synthetic one is made on first use and kept."""
    if data != SYNTHETIC:
        return Path(data)
    from dataflow.market.synthetic.data_set import synthetic_data_set

    return synthetic_data_set(seed=seed, progress=progress)


def load_run_market(request: BacktestRequest, backtest: Backtest, state: RunState | None = None) -> Market:
    """The market of a request, as the data has it; of a later partition, with ``state`` from the one before.

    Raises ConfigValidationError (CONFIG-003) on an empty window and the DATA errors of ``load_market``.
    """
    wanted = backtest.market_request()
    start = None if request.start is None else parse_instant(request.start, "--start")
    end = None if request.end is None else parse_instant(request.end, "--end")
    if start is not None and end is not None and start > end:
        raise ConfigValidationError(
            f"--start {request.start} is after --end {request.end}; exchange them", start=request.start, end=request.end
        )
    if start is not None:
        wanted = replace(wanted, look_back_rows=look_back_rows(backtest.config, wanted, start, state))
    directory = resolve_data_set(request.data, request.seed)
    return load_market(directory, replace(wanted, start=start, end=end))


def load_request_config(request: BacktestRequest) -> LoadedConfig:
    """The configuration of a request, with its warnings."""
    return load_run_config(request.mode, scenarios=request.scenarios, overrides=request.overrides)


def run_backtest(
    request: BacktestRequest,
    *,
    progress: Progress | None = None,
    state: RunState | None = None,
    is_final: bool = True,
    write: Write = os.write,
) -> CompletedRun:
    """Run a backtest and write its logs and results.

    state: what an earlier partition left; ``is_final`` is False for a partition that another follows. write: puts the
    bytes of all logs into their files. Raises PlatformError with a code; the log directory then holds what was done,
    and no results directory appears.
    """
    run = _prepare(request, state, is_final=is_final)
    log_dir = LogDirectoryManager.create_run_logs(
        run.correlation_id,
        run.pid,
        run.config.mode.mode,
        run.backtest.spec.modules[0].__name__,
        run.capital,
        request.logs,
        event_detail=request.events,
        first_order=0 if state is None else state.order,
        start_positions=None if state is None else run.backtest.held(state),
    )
    with ResultsStore(request.results, run.run_id) as store:
        store.prepare(run.manifest(RunStatus.RUNNING))
        try:
            muted = _muted(run.config.mode.event_logger)
            with ComponentLogs.open(log_dir, run.correlation_id, run.pid, write=write, muted=muted) as components:
                return _execute(run, store, log_dir, components, progress, state, is_final=is_final, write=write)
        except PlatformError as error:
            _abandon(run, store, error)
            raise
        except KeyboardInterrupt as error:
            stopped = CriticalEngineError("interrupted; the logs end at the last complete chunk", log_dir=str(log_dir))
            _abandon(run, store, stopped)
            raise stopped from error


def _muted(logging: EventLoggerConfig) -> tuple[str, ...]:
    """Components of which nothing but errors is wanted: all of them above the level of what they tell else."""
    return logging.filters if logging.log_level in ("DEBUG", "INFO") else WRITERS


def _abandon(run: _Run, store: ResultsStore, error: PlatformError) -> None:
    """Remove the results of a run that failed; where that fails as well, the first error stays the one to report."""
    try:
        store.abandon(run.manifest(RunStatus.FAILED, error))
    except LogDirectoryError as refused:
        error.add_note(refused.one_line())


def _prepare(request: BacktestRequest, state: RunState | None, *, is_final: bool) -> _Run:
    loaded = load_request_config(request)
    config = loaded.config
    plan = None if request.faults is None else load_fault_plan(request.faults)
    backtest = backtest_of(loaded, EngineOptions(request.executor, request.window, request.validation, request.events))
    under = shocked(config, load_run_market(request, backtest, state), plan, state=state, is_final=is_final)
    market = under.market
    correlation_id = uuid.uuid4().hex
    first, last = market.instants[market.first_row], market.instants[-1]
    days = f"{np.datetime_as_string(first, unit='D')}_{np.datetime_as_string(last, unit='D')}"
    return _Run(
        request=request,
        config=config,
        market=market,
        backtest=backtest,
        correlation_id=correlation_id,
        run_id=f"{config.mode.mode}_{days}_{correlation_id[:8]}",
        pid=os.getpid(),
        capital=config.initial_capital if request.capital is None else request.capital,
        warnings=(
            *(str(warning) for warning in loaded.warnings),
            *market.provenance.warnings,
            *([] if plan is None else [f"faults injected by plan {plan.name}: this run proves no return"]),
            *under.warnings,
        ),
        created_at=instant_text(utc_now()),
        fault_plan=under.plan,
        shocks=under.shocks,
        shocked_from=under.begins,
        flows=read_flows(
            request.flows, market, config.mode.clock_step_seconds, is_first=state is None, is_final=is_final
        ),
    )


def _execute(
    run: _Run,
    store: ResultsStore,
    log_dir: Path,
    components: ComponentLogs,
    progress: Progress | None,
    state: RunState | None,
    *,
    is_final: bool,
    write: Write,
) -> CompletedRun:
    begun = instant_text(run.market.instants[run.market.first_row])
    components.info("BacktestService", "run started", begun, run_id=run.run_id, mode=run.config.mode.mode)
    components.info("DataProvider", "market loaded", begun, **_provenance(run.market))
    components.info(
        "EventDrivenStrategyEngine", "engine started", begun, rows=len(run.market.instants) - run.market.first_row
    )
    components.info("VenueInterfaceManager", "simulated venues ready", begun, venues=list(run.config.venues))

    store.add_file(CONFIG_FILE, run.config.canonical_json)
    store.add_file(DATA_FILE, _data_provenance(run.market).model_dump_json(indent=2).encode())

    next_order, logging = state.order if state else 0, run.config.mode.event_logger
    with DomainEventLogger(
        log_dir,
        run.correlation_id,
        run.pid,
        tables=store.tables,
        next_order=next_order,
        part_bytes=logging.log_retention_policy.max_file_size_mb * BYTES_PER_MB,
        buffer_events=logging.event_logging_settings.buffer_size,
        fsync=logging.event_logging_settings.fsync,
        write=write,
    ) as log:
        request = RunRequest(
            capital=run.capital,
            seed=run.request.seed,
            venues=run.venues(state),
            state=state,
            is_final=is_final,
            flows=run.flows.due,
            watch_from=run.shocked_from,
        )
        recording = Recording.into(log, components, StoredColumns.of(run.backtest, store))
        outcome = PreparedBacktest(run.backtest, run.market).run(request, recording, progress)
        counts = log.event_counts
    ended = instant_text(run.market.instants[-1])
    components.info("EventDrivenStrategyEngine", "engine finished", ended, events=sum(counts.values()))
    started = time.perf_counter()
    summary = _summary(run, outcome, counts, log_dir, store.path)
    components.info("ResultsStore", "results written", ended, path=str(store.path))
    # The last line: once the results have their name, nothing of the run may fail any more.
    components.info("BacktestService", "run complete", ended, seconds=time.perf_counter() - started)
    components.flush()
    store.complete(summary, run.manifest(RunStatus.COMPLETE, event_log_seal=log.seal), log_dir)
    return CompletedRun(summary, outcome.state)


def _stablecoins(run: _Run) -> tuple[str, ...]:
    """What each stablecoin of a run was valued at: its series, else its peg."""
    priced = run.market.axes.get(STABLE_PRICE, ())
    return tuple(
        f"{token} at {stable_series(token) if token in priced else '1 USD'}"
        for token in run.backtest.parameters.axes["stable_tokens"]
    )


def _data_provenance(market: Market) -> DataProvenance:
    source = market.provenance
    return DataProvenance(
        name=source.name,
        path=source.path,
        digest=source.digest,
        synthetic=source.synthetic,
        fills=dict(source.fills),
        coverage={name: SeriesSpan(**span._asdict()) for name, span in source.coverage.items()},
        warnings=source.warnings,
    )


def _provenance(market: Market) -> dict[str, object]:
    source = market.provenance
    return {
        "data_set": source.name,
        "synthetic": source.synthetic,
        "digest": source.digest,
        "fills": dict(source.fills),
    }


def _idle(run: _Run, outcome: BacktestOutcome) -> tuple[str, ...]:
    """What to say of a run that did nothing."""
    if outcome.counts.orders:
        return ()
    smallest = run.backtest.parameters.inputs["min_trade_usd"]
    return (
        f"nothing was traded: no rule of {run.config.mode.mode} applied to {run.capital:g} "
        f"{run.config.mode.share_class} on any row; trades below {smallest:g} USD are left out",
    )


def _fallen(run: _Run, drawdown: float) -> tuple[str, ...]:
    """What to say of a run whose equity fell further from its highest than its share class allows."""
    allowed = run.config.share_class
    if drawdown <= allowed.max_drawdown:
        return ()
    return (
        f"equity fell by {drawdown:.2%} from its highest, beyond max_drawdown {allowed.max_drawdown:.2%} "
        f"of share class {allowed.share_class}",
    )


def _summary(
    run: _Run, outcome: BacktestOutcome, event_counts: dict[str, int], log_dir: Path, results_dir: Path
) -> RunSummary:
    config, statistics, last = run.config, outcome.statistics, outcome.statistics.last
    carried = outcome.state.values
    flows = FlowHistory(*(np.asarray(carried[name]) for name in HISTORY))
    later = flows.amounts[1:]
    returns = statistics.returns(flows)
    annualised, drawdown = returns["annualized_return"], returns["max_drawdown"]
    assert drawdown is not None
    instants = run.market.instants[run.market.first_row :]
    holds = sum(outcome.counts.decisions.values())
    decisions = {DecisionType.HOLD: statistics.rows - holds, **outcome.counts.decisions}
    attribution = {name: float(last[name]) for name in run.backtest.attribution_types}
    return RunSummary.model_validate(
        {
            "run_id": run.run_id,
            "correlation_id": run.correlation_id,
            "mode": config.mode.mode,
            "share_class": config.mode.share_class,
            "data_set": run.market.provenance.name,
            "synthetic": run.market.provenance.synthetic,
            "stablecoins": _stablecoins(run),
            "scenarios": run.request.scenarios,
            "shocks": run.shocks,
            "seed": run.request.seed,
            "start": instant_text(instants[0]),
            "end": instant_text(instants[-1]),
            "steps": statistics.rows,
            "initial_capital": float(carried["initial_capital"]),
            "final_equity": float(last["equity_share_class"]),
            "deposits": float(later[later > 0.0].sum()),
            "withdrawals": float(-later[later < 0.0].sum() + 0.0),
            "withdrawals_pending": float(carried["withdrawal_pending"]),
            "withdrawals_unpaid": float(carried["withdrawals_unpaid"]),
            "total_pnl_share_class": float(last["total_pnl_share_class"]),
            "total_pnl_usd": float(last["total_pnl_usd"]),
            **returns,
            "target_apy": config.mode.target_apy,
            "apy_vs_target": None if annualised is None else annualised - config.mode.target_apy,
            "target_max_drawdown": config.mode.max_drawdown,
            "drawdown_vs_target": drawdown - config.mode.max_drawdown,
            "pnl_attribution": attribution,
            "unexplained_pnl": statistics.largest_unexplained(),
            "decisions": {kind.value: number for kind, number in decisions.items()},
            "orders": outcome.counts.orders,
            "operations_failed": outcome.counts.operations_failed,
            "reconciliation_failures": outcome.reconciliation_failures,
            "errors_by_code": dict(outcome.errors),
            "total_fees": outcome.counts.fees,
            "open_at_end": run.backtest.is_open(outcome.state),
            **statistics.extremes(),
            "liquidations": outcome.liquidations,
            "first_break": outcome.first_break,
            "event_counts": event_counts,
            "warnings": (*run.warnings, *_idle(run, outcome), *_fallen(run, drawdown)),
            "log_dir": str(log_dir),
            "results_dir": str(results_dir),
            "engine_seconds": outcome.engine_seconds,
            "records_seconds": outcome.records_seconds,
        }
    )
