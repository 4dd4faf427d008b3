"""Pruning takes what is old, whole and with its logs, and never what is new, wanted, or may still be written."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dataflow.records.log.event_log import DomainEventLogger
from dataflow.records.log.instants import instant_text, utc_now
from dataflow.records.log.log_directory import LogDirectoryManager
from dataflow.records.store.pruning import OldRun, old_runs, remove
from dataflow.records.store.results import ResultsStore, list_results
from schemas.errors import LogDirectoryError
from schemas.models.events import PositionSnapshot
from schemas.models.results import RunStatus
from tests.unit.records.test_results_store import complete, make_manifest, write_logs

DEAD = subprocess.Popen([sys.executable, "-c", ""])
DEAD.wait()
"""A process that has ended, and whose number nobody has."""


def days_ago(days: float) -> str:
    return instant_text(utc_now() - timedelta(days=days))


def old_logs(base: Path, days: float, *, pid: int = DEAD.pid, correlation_id: str = "lost") -> Path:
    """Logs without results that were last written some days ago."""
    log_dir = write_logs(base, correlation_id, pid)
    age(log_dir, days)
    return log_dir


def age(log_dir: Path, days: float) -> None:
    """Make every file of a directory as old as that."""
    instant = (utc_now() - timedelta(days=days)).timestamp()
    for path in log_dir.rglob("*"):
        os.utime(path, (instant, instant))


def names(runs: list[OldRun]) -> list[str]:
    return [run.run_id for run in runs]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Complete runs that ended 40, 8 and 1 days ago."""
    for run_id, days in (("forty", 40.0), ("eight", 8.0), ("one", 1.0)):
        complete(tmp_path, run_id, correlation_id=f"c-{run_id}", finished_at=days_ago(days))
    return tmp_path


def found(place: Path, **options: float) -> list[OldRun]:
    return old_runs(place / "results", place / "logs", **options)  # type: ignore[arg-type]  # days and keep


def test_backtests_are_kept_for_seven_days(place: Path) -> None:
    assert names(found(place)) == ["forty", "eight"]


def test_a_live_session_is_kept_for_thirty(tmp_path: Path) -> None:
    for days in (8.0, 31.0):
        log_dir = LogDirectoryManager.create_run_logs(f"live{days:.0f}", DEAD.pid, "m", "m", 1.0, tmp_path / "logs")
        with DomainEventLogger(log_dir, f"live{days:.0f}", DEAD.pid) as log:
            log.log_position_snapshot(
                PositionSnapshot(
                    timestamp="2024-05-12T00:00:00",
                    real_utc_time="2024-05-12T00:00:00",
                    correlation_id=f"live{days:.0f}",
                    pid=DEAD.pid,
                    positions={},
                    total_value_usd=0.0,
                    position_type="real",
                )
            )
        age(log_dir, days)
    assert names(found(tmp_path)) == ["live31"]
    assert names(found(tmp_path, days=7.0)) == ["live31", "live8"]


def test_age_and_number_can_be_chosen(place: Path) -> None:
    assert names(found(place, days=0.0)) == ["forty", "eight", "one"]
    assert names(found(place, days=20.0)) == ["forty"]
    assert names(found(place, days=0.0, keep=2)) == ["forty"]
    assert names(found(place, days=0.0, keep=5)) == []


def test_a_run_goes_with_its_logs_and_the_others_stay(place: Path) -> None:
    before = {entry.run_id: entry for entry in list_results(place / "results")}
    remove(found(place))
    assert [entry.run_id for entry in list_results(place / "results")] == ["one"]
    left = {log_dir.parent.name for log_dir in LogDirectoryManager.list_runs(place / "logs")}
    assert left == {before["one"].manifest.correlation_id}
    assert sorted(path.name for path in (place / "results").iterdir()) == ["one"]
    assert sorted(path.name for path in (place / "logs").iterdir()) == sorted(left)


def test_looking_removes_nothing(place: Path) -> None:
    before = sorted(place.rglob("*"))
    found(place, days=0.0)
    assert sorted(place.rglob("*")) == before


def test_a_run_that_goes_on_is_never_taken(tmp_path: Path) -> None:
    manifest = make_manifest("going", correlation_id="going", pid=DEAD.pid, created_at=days_ago(90.0))
    log_dir = old_logs(tmp_path / "logs", 90.0, correlation_id="going")
    with ResultsStore(tmp_path / "results", "going") as store:
        store.prepare(manifest)
        assert found(tmp_path, days=0.0) == []
    assert log_dir.exists()


def test_logs_of_a_living_process_are_never_taken(tmp_path: Path) -> None:
    old_logs(tmp_path / "logs", 90.0, pid=os.getpid())
    assert found(tmp_path, days=0.0) == []


def test_logs_without_results_go_by_their_last_write(tmp_path: Path) -> None:
    log_dir = old_logs(tmp_path / "logs", 8.0)
    old_logs(tmp_path / "logs", 6.0, correlation_id="fresh")
    (run,) = found(tmp_path)
    assert (run.run_id, run.status, run.paths) == ("lost", None, (log_dir,))
    remove([run])
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["fresh"]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CRASHED])
def test_what_a_failed_run_left_goes_as_well(status: RunStatus, tmp_path: Path) -> None:
    log_dir = old_logs(tmp_path / "logs", 90.0, correlation_id="bad")
    manifest = make_manifest("bad", status, correlation_id="bad", pid=DEAD.pid, created_at=days_ago(90.0))
    (tmp_path / "results").mkdir()
    left = tmp_path / "results" / f".bad.{status}.json"
    left.write_text(manifest.model_dump_json())
    (run,) = found(tmp_path)
    assert (run.status, run.paths) == (status, (left, log_dir))
    remove([run])
    assert not left.exists()
    assert not log_dir.exists()


def test_a_file_in_results_and_logs_is_counted_once(place: Path) -> None:
    (run, *_) = found(place)
    inodes = {
        (file.stat().st_dev, file.stat().st_ino): file.stat().st_size
        for path in run.paths
        for file in path.rglob("*")
        if file.is_file()
    }
    assert run.size_bytes == sum(inodes.values())
    assert len(inodes) < sum(1 for path in run.paths for file in path.rglob("*") if file.is_file())


def test_a_removal_that_was_interrupted_is_no_run_and_is_finished_by_the_next(place: Path) -> None:
    (place / "results" / "forty").rename(place / "results" / ".forty.pruned")
    assert "forty" not in [entry.run_id for entry in list_results(place / "results")]
    remove(found(place))
    assert sorted(path.name for path in (place / "results").iterdir()) == ["one"]


def test_a_place_that_cannot_be_removed_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dataflow.records.store.pruning.shutil.rmtree", refuse)
    (run, *_) = found(place)
    with pytest.raises(LogDirectoryError) as refused:
        remove([run])
    assert refused.value.context == {"path": str(run.paths[0])}
