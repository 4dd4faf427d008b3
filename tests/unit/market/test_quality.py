"""The quality report lists what every series holds and all faults at once; it raises for none of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dataflow.market.history.quality import MissingRows, QualityReport, SeriesQuality, check_data_set
from dataflow.market.market import MarketRequest

Table = dict[str, list[str | float]]
Save = Callable[..., Path]

SPOT = "spot_ohlcv_binance_btcusdt_1h"
REQUEST = MarketRequest(columns=("spot_price", "funding_rate"), base_asset="BTC", venues=("binance", "bybit"))


def quality_of(report: QualityReport, series: str) -> SeriesQuality:
    return next(one for one in report.series if one.series == series)


def test_a_sound_data_set_has_no_faults(tables: dict[str, Table], save: Save) -> None:
    report = check_data_set(save(tables))
    assert report.faults == ()
    assert len(report.series) == len(tables)
    assert quality_of(report, SPOT) == SeriesQuality(
        series=SPOT,
        file=f"{SPOT}.csv",
        rows=72,
        first="2024-01-01T00:00:00Z",
        last="2024-01-03T23:00:00Z",
        step_seconds=3_600,
        gaps=(),
        duplicates=0,
        clipped_falls=0,
        faults=(),
    )


def test_all_faults_are_listed_at_once(tables: dict[str, Table], save: Save) -> None:
    tables[SPOT]["open"][3] = -1.0
    tables[SPOT]["close"][4] = "nan"
    tables[SPOT]["timestamp"][6] = tables[SPOT]["timestamp"][5]
    del tables["funding_okx_btcusdt"]["funding_rate"]
    directory = save(tables)
    (directory / "gas_prices_1h.csv").write_bytes(b"\x00")
    report = check_data_set(directory)
    assert sorted(fault.code for fault in report.faults) == ["DATA-002"] * 4 + ["DATA-005"]
    assert quality_of(report, SPOT).duplicates == 1
    assert quality_of(report, "gas_prices_1h").rows == 0


def test_every_missing_column_of_a_file_is_listed_and_the_others_checked(tables: dict[str, Table], save: Save) -> None:
    del tables[SPOT]["high"], tables[SPOT]["low"]
    tables[SPOT]["open"][3] = 0.0
    faults = quality_of(check_data_set(save(tables)), SPOT).faults
    assert [fault.context["column"] for fault in faults] == ["high", "low", "open"]


def test_gaps_are_listed_by_their_missing_instants(tables: dict[str, Table], save: Save) -> None:
    for values in tables[SPOT].values():
        del values[10:13]
    for values in tables["funding_okx_btcusdt"].values():
        del values[4]
    report = check_data_set(save(tables))
    assert quality_of(report, SPOT).gaps == (MissingRows("2024-01-01T10:00:00Z", "2024-01-01T12:00:00Z", 3),)
    assert quality_of(report, "funding_okx_btcusdt").gaps == (
        MissingRows("2024-01-02T08:00:00Z", "2024-01-02T08:00:00Z", 1),
    )


def test_a_request_limits_the_report_and_gives_its_coverage(tables: dict[str, Table], save: Save) -> None:
    tables["lst_weeth_oracle_1d"]["eth_per_lst"][1] = -1.0
    report = check_data_set(save(tables), REQUEST)
    assert report.faults == ()
    assert {one.series for one in report.series} == {
        f"{kind}_{venue}_btcusdt{end}"
        for kind, end in (("spot_ohlcv", "_1h"), ("funding", ""))
        for venue in ("binance", "bybit")
    }
    assert report.covered == (np.datetime64("2024-01-01T00:00:00"), np.datetime64("2024-01-03T23:00:00"))


def test_a_request_lists_absent_series_with_their_purpose(tables: dict[str, Table], save: Save) -> None:
    del tables["funding_bybit_btcusdt"], tables["spot_ohlcv_bybit_btcusdt_1h"]
    faults = check_data_set(save(tables), REQUEST).faults
    assert sorted(str(fault.context["needed_by"]) for fault in faults) == ["funding_rate.bybit", "spot_price.bybit"]


def test_a_request_lists_every_gap_without_a_rule(tables: dict[str, Table], save: Save) -> None:
    for series in (SPOT, "spot_ohlcv_bybit_btcusdt_1h"):
        for values in tables[series].values():
            del values[10]
    report = check_data_set(save(tables), REQUEST)
    assert [fault.context["series"] for fault in report.request_faults] == [SPOT, "spot_ohlcv_bybit_btcusdt_1h"]


@pytest.mark.real_data
def test_real_history_has_no_faults_and_the_gaps_it_declares(real_data: Path) -> None:
    report = check_data_set(real_data)
    assert report.faults == ()
    missing = {one.series: sum(gap.rows for gap in one.gaps) for one in report.series if one.gaps}
    assert missing == {"funding_okx_btcusdt": 114, "funding_okx_ethusdt": 105}
