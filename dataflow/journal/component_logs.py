"""The component logs of a run, opened together; each component writes its own file."""

import os
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dataflow.records.log.append_file import Write
from dataflow.records.log.component_logs import StructuredLogger
from schemas.errors import ErrorCode

WRITERS: Final = (
    "EventDrivenStrategyEngine",
    "DataProvider",
    "PositionMonitor",
    "ExposureMonitor",
    "RiskMonitor",
    "PnLMonitor",
    "StrategyManager",
    "ExecutionManager",
    "VenueInterfaceManager",
    "PositionUpdateHandler",
    "HealthMonitor",
    "ResultsStore",
    "BacktestService",
)
"""Components that write while a backtest runs."""

BUFFER_RECORDS: Final = 100
"""Records of a component that may wait; the event log's rule, as is the time, which the engine keeps for both."""


class ComponentLogs:
    """One logger a component; silent without ``open_logger``. ``muted`` components write nothing but their errors."""

    def __init__(
        self,
        open_logger: Callable[[str], StructuredLogger] | None,
        components: Iterable[str] = (),
        muted: Collection[str] = (),
    ) -> None:
        self._open, self._muted = open_logger, frozenset(muted)
        self._loggers = {} if open_logger is None else {name: open_logger(name) for name in components}

    @classmethod
    def open(
        cls, log_dir: Path, correlation_id: str, pid: int, *, write: Write = os.write, muted: Collection[str] = ()
    ) -> Self:
        """Open the log of every component that writes, through ``write``."""
        return cls(
            lambda name: StructuredLogger(
                name, log_dir, correlation_id, pid, buffer_records=BUFFER_RECORDS, write=write
            ),
            WRITERS,
            muted,
        )

    @classmethod
    def silent(cls) -> Self:
        """Keep no component log, as a benchmark does."""
        return cls(None)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is written, so that a caller need not say it."""
        return self._open is None or self._muted.issuperset(self._loggers)

    def info(self, component: str, message: str, timestamp: str, **extras: object) -> None:
        """Write a fact to a component's log."""
        if component not in self._muted and (logger := self._loggers.get(component)) is not None:
            logger.info(message, timestamp=timestamp, extra=extras)

    def error(self, component: str, message: str, timestamp: str, code: ErrorCode, trace: str) -> None:
        """Write an error to the log of its component; one that writes nothing else gets a log with its first error."""
        if self._open is None:
            return
        if component not in self._loggers:
            self._loggers[component] = self._open(component)
        self._loggers[component].error(message, timestamp=timestamp, error_code=code.value, stack_trace=trace)

    def flush(self) -> None:
        """Write the records that wait."""
        for logger in self._loggers.values():
            logger.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as closing:
            for logger in self._loggers.values():
                closing.callback(logger.close)
