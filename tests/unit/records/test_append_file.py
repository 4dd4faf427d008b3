"""Append files: parts in number order, whole lines whatever the disk does, nothing repeated."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.records.log.append_file import AppendFile, part_path, part_paths
from schemas.errors import LogDirectoryError, LogWriteError


def content(path: Path) -> bytes:
    return b"".join(part.read_bytes() for part in part_paths(path))


def test_parts_sort_by_number_and_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "positions.jsonl"
    for part in (10, 2, 1, 0):
        part_path(path, part).touch()
    for other in ("positions.x.jsonl", "positions.01.jsonl", "positions_old.jsonl", "positions.1.jsonl.gz"):
        (tmp_path / other).touch()
    assert part_paths(path) == [part_path(path, part) for part in (0, 1, 2, 10)]


@given(
    batches=st.lists(st.lists(st.binary(min_size=0, max_size=20).map(lambda text: text.replace(b"\n", b" ") + b"\n"))),
    rooms=st.lists(st.integers(0, 60)),
    part_bytes=st.integers(1, 50),
)
def test_any_pattern_of_short_and_failed_writes_keeps_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]], rooms: list[int], part_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "positions.jsonl"
    left = list(rooms)

    def write(descriptor: int, data: bytes | memoryview) -> int:
        if not left:
            return os.write(descriptor, data)
        room = left.pop()
        if room % 3 == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(descriptor, data[:room])

    file = AppendFile(path, part_bytes=part_bytes, write=write)
    for batch in batches:
        try:
            file.append(b"".join(batch))
        except LogWriteError:
            on_disk = content(path)
            assert not on_disk or on_disk.endswith(b"\n")
    left.clear()
    file.close()
    assert content(path) == b"".join(line for batch in batches for line in batch)
    longest = max((len(line) for batch in batches for line in batch), default=0)
    assert all(part.stat().st_size <= max(part_bytes, longest) for part in part_paths(path))


def test_a_new_writer_goes_on_in_the_newest_part(tmp_path: Path) -> None:
    path = tmp_path / "positions.jsonl"
    for line in (b"first\n", b"second\n", b"third\n"):
        file = AppendFile(path, part_bytes=7)
        file.append(line)
        file.close()
    assert content(path) == b"first\nsecond\nthird\n"
    assert len(part_paths(path)) == 3


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogDirectoryError) as raised:
        AppendFile(tmp_path / "missing" / "positions.jsonl")
    assert raised.value.context["path"] == str(tmp_path / "missing" / "positions.jsonl")
