"""The hash chain of an event log: a side file that says what every line of the twelve files was when it was written.

``events.chain``, beside the directory of the event files, holds one compact JSON line for each block of 1,000 lines of
an event file, counted over all parts of that file, with the SHA-256 of the block and the CRC-32 of each of its lines:
the first finds a change, the second its line. The file starts with the digest of the run's metadata and ends with a
seal, which only a log that was closed has. Each line ends with the SHA-256 of the line before's and its own text, so
that the last one, which the manifest of the results repeats, stands for every byte of the log.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias
from zlib import crc32

import numpy as np
import orjson

from dataflow.records.log.append_file import PART_BYTES, AppendFile, Sync, Write, part_paths
from dataflow.records.log.bulk_lines import Counts
from dataflow.records.log.log_directory import METADATA_FILE
from schemas.errors import LogSerialisationError

CHAIN_FILE: Final = "events.chain"
"""Name of the side file, in the log directory of the run."""

BLOCK_LINES: Final = 1_000
"""Lines of an event file under one hash; only the last block that a process wrote has fewer."""

CHAIN_START: Final = hashlib.sha256(b"").hexdigest()
"""The chain value before the first line."""

_MARK: Final = np.dtype(">u4")
_CHAIN_KEY: Final = b',"chain":"'


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of the side file: SHA-256 of ``metadata.json``, of nothing where a log has none."""

    metadata_sha256: str


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of one event file.

    event: stem of the file. first_line: counted from 1 over all parts. first_order, last_order: of its events. marks:
    CRC-32 of each line, its line end included, 8 hexadecimal digits each.
    """

    event: str
    first_line: int
    lines: int
    first_order: int
    last_order: int
    sha256: str
    marks: str

    def line_marks(self) -> list[int]:
        """CRC-32 of each line; empty where the text is none."""
        try:
            return [int(mark) for mark in np.frombuffer(bytes.fromhex(self.marks), _MARK)]
        except ValueError:
            return []


@dataclass(frozen=True, slots=True)
class Seal:
    """The last line of the side file: how many lines each event file has."""

    sealed: dict[str, int]


Link: TypeAlias = Header | Block | Seal
"""What a line of the side file says."""


def digest_of(lines: Iterable[bytes]) -> str:
    """SHA-256 of consecutive lines, their line ends included."""
    return hashlib.sha256(b"".join(lines)).hexdigest()


def metadata_digest(log_dir: Path) -> str:
    """SHA-256 of the metadata of a run, of nothing where it has none."""
    path = log_dir / METADATA_FILE
    return hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()


def linked_line(link: Link, previous: str) -> tuple[bytes, str]:
    """The line of a link after the one whose chain value is ``previous``, and its own chain value.

    >>> line, chain = linked_line(Seal({"positions": 2}), "")
    >>> line == b'{"sealed":{"positions":2},"chain":"' + chain.encode() + b'"}' + bytes([10])
    True
    """
    body = orjson.dumps(link)
    chain = _chain_value(previous, body)
    return body[:-1] + _CHAIN_KEY + chain.encode() + b'"}\n', chain


def parse_line(line: bytes) -> tuple[Link, bytes, str]:
    """What a line of the side file says, its text without the chain value, and that value; ValueError for others."""
    body, key, rest = line.rpartition(_CHAIN_KEY)
    fields = orjson.loads(body + b"}")
    if not key or not rest.endswith(b'"}\n') or not isinstance(fields, dict):
        raise ValueError("no line of a hash chain")
    for kind in (Block, Header, Seal):
        if fields.keys() == set(kind.__slots__):
            return kind(**fields), body + b"}", rest[:-3].decode()
    raise ValueError("no line of a hash chain")


def follows(previous: str, body: bytes, chain: str) -> bool:
    """Whether a line follows the one whose chain value is ``previous``."""
    return _chain_value(previous, body) == chain


def _chain_value(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode() + body).hexdigest()


@dataclass(slots=True)
class _Running:
    """The block of one event file that is not full yet."""

    next_line: int = 1
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    marks: list[int] = field(default_factory=list)
    first_order: int = 0
    last_order: int = 0


class HashChain:
    """Writes the side file of one log, after the lines it speaks of.

    A log that was written before goes on where its chain ended; ``covered`` says how far that is.
    Raises ``LogDirectoryError`` (LOG-003) where the file cannot be opened, ``LogSerialisationError`` (LOG-004) where it
    is damaged; ``append`` and ``seal`` raise as ``AppendFile.append`` does and keep what was not written.
    """

    def __init__(self, log_dir: Path, *, part_bytes: int = PART_BYTES, write: Write, sync: Sync | None = None) -> None:
        path = log_dir / CHAIN_FILE
        self._running: dict[str, _Running] = {}
        self._chain = CHAIN_START
        self._waiting: list[bytes] = []
        self.value: str | None = None
        for link, chain in _links(path):
            self._chain = chain
            if isinstance(link, Block):
                self._running[link.event] = _Running(next_line=link.first_line + link.lines)
        self.file = AppendFile(path, part_bytes=part_bytes, write=write, sync=sync)
        self._log_dir = log_dir

    def covered(self, event: str) -> int:
        """Lines of an event file that the chain has seen."""
        running = self._of(event)
        return running.next_line - 1 + len(running.marks)

    def take(self, event: str, orders: Counts, lines: list[bytes], text: bytes) -> None:
        """Add lines of one event file, in the order of the file; ``text`` is all of them in one piece."""
        view, at, start = memoryview(text), 0, 0
        while start < len(lines):
            running = self._of(event)
            end = min(len(lines), start + BLOCK_LINES - len(running.marks))
            chosen = lines[start:end]
            size = sum(map(len, chosen))
            if not running.marks:
                running.first_order = int(orders[start])
            running.last_order = int(orders[end - 1])
            running.digest.update(view[at : at + size])
            running.marks.extend(map(crc32, chosen))
            if len(running.marks) == BLOCK_LINES:
                self._close(event)
            at, start = at + size, end

    def append(self) -> None:
        """Write the blocks that are full."""
        waiting, self._waiting = b"".join(self._waiting), []
        self.file.append(waiting)

    def seal(self) -> str:
        """Write the last blocks and the seal; return the chain value that stands for the log. Once."""
        if self.value is None:
            for event, running in self._running.items():
                if running.marks:
                    self._close(event)
            self._link(Seal({event: self.covered(event) for event in self._running}))
            self.append()
            self.value = self._chain
        return self.value

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self.file.close()

    def _of(self, event: str) -> _Running:
        return self._running.setdefault(event, _Running())

    def _close(self, event: str) -> None:
        running = self._running[event]
        lines = len(running.marks)
        self._link(
            Block(
                event,
                running.next_line,
                lines,
                running.first_order,
                running.last_order,
                running.digest.hexdigest(),
                np.array(running.marks, dtype=_MARK).tobytes().hex(),
            )
        )
        self._running[event] = _Running(next_line=running.next_line + lines)

    def _link(self, link: Link) -> None:
        if self._chain == CHAIN_START and not isinstance(link, Header):
            self._link(Header(metadata_digest(self._log_dir)))
        line, self._chain = linked_line(link, self._chain)
        self._waiting.append(line)


def _links(path: Path) -> Iterator[tuple[Link, str]]:
    """The whole lines of a side file that is there, and their chain values."""
    for part in part_paths(path):
        with part.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    continue
                try:
                    link, _, chain = parse_line(line)
                except ValueError as error:
                    raise LogSerialisationError(
                        f"{part.name} is damaged at line {number}; log into another directory",
                        file=str(part),
                        line=number,
                    ) from error
                yield link, chain
