"""Synthetic staking rewards: weekly EIGEN, irregular ETHFI top-ups, and the thin DEX markets of both.

Rates are those of `calibration.md`, rhythm and volatility of the DEX those of the history that it describes. The
level of a price swings around a mean: the history's long fall is one path, not a property.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflow.market.series import REWARD_SERIES, Seconds, dex_series
from dataflow.market.synthetic.prices import SeriesTable
from dataflow.market.synthetic.processes import standard_ar1, stream, student_shocks
from schemas.units import SECONDS_PER_DAY, Column

_DAYS_PER_WEEK: Final = 7
_SATURDAY: Final = 5
"""Weekday of the payouts, Monday first."""

_EIGEN_PER_ETH: Final = (0.184, 0.0087)
"""Mean and deviation of EIGEN per staked ETH and week."""
_RESTAKED_SHARE: Final = 0.82
_STAKED_ETH: Final = 2.2e6

_TOP_UP_PROBABILITY: Final = 0.3
"""Chance that a week is topped up."""
_TOP_UP_DELAY_DAYS: Final = 12
"""Days from the end of a period to its top-up."""
_ETHFI_PER_ETH: Final = (0.12, 0.8)
"""Median, and deviation of the logarithm, of ETHFI per staked ETH and top-up."""


@dataclass(frozen=True)
class _DexToken:
    """Level, hourly deviation of its logarithm, and median hourly volume (in tokens) of one DEX market."""

    eth_per_token: float
    hourly_std: float
    volume: float


_DEX: Final[Mapping[str, _DexToken]] = {
    "EIGEN": _DexToken(1.2e-3, 0.012, 34.0),
    "ETHFI": _DexToken(8.0e-4, 0.010, 3.0),
}
_SHOCK_DEGREES: Final = 4.0
_REVERSION_HOURS: Final = 4_000.0


def reward_series(seed: int, hours: Seconds) -> dict[str, SeriesTable]:
    """Payouts and DEX candles of both reward tokens by series name."""
    days = hours[hours % SECONDS_PER_DAY == 0]
    return {
        REWARD_SERIES["EIGEN"][0]: _eigen_table(seed, days),
        REWARD_SERIES["ETHFI"][0]: _ethfi_table(seed, days),
        **{dex_series(token): _dex_table(seed, token, hours) for token in _DEX},
    }


def _payout_days(days: Seconds) -> Seconds:
    """Saturdays with a whole week before them."""
    weekday = (days // SECONDS_PER_DAY + 3) % _DAYS_PER_WEEK
    saturdays: Seconds = days[(weekday == _SATURDAY) & (days >= days[0] + _DAYS_PER_WEEK * SECONDS_PER_DAY)]
    return saturdays


def _eigen_table(seed: int, days: Seconds) -> SeriesTable:
    """One row a week, for the seven days that end with it."""
    paid = _payout_days(days)
    mean, deviation = _EIGEN_PER_ETH
    per_eth = mean + deviation * stream(seed, "rewards/eigen").standard_normal(len(paid))
    restaked = np.round(_RESTAKED_SHARE * _STAKED_ETH * np.ones(len(paid)))
    rest = np.round(_STAKED_ETH - restaked)
    earned = np.round(per_eth * (restaked + rest))
    return {
        "timestamp": paid,
        "period_start": paid - (_DAYS_PER_WEEK - 1) * SECONDS_PER_DAY,
        "period_end": paid,
        "eigen_earned": earned,
        "eth_restaked": restaked,
        "eth_not_restaked": rest,
        "eigen_per_eeth_weekly": np.round(earned / (restaked + rest), 3),
    }


def _ethfi_table(seed: int, days: Seconds) -> SeriesTable:
    """Some weeks are topped up, twelve days after they ended; the first always, so that no set is without."""
    ends = _payout_days(days)
    ends = ends[ends + _TOP_UP_DELAY_DAYS * SECONDS_PER_DAY <= days[-1]]
    draws = stream(seed, "rewards/ethfi")
    is_paid, rates = draws.random((len(ends), 2)).T
    topped_up = ends[(is_paid < _TOP_UP_PROBABILITY) | (np.arange(len(ends)) == 0)]
    median, deviation = _ETHFI_PER_ETH
    spread = (2.0 * rates - 1.0)[(is_paid < _TOP_UP_PROBABILITY) | (np.arange(len(ends)) == 0)]
    per_eth = np.round(median * np.exp(deviation * np.sqrt(3.0) * spread), 3)
    return {
        "timestamp": topped_up + _TOP_UP_DELAY_DAYS * SECONDS_PER_DAY,
        "period_start": topped_up - (_DAYS_PER_WEEK - 1) * SECONDS_PER_DAY,
        "period_end": topped_up,
        "ethfi_amount": np.round(per_eth * _STAKED_ETH),
        "ethfi_per_eeth_distributed": per_eth,
    }


def _dex_table(seed: int, token: str, hours: Seconds) -> SeriesTable:
    """Hourly candles in WETH: swings of months, jumps of hours."""
    market, rows = _DEX[token], len(hours) + 1
    slow = standard_ar1(stream(seed, f"dex/{token}"), rows, np.exp(-1.0 / _REVERSION_HOURS))
    level = market.hourly_std * np.sqrt(_REVERSION_HOURS / 2.0) * slow
    jumps = 0.3 * market.hourly_std * student_shocks(stream(seed, f"dex/{token}/jumps"), rows, _SHOCK_DEGREES)
    price: Column = market.eth_per_token * np.exp(level + jumps)
    opened, closed = price[:-1], price[1:]
    wicks = 0.2 * market.hourly_std * np.abs(stream(seed, f"dex/{token}/wicks").standard_normal((len(hours), 2)))
    volume = market.volume * np.exp(stream(seed, f"dex/{token}/volume").standard_normal(len(hours)))
    return {
        "timestamp": hours,
        "open": np.round(opened, 12),
        "high": np.round(np.maximum(opened, closed) * np.exp(wicks[:, 0]), 12),
        "low": np.round(np.minimum(opened, closed) * np.exp(-wicks[:, 1]), 12),
        "close": np.round(closed, 12),
        "volume": np.round(volume, 4),
    }
