"""Statistics of an equity curve with capital flows: returns, drawdown, Sharpe ratio. [domain] ruling 24.

Flows are removed as a fund does it: capital buys units at the value of one just before it arrives, and sells them when
it leaves. The value of a unit begins at 1 and moves with the strategy alone.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from schemas.units import DAYS_PER_YEAR, SECONDS_PER_DAY, Column, Instants

_SHARPE_DAYS_MIN = 30
_DAYS_PER_SHARPE_YEAR = 365.0
_DAYS_PER_RATE_YEAR = 365.0
_IRR_YEAR_SECONDS: Final = _DAYS_PER_RATE_YEAR * SECONDS_PER_DAY
_LEAST_LEFT: Final = 1e-9
"""Of a flow: equity below it is rounding, and no unit is left."""
_GROWTH_MAX: Final = 700.0
"""Of a logarithm: beyond it float64 overflows."""


class FlowHistory(NamedTuple):
    """Every flow of a run, the initial capital first; each vector (flows,).

    seconds: epoch seconds. amounts: share class, > 0 is paid in. equity_before: share class, just before the flow.
    """

    seconds: Column
    amounts: Column
    equity_before: Column


def unit_values(instants: Instants, equity: Column, flows: FlowHistory) -> Column:
    """Value of one unit of the fund at each row: 1 at the start, untouched by flows.

        units after a flow = (equity before + flow) / value of a unit before

    instants, equity: (rows,), share class. Where everything was paid out the value stays until capital comes back.

    >>> hours = np.array(["2024-01-01T00", "2024-01-01T01", "2024-01-01T02"], dtype="datetime64[s]")
    >>> start = float(hours[0].astype(np.int64))
    >>> flows = FlowHistory(np.array([start, start + 7_200]), np.array([100.0, 50.0]), np.array([0.0, 120.0]))
    >>> unit_values(hours, np.array([100.0, 110.0, 170.0]), flows).round(6).tolist()
    [1.0, 1.1, 1.2]
    """
    units, kept = np.zeros(len(flows.seconds)), np.zeros(len(flows.seconds))
    value = 1.0
    for at, (amount, before) in enumerate(zip(flows.amounts.tolist(), flows.equity_before.tolist(), strict=True)):
        if at > 0 and units[at - 1] > 0.0:
            value = before / units[at - 1]
        after = before + amount
        is_left = value > 0.0 and after > _LEAST_LEFT * abs(amount)
        units[at], kept[at] = (after / value if is_left else 0.0), value
    last = np.searchsorted(flows.seconds, instants.astype(np.int64).astype(np.float64), side="right") - 1
    held = units[last]
    return np.where(held > 0.0, equity / np.where(held > 0.0, held, 1.0), kept[last])


def money_weighted_return(flows: FlowHistory, end_seconds: float, final_equity: float) -> float | None:
    """Yearly internal rate of return of the capital, act/365.

        sum of flow (1 + r) ** ((end - instant) / 365 days) = final equity

    None for an empty span, or where no rate solves it: all capital lost, or more paid out than rates can explain.

    >>> seconds = np.array([0.0, 182.5 * 86_400])
    >>> flows = FlowHistory(seconds, np.array([100.0, 100.0]), np.array([0.0, 105.0]))
    >>> round(money_weighted_return(flows, 365 * 86_400.0, 100 * 1.1 + 100 * 1.1**0.5), 6)
    0.1
    """
    years = (end_seconds - flows.seconds) / _IRR_YEAR_SECONDS
    if years[0] <= 0.0:
        return None

    def excess(growth: float) -> float:
        """What the flows would have become at a rate, over what they did; rises with the rate near the answer."""
        return float(np.sum(flows.amounts * np.exp(growth * years))) - final_equity

    bracket = _bracket(excess, _GROWTH_MAX / float(years[0]))
    if bracket is None:
        return None
    low, high = bracket
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if (excess(middle) > 0.0) == (excess(low) > 0.0) else (low, middle)
    return float(np.expm1(middle)) if middle < _GROWTH_MAX else None


def _bracket(excess: Callable[[float], float], widest: float) -> tuple[float, float] | None:
    """The least span around 0 at whose ends the function has different signs; None where there is none."""
    reach = min(1e-3, widest)
    while reach <= widest:
        if excess(-reach) * excess(reach) <= 0.0:
            return -reach, reach
        reach *= 2.0
    return None


def annualised_return(total_return: float, days: float) -> float | None:
    """Compound yearly return of a total return earned over a span.

        (1 + total) ** (365.25 / days) - 1

    total_return: fraction, > -1. None for an empty span, a loss of everything, or a figure beyond float64.

    >>> round(annualised_return(0.05, 365.25), 6)
    0.05
    """
    if days <= 0.0 or total_return <= -1.0:
        return None
    try:
        return float((1.0 + total_return) ** (DAYS_PER_YEAR / days) - 1.0)
    except OverflowError:
        return None


def drawdowns(equity: Column) -> Column:
    """Fall from the highest equity so far, as a positive fraction of it.

    equity: (rows,), share class, after trading. Returns (rows,).

    >>> drawdowns(np.array([100.0, 120.0, 90.0, 130.0])).tolist()
    [0.0, 0.0, 0.25, 0.0]
    """
    fallen: Column = 1.0 - equity / np.maximum.accumulate(equity)
    return fallen


def max_drawdown(equity: Column) -> float:
    """Deepest fall from a peak, as a positive fraction of the peak.

    equity: (rows,), share class, after trading.

    >>> max_drawdown(np.array([100.0, 120.0, 90.0, 130.0]))
    0.25
    """
    return float(np.max(drawdowns(equity)))


def growth_of_rows(equity: Column, invested: Column) -> Column:
    """Growth of each row, flows removed: what the equity of the row before became, before the row's flow.

    equity, invested: (rows,); ``invested`` is what was paid in so far, > 0 on the first row, in the unit of the equity.
    Returns (rows,), 1 where nothing was held.

    >>> growth_of_rows(np.array([100.0, 110.0, 131.0]), np.array([100.0, 100.0, 110.0])).round(6).tolist()
    [1.0, 1.1, 1.1]
    """
    before = np.concatenate([invested[:1], equity[:-1]])
    earned = np.concatenate([equity[:1], equity[1:] - np.diff(invested)])
    held = before > _LEAST_LEFT * float(np.max(np.abs(invested)))
    return np.where(held, earned / np.where(held, before, 1.0), 1.0)


def monthly_returns(instants: Instants, equity: Column, invested: Column) -> dict[str, float]:
    """Time-weighted return of each calendar month (UTC), by month as ``2024-05``: its rows' growth, multiplied.

    Arguments as for ``growth_of_rows``, and instants (rows,).

    >>> instants = np.array(["2024-01-01", "2024-01-31", "2024-02-29"], dtype="datetime64[s]")
    >>> months = monthly_returns(instants, np.array([100.0, 110.0, 131.0]), np.array([100.0, 100.0, 110.0]))
    >>> {month: round(value, 6) for month, value in months.items()}
    {'2024-01': 0.1, '2024-02': 0.1}
    """
    months = instants.astype("datetime64[M]")
    starts = np.flatnonzero(np.concatenate([[True], months[1:] != months[:-1]]))
    returns = np.multiply.reduceat(growth_of_rows(equity, invested), starts) - 1.0
    return {str(month): float(value) for month, value in zip(months[starts], returns, strict=True)}


def trailing_rate(instants: Instants, index: Column, days: float) -> Column:
    """Simple yearly rate (365 days) at which an index grew over the last ``days``; NaN before so many have passed.

    instants, index: (rows,), index > 0. Returns (rows,), fraction a year.

    >>> instants = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[s]")
    >>> trailing_rate(instants, np.array([1.0, 1.0001, 1.0003]), 1.0).round(4).tolist()
    [nan, 0.0365, 0.073]
    """
    seconds = instants.astype(np.int64)
    earlier = np.searchsorted(seconds, seconds - int(days * SECONDS_PER_DAY), side="right") - 1
    grown = index / index[np.maximum(earlier, 0)] - 1.0
    rate: Column = np.where(earlier >= 0, grown * _DAYS_PER_RATE_YEAR / days, np.nan)
    return rate


def daily_returns(instants: Instants, equity: Column) -> Column:
    """Simple returns between consecutive 00:00 UTC rows.

    instants, equity: (rows,). Returns (days - 1,).

    >>> instants = np.array(["2024-01-01T00", "2024-01-01T12", "2024-01-02T00"], dtype="datetime64[s]")
    >>> daily_returns(instants, np.array([100.0, 50.0, 101.0])).round(6).tolist()
    [0.01]
    """
    midnights = equity[instants.astype(np.int64) % SECONDS_PER_DAY == 0]
    daily: Column = midnights[1:] / midnights[:-1] - 1.0
    return daily


def sharpe_ratio(instants: Instants, equity: Column) -> float | None:
    """Mean over standard deviation of daily returns, times the square root of 365; risk-free rate 0.

    None with fewer than 30 daily returns or no deviation.

    >>> sharpe_ratio(np.arange(3).astype("datetime64[D]").astype("datetime64[s]"), np.array([1.0, 1.1, 1.2])) is None
    True
    """
    returns = daily_returns(instants, equity)
    if len(returns) < _SHARPE_DAYS_MIN:
        return None
    deviation = float(returns.std(ddof=1))
    if deviation == 0.0:
        return None
    return float(returns.mean()) / deviation * float(np.sqrt(_DAYS_PER_SHARPE_YEAR))
