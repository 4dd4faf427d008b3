"""Synthetic spot prices: BTC and ETH candles of Binance, and those of Bybit a small spread away.

Calibrated to the table of returns of the data set's `calibration.md`; the constants are its rows or, where a row is an
outcome and not a parameter (autocorrelation of absolute returns, kurtosis), what reproduces it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dataflow.market.series import Seconds
from dataflow.market.synthetic.processes import standard_ar1, stream, student_shocks
from schemas.units import BPS, SECONDS_PER_DAY, SECONDS_PER_HOUR, Column

SeriesTable = Mapping[str, npt.NDArray[np.generic]]
"""Columns of one series file, `timestamp` (int64 seconds) first."""

ASSETS: Final = ("BTC", "ETH")

_FIRST_PRICE: Final[Mapping[str, float]] = {"BTC": 42_283.58, "ETH": 2_281.87}
_BTC_STD: Final = 0.0057
"""Standard deviation of BTC's hourly log return."""
_ETH_BETA: Final = 1.025
_ETH_RESIDUAL_STD: Final = 0.00434
"""40.7 % annualised, in hourly terms."""

_HOUR_MULTIPLIER: Final = np.array(
    [
        [0.98, 1.09, 0.95, 0.79, 0.74, 0.73, 0.80, 0.86, 0.85, 0.78, 0.79, 0.77],
        [0.90, 1.29, 1.68, 1.49, 1.17, 1.19, 1.15, 1.16, 1.05, 1.00, 0.97, 0.83],
    ]
).ravel()
"""By UTC hour."""
_WEEKDAY_MULTIPLIER: Final = np.array([1.24, 1.16, 1.11, 1.06, 1.11, 0.57, 0.75])
"""Monday first."""

_SLOW_VOLATILITY_STD: Final = 0.32
_SLOW_VOLATILITY_PERSISTENCE: Final = 0.985
_FAST_VOLATILITY_STD: Final = 0.42
_FAST_VOLATILITY_PERSISTENCE: Final = 0.6
_RESIDUAL_VOLATILITY_SHARE: Final = 0.8
"""Share of the common log volatility in that of ETH's residual."""
_RESIDUAL_VOLATILITY_STD: Final = 0.25
_RESIDUAL_VOLATILITY_PERSISTENCE: Final = 0.97
_TAIL_DEGREES: Final = 6.0
"""With the volatility processes above, returns over their 24 h EWMA volatility have tails of about 3 degrees."""

_WICK_SHARE: Final = 0.37
"""Mean wick above (and below) the body in hourly volatilities: mean high - low over mean absolute return is 2.07."""

_BYBIT_SPREAD: Final[Mapping[str, tuple[float, float, float]]] = {
    "BTC": (-0.01, 1.28, 0.51),
    "ETH": (0.08, 1.32, 0.55),
}
"""Bybit over Binance spot: mean and standard deviation in bps, lag-one autocorrelation."""

_MEAN_VOLUME: Final[Mapping[str, float]] = {"BTC": 1_100.0, "ETH": 14_000.0}
"""Base units an hour on Binance spot."""


@dataclass(frozen=True)
class SpotPath:
    """Binance spot of one asset: price at each hour (rows + 1), and per hour wicks, volatility and volume.

    `wick_up` and `wick_down` are log distances beyond the body of the candle, `volume` is in base units.
    """

    price: Column
    wick_up: Column
    wick_down: Column
    volume: Column


def week_multiplier(hours: Seconds) -> Column:
    """Volatility of each hour of the week, root mean square 1."""
    grid = np.outer(_WEEKDAY_MULTIPLIER, _HOUR_MULTIPLIER)
    grid /= np.sqrt(np.mean(grid**2))
    weekday = (hours // SECONDS_PER_DAY + 3) % 7  # 1970-01-01 was a Thursday
    multiplier: Column = grid[weekday, hours // SECONDS_PER_HOUR % 24]
    return multiplier


def spot_paths(seed: int, hours: Seconds) -> dict[str, SpotPath]:
    """Draw the hourly paths of BTC and ETH; ETH is 1.025 x BTC and a residual, without drift.

    Volatility is the product of the hour of the week and two log AR(1) processes, one of days, one of hours.
    """
    rows = len(hours)
    common = _SLOW_VOLATILITY_STD * standard_ar1(stream(seed, "volatility/slow"), rows, _SLOW_VOLATILITY_PERSISTENCE)
    common += _FAST_VOLATILITY_STD * standard_ar1(stream(seed, "volatility/fast"), rows, _FAST_VOLATILITY_PERSISTENCE)
    common_variance = _SLOW_VOLATILITY_STD**2 + _FAST_VOLATILITY_STD**2
    own = _RESIDUAL_VOLATILITY_STD * standard_ar1(
        stream(seed, "volatility/eth"), rows, _RESIDUAL_VOLATILITY_PERSISTENCE
    )
    residual = _RESIDUAL_VOLATILITY_SHARE * common + own
    residual_variance = _RESIDUAL_VOLATILITY_SHARE**2 * common_variance + _RESIDUAL_VOLATILITY_STD**2

    season = week_multiplier(hours)
    # exp(h - var h) has mean square 1, so the unconditional variance is the calibrated one.
    btc_volatility = _BTC_STD * season * np.exp(common - common_variance)
    residual_volatility = _ETH_RESIDUAL_STD * season * np.exp(residual - residual_variance)
    btc = btc_volatility * student_shocks(stream(seed, "return/btc"), rows, _TAIL_DEGREES)
    eth = _ETH_BETA * btc + residual_volatility * student_shocks(stream(seed, "return/eth"), rows, _TAIL_DEGREES)
    eth_volatility = np.hypot(_ETH_BETA * btc_volatility, residual_volatility)
    return {
        "BTC": _spot_path(seed, "BTC", btc, btc_volatility),
        "ETH": _spot_path(seed, "ETH", eth, eth_volatility),
    }


def _spot_path(seed: int, asset: str, log_returns: Column, volatility: Column) -> SpotPath:
    rows = len(log_returns)
    wicks = stream(seed, f"wick/{asset}").exponential(_WICK_SHARE, (rows, 2)) * volatility[:, np.newaxis]
    size = np.abs(log_returns) / volatility
    noise = stream(seed, f"volume/{asset}").standard_normal(rows)
    log_volume = 0.7 * np.log(volatility / _BTC_STD) + 0.35 * size + 0.45 * noise
    return SpotPath(
        price=_FIRST_PRICE[asset] * np.exp(np.concatenate(([0.0], np.cumsum(log_returns)))),
        wick_up=wicks[:, 0],
        wick_down=wicks[:, 1],
        volume=_MEAN_VOLUME[asset] * np.exp(log_volume - 0.4),
    )


def candles(hours: Seconds, path: SpotPath, price: Column, volume_share: float, extra: tuple[str, ...]) -> SeriesTable:
    """Build candles from a price at each hour (rows + 1): the close of one is the open of the next.

    Wicks and volume are those of the spot path; `extra` names the optional columns quote_volume and trades_count.
    Prices are rounded to 0.01, volumes to 1e-5.
    """
    opened, closed = price[:-1], price[1:]
    table = {
        "timestamp": hours,
        "open": np.round(opened, 2),
        "high": np.round(np.maximum(opened, closed) * np.exp(path.wick_up), 2),
        "low": np.round(np.minimum(opened, closed) * np.exp(-path.wick_down), 2),
        "close": np.round(closed, 2),
        "volume": np.round(volume_share * path.volume, 5),
    }
    if "quote_volume" in extra:
        table["quote_volume"] = np.round(table["volume"] * 0.5 * (opened + closed), 6)
    if "trades_count" in extra:
        table["trades_count"] = np.maximum(1, np.round(45.0 * table["volume"])).astype(np.int64)
    return table


def bybit_spread(seed: int, asset: str, instants: int) -> Column:
    """Ratio of Bybit to Binance spot less 1, at each hour."""
    mean, std, persistence = _BYBIT_SPREAD[asset]
    return BPS * (mean + std * standard_ar1(stream(seed, f"spread/bybit/{asset}"), instants, persistence))


def spot_series(seed: int, hours: Seconds, paths: Mapping[str, SpotPath]) -> dict[str, SeriesTable]:
    """Spot candle series of Binance and Bybit by name."""
    tables: dict[str, SeriesTable] = {}
    for asset in ASSETS:
        path, symbol = paths[asset], f"{asset.lower()}usdt"
        extra = ("quote_volume", "trades_count") if asset == "BTC" else ()
        tables[f"spot_ohlcv_binance_{symbol}_1h"] = candles(hours, path, path.price, 1.0, extra)
        bybit = path.price * (1.0 + bybit_spread(seed, asset, len(path.price)))
        tables[f"spot_ohlcv_bybit_{symbol}_1h"] = candles(hours, path, bybit, 0.2, ("quote_volume",))
    return tables
