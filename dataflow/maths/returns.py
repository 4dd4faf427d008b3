"""Statistics of an equity curve: total and annualised return, drawdown, Sharpe ratio. [domain] ruling 24."""

import numpy as np

from schemas.units import DAYS_PER_YEAR, SECONDS_PER_DAY, Column, Instants

_SHARPE_DAYS_MIN = 30
_DAYS_PER_SHARPE_YEAR = 365.0
_DAYS_PER_RATE_YEAR = 365.0


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


def monthly_returns(instants: Instants, equity: Column, invested: Column) -> dict[str, float]:
    """Time-weighted return of each calendar month (UTC), by month as ``2024-05``; their product is the total return.

    A flow counts at the start of the row that books it. instants, equity, invested: (rows,); ``invested`` is what was
    paid in so far, > 0 on the first row, in the unit of the equity.

    >>> instants = np.array(["2024-01-01", "2024-01-31", "2024-02-29"], dtype="datetime64[s]")
    >>> monthly_returns(instants, np.array([100.0, 110.0, 132.0]), np.array([100.0, 100.0, 110.0]))
    {'2024-01': 0.10000000000000009, '2024-02': 0.10000000000000009}
    """
    before = np.concatenate([invested[:1], equity[:-1] + np.diff(invested)])
    growth = equity / before
    months = instants.astype("datetime64[M]")
    starts = np.flatnonzero(np.concatenate([[True], months[1:] != months[:-1]]))
    returns = np.multiply.reduceat(growth, starts) - 1.0
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
