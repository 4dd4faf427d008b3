"""Linear perpetuals: average entry price, realised profit, funding and the interval at which it settles."""

import numpy as np

from schemas.units import Column


def average_entry(units: float, entry_price: float, change: float, fill_price: float) -> float:
    """Average entry price after a fill.

    units: position before, base units, short < 0. change: signed fill, base units. Prices: quote per base.
    An increase averages; a decrease keeps the entry; a flip restarts at the fill; 0 when flat after.
    Source: [domain] 4.2 and ruling 23.

    >>> average_entry(-1.0, 100.0, -1.0, 110.0), average_entry(-2.0, 105.0, 1.0, 90.0)
    (105.0, 105.0)
    >>> average_entry(-1.0, 100.0, 3.0, 90.0)
    90.0
    """
    after = units + change
    if after == 0.0:
        return 0.0
    if units == 0.0 or (units > 0.0) != (after > 0.0):
        return fill_price
    if abs(after) > abs(units):
        return (units * entry_price + change * fill_price) / after
    return entry_price


def realised_pnl(units: float, entry_price: float, change: float, fill_price: float) -> float:
    """Profit that a fill turns into cash: the closed part at fill against entry.

        realised = closed x (fill - entry) x sign(units before)

    units: before, base units, short < 0. change: signed fill. Returns quote; > 0 is a gain; 0 when the fill only
    adds. Source: [domain] 4.2.

    >>> realised_pnl(-2.0, 105.0, 1.0, 90.0), realised_pnl(-2.0, 105.0, -1.0, 90.0)
    (15.0, 0.0)
    """
    if units == 0.0 or change == 0.0 or (units > 0.0) == (change > 0.0):
        return 0.0
    closed = min(abs(change), abs(units))
    return closed * (fill_price - entry_price) * (1.0 if units > 0.0 else -1.0)


def funding_payment(units: float, mark_price: float, funding_rate: float) -> float:
    """Funding credited to a position at one settlement.

        payment = -units x mark x rate

    units: base units, short < 0. mark_price: quote per base. funding_rate: fraction per settlement.
    Returns quote; > 0 is received: a positive rate is paid by longs. Source: [domain] 4.3.

    >>> round(funding_payment(-2.0, 3_000.0, 0.0001), 6)
    0.6
    """
    return -units * mark_price * funding_rate


def settlement_intervals_hours(settled: Column, row_hours: float) -> Column:
    """Hours between the last two settlements known at each row, by venue; 0 before there are two.

    settled: (rows, venues), 1 where the venue settles. Returns (rows, venues), hours.

    >>> settlement_intervals_hours(np.array([[1.0], [0.0], [1.0], [0.0], [0.0], [1.0]]), 4.0).ravel().tolist()
    [0.0, 0.0, 8.0, 8.0, 8.0, 12.0]
    """
    rows = np.arange(len(settled))
    intervals = np.zeros_like(settled)
    for venue, flags in enumerate(settled.T):
        at = np.flatnonzero(flags)
        hours = np.concatenate([np.zeros(min(2, len(at) + 1)), np.diff(at) * row_hours])
        intervals[:, venue] = hours[np.searchsorted(at, rows, side="right")]
    return intervals
