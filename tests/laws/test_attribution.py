"""Law 6: at every row the parts of the P&L sum to the change of equity net of deposits, to 1e-9 of capital."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.units import Column
from tests.laws.conftest import SEEDS, ViolentRun
from tests.support.markets import BASIS_MODES, MODES, violent_market
from tests.support.runs import MemoryRun, prepared, run_in_memory

OF_CAPITAL = 1e-9


def unexplained(run: MemoryRun) -> Column:
    """Change of equity since the deposit less the sum of the parts, from the recorded columns, share class."""
    capital = run.backtest.config.initial_capital
    parts: Column = np.sum([run.column(name) for name in run.backtest.attribution_types], axis=0)
    return run.column("equity_share_class") - capital - parts


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_parts_sum_to_the_change_of_equity_at_every_row(mode: str, seed: int, violent_run: ViolentRun) -> None:
    run = violent_run(mode, seed)
    capital = run.backtest.config.initial_capital
    assert np.abs(unexplained(run)).max() <= OF_CAPITAL * capital
    assert np.abs(run.column("unexplained_pnl")).max() <= OF_CAPITAL * capital


@pytest.mark.parametrize("mode", MODES)
def test_every_part_of_a_mode_takes_part(mode: str, violent_run: ViolentRun) -> None:
    runs = [violent_run(mode, seed) for seed in SEEDS]
    for name in runs[0].backtest.attribution_types:
        largest = max(float(np.abs(run.column(name)).max()) for run in runs)
        # Hedged books have no delta P&L but what rounding of the hedge leaves.
        assert largest > 0.0 or name == "delta_pnl", name


def test_an_unhedged_book_shows_delta_pnl(unhedged_run: MemoryRun) -> None:
    capital = unhedged_run.backtest.config.initial_capital
    assert np.abs(unhedged_run.column("delta_pnl")).max() > 1e-6 * capital
    assert np.abs(unexplained(unhedged_run)).max() <= OF_CAPITAL * capital


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_a_hedged_book_has_no_delta_pnl(mode: str, violent_run: ViolentRun) -> None:
    run = violent_run(mode, 3)
    assert run.outcome.counts.operations_failed == 0
    assert np.abs(run.column("delta_pnl")).max() <= OF_CAPITAL * run.backtest.config.initial_capital


@settings(max_examples=10)
@given(mode=st.sampled_from(MODES), seed=st.integers(0, 2**32 - 1))
def test_no_market_leaves_anything_unexplained(mode: str, seed: int) -> None:
    with TemporaryDirectory() as directory:
        run = run_in_memory(prepared(mode), violent_market(mode, seed, 100), Path(directory))
    assert np.abs(unexplained(run)).max() <= OF_CAPITAL * run.backtest.config.initial_capital
