"""Logging of a whole run: the directory, the twelve event files, the component logs and the metadata. [domain] 8.

One run of a basis mode over a violent data set on disk, through the function that the command line calls; what it left
is read by many tests. The queries of the user's logging guide are asked of it.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataflow.records import DomainEventLogger, LogDirectoryManager, StructuredLogger
from dataflow.records.audit.replay import replay
from dataflow.records.log.append_file import part_paths
from dataflow.records.log.log_directory import COMPONENTS, component_log_name
from dataflow.records.log.reading import event_counts, read_events, read_models
from dataflow.records.store.results import export_csv
from dataflow.services.backtest import BacktestRequest, CompletedRun, run_backtest
from schemas.errors import PlatformError
from schemas.models.events import EVENT_TYPES, PositionSnapshot
from tests.support.data_sets import violent_data_set
from tests.support.faults import overstate_deltas
from tests.support.runs import CORRELATION_ID, EVENT_NAMES, PID, log_dir_of, results_dir_of

NEEDS_GROUPS = "atomic_groups"
"""No mode of this version makes an atomic group, so its file stays empty."""

RECORD_FIELDS = [
    "timestamp",
    "real_utc_time",
    "level",
    "component",
    "message",
    "correlation_id",
    "pid",
    "error_code",
    "severity",
    "stack_trace",
    "extras",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run put its files."""
    return tmp_path_factory.mktemp("logging")


@pytest.fixture(scope="module")
def completed(root: Path) -> CompletedRun:
    """The run."""
    data = violent_data_set(root / "data", "btc_basis", seed=5, rows=400)
    return run_backtest(
        BacktestRequest(
            mode="btc_basis", data=str(data), start="2024-01-04T01:00", logs=root / "logs", results=root / "results"
        )
    )


@pytest.fixture(scope="module")
def log_dir(completed: CompletedRun) -> Path:
    """The log directory of the run."""
    return log_dir_of(completed)


def records(path: Path) -> list[dict[str, Any]]:
    """Lines of a component log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestStructuredLogging:
    """The claims of the user's plan."""

    def test_log_directory_creation(self, root: Path, log_dir: Path, completed: CompletedRun) -> None:
        assert log_dir == root / "logs" / completed.summary.correlation_id / str(os.getpid())
        assert (log_dir / "events").is_dir()
        assert (log_dir / "metadata.json").is_file()

    def test_event_files_created(self, log_dir: Path) -> None:
        names = {path.name for path in (log_dir / "events").iterdir()}
        assert names == {event.file_name for event in EVENT_TYPES}
        empty = {path.stem for path in (log_dir / "events").iterdir() if not path.stat().st_size}
        assert empty == {NEEDS_GROUPS}, "no file is empty unless nothing of its kind happened"

    def test_component_logs_created(self, log_dir: Path) -> None:
        for component in COMPONENTS:
            path = log_dir / component_log_name(component)
            assert path.is_file()
            if component == "Api":
                continue  # a backtest from the command line answers no request
            written = records(path)
            assert written, component
            assert {record["component"] for record in written} == {component}

    def test_records_have_the_fields_of_the_format(self, log_dir: Path, completed: CompletedRun) -> None:
        for path in log_dir.glob("*.log"):
            for record in records(path):
                assert list(record) == RECORD_FIELDS
                assert record["correlation_id"] == completed.summary.correlation_id
                assert record["pid"] == os.getpid()

    def test_metadata_is_accurate(self, log_dir: Path, completed: CompletedRun) -> None:
        metadata = LogDirectoryManager.read_run_metadata(log_dir)
        assert metadata.correlation_id == completed.summary.correlation_id
        assert metadata.pid == os.getpid()
        assert metadata.mode == completed.summary.mode == "btc_basis"
        assert metadata.initial_capital == completed.summary.initial_capital == 100_000.0
        assert (metadata.log_directory, metadata.events_directory) == (str(log_dir), str(log_dir / "events"))
        assert metadata.timezone == "UTC"
        started = datetime.fromisoformat(metadata.start_time).replace(tzinfo=UTC)
        assert timedelta(0) <= datetime.now(UTC) - started < timedelta(hours=1)

    def test_rotation_keeps_every_line_in_order(self, tmp_path: Path) -> None:
        with DomainEventLogger(tmp_path, CORRELATION_ID, PID, part_bytes=2_000) as log:
            for number in range(50):
                log.log_position_snapshot(
                    PositionSnapshot(
                        timestamp="2025-01-15T10:30:00",
                        real_utc_time="2025-01-15T10:30:00.123456",
                        correlation_id=CORRELATION_ID,
                        pid=PID,
                        positions={"wallet:BaseToken:USDT": float(number)},
                        total_value_usd=float(number),
                        position_type="simulated",
                    )
                )
        parts = part_paths(tmp_path / "events" / "positions.jsonl")
        assert len(parts) > 3
        assert all(part.stat().st_size <= 2_000 for part in parts)
        assert [event["order"] for event in read_events(tmp_path, "positions")] == list(range(50))


class TestEvents:
    """What the run wrote while it executed."""

    @pytest.mark.parametrize("event_class", EVENT_TYPES, ids=lambda event: str(event.__name__))
    def test_every_line_parses_into_its_model(self, log_dir: Path, event_class: Any) -> None:
        models = list(read_models(log_dir, event_class))
        assert len(models) == event_counts(log_dir)[event_class.file_name.removesuffix(".jsonl")]
        assert {model.correlation_id for model in models} <= {log_dir.parent.name}

    def test_the_summary_counts_the_lines(self, log_dir: Path, completed: CompletedRun) -> None:
        assert completed.summary.event_counts == event_counts(log_dir)
        assert set(completed.summary.event_counts) == set(EVENT_NAMES)

    def test_lines_are_compact_json(self, log_dir: Path) -> None:
        line = (log_dir / "events" / "operation_executions.jsonl").read_text().splitlines()[0]
        assert '"operation_type":"transfer"' in line
        assert ": " not in line.split('"error_message"')[0]

    def test_every_row_has_its_snapshot_exposure_risk_decision_and_pnl(
        self, log_dir: Path, completed: CompletedRun
    ) -> None:
        steps = completed.summary.steps
        counts = event_counts(log_dir)
        assert counts["strategy_decisions"] == counts["pnl_calculations"] == steps
        assert counts["exposures"] == counts["risk_assessments"] >= steps

    def test_operations_loops_and_reconciliations_match(self, log_dir: Path, completed: CompletedRun) -> None:
        counts = event_counts(log_dir)
        assert counts["operation_executions"] == counts["tight_loop"] == completed.summary.orders
        assert counts["reconciliation"] == completed.summary.orders - completed.summary.operations_failed
        assert sum(int(str(event["orders_generated"])) for event in read_events(log_dir, "strategy_decisions")) >= (
            completed.summary.orders
        )

    def test_decisions_of_the_summary_are_those_of_the_log(self, log_dir: Path, completed: CompletedRun) -> None:
        kinds = [str(event["decision_type"]) for event in read_events(log_dir, "strategy_decisions")]
        assert completed.summary.decisions == {kind: kinds.count(kind) for kind in set(kinds)}
        assert {"entry", "hold", "rebalance", "exit"} <= set(kinds)

    def test_the_log_replays(self, log_dir: Path) -> None:
        report = replay(log_dir)
        assert report.ok, report.faults

    def test_an_error_is_in_the_component_log_and_in_the_event_log(self, log_dir: Path) -> None:
        errors = list(read_events(log_dir, "system_errors"))
        assert errors, "a breach of a risk limit is one"
        logged = [
            record for path in log_dir.glob("*.log") for record in records(path) if record["error_code"] is not None
        ]
        assert sorted(str(error["error_message"]) for error in errors) == sorted(record["message"] for record in logged)
        for record in logged:
            assert record["severity"] in ("CRITICAL", "HIGH", "MEDIUM", "LOW")
            assert record["stack_trace"]

    def test_results_hold_a_copy_of_the_logs(self, log_dir: Path, completed: CompletedRun) -> None:
        results = results_dir_of(completed)
        for path in log_dir.rglob("*"):
            if path.is_file() and path.suffix == ".jsonl":
                assert (results / "logs" / path.relative_to(log_dir)).read_bytes() == path.read_bytes()
        assert {path.stem for path in results.glob("*.csv")} >= set(EVENT_NAMES)

    def test_the_tables_are_those_that_an_export_of_the_log_writes(
        self, log_dir: Path, completed: CompletedRun, tmp_path: Path
    ) -> None:
        for path in export_csv(log_dir, tmp_path):
            assert path.read_bytes() == (results_dir_of(completed) / path.name).read_bytes(), path.name


class TestFailedRuns:
    """A run that must stop leaves logs that parse, its error in them, and no results."""

    @pytest.fixture
    def failed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, PlatformError]:
        """A run whose first operation is reported wrongly by the venue."""
        overstate_deltas(monkeypatch)
        data = violent_data_set(tmp_path / "data", "btc_basis", seed=5, rows=100)
        with pytest.raises(PlatformError) as caught:
            run_backtest(
                BacktestRequest(
                    mode="btc_basis",
                    data=str(data),
                    start="2024-01-04T01:00",
                    logs=tmp_path / "logs",
                    results=tmp_path / "results",
                )
            )
        return tmp_path, caught.value

    def test_the_error_is_the_last_word_of_the_log(self, failed: tuple[Path, PlatformError]) -> None:
        root, error = failed
        (log_dir,) = LogDirectoryManager.list_runs(root / "logs")
        errors = list(read_events(log_dir, "system_errors"))
        assert errors[-1]["error_code"] == error.code == "EXEC-007"
        assert event_counts(log_dir)["positions"] > 0
        for path in log_dir.glob("*.log"):
            records(path)

    def test_no_results_directory_appears(self, failed: tuple[Path, PlatformError]) -> None:
        root, _ = failed
        assert [path.name for path in (root / "results").iterdir() if not path.name.startswith(".")] == []


def test_loggers_of_two_runs_share_nothing(tmp_path: Path) -> None:
    for number in (1, 2):
        log_dir = LogDirectoryManager.create_run_logs("same", number, "btc_basis", "basis", 1.0, tmp_path)
        with StructuredLogger("PositionMonitor", log_dir, "same", number) as logger:
            logger.info("Position updated", extra={"positions_count": number})
    written = [records(tmp_path / "same" / str(number) / "position_monitor.log") for number in (1, 2)]
    assert [[record["extras"]["positions_count"] for record in lines] for lines in written] == [[1], [2]]
