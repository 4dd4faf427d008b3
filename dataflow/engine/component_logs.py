"""The component logs of a run, opened together; each component writes its own file."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dataflow.records.append_file import Write
from dataflow.records.component_logs import StructuredLogger
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


class ComponentLogs:
    """One logger a component; a component without a logger keeps silent."""

    def __init__(self, loggers: Mapping[str, StructuredLogger]) -> None:
        self._loggers = loggers
        self._stack = ExitStack()

    @classmethod
    def open(cls, log_dir: Path, correlation_id: str, pid: int, *, write: Write = os.write) -> Self:
        """Open the log of every component that writes, through ``write``."""
        return cls({name: StructuredLogger(name, log_dir, correlation_id, pid, write=write) for name in WRITERS})

    @classmethod
    def silent(cls) -> Self:
        """Keep no component log, as a benchmark does."""
        return cls({})

    def info(self, component: str, message: str, timestamp: str, **extras: object) -> None:
        """Write a fact to a component's log."""
        if (logger := self._loggers.get(component)) is not None:
            logger.info(message, timestamp=timestamp, extra=extras)

    def error(self, component: str, message: str, timestamp: str, code: ErrorCode, trace: str) -> None:
        """Write an error to the log of its component, or to the engine's where it has none."""
        logger = self._loggers.get(component) or self._loggers.get("EventDrivenStrategyEngine")
        if logger is not None:
            logger.error(message, timestamp=timestamp, error_code=code.value, stack_trace=trace)

    def __enter__(self) -> Self:
        for logger in self._loggers.values():
            self._stack.enter_context(logger)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
