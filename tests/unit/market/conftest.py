"""Tiny data sets for the tests of market data: three days of every series, as tables that a test may spoil first."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as arrow_parquet
import pytest

Table = dict[str, list[str | float]]

DAYS = 3
FIRST = np.datetime64("2024-01-01T00:00:00")


def _instants(count: int, step_hours: int) -> list[str | float]:
    return [f"{FIRST + np.timedelta64(row * step_hours, 'h')}Z" for row in range(count)]


def _candles(first_open: float) -> Table:
    opened: list[str | float] = [first_open + row for row in range(24 * DAYS)]
    return {
        "timestamp": _instants(24 * DAYS, 1),
        "open": opened,
        "high": [float(price) + 2.0 for price in opened],
        "low": [float(price) - 1.0 for price in opened],
        "close": [float(price) + 1.0 for price in opened],
        "volume": [10.0] * len(opened),
    }


def _funding(rate: float) -> Table:
    return {
        "timestamp": _instants(3 * DAYS, 8),
        "funding_rate": [round(rate * (1 + row), 10) for row in range(3 * DAYS)],
    }


def _index(first: float) -> Table:
    return {
        "timestamp": _instants(DAYS, 24),
        "liquidity_index": [first + 0.001 * day for day in range(DAYS)],
        "variable_borrow_index": [first + 0.002 * day for day in range(DAYS)],
    }


@pytest.fixture
def tables() -> dict[str, Table]:
    """Return fresh tables by series name; the row `r` of venue number `v` opens at 1000 (v + 1) + r."""
    made: dict[str, Table] = {
        "gas_prices_1h": {"timestamp": _instants(24 * DAYS, 1), "gas_price_avg_gwei": [5.0] * (24 * DAYS)}
    }
    for number, venue in enumerate(("binance", "bybit", "okx")):
        for asset in ("btc", "eth"):
            if venue != "okx":
                made[f"spot_ohlcv_{venue}_{asset}usdt_1h"] = _candles(1_000.0 * (number + 1))
            made[f"perp_ohlcv_{venue}_{asset}usdt_1h"] = _candles(1_000.0 * (number + 1) + 0.5)
            made[f"funding_{venue}_{asset}usdt"] = _funding(1e-4 * (number + 1))
    for token in ("usdt", "weth", "weeth"):
        made[f"aave_v3_{token}_rates_1d"] = _index(1.0)
    made["lst_weeth_oracle_1d"] = {"timestamp": _instants(DAYS, 24), "eth_per_lst": [1.04, 1.05, 1.06]}
    made["lst_weeth_market_1h"] = {
        "timestamp": _instants(24 * DAYS, 1)[12:40],
        "market_eth_per_lst_median24h": [1.03] * 28,
    }
    return made


def _csv_text(table: Mapping[str, list[str | float]]) -> bytes:
    rows = zip(*table.values(), strict=True)
    return "\n".join([",".join(table), *(",".join(map(str, row)) for row in rows), ""]).encode()


def _write(path: Path, table: Mapping[str, list[str | float]]) -> None:
    if path.suffix == ".parquet":
        seconds = np.array([str(text).removesuffix("Z") for text in table["timestamp"]], dtype="datetime64[s]")
        columns = {name: pa.array(values) for name, values in table.items() if name != "timestamp"}
        stamps = pa.array(seconds).cast(pa.timestamp("ms", tz="UTC"))
        arrow_parquet.write_table(pa.table({"timestamp": stamps, **columns}), path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(_csv_text(table)))
    else:
        path.write_bytes(_csv_text(table))


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes tables as a data set (`suffix` .csv, .csv.gz or .parquet) and gives its path."""

    def write_all(tables: Mapping[str, Table], suffix: str = ".csv") -> Path:
        directory = tmp_path / f"set{suffix}"
        directory.mkdir(exist_ok=True)
        for name, table in tables.items():
            _write(directory / f"{name}{suffix}", table)
        return directory

    return write_all
