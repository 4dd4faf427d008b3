"""Cells of the CSV tables: what a CSV reader gets out of one is the value that went in."""

import csv
import io

import orjson
from hypothesis import given
from hypothesis import strategies as st

from dataflow.records.log.event_csv import cell

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
JSON = st.recursive(
    st.one_of(SCALARS, TEXTS),
    lambda members: st.one_of(st.lists(members), st.dictionaries(TEXTS, members)),
    max_leaves=8,
)


def read(row: bytes) -> list[str]:
    (cells,) = csv.reader(io.StringIO(row.decode(), newline=""))
    return cells


@given(TEXTS)
def test_a_text_is_read_back(text: str) -> None:
    assert read(b"1," + cell(orjson.dumps(text)) + b",2") == ["1", text, "2"]


@given(JSON)
def test_a_value_is_read_back(value: object) -> None:
    _, text = read(b"1," + cell(orjson.dumps(value)))
    if value is None:
        assert text == ""
    elif isinstance(value, str):
        assert text == value
    else:
        assert orjson.loads(text) == value
