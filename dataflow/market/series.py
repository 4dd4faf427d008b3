"""The catalogue of series: what a file of a given name holds, on which grid, and what its values must satisfy.

Names, columns and units are those of the data README: `spot_ohlcv_binance_btcusdt_1h`, `funding_okx_ethusdt`, ...
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Column

Seconds = npt.NDArray[np.int64]
"""Whole seconds since 1970-01-01T00:00Z."""

TIMESTAMP: Final = "timestamp"

FUNDING_RATE_MAX: Final = 0.05
"""Largest believable funding rate of one settlement; beyond it the unit is wrong (per cent for fraction)."""

INTERVAL_SECONDS: Final[Mapping[str, int]] = {"5m": 300, "15m": 900, "1h": 3_600, "4h": 14_400, "1d": 86_400}
"""Seconds of the interval at the end of a file name."""

INTERVAL_NAMES: Final[Mapping[int, str]] = {seconds: name for name, seconds in INTERVAL_SECONDS.items()}


class SeriesKind(StrEnum):
    """What a series is; the kind fixes its columns and their rules."""

    CANDLES = "candles"
    FUNDING = "funding"
    LENDING_INDEX = "lending_index"
    LST_ORACLE = "lst_oracle"
    LST_MARKET = "lst_market"
    GAS = "gas"
    STABLE = "stable"
    PREDICTIONS = "predictions"
    REWARDS = "rewards"
    OTHER = "other"


class ValueRule(StrEnum):
    """What every value of a column must satisfy."""

    PRICE = "price"
    """Finite and above zero."""
    INDEX = "index"
    """A price that never falls, rounding aside."""
    FUNDING = "funding"
    """Finite, at most `FUNDING_RATE_MAX` in size."""
    NON_NEGATIVE = "non_negative"
    """Finite and not below zero."""
    FRACTION = "fraction"
    """Finite, from 0 to 1."""
    DAY = "day"
    """A calendar day, read as the second at which it begins."""
    CODE = "code"
    """A text that stands for a number, see `schemas.signals`."""


_OHLC: Final = dict.fromkeys(("open", "high", "low", "close"), ValueRule.PRICE)
_INDEXES: Final = {"liquidity_index": ValueRule.INDEX, "variable_borrow_index": ValueRule.INDEX}

PREDICTION_RULES: Final[Mapping[str, ValueRule]] = {
    "signal": ValueRule.CODE,
    "confidence": ValueRule.FRACTION,
    "sd": ValueRule.FRACTION,
}
"""Columns of a predictions file."""

ABSENT_VALUES: Final[Mapping[str, float]] = {"sd": 0.02}
"""Columns that a file may leave out, and the value that every row then has ([domain] 9.7)."""

REWARD_PERIOD: Final = ("period_start", "period_end")
"""First and last day that a reward is paid for."""

_REWARD_DAYS: Final = dict.fromkeys(REWARD_PERIOD, ValueRule.DAY)
_EIGEN_RULES: Final = {
    **_REWARD_DAYS,
    "eigen_earned": ValueRule.NON_NEGATIVE,
    "eth_restaked": ValueRule.NON_NEGATIVE,
    "eth_not_restaked": ValueRule.NON_NEGATIVE,
}
_ETHFI_RULES: Final = {**_REWARD_DAYS, "ethfi_per_eeth_distributed": ValueRule.NON_NEGATIVE}

REWARD_SERIES: Final[Mapping[str, tuple[str, Mapping[str, ValueRule]]]] = {
    "EIGEN": ("rewards_etherfi_eigen_weekly", _EIGEN_RULES),
    "ETHFI": ("rewards_etherfi_ethfi_topups", _ETHFI_RULES),
}
"""Reward token to the series of its payouts and the columns that are read."""

STABLE_VALUE: Final = "usd_per_token"
"""Column of a stablecoin's price."""

PREDICTIONS_PREFIX: Final = "predictions_"
"""What the names of predictions begin with."""

_PATTERNS: Final[tuple[tuple[re.Pattern[str], SeriesKind, Mapping[str, ValueRule]], ...]] = (
    (re.compile(r"(spot|perp|dex)_(ohlcv|mark)_.+_(?P<interval>\d+[mhd])"), SeriesKind.CANDLES, _OHLC),
    (re.compile(r"funding_.+"), SeriesKind.FUNDING, {"funding_rate": ValueRule.FUNDING}),
    (re.compile(r"aave_v3_.+_rates_(?P<interval>\d+[mhd])"), SeriesKind.LENDING_INDEX, _INDEXES),
    (
        re.compile(r"lst_.+_oracle_(?P<interval>\d+[mhd])"),
        SeriesKind.LST_ORACLE,
        {"eth_per_lst": ValueRule.INDEX},
    ),
    (
        re.compile(r"lst_.+_market_(?P<interval>\d+[mhd])"),
        SeriesKind.LST_MARKET,
        {"market_eth_per_lst_median24h": ValueRule.PRICE},
    ),
    (re.compile(r"gas_prices_(?P<interval>\d+[mhd])"), SeriesKind.GAS, {"gas_price_avg_gwei": ValueRule.NON_NEGATIVE}),
    (re.compile(r"stable_.+_usd_(?P<interval>\d+[mhd])"), SeriesKind.STABLE, {STABLE_VALUE: ValueRule.PRICE}),
    *((re.compile(name), SeriesKind.REWARDS, rules) for name, rules in REWARD_SERIES.values()),
    (re.compile(PREDICTIONS_PREFIX + r".+_(?P<interval>\d+[mhd])"), SeriesKind.PREDICTIONS, PREDICTION_RULES),
)


@dataclass(frozen=True)
class SeriesSpec:
    """Kind, value rules and grid of one series; `grid_seconds` is None where the grid is irregular."""

    name: str
    kind: SeriesKind
    rules: Mapping[str, ValueRule]
    grid_seconds: int | None


def series_spec(name: str) -> SeriesSpec:
    """Read kind, rules and grid from the name of a series (a file name without its suffix).

    >>> series_spec("spot_ohlcv_binance_btcusdt_5m").grid_seconds
    300
    >>> series_spec("funding_okx_ethusdt").kind
    <SeriesKind.FUNDING: 'funding'>
    >>> series_spec("rewards_etherfi_eigen_weekly").grid_seconds is None
    True
    """
    for pattern, kind, rules in _PATTERNS:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        # A settlement falls on a full hour whatever the interval of the venue (8, 4 or 1 h).
        if kind in (SeriesKind.PREDICTIONS, SeriesKind.REWARDS):
            return SeriesSpec(name, kind, rules, None)  # stamped when an answer is given, or a reward is paid
        grid = SECONDS_PER_HOUR if kind is SeriesKind.FUNDING else INTERVAL_SECONDS.get(match["interval"])
        return SeriesSpec(name, kind, rules, grid)
    return SeriesSpec(name, SeriesKind.OTHER, {}, SECONDS_PER_DAY if name.endswith("_1d") else None)


@dataclass(frozen=True)
class Series:
    """One series as read: ascending instants, the requested columns, and the digest of its file."""

    spec: SeriesSpec
    path: Path
    seconds: Seconds
    values: Mapping[str, Column]
    digest: str

    @property
    def name(self) -> str:
        """The file name without its suffix."""
        return self.spec.name


def instant_text(seconds: int | np.int64) -> str:
    """ISO-8601 UTC text of an instant.

    >>> instant_text(1_715_472_000)
    '2024-05-12T00:00:00Z'
    """
    return f"{np.datetime64(int(seconds), 's')}Z"


def prediction_series(asset: str, step_seconds: int) -> str:
    """Name of the predictions of `asset` against USDT.

    >>> prediction_series("BTC", 300)
    'predictions_btcusdt_5m'
    """
    return f"{PREDICTIONS_PREFIX}{asset.lower()}usdt_{INTERVAL_NAMES[step_seconds]}"


def stable_series(token: str) -> str:
    """Name of the hourly price of a stablecoin in USD.

    >>> stable_series("USDC")
    'stable_usdc_usd_1h'
    """
    return f"stable_{token.lower()}_usd_1h"


def dex_series(token: str) -> str:
    """Name of the hourly DEX candles of a reward token against WETH.

    >>> dex_series("EIGEN")
    'dex_ohlcv_uniswapv3_eigenweth_1h'
    """
    return f"dex_ohlcv_uniswapv3_{token.lower()}weth_1h"


def candle_series(product: str, venue: str, asset: str, step_seconds: int) -> str:
    """Name of the candles of `asset` against USDT; `product` is spot or perp.

    >>> candle_series("perp", "okx", "BTC", 3600)
    'perp_ohlcv_okx_btcusdt_1h'
    """
    return f"{product}_ohlcv_{venue}_{asset.lower()}usdt_{INTERVAL_NAMES[step_seconds]}"
