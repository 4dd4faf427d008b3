"""Replay: the log alone gives the positions, bit for bit, and each kind of loss or tampering is found and placed.

A small run (deposit, one supply of 1 000 USDT, one settlement) is written as the engine writes it. The law: whatever
the deltas, replaying them gives the floats of the same additions. The table after it changes one thing at a time and
names the fault that must follow.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.records import DomainEventLogger
from dataflow.records.audit.replay import replay
from dataflow.records.log.reading import read_models
from schemas.models.events import (
    EVENT_TYPES,
    AtomicOperationGroupEvent,
    DomainEvent,
    ExecutionDeltaEvent,
    OperationExecutionEvent,
    PositionSnapshot,
    StrategyDecision,
    TightLoopExecutionEvent,
)

USDT, A_USDT = "wallet:BaseToken:USDT", "aave:aToken:aUSDT"

Run = list[DomainEvent]


def envelope(order: int, hour: int) -> dict[str, object]:
    return {
        "timestamp": f"2024-05-12T{hour:02}:00:00",
        "real_utc_time": "2025-01-15T10:30:00",
        "correlation_id": "run1",
        "pid": 1,
        "order": order,
    }


def snapshot(order: int, hour: int, positions: dict[str, float]) -> PositionSnapshot:
    return PositionSnapshot.model_validate(
        {**envelope(order, hour), "positions": positions, "total_value_usd": 1_000.0, "position_type": "simulated"}
    )


def applied(order: int, hour: int, delta_type: str, deltas: dict[str, float]) -> ExecutionDeltaEvent:
    return ExecutionDeltaEvent.model_validate(
        {
            **envelope(order, hour),
            "delta_type": delta_type,
            "trigger_source": "position_update_handler",
            "deltas_applied": len(deltas),
            "total_delta_value_usd": 1_000.0,
            "deltas": [
                {"position_key": key, "delta_amount": amount, "source": "funding"} for key, amount in deltas.items()
            ],
        }
    )


def decision(order: int, hour: int, orders: int) -> StrategyDecision:
    return StrategyDecision.model_validate(
        {
            **envelope(order, hour),
            "strategy_name": "pure_lending_usdt",
            "decision_type": "entry" if orders else "hold",
            "orders_generated": orders,
            "total_order_value_usd": 0.0,
            "decision_reason": "idle",
        }
    )


def operation(order: int, hour: int, **changes: object) -> OperationExecutionEvent:
    deltas = {A_USDT: 900.0, USDT: -1_000.0}
    return OperationExecutionEvent.model_validate(
        {
            **envelope(order, hour),
            "operation_id": "supply_001",
            "operation_type": "supply",
            "venue": "aave_v3",
            "source_token": "USDT",
            "target_token": "aUSDT",
            "status": "confirmed",
            "expected_deltas": [
                {"position_key": key, "delta_amount": amount, "operation_type": "supply"}
                for key, amount in deltas.items()
            ],
            "actual_deltas": deltas,
            "fee_amount": 0.0,
            "fee_currency": "USDT",
            "execution_duration_ms": 0.0,
            "simulated": True,
            **changes,
        }
    )


def tight_loop(order: int, hour: int, operation_id: str = "supply_001") -> TightLoopExecutionEvent:
    return TightLoopExecutionEvent.model_validate(
        {
            **envelope(order, hour),
            "operation_id": operation_id,
            "execution_success": True,
            "reconciliation_success": True,
            "retry_count": 0,
            "total_duration_ms": 0.0,
            "execution_duration_ms": 0.0,
            "reconciliation_duration_ms": 0.0,
        }
    )


def group(order: int, hour: int, *operation_ids: str) -> AtomicOperationGroupEvent:
    return AtomicOperationGroupEvent.model_validate(
        {
            **envelope(order, hour),
            "atomic_group_id": "group_001",
            "operation_ids": operation_ids,
            "operation_types": ["supply"] * len(operation_ids),
            "all_succeeded": True,
            "rollback_occurred": False,
            "total_duration_ms": 0.0,
        }
    )


def small_run() -> Run:
    return [
        applied(0, 0, "initial_capital", {USDT: 1_000.1}),
        snapshot(1, 0, {USDT: 1_000.1}),
        decision(2, 0, orders=1),
        operation(3, 0),
        applied(4, 0, "execution_deltas", {A_USDT: 900.0, USDT: -1_000.0}),
        tight_loop(5, 0),
        snapshot(6, 0, {USDT: 1_000.1 - 1_000.0, A_USDT: 900.0}),
        applied(7, 1, "funding", {USDT: 0.2}),
        snapshot(8, 1, {USDT: 1_000.1 - 1_000.0 + 0.2, A_USDT: 900.0}),
        decision(9, 1, orders=0),
    ]


def write(log_dir: Path, run: Run) -> Path:
    logger = DomainEventLogger(log_dir, "run1", 1)
    for event in run:
        logger.log(event)
    logger.close()
    return log_dir


def replaced(run: Run, *events: DomainEvent) -> Run:
    by_order = {event.order: event for event in (*run, *events)}
    return [by_order[order] for order in sorted(by_order, key=lambda order: order or 0)]


def without(run: Run, *orders: int) -> Run:
    """Return the run without some events, numbered again: as if they had never been logged."""
    kept = [event for event in run if event.order not in orders]
    return [event.model_copy(update={"order": order}) for order, event in enumerate(kept)]


def test_a_sound_run_verifies_and_gives_its_positions(tmp_path: Path) -> None:
    report = replay(write(tmp_path, small_run()))
    assert report.faults == ()
    assert report.ok
    assert report.final_positions == {USDT: 1_000.1 - 1_000.0 + 0.2, A_USDT: 900.0}
    assert (report.events, report.deltas_applied, report.snapshots_compared, report.operations_checked) == (10, 4, 3, 1)


@given(
    steps=st.lists(
        st.dictionaries(st.sampled_from([USDT, A_USDT]), st.floats(-1e6, 1e6), min_size=1), min_size=1, max_size=8
    )
)
def test_replay_is_the_same_additions_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, float]]
) -> None:
    held: dict[str, float] = {}
    run: Run = []
    for hour, deltas in enumerate(steps):
        for key, amount in deltas.items():
            held[key] = held.get(key, 0.0) + amount
        run += [applied(2 * hour, hour, "funding", deltas), snapshot(2 * hour + 1, hour, dict(held))]

    report = replay(write(tmp_path_factory.mktemp("log"), run))

    assert report.ok
    assert report.final_positions == held


def test_a_chained_partition_starts_from_what_is_held(tmp_path: Path) -> None:
    run: Run = [applied(10, 1, "funding", {USDT: 0.2}), snapshot(11, 1, {USDT: 0.1 + 0.2})]
    logger = DomainEventLogger(tmp_path, "run1", 1, next_order=10)
    for event in run:
        logger.log(event)
    logger.close()
    assert replay(tmp_path, initial_positions={USDT: 0.1}, first_order=10).ok
    assert not replay(tmp_path).ok


def test_a_group_needs_one_tight_loop_and_its_event(tmp_path: Path) -> None:
    member = operation(3, 0, atomic_group_id="group_001", sequence_in_group=0)
    run = replaced(small_run(), member, tight_loop(5, 0, "group_001"), group(10, 1, "supply_001"))
    assert replay(write(tmp_path / "whole", run)).ok

    faults = replay(write(tmp_path / "without", without(run, 10))).faults
    assert [(fault.file, fault.key) for fault in faults] == [("operation_executions.jsonl", "group_001")]


def test_orders_after_a_failed_one_need_not_be_attempted(tmp_path: Path) -> None:
    failed = operation(3, 0, status="failed", error_code="EXEC-001", actual_deltas={})
    run: Run = [*small_run()[:2], decision(2, 0, orders=2), failed, tight_loop(4, 0)]
    assert replay(write(tmp_path, run)).ok


@pytest.mark.parametrize(
    ("tamper", "file", "order", "key"),
    [
        pytest.param(lambda run: without(run, 7), "positions.jsonl", 7, USDT, id="lost-delta"),
        pytest.param(
            lambda run: replaced(run, applied(7, 1, "funding", {USDT: 0.2000001})),
            "positions.jsonl",
            8,
            USDT,
            id="changed",
        ),
        pytest.param(lambda run: without(run, 8), "execution_deltas.jsonl", 7, None, id="delta-without-snapshot"),
        pytest.param(lambda run: run[:8], "execution_deltas.jsonl", 7, None, id="no-snapshot-at-the-end"),
        pytest.param(lambda run: without(run, 5), "operation_executions.jsonl", 3, "supply_001", id="no-tight-loop"),
        pytest.param(
            lambda run: replaced(run, operation(3, 0, actual_deltas={A_USDT: 900.0, USDT: -1_000.0001})),
            "operation_executions.jsonl",
            3,
            USDT,
            id="actual-is-not-expected",
        ),
        pytest.param(
            lambda run: replaced(run, operation(3, 0, actual_deltas={A_USDT: 900.0})),
            "operation_executions.jsonl",
            3,
            USDT,
            id="actual-is-missing",
        ),
        pytest.param(
            lambda run: replaced(run, decision(2, 0, orders=2)),
            "operation_executions.jsonl",
            None,
            None,
            id="lost-operation",
        ),
        pytest.param(
            lambda run: replaced(run, decision(2, 0, orders=0)), "operation_executions.jsonl", None, None, id="unasked"
        ),
        pytest.param(
            lambda run: replaced(run, run[7].model_copy(update={"deltas_applied": 2})),
            "execution_deltas.jsonl",
            7,
            None,
            id="wrong-count",
        ),
        pytest.param(lambda run: run[:9], None, None, None, id="a-shorter-run-is-no-fault"),
        pytest.param(
            lambda run: [event for event in run if event.order != 2], "operation_executions.jsonl", 3, None, id="gap"
        ),
    ],
)
def test_what_was_changed_is_found_and_placed(
    tmp_path: Path, tamper: Callable[[Run], Run], file: str | None, order: int | None, key: str | None
) -> None:
    report = replay(write(tmp_path, tamper(small_run())))
    found = [(fault.file, fault.order, fault.key) for fault in report.faults]
    assert report.ok == (file is None)
    assert ((file, order, key) in found) or (file is None and not found)


def test_a_fault_is_said_once_a_key(tmp_path: Path) -> None:
    run = small_run()[:2] + [snapshot(order, order, {USDT: 7.0}) for order in range(2, 12)]
    (fault,) = replay(write(tmp_path, run)).faults
    assert str(fault).startswith(f"positions.jsonl order 2, {USDT}: ")


def test_swapped_and_repeated_lines_are_found(tmp_path: Path) -> None:
    write(tmp_path, small_run())
    path = tmp_path / "events" / "positions.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(second + first + third)
    assert ("positions.jsonl", 1) in [(fault.file, fault.order) for fault in replay(tmp_path).faults]
    path.write_bytes(first + second + third + third)
    assert ("positions.jsonl", 8) in [(fault.file, fault.order) for fault in replay(tmp_path).faults]


def test_a_torn_tail_is_reported_and_not_ok(tmp_path: Path) -> None:
    write(tmp_path, small_run())
    with (tmp_path / "events" / "positions.jsonl").open("ab") as file:
        file.write(b'{"timesta')
    report = replay(tmp_path)
    assert report.faults == ()
    assert [tail.file.name for tail in report.torn_tails] == ["positions.jsonl"]
    assert not report.ok


def test_the_small_run_uses_the_models_it_claims(tmp_path: Path) -> None:
    write(tmp_path, small_run())
    read = [event for kind in EVENT_TYPES for event in read_models(tmp_path, kind)]
    assert sorted(read, key=lambda event: event.order or 0) == small_run()
