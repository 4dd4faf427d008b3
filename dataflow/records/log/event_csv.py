"""The event files as CSV: one table an event type, with the same columns in every run, empty ones included.

A cell is the JSON of its field: numbers and truth values as they stand, null as an empty cell, a text as a quoted
cell, an object or a list as its JSON in a quoted cell. So a row is made of the pieces of a line without another look
at its numbers, and a run writes its tables beside its lines (``dataflow.records.log.event_log``).
"""

from pathlib import Path

import orjson

from dataflow.records.log.reading import EventRecord, event_name, read_events
from schemas.errors import LogWriteError
from schemas.models.events import EVENT_TYPES, DomainEvent, field_json


def export_events(log_dir: Path, out: Path) -> list[Path]:
    """Write ``{positions,...}.csv`` of the event log under ``log_dir`` into ``out``; return the twelve files.

    They are, byte for byte, the tables that the run wrote. Raises ``LogWriteError`` (LOG-001) when the disk refuses,
    and what ``read_events`` raises.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_export(log_dir, out, event_class) for event_class in EVENT_TYPES]
    except OSError as error:
        raise LogWriteError(
            f"cannot write the CSV files: {error.strerror}; free space or choose another directory", path=str(out)
        ) from error


def table_path(directory: Path, event_class: type[DomainEvent]) -> Path:
    """Return the file of the table of one event type."""
    return directory / f"{event_name(event_class)}.csv"


def header(event_class: type[DomainEvent]) -> bytes:
    """Return the first row: the fields of the model in its order."""
    return ",".join(event_class.model_fields).encode() + b"\n"


def event_row(event: DomainEvent) -> bytes:
    """Return the row of an event."""
    return b",".join([_value_cell(value) for value in event.__dict__.values()]) + b"\n"


def cell(token: bytes) -> bytes:
    """Return the cell of one JSON value.

    >>> [cell(token) for token in (b"-1.5", b"null", b'"hold"', b'["USDT",1.0]')]
    [b'-1.5', b'', b'"hold"', b'"[""USDT"",1.0]"']
    """
    first = token[:1]
    if first in (b"{", b"["):
        return _quoted(token)
    if first == b'"':
        return _quoted(orjson.loads(token).encode()) if b"\\" in token else token
    return b"" if token == b"null" else token


def _value_cell(value: object) -> bytes:
    """The cell of the field of a model: that of its JSON, which a plain text need not become first."""
    if value is None:
        return b""
    if value.__class__ is str:
        return _quoted(str(value).encode())
    return cell(field_json(value))


def inside_quotes(text: bytes) -> bytes:
    """Return a text as it stands between the quotes of a cell."""
    return text.replace(b'"', b'""')


def _quoted(text: bytes) -> bytes:
    return b'"' + inside_quotes(text) + b'"'


def _export(log_dir: Path, out: Path, event_class: type[DomainEvent]) -> Path:
    path = table_path(out, event_class)
    with path.open("wb") as file:
        file.write(header(event_class))
        file.writelines(_record_row(event_class, record) for record in read_events(log_dir, event_class))
    return path


def _record_row(event_class: type[DomainEvent], record: EventRecord) -> bytes:
    return b",".join(cell(orjson.dumps(record.get(name))) for name in event_class.model_fields) + b"\n"
