"""The life of an operation: nothing of a decision is in two lives or in none, and balances lead from one to the next.

Asked of runs in a storm of faults, so that there are retries, failures, rollbacks and partial fills among the lives.
"""

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from dataflow.records.audit.tracing import Trace, trace
from dataflow.records.log.reading import read_events
from schemas.errors import ConfigValidationError, LogDirectoryError
from schemas.models.events import (
    EVENT_TYPES,
    OperationExecutionEvent,
    PnLCalculation,
    ReconciliationEvent,
    StrategyDecision,
    SystemErrorEvent,
    TightLoopExecutionEvent,
)
from tests.support.storms import StormyRun, run_in_storm

MODES = ("btc_basis", "eth_leveraged")


@pytest.fixture(scope="module", params=MODES)
def stormy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StormyRun:
    """A run of each mode: one with single operations, one with atomic groups."""
    return run_in_storm(request.param, 3, tmp_path_factory.mktemp("storm"))


@cache
def lives(run: StormyRun) -> list[Trace]:
    """The lives of all operations and groups, in the order in which they began."""
    operations = read_events(run.log_dir, OperationExecutionEvent)
    units = dict.fromkeys(str(event["atomic_group_id"] or event["operation_id"]) for event in operations)
    return [trace(run.log_dir, unit) for unit in units]


def executed_orders(run: StormyRun) -> set[int]:
    """Numbers of all events between a decision that made orders and the P&L of its row, breaches aside."""
    events = sorted(
        (int(str(event["order"])), kind, event) for kind in EVENT_TYPES for event in read_events(run.log_dir, kind)
    )
    inside, found = False, set()
    for order, kind, event in events:
        if kind in (StrategyDecision, PnLCalculation):
            inside = kind is StrategyDecision and event["orders_generated"] != 0
        elif inside and event.get("error_code") != "RISK-001":
            found.add(order)
    return found


def test_every_event_of_an_execution_is_in_exactly_one_life(stormy: StormyRun) -> None:
    traced = [step.order for life in lives(stormy) for step in life.steps if step.event_class is not StrategyDecision]
    assert len(traced) == len(set(traced))
    assert set(traced) == executed_orders(stormy)


def test_a_life_begins_with_its_decision_and_ends_with_its_loop_or_its_error(stormy: StormyRun) -> None:
    for life in lives(stormy):
        assert life.steps[0].event_class is StrategyDecision
        assert len(life.of(TightLoopExecutionEvent)) == 1
        assert life.steps[-1].event_class in (TightLoopExecutionEvent, SystemErrorEvent)
        assert [str(event["operation_id"]) for event in life.of(OperationExecutionEvent)] == list(life.operations)


def test_what_an_operation_leaves_is_what_the_next_of_its_decision_finds(stormy: StormyRun) -> None:
    for one, following in pairwise(lives(stormy)):
        if one.steps[0] == following.steps[0]:
            assert one.equity_usd[1] == following.equity_usd[0]


def test_only_what_reconciled_changed_a_balance(stormy: StormyRun) -> None:
    seen = set()
    for life in lives(stormy):
        reconciled = any(event["reconciliation_success"] for event in life.of(ReconciliationEvent))
        moved = any(balance.change for balance in life.balances)
        assert moved == reconciled, life.subject
        seen.add(moved)
    assert seen == {True, False}


def test_an_operation_that_was_confirmed_in_the_end_shows_every_attempt_that_failed(tmp_path: Path) -> None:
    run = run_in_storm("btc_basis", 3, tmp_path, plan="reject")
    retried = {
        str(event["operation_id"]): event["retry_count"]
        for event in read_events(run.log_dir, TightLoopExecutionEvent)
        if event["retry_count"] and event["execution_success"]
    }
    assert retried
    for operation, retries in retried.items():
        assert len(trace(run.log_dir, operation).of(SystemErrorEvent)) == retries


def test_an_operation_is_found_by_the_unique_start_of_its_id_and_a_group_by_any_member(stormy: StormyRun) -> None:
    for life in lives(stormy)[:3]:
        group = life.of(OperationExecutionEvent)[0]["atomic_group_id"]
        assert trace(stormy.log_dir, life.subject[:12]).steps == life.steps
        for operation in life.operations:
            found = trace(stormy.log_dir, operation)
            assert found.steps == life.steps
            assert found.subject == operation
        assert life.subject == (group or life.operations[0])


def test_an_instant_gives_the_whole_row(stormy: StormyRun) -> None:
    instant = str(lives(stormy)[0].steps[0].record["timestamp"])
    row = trace(stormy.log_dir, f"{instant}Z")
    assert row.subject == instant
    assert {step.record["timestamp"] for step in row.steps} == {instant}
    assert {str(event["operation_id"]) for event in row.of(OperationExecutionEvent)} == set(row.operations)
    assert len(row.of(PnLCalculation)) == 1


@pytest.mark.parametrize("change", ["x", "", "0"])
def test_an_unknown_id_is_refused_with_the_nearest_ones(stormy: StormyRun, change: str) -> None:
    known = lives(stormy)[0].subject
    asked = f"{known[:-2]}{change}!"
    with pytest.raises(ConfigValidationError) as refused:
        trace(stormy.log_dir, asked)
    assert refused.value.context == {"id": asked}
    assert known in refused.value.message


@pytest.mark.parametrize("subject", ["", "1999-01-01"])
def test_nothing_and_an_instant_outside_the_run_are_refused(stormy: StormyRun, subject: str) -> None:
    with pytest.raises(ConfigValidationError):
        trace(stormy.log_dir, subject)


def test_a_directory_without_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogDirectoryError):
        trace(tmp_path, "0" * 32)
