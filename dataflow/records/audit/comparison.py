"""Why the results of two runs differ: by part of the P&L, by what they were made from, and where they first part.

Wall-clock fields and ids are left out of the comparison of events: they differ between two runs of one business.
"""

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pyarrow.parquet as pq
from pydantic import JsonValue

from dataflow.records.log.reading import EventRecord, read_events
from dataflow.records.store.parquet_stages import INSTANT_COLUMN, ROWS_PER_GROUP
from dataflow.records.store.results import CONFIG_FILE, DATA_FILE, load_manifest, load_summary
from schemas.errors import LogDirectoryError
from schemas.models.events import (
    EVENT_TYPES,
    DomainEvent,
    ExposureSnapshot,
    PnLCalculation,
    PositionSnapshot,
    RiskAssessment,
)
from schemas.models.results import RunSummary
from schemas.operations import DecisionType

OF_CAPITAL: Final = "of capital"
"""Unit of the parts of runs of two share classes: the fraction of each one's capital."""

UNEXPLAINED: Final = "unexplained"

_MADE_FROM: Final = frozenset(
    (
        "mode",
        "share_class",
        "scenarios",
        "data_set",
        "synthetic",
        "start",
        "end",
        "initial_capital",
        "seed",
        "policy",
        "fault_plan",
        "data_digest",
        "code_version",
        "package_versions",
    )
)
"""Fields of the manifest that can change a result; the configuration is compared key by key."""

_VOLATILE: Final = frozenset(
    (
        "real_utc_time",
        "correlation_id",
        "pid",
        "stack_trace",
        "order",
        "operation_id",
        "operation_ids",
        "source_operation_id",
        "atomic_group_id",
    )
)
"""Fields of events that differ without a difference of business: clocks, processes, ids, places in the code."""

_OF_QUIET_ROWS: Final = frozenset((PositionSnapshot, ExposureSnapshot, RiskAssessment, PnLCalculation))
"""Events that a row without a decision has at the full detail of a log only, as it has its decision to hold."""

_Block = dict[str, np.ndarray]
"""Column name to the values of some rows."""

_DURATION: Final = "_duration_ms"
_ABSENT: Final[JsonValue] = None


@dataclass(frozen=True, slots=True)
class Part:
    """One amount of both runs."""

    name: str
    first: float
    second: float
    difference: float
    """Second less first."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is not the same in both runs; None where a run does not have it."""

    name: str
    """Path with dots."""
    first: JsonValue
    second: JsonValue


@dataclass(frozen=True, slots=True)
class FirstRow:
    """The first row of which a recorded column differs."""

    instant: str
    row: int
    """From 0."""
    columns: Mapping[str, tuple[float | None, float | None]]
    """``stage.column`` to its value in each run; None where a run has no such row or column."""


@dataclass(frozen=True, slots=True)
class FirstEvent:
    """The first event that differs, in the order of the runs."""

    number: int
    """Place among the events that were compared, from 0."""
    timestamp: str
    types: tuple[str | None, str | None]
    """Event type in each run; None where a run has ended."""
    changes: tuple[Change, ...]
    """Fields that differ; none where the types do."""


@dataclass(frozen=True)
class Comparison:
    """Two runs and why their results differ."""

    runs: tuple[str, str]
    unit: str
    """Of the parts: the share class, or ``of capital`` where the runs have two."""
    total: Part
    parts: tuple[Part, ...]
    """Parts of the P&L; with the last, ``unexplained``, their differences sum to that of the total."""
    made_from: tuple[Change, ...]
    configuration: tuple[Change, ...]
    first_row: FirstRow | None
    first_event: FirstEvent | None

    @property
    def largest_part(self) -> Part | None:
        """The part that explains most of the difference; None between equal results."""
        largest = max(self.parts, key=lambda part: abs(part.difference))
        return largest if largest.difference else None


def compare_runs(first: Path | str, second: Path | str) -> Comparison:
    """Explain the difference of the results directories of two complete runs, read as streams.

    Raises ``LogDirectoryError`` (LOG-003) where a file of the results is missing or damaged, ``LogSerialisationError``
    (LOG-004) at a damaged line of an event log.
    """
    paths = Path(first), Path(second)
    one, other = (load_summary(path) for path in paths)
    unit = one.share_class if one.share_class == other.share_class else OF_CAPITAL
    total, parts = _parts(one, other, in_capital=unit == OF_CAPITAL)
    return Comparison(
        runs=(one.run_id, other.run_id),
        unit=unit,
        total=total,
        parts=parts,
        made_from=tuple(_made_from(*paths)),
        configuration=tuple(changes(_json(paths[0] / CONFIG_FILE), _json(paths[1] / CONFIG_FILE))),
        first_row=_first_row(*paths),
        first_event=first_event(*paths, at_any_detail=_detail(paths[0]) != _detail(paths[1])),
    )


# -- amounts


def _parts(one: RunSummary, other: RunSummary, *, in_capital: bool) -> tuple[Part, tuple[Part, ...]]:
    scales = (one.initial_capital, other.initial_capital) if in_capital else (1.0, 1.0)

    def part(name: str, first: float, second: float) -> Part:
        first, second = first / scales[0], second / scales[1]
        return Part(name, first, second, second - first)

    total = part("total P&L", one.total_pnl_share_class, other.total_pnl_share_class)
    names = dict.fromkeys((*one.pnl_attribution, *other.pnl_attribution))
    parts = [part(name, one.pnl_attribution.get(name, 0.0), other.pnl_attribution.get(name, 0.0)) for name in names]
    rest = Part(
        UNEXPLAINED,
        left_over(total.first, [each.first for each in parts]),
        left_over(total.second, [each.second for each in parts]),
        left_over(total.difference, [each.difference for each in parts]),
    )
    return total, (*parts, rest)


def left_over(total: float, parts: list[float]) -> float:
    """What the parts leave of a total, rounded once.

    >>> left_over(1e16, [1e16, 1.0, 1.0])
    -2.0
    """
    return math.fsum([total, *(-part for part in parts)])


# -- what they were made from


def _made_from(first: Path, second: Path) -> Iterator[Change]:
    one, other = (load_manifest(path).model_dump(mode="json", include=set(_MADE_FROM)) for path in (first, second))
    yield from changes(one, other)
    if one["data_digest"] != other["data_digest"]:
        yield from changes(_json(first / DATA_FILE), _json(second / DATA_FILE), "data")


def changes(first: JsonValue, second: JsonValue, name: str = "") -> Iterator[Change]:
    """Yield every value that differs between two JSON values, by its path; lists of one length are compared by place.

    >>> [(change.name, change.second) for change in changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})]
    [('a.c', 3)]
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys((*first, *second)):
            yield from changes(first.get(key, _ABSENT), second.get(key, _ABSENT), f"{name}.{key}" if name else key)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for place, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from changes(one, other, f"{name}.{place}")
    elif first != second:
        yield Change(name, first, second)


def _json(path: Path) -> JsonValue:
    try:
        content: JsonValue = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise LogDirectoryError(
            f"no readable {path.name} of a run: {error}; run the backtest again", path=str(path)
        ) from error
    return content


# -- where they part


def first_event(first: Path | str, second: Path | str, *, at_any_detail: bool = False) -> FirstEvent | None:
    """Find the first event in which two logs differ; None where they tell the same story.

    at_any_detail: compare only the events that a log has at every detail, for logs of two details.
    """
    stories = (_story(path, at_any_detail=at_any_detail) for path in (first, second))
    for number, (one, other) in enumerate(zip_longest(*stories)):
        if one == other:
            continue
        types = (one[0] if one else None, other[0] if other else None)
        found = [event[1] for event in (one, other) if event is not None]
        differing = changes(found[0], found[1]) if types[0] == types[1] else ()
        return FirstEvent(number, str(found[0]["timestamp"]), types, tuple(differing))
    return None


def _detail(path: Path) -> str:
    return load_manifest(path).event_detail


def _story(path: Path | str, *, at_any_detail: bool) -> Iterator[tuple[str, EventRecord]]:
    """Every event of a run in the order in which it happened, without what is volatile."""
    kinds = [kind for kind in EVENT_TYPES if not (at_any_detail and kind in _OF_QUIET_ROWS)]
    streams = (_numbered(path, kind) for kind in kinds)
    for _, name, record in heapq.merge(*streams, key=lambda event: event[0]):
        if not (at_any_detail and record.get("decision_type") == DecisionType.HOLD):
            yield name, record


def _numbered(path: Path | str, kind: type[DomainEvent]) -> Iterator[tuple[int, str, EventRecord]]:
    for record in read_events(path, kind):
        order = record["order"]
        lasting = {name: value for name, value in record.items() if name not in _VOLATILE}
        for name in [name for name in lasting if name.endswith(_DURATION)]:
            del lasting[name]
        metadata = lasting["metadata"]
        if isinstance(metadata, dict) and not metadata.keys().isdisjoint(_VOLATILE):
            lasting["metadata"] = {name: value for name, value in metadata.items() if name not in _VOLATILE}
        yield order if isinstance(order, int) else -1, kind.__name__, lasting


def _first_row(first: Path, second: Path) -> FirstRow | None:
    """The first row with a differing column in any stage, and all columns that differ there."""
    stages = sorted({path.stem for directory in (first, second) for path in directory.glob("*.parquet")})
    found = [row for stage in stages if (row := _first_row_of(stage, first, second)) is not None]
    if not found:
        return None
    earliest = min(row.row for row in found)
    at = [row for row in found if row.row == earliest]
    return FirstRow(at[0].instant, earliest, dict(chain.from_iterable(row.columns.items() for row in at)))


def _first_row_of(stage: str, first: Path, second: Path) -> FirstRow | None:
    """The first row of one stage with a differing column; of runs with other columns, the first row."""
    row = 0
    nothing: _Block = {}
    for one, other in zip_longest(_blocks(first, stage), _blocks(second, stage), fillvalue=nothing):
        names = [name for name in dict.fromkeys((*one, *other)) if name != INSTANT_COLUMN]
        rows = max(len(block.get(INSTANT_COLUMN, ())) for block in (one, other))
        parted = [
            at for name in (INSTANT_COLUMN, *names) if (at := _parting(one.get(name), other.get(name), rows)) < rows
        ]
        if parted:
            at = min(parted)
            known = next(block[INSTANT_COLUMN] for block in (one, other) if len(block.get(INSTANT_COLUMN, ())) > at)
            values = {f"{stage}.{name}": (_value(one.get(name), at), _value(other.get(name), at)) for name in names}
            differing = {name: pair for name, pair in values.items() if not _is_same(*pair)}
            return FirstRow(str(known[at].astype("datetime64[s]")), row + at, differing)
        row += rows
    return None


def _blocks(directory: Path, stage: str) -> Iterator[_Block]:
    path = directory / f"{stage}.parquet"
    if path.is_file():
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_PER_GROUP):
                yield {
                    name: column.to_numpy(zero_copy_only=False)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }


def _parting(one: np.ndarray | None, other: np.ndarray | None, rows: int) -> int:
    """First place at which two columns differ; ``rows`` where they do not."""
    if one is None or other is None:
        return 0
    both = min(len(one), len(other))
    same = one[:both] == other[:both]
    if one.dtype.kind == other.dtype.kind == "f":
        same |= np.isnan(one[:both]) & np.isnan(other[:both])
    places = np.flatnonzero(~same)
    return int(places[0]) if len(places) else both if len(one) != len(other) else rows


def _value(column: np.ndarray | None, at: int) -> float | None:
    return float(column[at]) if column is not None and at < len(column) else None


def _is_same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))
