"""Months: the partitions of every mode, and the rows of a run that fall into one of them.

A month is half-open: it ends with the last row before the next one begins. Which months exist is set by the
environment, since Dagster needs to know them when it loads; the default is the span of the synthetic data set.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import dagster as dg
import numpy as np

from dataflow.records.log.instant_options import parse_instant
from dataflow.services.backtest import BacktestRequest
from schemas.errors import ConfigValidationError

FIRST_MONTH_VARIABLE: Final = "BASIS_FIRST_MONTH"
LAST_MONTH_VARIABLE: Final = "BASIS_LAST_MONTH"
_DEFAULT_FIRST_MONTH: Final = "2024-01"
_DEFAULT_LAST_MONTH: Final = "2025-12"
_KEY_FORMAT: Final = "%Y-%m"


@dataclass(frozen=True)
class Months:
    """The months that exist, both ends included, as ``2024-01``."""

    first: str = _DEFAULT_FIRST_MONTH
    last: str = _DEFAULT_LAST_MONTH

    def __post_init__(self) -> None:
        if _month(self.first) > _month(self.last):
            raise ConfigValidationError(
                f"the first month {self.first} is after the last {self.last}; exchange {FIRST_MONTH_VARIABLE} and "
                f"{LAST_MONTH_VARIABLE}",
                first=self.first,
                last=self.last,
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The months that BASIS_FIRST_MONTH and BASIS_LAST_MONTH name.

        Raises ConfigValidationError (CONFIG-003) for a text that is no month.
        """
        return cls(
            environment.get(FIRST_MONTH_VARIABLE, _DEFAULT_FIRST_MONTH),
            environment.get(LAST_MONTH_VARIABLE, _DEFAULT_LAST_MONTH),
        )

    def definition(self) -> dg.TimeWindowPartitionsDefinition:
        """The partitions as Dagster sees them."""
        after = str(_month(self.last) + 1)
        return dg.MonthlyPartitionsDefinition(start_date=self.first, end_date=after, fmt=_KEY_FORMAT)

    def before(self, month: str) -> str:
        """The month before a month."""
        return str(_month(month) - 1)


def _month(text: str) -> np.datetime64:
    try:
        month = np.datetime64(text, "M")
    except ValueError as error:
        raise ConfigValidationError(f"{text!r} is not a month; write 2024-01", month=text) from error
    if str(month) != text:
        raise ConfigValidationError(f"{text!r} is not a month; write {month}", month=text)
    return month


@dataclass(frozen=True)
class MonthOfRun:
    """The part of a run that falls into one month.

    request: the run from the first to the last row of the month. run_start: first instant of the whole run. is_first,
    is_final: whether the run begins or ends here.
    """

    month: str
    request: BacktestRequest
    run_start: str
    is_first: bool
    is_final: bool


def month_of_run(run: BacktestRequest, month: str, months: Months, step_seconds: int) -> MonthOfRun:
    """Cut one month out of a run.

    The run begins at its ``start``, else with the first month there is. It is final in the month of its ``end``;
    without ``end`` it stays open, and another month may always follow. Raises ConfigValidationError (CONFIG-003) for a
    month in which the run has no row.
    """
    first, after = _month(month).astype("datetime64[s]"), (_month(month) + 1).astype("datetime64[s]")
    last = after - np.timedelta64(step_seconds, "s")
    run_start = _month(months.first).astype("datetime64[s]") if run.start is None else parse_instant(run.start, "start")
    run_end = None if run.end is None else parse_instant(run.end, "end")
    if last < run_start or (run_end is not None and run_end < first):
        raise ConfigValidationError(
            f"the run from {run_start} to {run_end or 'the end of the data'} has no row in {month}; "
            "choose another partition, or another start and end",
            month=month,
        )
    is_final = run_end is not None and bool(run_end <= last)
    end = run_end if run_end is not None and is_final else last
    window = {"start": str(max(first, run_start)), "end": str(end)}
    return MonthOfRun(
        month=month,
        request=run.model_copy(update=window),
        run_start=str(run_start),
        is_first=bool(run_start >= first),
        is_final=is_final,
    )
