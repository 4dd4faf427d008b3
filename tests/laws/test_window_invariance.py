"""Law 1: the size of the window, and whether a run is one piece or a chain of partitions, changes no bit of it.

Fixed violent markets show it where decisions are dense; Hypothesis looks for a market, a window and cuts that break it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.engine.windows import FIRST_ROWS, WindowPolicy
from tests.laws.conftest import ROWS, ViolentRun
from tests.support.markets import BASIS_MODES, LENDING_MODES, MODES, quiet_market, violent_market
from tests.support.runs import HEALTH, assert_same_business, prepared, run_in_memory, run_in_partitions

SEED = 5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("window", [1, 7])
def test_window_size_changes_no_bit(mode: str, window: int, violent_run: ViolentRun, tmp_path: Path) -> None:
    windowed = run_in_memory(prepared(mode, window=window), violent_market(mode, SEED, ROWS), tmp_path)
    assert_same_business(violent_run(mode, SEED), windowed)


@pytest.mark.parametrize("mode", MODES)
def test_chained_partitions_change_no_bit(mode: str, violent_run: ViolentRun, tmp_path: Path) -> None:
    chained = run_in_partitions(prepared(mode), violent_market(mode, SEED, ROWS), tmp_path, [1, 100, 101, 333])
    assert_same_business(violent_run(mode, SEED), chained, without=(HEALTH,))


def test_windows_that_grow_over_thousands_of_rows_change_no_bit(tmp_path: Path) -> None:
    market = quiet_market("pure_lending_usdt", 5 * FIRST_ROWS)
    whole = run_in_memory(prepared("pure_lending_usdt"), market, tmp_path / "adaptive")
    sliced = run_in_memory(prepared("pure_lending_usdt", window=999), market, tmp_path / "fixed")
    assert_same_business(whole, sliced)


def test_policy_doubles_while_quiet_up_to_its_cap_and_restarts_after_an_event() -> None:
    policy = WindowPolicy(cap=4 * FIRST_ROWS)
    sizes = []
    for _ in range(4):
        sizes.append(policy.next_rows())
        policy.idle(sizes[-1])
    assert sizes == [FIRST_ROWS, 2 * FIRST_ROWS, 4 * FIRST_ROWS, 4 * FIRST_ROWS]
    policy.event(10)
    policy.event(5)
    assert policy.next_rows() == FIRST_ROWS


@settings(max_examples=8)
@given(
    mode=st.sampled_from(LENDING_MODES),
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 120),
    window=st.integers(1, 130),
    data=st.data(),
)
def test_lending_is_invariant_to_any_window_and_cut(
    mode: str, seed: int, rows: int, window: int, data: st.DataObject
) -> None:
    _hold_invariance(mode, seed, rows, window, data)


@settings(max_examples=8)
@given(
    mode=st.sampled_from(BASIS_MODES),
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 120),
    window=st.integers(1, 130),
    data=st.data(),
)
def test_basis_is_invariant_to_any_window_and_cut(
    mode: str, seed: int, rows: int, window: int, data: st.DataObject
) -> None:
    _hold_invariance(mode, seed, rows, window, data)


def _hold_invariance(mode: str, seed: int, rows: int, window: int, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(1, rows - 1), unique=True, max_size=3), label="cuts")
    market = violent_market(mode, seed, rows)
    with TemporaryDirectory() as directory:
        whole = run_in_memory(prepared(mode), market, Path(directory, "whole"))
        windowed = run_in_memory(prepared(mode, window=window), market, Path(directory, "windowed"))
        chained = run_in_partitions(prepared(mode), market, Path(directory, "chained"), cuts)
    assert_same_business(whole, windowed)
    assert_same_business(whole, chained, without=(HEALTH,))
