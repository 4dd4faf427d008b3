"""Alignment of series on the clock of a run: exact candles, step functions with a staleness limit, settlements.

Everything is on int64 seconds; `clock` is the ascending grid of the run. A row without a value is NaN here and a gap
for the caller: nothing is filled silently and nothing looks ahead.
"""

from typing import Final

import numpy as np

from dataflow.market.series import Seconds
from schemas.units import SECONDS_PER_HOUR, Column

FUNDING_INTERVALS: Final = (8 * SECONDS_PER_HOUR, 4 * SECONDS_PER_HOUR, 2 * SECONDS_PER_HOUR, SECONDS_PER_HOUR)
"""Settlement intervals that venues use; the first is the declared default."""


def exact_values(seconds: Seconds, values: Column, clock: Seconds) -> Column:
    """Value of the row labelled with each instant of the clock, NaN where there is none.

    >>> exact_values(np.array([0, 3600]), np.array([1.0, 2.0]), np.array([3600, 7200])).tolist()
    [2.0, nan]
    """
    at = np.minimum(np.searchsorted(seconds, clock), len(seconds) - 1)
    return np.where(seconds[at] == clock, values[at], np.nan)


def last_known_values(seconds: Seconds, values: Column, clock: Seconds, age_seconds_max: int) -> Column:
    """Last value at or before each instant of the clock, NaN before the first and beyond the age limit.

    >>> last_known_values(np.array([0, 10]), np.array([1.0, 2.0]), np.array([-1, 9, 10, 16]), 5).tolist()
    [nan, nan, 2.0, nan]
    """
    at = np.searchsorted(seconds, clock, side="right") - 1
    known = np.maximum(at, 0)
    is_fresh = (at >= 0) & (clock - seconds[known] <= age_seconds_max)
    return np.where(is_fresh, values[known], np.nan)


def funding_interval_after(seconds: Seconds) -> int:
    """Seconds from the last settlement to the next one expected: the last regular interval, 8 h when there is none."""
    regular = [int(step) for step in np.diff(seconds[-3:]) if step in FUNDING_INTERVALS]
    return regular[-1] if regular else FUNDING_INTERVALS[0]


def missing_settlements(seconds: Seconds) -> Seconds:
    """Grid points of a funding series that have no row, inside its first and last.

    The declared grid is 8 h; a venue may change its interval to 4, 2 or 1 h and back. A step longer than 8 h has
    missing points; so has a shorter one that is a multiple of the equal steps on both its sides. Missing points are
    spaced by the longer of the regular steps beside the gap, so that a gap of a plain 8 h series is filled every 8 h.

    >>> hours = np.array([0, 8, 16, 40, 48]) * 3600
    >>> (missing_settlements(hours) // 3600).tolist()
    [24, 32]
    >>> (missing_settlements(np.array([0, 8, 12, 16, 24, 28, 32]) * 3600) // 3600).tolist()
    [20]
    """
    steps = np.diff(seconds)
    if (steps == FUNDING_INTERVALS[0]).all():
        return np.empty(0, dtype=np.int64)
    missing = [
        np.arange(seconds[at] + interval, seconds[at + 1], interval)
        for at in range(len(steps))
        if (interval := _interval_across(steps, at)) < steps[at]
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *missing])


def _interval_across(steps: Seconds, at: int) -> int:
    """Seconds between the grid points inside one step; the step itself when nothing is missing in it."""
    step = int(steps[at])
    beside = [int(steps[near]) for near in (at - 1, at + 1) if 0 <= near < len(steps)]
    if step in FUNDING_INTERVALS:
        is_between_equals = len(beside) == 2 and beside[0] == beside[1]
        return beside[0] if is_between_equals and beside[0] in FUNDING_INTERVALS and step % beside[0] == 0 else step
    longest = max((interval for interval in beside if interval in FUNDING_INTERVALS), default=FUNDING_INTERVALS[0])
    return next((interval for interval in FUNDING_INTERVALS if interval <= longest and step % interval == 0), step)
