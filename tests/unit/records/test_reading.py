"""Reading back: names, directories, rotated parts, torn tails that never raise and damage that always does."""

from pathlib import Path

import pytest

from dataflow.records.log.reading import (
    TornTail,
    event_class_of,
    event_counts,
    event_name,
    events_directory,
    read_events,
    read_models,
    torn_tails,
)
from schemas.errors import ConfigValidationError, LogDirectoryError, LogSerialisationError
from schemas.models.events import EVENT_TYPES, HealthStatusEvent, event_line


def health(order: int) -> HealthStatusEvent:
    return HealthStatusEvent.model_validate(
        {
            "timestamp": "2024-05-12T00:00:00",
            "real_utc_time": "2024-05-12T00:00:00",
            "correlation_id": "run1",
            "pid": 1,
            "order": order,
            "overall_status": "healthy",
            "component_statuses": {},
            "health_score": 1.0,
        }
    )


def write_log(log_dir: Path, content: bytes, name: str = "health_status.jsonl") -> Path:
    path = log_dir / "events" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("event_class", EVENT_TYPES, ids=event_name)
def test_an_event_type_is_known_by_file_stem_file_and_class(event_class: type[HealthStatusEvent]) -> None:
    for name in (event_name(event_class), event_class.file_name, event_class.__name__):
        assert event_class_of(name) is event_class


def test_an_unknown_event_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigValidationError) as raised:
        event_class_of("trades")
    assert raised.value.context == {"event_type": "trades"}


def test_logs_results_and_events_directories_are_all_read(tmp_path: Path) -> None:
    write_log(tmp_path / "run" / "logs", event_line(health(0)))
    for path in (tmp_path / "run", tmp_path / "run" / "logs", tmp_path / "run" / "logs" / "events"):
        assert events_directory(path) == tmp_path / "run" / "logs" / "events"
        assert [record["order"] for record in read_events(path, "health_status")] == [0]


def test_a_directory_without_event_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogDirectoryError) as raised:
        list(read_events(tmp_path, HealthStatusEvent))
    assert raised.value.context == {"path": str(tmp_path)}


def test_rotated_parts_are_read_in_order_and_as_models(tmp_path: Path) -> None:
    write_log(tmp_path, event_line(health(0)))
    for part in (10, 1, 2):
        write_log(tmp_path, event_line(health(part)), f"health_status.{part}.jsonl")
    assert list(read_models(tmp_path, HealthStatusEvent)) == [health(order) for order in (0, 1, 2, 10)]
    assert event_counts(tmp_path) == dict.fromkeys(map(event_name, EVENT_TYPES), 0) | {"health_status": 4}


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(event_line(health(2))[:-1], id="no-line-end"),
        pytest.param(event_line(health(2))[:40], id="half-a-line"),
        pytest.param(b"\0" * 512, id="zero-page"),
        pytest.param(b'{"timestamp":"2024\n', id="half-a-line-with-line-end"),
    ],
)
def test_a_torn_tail_is_skipped_and_reported(tmp_path: Path, tail: bytes) -> None:
    whole = event_line(health(0)) + event_line(health(1))
    path = write_log(tmp_path, whole + tail)
    assert [record["order"] for record in read_events(tmp_path, HealthStatusEvent)] == [0, 1]
    assert event_counts(tmp_path)["health_status"] == 2
    assert torn_tails(tmp_path) == [TornTail(path, len(whole))]


@pytest.mark.parametrize("content", [b"", b"{", b"\n", b"}\n"])
def test_a_file_with_nothing_whole_has_no_events(tmp_path: Path, content: bytes) -> None:
    write_log(tmp_path, content)
    assert list(read_events(tmp_path, HealthStatusEvent)) == []
    assert len(torn_tails(tmp_path)) == (1 if content else 0)


@pytest.mark.parametrize("damaged", [b"{\n", b"[]\n", b"\n"])
def test_damage_before_the_end_is_located(tmp_path: Path, damaged: bytes) -> None:
    path = write_log(tmp_path, event_line(health(0)) + damaged + event_line(health(2)))
    with pytest.raises(LogSerialisationError) as raised:
        list(read_events(tmp_path, HealthStatusEvent))
    assert raised.value.context == {"file": str(path), "line": 2}


def test_a_line_that_the_model_refuses_is_located(tmp_path: Path) -> None:
    path = write_log(tmp_path, event_line(health(0)).replace(b'"health_score":1.0', b'"health_score":2.0'))
    with pytest.raises(LogSerialisationError) as raised:
        list(read_models(tmp_path, HealthStatusEvent))
    assert raised.value.context == {"file": str(path), "line": 1}
