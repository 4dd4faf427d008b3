"""Law 7: one seed gives one business output, byte for byte; identifiers are functions of seed and counter."""

import re
from pathlib import Path

import pytest

from dataflow.execution.tight_loop import operation_identifier
from tests.laws.conftest import ROWS, ViolentRun
from tests.support.markets import BASIS_MODES, MODES, violent_market
from tests.support.runs import (
    assert_same_business,
    business_lines,
    differing_columns,
    prepared,
    run_in_memory,
)

SEED = 1
_IDENTIFIERS = re.compile(rb"\b[0-9a-f]{32}\b")


@pytest.mark.parametrize("mode", MODES)
def test_another_process_on_another_day_writes_the_same_bytes(
    mode: str, violent_run: ViolentRun, tmp_path: Path
) -> None:
    again = run_in_memory(
        prepared(mode), violent_market(mode, SEED, ROWS), tmp_path, correlation_id="f" * 32, pid=4_321
    )
    first = violent_run(mode, SEED)
    assert first.lines != again.lines, "wall clock and process are in the lines"
    assert_same_business(first, again)


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_another_seed_changes_identifiers_and_nothing_else(mode: str, violent_run: ViolentRun, tmp_path: Path) -> None:
    first = violent_run(mode, SEED)
    other = run_in_memory(prepared(mode), violent_market(mode, SEED, ROWS), tmp_path, seed=8)
    assert differing_columns(first, other) == []
    assert first.state.to_json() == other.state.to_json()
    mine = {event["operation_id"] for event in first.events("operation_executions")}
    others = {event["operation_id"] for event in other.events("operation_executions")}
    assert mine.isdisjoint(others)
    anonymous = [
        {name: [_IDENTIFIERS.sub(b"", line) for line in lines] for name, lines in business_lines(run.lines).items()}
        for run in (first, other)
    ]
    assert anonymous[0] == anonymous[1]


@pytest.mark.parametrize("mode", MODES)
def test_identifiers_are_functions_of_seed_and_counter(mode: str, violent_run: ViolentRun) -> None:
    identifiers = [event["operation_id"] for event in violent_run(mode, SEED).events("operation_executions")]
    assert identifiers == [operation_identifier(7, number) for number in range(len(identifiers))]


@pytest.mark.parametrize("mode", MODES)
def test_events_are_numbered_from_zero_without_gap(mode: str, violent_run: ViolentRun) -> None:
    run = violent_run(mode, SEED)
    orders = sorted(int(str(event["order"])) for name in run.lines for event in run.events(name))
    assert orders == list(range(run.state.order))
