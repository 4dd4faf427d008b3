"""The directory of one run's logs: ``logs/{correlation_id}/{pid}/`` with metadata, component logs and event files.

Layout and fields: domain section 8.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from dataflow.records.log.instants import Clock, instant_text, utc_now
from schemas.errors import LogDirectoryError
from schemas.models.events import EVENT_TYPES
from schemas.models.results import EventDetail

COMPONENTS: Final = (
    "Api",
    "PositionMonitor",
    "ExposureMonitor",
    "RiskMonitor",
    "PnLMonitor",
    "StrategyManager",
    "ExecutionManager",
    "EventDrivenStrategyEngine",
    "DataProvider",
    "VenueInterfaceManager",
    "PositionUpdateHandler",
    "HealthMonitor",
    "ResultsStore",
    "BacktestService",
)
"""Components that have a log file of their own from the start of a run."""

EVENTS_DIRECTORY: Final = "events"
METADATA_FILE: Final = "metadata.json"

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIRECTORY_MODE: Final = 0o755


def component_log_name(component: str) -> str:
    """Return the file name of a component's log: its name in snake case.

    >>> component_log_name("EventDrivenStrategyEngine"), component_log_name("PnLMonitor")
    ('event_driven_strategy_engine.log', 'pnl_monitor.log')
    """
    return f"{_WORD_START.sub('_', component.replace('PnL', 'Pnl')).lower()}.log"


def validate_run_ids(correlation_id: str, pid: int) -> None:
    """Refuse identifiers that are empty or could leave the log directory.

    Raises ``LogDirectoryError`` (LOG-003).

    >>> validate_run_ids("4f1c", 12345)
    """
    if _IDENTIFIER.fullmatch(correlation_id) is None or ".." in correlation_id:
        raise LogDirectoryError(
            "the correlation id must be 1 to 128 letters, digits, '.', '_' or '-', without '..'; use uuid4().hex",
            correlation_id=correlation_id,
        )
    if pid <= 0:
        raise LogDirectoryError("the process id must be positive; pass os.getpid()", pid=pid)


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """What ``metadata.json`` says of one run and process."""

    correlation_id: str
    pid: int
    mode: str
    strategy: str
    initial_capital: float
    """In units of the share class."""
    start_time: str
    """Wall clock, UTC, ISO 8601 without offset."""
    timezone: str
    log_directory: str
    events_directory: str
    event_detail: str = "every-step"
    """How much the event log says of rows without a decision, see ``schemas.models.results.EventDetail``."""
    first_order: int = 0
    """``order`` of the first event; above 0 for a partition that goes on where another ended."""
    start_positions: Mapping[str, float] = field(default_factory=dict)
    """Native units of each position key before the first event."""


def last_write(log_dir: Path) -> datetime:
    """When anything was last written into a log directory, wall clock, UTC."""
    newest = max(entry.stat().st_mtime for entry in log_dir.rglob("*") if entry.is_file())
    return datetime.fromtimestamp(newest, UTC)


class LogDirectoryManager:
    """Creates, lists and clears the log directories of runs."""

    @staticmethod
    def create_run_logs(
        correlation_id: str,
        pid: int,
        mode: str,
        strategy: str,
        capital: float,
        base_dir: Path | str = "logs",
        *,
        event_detail: EventDetail = "every-step",
        first_order: int = 0,
        start_positions: Mapping[str, float] | None = None,
        clock: Clock = utc_now,
    ) -> Path:
        """Create ``base_dir/{correlation_id}/{pid}`` with every file of a run, empty, and its metadata.

        Calling it again with the same ids changes nothing; another pid is a sibling directory. A partition that goes
        on where another ended says with what number and what balances.

        Units:  ``capital`` in units of the share class, ``start_positions`` in native units of each key.
        Raises: ``LogDirectoryError`` (LOG-003) on an unusable id or directory.
        """
        validate_run_ids(correlation_id, pid)
        log_dir = Path(base_dir) / correlation_id / str(pid)
        events_dir = log_dir / EVENTS_DIRECTORY
        metadata = RunMetadata(
            correlation_id=correlation_id,
            pid=pid,
            mode=mode,
            strategy=strategy,
            initial_capital=float(capital),
            start_time=instant_text(clock()),
            timezone="UTC",
            log_directory=str(log_dir),
            events_directory=str(events_dir),
            event_detail=event_detail,
            first_order=first_order,
            start_positions=dict(start_positions or {}),
        )
        try:
            events_dir.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            for event_class in EVENT_TYPES:
                (events_dir / event_class.file_name).touch()
            for component in COMPONENTS:
                (log_dir / component_log_name(component)).touch()
            if not (log_dir / METADATA_FILE).exists():
                (log_dir / METADATA_FILE).write_bytes(
                    orjson.dumps(metadata, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
                )
        except OSError as error:
            raise LogDirectoryError(
                f"cannot create the log directory: {error.strerror}; choose a writable one with --logs",
                path=str(log_dir),
            ) from error
        return log_dir

    @staticmethod
    def list_runs(base_dir: Path | str = "logs") -> list[Path]:
        """Return the log directories (one a run and process) under ``base_dir``, oldest start first."""
        found = [entry.parent for entry in Path(base_dir).glob(f"*/*/{METADATA_FILE}")]
        return sorted(found, key=lambda log_dir: (LogDirectoryManager.read_run_metadata(log_dir).start_time, log_dir))

    @staticmethod
    def read_run_metadata(log_dir: Path | str) -> RunMetadata:
        """Return the metadata of one log directory; raises ``LogDirectoryError`` (LOG-003) if it has none."""
        path = Path(log_dir) / METADATA_FILE
        try:
            return RunMetadata(**orjson.loads(path.read_bytes()))
        except OSError as error:
            raise LogDirectoryError(
                f"no metadata of a run: {error.strerror}; pass a directory logs/<correlation id>/<pid>", path=str(path)
            ) from error
        except (orjson.JSONDecodeError, TypeError) as error:
            raise LogDirectoryError(
                f"the metadata of a run is damaged: {error}; restore or delete the directory", path=str(path)
            ) from error

    @staticmethod
    def cleanup_old_logs(days: float, base_dir: Path | str = "logs", *, clock: Clock = utc_now) -> list[Path]:
        """Delete the log directories in which nothing was written for ``days``; return those deleted.

        Only directories with a ``metadata.json`` are touched, and a run's directory goes with its last process.
        Raises ``LogDirectoryError`` (LOG-003) when a directory cannot be deleted.
        """
        oldest_kept = clock() - timedelta(days=days)
        deleted = []
        for log_dir in LogDirectoryManager.list_runs(base_dir):
            if last_write(log_dir) >= oldest_kept:
                continue
            try:
                shutil.rmtree(log_dir)
                if not any(log_dir.parent.iterdir()):
                    log_dir.parent.rmdir()
            except OSError as error:
                raise LogDirectoryError(
                    f"cannot delete old logs: {error.strerror}; check the owner of the directory", path=str(log_dir)
                ) from error
            deleted.append(log_dir)
        return deleted
