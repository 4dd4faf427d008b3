"""Materialising months is the run of the command line, cut: same numbers, same events, and nothing left by a failure.

Two months chained through their state equal one run over both. A frame column broken in any stage fails plan, Hamilton
and Dagster runs with one code; a month that fails, or whose blocking checks fail, leaves no state for the next.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandera.pandas as pa
import pyarrow.parquet as pq
import pytest

import dagster_project.assets as assets_module
import dagster_project.checks as checks_module
from dagster_project.definitions import build_definitions, job_name
from dagster_project.partitions import Months
from dataflow.engine.backtest import ExecutorName
from dataflow.graph import frame_bounds, validation
from dataflow.graph.build import OBSERVE_STAGES
from dataflow.records.audit.replay import ReplayReport, replay
from dataflow.records.log.log_fault import LogFault
from dataflow.records.log.reading import EventRecord, event_name, read_events
from dataflow.records.store.results import load_summary
from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.errors import PlatformError
from schemas.frames import FRAME_ERRORS, FRAMES
from schemas.models.events import EVENT_TYPES
from schemas.models.results import RunSummary
from tests.support.marks import all_but_first

MONTHS = Months("2024-01", "2024-02")
END = "2024-02-29T23:00"
WALL_CLOCK = ("real_utc_time", "correlation_id", "pid", "submitted_at", "executed_at")


@dataclass(frozen=True)
class Home:
    """A Dagster instance of its own, and a directory for what its runs write."""

    instance: dg.DagsterInstance
    directory: Path
    definitions: dg.Definitions

    def materialise(self, mode: str, month: str, **options: object) -> dg.ExecuteInProcessResult:
        """One month of a mode, in this process; the options are what a user would fill in the launchpad."""
        config = {"logs": str(self.directory / "logs"), "results": str(self.directory / "results"), **options}
        return self.definitions.resolve_job_def(job_name(mode)).execute_in_process(
            run_config={
                "ops": {mode: {"config": config}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            instance=self.instance,
            partition_key=month,
            raise_on_error=False,
        )

    def states(self) -> list[str]:
        """Months whose state is kept."""
        return sorted(path.stem for path in (self.directory / "storage").rglob("*.json"))


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """Two months of every mode."""
    return build_definitions(MONTHS)


@pytest.fixture
def home(definitions: dg.Definitions, tmp_path: Path) -> Iterator[Home]:
    """An empty instance, kept in memory but for its files."""
    silent = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path), settings=silent) as instance:
        yield Home(instance, tmp_path, definitions)


def summary_of(result: dg.ExecuteInProcessResult) -> RunSummary:
    """The summary of the run that a month materialised."""
    (shown,) = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[-1] == "results"
    ]
    path = shown.metadata["path"].value
    assert isinstance(path, str)
    return load_summary(path)


def business(summaries: list[RunSummary], name: str) -> list[EventRecord]:
    """Events of one type over several runs, without wall clock, process and durations."""
    return [
        {key: value for key, value in record.items() if key not in WALL_CLOCK and not key.endswith("_duration_ms")}
        for summary in summaries
        for record in read_events(summary.log_dir or "", name)
    ]


def columns_of(summaries: list[RunSummary], stage: str) -> dict[str, np.ndarray]:
    """Recorded columns of a stage over several runs."""
    tables = [pq.read_table(Path(summary.results_dir or "") / f"{stage}.parquet") for summary in summaries]
    return {name: np.concatenate([table[name].to_numpy() for table in tables]) for name in tables[0].column_names}


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says of its failure."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    said = failed.step_failure_data.user_failure_data
    if said is None or said.description is None:
        return failed.step_failure_data.error_display_string
    return said.description


def number(value: dg.MetadataValue[Any]) -> float:
    """A number that an asset shows."""
    assert isinstance(value.value, int | float)
    return float(value.value)


def failed_checks(result: dg.ExecuteInProcessResult) -> set[str]:
    """Names of the checks that failed."""
    return {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}


@pytest.mark.parametrize("mode", all_but_first("dagster", ["pure_lending_usdt", "btc_basis"]))
def test_two_months_equal_one_run_of_the_command_line(home: Home, tmp_path: Path, mode: str) -> None:
    materialised = [home.materialise(mode, month, end=END) for month in ("2024-01", "2024-02")]
    whole = run_backtest(
        BacktestRequest(
            mode=mode, start="2024-01-01", end=END, logs=tmp_path / "whole_logs", results=tmp_path / "whole_results"
        )
    )
    assert all(result.success for result in materialised), [failure_text(result) for result in materialised]
    months = [summary_of(result) for result in materialised]
    assert months[-1].final_equity == whole.summary.final_equity
    assert months[-1].pnl_attribution == whole.summary.pnl_attribution
    assert sum(month.orders for month in months) == whole.summary.orders > 0
    for name in (event_name(kind) for kind in EVENT_TYPES):
        assert business(months, name) == business([whole.summary], name), name
    for stage in OBSERVE_STAGES:
        parts, one = columns_of(months, stage), columns_of([whole.summary], stage)
        assert parts.keys() == one.keys()
        assert all(np.array_equal(parts[name], one[name]) for name in one), stage
    assert home.states() == ["2024-01", "2024-02"]
    assert next(iter((home.directory / "storage").rglob("2024-02.json"))).read_bytes() == whole.state.to_json()


def test_a_month_shows_every_asset_and_check_with_its_numbers(home: Home) -> None:
    result = home.materialise("pure_lending_usdt", "2024-01")
    shown = {
        event.asset_key.path[-1]: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    expected = home.definitions.resolve_asset_graph().assets_def_for_key(dg.AssetKey(["pure_lending_usdt", "results"]))
    assert shown.keys() == {key.path[-1] for key in expected.keys}
    assert len(result.get_asset_check_evaluations()) == len(list(expected.check_specs))
    assert not failed_checks(result) - {"target_apy", "max_drawdown"}
    equity = shown["equity_share_class"]
    assert number(equity["dagster/row_count"]) == 744
    assert number(equity["min"]) <= number(equity["last"]) <= number(equity["max"])
    assert number(shown["results"]["final_equity"]) == number(equity["last"])
    assert number(shown["positions"]["dagster/row_count"]) > 0
    assert Path(str(shown["report"]["path"].value)).stat().st_size == number(shown["report"]["bytes"])


def test_a_month_without_the_state_before_it_says_what_to_materialise_first(home: Home) -> None:
    result = home.materialise("pure_lending_usdt", "2024-02")
    assert not result.success
    assert "ENGINE-003" in failure_text(result)
    assert "materialise partition 2024-01 first" in failure_text(result)
    assert home.states() == []


def test_a_wrong_launchpad_value_fails_with_its_code(home: Home) -> None:
    result = home.materialise("pure_lending_usdt", "2024-01", capital=-5.0)
    assert "CONFIG-003" in failure_text(result)


COLUMN_OF_STAGE = {
    "market": "usd_per_share_class",
    "positions": r"^wallet_units\.",
    "exposure": "equity_usd",
    "risk": "risk_score",
    "pnl": "total_pnl_usd",
    "decision": "is_first_row",
    "deltas": "delta_amount",
    "handshakes": "fee_amount",
    "reconciliation": "expected_deltas",
}


@dataclass(frozen=True)
class BrokenFrame:
    """A stage's frame with a bound that no value meets."""

    stage: str

    def to_schema(self) -> pa.DataFrameSchema:
        """The frame, broken in one column."""
        schema = FRAMES[self.stage].to_schema()
        return schema.update_column(COLUMN_OF_STAGE[self.stage], checks=pa.Check.gt(1e300))


@pytest.fixture
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Break one column of the frame that the engine holds a stage against."""
    stage = str(request.param)
    frames: Mapping[str, object] = {**FRAMES, stage: BrokenFrame(stage)}
    monkeypatch.setattr(validation, "FRAMES", frames)
    monkeypatch.setattr(frame_bounds, "FRAMES", frames)
    caches = (validation._schema, frame_bounds._bounds_of)
    for cached in caches:
        cached.cache_clear()
    yield stage
    for cached in caches:
        cached.cache_clear()


def engine_code(directory: Path, executor: ExecutorName) -> str:
    """Code with which a run of the command line fails."""
    with pytest.raises(PlatformError) as caught:
        run_backtest(
            BacktestRequest(
                mode="pure_lending_usdt",
                start="2024-01-01",
                end="2024-01-02",
                executor=executor,
                logs=directory / "logs",
                results=directory / "results",
            )
        )
    return caught.value.code.value


@pytest.mark.parametrize("broken", all_but_first("dagster", COLUMN_OF_STAGE), indirect=True)
def test_a_broken_column_fails_plan_hamilton_and_dagster_with_one_code(home: Home, broken: str) -> None:
    result = home.materialise("pure_lending_usdt", "2024-01", start="2024-01-01", end="2024-01-02")
    code = FRAME_ERRORS[broken].code.value
    assert engine_code(home.directory, "plan") == code
    assert engine_code(home.directory, "hamilton") == code
    assert failure_text(result).startswith(f"{code}:")
    assert failed_checks(result) == {f"{broken}_frame" if broken in OBSERVE_STAGES else "operations_frame"}
    assert home.states() == []
    assert not [path for path in (home.directory / "results").iterdir() if path.is_dir()]


def test_a_failed_blocking_check_leaves_no_state(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(path: Path, *, initial_positions: Mapping[str, float], first_order: int) -> ReplayReport:
        report = replay(path, initial_positions=initial_positions, first_order=first_order)
        fault = LogFault("positions.jsonl", 7, None, "a delta is missing")
        return ReplayReport(
            (fault,),
            report.torn_tails,
            report.final_positions,
            report.events,
            report.deltas_applied,
            report.snapshots_compared,
            report.operations_checked,
        )

    monkeypatch.setattr(checks_module, "replay", faulty)
    result = home.materialise("pure_lending_usdt", "2024-01")
    assert not result.success
    assert "replay_verifies" in failure_text(result)
    assert "replay_verifies" in failed_checks(result)
    assert home.states() == []


def test_running_a_month_again_in_vain_takes_its_old_state_away(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.materialise("pure_lending_usdt", "2024-01").success
    assert home.states() == ["2024-01"]

    def failing(*_: object, **__: object) -> None:
        raise FRAME_ERRORS["pnl"]("broken since", stage="pnl")

    monkeypatch.setattr(assets_module, "run_backtest", failing)
    assert not home.materialise("pure_lending_usdt", "2024-01").success
    assert home.states() == []
