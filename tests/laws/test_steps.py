"""Law: a run is its steps. Every row taken by itself, as it would arrive, changes no bit of rows taken in windows.

What a step says happened is what the log holds; and one prepared market serves many runs, none of which leaves a trace.
"""

from pathlib import Path

import pytest

from dataflow.engine.prepared import PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.engine.step import Step, Stepped
from dataflow.graph.state import RunState
from dataflow.journal.sequencer import Envelope
from dataflow.services.simulated_venues import simulated_venues
from tests.laws.conftest import ROWS, ViolentRun
from tests.support.markets import MODES, violent_market
from tests.support.runs import CORRELATION_ID, PID, assert_same_business, prepared, run_in_memory

SEED = 5
ENVELOPE = Envelope(CORRELATION_ID, PID, lambda: "2024-05-12T00:00:00")


def _step_by_step(monkeypatch: pytest.MonkeyPatch) -> list[Stepped]:
    """Make every row of the runs that follow a step of its own; the steps in order."""
    kept: list[Stepped] = []
    step = Step.step

    def at_once(_step: Step, row: int, _end: int, _state: RunState) -> int:
        return row

    def remembered(self: Step, row: int, state: RunState, *, is_last: bool = False) -> Stepped:
        kept.append(step(self, row, state, is_last=is_last))
        return kept[-1]

    monkeypatch.setattr(Step, "next_row", at_once)
    monkeypatch.setattr(Step, "step", remembered)
    return kept


@pytest.mark.parametrize("mode", MODES)
def test_rows_taken_one_by_one_change_no_bit(
    mode: str, violent_run: ViolentRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_windows = violent_run(mode, SEED)
    steps = _step_by_step(monkeypatch)
    stepped = run_in_memory(prepared(mode), violent_market(mode, SEED, ROWS), tmp_path)
    assert_same_business(in_windows, stepped)
    assert len(steps) == ROWS
    said = [draft.event() for step in steps for draft in step.events]
    assert sorted(event.order for event in said if event.order is not None) == list(range(stepped.state.order))
    assert len(said) == sum(map(len, stepped.lines.values()))
    assert steps[-1].state.row == ROWS
    assert all(
        step.columns["equity_usd"][0] == value for step, value in zip(steps, stepped.column("equity_usd"), strict=True)
    )


@pytest.mark.parametrize("mode", MODES)
def test_runs_over_one_prepared_market_leave_no_trace_in_each_other(mode: str) -> None:
    backtest = prepared(mode)
    ready = PreparedBacktest(backtest, violent_market(mode, SEED, ROWS))
    capital = backtest.config.initial_capital

    def final(share: float) -> bytes:
        return ready.run(RunRequest(share * capital, 7, simulated_venues()), Recording(ENVELOPE)).state.to_json()

    first = final(1.0)
    assert final(0.5) != first
    assert final(1.0) == first
