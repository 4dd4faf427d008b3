"""Synthetic 5-minute bars: a path inside each hour that resamples exactly to the hour's candle."""

from typing import Final

import numpy as np

from dataflow.market.series import Seconds
from dataflow.market.synthetic.prices import SeriesTable
from dataflow.market.synthetic.processes import stream
from schemas.units import SECONDS_PER_HOUR, Column

BAR_SECONDS: Final = 300
BARS_PER_HOUR: Final = SECONDS_PER_HOUR // BAR_SECONDS

_RANGE_DEVIATIONS: Final = 1.6
"""Mean range of a random walk over an hour, in its standard deviations."""
_WICK_SHARE: Final = 0.3
"""Mean wick beyond the body of a bar, in deviations of a bar's return."""


def bar_series(seed: int, hourly: SeriesTable) -> SeriesTable:
    """5-minute candles of one hourly candle series.

    Open, close, high and low of each hour are those of its bars; the volume is spread evenly, up to rounding.
    """
    opened, closed, high, low = (
        np.asarray(hourly[name], dtype=np.float64) for name in ("open", "close", "high", "low")
    )
    path = np.clip(_log_path(seed, opened, closed, high, low), np.log(low)[:, None], np.log(high)[:, None])
    prices = np.round(np.exp(path), 2)
    prices[:, 0], prices[:, -1] = opened, closed
    body_high, body_low = np.maximum(prices[:, :-1], prices[:, 1:]), np.minimum(prices[:, :-1], prices[:, 1:])
    wicks = stream(seed, "bars/wick").exponential(_WICK_SHARE, (*body_high.shape, 2))
    wicks *= _deviation(high, low)[:, None, None]
    highs = np.minimum(np.round(body_high * np.exp(wicks[..., 0]), 2), high[:, None])
    lows = np.maximum(np.round(body_low * np.exp(-wicks[..., 1]), 2), low[:, None])
    hours = np.arange(len(opened))
    highs[hours, np.argmax(highs, axis=1)] = high
    lows[hours, np.argmin(lows, axis=1)] = low
    volume = np.asarray(hourly["volume"], dtype=np.float64) / BARS_PER_HOUR
    return {
        "timestamp": _instants(np.asarray(hourly["timestamp"], dtype=np.int64)),
        "open": prices[:, :-1].ravel(),
        "high": highs.ravel(),
        "low": lows.ravel(),
        "close": prices[:, 1:].ravel(),
        "volume": np.round(np.repeat(volume, BARS_PER_HOUR), 5),
    }


def _deviation(high: Column, low: Column) -> Column:
    """Deviation of a bar's log return, from the range of its hour."""
    deviation: Column = np.log(high / low) / _RANGE_DEVIATIONS / np.sqrt(BARS_PER_HOUR)
    return deviation


def _log_path(seed: int, opened: Column, closed: Column, high: Column, low: Column) -> Column:
    """Log price at the edges of the bars of each hour (hours, bars + 1): a bridge from open to close."""
    noise = stream(seed, "bars/path").standard_normal((len(opened), BARS_PER_HOUR))
    noise -= noise.mean(axis=1, keepdims=True)
    steps = noise * _deviation(high, low)[:, None] + (np.log(closed / opened) / BARS_PER_HOUR)[:, None]
    walked = np.concatenate([np.zeros((len(opened), 1)), np.cumsum(steps, axis=1)], axis=1)
    path: Column = np.log(opened)[:, None] + walked
    return path


def _instants(hours: Seconds) -> Seconds:
    bars: Seconds = (hours[:, None] + BAR_SECONDS * np.arange(BARS_PER_HOUR)).ravel()
    return bars
