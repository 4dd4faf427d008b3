"""Synthetic protocol facts: Aave v3 reserves, liquid staking ratios and their market, gas.

Utilisation drives the kinked rate curve hour by hour, rates accrue into the indexes, midnights are recorded: the
indexes are consistent with the rates but smoother, as on chain. Constants are those of `calibration.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflow.market.series import Seconds
from dataflow.market.synthetic.prices import SeriesTable
from dataflow.market.synthetic.processes import logistic, standard_ar1, stream
from schemas.units import BPS, SECONDS_PER_DAY, SECONDS_PER_HOUR, Column

HOURS_PER_DAY: Final = 24
_HOURS_PER_AAVE_YEAR: Final = 365 * HOURS_PER_DAY
_SECONDS_PER_AAVE_YEAR: Final = 365 * SECONDS_PER_DAY
_FIRST_BLOCK: Final = 18_908_894
_BLOCKS_PER_DAY: Final = 7_122
_USD_ORACLE_STD: Final = 17 * BPS
"""Chainlink ETH/USD at midnight against spot."""


@dataclass(frozen=True)
class _Reserve:
    """Rate curve and utilisation of one reserve.

    Borrow APR is `base_apr + slope_below * U / kink` up to the kink and rises by `slope_above` from there to U = 1.
    The logit of the utilisation is a daily AR(1); of what is above the kink only `share_above_kink` stays, because
    the steep rate draws repayments and deposits.
    """

    kink: float
    base_apr: float
    slope_below: float
    slope_above: float
    reserve_factor: float
    logit_mean: float
    logit_std: float
    daily_persistence: float
    share_above_kink: float
    supplied_tokens: float
    first_liquidity_index: float
    first_borrow_index: float


_RESERVES: Final[Mapping[str, _Reserve]] = {
    "usdt": _Reserve(0.91, 0.0, 0.075, 0.75, 0.10, 1.59, 0.63, 0.948, 0.5, 9e8, 1.036, 1.049),
    "weth": _Reserve(0.90, 0.0, 0.027, 0.80, 0.15, 1.68, 0.43, 0.965, 0.2, 9e5, 1.020, 1.027),
    "weeth": _Reserve(0.35, 0.010, 0.057, 3.00, 0.45, -3.4, 1.20, 0.980, 0.2, 1.2e6, 1.0, 1.0),
    "wsteth": _Reserve(0.80, 0.0043, 0.0044, 0.85, 0.05, -2.7, 1.00, 0.990, 0.2, 1.1e6, 1.0, 1.0),
}

_LST_FIRST_RATIO: Final[Mapping[str, float]] = {"weeth": 1.038162277754, "wsteth": 1.166302}
_WEETH_APR: Final = 0.02746
_WEETH_APR_STD: Final = 0.0034
_WEETH_TIMING_STD: Final = 0.0035
"""Jitter of the daily update: what one day gains the next one lacks (lag-one autocorrelation -0.34)."""
_WEETH_SLIP_PROBABILITY: Final = 0.01
_WSTETH_APR_FLOOR: Final = 0.0265
_WSTETH_APR_EXCESS: Final = 0.0036
_WSTETH_JUMP_PROBABILITY: Final = 0.006
_WSTETH_JUMP_APR: Final = 0.06

_PREMIUM_MEDIAN_BPS: Final[Mapping[str, float]] = {"weeth": 3.8, "wsteth": 3.6}
_PREMIUM_LOG_STD: Final[Mapping[str, float]] = {"weeth": 0.62, "wsteth": 0.75}
_PREMIUM_PERSISTENCE: Final[Mapping[str, float]] = {"weeth": 0.985, "wsteth": 0.995}
_PREMIUM_COMMON_SHARE: Final = 0.34
_DEPEGS_PER_YEAR: Final = 1.5
_DEPEG_BPS: Final = (50.0, 200.0)
_DEPEG_HALF_LIFE_HOURS: Final = 8.0

_GAS_LOG_MEAN: Final = 1.945
_GAS_LEVEL_STD: Final = 1.05
_GAS_LEVEL_DAYS: Final = 20.0
_GAS_FAST_STD: Final = 0.50
_GAS_FAST_PERSISTENCE: Final = 0.83
_GAS_ODD_HOUR_MULTIPLIER: Final = (0.77, 0.77, 0.65, 0.73, 0.85, 0.84, 1.09, 1.67, 1.52, 1.21, 1.07, 0.83)
"""At 01, 03, .. 23 UTC; an even hour has the mean of its neighbours."""
_GAS_WEEKDAY_LOG: Final = np.array([0.15, 0.15, 0.15, 0.15, 0.03, -0.34, -0.34])
"""Monday first."""


def rate_series(seed: int, hours: Seconds, eth_usd: Column) -> dict[str, SeriesTable]:
    """Aave, liquid staking and gas series by name; `eth_usd` is the ETH price at each hour."""
    days = hours[hours % SECONDS_PER_DAY == 0]
    eth_at_midnight = eth_usd[np.searchsorted(hours, days)]
    ratios = {"weeth": _weeth_ratio(seed, len(days)), "wsteth": _wsteth_ratio(seed, len(days))}
    tables: dict[str, SeriesTable] = {}
    eth_oracle = eth_at_midnight * (1.0 + _USD_ORACLE_STD * stream(seed, "oracle/eth").standard_normal(len(days)))
    oracles = {
        "usdt": 0.99988 + 0.00057 * standard_ar1(stream(seed, "oracle/usdt"), len(days), 0.80),
        "weth": eth_oracle,
        "weeth": eth_oracle * ratios["weeth"],
        "wsteth": eth_oracle * ratios["wsteth"],
    }
    for token in _RESERVES:
        tables[f"aave_v3_{token}_rates_1d"] = _reserve_table(seed, token, days, oracles[token])
    for token, ratio in ratios.items():
        tables[f"lst_{token}_oracle_1d"] = _oracle_table(days, ratio)
        tables[f"lst_{token}_market_1h"] = _market_table(seed, token, hours, np.repeat(ratio, HOURS_PER_DAY))
    tables["gas_prices_1h"] = _gas_table(seed, hours)
    return tables


# --- Aave


def _reserve_table(seed: int, token: str, days: Seconds, oracle_price_usd: Column) -> SeriesTable:
    reserve = _RESERVES[token]
    rows = len(days)
    logit = standard_ar1(
        stream(seed, f"utilization/{token}"), rows * HOURS_PER_DAY, reserve.daily_persistence ** (1.0 / HOURS_PER_DAY)
    )
    wanted = logistic(reserve.logit_mean + reserve.logit_std * logit)
    above_kink = np.maximum(wanted - reserve.kink, 0.0)
    utilization = wanted - (1.0 - reserve.share_above_kink) * above_kink
    borrow_apr = _borrow_apr(reserve, utilization)
    supply_apr = borrow_apr * utilization * (1.0 - reserve.reserve_factor)
    supplied = reserve.supplied_tokens * np.exp(0.3 * standard_ar1(stream(seed, f"supplied/{token}"), rows, 0.99))
    at_midnight = slice(None, None, HOURS_PER_DAY)
    return {
        "timestamp": days,
        "block_number": _FIRST_BLOCK + _BLOCKS_PER_DAY * np.arange(rows),
        "liquidity_index": _accrued(reserve.first_liquidity_index, supply_apr),
        "variable_borrow_index": _accrued(reserve.first_borrow_index, borrow_apr),
        "supply_apr": supply_apr[at_midnight],
        "variable_borrow_apr": borrow_apr[at_midnight],
        "total_supplied": supplied,
        "total_variable_debt": supplied * utilization[at_midnight],
        "oracle_price_usd": oracle_price_usd,
        "supply_apy": _per_second_apy(supply_apr[at_midnight]),
        "variable_borrow_apy": _per_second_apy(borrow_apr[at_midnight]),
        "utilization": utilization[at_midnight],
    }


def _borrow_apr(reserve: _Reserve, utilization: Column) -> Column:
    below = np.minimum(utilization, reserve.kink) / reserve.kink
    above = np.maximum(utilization - reserve.kink, 0.0) / (1.0 - reserve.kink)
    return reserve.base_apr + reserve.slope_below * below + reserve.slope_above * above


def _accrued(first: float, apr: Column) -> Column:
    """Index at each midnight, from hourly rates that accrue once an hour; the rates of a day count from the next."""
    growth = np.cumprod(1.0 + apr / _HOURS_PER_AAVE_YEAR)
    return first * np.concatenate(([1.0], growth[HOURS_PER_DAY - 1 : -1 : HOURS_PER_DAY]))


def _per_second_apy(apr: Column) -> Column:
    apy: Column = np.expm1(_SECONDS_PER_AAVE_YEAR * np.log1p(apr / _SECONDS_PER_AAVE_YEAR))
    return apy


# --- Liquid staking


def _weeth_ratio(seed: int, rows: int) -> Column:
    """WeETH updates once a day, at times past midnight: that day shows nothing and the next one two days."""
    base, timing = stream(seed, "lst/weeth").standard_normal((rows, 2)).T
    is_late = stream(seed, "lst/weeth/late").random(rows) < _WEETH_SLIP_PROBABILITY
    apr = _WEETH_APR + _WEETH_APR_STD * base
    apr += _WEETH_TIMING_STD * (timing - np.concatenate(([0.0], timing[:-1])))
    apr = np.maximum(apr, 0.0)
    late = np.where(is_late, apr, 0.0)
    return _ratio("weeth", apr - late + np.concatenate(([0.0], late[:-1])))


def _wsteth_ratio(seed: int, rows: int) -> Column:
    """WstETH rebases daily, with rare jumps from MEV."""
    draws = stream(seed, "lst/wsteth").random((rows, 3))
    excess = -_WSTETH_APR_EXCESS * np.log1p(-draws[:, 0])
    jump = np.where(draws[:, 1] < _WSTETH_JUMP_PROBABILITY, _WSTETH_JUMP_APR * (0.5 + draws[:, 2]), 0.0)
    return _ratio("wsteth", _WSTETH_APR_FLOOR + excess + jump)


def _ratio(token: str, apr: Column) -> Column:
    """Ratio at each midnight from the APR of the day before it; the first APR is unused."""
    return np.round(_LST_FIRST_RATIO[token] * np.concatenate(([1.0], np.cumprod(1.0 + apr[1:] / 365.0))), 12)


def _oracle_table(days: Seconds, ratio: Column) -> SeriesTable:
    daily = np.concatenate(([np.nan], ratio[1:] / ratio[:-1] - 1.0))
    return {
        "timestamp": days,
        "eth_per_lst": ratio,
        "yield_1d": daily,
        "base_apr": 365.0 * daily,
        "base_apy": np.expm1(365.0 * np.log1p(daily)),
    }


def _market_table(seed: int, token: str, hours: Seconds, oracle_ratio: Column) -> SeriesTable:
    """Market at a lognormal discount to the oracle, with rare depegs shared by the tokens that halve every 8 h."""
    rows = len(hours)
    persistence = _PREMIUM_PERSISTENCE[token]
    own = standard_ar1(stream(seed, f"premium/{token}"), rows, persistence)
    common = standard_ar1(stream(seed, "premium/common"), rows, persistence)
    score = np.sqrt(_PREMIUM_COMMON_SHARE) * common + np.sqrt(1.0 - _PREMIUM_COMMON_SHARE) * own
    discount_bps = _PREMIUM_MEDIAN_BPS[token] * np.exp(_PREMIUM_LOG_STD[token] * score) + _depeg_bps(seed, rows)
    market = oracle_ratio * (1.0 - BPS * discount_bps)
    return {
        "timestamp": hours,
        "market_eth_per_lst_median24h": market,
        "oracle_eth_per_lst": oracle_ratio,
        "premium_pct": -100.0 * BPS * discount_bps,
    }


def _depeg_bps(seed: int, rows: int) -> Column:
    """Sum of the depegs still fading at each hour."""
    draws = stream(seed, "depeg").random((rows, 2))
    starts = np.flatnonzero(draws[:, 0] < _DEPEGS_PER_YEAR / _HOURS_PER_AAVE_YEAR)
    age = np.arange(rows)[:, np.newaxis] - starts
    depth = _DEPEG_BPS[0] + (_DEPEG_BPS[1] - _DEPEG_BPS[0]) * draws[starts, 1]
    fading = np.where(age >= 0, depth * 0.5 ** (np.maximum(age, 0) / _DEPEG_HALF_LIFE_HOURS), 0.0)
    total: Column = fading.sum(axis=1)
    return total


# --- Gas


def _gas_table(seed: int, hours: Seconds) -> SeriesTable:
    rows = len(hours)
    slow = standard_ar1(stream(seed, "gas/level"), rows, float(np.exp(-1.0 / (_GAS_LEVEL_DAYS * HOURS_PER_DAY))))
    fast = standard_ar1(stream(seed, "gas/fast"), rows, _GAS_FAST_PERSISTENCE)
    odd = np.array(_GAS_ODD_HOUR_MULTIPLIER)
    by_hour = np.column_stack((0.5 * (odd + np.roll(odd, 1)), odd)).ravel()
    hour, weekday = hours // SECONDS_PER_HOUR % HOURS_PER_DAY, (hours // SECONDS_PER_DAY + 3) % 7
    log_fee = _GAS_LOG_MEAN + _GAS_LEVEL_STD * slow + _GAS_FAST_STD * fast + _GAS_WEEKDAY_LOG[weekday]
    base_fee = np.round(by_hour[hour] * np.exp(log_fee), 2) + 0.01
    tip = np.round(0.8 * np.exp(0.8 * stream(seed, "gas/tip").standard_normal(rows)), 2)
    low_tip, high_tip = np.round(0.4 * tip, 2), np.round(1.8 * tip, 2)
    return {
        "timestamp": hours,
        "block_number": _FIRST_BLOCK + (_BLOCKS_PER_DAY * np.arange(rows)) // HOURS_PER_DAY,
        "block_timestamp": hours,
        "base_fee_gwei": base_fee,
        "priority_fee_p25_gwei": low_tip,
        "priority_fee_p50_gwei": tip,
        "priority_fee_p75_gwei": high_tip,
        "gas_price_avg_gwei": base_fee + tip,
        "gas_price_median_gwei": base_fee + low_tip,
    }
