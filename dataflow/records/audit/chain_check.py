"""Holding an event log against its hash chain: every line that was changed, lost, added or moved is found and named.

A block whose SHA-256 is right is passed over; of any other the CRC-32 of its lines are aligned with those of the lines
that are there, as a text comparison does, so that what follows a loss is found again. Only a block of a file and the
one after it are in memory at a time.
"""

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import groupby, islice, zip_longest
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from dataflow.records.log.append_file import part_paths
from dataflow.records.log.hash_chain import (
    BLOCK_LINES,
    CHAIN_FILE,
    CHAIN_START,
    Block,
    Header,
    Link,
    Seal,
    digest_of,
    follows,
    metadata_digest,
    parse_line,
)
from dataflow.records.log.log_directory import METADATA_FILE
from dataflow.records.log.log_fault import LogFault
from dataflow.records.log.reading import event_name, order_in, terminated_lines
from schemas.errors import ErrorCode
from schemas.models.events import EVENT_TYPES

_LOOK_AHEAD_LINES: Final = BLOCK_LINES
"""Lines after a block in which its last ones are looked for, when some were added."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What the hash chain says of a log."""

    faults: tuple[LogFault, ...]
    blocks_checked: int
    lines_checked: int
    seal: str | None
    """The value that stands for the log; None where it was not closed."""


@dataclass
class _Chain:
    """The side file of a log as it is found."""

    blocks: dict[str, list[Block]] = field(default_factory=dict)
    metadata_sha256: str | None = None
    sealed: Seal | None = None
    seal: str | None = None
    faults: list[LogFault] = field(default_factory=list)

    def add(self, link: Link, chain: str) -> None:
        self.sealed, self.seal = None, None
        match link:
            case Header():
                self.metadata_sha256 = link.metadata_sha256
            case Block():
                self.blocks.setdefault(link.event, []).append(link)
            case Seal():
                self.sealed, self.seal = link, chain


def check_chain(events_dir: Path, seal: str | None = None) -> ChainReport:
    """Hold the twelve event files below ``events_dir`` against the hash chain beside it.

    seal: what the manifest of the results says that the log's seal is, None where there is no manifest.
    Every fault is LOG-004; a log whose process was stopped has no seal, which is one.
    """
    log_dir = events_dir.parent
    path = log_dir / CHAIN_FILE
    if not part_paths(path):
        return ChainReport((_fault(CHAIN_FILE, None, "there is no hash chain; the log cannot be proven"),), 0, 0, None)
    chain = _read_chain(path)
    faults = list(chain.faults)
    if chain.metadata_sha256 is not None and chain.metadata_sha256 != metadata_digest(log_dir):
        faults.append(_fault(METADATA_FILE, None, "the metadata are not those that the run began with"))
    if chain.seal is None:
        faults.append(_fault(CHAIN_FILE, None, "the log is not sealed: its process was stopped, or its end is lost"))
    elif seal is not None and seal != chain.seal:
        faults.append(_fault(CHAIN_FILE, None, f"the seal is not the one of the manifest, {seal}"))
    lines = 0
    for event_class in EVENT_TYPES:
        event = event_name(event_class)
        files = _EventFiles(events_dir / event_class.file_name)
        faults += files.part_faults()
        sealed_lines = None if chain.sealed is None else chain.sealed.sealed.get(event, 0)
        faults += _check_blocks(files, chain.blocks.get(event, []), sealed_lines)
        lines += files.passed
    return ChainReport(tuple(faults), sum(map(len, chain.blocks.values())), lines, chain.seal)


def _read_chain(path: Path) -> _Chain:
    """Read the side file, link by link; each must follow the one before."""
    chain, previous = _Chain(), CHAIN_START
    for part in part_paths(path):
        number = 0
        for number, line in enumerate(terminated_lines(part), start=1):
            try:
                link, body, value = parse_line(line)
            except (ValueError, TypeError):
                chain.faults.append(_fault(part.name, number, "no line of a hash chain"))
                chain.seal = chain.sealed = None
                continue
            if follows(previous, body, value):
                chain.add(link, value)
            else:
                what = "the hash does not follow from the line before: this line was changed, or those before it moved"
                chain.faults.append(_fault(part.name, number, what))
            previous = value
        if _ends_torn(part):
            chain.faults.append(_fault(part.name, number + 1, "torn: the line has no end"))
    return chain


class _Place(NamedTuple):
    """Where a line stands."""

    file: str
    line: int


class _EventFiles:
    """The lines of one event type over all its parts, with a look ahead; ``passed`` of them were taken."""

    def __init__(self, path: Path) -> None:
        self._path, self.parts = path, part_paths(path)
        self._starts: list[int] = []
        self._read = 0
        self._lines = self._all_lines()
        self._ahead: deque[bytes] = deque()
        self.passed = 0

    def ahead(self, lines: int) -> list[bytes]:
        """The next lines, fewer at the end; none for a number below 1."""
        self._ahead.extend(islice(self._lines, max(lines - len(self._ahead), 0)))
        return list(islice(self._ahead, max(lines, 0)))

    def skip(self, lines: int) -> None:
        """Go on behind so many lines, as far as they are there."""
        for _ in range(len(self.ahead(lines))):
            self._ahead.popleft()
            self.passed += 1

    def place(self, ahead: int) -> _Place:
        """Where a line ahead stands, or would stand at the end of the last part."""
        number = self.passed + ahead
        if not self._starts:
            return _Place(self._path.name, 1)
        part = bisect_right(self._starts, number) - 1
        return _Place(self.parts[part].name, number - self._starts[part] + 1)

    def part_faults(self) -> Iterator[LogFault]:
        """Parts that are not there though a later one is."""
        names = {part.name for part in self.parts}
        if not self.parts:
            yield _fault(self._path.name, None, "the file is missing")
        for number in range(_part_number(self.parts[-1]) if self.parts else 0):
            expected = self._path.name if number == 0 else f"{self._path.stem}.{number}{self._path.suffix}"
            if expected not in names:
                yield _fault(expected, None, "the file is missing, though a later part is there")

    def _all_lines(self) -> Iterator[bytes]:
        for part in self.parts:
            self._starts.append(self._read)
            with part.open("rb") as file:
                for line in file:  # also one whose end is gone
                    self._read += 1
                    yield line


def _check_blocks(files: _EventFiles, blocks: Sequence[Block], sealed_lines: int | None) -> Iterator[LogFault]:
    """Hold the lines of one event type against its blocks; lines of a block that the chain has lost are passed over."""
    expected = 1
    for block, following in zip_longest(blocks, blocks[1:]):
        files.skip(block.first_line - expected)
        expected = block.first_line + block.lines
        lines = files.ahead(block.lines)
        if digest_of(lines) == block.sha256:
            files.skip(len(lines))
        else:
            yield from _located(files, block, following)
    if sealed_lines is not None:
        files.skip(sealed_lines + 1 - expected)
        if left := files.ahead(1):
            yield _fault(*files.place(0), "this line and those after it are not in the sealed log", order_in(left[0]))


def _located(files: _EventFiles, block: Block, following: Block | None) -> Iterator[LogFault]:
    """Name every difference between a block and the lines that are there, and go on behind it."""
    lines = files.ahead(block.lines + _LOOK_AHEAD_LINES)
    written, found = block.line_marks(), list(map(crc32, lines))
    after = following.line_marks() if following is not None else []
    spans, end = _aligned(written, found, lambda start: _end_of_block(lines, found, start, block.last_order, after))
    if _is_as_long(written, found, after):  # perhaps each line is in its place
        in_place = [_Span(range(at, at + 1), range(at, at + 1)) for at in _unequal(written, found)]
        if _size(in_place) <= _size(spans):
            spans, end = in_place, len(written)
    yield from _differences(files, block, lines, _moved(spans, written, found), spans)
    files.skip(end)


class _Span(NamedTuple):
    """Lines of a block, by their place in it, and what stands in their stead, by its place ahead."""

    written: range
    found: range


def _aligned(
    written: Sequence[int], found: Sequence[int], end_of_block: Callable[[int], int]
) -> tuple[list[_Span], int]:
    """The differences of a text comparison, and where the block ends among the lines that were found."""
    codes = SequenceMatcher(None, written, found, autojunk=False).get_opcodes()
    spans = [_Span(range(i, k), range(j, m)) for tag, i, k, j, m in codes if tag != "equal"]
    if codes[-1][0] == "equal":
        return spans, codes[-1][4]
    start = spans[-1].found.start
    end = end_of_block(start)
    spans[-1] = _Span(spans[-1].written, range(start, end))
    return spans, end


def _is_as_long(written: Sequence[int], found: Sequence[int], after: Sequence[int]) -> bool:
    """Whether as many lines are there as were written: the next block begins where it should."""
    left = found[len(written) :]
    if len(found) < len(written) or not (left and after):
        return len(found) == len(written) and not after
    return any(one == other for one, other in zip(left, after, strict=False))


def _unequal(written: Sequence[int], found: Sequence[int]) -> list[int]:
    return [at for at, (one, other) in enumerate(zip(written, found, strict=False)) if one != other]


def _size(spans: Sequence[_Span]) -> int:
    return sum(len(span.written) + len(span.found) for span in spans)


def _end_of_block(
    lines: Sequence[bytes], found: Sequence[int], start: int, last_order: int, following: Sequence[int]
) -> int:
    """The first line ahead, from ``start`` on, that belongs to a later block."""
    later = frozenset(following)
    for at in range(start, len(lines)):
        order = order_in(lines[at])
        if found[at] in later or (order is not None and order > last_order):
            return at
    return len(lines)


def _moved(spans: Sequence[_Span], written: Sequence[int], found: Sequence[int]) -> dict[int, int]:
    """Lines that stand elsewhere: place ahead to place in the block."""
    missing = {written[at]: at for span in spans for at in span.written}
    return {at: missing[found[at]] for span in spans for at in span.found if found[at] in missing}


def _differences(
    files: _EventFiles, block: Block, lines: Sequence[bytes], moved: Mapping[int, int], spans: Sequence[_Span]
) -> Iterator[LogFault]:
    if not spans:
        what = f"lines {block.first_line} to {block.first_line + block.lines - 1} are not what the run wrote"
        yield _fault(*files.place(0), what, block.first_order)
    for at, was in sorted(moved.items()):
        what = f"moved: it was written as line {block.first_line + was} of {block.event}"
        yield _fault(*files.place(at), what, order_in(lines[at]))
    displaced = frozenset(moved.values())
    for span in spans:
        written = [at for at in span.written if at not in displaced]
        found = [at for at in span.found if at not in moved]
        for first, count in _runs(found[: len(written)]):
            what = "changed" if count == 1 else f"changed, with the {count - 1} lines after it"
            yield _fault(*files.place(first), what, order_in(lines[first]))
        for first, count in _runs(found[len(written) :]):
            what = "added" if count == 1 else f"added, with the {count - 1} lines after it"
            yield _fault(*files.place(first), what, order_in(lines[first]))
        for first, count in _runs(written[len(found) :]):
            yield _fault(*files.place(span.found.stop), _lost(block, first, count), _order_of(block, first, count))


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Consecutive numbers as first and count."""
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield members[0], len(members)


def _lost(block: Block, first: int, count: int) -> str:
    number = block.first_line + first
    if count == 1:
        return f"lost here: line {number} of {block.event}"
    return f"lost here: lines {number} to {number + count - 1} of {block.event}"


def _order_of(block: Block, first: int, count: int) -> int | None:
    """The ``order`` of a lost line, where the chain says it: at the ends of a block."""
    if first == 0:
        return block.first_order
    return block.last_order if count == 1 and first == block.lines - 1 else None


def _part_number(part: Path) -> int:
    number = part.stem.rpartition(".")[2]
    return int(number) if number.isdigit() else 0


def _ends_torn(part: Path) -> bool:
    with part.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read(1) not in (b"", b"\n")


def _fault(file: str, line: int | None, what: str, order: int | None = None) -> LogFault:
    return LogFault(file, order, None, what, line, ErrorCode.LOG_SERIALISATION_FAILED)
