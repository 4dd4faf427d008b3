"""What `load_market` gives: aligned, read-only, unfilled unless a rule says so, and nothing from the future.

The laws are shown on tiny data sets whose values are known by construction; the last tests repeat the headline facts
on real history where it is present.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow.market.history.loading import coverage, load_market
from dataflow.market.market import MARKET_COLUMNS, Market, MarketRequest
from schemas.errors import DataGapError, DataValidationError

Table = dict[str, list[str | float]]
Save = Callable[..., Path]

BASIS = MarketRequest(
    columns=("spot_price", "perp_mark", "funding_rate", "reference_price", "eth_price", "gas_price_gwei"),
    base_asset="BTC",
    venues=("binance", "bybit", "okx"),
    fill_rules={"spot_price.okx": "binance", "funding_rate.okx": "mean_of_other_venues"},
)
EVERYTHING = dataclasses.replace(
    BASIS, columns=MARKET_COLUMNS, supplied=("USDT", "weETH"), borrowed=("WETH",), lst="weETH"
)


def at(text: str) -> np.datetime64:
    return np.datetime64(text, "s")


def drop_row(table: Table, row: int) -> None:
    for values in table.values():
        del values[row]


def same_columns(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_price_is_the_open_of_the_candle_labelled_so(tables: dict[str, Table], save: Save) -> None:
    market = load_market(save(tables), BASIS)
    assert market.axes["spot_price"] == ("binance", "bybit", "okx")
    assert market.columns["spot_price"][5].tolist() == [1005.0, 2005.0, 1005.0]
    assert market.columns["perp_mark"][5].tolist() == [1005.5, 2005.5, 3005.5]
    assert market.columns["reference_price"][5] == 1005.0


def test_every_column_is_read_only_float64_on_the_clock(tables: dict[str, Table], save: Save) -> None:
    market = load_market(save(tables), EVERYTHING)
    assert set(market.columns) == set(MARKET_COLUMNS)
    assert market.instants.dtype == np.dtype("datetime64[s]")
    assert (np.diff(market.instants) == np.timedelta64(3_600, "s")).all()
    for name, column in market.columns.items():
        assert column.dtype == np.float64
        assert not column.flags.writeable
        assert column.flags.f_contiguous
        assert column.shape == (len(market.instants), *([len(market.axes[name])] if name in market.axes else []))
    with pytest.raises(ValueError, match="read-only"):
        market.instants[0] = at("2000-01-01")


def test_csv_gzip_and_parquet_give_the_same_market(tables: dict[str, Table], save: Save) -> None:
    first, *others = (load_market(save(tables, suffix), EVERYTHING) for suffix in (".csv", ".csv.gz", ".parquet"))
    for other in others:
        assert same_columns(first.columns, other.columns)
        assert np.array_equal(first.instants, other.instants)


def test_start_and_end_are_both_rows(tables: dict[str, Table], save: Save) -> None:
    request = dataclasses.replace(BASIS, start=at("2024-01-01T10"), end=at("2024-01-02T03"))
    market = load_market(save(tables), request)
    assert market.first_row == 0
    assert (market.instants[0], market.instants[-1]) == (at("2024-01-01T10"), at("2024-01-02T03"))


def test_without_bounds_the_run_is_the_common_coverage(tables: dict[str, Table], save: Save) -> None:
    drop_row(tables["perp_ohlcv_okx_btcusdt_1h"], 0)
    directory = save(tables)
    market = load_market(directory, BASIS)
    assert (market.instants[0], market.instants[-1]) == coverage(directory, BASIS)
    assert coverage(directory, BASIS) == (at("2024-01-01T01"), at("2024-01-03T23"))


def test_look_back_is_as_long_as_the_data(tables: dict[str, Table], save: Save) -> None:
    directory = save(tables)
    for start, expected in (("2024-01-01T00", 0), ("2024-01-01T05", 5), ("2024-01-02T12", 24)):
        market = load_market(directory, dataclasses.replace(BASIS, start=at(start), look_back_rows=24))
        assert market.first_row == expected
        assert market.instants[market.first_row] == at(start)


def test_look_back_stops_at_a_gap_before_the_run(tables: dict[str, Table], save: Save) -> None:
    drop_row(tables["perp_ohlcv_okx_btcusdt_1h"], 10)
    market = load_market(save(tables), dataclasses.replace(BASIS, start=at("2024-01-01T20"), look_back_rows=24))
    assert market.instants[0] == at("2024-01-01T11")
    assert market.first_row == 9


# --- Step functions


def test_daily_index_holds_until_the_next_midnight(tables: dict[str, Table], save: Save) -> None:
    market = load_market(save(tables), EVERYTHING)
    index = market.columns["liquidity_index"][:, 0]
    assert index[:24].tolist() == [1.0] * 24
    assert index[24:48].tolist() == [1.001] * 24
    assert market.axes["liquidity_index"] == ("USDT", "weETH")


def test_daily_facts_cover_their_last_day(tables: dict[str, Table], save: Save) -> None:
    request = MarketRequest(columns=("liquidity_index",), supplied=("USDT",))
    assert coverage(save(tables), request) == (at("2024-01-01T00"), at("2024-01-03T23"))


@pytest.mark.parametrize(("days_missing", "is_gap"), [(1, False), (2, True)])
def test_a_daily_fact_is_stale_after_48_hours(
    tables: dict[str, Table], save: Save, days_missing: int, is_gap: bool
) -> None:
    name = "aave_v3_usdt_rates_1d"
    tables[name] = {
        "timestamp": [f"2024-01-{day:02d}T00:00:00Z" for day in (1, 2 + days_missing)],
        "liquidity_index": [1.0, 1.1],
        "variable_borrow_index": [1.0, 1.1],
    }
    request = MarketRequest(columns=("liquidity_index",), supplied=("USDT",))
    directory = save(tables)
    if not is_gap:
        assert load_market(directory, request).columns["liquidity_index"][47] == 1.0
        return
    with pytest.raises(DataGapError) as caught:
        load_market(directory, request)
    assert caught.value.context["series"] == name
    assert caught.value.context["instant"] == "2024-01-03T01:00:00Z"


def test_gas_is_held_for_six_hours(tables: dict[str, Table], save: Save) -> None:
    for _ in range(6):
        drop_row(tables["gas_prices_1h"], 10)
    assert load_market(save(tables), BASIS).columns["gas_price_gwei"][15] == 5.0
    drop_row(tables["gas_prices_1h"], 10)
    with pytest.raises(DataGapError) as caught:
        load_market(save(tables), BASIS)
    assert caught.value.context["instant"] == "2024-01-01T16:00:00Z"


def test_a_column_required_when_used_may_have_gaps_that_are_told(tables: dict[str, Table], save: Save) -> None:
    for _ in range(20):
        drop_row(tables["gas_prices_1h"], 0)
    request = dataclasses.replace(BASIS, required_when_used=("gas_price_gwei",))
    market = load_market(save(tables), request)
    assert market.instants[0] == at("2024-01-01T00")
    assert int(np.isnan(market.columns["gas_price_gwei"]).sum()) == 20
    assert any("gas_price_gwei" in warning for warning in market.provenance.warnings)


def test_lst_market_falls_back_on_the_oracle_less_10_bps(tables: dict[str, Table], save: Save) -> None:
    market = load_market(save(tables), EVERYTHING)
    ratio = market.columns["lst_market_ratio"]
    assert ratio[0] == 1.04 * (1.0 - 0.001)
    assert ratio[12] == 1.03
    assert ratio[39 + 24] == 1.03
    assert ratio[39 + 25] == 1.06 * (1.0 - 0.001)
    assert market.provenance.fills["lst_market_ratio=oracle_less_10_bps"] == 12 + (72 - 64)


def test_a_rounding_fall_is_clipped_and_counted(tables: dict[str, Table], save: Save) -> None:
    tables["lst_weeth_oracle_1d"]["eth_per_lst"] = [1.04, 1.04 * (1.0 - 5e-10), 1.06]
    market = load_market(save(tables), EVERYTHING)
    assert market.columns["lst_oracle_ratio"][24] == 1.04
    assert market.provenance.fills["lst_weeth_oracle_1d.eth_per_lst=clipped"] == 1


# --- Funding


def test_funding_is_on_its_settlement_rows_and_zero_elsewhere(tables: dict[str, Table], save: Save) -> None:
    columns = load_market(save(tables), BASIS).columns
    rate, settled = columns["funding_rate"], columns["funding_settled"]
    assert np.flatnonzero(settled[:, 1]).tolist() == list(range(0, 72, 8))
    assert rate[8].tolist() == [2e-4, 4e-4, 6e-4]
    assert (rate[settled == 0.0] == 0.0).all()


def test_a_missing_settlement_is_the_mean_of_the_others_and_counted(tables: dict[str, Table], save: Save) -> None:
    drop_row(tables["funding_okx_btcusdt"], 2)
    market = load_market(save(tables), BASIS)
    assert market.columns["funding_rate"][16, 2] == (3e-4 + 6e-4) / 2
    assert market.columns["funding_settled"][16, 2] == 1.0
    assert market.provenance.fills["funding_rate.okx=mean_of_other_venues"] == 1


def test_a_missing_settlement_without_a_rule_is_a_gap(tables: dict[str, Table], save: Save) -> None:
    drop_row(tables["funding_okx_btcusdt"], 2)
    request = dataclasses.replace(BASIS, fill_rules={"spot_price.okx": "binance"})
    with pytest.raises(DataGapError) as caught:
        load_market(save(tables), request)
    assert caught.value.context == {
        "series": "funding_okx_btcusdt",
        "column": "funding_rate.okx",
        "instant": "2024-01-01T16:00:00Z",
        "rows": 1,
    }


def test_a_settlement_that_no_venue_has_is_a_gap(tables: dict[str, Table], save: Save) -> None:
    for venue in ("binance", "bybit", "okx"):
        drop_row(tables[f"funding_{venue}_btcusdt"], 2)
    rules = {**BASIS.fill_rules, "funding_rate.binance": "mean_of_other_venues"}
    with pytest.raises(DataGapError) as caught:
        load_market(save(tables), dataclasses.replace(BASIS, fill_rules=rules))
    assert caught.value.context["instant"] == "2024-01-01T16:00:00Z"


def test_funding_covers_the_interval_after_its_last_settlement(tables: dict[str, Table], save: Save) -> None:
    drop_row(tables["funding_okx_btcusdt"], -1)
    assert coverage(save(tables), BASIS)[1] == at("2024-01-03T15")


# --- Prices of another venue


def test_a_proxy_is_counted_on_every_row(tables: dict[str, Table], save: Save) -> None:
    assert load_market(save(tables), BASIS).provenance.fills["spot_price.okx=binance"] == 72


def test_a_price_rule_fills_only_the_holes_of_a_series_that_is_there(tables: dict[str, Table], save: Save) -> None:
    drop_row(tables["spot_ohlcv_bybit_btcusdt_1h"], 7)
    rules = {**BASIS.fill_rules, "spot_price.bybit": "binance"}
    market = load_market(save(tables), dataclasses.replace(BASIS, fill_rules=rules))
    assert market.columns["spot_price"][6:9, 1].tolist() == [2006.0, 1007.0, 2008.0]
    assert market.provenance.fills["spot_price.bybit=binance"] == 1


# --- Laws


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(kept=st.integers(min_value=2, max_value=71))
def test_later_rows_change_nothing_before_them(tables: dict[str, Table], save: Save, kept: int) -> None:
    end = at("2024-01-01T00") + np.timedelta64(kept - 1, "h")
    limit = f"{end}Z"
    shorter = {
        name: {
            column: [value for value, stamp in zip(values, table["timestamp"], strict=True) if str(stamp) <= limit]
            for column, values in table.items()
        }
        for name, table in tables.items()
        if str(table["timestamp"][0]) <= limit
    }
    request = dataclasses.replace(
        EVERYTHING, columns=tuple(c for c in MARKET_COLUMNS if c != "lst_market_ratio"), end=end
    )
    whole = load_market(save(tables, ".csv"), request)
    cut = load_market(save(shorter, ".parquet"), request)
    assert same_columns(whole.columns, cut.columns)


def test_digest_follows_the_bytes_of_the_files_read(tables: dict[str, Table], save: Save) -> None:
    digest = load_market(save(tables), BASIS).provenance.digest
    assert load_market(save(tables), BASIS).provenance.digest == digest
    tables["aave_v3_weth_rates_1d"]["liquidity_index"][0] = 0.5
    assert load_market(save(tables), BASIS).provenance.digest == digest
    tables["gas_prices_1h"]["gas_price_avg_gwei"][0] = 6.0
    assert load_market(save(tables), BASIS).provenance.digest != digest


# --- Windows that the data does not have


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        pytest.param("2023-12-31T23", None, "start", id="before-the-data"),
        pytest.param(None, "2024-01-04T00", "end", id="after-the-data"),
        pytest.param("2024-02-01T00", "2024-02-02T00", "start", id="outside-the-data"),
    ],
)
def test_a_window_that_is_not_covered_names_the_one_that_is(
    tables: dict[str, Table], save: Save, start: str | None, end: str | None, field: str
) -> None:
    request = dataclasses.replace(BASIS, start=at(start) if start else None, end=at(end) if end else None)
    with pytest.raises(DataGapError) as caught:
        load_market(save(tables), request)
    assert caught.value.context["field"] == field
    assert caught.value.context["covered"] == "2024-01-01T00:00:00Z..2024-01-03T23:00:00Z"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param("2024-01-02T00", "2024-01-01T00", id="exchanged"),
        pytest.param("2024-01-01T00:30", "2024-01-02T00", id="off-the-clock"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(tables: dict[str, Table], save: Save, start: str, end: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        load_market(save(tables), dataclasses.replace(BASIS, start=at(start), end=at(end)))
    assert caught.value.context["field"] == "start"


def test_series_without_a_common_instant_are_refused(tables: dict[str, Table], save: Save) -> None:
    stamps = tables["gas_prices_1h"]["timestamp"]
    tables["gas_prices_1h"]["timestamp"] = [str(stamp).replace("2024", "2020") for stamp in stamps]
    with pytest.raises(DataGapError):
        load_market(save(tables), BASIS)


def test_a_missing_candle_is_a_gap(tables: dict[str, Table], save: Save) -> None:
    drop_row(tables["perp_ohlcv_okx_btcusdt_1h"], 30)
    with pytest.raises(DataGapError) as caught:
        load_market(save(tables), BASIS)
    assert caught.value.context["series"] == "perp_ohlcv_okx_btcusdt_1h"
    assert caught.value.context["instant"] == "2024-01-02T06:00:00Z"


def test_a_settlement_between_the_rows_of_a_coarse_clock_is_refused(tables: dict[str, Table], save: Save) -> None:
    request = MarketRequest(columns=("funding_rate",), venues=("okx",), base_asset="BTC", step_seconds=86_400)
    with pytest.raises(DataValidationError) as caught:
        load_market(save(tables), request)
    assert caught.value.context["instant"] == "2024-01-01T08:00:00Z"


# --- Real history

WINDOW = (at("2024-05-12"), at("2025-03-31"))


def basis_result(market: Market) -> float:
    """Evaluate the closed form of `expected.md`: 100,000 USDT split 40/30/30, long spot and short perp, no costs."""
    row = market.first_row
    spot, mark = market.columns["spot_price"], market.columns["perp_mark"]
    units = np.array([0.4, 0.3, 0.3]) * 100_000.0 / spot[row]
    funding = (mark * market.columns["funding_rate"])[row + 1 :].sum(axis=0) @ units
    return float(100_000.0 + funding + units @ ((spot[-1] - spot[row]) - (mark[-1] - mark[row])))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("asset", "expected", "fills"), [("BTC", 108_964.83958970, 114), ("ETH", 108_151.59182697, 105)]
)
def test_the_closed_form_of_the_basis_trade_holds_on_real_history(
    real_data: Path, asset: str, expected: float, fills: int
) -> None:
    request = dataclasses.replace(BASIS, base_asset=asset, start=WINDOW[0], end=WINDOW[1], look_back_rows=24)
    market = load_market(real_data, request)
    assert market.first_row == 24
    assert basis_result(market) == pytest.approx(expected, abs=1e-6)
    assert market.provenance.fills["funding_rate.okx=mean_of_other_venues"] == fills
    assert not market.provenance.synthetic


@pytest.mark.real_data
def test_lending_growth_on_real_history_is_the_index_ratio(real_data: Path) -> None:
    request = MarketRequest(columns=("liquidity_index",), supplied=("USDT", "WETH"), start=WINDOW[0], end=WINDOW[1])
    index = load_market(real_data, request).columns["liquidity_index"]
    assert (100_000.0 * index[-1, 0] / index[0, 0]) == pytest.approx(104_925.43766506, abs=1e-6)
    assert (100.0 * index[-1, 1] / index[0, 1]) == pytest.approx(101.80087876, abs=1e-7)


@pytest.mark.real_data
def test_the_coverage_of_real_basis_data_is_bounded_by_okx_funding_and_the_last_candle(real_data: Path) -> None:
    first, last = coverage(real_data, BASIS)
    assert first == at("2024-04-30T16")
    assert last >= at("2025-03-31T23")
