"""The default synthetic set has the statistics of the real history that it stands in for.

Expected numbers are those of `../shared/data/calibration.md`; a tolerance covers the sampling error of two years of a
persistent process (a mean over weeks-long swings is known to a fifth or so) and what the model leaves out. One fixed
seed, the default one, so these are facts of the set that users get and not chances.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from dataflow.market.synthetic.data_set import DEFAULT_DAYS, DEFAULT_SEED, DEFAULT_START, synthetic_series
from schemas.units import Column

Tables = Mapping[str, Mapping[str, npt.NDArray[np.generic]]]

BPS_PER_ONE = 1e4
VENUES = ("binance", "bybit", "okx")
ASSETS = ("btc", "eth")


@pytest.fixture(scope="module")
def tables() -> Tables:
    return synthetic_series(DEFAULT_SEED, DEFAULT_START, DEFAULT_DAYS)


def column(tables: Tables, series: str, name: str) -> Column:
    return tables[series][name].astype(np.float64)


def returns(tables: Tables, asset: str) -> Column:
    opened = column(tables, f"spot_ohlcv_binance_{asset}usdt_1h", "open")
    closed = column(tables, f"spot_ohlcv_binance_{asset}usdt_1h", "close")
    return np.asarray(np.log(closed / opened))


def basis_bps(tables: Tables, venue: str, asset: str) -> Column:
    perp = column(tables, f"perp_ohlcv_{venue}_{asset}usdt_1h", "close")
    return BPS_PER_ONE * (perp / column(tables, f"spot_ohlcv_binance_{asset}usdt_1h", "close") - 1.0)


def funding_bps(tables: Tables, venue: str, asset: str) -> Column:
    return BPS_PER_ONE * column(tables, f"funding_{venue}_{asset}usdt", "funding_rate")


def autocorrelation(values: Column, lag: int) -> float:
    centred = values - values.mean()
    return float(np.mean(centred[lag:] * centred[:-lag]) / values.var())


def correlation(one: Column, other: Column) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def excess_kurtosis(values: Column) -> float:
    centred = values - values.mean()
    return float(np.mean(centred**4) / values.var() ** 2 - 3.0)


# --- Returns


@pytest.mark.parametrize(("asset", "std"), [("btc", 0.00570), ("eth", 0.00728)])
def test_hourly_volatility(tables: Tables, asset: str, std: float) -> None:
    assert returns(tables, asset).std() == pytest.approx(std, rel=0.10)


@pytest.mark.parametrize("asset", ASSETS)
def test_tails_are_fat(tables: Tables, asset: str) -> None:
    hourly = returns(tables, asset)
    assert excess_kurtosis(hourly) > 5.0
    beyond = {sigmas: float(np.mean(np.abs(hourly) > sigmas * hourly.std())) for sigmas in (2, 3, 5)}
    assert beyond[2] == pytest.approx(0.052, abs=0.006)
    assert beyond[3] == pytest.approx(0.019, abs=0.004)
    assert beyond[5] == pytest.approx(0.0036, abs=0.0015)


@pytest.mark.parametrize("asset", ASSETS)
def test_tails_outlive_the_volatility_of_the_last_day(tables: Tables, asset: str) -> None:
    """A Student-t with 3 degrees has 0.6 % beyond 4 sigma; a normal one would have 0.006 %."""
    hourly = returns(tables, asset)
    weight = 1.0 - 0.5 ** (1.0 / 24.0)
    variance, standardised = hourly.var(), np.empty_like(hourly)
    for row, value in enumerate(hourly.tolist()):
        standardised[row] = value / variance**0.5
        variance += weight * (value**2 - variance)
    assert 0.004 < np.mean(np.abs(standardised) > 4.0) < 0.015


@pytest.mark.parametrize("asset", ASSETS)
def test_volatility_clusters_and_returns_do_not(tables: Tables, asset: str) -> None:
    hourly = returns(tables, asset)
    for lag in (1, 24):
        assert abs(autocorrelation(hourly, lag)) < 0.04
    size = np.abs(hourly)
    for lag, expected in ((1, 0.25), (2, 0.175), (6, 0.14), (24, 0.125), (168, 0.12)):
        assert autocorrelation(size, lag) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(
    ("asset", "mean", "std", "persistence"), [("btc", 0.421, 0.504, 0.37), ("eth", 0.537, 0.466, 0.42)]
)
def test_daily_realised_volatility(tables: Tables, asset: str, mean: float, std: float, persistence: float) -> None:
    daily = np.log(np.sqrt(365.0 * (returns(tables, asset).reshape(-1, 24) ** 2).sum(axis=1)))
    assert np.exp(daily.mean()) == pytest.approx(mean, rel=0.10)
    assert daily.std() == pytest.approx(std, abs=0.06)
    assert autocorrelation(daily, 1) == pytest.approx(persistence, abs=0.15)


def test_btc_and_eth_move_together(tables: Tables) -> None:
    btc, eth = (returns(tables, asset) for asset in ASSETS)
    assert correlation(btc, eth) == pytest.approx(0.802, abs=0.03)
    assert correlation(np.abs(btc), np.abs(eth)) == pytest.approx(0.732, abs=0.06)


def test_hours_and_weekdays_have_their_multipliers(tables: Tables) -> None:
    size = np.abs(returns(tables, "btc"))[: 24 * 7 * 104].reshape(-1, 7, 24)
    by_hour, by_weekday = size.mean(axis=(0, 1)) / size.mean(), size.mean(axis=(0, 2)) / size.mean()
    assert by_hour[[3, 4, 5, 13, 14, 15]] == pytest.approx([0.79, 0.74, 0.73, 1.29, 1.68, 1.49], abs=0.15)
    assert by_weekday[[0, 5, 6]] == pytest.approx([1.24, 0.57, 0.75], abs=0.12)


@pytest.mark.parametrize("asset", ASSETS)
def test_range_and_volume_go_with_the_return(tables: Tables, asset: str) -> None:
    series = f"spot_ohlcv_binance_{asset}usdt_1h"
    opened, high, low, closed = (column(tables, series, name) for name in ("open", "high", "low", "close"))
    assert np.mean(high - low) / np.mean(np.abs(closed - opened)) == pytest.approx(2.08, abs=0.2)
    log_volume = np.log(column(tables, series, "volume"))
    assert correlation(log_volume, np.abs(returns(tables, asset))) == pytest.approx(0.575, abs=0.06)


# --- Perpetuals


@pytest.mark.parametrize(
    ("asset", "mean", "std", "persistence"), [("btc", -0.01, 1.28, 0.51), ("eth", 0.08, 1.32, 0.55)]
)
def test_bybit_spot_spread(tables: Tables, asset: str, mean: float, std: float, persistence: float) -> None:
    binance, bybit = (column(tables, f"spot_ohlcv_{venue}_{asset}usdt_1h", "open") for venue in VENUES[:2])
    spread = BPS_PER_ONE * (bybit / binance - 1.0)
    assert spread.mean() == pytest.approx(mean, abs=0.1)
    assert spread.std() == pytest.approx(std, abs=0.1)
    assert autocorrelation(spread, 1) == pytest.approx(persistence, abs=0.05)


@pytest.mark.parametrize("asset", ASSETS)
@pytest.mark.parametrize("venue", VENUES[:2])
def test_basis_of_binance_and_bybit_has_two_states(tables: Tables, venue: str, asset: str) -> None:
    basis = basis_bps(tables, venue, asset)
    is_premium = basis > 0.5
    assert basis.mean() == pytest.approx(-1.0, abs=0.8)
    assert basis.std() == pytest.approx(5.2, abs=0.8)
    assert np.median(basis) == pytest.approx(-3.4, abs=0.7)
    assert np.mean(~is_premium) == pytest.approx(0.69, abs=0.08)
    assert basis[~is_premium].mean() == pytest.approx(-4.1, abs=0.5)
    assert basis[is_premium].mean() == pytest.approx(5.9, abs=1.0)
    for lag, expected, tolerance in ((1, 0.95, 0.05), (8, 0.91, 0.15), (24, 0.88, 0.2)):
        assert autocorrelation(basis, lag) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("asset", ASSETS)
def test_basis_of_okx_hovers_near_zero(tables: Tables, asset: str) -> None:
    basis = basis_bps(tables, "okx", asset)
    assert basis.mean() == pytest.approx(0.9, abs=0.4)
    assert basis.std() == pytest.approx(1.9, abs=0.3)
    assert autocorrelation(basis, 1) == pytest.approx(0.65, abs=0.08)


def test_bases_are_correlated_across_assets_and_venues(tables: Tables) -> None:
    binance = basis_bps(tables, "binance", "btc")
    assert correlation(binance, basis_bps(tables, "binance", "eth")) == pytest.approx(0.94, abs=0.05)
    assert correlation(binance, basis_bps(tables, "bybit", "btc")) == pytest.approx(0.915, abs=0.05)
    assert correlation(binance, basis_bps(tables, "okx", "btc")) == pytest.approx(0.585, abs=0.1)


@pytest.mark.parametrize(
    ("venue", "asset", "mean", "std", "persistence", "below_zero"),
    [
        ("binance", "btc", 0.969, 1.112, 0.821, 0.093),
        ("binance", "eth", 1.042, 1.111, 0.836, 0.067),
        ("bybit", "btc", 0.977, 1.286, 0.799, 0.118),
        ("bybit", "eth", 1.008, 1.233, 0.807, 0.129),
        ("okx", "btc", 0.661, 1.067, 0.696, 0.206),
        ("okx", "eth", 0.736, 0.988, 0.751, 0.189),
    ],
)
def test_funding_moments(  # one argument a column of the table
    tables: Tables, venue: str, asset: str, mean: float, std: float, persistence: float, below_zero: float
) -> None:
    funding = funding_bps(tables, venue, asset)
    assert funding.mean() == pytest.approx(mean, abs=0.2)
    assert funding.std() == pytest.approx(std, abs=0.35)
    assert autocorrelation(funding, 1) == pytest.approx(persistence, abs=0.2)
    assert np.mean(funding < 0.0) == pytest.approx(below_zero, abs=0.12)
    assert np.abs(funding).max() < 30.0


@pytest.mark.parametrize("asset", ASSETS)
def test_funding_sits_at_one_basis_point_where_it_is_floored(tables: Tables, asset: str) -> None:
    for venue, share in (("binance", 0.37), ("bybit", 0.41)):
        assert np.mean(np.isclose(funding_bps(tables, venue, asset), 1.0, atol=1e-6)) == pytest.approx(share, abs=0.15)
    assert np.mean(np.isclose(funding_bps(tables, "okx", asset), 1.0, atol=1e-6)) < 0.01


def test_funding_is_correlated_across_assets_and_venues(tables: Tables) -> None:
    eth = funding_bps(tables, "binance", "eth")
    assert correlation(eth, funding_bps(tables, "binance", "btc")) == pytest.approx(0.878, abs=0.08)
    assert correlation(eth, funding_bps(tables, "bybit", "eth")) == pytest.approx(0.841, abs=0.08)
    assert correlation(eth, funding_bps(tables, "okx", "eth")) == pytest.approx(0.737, abs=0.25)


# --- Lending


@pytest.mark.parametrize(
    ("token", "supply", "borrow"),
    [
        ("usdt", 0.06185, 0.08267),
        ("weth", 0.01904, 0.02619),
        ("weeth", 0.00108, 0.01854),
        ("wsteth", 0.00062, 0.00487),
    ],
)
def test_index_growth(tables: Tables, token: str, supply: float, borrow: float) -> None:
    series = f"aave_v3_{token}_rates_1d"
    years = (DEFAULT_DAYS - 1) / 365.0
    for name, expected in (("liquidity_index", supply), ("variable_borrow_index", borrow)):
        index = column(tables, series, name)
        assert (np.diff(index) >= 0.0).all()
        assert np.log(index[-1] / index[0]) / years == pytest.approx(expected, rel=0.35, abs=0.0003)


@pytest.mark.parametrize(
    ("token", "mean", "std", "persistence"),
    [("usdt", 0.8123, 0.0945, 0.958), ("weth", 0.8342, 0.0639, 0.970), ("weeth", 0.0614, 0.0725, 0.987)],
)
def test_utilisation(tables: Tables, token: str, mean: float, std: float, persistence: float) -> None:
    utilization = column(tables, f"aave_v3_{token}_rates_1d", "utilization")
    assert utilization.mean() == pytest.approx(mean, abs=0.04)
    assert utilization.std() == pytest.approx(std, abs=0.03)
    assert autocorrelation(utilization, 1) == pytest.approx(persistence, abs=0.04)


@pytest.mark.parametrize(
    ("token", "reserve_factor"), [("usdt", 0.10), ("weth", 0.15), ("weeth", 0.45), ("wsteth", 0.05)]
)
def test_supply_rate_is_what_borrowers_pay_less_the_reserve(tables: Tables, token: str, reserve_factor: float) -> None:
    series = f"aave_v3_{token}_rates_1d"
    borrow, utilization = (column(tables, series, name) for name in ("variable_borrow_apr", "utilization"))
    paid = borrow * utilization * (1.0 - reserve_factor)
    np.testing.assert_allclose(column(tables, series, "supply_apr"), paid, rtol=1e-12)


def test_index_growth_is_smoother_than_the_midnight_rate(tables: Tables) -> None:
    index = column(tables, "aave_v3_usdt_rates_1d", "liquidity_index")
    assert (365.0 * np.diff(np.log(index))).std() < column(tables, "aave_v3_usdt_rates_1d", "supply_apr").std()


# --- Liquid staking


@pytest.mark.parametrize(
    ("token", "mean", "std", "persistence"), [("weeth", 0.02746, 0.00716, -0.34), ("wsteth", 0.03052, 0.00675, 0.07)]
)
def test_staking_yield(tables: Tables, token: str, mean: float, std: float, persistence: float) -> None:
    apr = column(tables, f"lst_{token}_oracle_1d", "base_apr")[1:]
    assert apr.mean() == pytest.approx(mean, rel=0.03)
    assert apr.std() == pytest.approx(std, rel=0.25)
    assert autocorrelation(apr, 1) == pytest.approx(persistence, abs=0.15)
    assert apr.min() >= -1e-12


@pytest.mark.parametrize(("token", "median"), [("weeth", -3.8), ("wsteth", -3.6)])
def test_market_discount_with_rare_depegs(tables: Tables, token: str, median: float) -> None:
    premium_bps = 100.0 * column(tables, f"lst_{token}_market_1h", "premium_pct")
    assert np.median(premium_bps) == pytest.approx(median, abs=0.8)
    assert premium_bps.mean() == pytest.approx(-5.0, abs=1.2)
    assert -210.0 < premium_bps.min() < -30.0
    assert np.mean(premium_bps < -30.0) < 0.01
    assert autocorrelation(premium_bps, 1) > 0.9


# --- Gas


def test_gas_level_and_persistence(tables: Tables) -> None:
    log_fee = np.log(column(tables, "gas_prices_1h", "base_fee_gwei"))
    assert log_fee.mean() == pytest.approx(1.945, abs=0.5)
    assert log_fee.std() == pytest.approx(1.316, abs=0.3)
    for lag, expected, tolerance in ((2, 0.941, 0.04), (24, 0.882, 0.1), (168, 0.827, 0.2)):
        assert autocorrelation(log_fee, lag) == pytest.approx(expected, abs=tolerance)
    assert column(tables, "gas_prices_1h", "gas_price_avg_gwei").mean() == pytest.approx(15.47, rel=0.35)


def test_gas_is_dearest_in_the_afternoon_and_cheap_at_the_weekend(tables: Tables) -> None:
    log_fee = np.log(column(tables, "gas_prices_1h", "base_fee_gwei"))[: 24 * 7 * 104].reshape(-1, 7, 24)
    assert int(np.argmax(log_fee.mean(axis=(0, 1)))) in {15, 16, 17}
    assert log_fee[:, 5:].mean() < log_fee[:, :5].mean() - 0.3
