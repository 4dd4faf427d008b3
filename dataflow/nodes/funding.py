"""Funding as a rate per time: each venue's settlement interval, read from the data, and the trailing rate a year.

Rates of venues that settle every hour, every four or every eight are compared only after they were divided by the hours
that they cover; the one node that annualises is ``funding_trailing_apr``. Like all market nodes these depend on the
data and parameters alone and are computed once a run.
"""

from typing import Final

import numpy as np
from hamilton.function_modifiers import tag

from dataflow.maths.perps import settlement_intervals_hours
from schemas.units import HOURS_PER_DAY, HOURS_PER_YEAR, Column, frozen, sum_columns

_TRAILING_HOURS: Final = HOURS_PER_DAY
"""What the trailing rate looks back on: three settlements of eight hours ([domain] ruling 15)."""


@tag(stage="market", unit="flag")
def funding_settles(funding_settled: Column) -> Column:
    """1 on rows where at least one venue settles funding, else 0.

    Shape:  (rows,).
    Source: [domain] ruling 5.

    >>> funding_settles(np.array([[0.0, 0.0], [1.0, 0.0]])).tolist()
    [0.0, 1.0]
    """
    return frozen(np.minimum(sum_columns(funding_settled), 1.0))


@tag(stage="market", unit="hours", axis="venues", look_back_hours="72")
def funding_interval_hours(funding_settled: Column, row_hours: float) -> Column:
    """Settlement interval of each venue as known at the row: hours between its last two settlements, 0 before.

    Shape:  (rows, venues).
    Units:  hours.
    Source: [domain] ruling 5; a venue may change its interval.

    >>> settled = np.array([[1.0], [0.0], [1.0], [0.0], [0.0], [1.0]])
    >>> funding_interval_hours(settled, 4.0).ravel().tolist()
    [0.0, 0.0, 8.0, 8.0, 8.0, 12.0]
    """
    return frozen(settlement_intervals_hours(funding_settled, row_hours))


@tag(stage="market", unit="flag", look_back_hours="72")
def funding_known(funding_settled: Column, funding_interval_hours: Column) -> Column:
    """1 once every venue's settlements cover the hours of the trailing rate, else 0.

    Shape:  (rows,).
    Source: [domain] ruling 15: none known, no entry.

    >>> settled = np.array([[1.0], [1.0], [1.0]])
    >>> funding_known(settled, funding_interval_hours(settled, 8.0)).tolist()
    [0.0, 0.0, 1.0]
    """
    covered = np.add.accumulate(_covered_hours(funding_settled, funding_interval_hours))
    is_known = (funding_interval_hours > 0.0) & (covered >= _TRAILING_HOURS)
    return frozen(np.all(is_known, axis=1).astype(np.float64))


@tag(stage="market", unit="fraction_per_year", look_back_hours="72")
def funding_trailing_apr(
    funding_rate: Column,
    funding_settled: Column,
    funding_interval_hours: Column,
    funding_known: Column,
    hedge_allocation: Column,
    row_hours: float,
) -> Column:
    """Funding that the book's shorts were paid over the last 24 hours, as a yearly rate; 0 until it is known.

        sum over venues of allocation x (sum of settled rates / sum of the hours that they cover) x hours of a year

    Shape:  (rows,).
    Units:  fraction of notional per year of 365.25 days.
    Sign:   > 0 is received by shorts.
    Source: [domain] ruling 15; ADR 0026.

    >>> rate, settled = np.full((3, 1), 0.0001), np.ones((3, 1))
    >>> interval = funding_interval_hours(settled, 8.0)
    >>> known = funding_known(settled, interval)
    >>> funding_trailing_apr(rate, settled, interval, known, np.ones(1), 8.0).round(6).tolist()
    [0.0, 0.0, 0.109575]
    """
    rows = round(_TRAILING_HOURS / row_hours)
    rates = _trailing_sum(funding_rate, rows)
    hours = _trailing_sum(_covered_hours(funding_settled, funding_interval_hours), rows)
    hourly = np.divide(rates, hours, out=np.zeros_like(rates), where=hours > 0.0)
    return frozen(np.where(funding_known > 0.0, sum_columns(hourly * hedge_allocation) * HOURS_PER_YEAR, 0.0))


def _covered_hours(settled: Column, interval_hours: Column) -> Column:
    """Hours that the settlement of each row covers: those since the one before; the first covers as many as the second.

    What the first one covers is known at the second only, and nothing is called known before.
    """
    covered = np.where(settled > 0.0, interval_hours, 0.0)
    for venue, flags in enumerate(settled.T):
        at = np.flatnonzero(flags)
        if len(at) > 1:
            covered[at[0], venue] = interval_hours[at[1], venue]
    return covered


def _trailing_sum(values: Column, rows: int) -> Column:
    """Sum over the last ``rows`` rows of each column, oldest first, so that no sum depends on where the data begin."""
    total = np.zeros_like(values)
    for lag in reversed(range(min(rows, len(values)))):
        total[lag:] += values[: len(values) - lag]
    return total
