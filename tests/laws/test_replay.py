"""Law 5: the deltas of the event log alone, added to an empty book, give the final positions exactly."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.records.audit.replay import replay
from dataflow.records.audit.verification import verify
from tests.laws.conftest import SEEDS, ViolentRun
from tests.support.markets import MODES, violent_market
from tests.support.runs import MemoryRun, prepared, run_in_memory, run_in_partitions


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_replay_gives_the_final_positions(mode: str, seed: int, violent_run: ViolentRun) -> None:
    run = violent_run(mode, seed)
    report = replay(run.log_dirs[0])
    assert report.faults == ()
    assert report.torn_tails == ()
    assert {key: report.final_positions.get(key, 0.0) for key in run.final_positions()} == run.final_positions()
    assert report.operations_checked == run.outcome.counts.orders
    assert report.events == run.state.order


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_leaves_a_log_that_verifies(mode: str, violent_run: ViolentRun) -> None:
    """The twelve files, under their hash chain, with counts that agree (domain section 6)."""
    found = verify(violent_run(mode, SEEDS[0]).log_dirs[0])
    assert found.faults == ()
    assert found.replayed is not None
    assert found.chain.lines_checked == found.replayed.events > 0


def test_replay_survives_a_refused_order(unhedged_run: MemoryRun) -> None:
    report = replay(unhedged_run.log_dirs[0])
    assert report.ok, report.faults
    positions = unhedged_run.final_positions()
    assert {key: report.final_positions.get(key, 0.0) for key in positions} == positions


@pytest.mark.parametrize("mode", MODES)
def test_replay_of_a_partition_starts_where_the_one_before_ended(mode: str, tmp_path: Path) -> None:
    run = run_in_partitions(prepared(mode), violent_market(mode, 1, 150), tmp_path, [70])
    first = replay(run.log_dirs[0])
    second = replay(run.log_dirs[1], initial_positions=first.final_positions, first_order=first.events)
    assert first.ok, first.faults
    assert second.ok, second.faults
    positions = run.final_positions()
    assert {key: second.final_positions.get(key, 0.0) for key in positions} == positions


@settings(max_examples=8)
@given(mode=st.sampled_from(MODES), seed=st.integers(0, 2**32 - 1))
def test_no_market_breaks_the_replay(mode: str, seed: int) -> None:
    with TemporaryDirectory() as directory:
        run = run_in_memory(prepared(mode), violent_market(mode, seed, 80), Path(directory))
        report = replay(directory)
    assert report.ok, report.faults
    positions = run.final_positions()
    assert {key: report.final_positions.get(key, 0.0) for key in positions} == positions
