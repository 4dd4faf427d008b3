"""The log directory of a run: one place a run and process, complete from the start, never outside its base.

Layout and metadata are those of the domain specification, section 8. The first two classes follow the user's plan for
this file; the others claim idempotence, refusal of unusable input, and clean-up by age.
"""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataflow.records import LogDirectoryManager
from dataflow.records.log.log_directory import COMPONENTS, component_log_name
from schemas.errors import ErrorCode, LogDirectoryError
from schemas.models.events import EVENT_TYPES

STARTED_AT = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)


def create(base_dir: Path, correlation_id: str = "test123", pid: int = 12345) -> Path:
    return LogDirectoryManager.create_run_logs(
        correlation_id=correlation_id,
        pid=pid,
        mode="pure_lending_usdt",
        strategy="pure_lending",
        capital=10000.0,
        base_dir=base_dir,
        clock=lambda: STARTED_AT,
    )


class TestLogDirectoryManager:
    """What a new run finds."""

    def test_create_run_logs(self, tmp_path: Path) -> None:
        log_dir = create(tmp_path)

        assert log_dir == tmp_path / "test123" / "12345"
        assert (log_dir / "events").is_dir()
        assert (log_dir / "metadata.json").is_file()

    def test_metadata_contents(self, tmp_path: Path) -> None:
        log_dir = create(tmp_path)

        assert json.loads((log_dir / "metadata.json").read_text()) == {
            "correlation_id": "test123",
            "pid": 12345,
            "mode": "pure_lending_usdt",
            "strategy": "pure_lending",
            "initial_capital": 10000.0,
            "start_time": "2025-01-15T10:30:00",
            "timezone": "UTC",
            "log_directory": str(log_dir),
            "events_directory": str(log_dir / "events"),
            "event_detail": "every-step",
            "first_order": 0,
            "start_positions": {},
        }
        assert LogDirectoryManager.read_run_metadata(log_dir).initial_capital == 10000.0

    def test_directory_permissions(self, tmp_path: Path) -> None:
        log_dir = create(tmp_path)

        for directory in (log_dir, log_dir / "events"):
            mode = stat.S_IMODE(directory.stat().st_mode)
            assert mode & stat.S_IRWXU == stat.S_IRWXU
            assert not mode & stat.S_IWOTH

    def test_every_event_file_and_component_log_exists_and_is_empty(self, tmp_path: Path) -> None:
        log_dir = create(tmp_path)

        assert {path.name for path in (log_dir / "events").iterdir()} == {kind.file_name for kind in EVENT_TYPES}
        logs = {path.name for path in log_dir.glob("*.log")}
        assert logs == {component_log_name(component) for component in COMPONENTS}
        assert {
            "api.log",
            "position_monitor.log",
            "exposure_monitor.log",
            "risk_monitor.log",
            "pnl_monitor.log",
            "strategy_manager.log",
            "execution_manager.log",
        } <= logs
        assert all(path.stat().st_size == 0 for path in (*log_dir.glob("*.log"), *(log_dir / "events").iterdir()))


class TestRepetition:
    """Several calls and several processes."""

    def test_the_second_call_changes_nothing(self, tmp_path: Path) -> None:
        log_dir = create(tmp_path)
        (log_dir / "events" / "positions.jsonl").write_text("{}\n")
        before = (log_dir / "metadata.json").read_bytes()

        again = LogDirectoryManager.create_run_logs("test123", 12345, "btc_basis", "btc_basis", 1.0, tmp_path)

        assert again == log_dir
        assert (log_dir / "metadata.json").read_bytes() == before
        assert (log_dir / "events" / "positions.jsonl").read_text() == "{}\n"

    def test_another_process_of_the_run_is_a_sibling(self, tmp_path: Path) -> None:
        first, second = create(tmp_path, pid=1), create(tmp_path, pid=2)

        assert first.parent == second.parent
        assert first != second
        assert LogDirectoryManager.list_runs(tmp_path) == [first, second]


class TestRefusal:
    """Input that must not become a path."""

    @pytest.mark.parametrize(
        "correlation_id", ["", ".", "..", "../up", "a/b", "a\\b", "/etc", "a..b", "a b", "x" * 129]
    )
    def test_an_id_that_could_leave_the_base_is_refused(self, tmp_path: Path, correlation_id: str) -> None:
        with pytest.raises(LogDirectoryError) as raised:
            create(tmp_path, correlation_id=correlation_id)

        assert raised.value.code == ErrorCode.LOG_DIRECTORY_FAILED
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("pid", [0, -1])
    def test_a_pid_that_is_none_is_refused(self, tmp_path: Path, pid: int) -> None:
        with pytest.raises(LogDirectoryError):
            create(tmp_path, pid=pid)

    def test_an_unwritable_base_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "logs").write_text("a file where a directory should be")

        with pytest.raises(LogDirectoryError) as raised:
            create(tmp_path / "logs")

        assert raised.value.context["path"] == str(tmp_path / "logs" / "test123" / "12345")

    @pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', '{"unknown": 1}'])
    def test_damaged_metadata_is_named(self, tmp_path: Path, content: str) -> None:
        log_dir = create(tmp_path)
        (log_dir / "metadata.json").write_text(content)

        with pytest.raises(LogDirectoryError) as raised:
            LogDirectoryManager.read_run_metadata(log_dir)

        assert raised.value.context["path"] == str(log_dir / "metadata.json")

    def test_a_directory_without_metadata_is_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(LogDirectoryError):
            LogDirectoryManager.read_run_metadata(tmp_path)


class TestCleanup:
    """Retention by run directory."""

    def test_only_runs_without_a_recent_write_are_deleted(self, tmp_path: Path) -> None:
        old, recent = create(tmp_path, "old"), create(tmp_path, "recent")
        bystander = tmp_path / "notes" / "1"
        bystander.mkdir(parents=True)
        now = datetime.now(UTC)
        eight_days_ago = (now - timedelta(days=8)).timestamp()
        for path in (*old.rglob("*"), bystander):
            os.utime(path, (eight_days_ago, eight_days_ago))

        deleted = LogDirectoryManager.cleanup_old_logs(7, tmp_path, clock=lambda: now)

        assert deleted == [old]
        assert not old.parent.exists()
        assert recent.exists()
        assert bystander.exists()

    def test_one_fresh_file_keeps_a_run(self, tmp_path: Path) -> None:
        log_dir = create(tmp_path)
        for path in log_dir.rglob("*"):
            os.utime(path, (0, 0))
        (log_dir / "events" / "positions.jsonl").touch()

        assert LogDirectoryManager.cleanup_old_logs(7, tmp_path) == []
        assert log_dir.exists()

    def test_a_base_that_does_not_exist_holds_no_runs(self, tmp_path: Path) -> None:
        assert LogDirectoryManager.list_runs(tmp_path / "none") == []
        assert LogDirectoryManager.cleanup_old_logs(7, tmp_path / "none") == []
