"""Must-show 4: on the real history, window and executor change no byte of what a run decided and recorded."""

from typing import Any

import pyarrow.parquet as arrow_parquet
import pytest

from dataflow.services.backtest import CompletedRun
from schemas.operations import DecisionType
from tests.real.conftest import RealRun
from tests.support.runs import business_lines, log_dir_of, read_lines, results_dir_of

pytestmark = pytest.mark.real_data

MODE = "btc_basis"
STAGES = ("market", "positions", "exposure", "risk", "pnl", "decision")
EAGER = ("strategy_config.funding_enter_apr=0.02", "strategy_config.funding_leave_apr=0.02")
"""Thresholds around which a few days are enough to enter and to leave."""

QUARTER: dict[str, Any] = {
    "start": "2024-06-01T00:00Z",
    "end": "2024-09-01T00:00Z",
    "overrides": (*EAGER, "strategy_config.position_deviation_threshold=0.002"),
}
"""Three months in which it enters, rebalances and leaves often."""

SHORT: dict[str, Any] = {"start": "2024-08-01T00:00Z", "end": "2024-08-09T00:00Z", "overrides": EAGER}
"""A window that Hamilton, which checks every call, does in seconds."""


def test_windows_of_seven_rows_change_no_byte(real_run: RealRun) -> None:
    whole = real_run(MODE)
    _assert_busy(whole)
    _assert_same(whole, real_run(MODE, window=7))


def test_windows_of_one_row_change_no_byte(real_run: RealRun) -> None:
    whole = real_run(MODE, **QUARTER)
    _assert_busy(whole)
    _assert_same(whole, real_run(MODE, window=1, **QUARTER))


def test_hamilton_changes_no_byte(real_run: RealRun) -> None:
    plan, hamilton = real_run(MODE, **SHORT), real_run(MODE, executor="hamilton", **SHORT)
    assert plan.summary.orders > 9
    _assert_same(plan, hamilton)


def _assert_busy(run: CompletedRun) -> None:
    """At least twenty decisions of three kinds, as the claim asks."""
    decided = {kind: number for kind, number in run.summary.decisions.items() if kind != DecisionType.HOLD}
    assert sum(decided.values()) >= 20
    assert len(decided) >= 3


def _assert_same(one: CompletedRun, other: CompletedRun) -> None:
    for stage in STAGES:
        tables = [arrow_parquet.read_table(results_dir_of(run) / f"{stage}.parquet") for run in (one, other)]
        assert tables[0].equals(tables[1]), stage
    lines = [business_lines(read_lines(log_dir_of(run))) for run in (one, other)]
    assert lines[0] == lines[1]
    assert one.state.to_json() == other.state.to_json()
