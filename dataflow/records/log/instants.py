"""Instants as the text of the logs: ISO 8601 in UTC, written without an offset, read with or without one."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import orjson

Clock = Callable[[], datetime]
"""Returns the present instant, aware, in UTC."""


def utc_now() -> datetime:
    """Return the wall clock, aware, in UTC."""
    return datetime.now(UTC)


def instant_text(instant: datetime | np.datetime64 | str) -> str:
    """Return an instant as logs show it, without offset; aware datetimes are converted to UTC, texts are kept.

    >>> instant_text(np.datetime64("2024-05-12T00:00", "ns"))
    '2024-05-12T00:00:00'
    >>> instant_text(datetime(2024, 5, 12, 1, 2, 3, 4, tzinfo=UTC))
    '2024-05-12T01:02:03.000004'
    >>> from pandas import Timestamp
    >>> instant_text(Timestamp("2024-05-12T03:00", tz="Europe/Paris"))
    '2024-05-12T01:00:00'
    """
    if isinstance(instant, str):
        return instant
    if isinstance(instant, np.datetime64):
        return str(instant.astype("datetime64[s]"))
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    in_utc = aware.astimezone(UTC)
    if type(in_utc) is not datetime:  # a subclass, such as that of pandas
        return in_utc.replace(tzinfo=None).isoformat()
    return orjson.dumps(in_utc)[1:-7].decode()  # less quotes and +00:00: a third of isoformat's time


def parse_instant(text: str) -> datetime:
    """Return the aware UTC datetime of a log's text, with or without an offset.

    >>> parse_instant("2024-05-12T02:00:00+02:00") == parse_instant("2024-05-12T00:00:00")
    True
    """
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
