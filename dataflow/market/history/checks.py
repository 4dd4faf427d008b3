"""What every series must satisfy: checks of instants and values, each giving all its first faults as errors.

Faults are values (`PlatformError` instances): a run raises the first, the quality report lists them all.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from dataflow.market.series import FUNDING_RATE_MAX, Seconds, Series, ValueRule, instant_text
from schemas.errors import DataValidationError, MissingPriceError, PlatformError
from schemas.units import Column

FALL_TOLERANCE: Final = 1e-9
"""Relative fall of an index below its maximum that is rounding (domain ruling 3)."""

LineOf = Callable[[int], int]
"""Line of the file (1 is the header of a CSV) for the position of a row."""


def instant_faults(file: str, seconds: Seconds, grid_seconds: int | None, line_of: LineOf) -> list[PlatformError]:
    """Faults of the timestamps: not ascending, twice, off the grid (DATA-002); one of each kind, the first."""
    faults: list[PlatformError] = []
    steps = np.diff(seconds)
    for wrong, fact, remedy in (
        (steps < 0, "is before the one above it", "sort the file by time"),
        (steps == 0, "is there twice", "remove one of the rows"),
    ):
        if wrong.any():
            faults.append(_instant_fault(file, seconds, int(np.argmax(wrong)) + 1, line_of, fact, remedy))
    if grid_seconds is not None:
        off_grid = seconds % grid_seconds != 0
        if off_grid.any():
            fact = f"is off the grid of {grid_seconds} s"
            remedy = "label each row with a full interval in UTC"
            faults.append(_instant_fault(file, seconds, int(np.argmax(off_grid)), line_of, fact, remedy))
    return faults


def _instant_fault(file: str, seconds: Seconds, row: int, line_of: LineOf, fact: str, remedy: str) -> PlatformError:
    instant, line = instant_text(seconds[row]), line_of(row)
    return DataValidationError(
        f"{file} line {line}: timestamp {instant} {fact}: {remedy}",
        file=file,
        column="timestamp",
        row=line,
        instant=instant,
    )


def value_faults(series: Series, rules: Mapping[str, ValueRule], line_of: LineOf) -> list[PlatformError]:
    """Faults of the values, the first of each kind in each column.

    A missing price is MissingPriceError (DATA-005), everything else DataValidationError (DATA-002).
    """
    faults: list[PlatformError] = []
    for column, rule in rules.items():
        if column not in series.values:
            continue
        values = series.values[column]
        for wrong, kind, fact in _violations(values, rule):
            if wrong.any():
                row = int(np.argmax(wrong))
                line, instant, value = line_of(row), instant_text(series.seconds[row]), _number(values[row])
                faults.append(
                    kind(
                        f"{series.path.name} line {line}: {column} at {instant} is {value}, {fact}",
                        file=series.path.name,
                        column=column,
                        row=line,
                        instant=instant,
                        value=value,
                    )
                )
    return faults


def _number(value: np.float64) -> float | str:
    """Return a JSON number, or the text of what JSON cannot say."""
    return float(value) if np.isfinite(value) else str(float(value))


_Violation = tuple[npt.NDArray[np.bool_], type[PlatformError], str]


def _violations(values: Column, rule: ValueRule) -> list[_Violation]:
    missing = np.isnan(values)
    is_price = rule in {ValueRule.PRICE, ValueRule.INDEX}
    absent: type[PlatformError] = MissingPriceError if is_price else DataValidationError
    found: list[_Violation] = [
        (missing, absent, "a missing value: fill the cell from its source or drop the row"),
        (np.isinf(values), DataValidationError, "not a finite number: correct the cell"),
    ]
    if is_price:
        found.append((values <= 0.0, DataValidationError, "not above zero: correct the cell"))
    if rule is ValueRule.INDEX:
        fact = f"a fall of more than {FALL_TOLERANCE:g} of itself in a series that never falls: correct the cell"
        highest = np.fmax.accumulate(values)
        found.append((values < highest * (1.0 - FALL_TOLERANCE), DataValidationError, fact))
    if rule is ValueRule.NON_NEGATIVE:
        found.append((values < 0.0, DataValidationError, "below zero: correct the cell"))
    if rule is ValueRule.FRACTION:
        outside = (values < 0.0) | (values > 1.0)
        found.append((outside, DataValidationError, "not between 0 and 1: write a fraction, 70 % is 0.7"))
    if rule is ValueRule.FUNDING:
        fact = f"beyond {FUNDING_RATE_MAX:g} of notional a settlement: rates are fractions, 1 bp is 0.0001"
        found.append((np.isfinite(values) & (np.abs(values) > FUNDING_RATE_MAX), DataValidationError, fact))
    return found


def clip_falls(values: Column) -> tuple[Column, int]:
    """Return the running maximum of an index and the number of values that it raised (rounding, domain ruling 3).

    >>> clipped, count = clip_falls(np.array([1.0, 1.1, 1.1 - 1e-12, 1.2]))
    >>> clipped.tolist(), count
    ([1.0, 1.1, 1.1, 1.2], 1)
    """
    clipped = np.maximum.accumulate(values)
    return clipped, int(np.count_nonzero(values < clipped))
