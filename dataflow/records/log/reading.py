"""Reading event logs back: every part of a rotated file in order, a torn tail reported and never an exception.

Files are read line by line, so that a log may be larger than the memory.

A *torn tail* is what a killed process leaves at the end of a part: bytes without a line's end, or a last line that is
no JSON. It is skipped on reading and listed by ``torn_tails``. A broken line anywhere else is damage, and raises.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import orjson
from pydantic import JsonValue, ValidationError

from dataflow.records.log.append_file import part_paths
from dataflow.records.log.log_directory import EVENTS_DIRECTORY
from schemas.errors import ConfigValidationError, LogDirectoryError, LogSerialisationError
from schemas.models.events import EVENT_TYPES, DomainEvent

EventRecord = dict[str, JsonValue]
"""One line of an event file, parsed but not validated."""

AnyEvent = TypeVar("AnyEvent", bound=DomainEvent)

_LOGS_DIRECTORY: Final = "logs"
_READ_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class TornTail:
    """The end of a part that is no whole line."""

    file: Path
    byte_offset: int
    """Where the torn line starts, counted from the start of the part."""


def event_name(event_class: type[DomainEvent]) -> str:
    """Return the name of an event type: the stem of its file.

    >>> event_name(EVENT_TYPES[0])
    'positions'
    """
    return event_class.file_name.removesuffix(".jsonl")


def event_class_of(name: str) -> type[DomainEvent]:
    """Return the event class that a name means: ``positions``, ``positions.jsonl`` or ``PositionSnapshot``.

    Raises ``ConfigValidationError`` (CONFIG-003) on an unknown name.
    """
    for event_class in EVENT_TYPES:
        if name in (event_class.__name__, event_class.file_name, event_name(event_class)):
            return event_class
    known = ", ".join(event_name(event_class) for event_class in EVENT_TYPES)
    raise ConfigValidationError(f"unknown event type {name!r}; one of: {known}", event_type=name)


def events_directory(path: Path | str) -> Path:
    """Return the directory of the event files of a logs directory, a results directory, or itself.

    Raises ``LogDirectoryError`` (LOG-003) where there is none.
    """
    root = Path(path)
    for candidate in (root / EVENTS_DIRECTORY, root / _LOGS_DIRECTORY / EVENTS_DIRECTORY, root):
        if any((candidate / event_class.file_name).is_file() for event_class in EVENT_TYPES):
            return candidate
    raise LogDirectoryError("no event log here; pass logs/<correlation id>/<pid> or results/<run id>", path=str(root))


def event_parts(path: Path | str, event_class: type[DomainEvent]) -> list[Path]:
    """Return the parts of one event file, oldest first."""
    return part_paths(events_directory(path) / event_class.file_name)


def read_events(path: Path | str, event: type[DomainEvent] | str) -> Iterator[EventRecord]:
    """Yield the events of one type in the order of the log, without the torn tails.

    Raises ``LogDirectoryError`` (LOG-003) without an event log, ``ConfigValidationError`` (CONFIG-003) on an unknown
    type, ``LogSerialisationError`` (LOG-004) at a damaged line, naming file and line.
    """
    for _, _, _, record in _records(path, event_class_of(event) if isinstance(event, str) else event):
        yield record


def read_models(path: Path | str, event_class: type[AnyEvent]) -> Iterator[AnyEvent]:
    """Yield the events of one type as models; raises as ``read_events``, also where the model refuses a line."""
    for part, number, line, _ in _records(path, event_class):
        try:
            yield event_class.model_validate_json(line)
        except ValidationError as error:
            raise _damage(part, number, str(error.errors(include_url=False)[0]["msg"])) from error


def torn_tails(path: Path | str) -> list[TornTail]:
    """Return the torn tails of all event files."""
    return [
        TornTail(part, end)
        for event_class in EVENT_TYPES
        for part in event_parts(path, event_class)
        if (end := _whole_bytes(part)) < part.stat().st_size
    ]


def event_counts(path: Path | str) -> dict[str, int]:
    """Return the number of whole lines of each event type by name, zeros included."""
    return {
        event_name(event_class): sum(_count_lines(part) for part in event_parts(path, event_class))
        for event_class in EVENT_TYPES
    }


def terminated_lines(part: Path) -> Iterator[bytes]:
    """Yield the lines of one part that have a line end, with it, whatever they hold."""
    with part.open("rb", buffering=_READ_BYTES) as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def order_in(line: bytes) -> int | None:
    """Return the ``order`` of a line, None where it has none that can be read.

    >>> order_in(b'{"timestamp":"2024-05-12T00:00:00","order":7}')
    7
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    order = record.get("order") if isinstance(record, dict) else None
    return order if isinstance(order, int) else None


def _count_lines(part: Path) -> int:
    left, lines = _whole_bytes(part), 0
    for line in terminated_lines(part):
        left -= len(line)
        lines += left >= 0
    return lines


def _whole_bytes(part: Path) -> int:
    """Return the length of a part without its torn tail; only its end is read."""
    with part.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        end = _line_start(file, size)
        if end < size or size == 0:
            return end
        start = _line_start(file, end - 1)
        file.seek(start)
        try:
            orjson.loads(file.read(end - start))
        except orjson.JSONDecodeError:
            return start
        return end


def _line_start(file: BinaryIO, end: int) -> int:
    """Return the offset after the last line end before ``end``, 0 where there is none."""
    while end > 0:
        start = max(end - _TAIL_BYTES, 0)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            return start + found + 1
        end = start
    return 0


def _records(path: Path | str, event_class: type[DomainEvent]) -> Iterator[tuple[Path, int, bytes, EventRecord]]:
    """Yield part, line number (from 1), line and record."""
    for part in event_parts(path, event_class):
        with part.open("rb", buffering=_READ_BYTES) as file:
            for number, line in enumerate(file, start=1):
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    if not file.read(1):
                        break  # the torn tail
                    raise _damage(part, number, str(error)) from error
                if not line.endswith(b"\n"):
                    break
                if not isinstance(record, dict):
                    raise _damage(part, number, "no JSON object")
                yield part, number, line, record


def _damage(part: Path, number: int, what: str) -> LogSerialisationError:
    return LogSerialisationError(
        f"{part.name} is damaged at line {number}: {what}; restore the file from results/<run id>/logs or the backup",
        file=str(part),
        line=number,
    )
