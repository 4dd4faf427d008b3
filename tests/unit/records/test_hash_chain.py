"""The hash chain: any change of any file of a log is found, and its file and line are named.

A log of 60 lines in small parts and blocks of 7 lines is written once. The laws change one thing in any of its files: a
byte, a line dropped, two lines swapped, a line added. The table after them takes parts and ends away. A log that was
not closed has no seal; one that is gone on with has one chain.
"""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dataflow.records.audit.chain_check
import dataflow.records.log.hash_chain
from dataflow.records import DomainEventLogger, LogDirectoryManager
from dataflow.records.audit.chain_check import check_chain
from dataflow.records.log.hash_chain import CHAIN_FILE
from dataflow.records.log.log_fault import LogFault
from schemas.errors import ErrorCode, LogSerialisationError
from schemas.models.events import DomainEvent, HealthStatusEvent, PositionSnapshot

LINES = 40
"""Position snapshots of the log; every other event of the log is a health check."""
BLOCK = 7
PART_BYTES = 4_000


def event(order: int) -> DomainEvent:
    fields = {
        "timestamp": "2024-05-12T00:00:00",
        "real_utc_time": "2024-05-12T00:00:00",
        "correlation_id": "run1",
        "pid": 1,
        "order": order,
    }
    if order % 3 == 2:
        return HealthStatusEvent.model_validate(
            {**fields, "overall_status": "healthy", "component_statuses": {}, "health_score": 1.0}
        )
    return PositionSnapshot.model_validate(
        {
            **fields,
            "positions": {"wallet:BaseToken:USDT": 1_000.0 + order},
            "total_value_usd": 1_000.0 + order,
            "position_type": "simulated",
        }
    )


def log_events(log_dir: Path, orders: range) -> DomainEventLogger:
    logger = DomainEventLogger(log_dir, "run1", 1, part_bytes=PART_BYTES, next_order=orders.start)
    for order in orders:
        logger.log(event(order))
    logger.flush()
    return logger


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataflow.records.log.hash_chain, "BLOCK_LINES", BLOCK)
        patch.setattr(dataflow.records.audit.chain_check, "_LOOK_AHEAD_LINES", BLOCK)
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, _small_blocks: None) -> Path:
    """A log as it was written, in several parts."""
    base = tmp_path_factory.mktemp("logs")
    log_dir = LogDirectoryManager.create_run_logs("run1", 1, "btc_basis", "btc_basis", 1.0, base)
    log_events(log_dir, range(60)).close()
    assert len(list((log_dir / "events").glob("positions*.jsonl"))) >= 3
    assert check_chain(log_dir / "events").faults == ()
    return log_dir


def files_of(log_dir: Path) -> list[Path]:
    return sorted(
        path.relative_to(log_dir)
        for path in (*(log_dir / "events").iterdir(), log_dir / CHAIN_FILE)
        if path.stat().st_size
    )


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def faults_of(written: Path, file: Path, content: bytes) -> tuple[LogFault, ...]:
    """What is found with another content of one file, which is put back."""
    path, whole = written / file, (written / file).read_bytes()
    path.write_bytes(content)
    try:
        return check_chain(written / "events").faults
    finally:
        path.write_bytes(whole)


def assert_named(faults: tuple[LogFault, ...], file: Path, *lines: int) -> None:
    """Demand a fault at one of the lines of the file, and no code but LOG-004."""
    assert {fault.code for fault in faults} <= {ErrorCode.LOG_SERIALISATION_FAILED}
    assert [fault for fault in faults if fault.file == file.name and fault.line in lines], faults


@given(data=st.data())
def test_a_changed_byte_is_found_in_its_line(written: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(files_of(written)))
    content = bytearray((written / file).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    faults = faults_of(written, file, bytes(content))
    line = content.count(b"\n", 0, at) + 1
    assert_named(faults, file, line)


@given(data=st.data())
def test_a_dropped_line_is_found_where_it_stood(written: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(files_of(written)))
    lines = lines_of(written / file)
    at = data.draw(st.integers(0, len(lines) - 1))
    del lines[at]
    faults = faults_of(written, file, b"".join(lines))
    is_last = at == len(lines)
    if is_last and file.name == CHAIN_FILE:
        assert faults  # what was its last line says no more where it stood
    else:
        places = [(file.name, at + 1), (following_part(file), 1)] if is_last else [(file.name, at + 1)]
        assert {(fault.file, fault.line) for fault in faults}.intersection(places), faults


def following_part(file: Path) -> str:
    """Name of the part after one of a rotated file."""
    stem, _, number = file.stem.partition(".")
    return f"{stem}.{int(number or 0) + 1}.jsonl"


@given(data=st.data())
def test_two_swapped_lines_are_both_found(written: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from([file for file in files_of(written) if len(lines_of(written / file)) > 1]))
    lines = lines_of(written / file)
    first = data.draw(st.integers(0, len(lines) - 2))
    second = data.draw(st.integers(first + 1, len(lines) - 1))
    lines[first], lines[second] = lines[second], lines[first]
    faults = faults_of(written, file, b"".join(lines))
    assert_named(faults, file, first + 1)
    if second > first + 1:  # of two neighbours, one stands in the wrong place
        assert_named(faults, file, second + 1)


@given(data=st.data())
def test_an_added_line_is_found(written: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(files_of(written)))
    lines = lines_of(written / file)
    at = data.draw(st.integers(0, len(lines)))
    copied = data.draw(st.integers(0, len(lines) - 1))
    added = lines[copied].replace(b"0", b"1")
    lines.insert(at, added)
    faults = faults_of(written, file, b"".join(lines))
    assert_named(faults, file, at + 1)


def removed(written: Path, tmp_path: Path, *files: str) -> Path:
    changed = tmp_path / "changed"
    copytree(written, changed)
    for file in files:
        (changed / file).unlink()
    return changed


def test_a_part_that_was_removed_is_named_with_its_lines(written: Path, tmp_path: Path) -> None:
    lines = len(lines_of(written / "events" / "positions.1.jsonl"))
    before = len(lines_of(written / "events" / "positions.jsonl"))
    faults = check_chain(removed(written, tmp_path, "events/positions.1.jsonl") / "events").faults
    assert [fault.file for fault in faults if fault.line is None] == ["positions.1.jsonl"]
    lost = [fault for fault in faults if fault.what.startswith("lost here")]
    assert {(fault.file, fault.line) for fault in lost} <= {("positions.jsonl", before + 1), ("positions.2.jsonl", 1)}
    said = " ".join(fault.what for fault in lost).split()
    assert {str(before + 1), str(before + lines)} <= set(said)


@pytest.mark.parametrize("file", ["positions.2.jsonl", "health_status.jsonl", "tight_loop.jsonl"])
def test_a_file_that_was_removed_from_the_end_is_named(written: Path, tmp_path: Path, file: str) -> None:
    faults = check_chain(removed(written, tmp_path, f"events/{file}") / "events").faults
    event = file.partition(".")[0]
    assert any(fault.file.startswith(event) for fault in faults), faults


def test_metadata_are_under_the_chain(written: Path, tmp_path: Path) -> None:
    changed = removed(written, tmp_path)
    path = changed / "metadata.json"
    path.write_bytes(path.read_bytes().replace(b'"initial_capital": 1.0', b'"initial_capital": 2.0'))
    (fault,) = check_chain(changed / "events").faults
    assert (fault.code, fault.file) == (ErrorCode.LOG_SERIALISATION_FAILED, "metadata.json")


def test_another_seal_than_the_manifests_is_a_fault(written: Path) -> None:
    seal = check_chain(written / "events").seal
    assert seal is not None
    assert check_chain(written / "events", seal).faults == ()
    (fault,) = check_chain(written / "events", "0" * 64).faults
    assert fault.file == CHAIN_FILE


def test_a_log_without_chain_proves_nothing(written: Path, tmp_path: Path) -> None:
    (fault,) = check_chain(removed(written, tmp_path, CHAIN_FILE) / "events").faults
    assert fault.file == CHAIN_FILE


def test_a_log_that_was_not_closed_has_no_seal(tmp_path: Path) -> None:
    log_events(tmp_path, range(60))
    report = check_chain(tmp_path / "events")
    assert [fault.what for fault in report.faults] == [
        "the log is not sealed: its process was stopped, or its end is lost"
    ]
    assert report.seal is None
    assert report.blocks_checked == 40 // BLOCK + 20 // BLOCK


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_log_that_is_gone_on_with_has_one_chain(tmp_path: Path, is_closed: bool) -> None:
    first = log_events(tmp_path, range(30))
    if is_closed:
        first.close()
    second = log_events(tmp_path, range(30, 60))
    second.close()
    report = check_chain(tmp_path / "events", second.seal)
    assert report.faults == ()
    assert report.lines_checked == 60


def test_a_damaged_chain_is_not_gone_on_with(tmp_path: Path) -> None:
    log_events(tmp_path, range(30)).close()
    (tmp_path / CHAIN_FILE).write_bytes(b"{}\n")
    with pytest.raises(LogSerialisationError) as raised:
        log_events(tmp_path, range(30, 60))
    assert raised.value.context == {"file": str(tmp_path / CHAIN_FILE), "line": 1}


def test_what_the_chain_says_does_not_depend_on_flushes(tmp_path: Path) -> None:
    """Blocks are counted in lines, not in what happens to be written together."""
    said = []
    for flush_each in (1, 11, 60):
        log_dir = tmp_path / str(flush_each)
        with DomainEventLogger(log_dir, "run1", 1, part_bytes=PART_BYTES) as logger:
            for order in range(60):
                logger.log(event(order))
                if order % flush_each == 0:
                    logger.flush()
        assert check_chain(log_dir / "events").faults == ()
        said.append(sorted(line.partition(b',"chain":')[0] for line in lines_of(log_dir / CHAIN_FILE)))
    assert said[0] == said[1] == said[2]
