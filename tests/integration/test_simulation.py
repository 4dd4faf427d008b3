"""Deterministic simulation: twenty seeds of every mode under the storm break no law, and one seed is one story.

``make test`` has five of them, and ``make soak`` goes on with two hundred. Here it is shown besides that the simulation
would see a broken law, that the command it prints repeats a run, and that the number of processes changes nothing.
"""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from dataflow.cli.main import app
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.laws import attribution_faults, conservation_faults, replay_faults
from dataflow.services import simulate as simulation
from dataflow.services.fault_plans import fault_wrapper, load_fault_plan
from dataflow.services.simulate import (
    DEFINED_STOPS,
    OPERATIONS_MIN,
    ROWS_MIN,
    SimulatedRun,
    SimulationReport,
    SimulationRequest,
    simulate,
    simulate_run,
)
from dataflow.services.simulated_venues import simulated_venues
from schemas.errors import ErrorCode, InvalidModeError
from schemas.units import Column
from tests.support.marks import all_but_first
from tests.support.modes import MODES
from tests.support.runs import MemoryRun, prepared, run_in_memory

SEEDS = range(20)
VENUES = ("binance", "bybit", "okx")
STORM = SimulationRequest(seeds=1, trade_rules=True)


@cache
def stormy(mode: str, seed: int) -> SimulatedRun:
    """One run of the storm, made once a process."""
    return simulate_run(STORM, mode, seed)


@pytest.mark.parametrize("seed", all_but_first("soak", SEEDS, kept=5))
def test_no_law_is_broken_and_every_run_has_a_verdict(seed: int) -> None:
    for mode in MODES:
        run = stormy(mode, seed)
        assert run.broken == (), STORM.replay_command(mode, seed)
        assert run.code is None or run.code in DEFINED_STOPS
        assert run.rows >= ROWS_MIN
        assert run.operations >= OPERATIONS_MIN
    assert sum(sum(stormy(mode, seed).faults.values()) for mode in MODES) > 20


def test_one_seed_is_one_story() -> None:
    assert simulate_run(STORM, "btc_basis", 1) == simulate_run(STORM, "btc_basis", 1)
    assert simulate_run(STORM, "btc_basis", 1) != simulate_run(STORM, "btc_basis", 2)


def test_a_market_in_which_too_little_happened_is_made_longer() -> None:
    quiet, seed = "eth_staking_only", 390
    run = stormy(quiet, seed)
    assert run.rows == 2 * STORM.rows
    assert run.operations >= OPERATIONS_MIN
    assert run.broken == ()


@pytest.mark.soak
def test_the_number_of_processes_changes_nothing() -> None:
    request = SimulationRequest(seeds=2, modes=("pure_lending_usdt", "pure_lending_eth"))
    alone, together = simulate(request), simulate(request.model_copy(update={"jobs": 2}))
    assert alone.runs == together.runs
    assert [(run.seed, run.mode) for run in alone.runs] == [(s, m) for s in (0, 1) for m in request.modes]


def test_without_faults_every_run_completes() -> None:
    request = SimulationRequest(seeds=1, modes=("btc_basis", "eth_leveraged"), faults="none")
    assert simulate(request).verdicts() == {"completed": {"btc_basis": 1, "eth_leveraged": 1}}


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InvalidModeError):
        simulate(SimulationRequest(seeds=1, modes=("btc_bias",)))


def test_a_report_counts_faults_and_verdicts_by_mode() -> None:
    runs = tuple(
        SimulatedRun(mode, 1, code, 300, 9, Counter(faults), ())
        for mode, code, faults in (
            ("btc_basis", None, {"reject": 2}),
            ("eth_basis", ErrorCode.POS_RECONCILIATION_MISMATCH, {"reject": 1, "pending": 1}),
        )
    )
    report = SimulationReport(STORM, runs, 1.0)
    assert report.verdicts() == {"completed": {"btc_basis": 1}, "stopped POS-005": {"eth_basis": 1}}
    assert report.faults() == {"reject": {"btc_basis": 2, "eth_basis": 1}, "pending": {"eth_basis": 1}}
    assert report.broken() == ()


# -- the checks see what they are to see


class Story(NamedTuple):
    """A run with faults that completed, and where its log is."""

    run: MemoryRun
    log_dir: Path
    columns: dict[str, Column]

    def replay(self, positions: dict[str, float] | None = None) -> list[str]:
        """Faults of law 5."""
        return list(replay_faults(self.log_dir, positions or self.run.final_positions()))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    log_dir = tmp_path_factory.mktemp("story")
    backtest = prepared("eth_basis")
    market = random_market(backtest.market_request(), 4, 150, calm_rows=150)
    wrap = fault_wrapper(load_fault_plan("partial_fill"), backtest, market, seed=4)
    run = run_in_memory(backtest, market, log_dir, venues=simulated_venues(wrap, live_policy=True))
    return Story(run, log_dir, {name: column for stage in run.columns.values() for name, column in stage.items()})


def test_a_sound_run_breaks_no_law(story: Story) -> None:
    run = story.run
    assert list(conservation_faults(story.log_dir, run.instants, story.columns, VENUES)) == []
    assert story.replay() == []
    capital = run.backtest.config.initial_capital
    assert list(attribution_faults(story.columns, run.backtest.attribution_types, capital)) == []


def test_a_cost_that_is_not_booked_breaks_conservation(story: Story) -> None:
    changed = {**story.columns, "transaction_costs": story.columns["transaction_costs"] * (1.0 - 1e-3)}
    found = list(conservation_faults(story.log_dir, story.run.instants, changed, VENUES))
    assert found
    assert found[0].startswith("law 4")


def test_a_balance_that_no_delta_explains_breaks_the_replay(story: Story) -> None:
    positions = story.run.final_positions()
    key = next(iter(positions))
    found = story.replay({**positions, key: float(np.nextafter(positions[key], np.inf))})
    assert len(found) == 1
    assert key in found[0]


def test_a_part_that_is_left_out_breaks_the_attribution(story: Story) -> None:
    backtest = story.run.backtest
    parts = tuple(part for part in backtest.attribution_types if part != "funding_pnl")
    assert len(list(attribution_faults(story.columns, parts, backtest.config.initial_capital))) == 1


# -- the command


def test_the_command_prints_counts_as_json_and_as_tables() -> None:
    options = ["simulate", "--seeds", "1", "--modes", "pure_lending_eth,eth_staking_only", "--jobs", "1"]
    answer = CliRunner().invoke(app, [*options, "--json"])
    assert answer.exit_code == 0
    found = json.loads(answer.stdout)
    assert found["runs"] == 2
    assert found["broken"] == []
    assert sum(sum(counts.values()) for counts in found["verdicts"].values()) == 2
    shown = CliRunner().invoke(app, options)
    assert shown.exit_code == 0
    assert "Faults injected" in shown.stdout
    assert "Verdicts" in shown.stdout


def test_a_broken_law_is_exit_code_1_with_the_command_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "OPERATIONS_MIN", 10_000)
    command = "simulate --seeds 1 --first-seed 3 --modes pure_lending_eth --faults none --rows 200"
    answer = CliRunner().invoke(app, [*command.split(), "--jobs", "1"])
    assert answer.exit_code == 1
    assert f"basis {command}" in answer.stdout


def test_an_unknown_plan_is_exit_code_2() -> None:
    assert CliRunner().invoke(app, ["simulate", "--seeds", "1", "--faults", "strom"]).exit_code == 2
