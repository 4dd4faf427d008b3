"""Tiny data sets on disk, written from markets made in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from dataflow.market.market import Market
from dataflow.market.series import STABLE_VALUE, stable_series
from schemas.units import SECONDS_PER_DAY, Column, Instants
from tests.support.markets import BASIS_MODES, LENDING_MODES, VENUES, quiet_market, violent_market

_RESERVE: Final = {"pure_lending_usdt": "usdt", "pure_lending_eth": "weth"}
_ASSET: Final = {"btc_basis": "btc", "eth_basis": "eth"}
_WITHOUT_SPOT: Final = ("okx",)
"""Exchanges that the shipped configuration fills from Binance."""


def violent_data_set(directory: Path, mode: str, seed: int, rows: int) -> Path:
    """A data set of the series that a mode reads, from a violent market; look-back rows come first."""
    return write_data_set(directory, mode, violent_market(mode, seed, rows))


def quiet_data_set(directory: Path, mode: str, rows: int) -> Path:
    """A data set of the series that a mode reads, from a quiet market."""
    return write_data_set(directory, mode, quiet_market(mode, rows))


def write_data_set(directory: Path, mode: str, market: Market) -> Path:
    """Write the series of a mode as CSV files; daily series take the values of the midnights."""
    directory.mkdir(parents=True, exist_ok=True)
    instants, columns = market.instants, market.columns
    _write(directory / "gas_prices_1h.csv", instants, {"gas_price_avg_gwei": columns["gas_price_gwei"]})
    _write(directory / "spot_ohlcv_binance_ethusdt_1h.csv", instants, _candles(columns["eth_price"]))
    if mode in LENDING_MODES:
        _write_reserve(directory / f"aave_v3_{_RESERVE[mode]}_rates_1d.csv", instants, columns["liquidity_index"][:, 0])
    if mode in BASIS_MODES:
        _write_exchanges(directory, _ASSET[mode], market)
    return directory


def write_stable_price(directory: Path, token: str, instants: Instants, price: Column) -> None:
    """Add the hourly price of a stablecoin to a data set."""
    _write(directory / f"{stable_series(token)}.csv", instants, {STABLE_VALUE: price})


def _write_reserve(path: Path, instants: Instants, index: Column) -> None:
    daily = instants.astype(np.int64) % SECONDS_PER_DAY == 0
    _write(path, instants[daily], {"liquidity_index": index[daily], "variable_borrow_index": index[daily]})


def _write_exchanges(directory: Path, asset: str, market: Market) -> None:
    columns = market.columns
    settles = columns["funding_settled"][:, 0] > 0.0
    for at, venue in enumerate(VENUES):
        pair = f"{venue}_{asset}usdt"
        if venue not in _WITHOUT_SPOT:
            _write(directory / f"spot_ohlcv_{pair}_1h.csv", market.instants, _candles(columns["spot_price"][:, at]))
        _write(directory / f"perp_ohlcv_{pair}_1h.csv", market.instants, _candles(columns["perp_mark"][:, at]))
        rates = {"funding_rate": columns["funding_rate"][settles, at]}
        _write(directory / f"funding_{pair}.csv", market.instants[settles], rates)


def _candles(price: Column) -> dict[str, Column]:
    """Candles whose four prices are one."""
    return {**dict.fromkeys(("open", "high", "low", "close"), price), "volume": np.ones_like(price)}


def _write(path: Path, instants: Instants, columns: Mapping[str, Column]) -> None:
    stamps = [f"{text}Z" for text in np.datetime_as_string(instants, unit="s").tolist()]
    rows = zip(stamps, *(column.tolist() for column in columns.values()), strict=True)
    lines = [",".join(["timestamp", *columns]), *(",".join(map(_cell, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def _cell(value: str | float) -> str:
    """A cell: text as it is, a number with every digit."""
    return value if isinstance(value, str) else repr(value)
