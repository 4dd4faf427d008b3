"""Component logs: one file of JSON lines a component, through ``logging``, without any global configuration.

A record has the fields of domain section 8: ``timestamp`` (engine clock), ``real_utc_time`` (wall clock), ``level,
component, message, correlation_id, pid, error_code, severity, stack_trace, extras``; what does not apply is null.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import orjson

from dataflow.records.log.append_file import AppendFile, Write
from dataflow.records.log.instants import Clock, instant_text, utc_now
from dataflow.records.log.log_directory import component_log_name, validate_run_ids
from schemas.errors import REGISTRY, ErrorCode, LogDirectoryError, LogSerialisationError, Severity
from schemas.models.events import SystemErrorEvent

Instant = str | datetime | np.datetime64
"""An instant of the engine's clock: a text of the logs, a datetime, or a NumPy instant (UTC)."""

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE


class _Record(logging.LogRecord):
    """A record without what is not logged: the caller's line, thread and process cost more than the rest of it."""

    def __init__(self, name: str, level: int, message: str, fields: Mapping[str, object]) -> None:
        self.name, self.levelno, self.levelname = name, level, logging.getLevelName(level)
        self.msg, self.fields = message, fields


class _FileHandler(logging.Handler):
    """Appends lines to the file; unlike other handlers it lets the caller know when that fails.

    Lines below WARNING wait until ``buffer_records`` of them are there.
    """

    def __init__(self, file: AppendFile, render: Callable[[_Record], bytes], buffer_records: int) -> None:
        super().__init__()
        self._file, self._render, self._buffer_records = file, render, buffer_records
        self._lines: list[bytes] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record, _Record)
        self._lines.append(self._render(record))
        if record.levelno >= logging.WARNING or len(self._lines) >= self._buffer_records:
            self.flush()

    def flush(self) -> None:
        if self._file.is_closed:
            return  # Python flushes every handler at its end
        lines, self._lines = self._lines, []
        self._file.append(b"".join(lines))  # what the disk refuses, the file keeps


class StructuredLogger:
    """The log of one component in one run; each record is one line, on disk when the call returns.

    With ``buffer_records`` of more than 1, that many records below WARNING wait for each other, or for ``flush``.

    Two loggers share nothing. ``info("Position updated", positions_count=3)`` and the older
    ``info("Position updated", extra={"positions_count": 3})`` write the same record.

    Raises: ``LogDirectoryError`` (LOG-003) without usable ids or directory; ``LogWriteError`` (LOG-001) when a record
            cannot be written; ``LogSerialisationError`` (LOG-004) when an extra is no JSON, or an error has no code.
    """

    def __init__(
        self,
        component_name: str,
        log_dir: Path | str,
        correlation_id: str,
        pid: int,
        *,
        buffer_records: int = 1,
        clock: Clock = utc_now,
        write: Write = os.write,
    ) -> None:
        validate_run_ids(correlation_id, pid)
        if not component_name.isidentifier():
            raise LogDirectoryError("the component needs a name such as PositionMonitor", component=component_name)
        self.component, self.correlation_id, self.pid = component_name, correlation_id, pid
        self.path = Path(log_dir) / component_log_name(component_name)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LogDirectoryError(
                f"cannot create the log directory: {error.strerror}; choose a writable one with --logs",
                path=str(self.path.parent),
            ) from error
        self._clock = clock
        self._file = AppendFile(self.path, write=write)
        # A handler without a logger: no configuration of others reaches it, and it reaches nothing else.
        self._handler = _FileHandler(self._file, self._render, buffer_records)

    def debug(
        self,
        message: str,
        *,
        timestamp: Instant | None = None,
        extra: Mapping[str, object] | None = None,
        **extras: object,
    ) -> None:
        """Log a detail; ``timestamp`` is the engine's clock, the wall clock if absent."""
        self._log(logging.DEBUG, message, _fields(timestamp, extra, extras))

    def info(
        self,
        message: str,
        *,
        timestamp: Instant | None = None,
        extra: Mapping[str, object] | None = None,
        **extras: object,
    ) -> None:
        """Log a fact; ``timestamp`` is the engine's clock, the wall clock if absent."""
        self._log(logging.INFO, message, _fields(timestamp, extra, extras))

    def warning(
        self,
        message: str,
        *,
        timestamp: Instant | None = None,
        extra: Mapping[str, object] | None = None,
        **extras: object,
    ) -> None:
        """Log what needs a look; an ``error_code`` among the extras gives the record its severity."""
        self._log(logging.WARNING, message, _fields(timestamp, extra, extras))

    def error(
        self,
        message: str,
        *,
        timestamp: Instant | None = None,
        extra: Mapping[str, object] | None = None,
        **extras: object,
    ) -> SystemErrorEvent:
        """Log an error and return its event, for the caller to give to the event log (domain section 8: mirrored).

        ``error_code`` is required, as an extra or inside ``extra``, and must be in the registry. ``stack_trace`` is
        that of the exception being handled, or of the call, unless given.
        """
        fields = _error_fields(timestamp, extra, extras)
        self._log(logging.ERROR, message, fields)
        return self._event(message, fields)

    def critical(
        self,
        message: str,
        *,
        timestamp: Instant | None = None,
        extra: Mapping[str, object] | None = None,
        **extras: object,
    ) -> SystemErrorEvent:
        """Log an error after which the run cannot go on: as ``error``, but of severity CRITICAL whatever its code."""
        fields = _error_fields(timestamp, extra, extras) | {"severity": Severity.CRITICAL}
        self._log(logging.CRITICAL, message, fields)
        return self._event(message, fields)

    def flush(self) -> None:
        """Write the records that wait."""
        self._handler.flush()

    def close(self) -> None:
        """Write what waits and close the file; safe to call twice."""
        try:
            self.flush()
        finally:
            self._file.close()
            self._handler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _log(self, level: int, message: str, fields: Mapping[str, object]) -> None:
        self._handler.handle(_Record(self.component, level, message, fields))

    def _render(self, record: _Record) -> bytes:
        now, fields = instant_text(self._clock()), record.fields
        line = {
            "timestamp": fields["timestamp"] or now,
            "real_utc_time": now,
            "level": record.levelname,
            "component": self.component,
            "message": record.msg,
            "correlation_id": self.correlation_id,
            "pid": self.pid,
            "error_code": fields["error_code"],
            "severity": fields["severity"],
            "stack_trace": fields["stack_trace"],
            "extras": fields["extras"],
        }
        try:
            return orjson.dumps(line, option=_OPTIONS)
        except orjson.JSONEncodeError as error:
            raise LogSerialisationError(
                f"an extra of a log record is no JSON: {error}; pass numbers, texts, lists or mappings of them",
                component=self.component,
            ) from error

    def _event(self, message: str, fields: Mapping[str, object]) -> SystemErrorEvent:
        now = instant_text(self._clock())
        return SystemErrorEvent(
            timestamp=str(fields["timestamp"] or now),
            real_utc_time=now,
            correlation_id=self.correlation_id,
            pid=self.pid,
            error_code=ErrorCode(str(fields["error_code"])),
            error_message=message,
            component=self.component,
            severity=Severity(str(fields["severity"])),
            stack_trace=str(fields["stack_trace"]),
        )


def _fields(
    timestamp: Instant | None, extra: Mapping[str, object] | None, extras: Mapping[str, object]
) -> dict[str, object]:
    """Sort what the caller gave into the fields of a record and its extras."""
    given = {**extra, **extras} if extra else dict(extras)
    code = _registered(given.pop("error_code", None))
    return {
        "timestamp": instant_text(timestamp) if timestamp is not None else None,
        "error_code": code,
        "severity": REGISTRY[code].severity if code is not None else None,
        "stack_trace": given.pop("stack_trace", None),
        "extras": given,
    }


def _error_fields(
    timestamp: Instant | None, extra: Mapping[str, object] | None, extras: Mapping[str, object]
) -> dict[str, object]:
    fields = _fields(timestamp, extra, extras)
    if fields["error_code"] is None:
        raise LogSerialisationError("an error must carry an error_code of the registry; pass error_code=ErrorCode....")
    if not fields["stack_trace"]:
        # Without an exception, the frames above the logger say where the error was found.
        fields["stack_trace"] = (
            traceback.format_exc() if sys.exception() is not None else "".join(traceback.format_stack()[:-2])
        )
    return fields


def _registered(code: object) -> ErrorCode | None:
    if code is None:
        return None
    try:
        return ErrorCode(str(code))
    except ValueError as error:
        raise LogSerialisationError(
            "the error code is not in the registry of schemas.errors", code=str(code)
        ) from error
