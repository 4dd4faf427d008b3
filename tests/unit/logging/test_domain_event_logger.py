"""The event log: nothing acknowledged is lost, each file is in order, and every line is whole.

The first three tests are those of the user's plan, which reads the file without a flush. The rest claims the buffer's
rules (100 events, 5 s, errors, close), the merge of bulk rows and single events by ``order``, rotation, many threads,
and what a full disk leaves.
"""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dataflow.records import DomainEventLogger
from dataflow.records.log.append_file import part_paths
from dataflow.records.log.reading import event_counts, read_events, torn_tails
from schemas.errors import (
    ErrorCode,
    LogBufferOverflowError,
    LogDirectoryError,
    LogRotationError,
    LogSerialisationError,
    LogWriteError,
    Severity,
)
from schemas.models.events import (
    EVENT_TYPES,
    AtomicOperationGroupEvent,
    DomainEvent,
    ExecutionDeltaEvent,
    ExposureSnapshot,
    HealthStatusEvent,
    OperationExecutionEvent,
    PnLCalculation,
    PositionSnapshot,
    ReconciliationEvent,
    RiskAssessment,
    StrategyDecision,
    SystemErrorEvent,
    TightLoopExecutionEvent,
    event_line,
)

ENVELOPE = {
    "timestamp": "2025-01-15T10:30:00",
    "real_utc_time": "2025-01-15T10:30:00.123456",
    "correlation_id": "test123",
    "pid": 12345,
}

PAYLOADS: dict[type[DomainEvent], dict[str, object]] = {
    PositionSnapshot: {
        "positions": {"aave:aToken:aUSDT": 10000.0},
        "total_value_usd": 10000.0,
        "position_type": "simulated",
    },
    OperationExecutionEvent: {
        "operation_id": "supply_001",
        "operation_type": "supply",
        "venue": "aave_v3",
        "source_token": "USDT",
        "target_token": "aUSDT",
        "status": "confirmed",
        "expected_deltas": [],
        "actual_deltas": {"aave:aToken:aUSDT": 10000.0},
        "fee_amount": 0.0,
        "fee_currency": "USDT",
        "execution_duration_ms": 125.5,
        "simulated": True,
    },
    TightLoopExecutionEvent: {
        "operation_id": "supply_001",
        "execution_success": True,
        "reconciliation_success": True,
        "retry_count": 0,
        "total_duration_ms": 150.5,
        "execution_duration_ms": 125.5,
        "reconciliation_duration_ms": 25.0,
    },
    ExposureSnapshot: {
        "net_delta_usd": 0.0,
        "asset_exposures": {"USDT": {"quantity": 10000.0, "usd_value": 10000.0, "percentage": 1.0}},
        "total_value_usd": 10000.0,
        "share_class_value": 10000.0,
    },
    RiskAssessment: {
        "health_factor": 999.0,
        "ltv_ratio": 0.0,
        "liquidation_threshold": 0.8,
        "margin_usage": 0.0,
        "risk_score": 0.0,
        "risk_level": "low",
        "breach_detected": False,
    },
    PnLCalculation: {
        "total_pnl_usd": 1.0,
        "total_pnl_share_class": 1.0,
        "pnl_attribution": {"supply_yield": 1.0},
        "period_start": "2025-01-15T09:30:00",
        "period_end": "2025-01-15T10:30:00",
    },
    StrategyDecision: {
        "strategy_name": "pure_lending_usdt",
        "decision_type": "hold",
        "orders_generated": 0,
        "total_order_value_usd": 0.0,
        "decision_reason": "no_trigger",
    },
    AtomicOperationGroupEvent: {
        "atomic_group_id": "group_001",
        "operation_ids": ["supply_001"],
        "operation_types": ["supply"],
        "all_succeeded": True,
        "rollback_occurred": False,
        "total_duration_ms": 250.5,
    },
    ReconciliationEvent: {
        "reconciliation_type": "execution_deltas",
        "trigger_source": "execution_manager",
        "reconciliation_success": True,
        "expected_deltas_count": 2,
        "actual_deltas_count": 2,
        "reconciliation_duration_ms": 25.5,
    },
    ExecutionDeltaEvent: {
        "delta_type": "execution_deltas",
        "trigger_source": "execution_manager",
        "deltas_applied": 2,
        "total_delta_value_usd": 10000.0,
    },
    HealthStatusEvent: {
        "overall_status": "healthy",
        "component_statuses": {"PositionMonitor": "healthy"},
        "health_score": 0.95,
    },
    SystemErrorEvent: {
        "error_code": "EXEC-001",
        "error_message": "Order execution failed",
        "component": "ExecutionManager",
        "severity": "HIGH",
        "stack_trace": "Traceback (most recent call last)...",
    },
}


def make(event_class: type[DomainEvent], order: int | None = None, **changes: object) -> DomainEvent:
    return event_class.model_validate({**ENVELOPE, **PAYLOADS[event_class], "order": order, **changes})


def snapshot(order: int | None = None) -> PositionSnapshot:
    event = make(PositionSnapshot, order)
    assert isinstance(event, PositionSnapshot)
    return event


def open_logger(log_dir: Path, **options: object) -> DomainEventLogger:
    return DomainEventLogger(log_dir=log_dir, correlation_id="test123", pid=12345, **options)  # type: ignore[arg-type]  # test shorthand


def log_decisions(logger: DomainEventLogger, orders: list[int]) -> None:
    logger.log_rows(
        StrategyDecision,
        order=np.array(orders, dtype=np.int64),
        timestamps=np.datetime64("2025-01-15T10:30:00", "s") + np.arange(len(orders)),
        fields=dict(PAYLOADS[StrategyDecision]),  # type: ignore[arg-type]  # plain values are field values
    )


def orders_in(log_dir: Path, event_class: type[DomainEvent] = PositionSnapshot) -> list[object]:
    return [record["order"] for record in read_events(log_dir, event_class)]


class FullDisk:
    """A disk with room for so many bytes; what fits of a write is written, as a real one does."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, descriptor: int, data: bytes | memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, data[: self.room])
        self.room -= written
        return written


class TestDomainEventLogger:
    """The tests of the user's plan."""

    def test_log_position_snapshot(self, tmp_path: Path) -> None:
        logger = open_logger(tmp_path)

        logger.log_position_snapshot(
            PositionSnapshot(
                timestamp="2025-01-15T10:30:00",
                real_utc_time="2025-01-15T10:30:00.123456",
                correlation_id="test123",
                pid=12345,
                positions={"aave:aToken:aUSDT": 10000.0},
                total_value_usd=10000.0,
                position_type="simulated",
            )
        )

        events_file = tmp_path / "events" / "positions.jsonl"
        with events_file.open() as file:
            event = json.loads(file.readline())
        assert event["correlation_id"] == "test123"
        assert event["positions"] == {"aave:aToken:aUSDT": 10000.0}
        logger.close()

    def test_buffered_writing(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            logger.log_position_snapshot(snapshot())
            for _ in range(99):
                logger.log_position_snapshot(snapshot())
            assert orders_in(tmp_path) == [0]
            logger.log_position_snapshot(snapshot())
            assert orders_in(tmp_path) == list(range(101))
            logger.log_position_snapshot(snapshot())
        assert orders_in(tmp_path) == list(range(102))

    def test_multiple_event_types(self, tmp_path: Path) -> None:
        log: dict[type[DomainEvent], str] = {
            PositionSnapshot: "log_position_snapshot",
            OperationExecutionEvent: "log_operation_execution",
            TightLoopExecutionEvent: "log_tight_loop_execution",
            ExposureSnapshot: "log_exposure_snapshot",
            RiskAssessment: "log_risk_assessment",
            PnLCalculation: "log_pnl_calculation",
            StrategyDecision: "log_strategy_decision",
            AtomicOperationGroupEvent: "log_atomic_group",
            ReconciliationEvent: "log_reconciliation_event",
            ExecutionDeltaEvent: "log_execution_delta",
            HealthStatusEvent: "log_health_status",
            SystemErrorEvent: "log_system_error",
        }
        assert tuple(log) == EVENT_TYPES
        with open_logger(tmp_path) as logger:
            for event_class, method in log.items():
                getattr(logger, method)(make(event_class))

        for order, event_class in enumerate(EVENT_TYPES):
            line = (tmp_path / "events" / event_class.file_name).read_bytes()
            assert line == event_line(make(event_class, order))
        assert set(event_counts(tmp_path).values()) == {1}
        assert logger.event_counts == event_counts(tmp_path)


class TestBuffer:
    """When lines reach the disk."""

    def test_all_twelve_files_exist_from_the_start(self, tmp_path: Path) -> None:
        open_logger(tmp_path).close()
        assert {path.name for path in (tmp_path / "events").iterdir()} == {kind.file_name for kind in EVENT_TYPES}

    def test_five_seconds_write_what_waits(self, tmp_path: Path) -> None:
        now = [0.0]
        logger = open_logger(tmp_path, monotonic=lambda: now[0])
        logger.log_position_snapshot(snapshot())
        logger.log_position_snapshot(snapshot())
        now[0] = 4.9
        logger.flush_if_due()
        assert orders_in(tmp_path) == [0]
        now[0] = 5.0
        logger.flush_if_due()
        assert orders_in(tmp_path) == [0, 1]
        logger.close()

    def test_an_error_writes_everything_before_it(self, tmp_path: Path) -> None:
        logger = open_logger(tmp_path)
        logger.log(make(SystemErrorEvent))
        for _ in range(3):
            logger.log_position_snapshot(snapshot())
        logger.log(make(SystemErrorEvent, severity=Severity.CRITICAL))
        assert orders_in(tmp_path) == [1, 2, 3]
        assert '"severity":"CRITICAL"' in (tmp_path / "events" / "system_errors.jsonl").read_text()
        logger.close()

    def test_closing_twice_is_once_and_a_closed_log_refuses(self, tmp_path: Path) -> None:
        logger = open_logger(tmp_path)
        logger.close()
        logger.close()
        with pytest.raises(LogWriteError):
            logger.log_position_snapshot(snapshot())

    def test_a_block_that_fails_still_writes_its_events(self, tmp_path: Path) -> None:
        def fail_after_two(logger: DomainEventLogger) -> None:
            with logger:
                logger.log_position_snapshot(snapshot())
                logger.log_position_snapshot(snapshot())
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail_after_two(open_logger(tmp_path))
        assert orders_in(tmp_path) == [0, 1]

    @pytest.mark.parametrize("ids", [("", 1), ("../x", 1), ("abc", 0)])
    def test_a_log_without_ids_is_refused(self, tmp_path: Path, ids: tuple[str, int]) -> None:
        with pytest.raises(LogDirectoryError):
            DomainEventLogger(tmp_path, *ids)

    def test_an_event_of_another_run_is_refused(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger, pytest.raises(LogSerialisationError):
            logger.log(make(PositionSnapshot, correlation_id="other"))

    def test_an_unwritable_directory_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "events").write_text("a file where a directory should be")
        with pytest.raises(LogDirectoryError) as raised:
            open_logger(tmp_path)
        assert raised.value.context["path"] == str(tmp_path / "events")


class TestOrder:
    """One ascending sequence a file, gap-free over all files."""

    def test_rows_and_single_events_of_a_chunk_are_merged(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            log_decisions(logger, [0, 2, 4, 6, 8])
            assert orders_in(tmp_path, StrategyDecision) == []  # 1, 3, 5 and 7 are still to come
            logger.log(make(StrategyDecision, 5))
            logger.log(make(PositionSnapshot, 3))
            logger.log(make(StrategyDecision, 1))
            logger.log(make(PositionSnapshot, 7))
            assert orders_in(tmp_path, StrategyDecision) == [0, 1, 2, 4, 5, 6, 8]
        assert orders_in(tmp_path) == [3, 7]

    def test_an_event_without_order_gets_the_next_number(self, tmp_path: Path) -> None:
        with open_logger(tmp_path, next_order=40) as logger:
            log_decisions(logger, [40, 41])
            logger.log_position_snapshot(snapshot())
            assert logger.next_order == 43
        assert orders_in(tmp_path) == [42]

    def test_an_order_that_was_passed_is_refused(self, tmp_path: Path) -> None:
        logger = open_logger(tmp_path)
        logger.log_position_snapshot(snapshot(0))
        logger.log_position_snapshot(snapshot(0))
        with pytest.raises(LogWriteError) as raised:
            logger.flush()
        assert raised.value.context["order"] == 0
        with pytest.raises(LogWriteError):
            logger.close()

    def test_a_gap_that_never_closes_overflows_instead_of_growing(self, tmp_path: Path) -> None:
        logger = open_logger(tmp_path, buffer_bytes_max=2_000)

        def log_past_a_gap() -> None:
            for order in range(1, 100):
                logger.log_position_snapshot(snapshot(order))

        with pytest.raises(LogBufferOverflowError):
            log_past_a_gap()
        logger.close()
        assert orders_in(tmp_path)[0] == 1

    def test_rows_must_ascend(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger, pytest.raises(LogSerialisationError):
            log_decisions(logger, [1, 0])

    def test_no_rows_are_no_lines(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            log_decisions(logger, [])
        assert event_counts(tmp_path)["strategy_decisions"] == 0

    def test_many_threads_lose_and_tear_nothing(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger, ThreadPoolExecutor(4) as threads:
            for _ in threads.map(lambda _: logger.log_position_snapshot(snapshot()), range(500)):
                pass
        assert orders_in(tmp_path) == list(range(500))


class TestRotation:
    """Parts of bounded size, read back as one."""

    @pytest.mark.parametrize("part_bytes", [1, 1_000, 4_000])
    def test_parts_keep_the_order_and_hold_whole_lines(self, tmp_path: Path, part_bytes: int) -> None:
        with open_logger(tmp_path, part_bytes=part_bytes) as logger:
            for _ in range(60):
                logger.log_position_snapshot(snapshot())

        parts = part_paths(tmp_path / "events" / "positions.jsonl")
        assert [part.name for part in parts[:2]] == ["positions.jsonl", "positions.1.jsonl"]
        assert orders_in(tmp_path) == list(range(60))
        line = len(event_line(snapshot(0))) + 1
        assert all(part.stat().st_size <= max(part_bytes, line) for part in parts)
        assert all(part.read_bytes().endswith(b"\n") for part in parts)

    def test_a_torn_tail_is_kept_and_reported_and_writing_goes_on_in_a_new_part(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            logger.log_position_snapshot(snapshot())
        torn = tmp_path / "events" / "positions.jsonl"
        whole = torn.stat().st_size
        with torn.open("ab") as file:
            file.write(b'{"timestamp":"2025-01')

        with open_logger(tmp_path, next_order=1) as logger:
            logger.log_position_snapshot(snapshot())

        assert orders_in(tmp_path) == [0, 1]
        assert [(tail.file, tail.byte_offset) for tail in torn_tails(tmp_path)] == [(torn, whole)]


class TestFullDisk:
    """A disk that refuses is never silent, and what is on it parses."""

    @pytest.mark.parametrize("room", [0, 1, 300, 2_000, 5_000])
    def test_a_full_disk_ends_in_log_001_and_whole_lines(self, tmp_path: Path, room: int) -> None:
        logger = open_logger(tmp_path, write=FullDisk(room))

        def log_until_full() -> None:
            for _ in range(200):
                logger.log_position_snapshot(snapshot())

        with pytest.raises(LogWriteError) as raised:
            log_until_full()

        assert raised.value.code == ErrorCode.LOG_WRITE_FAILED
        assert raised.value.context["path"] == str(tmp_path / "events" / "positions.jsonl")
        written = orders_in(tmp_path)
        assert written == list(range(len(written)))
        assert torn_tails(tmp_path) == []
        with pytest.raises(LogWriteError):
            logger.close()

    def test_room_made_in_time_loses_nothing(self, tmp_path: Path) -> None:
        disk = FullDisk(700)
        logger = open_logger(tmp_path, write=disk)
        logger.log_position_snapshot(snapshot())
        for _ in range(5):
            logger.log_position_snapshot(snapshot())
        with pytest.raises(LogWriteError):
            logger.flush()
        disk.room = 1_000_000
        logger.close()
        assert orders_in(tmp_path) == list(range(6))

    def test_a_part_that_cannot_be_opened_is_log_005(self, tmp_path: Path) -> None:
        logger = open_logger(tmp_path, part_bytes=10)
        logger.log_position_snapshot(snapshot())
        (tmp_path / "events" / "positions.1.jsonl").mkdir()
        logger.log_position_snapshot(snapshot())
        with pytest.raises(LogRotationError) as raised:
            logger.flush()
        assert raised.value.code == ErrorCode.LOG_ROTATION_FAILED
        (tmp_path / "events" / "positions.1.jsonl").rmdir()
        logger.close()
        assert orders_in(tmp_path) == [0, 1]

    def test_ctrl_c_in_a_write_leaves_whole_lines_and_repeats_none(self, tmp_path: Path) -> None:
        interrupts = [False]

        def write(descriptor: int, data: bytes | memoryview) -> int:
            if interrupts[0]:
                os.write(descriptor, data[:400])
                interrupts[0] = False
                raise KeyboardInterrupt
            return os.write(descriptor, data)

        logger = open_logger(tmp_path, write=write)
        logger.log_position_snapshot(snapshot())
        for _ in range(5):
            logger.log_position_snapshot(snapshot())
        interrupts[0] = True
        with pytest.raises(KeyboardInterrupt):
            logger.flush()
        assert torn_tails(tmp_path) == []
        logger.close()
        assert orders_in(tmp_path) == list(range(6))
