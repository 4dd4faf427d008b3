"""Asset checks of a month: blocking ones where the data is wrong, warnings where the strategy misses its targets.

The blocking ones hold what was *written* against the Pandera frames and the laws of the architecture, after the engine
held the same frames against what it was about to write. A month whose blocking checks fail leaves no state.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import dagster as dg
import numpy as np

from dagster_project.recorded import RecordedRun
from dataflow.engine.backtest import Backtest
from dataflow.graph.build import OBSERVE_STAGES
from dataflow.graph.state import RunState
from dataflow.graph.validation import validate_operations, validate_stage
from dataflow.maths.returns import annualised_return
from dataflow.records.audit.replay import ReplayReport, replay
from dataflow.records.log.reading import event_name, read_models
from schemas.errors import PlatformError
from schemas.models.events import EVENT_TYPES, OperationExecutionEvent, ReconciliationEvent
from schemas.units import SECONDS_PER_DAY

OPERATIONS_FRAME: Final = "operations_frame"
REPLAY_VERIFIES: Final = "replay_verifies"
DELTAS_AS_EXPECTED: Final = "deltas_as_expected"
ATTRIBUTION_COMPLETE: Final = "attribution_complete"
LINES_PARSE: Final = "lines_parse"
TARGET_APY: Final = "target_apy"
MAX_DRAWDOWN: Final = "max_drawdown"

UNEXPLAINED_TOLERANCE: Final = 1e-9
"""Fraction of capital, architecture law 6."""

_SAID: Final = {
    OPERATIONS_FRAME: "Expected deltas, handshakes and reconciliations are what their Pandera frames say",
    REPLAY_VERIFIES: "The deltas of the log, applied to the start positions, give every snapshot exactly (law 5)",
    DELTAS_AS_EXPECTED: "Actual deltas of every operation equal the expected ones",
    ATTRIBUTION_COMPLETE: "The P&L parts sum to the change of equity, to 1e-9 of capital, at every row (law 6)",
}
_WARNINGS: Final = {
    TARGET_APY: "Return since the start, a year, reaches the mode's target",
    MAX_DRAWDOWN: "The deepest fall of equity in the month stays within the mode's limit",
}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check of one asset."""

    asset: tuple[str, ...]
    name: str
    passed: bool
    said: str
    numbers: dict[str, float | str] = field(default_factory=dict)
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    @property
    def blocks(self) -> bool:
        """Whether the month must not be built upon."""
        return not self.passed and self.severity is dg.AssetCheckSeverity.ERROR

    def result(self, mode: str) -> dg.AssetCheckResult:
        """The finding as Dagster records it."""
        return dg.AssetCheckResult(
            passed=self.passed,
            asset_key=dg.AssetKey([mode, *self.asset]),
            check_name=self.name,
            severity=self.severity,
            description=self.said,
            metadata=self.numbers,
        )


RESULTS: Final = ("results",)
"""Asset that carries the checks of a whole month."""


def event_asset(name: str) -> tuple[str, ...]:
    """Key, below its mode, of the asset of an event log."""
    return ("events", name)


def frame_check(stage: str) -> str:
    """Name of the check of a stage's frame; the three execute stages share one."""
    return f"{stage}_frame" if stage in OBSERVE_STAGES else OPERATIONS_FRAME


def check_specs(mode: str, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetCheckSpec]:
    """The checks of a mode."""

    def spec(name: str, asset: tuple[str, ...], said: str, *, blocking: bool) -> dg.AssetCheckSpec:
        with warnings.catch_warnings():
            # The version of Dagster is pinned, and partitioned checks are refused without it.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.AssetCheckSpec(
                name, asset=dg.AssetKey([mode, *asset]), description=said, blocking=blocking, partitions_def=partitions
            )

    frames = {frame_check(stage): f"The {stage} columns are what their Pandera frame says" for stage in OBSERVE_STAGES}
    return [
        *(spec(name, RESULTS, said, blocking=True) for name, said in {**frames, **_SAID}.items()),
        *(
            spec(LINES_PARSE, event_asset(event_name(kind)), f"Every line is a valid {kind.__name__}", blocking=True)
            for kind in EVENT_TYPES
        ),
        *(spec(name, RESULTS, said, blocking=False) for name, said in _WARNINGS.items()),
    ]


def broken_frame(error: PlatformError) -> Finding | None:
    """The failed check of the stage that an engine error names; None where the error is not a frame's."""
    stage = error.context.get("stage")
    if not isinstance(stage, str):
        return None
    return Finding(RESULTS, frame_check(stage), passed=False, said=error.one_line(), numbers={"code": error.code.value})


def findings(run: RecordedRun, backtest: Backtest, start: RunState | None, run_start: str) -> list[Finding]:
    """Every check of a finished month.

    start: state that the month started from, None for the first month. run_start: first instant of the whole run.
    """
    first_order = 0 if start is None else start.order
    held = {} if start is None else dict(backtest.held(start))
    try:
        report = replay(run.log_directory, initial_positions=held, first_order=first_order)
    except PlatformError as error:
        return [*_lines(run), _finding(RESULTS, REPLAY_VERIFIES, error)]
    return [
        *(_frame(run, stage) for stage in OBSERVE_STAGES),
        _operations(run),
        _replay(report),
        _deltas(run, report),
        _attribution(run),
        *_lines(run),
        *_targets(run, run_start),
    ]


def _finding(asset: tuple[str, ...], name: str, error: PlatformError) -> Finding:
    return Finding(asset, name, passed=False, said=error.one_line(), numbers={"code": error.code.value})


def _frame(run: RecordedRun, stage: str) -> Finding:
    columns = run.columns[stage]
    try:
        validate_stage(stage, columns, {})
    except PlatformError as error:
        return _finding(RESULTS, frame_check(stage), error)
    rows: dict[str, float | str] = {"rows": run.summary.steps}
    return Finding(RESULTS, frame_check(stage), passed=True, said=f"{len(columns)} columns", numbers=rows)


def _operations(run: RecordedRun) -> Finding:
    operations = list(read_models(run.log_directory, OperationExecutionEvent))
    reconciled = list(read_models(run.log_directory, ReconciliationEvent))
    try:
        validate_operations([*operations, *reconciled])
    except PlatformError as error:
        return _finding(RESULTS, OPERATIONS_FRAME, error)
    return Finding(
        RESULTS,
        OPERATIONS_FRAME,
        passed=True,
        said=f"{len(operations)} operations, {len(reconciled)} reconciliations",
        numbers={"operations": len(operations), "reconciliations": len(reconciled)},
    )


def _replay(report: ReplayReport) -> Finding:
    faults = [*map(str, report.faults), *(f"{tail.file.name} ends in a torn line" for tail in report.torn_tails)]
    return Finding(
        RESULTS,
        REPLAY_VERIFIES,
        passed=report.ok,
        said="; ".join(faults[:3]) or f"{report.snapshots_compared} snapshots equal the deltas before them",
        numbers={"faults": len(faults), "events": report.events, "deltas_applied": report.deltas_applied},
    )


def _deltas(run: RecordedRun, report: ReplayReport) -> Finding:
    of_operations = [fault for fault in report.faults if fault.file == OperationExecutionEvent.file_name]
    failed = [
        event for event in read_models(run.log_directory, ReconciliationEvent) if not event.reconciliation_success
    ]
    return Finding(
        RESULTS,
        DELTAS_AS_EXPECTED,
        passed=not of_operations and not failed,
        said="; ".join(map(str, of_operations[:3])) or f"{len(failed)} reconciliations failed",
        numbers={"operations": report.operations_checked, "faults": len(of_operations) + len(failed)},
    )


def _attribution(run: RecordedRun) -> Finding:
    largest = float(np.max(np.abs(run.columns["pnl"]["unexplained_pnl"])))
    fraction = largest / run.summary.initial_capital
    return Finding(
        RESULTS,
        ATTRIBUTION_COMPLETE,
        passed=fraction <= UNEXPLAINED_TOLERANCE,
        said=f"at most {fraction:.1e} of capital is unexplained",
        numbers={"unexplained_fraction_max": fraction, "tolerance": UNEXPLAINED_TOLERANCE},
    )


def _lines(run: RecordedRun) -> Iterator[Finding]:
    for kind in EVENT_TYPES:
        asset = event_asset(event_name(kind))
        try:
            lines = sum(1 for _ in read_models(run.log_directory, kind))
        except PlatformError as error:
            yield _finding(asset, LINES_PARSE, error)
        else:
            yield Finding(asset, LINES_PARSE, passed=True, said=f"{lines} lines", numbers={"lines": lines})


def _targets(run: RecordedRun, run_start: str) -> Iterator[Finding]:
    summary = run.summary
    span = np.datetime64(summary.end, "s") - np.datetime64(run_start, "s")
    days = int(span.astype(np.int64)) / SECONDS_PER_DAY
    apy = annualised_return(summary.final_equity / summary.initial_capital - 1.0, days)
    target, limit = summary.target_apy, summary.target_max_drawdown
    assert target is not None, "every mode has a target"
    assert limit is not None, "every mode has a limit"
    shown = "no return a year can be computed" if apy is None else f"{apy:.2%} a year"
    yield Finding(
        RESULTS,
        TARGET_APY,
        passed=apy is not None and apy >= target,
        said=f"{shown} since {run_start}, target {target:.2%}",
        numbers={"target_apy": target} if apy is None else {"apy": apy, "target_apy": target},
        severity=dg.AssetCheckSeverity.WARN,
    )
    yield Finding(
        RESULTS,
        MAX_DRAWDOWN,
        passed=summary.max_drawdown <= limit,
        said=f"{summary.max_drawdown:.2%} in the month, limit {limit:.2%}",
        numbers={"max_drawdown": summary.max_drawdown, "limit": limit},
        severity=dg.AssetCheckSeverity.WARN,
    )
