"""Ten modes are listed, and each runs as shipped on the synthetic default and on the whole real history, clean.

Clean: every operation confirmed and reconciled, the P&L explained, the log under its hashes, and the positions
recomputed from it alone.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dataflow.cli.main import app
from dataflow.market.synthetic.predictions import predict_data_set
from dataflow.records.audit.verification import verify
from dataflow.services.backtest import CompletedRun
from schemas.operations import DecisionType
from tests.real.conftest import HOURLY_MODES, ML_MODES, RealRun
from tests.support.marks import all_but_first
from tests.support.modes import MODES
from tests.support.runs import results_dir_of

WHOLE: dict[str, Any] = {"start": None, "end": None}
"""All that the data covers."""

WEEKS: dict[str, Any] = {"start": "2024-06-01T00:00Z", "end": "2024-07-15T00:00Z"}
"""Of the two years of 5-minute bars; the whole takes half a minute."""


def assert_clean(run: CompletedRun) -> None:
    summary = run.summary
    assert summary.orders > 0
    assert summary.decisions[DecisionType.ENTRY] >= 1
    assert (summary.operations_failed, summary.reconciliation_failures, summary.liquidations) == (0, 0, 0)
    assert all(code.startswith("RISK-") for code in summary.errors_by_code)  # a breach is told, and acted upon
    assert abs(summary.unexplained_pnl) <= 1e-9 * summary.initial_capital
    assert sum(summary.pnl_attribution.values()) == pytest.approx(
        summary.total_pnl_share_class, abs=1e-9 * summary.initial_capital
    )
    found = verify(results_dir_of(run))
    assert found.ok, found.faults[:3]


def test_the_command_line_lists_ten_modes() -> None:
    listed = json.loads(CliRunner().invoke(app, ["modes", "--json"]).stdout)["modes"]
    assert [mode["mode"] for mode in listed] == list(MODES)
    assert len(listed) == 10


@pytest.mark.parametrize("mode", MODES)
def test_runs_clean_on_the_synthetic_default(mode: str, synthetic_run: RealRun) -> None:
    assert_clean(synthetic_run(mode, **(WEEKS if mode in ML_MODES else WHOLE)))


@pytest.mark.real_data
@pytest.mark.parametrize("mode", all_but_first("history", HOURLY_MODES))
def test_runs_clean_on_the_whole_history(mode: str, real_run: RealRun) -> None:
    assert_clean(real_run(mode, **WHOLE))


@pytest.mark.history
@pytest.mark.real_data
@pytest.mark.parametrize("mode", ML_MODES)
def test_runs_clean_on_the_bars_of_the_history(mode: str, real_run: RealRun, real_data: Path, tmp_path: Path) -> None:
    """Predictions come from a seed: the history has none. One of the two modes takes every bar."""
    file, _ = predict_data_set(real_data, tmp_path / "predictions.csv", seed=7, hit_rate=0.55)
    window = WHOLE if mode == ML_MODES[0] else WEEKS
    assert_clean(real_run(mode, overrides=(f"ml_config.predictions_file={file}",), **window))
