"""Removing old runs: which ones are past their retention, and taking them away as a whole, results and logs.

A run is never removed while its process may still write: not where it holds the lock of its results, and not where a
process of its number is alive.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from dataflow.records.log.instants import Clock, parse_instant, utc_now
from dataflow.records.log.log_directory import METADATA_FILE, LogDirectoryManager, last_write
from dataflow.records.log.reading import read_events
from dataflow.records.store.results import PRUNED, list_results
from schemas.errors import LogDirectoryError, LogError
from schemas.models.events import PositionSnapshot
from schemas.models.results import RunStatus
from schemas.operations import PositionSource

RETENTION_DAYS: Final = {PositionSource.SIMULATED: 7.0, PositionSource.REAL: 30.0}
"""Days for which a run is kept, by where its balances came from: a backtest, a live session. [domain] section 8."""


@dataclass(frozen=True, slots=True)
class OldRun:
    """A run that is past its retention."""

    run_id: str
    """The correlation id of logs without results."""
    status: RunStatus | None
    """None of logs without results."""
    ended: datetime
    """When it ended, or last wrote."""
    paths: tuple[Path, ...]
    """Results, or the manifest left in their place, and logs."""
    size_bytes: int
    """A file that stands in results and logs under one inode is counted once."""


def old_runs(
    results_dir: Path | str,
    logs_dir: Path | str,
    *,
    days: float | None = None,
    keep: int = 0,
    clock: Clock = utc_now,
) -> list[OldRun]:
    """Find the runs that may go, oldest first: those that ended more than ``days`` ago, but for the ``keep`` newest.

    days: for every run; without it each is kept as long as ``RETENTION_DAYS`` says of its kind.
    Raises ``LogDirectoryError`` (LOG-003) at damaged metadata of a log directory.
    """
    found = sorted(_ended_runs(Path(results_dir), Path(logs_dir)), key=lambda run: run.ended)
    return [run for run in found[: max(len(found) - keep, 0)] if clock() - run.ended > _retention(run, days)]


def remove(runs: Iterable[OldRun]) -> None:
    """Remove runs. Each place loses its name first, so that a run that is half gone is never taken for a whole one.

    What an earlier, interrupted removal has left beside them goes too.
    Raises ``LogDirectoryError`` (LOG-003), with the path, when a place cannot be removed.
    """
    for path in [path for run in runs for path in run.paths]:
        try:
            for left in path.parent.glob(f".*{PRUNED}"):
                shutil.rmtree(left)
            _remove(path)
        except OSError as error:
            raise LogDirectoryError(
                f"cannot remove an old run: {error.strerror}; check the owner of the directory", path=str(path)
            ) from error


def _ended_runs(results: Path, logs: Path) -> Iterator[OldRun]:
    """Every run that has ended, with its logs; then the logs that no run of these results claims."""
    unclaimed = {path.resolve(): path for path in LogDirectoryManager.list_runs(logs)}
    for entry in list_results(results):
        manifest = entry.manifest
        log_dir = unclaimed.pop((logs / manifest.correlation_id / str(manifest.pid)).resolve(), None)
        if entry.status is not RunStatus.RUNNING:
            ended = parse_instant(manifest.finished_at or manifest.created_at)
            paths = (entry.path,) if log_dir is None else (entry.path, log_dir)
            yield OldRun(entry.run_id, entry.status, ended, paths, _size(paths))
    for log_dir in unclaimed.values():
        if not _is_alive(LogDirectoryManager.read_run_metadata(log_dir).pid):
            yield OldRun(log_dir.parent.name, None, last_write(log_dir), (log_dir,), _size((log_dir,)))


def _retention(run: OldRun, days: float | None) -> timedelta:
    return timedelta(days=RETENTION_DAYS[_source(run)] if days is None else days)


def _source(run: OldRun) -> PositionSource:
    """Where the balances of a run came from; a log that tells nothing is no live one."""
    for path in run.paths:
        try:
            snapshot = next(read_events(path, PositionSnapshot), None)
        except LogError:
            continue
        if snapshot is not None:
            return PositionSource(str(snapshot["position_type"]))
    return PositionSource.SIMULATED


def _size(paths: Iterable[Path]) -> int:
    files = (
        file.stat() for path in paths for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file()
    )
    return sum({(file.st_dev, file.st_ino): file.st_size for file in files}.values())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    is_log_dir = (path / METADATA_FILE).exists()
    doomed = path.with_name(f".{path.name}{PRUNED}")
    path.rename(doomed)
    shutil.rmtree(doomed)
    if is_log_dir and not any(path.parent.iterdir()):
        path.parent.rmdir()
