"""Law 3: rows after *t*, changed or not there at all, change nothing that was decided or recorded up to *t*."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.conftest import ROWS, ViolentRun
from tests.support.markets import MODES, changed_after, partition, violent_market
from tests.support.runs import HEALTH, MemoryRun, bits_of, business_lines, prepared, run_in_memory

SEED = 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", [0, 119, ROWS - 2])
def test_changing_later_rows_changes_nothing_before(
    mode: str, row: int, violent_run: ViolentRun, tmp_path: Path
) -> None:
    known = violent_market(mode, SEED, ROWS)
    other = run_in_memory(prepared(mode), changed_after(known, row, violent_market(mode, 99, ROWS)), tmp_path)
    whole = violent_run(mode, SEED)
    assert any(
        bits_of(column) != bits_of(other.columns["exposure"][name])
        for name, column in whole.columns["exposure"].items()
    ), "the later rows must differ for the test to mean anything"
    _assert_same_until(row, whole, other)


@pytest.mark.parametrize("mode", MODES)
def test_appending_rows_changes_nothing_before(mode: str, violent_run: ViolentRun, tmp_path: Path) -> None:
    row = 200
    short = run_in_memory(
        prepared(mode), partition(violent_market(mode, SEED, ROWS), 0, row + 1), tmp_path, is_final=False
    )
    _assert_same_until(row, violent_run(mode, SEED), short)


@settings(max_examples=8)
@given(mode=st.sampled_from(MODES), seeds=st.tuples(*[st.integers(0, 2**32 - 1)] * 2), row=st.integers(0, 98))
def test_no_market_and_no_row_looks_ahead(mode: str, seeds: tuple[int, int], row: int) -> None:
    known, later = (violent_market(mode, seed, 100) for seed in seeds)
    with TemporaryDirectory() as directory:
        one = run_in_memory(prepared(mode), known, Path(directory, "one"))
        other = run_in_memory(prepared(mode), changed_after(known, row, later), Path(directory, "other"))
    _assert_same_until(row, one, other)


def _assert_same_until(row: int, one: MemoryRun, other: MemoryRun) -> None:
    for stage, columns in one.columns.items():
        for name, column in columns.items():
            assert bits_of(column[: row + 1]) == bits_of(other.columns[stage][name][: row + 1]), f"{stage}.{name}"
    assert _lines_until(row, one) == _lines_until(row, other)


def _lines_until(row: int, run: MemoryRun) -> Mapping[str, list[bytes]]:
    """Lines of all instants up to the row's; the health event that ends a run is of its last row alone."""
    last = str(np.datetime_as_string(run.instants[row], unit="s")).encode()
    lines = business_lines(run.lines, without=(HEALTH,))
    return {name: [line for line in of_file if _timestamp(line) <= last] for name, of_file in lines.items()}


def _timestamp(line: bytes) -> bytes:
    """The instant of a line, ISO-8601, so that texts compare as instants do."""
    return line.split(b'"', 4)[3]
