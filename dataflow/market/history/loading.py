"""`load_market`: read, validate and align what a request needs; `coverage`: the window that a data set can serve."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from dataflow.market.history.alignment import funding_interval_after
from dataflow.market.history.checks import clip_falls
from dataflow.market.history.columns import BuiltColumn, build_columns
from dataflow.market.history.data_set import DataSet, open_data_set, with_files
from dataflow.market.history.needs import SeriesNeed, series_needs, wanted_columns
from dataflow.market.history.readers import read_series
from dataflow.market.history.rewards import reward_payouts
from dataflow.market.market import Market, MarketRequest, Provenance, SeriesCoverage
from dataflow.market.series import Seconds, Series, SeriesKind, ValueRule, instant_text
from schemas.errors import DataGapError, DataValidationError
from schemas.units import INSTANT_DTYPE, SECONDS_PER_DAY, SECONDS_PER_HOUR, Column, Instants

_READ_THREADS: Final = min(4, os.cpu_count() or 1)

_Array = TypeVar("_Array", Column, Instants)

_HELD_SECONDS: Final[Mapping[SeriesKind, int]] = {
    SeriesKind.LENDING_INDEX: SECONDS_PER_DAY,
    SeriesKind.LST_ORACLE: SECONDS_PER_DAY,
    SeriesKind.GAS: 7 * SECONDS_PER_HOUR,
}
"""Seconds after its last row, exclusive, that a series still covers: one day for daily facts, 6 h as-of for gas."""


@dataclass(frozen=True)
class _Coverage:
    """First and last second, both inclusive, that a request can use, and per series what limits them."""

    first: int
    last: int
    by_series: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class _Aligned:
    """Columns on the clock, look-back rows included, before gaps are judged."""

    data_set: DataSet
    series: Mapping[str, Series]
    clipped: Mapping[str, int]
    clock: Seconds
    first_row: int
    built: Sequence[BuiltColumn]


def load_market(data_set: Path, request: MarketRequest) -> Market:
    """Read, validate and align the columns of a request.

    Raises DataSourceUnavailableError (DATA-003) for an absent data set or series, DataValidationError (DATA-002) and
    MissingPriceError (DATA-005) for faults of a file, DataGapError (DATA-004) for a window that is not covered or a
    gap without a fill rule, ConfigValidationError (CONFIG-003) for a request that makes no sense.
    """
    aligned = _align(with_files(open_data_set(data_set), request.files), request)
    faults, dropped = _gap_faults(aligned, request)
    if faults:
        raise faults[0]
    return Market(
        instants=_read_only(aligned.clock[dropped:].astype(INSTANT_DTYPE)),
        first_row=aligned.first_row - dropped,
        columns={column.name: _read_only(_kept_rows(column.values, dropped)) for column in aligned.built},
        axes={column.name: column.labels for column in aligned.built if column.values.ndim == 2},
        provenance=_provenance(aligned, dropped),
        payouts=reward_payouts(aligned.series, request.reward_tokens),
    )


def gap_faults(data_set: Path, request: MarketRequest) -> list[DataGapError]:
    """Every gap that would stop a run with this request, one fault a series and column.

    Raises as `load_market` for everything that is not a gap.
    """
    return _gap_faults(_align(with_files(open_data_set(data_set), request.files), request), request)[0]


def coverage(data_set: Path, request: MarketRequest) -> tuple[np.datetime64, np.datetime64]:
    """First and last instant, both usable as rows, at which every series of the request has a value.

    Ignores the `start` and `end` of the request. Raises as `load_market`; DataGapError when there is no such window.
    """
    opened = with_files(open_data_set(data_set), request.files)
    needs = series_needs(request, opened)
    series, _ = _clipped(_read_all(opened, needs))
    covered = _coverage(series, needs, request)
    return np.datetime64(covered.first, "s"), np.datetime64(covered.last, "s")


def _align(data_set: DataSet, request: MarketRequest) -> _Aligned:
    needs = series_needs(request, data_set)
    series, clipped = _clipped(_read_all(data_set, needs))
    covered = _coverage(series, needs, request)
    start, end = _window(request, covered)
    step = request.step_seconds
    look_back_start = max(start - request.look_back_rows * step, covered.first)
    clock = np.arange(look_back_start, end + step, step, dtype=np.int64)
    built = build_columns(request, needs, series, clock)
    return _Aligned(data_set, series, clipped, clock, (start - look_back_start) // step, built)


def _read_all(data_set: DataSet, needs: Sequence[SeriesNeed]) -> dict[str, Series]:
    """Read each series once, with all the columns that some need wants; files side by side."""
    columns = wanted_columns(needs)
    with ThreadPoolExecutor(_READ_THREADS) as pool:
        pending = [
            pool.submit(read_series, data_set, name, tuple(purposes), next(iter(purposes.values())))
            for name, purposes in columns.items()
        ]
        return {name: future.result() for name, future in zip(columns, pending, strict=True)}


def _clipped(series: Mapping[str, Series]) -> tuple[dict[str, Series], dict[str, int]]:
    """Raise the rounding falls of indexes to their running maximum; count them by `series.column=clipped`."""
    result: dict[str, Series] = {}
    counts: dict[str, int] = {}
    for name, one in series.items():
        values: dict[str, Column] = {}
        for column, raw in one.values.items():
            values[column] = raw
            if one.spec.rules[column] is ValueRule.INDEX:
                values[column], count = clip_falls(raw)
                counts |= {f"{name}.{column}=clipped": count} if count else {}
        result[name] = Series(one.spec, one.path, one.seconds, values, one.digest)
    return result, counts


def _coverage(series: Mapping[str, Series], needs: Sequence[SeriesNeed], request: MarketRequest) -> _Coverage:
    """Window common to all series that are not optional; first rounded up and last down to the clock."""
    step = request.step_seconds
    by_series: dict[str, tuple[int, int]] = {}
    for need in [need for need in needs if not need.is_optional] or needs:
        name = need.substitute or need.series
        by_series[name] = (int(series[name].seconds[0]), _last_covered(series[name]))
    first = -(-max(first for first, _ in by_series.values()) // step) * step
    last = min(last for _, last in by_series.values()) // step * step
    if first > last:
        raise DataGapError(
            f"the series have no instant in common ({_listing(by_series)}): use series of one period", window="none"
        )
    return _Coverage(first, last, by_series)


def _last_covered(series: Series) -> int:
    """Last second at which the series says something about the present."""
    last = int(series.seconds[-1])
    if series.spec.kind is SeriesKind.FUNDING:
        return last + funding_interval_after(series.seconds) - 1
    return last + _HELD_SECONDS.get(series.spec.kind, 1) - 1


def _listing(by_series: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {instant_text(first)}..{instant_text(last)}" for name, (first, last) in by_series.items())


def _window(request: MarketRequest, covered: _Coverage) -> tuple[int, int]:
    """Seconds of the first and last row of the run; raises when they are off the clock or not covered."""
    start = covered.first if request.start is None else _seconds_of(request.start)
    end = covered.last if request.end is None else _seconds_of(request.end)
    for name, instant in (("start", start), ("end", end)):
        if instant % request.step_seconds:
            raise DataValidationError(
                f"{name} {instant_text(instant)} is off the clock of {request.step_seconds} s: use a full interval",
                field=name,
                value=instant_text(instant),
            )
    if start > end and request.start is not None and request.end is not None:
        raise DataValidationError(
            f"start {instant_text(start)} is after end {instant_text(end)}: exchange them",
            field="start",
            value=instant_text(start),
        )
    for name, instant in (("start", start), ("end", end)):
        if not covered.first <= instant <= covered.last:
            _refuse_window(name, instant, covered)
    return start, end


def _seconds_of(instant: np.datetime64) -> int:
    return int(instant.astype(INSTANT_DTYPE).astype(np.int64))


def _refuse_window(name: str, instant: int, covered: _Coverage) -> None:
    limits = covered.by_series
    is_early = instant < covered.first
    series = max(limits, key=lambda one: limits[one][0]) if is_early else min(limits, key=lambda one: limits[one][1])
    window = f"{instant_text(covered.first)}..{instant_text(covered.last)}"
    raise DataGapError(
        f"{name} {instant_text(instant)} is {'before' if is_early else 'after'} the data of {series}: "
        f"all series together cover {window}; choose a window inside",
        field=name,
        value=instant_text(instant),
        series=series,
        covered=window,
    )


def _gap_faults(aligned: _Aligned, request: MarketRequest) -> tuple[list[DataGapError], int]:
    """Gaps inside the run as faults, and how many look-back rows to drop because of gaps before it."""
    faults: list[DataGapError] = []
    dropped = 0
    gaps = (gap for column in aligned.built if column.name not in request.required_when_used for gap in column.gaps)
    for gap in gaps:
        before = np.flatnonzero(gap.rows[: aligned.first_row])
        dropped = max(dropped, int(before[-1]) + 1 if before.size else 0)
        inside = np.flatnonzero(gap.rows[aligned.first_row :])
        if inside.size:
            first = instant_text(aligned.clock[aligned.first_row + inside[0]])
            faults.append(
                DataGapError(
                    f"{gap.series} has no usable value for {gap.purpose} at {first} "
                    f"({inside.size} rows missing in the window): {gap.remedy}",
                    series=gap.series,
                    column=gap.purpose,
                    instant=first,
                    rows=int(inside.size),
                )
            )
    return faults, dropped


def _kept_rows(values: Column, dropped: int) -> Column:
    return np.asfortranarray(values[dropped:]) if values.ndim == 2 else values[dropped:]


def _read_only(array: _Array) -> _Array:
    array.setflags(write=False)
    return array


def _provenance(aligned: _Aligned, dropped: int) -> Provenance:
    series = aligned.series
    digest = hashlib.sha256()
    for name in sorted(series):
        digest.update(f"{series[name].path.name} {series[name].digest}\n".encode())
    fills = {key: count for column in aligned.built for key, count in column.fill_counts(dropped).items()}
    fills |= aligned.clipped
    missing = {column.name: sum(int(gap.rows[dropped:].sum()) for gap in column.gaps) for column in aligned.built}
    warnings = [f"{count} rows of {name} have no value" for name, count in missing.items() if count]
    warnings += [f"{count} values filled: {rule}" for rule, count in fills.items()]
    return Provenance(
        name=aligned.data_set.name,
        path=str(aligned.data_set.path),
        digest=digest.hexdigest(),
        synthetic=aligned.data_set.synthetic,
        fills=fills,
        coverage={
            name: SeriesCoverage(instant_text(one.seconds[0]), instant_text(one.seconds[-1]), len(one.seconds))
            for name, one in series.items()
        },
        warnings=tuple(warnings),
    )
