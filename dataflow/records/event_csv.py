"""The event files as CSV: one table an event type, with the same columns in every run, empty ones included."""

import csv
from pathlib import Path
from typing import Final

import orjson
from pydantic import JsonValue

from dataflow.records.reading import EventRecord, event_name, read_events
from schemas.errors import LogWriteError
from schemas.models.events import EVENT_TYPES, DomainEvent

_NESTED: Final = frozenset({dict, list})


def export_events(log_dir: Path, out: Path) -> list[Path]:
    """Write ``{positions,...}.csv`` of the event log under ``log_dir`` into ``out``; return the twelve files.

    Columns are the fields of the model in its order; nested values are JSON, null is empty.
    Raises ``LogWriteError`` (LOG-001) when the disk refuses, and what ``read_events`` raises.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_export(log_dir, out, event_class) for event_class in EVENT_TYPES]
    except OSError as error:
        raise LogWriteError(
            f"cannot write the CSV files: {error.strerror}; free space or choose another directory", path=str(out)
        ) from error


def _export(log_dir: Path, out: Path, event_class: type[DomainEvent]) -> Path:
    path = out / f"{event_name(event_class)}.csv"
    columns = tuple(event_class.model_fields)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(_row(columns, record) for record in read_events(log_dir, event_class))
    return path


def _row(columns: tuple[str, ...], record: EventRecord) -> list[JsonValue]:
    # Our own log has every field in the model's order; a line from elsewhere may not.
    values = record.values() if tuple(record) == columns else [record.get(column) for column in columns]
    return [orjson.dumps(value).decode() if value.__class__ in _NESTED else value for value in values]
