"""The synthetic set is a data set like any other: complete, sound, deterministic, cached, and blind to the future."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dataflow.market.history.loading import load_market
from dataflow.market.history.quality import check_data_set
from dataflow.market.market import MARKET_COLUMNS, MarketRequest
from dataflow.market.synthetic import data_set as synthetic
from dataflow.market.synthetic.data_set import cache_directory, synthetic_data_set, synthetic_series, write_synthetic
from dataflow.market.synthetic.prices import SeriesTable
from schemas.errors import DataSourceUnavailableError
from schemas.units import Column

START = "2024-01-01"


def numbers(tables: Mapping[str, SeriesTable], series: str, column: str) -> Column:
    return tables[series][column].astype(np.float64)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic(tmp_path_factory.mktemp("synthetic") / "set", days=40)


def test_it_serves_every_market_column(small_set: Path) -> None:
    request = MarketRequest(
        columns=MARKET_COLUMNS,
        base_asset="ETH",
        venues=("binance", "bybit", "okx"),
        supplied=("USDT", "WETH", "weETH", "wstETH"),
        borrowed=("WETH",),
        lst="wstETH",
        fill_rules={"spot_price.okx": "binance", "funding_rate.okx": "mean_of_other_venues"},
    )
    market = load_market(small_set, request)
    assert len(market.instants) == 40 * 24
    assert market.provenance.synthetic
    assert market.provenance.fills == {"spot_price.okx=binance": 40 * 24}


def test_it_has_no_faults_and_no_gaps(small_set: Path) -> None:
    report = check_data_set(small_set)
    assert report.faults == ()
    assert not any(one.gaps or one.duplicates or one.clipped_falls for one in report.series)
    assert "spot_ohlcv_okx_btcusdt_1h" not in {one.series for one in report.series}


def test_its_manifest_says_what_it_is(small_set: Path) -> None:
    manifest = json.loads((small_set / "data_set.json").read_text())
    assert manifest["synthetic"] is True
    assert (manifest["seed"], manifest["generator_version"]) == (7, synthetic.GENERATOR_VERSION)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(small_set: Path, tmp_path: Path) -> None:
    again = write_synthetic(tmp_path / "again", days=40)
    for path in small_set.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()
    other = write_synthetic(tmp_path / "other", seed=8, days=40)
    name = "spot_ohlcv_binance_btcusdt_1h.parquet"
    assert (other / name).read_bytes() != (small_set / name).read_bytes()


def test_a_longer_set_begins_with_the_shorter_one() -> None:
    short, long = (synthetic_series(11, START, days) for days in (30, 45))
    assert short.keys() == long.keys()
    for name, table in short.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, long[name][column][: len(values)], err_msg=f"{name}.{column}")


def test_candles_hold_their_open_and_close_and_join_up() -> None:
    tables = synthetic_series(7, START, 30)
    series = [name for name in tables if "_ohlcv_" in name]
    assert len(series) == 13
    for name in series:
        opened, high, low, closed = (numbers(tables, name, column) for column in ("open", "high", "low", "close"))
        assert (high >= np.maximum(opened, closed)).all()
        assert (low <= np.minimum(opened, closed)).all()
        assert (low > 0.0).all()
        assert (opened[1:] == closed[:-1]).all()


@pytest.mark.parametrize(("venue", "is_floored"), [("binance", True), ("bybit", True), ("okx", False)])
def test_funding_is_the_rule_of_the_eight_hours_before(venue: str, is_floored: bool) -> None:
    tables = synthetic_series(7, START, 60)
    spot = numbers(tables, "spot_ohlcv_binance_ethusdt_1h", "open")
    basis = 1e4 * (numbers(tables, f"perp_ohlcv_{venue}_ethusdt_1h", "open") / spot - 1.0)
    mean = basis.reshape(-1, 8).mean(axis=1)[:-1]
    expected = mean + np.clip(1.0 - mean, -5.0, 5.0) if is_floored else mean
    rate = 1e4 * numbers(tables, f"funding_{venue}_ethusdt", "funding_rate")[1:]
    # Prices are rounded to 0.01 on about 2,000: 0.05 bps at most in a mean.
    np.testing.assert_allclose(rate, expected, atol=0.05)


def test_the_cache_is_filled_once(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    first = synthetic_data_set(tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] == len(list(first.glob("*.parquet")))
    calls.clear()
    assert synthetic_data_set(tmp_path, progress=lambda done, total: calls.append((done, total))) == first
    assert calls == []


def test_two_makers_at_once_leave_one_complete_set(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = {future.result() for future in [pool.submit(synthetic_data_set, tmp_path) for _ in range(2)]}
    assert len(paths) == 1
    assert [path.name for path in (tmp_path / "synthetic").iterdir()] == [paths.pop().name]


def test_the_cache_directory_is_the_named_one_else_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASIS_CACHE_DIR", "/somewhere")
    assert cache_directory() == Path("/somewhere")
    monkeypatch.delenv("BASIS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/basis-strategy")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "basis-strategy"


def test_an_unwritable_cache_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataSourceUnavailableError) as caught:
        synthetic_data_set(tmp_path / "file")
    assert str(caught.value.context["data_set"]).startswith(str(tmp_path / "file"))
    with pytest.raises(DataSourceUnavailableError):
        write_synthetic(tmp_path / "file" / "set", days=2)
