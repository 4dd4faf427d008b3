"""Readers of one series file: CSV, gzip CSV or Parquet into int64 seconds and float64 columns, validated.

Only the columns that are asked for are converted. Every fault names file, line, column, instant and value.
"""

import difflib
import functools
import gzip
import hashlib
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from dataflow.market.history.checks import instant_faults, value_faults
from dataflow.market.history.data_set import DataSet
from dataflow.market.series import ABSENT_VALUES, REWARD_PERIOD, TIMESTAMP, Seconds, Series, SeriesSpec, series_spec
from schemas.errors import DataSourceUnavailableError, DataValidationError, PlatformError
from schemas.signals import SIGNAL_CODES
from schemas.units import SECONDS_PER_DAY, Column

CODED: Final = "signal"
"""The one column of text; `schemas.signals` gives the number of each."""

_CSV_TYPES: Final = {CODED: pa.string(), **dict.fromkeys(REWARD_PERIOD, pa.date32())}
"""Arrow type of the columns that are not numbers in a CSV."""

_UTC_SECONDS: Final = pa.timestamp("s", tz="UTC")
_NAIVE_SECONDS: Final = pa.timestamp("s")
_ROW = re.compile(r"Row #(\d+)")
_COLUMN = re.compile(r"In CSV column #(\d+)")
_QUOTED = re.compile(r"'([^']*)'")


def read_series(data_set: DataSet, name: str, columns: Sequence[str], needed_by: str = "") -> Series:
    """Read and validate the `columns` of one series; raises the first fault.

    Raises DataSourceUnavailableError (DATA-003) for an absent file, MissingPriceError (DATA-005) for a missing price
    and DataValidationError (DATA-002) for anything else that is wrong with the file.
    """
    path = data_set.file_of(name, needed_by)
    series = read_unchecked(path, series_spec(name), columns)
    faults = series_faults(series)
    if faults:
        raise faults[0]
    return series


def series_faults(series: Series) -> list[PlatformError]:
    """Every fault of a series that could be read: its instants first, then its values."""
    line_of = functools.partial(line_of_row, series.path)
    return [
        *instant_faults(series.path.name, series.seconds, series.spec.grid_seconds, line_of),
        *value_faults(series, series.spec.rules, line_of),
    ]


def read_unchecked(path: Path, spec: SeriesSpec, columns: Sequence[str]) -> Series:
    """Read the `columns` of a file without judging instants or values.

    Raises DataSourceUnavailableError (DATA-003) when the file cannot be read and DataValidationError (DATA-002) when
    it is empty, not the format its name says, lacks a column, or has a cell that is no instant or number.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataSourceUnavailableError(
            f"{path.name} cannot be read ({error.strerror}): check the file and its permissions", file=path.name
        ) from error
    wanted = [TIMESTAMP, *columns]
    table = _parquet_table(path, content, wanted) if path.suffix == ".parquet" else _csv_table(path, content, wanted)
    if table.num_rows == 0:
        _refuse(path, f"{path.name} is empty: it has no rows below its header")
    values = {column: _values(path, table, column) for column in columns}
    return Series(spec, path, _seconds(path, table), values, hashlib.sha256(content).hexdigest())


def _values(path: Path, table: pa.Table, column: str) -> Column:
    """The numbers of a column, or what stands for one that its file may leave out."""
    if column in table.column_names:
        return _numbers(path, table, column)
    return np.full(table.num_rows, ABSENT_VALUES[column])


def _present(header: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The wanted columns less those that may be left out and are."""
    return [column for column in wanted if column in header or column not in ABSENT_VALUES]


def _refuse(path: Path, message: str, **context: str | int) -> NoReturn:
    raise DataValidationError(message, file=path.name, **context)


def _require_columns(path: Path, header: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise DATA-002 for the first wanted column that the header does not have exactly once."""
    for column in wanted:
        if header.count(column) > 1:
            _refuse(path, f"{path.name}: column {column} is in the header twice: remove one", column=column, row=1)
        if column not in header:
            close = difflib.get_close_matches(column, header, n=1, cutoff=0.6)
            hint = f" (did you mean to name `{close[0]}` so?)" if close else ""
            listing = ", ".join(header)
            _refuse(path, f"{path.name}: no column {column}{hint}; its columns are: {listing}", column=column, row=1)


# --- CSV


def _plain_text(path: Path, content: bytes) -> bytes:
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        _refuse(path, f"{path.name} is not a whole gzip file ({error}): fetch or compress it again")


def _csv_header(path: Path, text: bytes) -> list[str]:
    if not text.strip():
        _refuse(path, f"{path.name} is empty: write a header and rows")
    first_line = text[: text.find(b"\n")] if b"\n" in text else text
    try:
        line = first_line.decode("utf-8-sig")
    except UnicodeDecodeError:
        line = "\0"
    if "\0" in line:
        _refuse(path, f"{path.name} is not a CSV file: its first line is not text", row=1)
    return [name.strip().strip('"') for name in line.rstrip("\r").split(",")]


def _csv_table(path: Path, content: bytes, wanted: Sequence[str]) -> pa.Table:
    text = _plain_text(path, content)
    header = _csv_header(path, text)
    wanted = _present(header, wanted)
    _require_columns(path, header, wanted)
    try:
        return _parse_csv(text, wanted, _UTC_SECONDS)
    except pa.ArrowInvalid as error:
        if "expected a zone offset" not in str(error):
            _refuse_row(path, header, error)
        with_zone = error
    try:
        return _parse_csv(text, wanted, _NAIVE_SECONDS)
    except pa.ArrowInvalid as error:
        # Where some rows name their zone and others do not, the first that is unlike those before it is at fault.
        _refuse_row(path, header, max(with_zone, error, key=_arrow_row))


def _parse_csv(text: bytes, wanted: Sequence[str], instant_type: pa.DataType) -> pa.Table:
    types = {name: _CSV_TYPES.get(name, pa.float64()) for name in wanted} | {TIMESTAMP: instant_type}
    return arrow_csv.read_csv(
        pa.BufferReader(text),
        # One thread a file: files are read side by side, and only so does Arrow name the row of a fault.
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(text) + 1),
        convert_options=arrow_csv.ConvertOptions(include_columns=list(wanted), column_types=types),
    )


def _arrow_row(error: pa.ArrowInvalid) -> int:
    found = _ROW.search(str(error))
    return int(found[1]) if found else 0


def _refuse_row(path: Path, header: Sequence[str], error: pa.ArrowInvalid) -> NoReturn:
    """Turn a parse failure of Arrow into DATA-002 with the line, the column and the value."""
    text = str(error).splitlines()[0]
    row_match, column_match = _ROW.search(text), _COLUMN.search(text)
    # Arrow counts the header as row 1 and skips blank lines.
    row = line_of_row(path, int(row_match[1]) - 2) if row_match else 0
    if column_match is None:
        _refuse(path, f"{path.name} is not a CSV table ({text}): give every line the cells of the header", row=row)
    column = header[int(column_match[1])]
    quoted = _QUOTED.search(text)
    value = quoted[1] if quoted else ""
    what = "an ISO-8601 UTC instant in whole seconds" if column == TIMESTAMP else "a number"
    if column in REWARD_PERIOD:
        what = "a day such as 2024-10-05"
    _refuse(
        path,
        f"{path.name} line {row}: {column} is {value!r}, not {what}: correct the cell",
        column=column,
        row=row,
        value=value,
    )


# --- Parquet


def _parquet_schema(path: Path, content: bytes) -> pa.Schema:
    import pyarrow.parquet as arrow_parquet  # imported late: a run on CSV files need not pay for it

    try:
        return arrow_parquet.read_schema(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        _refuse(path, f"{path.name} is not a Parquet file ({str(error).splitlines()[0]}): write it again")


def _parquet_table(path: Path, content: bytes, wanted: Sequence[str]) -> pa.Table:
    import pyarrow.parquet as arrow_parquet  # imported late: a run on CSV files need not pay for it

    header = _parquet_schema(path, content).names
    wanted = _present(header, wanted)
    _require_columns(path, header, wanted)
    try:
        return arrow_parquet.read_table(pa.BufferReader(content), columns=list(wanted), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        _refuse(path, f"{path.name} is not a whole Parquet file ({str(error).splitlines()[0]}): write it again")


# --- Arrow to NumPy


def _seconds(path: Path, table: pa.Table) -> Seconds:
    column = table.column(TIMESTAMP)
    if not pa.types.is_timestamp(column.type):
        _refuse(path, f"{path.name}: timestamp is of type {column.type}, not an instant", column=TIMESTAMP)
    if column.null_count:
        row = line_of_row(path, int(np.argmax(column.is_null().to_numpy())))
        _refuse(path, f"{path.name} line {row}: timestamp is missing: fill the cell", column=TIMESTAMP, row=row)
    if column.type.unit != "s":
        try:
            column = column.cast(pa.timestamp("s", tz=column.type.tz))
        except pa.ArrowInvalid:
            _refuse(path, f"{path.name}: a timestamp has a fraction of a second: write whole seconds", column=TIMESTAMP)
    seconds: Seconds = column.combine_chunks().view(pa.int64()).to_numpy(zero_copy_only=False)
    return seconds


def _numbers(path: Path, table: pa.Table, name: str) -> Column:
    """Return a float64 array; an empty cell is NaN."""
    column = table.column(name)
    if name == CODED:
        return _codes(path, column)
    if pa.types.is_date32(column.type):
        days = column.cast(pa.int32()).cast(pa.float64()).combine_chunks()
        return np.asarray(days.to_numpy(zero_copy_only=False) * SECONDS_PER_DAY, dtype=np.float64)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        _refuse(path, f"{path.name}: column {name} is of type {column.type}, not a number", column=name)
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64())
    values: Column = column.combine_chunks().to_numpy(zero_copy_only=False)
    return values


def _codes(path: Path, column: pa.ChunkedArray) -> Column:
    """Return the numbers that the texts of a coded column stand for."""
    texts: list[str | None] = column.to_pylist()
    for row, text in enumerate(texts):
        if text not in SIGNAL_CODES:
            line, known = line_of_row(path, row), ", ".join(SIGNAL_CODES)
            _refuse(
                path,
                f"{path.name} line {line}: {CODED} is {text!r}: use one of {known}",
                column=CODED,
                row=line,
                value=str(text),
            )
    return np.array([SIGNAL_CODES[text] for text in texts if text is not None], dtype=np.float64)


def line_of_row(path: Path, row: int) -> int:
    """Line of a CSV, header and blank lines counted, that holds the row at a position; in Parquet the row from 1."""
    if path.suffix == ".parquet":
        return row + 1
    lines = _plain_text(path, path.read_bytes()).split(b"\n")
    filled = (number for number, line in enumerate(lines, start=1) if line.strip())
    for position, number in enumerate(filled):
        if position == row + 1:
            return number
    raise AssertionError(f"{path.name} has no row {row}")
