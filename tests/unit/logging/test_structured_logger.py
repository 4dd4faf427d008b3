"""Component logs: one JSON object a line with fixed fields, errors never without code and trace, nothing global."""

import errno
import json
import logging
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from dataflow.records import StructuredLogger
from schemas.errors import ErrorCode, LogDirectoryError, LogSerialisationError, LogWriteError, Severity
from schemas.operations import OrderSide

NOW = datetime(2025, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)
FIELDS = [
    "timestamp",
    "real_utc_time",
    "level",
    "component",
    "message",
    "correlation_id",
    "pid",
    "error_code",
    "severity",
    "stack_trace",
    "extras",
]


def open_logger(log_dir: Path, component: str = "PositionMonitor", correlation_id: str = "test123") -> StructuredLogger:
    return StructuredLogger(component, log_dir, correlation_id, 12345, clock=lambda: NOW)


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestRecord:
    """Fields of one line."""

    def test_a_record_has_the_fields_of_the_specification_in_order(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            logger.info("Position updated", timestamp=np.datetime64("2024-05-12T00:00:00", "s"), positions_count=3)

        (record,) = records(tmp_path / "position_monitor.log")
        assert list(record) == FIELDS
        assert record == {
            "timestamp": "2024-05-12T00:00:00",
            "real_utc_time": "2025-01-15T10:30:00.123456",
            "level": "INFO",
            "component": "PositionMonitor",
            "message": "Position updated",
            "correlation_id": "test123",
            "pid": 12345,
            "error_code": None,
            "severity": None,
            "stack_trace": None,
            "extras": {"positions_count": 3},
        }

    def test_extras_come_as_keywords_or_as_a_mapping(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            logger.warning("Position updated", extra={"trigger_source": "execution_manager"})
            logger.warning("Position updated", trigger_source="execution_manager")
        first, second = records(logger.path)
        assert first == second

    def test_no_extra_can_hide_a_field(self, tmp_path: Path) -> None:
        hostile = {"message": "other", "level": "DEBUG", "pid": 0, "event": "x", "extras": 1}
        with open_logger(tmp_path) as logger:
            logger.info("Position updated", extra=hostile)
        (record,) = records(logger.path)
        assert (record["message"], record["level"], record["pid"]) == ("Position updated", "INFO", 12345)
        assert record["extras"] == hostile

    def test_every_level_is_written_and_on_disk_at_once(self, tmp_path: Path) -> None:
        logger = open_logger(tmp_path)
        logger.debug("a")
        logger.info("b")
        logger.warning("100 % of %s", error_code="DATA-004")
        logger.error("d", error_code="EXEC-001")
        logger.critical("e", error_code="EXEC-001")
        written = records(logger.path)
        assert [record["level"] for record in written] == ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
        assert [record["severity"] for record in written] == [None, None, "MEDIUM", "HIGH", "CRITICAL"]
        assert written[2]["message"] == "100 % of %s"
        logger.close()

    @pytest.mark.parametrize(
        ("timestamp", "text"),
        [
            pytest.param("2024-05-12T00:00:00", "2024-05-12T00:00:00", id="text"),
            pytest.param(datetime(2024, 5, 12, tzinfo=UTC), "2024-05-12T00:00:00", id="utc"),
            pytest.param(
                datetime(2024, 5, 12, 2, tzinfo=timezone(timedelta(hours=2))), "2024-05-12T00:00:00", id="another-zone"
            ),
            pytest.param(np.datetime64("2024-05-12T01", "ns"), "2024-05-12T01:00:00", id="numpy"),
            pytest.param(None, "2025-01-15T10:30:00.123456", id="wall-clock-if-absent"),
        ],
    )
    def test_the_timestamp_is_the_engine_clock(
        self, tmp_path: Path, timestamp: str | datetime | np.datetime64 | None, text: str
    ) -> None:
        with open_logger(tmp_path) as logger:
            logger.info("tick", timestamp=timestamp)
        assert records(logger.path)[0]["timestamp"] == text

    def test_an_extra_that_is_no_json_is_refused(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger, pytest.raises(LogSerialisationError):
            logger.info("bad", thing=object())
        assert records(logger.path) == []


class TestErrors:
    """An error carries code, severity and stack, and its event says the same."""

    def test_an_error_carries_the_stack_of_its_exception(self, tmp_path: Path) -> None:
        with open_logger(tmp_path, "ExecutionManager") as manager:
            try:
                OrderSide("SIDEWAYS")
            except ValueError:
                event = manager.error("Order execution failed", error_code="EXEC-001", timestamp="2024-05-12T00:00:00")

        (record,) = records(tmp_path / "execution_manager.log")
        assert (record["error_code"], record["severity"]) == ("EXEC-001", "HIGH")
        assert "SIDEWAYS" in str(record["stack_trace"])
        assert event.error_code == ErrorCode.EXEC_ORDER_FAILED
        assert event.severity == Severity.HIGH
        assert (event.timestamp, event.real_utc_time) == (record["timestamp"], record["real_utc_time"])
        assert (event.error_message, event.component) == (record["message"], record["component"])
        assert event.stack_trace == record["stack_trace"]

    def test_without_an_exception_the_stack_is_that_of_the_call(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            event = logger.error("drift", error_code=ErrorCode.POS_RECONCILIATION_MISMATCH)
        assert 'error("drift"' in event.stack_trace.splitlines()[-1]

    def test_a_given_stack_is_kept(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            event = logger.error("failed", extra={"error_code": "POS-001", "stack_trace": "Traceback ..."})
        assert event.stack_trace == "Traceback ..."
        assert records(logger.path)[0]["extras"] == {}

    @pytest.mark.parametrize("fields", [{}, {"error_code": "NOPE-001"}, {"error_code": None}])
    def test_an_error_without_a_registered_code_is_refused(self, tmp_path: Path, fields: dict[str, object]) -> None:
        with open_logger(tmp_path) as logger, pytest.raises(LogSerialisationError):
            logger.error("failed", **fields)  # type: ignore[arg-type]  # the fault under test

    def test_a_critical_record_is_found_by_the_grep_of_the_guide(self, tmp_path: Path) -> None:
        with open_logger(tmp_path) as logger:
            logger.critical("drift", error_code="POS-005")
        assert '"severity":"CRITICAL"' in logger.path.read_text()


class TestIsolation:
    """Loggers share nothing, with each other or with the process."""

    def test_two_runs_at_once_keep_to_their_files(self, tmp_path: Path) -> None:
        first, second = (
            open_logger(tmp_path / "1", correlation_id="run1"),
            open_logger(tmp_path / "2", "RiskMonitor", "run2"),
        )
        for count in range(3):
            first.info("one", count=count)
            second.info("two", count=count)
        assert {record["correlation_id"] for record in records(first.path)} == {"run1"}
        assert {record["component"] for record in records(second.path)} == {"RiskMonitor"}
        assert len(records(first.path)) == len(records(second.path)) == 3
        first.close()
        second.close()

    def test_no_global_logging_is_configured(self, tmp_path: Path) -> None:
        def state() -> tuple[list[logging.Handler], int, list[str]]:
            root = logging.getLogger()
            return list(root.handlers), root.level, list(root.manager.loggerDict)

        before = state()
        with open_logger(tmp_path) as logger:
            logger.info("quiet")
        assert state() == before

    def test_a_logger_appends_to_what_an_earlier_one_wrote(self, tmp_path: Path) -> None:
        for message in ("first", "second"):
            with open_logger(tmp_path) as logger:
                logger.info(message)
        assert [record["message"] for record in records(logger.path)] == ["first", "second"]


class TestRefusal:
    """Construction and a disk that refuses."""

    @pytest.mark.parametrize(("correlation_id", "pid"), [("", 1), ("a/b", 1), ("abc", 0)])
    def test_construction_without_ids_fails(self, tmp_path: Path, correlation_id: str, pid: int) -> None:
        with pytest.raises(LogDirectoryError):
            StructuredLogger("PositionMonitor", tmp_path, correlation_id, pid)

    def test_construction_without_a_component_fails(self, tmp_path: Path) -> None:
        with pytest.raises(LogDirectoryError):
            StructuredLogger("../etc", tmp_path, "abc", 1)

    def test_an_unwritable_directory_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "logs").write_text("a file where a directory should be")
        with pytest.raises(LogDirectoryError) as raised:
            open_logger(tmp_path / "logs")
        assert raised.value.context["path"] == str(tmp_path / "logs")

    def test_a_full_disk_is_log_001(self, tmp_path: Path) -> None:
        def full(_descriptor: int, _data: bytes | memoryview) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        logger = StructuredLogger("PositionMonitor", tmp_path, "abc", 1, write=full)
        with pytest.raises(LogWriteError):
            logger.info("lost?")
        with pytest.raises(LogWriteError):
            logger.close()
