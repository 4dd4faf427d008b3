"""Synthetic perpetuals: basis over Binance spot, candles, and the funding that follows from the basis.

Binance and Bybit share a discount and a premium state; OKX hovers near zero. Funding at t is a rule of the mean basis
of the eight hours before t, never of later ones. Levels, shares and rules are those of `calibration.md`.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from dataflow.market.series import Seconds
from dataflow.market.synthetic.prices import ASSETS, SeriesTable, SpotPath, candles
from dataflow.market.synthetic.processes import standard_ar1, stream
from schemas.units import BPS, SECONDS_PER_HOUR, Column

PERP_VENUES: Final = ("binance", "bybit", "okx")
FUNDING_HOURS: Final = 8
"""Hours between settlements, and hours of basis that one settlement averages."""

# The state is the sign of a score: a plain two-state chain with the measured runs of 60 and 27 hours would forget a day
# (autocorrelation 0.26 at 24 h against 0.90 measured), so a score of weeks crosses a level, and a small part of hours
# makes the runs short.
_SCORE_LEVEL: Final = 0.496
"""69 % of a standard normal score is below it: the share of hours in discount."""
_SCORE_FAST_VARIANCE: Final = 0.015
_SCORE_FAST_PERSISTENCE: Final = 0.8
_SCORE_SLOW_HOURS: Final = 360.0

_DISCOUNT_BPS: Final = -4.3
_DISCOUNT_NOISE_BPS: Final = 0.9
_DISCOUNT_DRIFT_BPS: Final = 0.35
_PREMIUM_BPS: Final = 2.6
"""Basis where the score crosses its level; above it the premium grows by `_PREMIUM_SLOPE_BPS` a unit of the score."""
_PREMIUM_SLOPE_BPS: Final = 5.0
_PREMIUM_NOISE_BPS: Final = 1.4
_NOISE_PERSISTENCE: Final = 0.6
_DRIFT_PERSISTENCE: Final = 0.99

_COMMON_MEAN_BPS: Final = -1.0
_ASSET_NOISE: Final[Mapping[str, tuple[float, float, float]]] = {"BTC": (0.0, 0.0, 0.0), "ETH": (0.1, 1.1, 0.6)}
"""Basis of the asset over BTC's on the same venue: mean and deviation in bps, persistence."""
_VENUE_NOISE: Final[Mapping[str, tuple[float, float, float]]] = {"binance": (0.0, 0.0, 0.0), "bybit": (0.1, 1.3, 0.6)}
"""Basis of the venue over Binance's: mean and deviation in bps, persistence."""
_OKX_MEAN_BPS: Final = 0.9
_OKX_SHARE: Final = 0.22
"""Share of the common basis in OKX's."""
_OKX_NOISE: Final = (0.0, 1.5, 0.5)

_VOLUME_SHARE: Final[Mapping[str, float]] = {"binance": 9.0, "bybit": 4.0, "okx": 2.5}
"""Perpetual volume over Binance spot volume."""
_EXTRA_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "binance": ("quote_volume", "trades_count"),
    "bybit": ("quote_volume",),
    "okx": (),
}


def perp_series(seed: int, hours: Seconds, paths: Mapping[str, SpotPath]) -> dict[str, SeriesTable]:
    """Perpetual candles and funding of the three venues by series name."""
    common = _common_basis_bps(seed, len(hours) + FUNDING_HOURS + 1)
    tables: dict[str, SeriesTable] = {}
    for asset in ASSETS:
        path = paths[asset]
        for venue in PERP_VENUES:
            basis = _basis_bps(seed, asset, venue, common)
            symbol = f"{venue}_{asset.lower()}usdt"
            price = path.price * (1.0 + BPS * basis[FUNDING_HOURS:])
            extra = _EXTRA_COLUMNS[venue]
            tables[f"perp_ohlcv_{symbol}_1h"] = candles(hours, path, price, _VOLUME_SHARE[venue], extra)
            tables[f"funding_{symbol}"] = _funding(hours, basis, is_floored=venue != "okx")
    return tables


def _common_basis_bps(seed: int, instants: int) -> Column:
    """Basis of the Binance BTC perpetual at each hour, from `FUNDING_HOURS` before the first hour of the set."""
    slow = standard_ar1(stream(seed, "basis/slow"), instants, float(np.exp(-1.0 / _SCORE_SLOW_HOURS)))
    fast = standard_ar1(stream(seed, "basis/fast"), instants, _SCORE_FAST_PERSISTENCE)
    score = np.sqrt(1.0 - _SCORE_FAST_VARIANCE) * slow + np.sqrt(_SCORE_FAST_VARIANCE) * fast
    noise = standard_ar1(stream(seed, "basis/noise"), instants, _NOISE_PERSISTENCE)
    drift = standard_ar1(stream(seed, "basis/drift"), instants, _DRIFT_PERSISTENCE)
    discount = _DISCOUNT_BPS + _DISCOUNT_NOISE_BPS * noise + _DISCOUNT_DRIFT_BPS * drift
    premium = _PREMIUM_BPS + _PREMIUM_SLOPE_BPS * (score - _SCORE_LEVEL) + _PREMIUM_NOISE_BPS * noise
    return np.where(score > _SCORE_LEVEL, premium, discount)


def _basis_bps(seed: int, asset: str, venue: str, common: Column) -> Column:
    """Basis of one perpetual over Binance spot."""
    on_binance = common + _noise(seed, f"basis/{asset}", len(common), _ASSET_NOISE[asset])
    if venue == "okx":
        own = _noise(seed, f"basis/okx/{asset}", len(common), _OKX_NOISE)
        return _OKX_MEAN_BPS + _OKX_SHARE * (on_binance - _COMMON_MEAN_BPS) + own
    return on_binance + _noise(seed, f"basis/{venue}/{asset}", len(common), _VENUE_NOISE[venue])


def _noise(seed: int, name: str, instants: int, moments: tuple[float, float, float]) -> Column:
    mean, std, persistence = moments
    return mean + std * standard_ar1(stream(seed, name), instants, persistence)


def _funding(hours: Seconds, basis: Column, *, is_floored: bool) -> SeriesTable:
    """Settle every 8 h UTC: b + clip(1 - b, -5, 5) bps with b the mean basis of the 8 h before; OKX settles b.

    `basis` begins `FUNDING_HOURS` before `hours`. Rates are fractions rounded to 8 decimals.
    """
    settles = np.flatnonzero(hours // SECONDS_PER_HOUR % FUNDING_HOURS == 0)
    trailing = np.lib.stride_tricks.sliding_window_view(basis, FUNDING_HOURS)[settles].mean(axis=1)
    rate_bps = trailing + np.clip(1.0 - trailing, -5.0, 5.0) if is_floored else trailing
    return {"timestamp": hours[settles], "funding_rate": np.round(BPS * rate_bps, 8)}
