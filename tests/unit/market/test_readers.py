"""What bad files get: one error with its code that names the file, the line, the column, the instant and the value.

Each test spoils one thing of a sound data set; none looks at the wording of a message, except that it is one line.
"""

import gzip
import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as arrow_parquet
import pytest

from dataflow.market.history.data_set import open_data_set
from dataflow.market.history.loading import load_market
from dataflow.market.history.readers import read_series
from dataflow.market.market import MarketRequest
from schemas.errors import (
    ConfigValidationError,
    DataSourceUnavailableError,
    DataValidationError,
    MissingPriceError,
    PlatformError,
)

Table = dict[str, list[str | float]]
Save = Callable[..., Path]

SPOT = "spot_ohlcv_binance_btcusdt_1h"
FUNDING = "funding_binance_btcusdt"
INDEX = "aave_v3_usdt_rates_1d"


def refusal(directory: Path, series: str = SPOT, column: str = "open") -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        read_series(open_data_set(directory), series, (column,), "reference_price")
    assert "\n" not in caught.value.one_line()
    return caught.value


# --- The directory


def test_an_absent_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataSourceUnavailableError) as caught:
        open_data_set(tmp_path / "nowhere")
    assert caught.value.context == {"data_set": str(tmp_path / "nowhere")}


def test_a_file_is_not_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataSourceUnavailableError):
        open_data_set(tmp_path / "file")


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_spoilt_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "data_set.json").write_text(content)
    with pytest.raises(DataValidationError) as caught:
        open_data_set(tmp_path)
    assert caught.value.context["file"] == "data_set.json"


def test_a_missing_file_says_which_column_needs_it_and_what_there_is(tables: dict[str, Table], save: Save) -> None:
    del tables["perp_ohlcv_okx_btcusdt_1h"]
    request = MarketRequest(columns=("perp_mark",), base_asset="BTC", venues=("binance", "okx"))
    with pytest.raises(DataSourceUnavailableError) as caught:
        load_market(save(tables), request)
    assert caught.value.context["series"] == "perp_ohlcv_okx_btcusdt_1h"
    assert caught.value.context["needed_by"] == "perp_mark.okx"
    assert "perp_ohlcv_okx_ethusdt_1h" in caught.value.message


def test_a_series_in_two_files_is_refused(tables: dict[str, Table], save: Save) -> None:
    directory = save(tables)
    (directory / f"{SPOT}.csv.gz").write_bytes(gzip.compress((directory / f"{SPOT}.csv").read_bytes()))
    assert isinstance(refusal(directory), DataValidationError)


# --- The shape of a file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(f"{SPOT}.csv", b"", id="no-bytes"),
        pytest.param(f"{SPOT}.csv", b"\n\n", id="only-blank-lines"),
        pytest.param(f"{SPOT}.csv", b"timestamp,open\n", id="only-a-header"),
        pytest.param(f"{SPOT}.csv", b"\x89PNG\r\n\x1a\n\x00\x00", id="a-picture"),
        pytest.param(f"{SPOT}.csv", b"<html><body>404</body></html>\n", id="a-web-page"),
        pytest.param(f"{SPOT}.csv", b"timestamp,open\n2024-01-01T00:00:00Z,1,2\n", id="a-line-too-long"),
        pytest.param(f"{SPOT}.csv.gz", b"timestamp,open\n", id="gzip-by-name-only"),
        pytest.param(f"{SPOT}.csv.gz", gzip.compress(b"timestamp,open\n" * 99)[:-9], id="gzip-cut-short"),
        pytest.param(f"{SPOT}.parquet", b"PAR1 but not really", id="parquet-by-name-only"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path)
    assert isinstance(error, DataValidationError)
    assert error.context["file"] == name


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_misnamed_column_is_named_with_its_neighbour(tables: dict[str, Table], save: Save, suffix: str) -> None:
    tables[SPOT] = {("opne" if name == "open" else name): values for name, values in tables[SPOT].items()}
    error = refusal(save(tables, suffix))
    assert isinstance(error, DataValidationError)
    assert (error.context["file"], error.context["column"]) == (f"{SPOT}{suffix}", "open")
    assert "opne" in error.message


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{SPOT}.csv").write_text("timestamp,open,open\n2024-01-01T00:00:00Z,1,2\n")
    assert refusal(tmp_path).context["column"] == "open"


def test_a_byte_order_mark_and_naive_utc_instants_are_read(tmp_path: Path) -> None:
    (tmp_path / f"{SPOT}.csv").write_bytes(b"\xef\xbb\xbftimestamp,open\r\n2024-01-01T00:00:00,1\r\n")
    series = read_series(open_data_set(tmp_path), SPOT, ("open",))
    assert series.seconds.tolist() == [1_704_067_200]


@pytest.mark.parametrize("first", ["2024-01-01T00:00:00", "2024-01-01T00:00:00Z"])
def test_an_instant_unlike_those_before_it_is_the_one_at_fault(tmp_path: Path, first: str) -> None:
    other = first.removesuffix("Z") if first.endswith("Z") else f"{first}Z"
    rows = [first, first.replace("T00", "T01"), other.replace("T00", "T02"), first.replace("T00", "T03")]
    (tmp_path / f"{SPOT}.csv").write_text("timestamp,open\n" + "".join(f"{stamp},1\n" for stamp in rows))
    error = refusal(tmp_path)
    assert (error.context["row"], error.context["value"]) == (4, rows[2])


# --- Instants


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize(
    ("row", "stamp"),
    [
        pytest.param(5, "2024-01-01T04:00:00Z", id="duplicate"),
        pytest.param(5, "2024-01-01T02:00:00Z", id="unsorted"),
        pytest.param(5, "2024-01-01T05:30:00Z", id="off-the-grid"),
    ],
)
def test_a_wrong_instant_is_named_with_its_line(
    tables: dict[str, Table], save: Save, suffix: str, row: int, stamp: str
) -> None:
    tables[SPOT]["timestamp"][row] = stamp
    error = refusal(save(tables, suffix))
    assert isinstance(error, DataValidationError)
    assert error.context == {
        "file": f"{SPOT}{suffix}",
        "column": "timestamp",
        "row": row + (1 if suffix == ".parquet" else 2),
        "instant": stamp,
    }


def test_the_line_counts_blank_lines(tables: dict[str, Table], save: Save) -> None:
    tables[SPOT]["open"][3] = -1.0
    directory = save(tables)
    path = directory / f"{SPOT}.csv"
    path.write_bytes(path.read_bytes().replace(b"\n2024-01-01T01", b"\n\n\n2024-01-01T01"))
    assert refusal(directory).context["row"] == 7
    path.write_bytes(path.read_bytes().replace(b",-1.0,", b",x,"))
    assert refusal(directory).context["row"] == 7


@pytest.mark.parametrize("stamp", ["yesterday", "2024-01-01T05:00:00.5Z", "1704067200"])
def test_a_cell_that_is_no_instant_is_refused(tables: dict[str, Table], save: Save, stamp: str) -> None:
    tables[SPOT]["timestamp"][5] = stamp
    error = refusal(save(tables))
    assert (error.code, error.context["row"], error.context["value"]) == ("DATA-002", 7, stamp)


def test_an_empty_instant_is_refused(tables: dict[str, Table], save: Save) -> None:
    tables[SPOT]["timestamp"][5] = ""
    error = refusal(save(tables))
    assert (error.code, error.context["column"], error.context["row"]) == ("DATA-002", "timestamp", 7)


# --- Values


@pytest.mark.parametrize(
    ("series", "column", "value", "kind"),
    [
        pytest.param(SPOT, "open", math.nan, MissingPriceError, id="missing-price"),
        pytest.param(SPOT, "open", -3.0, DataValidationError, id="negative-price"),
        pytest.param(SPOT, "open", 0.0, DataValidationError, id="zero-price"),
        pytest.param(SPOT, "open", math.inf, DataValidationError, id="infinite-price"),
        pytest.param(FUNDING, "funding_rate", 0.051, DataValidationError, id="funding-in-per-cent"),
        pytest.param(FUNDING, "funding_rate", -0.051, DataValidationError, id="negative-funding-in-per-cent"),
        pytest.param(FUNDING, "funding_rate", math.nan, DataValidationError, id="missing-funding"),
        pytest.param("gas_prices_1h", "gas_price_avg_gwei", -1.0, DataValidationError, id="negative-gas"),
        pytest.param(INDEX, "liquidity_index", 0.5, DataValidationError, id="falling-liquidity-index"),
        pytest.param(INDEX, "variable_borrow_index", 0.5, DataValidationError, id="falling-borrow-index"),
        pytest.param(INDEX, "liquidity_index", 1.0 - 2e-9, DataValidationError, id="fall-beyond-rounding"),
        pytest.param("lst_weeth_oracle_1d", "eth_per_lst", 1.0, DataValidationError, id="falling-lst-ratio"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_an_impossible_value_is_named_with_its_place(
    tables: dict[str, Table],
    save: Save,
    series: str,
    column: str,
    value: float,
    kind: type[PlatformError],
    suffix: str,
) -> None:
    tables[series][column][1] = value
    error = refusal(save(tables, suffix), series, column)
    assert type(error) is kind
    assert error.context == {
        "file": f"{series}{suffix}",
        "column": column,
        "row": 2 if suffix == ".parquet" else 3,
        "instant": str(tables[series]["timestamp"][1]),
        "value": value if math.isfinite(value) else str(value),
    }


@pytest.mark.parametrize("cell", ["n/a?", "1x", "--"])
def test_a_cell_that_is_no_number_is_refused(tables: dict[str, Table], save: Save, cell: str) -> None:
    tables[SPOT]["open"][4] = cell
    error = refusal(save(tables))
    assert (error.code, error.context["column"], error.context["row"], error.context["value"]) == (
        "DATA-002",
        "open",
        6,
        cell,
    )


def test_text_in_a_parquet_column_is_refused(tables: dict[str, Table], save: Save) -> None:
    tables[SPOT]["open"] = ["1"] * len(tables[SPOT]["open"])
    assert refusal(save(tables, ".parquet")).context["column"] == "open"


@pytest.mark.parametrize(
    ("stamps", "kind"),
    [
        pytest.param([1_500, 2_000], pa.timestamp("ms", tz="UTC"), id="fraction-of-a-second"),
        pytest.param([None, 3_600], pa.timestamp("s", tz="UTC"), id="empty"),
        pytest.param(["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"], pa.string(), id="text"),
    ],
)
def test_a_parquet_column_of_other_than_whole_seconds_is_refused(
    tmp_path: Path, stamps: list[object], kind: pa.DataType
) -> None:
    table = pa.table({"timestamp": pa.array(stamps, kind), "open": [1.0, 2.0]})
    arrow_parquet.write_table(table, tmp_path / f"{SPOT}.parquet")
    error = refusal(tmp_path)
    assert (error.code, error.context["column"]) == ("DATA-002", "timestamp")


def test_a_parquet_file_cut_inside_its_pages_is_refused(tables: dict[str, Table], save: Save) -> None:
    directory = save(tables, ".parquet")
    path = directory / f"{SPOT}.parquet"
    content = bytearray(path.read_bytes())
    content[4:2_000] = bytes(1_996)
    path.write_bytes(content)
    assert isinstance(refusal(directory), DataValidationError)


def test_integers_are_numbers(tmp_path: Path) -> None:
    table = pa.table({"timestamp": pa.array([0, 3_600], pa.timestamp("s", tz="UTC")), "open": pa.array([1, 2])})
    arrow_parquet.write_table(table, tmp_path / f"{SPOT}.parquet")
    assert read_series(open_data_set(tmp_path), SPOT, ("open",)).values["open"].tolist() == [1.0, 2.0]


def test_a_file_that_cannot_be_read_is_a_source_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / f"{SPOT}.csv").mkdir()
    assert isinstance(refusal(tmp_path), DataSourceUnavailableError)


def test_a_column_that_is_not_read_may_be_empty(tables: dict[str, Table], save: Save) -> None:
    tables[SPOT]["volume"] = [""] * len(tables[SPOT]["volume"])
    tables[SPOT]["high"][3] = math.nan
    assert read_series(open_data_set(save(tables)), SPOT, ("open",)).values["open"][3] == 1003.0


# --- Requests


@pytest.mark.parametrize(
    ("request_made", "field"),
    [
        pytest.param(MarketRequest(columns=()), "columns", id="no-columns"),
        pytest.param(MarketRequest(columns=("moon_phase",)), "columns", id="unknown-column"),
        pytest.param(MarketRequest(columns=("eth_price",), step_seconds=7), "step_seconds", id="unknown-clock"),
        pytest.param(MarketRequest(columns=("spot_price",), base_asset="BTC"), "venues", id="no-venues"),
        pytest.param(MarketRequest(columns=("reference_price",)), "base_asset", id="no-base-asset"),
        pytest.param(MarketRequest(columns=("liquidity_index",)), "supplied", id="nothing-supplied"),
        pytest.param(MarketRequest(columns=("variable_borrow_index",)), "borrowed", id="nothing-borrowed"),
        pytest.param(MarketRequest(columns=("lst_oracle_ratio",)), "lst", id="no-lst"),
        pytest.param(
            MarketRequest(columns=("eth_price",), fill_rules={"funding_rate.okx": "zero"}),
            "fill_rules.funding_rate.okx",
            id="unknown-fill-rule",
        ),
    ],
)
def test_a_request_that_makes_no_sense_names_its_field(
    tables: dict[str, Table], save: Save, request_made: MarketRequest, field: str
) -> None:
    with pytest.raises(ConfigValidationError) as caught:
        load_market(save(tables), request_made)
    assert caught.value.context["field"] == field
