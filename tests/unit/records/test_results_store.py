"""Results appear whole or not at all, whatever ends the run, and can be found, read and exported afterwards."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dataflow.records import DomainEventLogger, LogDirectoryManager
from dataflow.records.store.parquet_stages import ROWS_PER_GROUP, StageFile
from dataflow.records.store.results import (
    ResultsStore,
    export_csv,
    find_run,
    list_results,
    load_summary,
    sweep_interrupted,
)
from dataflow.records.store.summary_page import summary_page
from schemas.errors import ErrorCode, LogDirectoryError, LogSerialisationError, LogWriteError, StateInconsistentError
from schemas.models.events import EVENT_TYPES, HealthStatusEvent
from schemas.models.results import Manifest, RunStatus, RunSummary
from schemas.units import Instants


def make_manifest(run_id: str = "run1", status: RunStatus = RunStatus.RUNNING, **changes: object) -> Manifest:
    return Manifest.model_validate(
        {
            "run_id": run_id,
            "correlation_id": "c1",
            "pid": 1,
            "status": status,
            "mode": "btc_basis",
            "share_class": "USDT",
            "data_set": "synthetic",
            "synthetic": True,
            "initial_capital": 100_000.0,
            "seed": 0,
            "config_digest": "abc",
            "data_digest": "def",
            "code_version": "0.1.0",
            "package_versions": {"numpy": "2.4"},
            "created_at": "2025-01-15T10:30:00",
            **changes,
        }
    )


def make_summary(**changes: object) -> RunSummary:
    return RunSummary.model_validate(
        {
            "run_id": "run1",
            "correlation_id": "c1",
            "mode": "btc_basis",
            "share_class": "USDT",
            "data_set": "synthetic",
            "synthetic": True,
            "seed": 0,
            "start": "2024-05-12T00:00:00",
            "end": "2024-06-12T00:00:00",
            "steps": 745,
            "initial_capital": 100_000.0,
            "final_equity": 100_500.25,
            "total_pnl_share_class": 500.25,
            "total_pnl_usd": 500.25,
            "total_return": 0.0050025,
            "annualized_return": 0.06,
            "max_drawdown": 0.001,
            "sharpe_ratio": None,
            "target_apy": 0.08,
            "apy_vs_target": -0.02,
            "pnl_attribution": {"funding_pnl": 600.25, "transaction_costs": -100.0},
            "unexplained_pnl": 0.0,
            "decisions": {"hold": 744, "entry": 1},
            "orders": 6,
            "operations_failed": 0,
            "reconciliation_failures": 0,
            "errors_by_code": {"RISK-001": 2},
            "total_fees": 100.0,
            "open_at_end": True,
            "min_health_factor": None,
            "max_ltv": None,
            "min_margin_ratio": 0.6,
            "max_abs_net_delta_fraction": 0.004,
            "liquidations": 0,
            "event_counts": {"positions": 745},
            "warnings": ["okx spot is filled from binance"],
            "log_dir": "logs/c1/1",
            "results_dir": "results/run1",
            "engine_seconds": 0.1,
            "records_seconds": 0.2,
            **changes,
        }
    )


def write_logs(base_dir: Path, correlation_id: str = "c1", pid: int = 1, *, tables: Path | None = None) -> Path:
    log_dir = LogDirectoryManager.create_run_logs(correlation_id, pid, "btc_basis", "btc_basis", 1e5, base_dir)
    with DomainEventLogger(log_dir, correlation_id, pid, tables=tables) as logger:
        logger.log_health_status(
            HealthStatusEvent.model_validate(
                {
                    "timestamp": "2024-05-12T00:00:00",
                    "real_utc_time": "2024-05-12T00:00:00",
                    "correlation_id": correlation_id,
                    "pid": pid,
                    "overall_status": "healthy",
                    "component_statuses": {"PositionMonitor": "healthy"},
                    "health_score": 1.0,
                }
            )
        )
    return log_dir


def instants(rows: int, first: int = 0) -> Instants:
    return np.datetime64("2024-05-12T00:00:00", "s") + 3_600 * (first + np.arange(rows))


def complete(tmp_path: Path, run_id: str = "run1", **sealed_with: object) -> Path:
    store = ResultsStore(tmp_path / "results", run_id)
    store.prepare(make_manifest(run_id))
    store.add_columns(
        "positions",
        instants(3),
        {"equity": np.array([1.0, 2.0, 3.0]), "units": np.arange(6.0).reshape(3, 2)},
        {"units": ("binance:BaseToken:BTC", "okx:BaseToken:BTC")},
        metadata={"equity": {"unit": "share_class"}, "units": {"unit": "BTC", "sign": "long > 0"}},
    )
    log_dir = write_logs(tmp_path / "logs", correlation_id=f"c-{run_id}", tables=store.tables)
    sealed = make_manifest(run_id, RunStatus.COMPLETE, **sealed_with)
    return store.complete(make_summary(run_id=run_id), sealed, log_dir)


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let the operating system refuse to grow any file of this process beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestComplete:
    """A run that ends well."""

    def test_everything_of_a_run_is_in_its_place(self, tmp_path: Path) -> None:
        path = complete(tmp_path)

        assert path == tmp_path / "results" / "run1"
        names = {entry.name for entry in path.iterdir()}
        assert names == {
            "manifest.json",
            "summary.json",
            "summary.md",
            "positions.parquet",
            "logs",
            *(kind.file_name.replace(".jsonl", ".csv") for kind in EVENT_TYPES),
        }
        assert load_summary(path) == make_summary()
        assert json.loads((path / "manifest.json").read_text())["status"] == "complete"
        assert [entry.name for entry in (tmp_path / "results").iterdir()] == ["run1"]

    def test_logs_are_linked_and_not_copied_on_one_file_system(self, tmp_path: Path) -> None:
        path = complete(tmp_path)
        log = tmp_path / "logs" / "c-run1" / "1" / "events" / "health_status.jsonl"
        assert (path / "logs" / "events" / "health_status.jsonl").samefile(log)

    def test_csv_columns_are_those_of_the_model_even_without_rows(self, tmp_path: Path) -> None:
        path = complete(tmp_path)
        for kind in EVENT_TYPES:
            header, *rows = (path / kind.file_name.replace(".jsonl", ".csv")).read_text().splitlines()
            assert header.split(",") == list(kind.model_fields)
            assert len(rows) == (1 if kind is HealthStatusEvent else 0)
        (row,) = (path / "health_status.csv").read_text().splitlines()[1:]
        assert row == (
            '"2024-05-12T00:00:00","2024-05-12T00:00:00","c-run1",1,0,"{}","healthy",'
            '"{""PositionMonitor"":""healthy""}",1.0'
        )

    def test_export_writes_the_same_tables_elsewhere(self, tmp_path: Path) -> None:
        path = complete(tmp_path)
        for file in export_csv(path, tmp_path / "out"):
            assert file.read_bytes() == (path / file.name).read_bytes()

    def test_a_stage_has_its_columns_by_label_with_unit_and_sign(self, tmp_path: Path) -> None:
        table = pq.read_table(complete(tmp_path) / "positions.parquet")
        assert table.column_names == ["instant", "equity", "units.binance:BaseToken:BTC", "units.okx:BaseToken:BTC"]
        assert table.column("units.okx:BaseToken:BTC").to_pylist() == [1.0, 3.0, 5.0]
        assert table.schema.field("units.okx:BaseToken:BTC").metadata == {b"unit": b"BTC", b"sign": b"long > 0"}
        assert table.column("instant").to_numpy().astype("datetime64[s]").tolist() == instants(3).tolist()

    def test_the_page_names_the_result_its_parts_and_that_data_are_synthetic(self, tmp_path: Path) -> None:
        page = re.sub(" +", " ", (complete(tmp_path) / "summary.md").read_text())
        for text in (
            "Synthetic data",
            "100,500.25 USDT",
            "| funding_pnl | 600.25 | 60.02 |",
            "RISK-001",
            "okx spot",
            "abc",
        ):
            assert text in page
        assert "Synthetic" not in summary_page(make_summary(synthetic=False), make_manifest(synthetic=False))


class TestStages:
    """Columns as they arrive."""

    @pytest.mark.parametrize("window", [1_000, ROWS_PER_GROUP - 1, 2 * ROWS_PER_GROUP + 5])
    def test_a_stage_file_does_not_depend_on_the_windows(self, tmp_path: Path, window: int) -> None:
        rows = 2 * ROWS_PER_GROUP + 5
        equity = np.arange(rows, dtype=np.float64)

        def write(path: Path, step: int) -> bytes:
            stage = StageFile(path / "pnl.parquet", {})
            for start in range(0, rows, step):
                part = equity[start : start + step]
                stage.add(instants(len(part), start), {"equity": part}, {})
            stage.close()
            return stage.path.read_bytes()

        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        assert write(tmp_path / "a", window) == write(tmp_path / "b", 10_000)
        assert pq.ParquetFile(tmp_path / "a" / "pnl.parquet").num_row_groups == 3

    def test_a_stage_keeps_its_columns_and_shapes(self, tmp_path: Path) -> None:
        stage = StageFile(tmp_path / "pnl.parquet", {})
        stage.add(instants(2), {"equity": np.zeros(2)}, {})
        with pytest.raises(LogSerialisationError) as raised:
            stage.add(instants(2), {"fees": np.zeros(2)}, {})
        assert raised.value.context == {"stage": "pnl", "column": "equity, fees"}
        with pytest.raises(LogSerialisationError):
            stage.add(instants(2), {"equity": np.zeros(3)}, {})
        with pytest.raises(LogSerialisationError):
            stage.add(instants(2), {"equity": np.zeros((2, 2))}, {"equity": ("only-one",)})


class TestNotComplete:
    """Runs that end in other ways."""

    def test_nothing_is_seen_before_completion(self, tmp_path: Path) -> None:
        store = ResultsStore(tmp_path, "run1")
        store.prepare(make_manifest())
        assert not store.path.exists()
        (entry,) = list_results(tmp_path)
        assert (entry.run_id, entry.status) == ("run1", RunStatus.RUNNING)
        store.abandon()
        assert list(tmp_path.iterdir()) == []

    def test_a_block_left_by_an_exception_leaves_nothing(self, tmp_path: Path) -> None:
        def interrupted(store: ResultsStore) -> None:
            with store:
                store.prepare(make_manifest())
                store.add_columns("pnl", instants(2), {"equity": np.zeros(2)}, {})
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted(ResultsStore(tmp_path, "run1"))
        assert list(tmp_path.iterdir()) == []

    def test_a_failed_run_leaves_its_manifest_until_it_succeeds(self, tmp_path: Path) -> None:
        results = tmp_path / "results"
        store = ResultsStore(results, "run1")
        store.prepare(make_manifest())
        store.abandon(make_manifest(status=RunStatus.FAILED, error_code="DATA-002", error_message="a gap"))
        assert [(entry.status, entry.manifest.error_message) for entry in list_results(results)] == [
            (RunStatus.FAILED, "a gap")
        ]
        complete(tmp_path)
        assert [entry.status for entry in list_results(results)] == [RunStatus.COMPLETE]

    def test_a_killed_run_is_recognised_marked_and_removed(self, tmp_path: Path) -> None:
        (tmp_path / "manifest.json").write_text(make_manifest().model_dump_json())
        script = (
            "import sys, time\n"
            "from pathlib import Path\n"
            "from dataflow.records.store.results import ResultsStore\n"
            "from schemas.models.results import Manifest\n"
            f"manifest = Manifest.model_validate_json(Path({str(tmp_path / 'manifest.json')!r}).read_bytes())\n"
            f"ResultsStore({str(tmp_path / 'results')!r}, 'run1').prepare(manifest)\n"
            "print('ready', flush=True)\n"
            "time.sleep(60)\n"
        )
        root = Path(__file__).parents[3]
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert [entry.status for entry in list_results(tmp_path / "results")] == [RunStatus.RUNNING]
            process.send_signal(signal.SIGKILL)

        (entry,) = list_results(tmp_path / "results")
        assert (entry.run_id, entry.status) == ("run1", RunStatus.CRASHED)
        assert [path.name for path in (tmp_path / "results").iterdir()] == [".run1.crashed.json"]
        assert sweep_interrupted(tmp_path / "results") == []

    def test_a_run_is_not_overwritten(self, tmp_path: Path) -> None:
        path = complete(tmp_path)
        with pytest.raises(LogDirectoryError) as raised:
            ResultsStore(tmp_path / "results", "run1").prepare(make_manifest())
        assert raised.value.context["path"] == str(path)

    def test_two_writers_of_one_run_are_refused(self, tmp_path: Path) -> None:
        with ResultsStore(tmp_path, "run1") as store:
            store.prepare(make_manifest())
            with pytest.raises(LogDirectoryError):
                ResultsStore(tmp_path, "run1").prepare(make_manifest())

    def test_a_store_must_be_prepared(self, tmp_path: Path) -> None:
        with pytest.raises(StateInconsistentError):
            ResultsStore(tmp_path, "run1").add_columns("pnl", instants(1), {"equity": np.zeros(1)}, {})

    @pytest.mark.parametrize("run_id", ["", "../up", "a/b"])
    def test_a_run_id_that_could_leave_the_directory_is_refused(self, tmp_path: Path, run_id: str) -> None:
        with pytest.raises(LogDirectoryError):
            ResultsStore(tmp_path, run_id)


class TestDisk:
    """Directories and disks that refuse."""

    def test_an_unusable_directory_is_named_before_the_run(self, tmp_path: Path) -> None:
        (tmp_path / "results").write_text("a file where a directory should be")
        with pytest.raises(LogDirectoryError) as raised:
            ResultsStore(tmp_path / "results", "run1").prepare(make_manifest())
        assert raised.value.code == ErrorCode.LOG_DIRECTORY_FAILED
        assert raised.value.context["path"] == str(tmp_path / "results")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_read_only_directory_is_named_before_the_run(self, tmp_path: Path) -> None:
        (tmp_path / "results").mkdir(mode=0o555)
        with pytest.raises(LogDirectoryError):
            ResultsStore(tmp_path / "results", "run1").prepare(make_manifest())

    def test_a_disk_that_fills_ends_in_log_001_and_leaves_nothing(self, tmp_path: Path) -> None:
        rows = ROWS_PER_GROUP
        noise = np.random.default_rng(0).normal(size=rows)

        def run_out_of_space() -> None:
            with ResultsStore(tmp_path / "results", "run1") as store:
                store.prepare(make_manifest())
                with files_limited_to(50_000):
                    store.add_columns("pnl", instants(rows), {"equity": noise}, {})
                    store.complete(
                        make_summary(), make_manifest(status=RunStatus.COMPLETE), write_logs(tmp_path / "logs")
                    )

        with pytest.raises(LogWriteError) as raised:
            run_out_of_space()
        assert raised.value.code == ErrorCode.LOG_WRITE_FAILED
        assert list((tmp_path / "results").iterdir()) == []

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_an_export_to_a_full_disk_is_log_001(self, tmp_path: Path) -> None:
        log_dir = write_logs(tmp_path / "logs")
        out = tmp_path / "out"
        out.mkdir()
        (out / "positions.csv").symlink_to("/dev/full")
        with pytest.raises(LogWriteError):
            export_csv(log_dir, out)


class TestFinding:
    """From what a user types to a directory."""

    def test_runs_are_listed_by_age(self, tmp_path: Path) -> None:
        complete(tmp_path, "later", created_at="2025-02-01T00:00:00")
        complete(tmp_path, "sooner", created_at="2025-01-01T00:00:00")
        (tmp_path / "results" / "notes").mkdir()
        assert [entry.run_id for entry in list_results(tmp_path / "results")] == ["sooner", "later"]
        assert list_results(tmp_path / "none") == []

    def test_a_run_is_found_by_id_start_of_id_path_and_correlation_id(self, tmp_path: Path) -> None:
        path = complete(tmp_path, "abc123")
        complete(tmp_path, "abd")
        complete(tmp_path, "ab")
        results, logs = tmp_path / "results", tmp_path / "logs"
        assert find_run("abc123", results, logs) == path
        assert find_run("abc", results, logs) == path
        assert find_run("ab", results, logs) == results / "ab"
        assert find_run(str(path), results, logs) == path
        assert find_run("c-abd", results, logs) == logs / "c-abd" / "1"
        assert find_run(str(logs / "c-abd" / "1"), results, logs) == logs / "c-abd" / "1"

    @pytest.mark.parametrize("run", ["a", "", "zzz", "results"])
    def test_no_run_and_several_runs_are_refused(self, tmp_path: Path, run: str) -> None:
        complete(tmp_path, "abc")
        complete(tmp_path, "abd")
        with pytest.raises(LogDirectoryError) as raised:
            find_run(run, tmp_path / "results", tmp_path / "logs")
        assert raised.value.context["run"] == run

    def test_a_missing_or_damaged_summary_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(LogDirectoryError):
            load_summary(tmp_path)
        (tmp_path / "summary.json").write_text('{"run_id": 1}')
        with pytest.raises(LogDirectoryError) as raised:
            load_summary(tmp_path)
        assert raised.value.context["path"] == str(tmp_path / "summary.json")
