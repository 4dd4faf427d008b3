"""The quality report of a data set: for every series its extent, gaps and all faults at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dataflow.market.history.alignment import missing_settlements
from dataflow.market.history.checks import clip_falls
from dataflow.market.history.data_set import DataSet, open_data_set, with_files
from dataflow.market.history.loading import coverage, gap_faults
from dataflow.market.history.needs import series_needs, wanted_columns
from dataflow.market.history.readers import read_unchecked, series_faults
from dataflow.market.market import MarketRequest
from dataflow.market.series import Seconds, Series, SeriesKind, SeriesSpec, ValueRule, instant_text, series_spec
from schemas.errors import PlatformError


@dataclass(frozen=True)
class MissingRows:
    """Consecutive grid points without a row; `first` and `last` are the missing instants (ISO-8601, UTC)."""

    first: str
    last: str
    rows: int


@dataclass(frozen=True)
class SeriesQuality:
    """What one series holds.

    `step_seconds` is the most frequent step (None for fewer than two rows), `duplicates` counts rows at an instant
    already seen, `clipped_falls` counts falls of an index within rounding. An unreadable series has no rows and its
    fault.
    """

    series: str
    file: str
    rows: int
    first: str | None
    last: str | None
    step_seconds: int | None
    gaps: tuple[MissingRows, ...]
    duplicates: int
    clipped_falls: int
    faults: tuple[PlatformError, ...]


@dataclass(frozen=True)
class QualityReport:
    """Quality of every series looked at, and of the request as a whole when there is one.

    `covered` is the window common to the series of the request; `request_faults` are those that no single file shows.
    """

    data_set: str
    path: str
    synthetic: bool
    series: tuple[SeriesQuality, ...]
    covered: tuple[np.datetime64, np.datetime64] | None
    request_faults: tuple[PlatformError, ...]

    @property
    def faults(self) -> tuple[PlatformError, ...]:
        """Every fault, those of the series first."""
        return (*(fault for one in self.series for fault in one.faults), *self.request_faults)


def check_data_set(data_set: Path, request: MarketRequest | None = None) -> QualityReport:
    """Check every series of a data set, or those that a request needs; faults are listed, not raised.

    Raises DataSourceUnavailableError (DATA-003) or DataValidationError (DATA-002) only when the directory itself or
    its `data_set.json` cannot be read, and ConfigValidationError (CONFIG-003) for a request that makes no sense.
    """
    opened = open_data_set(data_set)
    if request is not None:
        opened = with_files(opened, request.files)
    wanted = _wanted_columns(opened, request)
    series = tuple(_series_quality(opened, name, columns) for name, columns in sorted(wanted.items()))
    covered: tuple[np.datetime64, np.datetime64] | None = None
    faults: list[PlatformError] = []
    if request is not None and not any(one.faults for one in series):
        try:
            covered = coverage(data_set, request)
            faults.extend(gap_faults(data_set, request))
        except PlatformError as fault:
            faults.append(fault)
    return QualityReport(opened.name, str(opened.path), opened.synthetic, series, covered, tuple(faults))


def _wanted_columns(data_set: DataSet, request: MarketRequest | None) -> dict[str, dict[str, str]]:
    """Columns to check by series, each with what needs it; without a request every ruled column of every file."""
    if request is None:
        return {name: dict.fromkeys(series_spec(name).rules, "") for name in data_set.files}
    return wanted_columns(series_needs(request, data_set))


def _series_quality(data_set: DataSet, name: str, columns: Mapping[str, str]) -> SeriesQuality:
    try:
        path = data_set.file_of(name, next(iter(columns.values()), ""))
    except PlatformError as fault:
        return SeriesQuality(name, "", 0, None, None, None, (), 0, 0, (fault,))
    series, faults = _read_what_can_be(path, series_spec(name), tuple(columns))
    if series is None:
        return SeriesQuality(name, path.name, 0, None, None, None, (), 0, 0, faults)
    seconds = series.seconds
    steps = np.diff(seconds)
    frequent, counts = np.unique(steps[steps > 0], return_counts=True)
    return SeriesQuality(
        series=name,
        file=path.name,
        rows=len(seconds),
        first=instant_text(seconds.min()),
        last=instant_text(seconds.max()),
        step_seconds=int(frequent[np.argmax(counts)]) if frequent.size else None,
        gaps=_gaps(series),
        duplicates=len(seconds) - len(np.unique(seconds)),
        clipped_falls=_rounding_falls(series),
        faults=(*faults, *series_faults(series)),
    )


def _read_what_can_be(
    path: Path, spec: SeriesSpec, columns: Sequence[str]
) -> tuple[Series | None, tuple[PlatformError, ...]]:
    """Read the columns together; when that fails read them one by one, so that each shows its own fault."""
    try:
        return read_unchecked(path, spec, columns), ()
    except PlatformError as joint_fault:
        if len(columns) < 2:
            return None, (joint_fault,)
    readable: list[Series] = []
    faults: dict[str, PlatformError] = {}
    for column in columns:
        try:
            readable.append(read_unchecked(path, spec, (column,)))
        except PlatformError as fault:
            faults.setdefault(fault.message, fault)
    if not readable:
        return None, tuple(faults.values())
    values = {name: one for series in readable for name, one in series.values.items()}
    return replace(readable[0], values=values), tuple(faults.values())


def _gaps(series: Series) -> tuple[MissingRows, ...]:
    """Find the runs of missing grid points; none for an irregular series."""
    grid = series.spec.grid_seconds
    present = np.unique(series.seconds)
    if grid is None or len(present) < 2:
        return ()
    if series.spec.kind is SeriesKind.FUNDING:
        return _runs_between(present, missing_settlements(present))
    return tuple(
        MissingRows(instant_text(before + grid), instant_text(before + rows * grid), rows)
        for before, rows in _wide_steps(present, grid)
    )


def _wide_steps(present: Seconds, grid: int) -> list[tuple[int, int]]:
    """Instant before each hole of a regular grid and the number of points missing in it."""
    steps = np.diff(present)
    return [(int(present[at]), int((steps[at] - 1) // grid)) for at in np.flatnonzero(steps > grid)]


def _runs_between(present: Seconds, missing: Seconds) -> tuple[MissingRows, ...]:
    """Group missing instants by the hole between two present ones."""
    holes = np.searchsorted(present, missing)
    runs = [missing[holes == hole] for hole in np.unique(holes)]
    return tuple(MissingRows(instant_text(run[0]), instant_text(run[-1]), len(run)) for run in runs)


def _rounding_falls(series: Series) -> int:
    """Falls of index columns that reading would clip; 0 for a series that has worse faults."""
    indexes = [name for name, rule in series.spec.rules.items() if rule is ValueRule.INDEX and name in series.values]
    return sum(clip_falls(series.values[name])[1] for name in indexes)
