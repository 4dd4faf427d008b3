"""Sizes and slippage that a venue's file writes change what a run does."""

from pathlib import Path
from typing import Final

import pytest

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
