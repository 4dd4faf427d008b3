"""Acceptance run of the user's plan: pure_lending_usdt from a data set to its results. [domain] 9.6.

The log tree exists, every component wrote its log, SUPPLY is logged, aUSDT is what the Aave index says, and what the
operation was expected to change is what it changed.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as arrow_parquet
import pytest

from dataflow.records.audit.replay import replay
from dataflow.records.log.log_directory import COMPONENTS, component_log_name
from dataflow.records.log.reading import read_events
from dataflow.services.backtest import BacktestRequest, CompletedRun, run_backtest
from schemas.models.events import EVENT_TYPES
from schemas.models.results import Manifest, RunStatus, RunSummary
from tests.support.data_sets import write_data_set
from tests.support.markets import quiet_market
from tests.support.runs import log_dir_of, results_dir_of

ROWS = 24 * 30
GAS_GWEI = 12.0
INDEX = 1.066714 * np.exp(2e-6 * np.arange(ROWS + 73))
"""Supply index of the user's example, growing 1.8 % a year."""


@pytest.fixture(scope="module")
def completed(tmp_path_factory: pytest.TempPathFactory) -> CompletedRun:
    """The run, over thirty days of a small data set."""
    root = tmp_path_factory.mktemp("e2e")
    market = quiet_market(
        "pure_lending_usdt",
        ROWS,
        liquidity_index=INDEX[:, None],
        gas_price_gwei=np.full(ROWS + 73, GAS_GWEI),
    )
    data = write_data_set(root / "data", "pure_lending_usdt", market)
    return run_backtest(
        BacktestRequest(
            mode="pure_lending_usdt",
            data=str(data),
            start="2024-01-05T00:00Z",
            end="2024-01-31T00:00Z",
            capital=10_000.0,
            logs=root / "logs",
            results=root / "results",
        )
    )


@pytest.fixture(scope="module")
def log_dir(completed: CompletedRun) -> Path:
    """The log directory of the run."""
    return log_dir_of(completed)


@pytest.fixture(scope="module")
def supply(log_dir: Path) -> dict[str, Any]:
    """The one operation of the run."""
    (operation,) = read_events(log_dir, "operation_executions")
    return operation


def index_at(hours_after_start: int) -> float:
    """Index of the last midnight, which a daily series holds. The data begins 96 hours before the run."""
    row = 96 + hours_after_start
    return float(INDEX[row - row % 24])


def test_the_log_tree_exists(log_dir: Path) -> None:
    assert (log_dir / "metadata.json").is_file()
    assert {path.name for path in (log_dir / "events").iterdir()} == {event.file_name for event in EVENT_TYPES}


def test_every_component_wrote_its_log(log_dir: Path) -> None:
    for component in COMPONENTS:
        path = log_dir / component_log_name(component)
        assert path.is_file()
        lines = path.read_text().splitlines()
        assert lines or component == "Api", component
        assert all(json.loads(line)["component"] == component for line in lines)


def test_supply_is_logged(log_dir: Path, supply: dict[str, Any]) -> None:
    assert supply["operation_type"] == "supply"
    assert supply["status"] == "confirmed"
    assert (supply["venue"], supply["source_token"], supply["target_token"]) == ("aave_v3", "USDT", "aUSDT")
    assert supply["simulated"] is True
    assert '"operation_type":"supply"' in (log_dir / "events" / "operation_executions.jsonl").read_text()


def test_expected_deltas_are_the_actual_ones(supply: dict[str, Any], log_dir: Path) -> None:
    expected = {delta["position_key"]: delta["delta_amount"] for delta in supply["expected_deltas"]}
    assert set(expected) == {"aave:aToken:aUSDT", "wallet:BaseToken:USDT"}
    # The pool divides in integers, the expectation multiplies by a reciprocal: [domain] 5.4 calls 1e-9 equal.
    assert supply["actual_deltas"] == pytest.approx(expected, rel=1e-15, abs=0.0)
    (reconciliation,) = read_events(log_dir, "reconciliation")
    assert reconciliation["reconciliation_success"] is True
    assert reconciliation["mismatches"] == []


def test_a_usdt_is_the_amount_at_the_aave_index(supply: dict[str, Any], completed: CompletedRun) -> None:
    deltas, details = supply["actual_deltas"], supply["operation_details"]
    amount = -deltas["wallet:BaseToken:USDT"]
    assert details["aave_liquidity_index"] == pytest.approx(index_at(0), rel=1e-12)
    assert details["aave_supply_index"] == pytest.approx(1.0 / index_at(0), rel=1e-12)
    assert deltas["aave:aToken:aUSDT"] == pytest.approx(amount / index_at(0), rel=1e-12)
    assert amount == pytest.approx(10_000.0, rel=0.02), "all but gas and its reserve"


def test_the_wallet_keeps_gas_and_three_times_its_reserve(log_dir: Path, supply: dict[str, Any]) -> None:
    unit = GAS_GWEI * 1e-9 * 3_000.0
    entry, leave = 250_000 * unit, 220_000 * unit
    assert supply["fee_amount"] == pytest.approx(entry)
    assert supply["fee_currency"] == "USDT", "a USDT wallet holds no ETH"
    *_, last = read_events(log_dir, "positions")
    positions: Any = last["positions"]
    assert positions["wallet:BaseToken:USDT"] == pytest.approx(3.0 * (entry + leave))


def test_equity_grows_with_the_index_and_with_nothing_else(completed: CompletedRun, supply: dict[str, Any]) -> None:
    summary = completed.summary
    supplied = -supply["actual_deltas"]["wallet:BaseToken:USDT"]
    growth = index_at(26 * 24) / index_at(0) - 1.0
    assert summary.pnl_attribution["supply_yield"] == pytest.approx(supplied * growth, rel=1e-9)
    assert summary.pnl_attribution["transaction_costs"] == pytest.approx(-supply["fee_amount"], rel=1e-12)
    assert summary.final_equity == pytest.approx(10_000.0 + supplied * growth - supply["fee_amount"], rel=1e-12)
    assert abs(summary.unexplained_pnl) <= 1e-9 * 10_000.0


def test_one_entry_then_hold(completed: CompletedRun) -> None:
    summary = completed.summary
    assert summary.steps == 26 * 24 + 1
    assert summary.decisions == {"entry": 1, "hold": summary.steps - 1}
    assert (summary.orders, summary.operations_failed, summary.reconciliation_failures) == (1, 0, 0)
    assert summary.min_health_factor is None, "there is no debt"
    assert summary.open_at_end


def test_the_log_replays_to_the_final_positions(log_dir: Path, completed: CompletedRun) -> None:
    report = replay(log_dir)
    assert report.ok, report.faults
    held = completed.state.values
    assert report.final_positions["aave:aToken:aUSDT"] == np.asarray(held["held_a_token"])[0]
    assert report.final_positions["wallet:BaseToken:USDT"] == np.asarray(held["held_wallet"])[0]


def test_results_are_complete(completed: CompletedRun) -> None:
    results = results_dir_of(completed)
    manifest = Manifest.model_validate_json((results / "manifest.json").read_bytes())
    assert manifest.status is RunStatus.COMPLETE
    assert RunSummary.model_validate_json((results / "summary.json").read_bytes()) == completed.summary
    assert (results / "summary.md").read_text().strip()
    for stage in ("market", "positions", "exposure", "risk", "pnl", "decision"):
        table = arrow_parquet.read_table(results / f"{stage}.parquet")
        assert table.num_rows == completed.summary.steps
    with (results / "operation_executions.csv").open() as file:
        assert [row["operation_type"] for row in csv.DictReader(file)] == ["supply"]
