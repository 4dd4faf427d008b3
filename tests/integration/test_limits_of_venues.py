"""Limits that the files of venues and share classes write change what a run does or says."""

from pathlib import Path
from typing import Final

import pytest

from dataflow.services.backtest import BacktestRequest, run_backtest
from tests.support.markets import quiet_market
from tests.support.runs import MemoryRun, prepared, run_in_memory

MODE: Final = "btc_basis"
ROWS: Final = 48


def _run(log_dir: Path, *overrides: str) -> MemoryRun:
    return run_in_memory(prepared(MODE, overrides=overrides), quiet_market(MODE, ROWS), log_dir)


def test_orders_below_the_smallest_trade_of_a_venue_are_not_sent(tmp_path: Path) -> None:
    assert _run(tmp_path / "shipped").column("decision").any()
    assert not _run(tmp_path / "large", "venue:okx.min_trade_size_usd=999999").column("decision").any()


def test_slippage_is_that_of_the_venue_s_own_buckets(tmp_path: Path) -> None:
    """An order of 40,000 USD is in the first bucket as shipped, and beyond the second of bounds of a dollar or two."""
    shipped = _run(tmp_path / "shipped")
    finer = _run(tmp_path / "finer", "venue:binance.slippage_bps.bucket_bounds_usd=[1, 2]")
    first, last = (_cost(run) for run in (shipped, finer))
    assert last - first == pytest.approx(40_000.0 * (8.0 + 5.0) * 1e-4, rel=0.01)


def _cost(run: MemoryRun) -> float:
    return -float(run.column("transaction_costs")[-1])


@pytest.mark.parametrize(("allowed", "alarms"), [("0.0", 1), ("0.5", 0)])
def test_a_fall_beyond_that_of_the_share_class_is_told(tmp_path: Path, allowed: str, alarms: int) -> None:
    request = BacktestRequest(
        mode="btc_basis",
        start="2024-02-01",
        end="2024-02-03",
        overrides=(f"share_class:max_drawdown={allowed}",),
        logs=tmp_path / "logs",
        results=tmp_path / "results",
    )
    warnings = run_backtest(request).summary.warnings
    assert sum("beyond max_drawdown" in warning for warning in warnings) == alarms
