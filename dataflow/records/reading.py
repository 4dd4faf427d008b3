"""Reading event logs back: every part of a rotated file in order, a torn tail reported and never an exception.

A *torn tail* is what a killed process leaves at the end of a part: bytes without a line's end, or a last line that is
no JSON. It is skipped on reading and listed by ``torn_tails``. A broken line anywhere else is damage, and raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import orjson
from pydantic import JsonValue, ValidationError

from dataflow.records.append_file import part_paths
from dataflow.records.log_directory import EVENTS_DIRECTORY
from schemas.errors import ConfigValidationError, LogDirectoryError, LogSerialisationError
from schemas.models.events import EVENT_TYPES, DomainEvent

EventRecord = dict[str, JsonValue]
"""One line of an event file, parsed but not validated."""

AnyEvent = TypeVar("AnyEvent", bound=DomainEvent)

_LOGS_DIRECTORY: Final = "logs"


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
    tails = []
    for event_class in EVENT_TYPES:
        for part in event_parts(path, event_class):
            content = part.read_bytes()
            if (end := _whole_bytes(content)) < len(content):
                tails.append(TornTail(part, end))
    return tails


def event_counts(path: Path | str) -> dict[str, int]:
    """Return the number of whole lines of each event type by name, zeros included."""
    return {
        event_name(event_class): sum(_count_lines(part) for part in event_parts(path, event_class))
        for event_class in EVENT_TYPES
    }


def _count_lines(part: Path) -> int:
    content = part.read_bytes()
    return content.count(b"\n", 0, _whole_bytes(content))


def _whole_bytes(content: bytes) -> int:
    """Return the length of the content without its torn tail."""
    end = content.rfind(b"\n") + 1
    if end < len(content) or not content:
        return end
    start = content.rfind(b"\n", 0, end - 1) + 1
    try:
        orjson.loads(content[start:end])
    except orjson.JSONDecodeError:
        return start
    return end


def _records(path: Path | str, event_class: type[DomainEvent]) -> Iterator[tuple[Path, int, bytes, EventRecord]]:
    """Yield part, line number (from 1), line and record, a line in memory at a time."""
    for part in event_parts(path, event_class):
        with part.open("rb") as file:
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
