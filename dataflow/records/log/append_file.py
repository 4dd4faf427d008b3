"""A file of lines that is only ever appended to, in parts of bounded size.

``positions.jsonl`` is the oldest part, ``positions.1.jsonl`` the next, and so on: nothing is renamed, so a reader that
follows a file never loses it, and the number gives the order. A write that fails half way is cut back to the last
whole line; lines that did not reach the disk stay in memory and lead the next attempt.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from schemas.errors import LogDirectoryError, LogRotationError, LogWriteError

Write = Callable[[int, bytes | memoryview], int]
"""``os.write`` or a stand-in for it: takes a descriptor and bytes, returns how many were written."""

Sync = Callable[[int], None]
"""``os.fsync`` or a stand-in for it: takes a descriptor."""

BYTES_PER_MB: Final = 1024 * 1024

PART_BYTES: Final = 100 * BYTES_PER_MB
"""Size at which a part is full (domain section 8: rotation at 100 MB)."""

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def part_path(path: Path, part: int) -> Path:
    """Return the path of one part; part 0 is ``path`` itself.

    >>> part_path(Path("positions.jsonl"), 2).name
    'positions.2.jsonl'
    """
    return path if part == 0 else path.with_name(f"{path.stem}.{part}{path.suffix}")


def part_paths(path: Path) -> list[Path]:
    """Return the existing parts of a file, oldest first."""
    pattern = re.compile(rf"{re.escape(path.stem)}(?:\.([1-9]\d*))?{re.escape(path.suffix)}")
    parts = [
        (int(match[1] or 0), entry)
        for entry in path.parent.glob(f"{path.stem}*{path.suffix}")
        if (match := pattern.fullmatch(entry.name)) is not None
    ]
    return [entry for _, entry in sorted(parts)]


class AppendFile:
    """Whole lines appended to the newest part of ``path``; one instance is one writer.

    A part that ends in a torn line (a killed process) is left as it is, for the reader to report, and a new part is
    begun. With ``sync``, a full part is made durable before the next one is begun, and ``make_durable`` does so with
    the last. Raises ``LogDirectoryError`` (LOG-003) when the file cannot be opened.
    """

    def __init__(
        self, path: Path, *, part_bytes: int = PART_BYTES, write: Write = os.write, sync: Sync | None = None
    ) -> None:
        self.path = path
        self._part_bytes, self._write, self._sync = part_bytes, write, sync
        self._is_durable = True
        self._pending = b""
        self._descriptor = -1
        self._size = 0
        existing = len(part_paths(path))
        self._part = max(existing - 1, 0)
        try:
            self._open_part()
        except OSError as error:
            raise LogDirectoryError(
                f"cannot open the log file: {error.strerror}; choose a writable log directory", path=str(path)
            ) from error

    @property
    def is_closed(self) -> bool:
        """Whether the file takes no more lines."""
        return self._descriptor < 0

    def append(self, lines: bytes) -> None:
        """Append whole lines, after those that an earlier failure kept back.

        One ``write`` where the system allows it. Raises ``LogWriteError`` (LOG-001) when the disk refuses, and
        ``LogRotationError`` (LOG-005) when the next part cannot be opened; the lines then wait for the next call.
        """
        if self.is_closed:
            raise LogWriteError("the log file is closed; log before close()", path=str(self.path))
        self._pending = self._pending + lines if self._pending else lines
        while self._pending:
            room = self._part_bytes - self._size
            if len(self._pending) <= room:
                self._write_whole(self._pending, rest=b"")
                continue
            fitting = self._pending.rfind(b"\n", 0, max(room, 0)) + 1
            if fitting == 0 and self._size > 0:
                self._rotate()
                continue
            end = fitting or self._pending.index(b"\n") + 1  # a line longer than a part has a part of its own
            self._write_whole(self._pending[:end], rest=self._pending[end:])

    def require_in_place(self) -> None:
        """Raise ``LogDirectoryError`` (LOG-003) where the file is no longer found under its name.

        Lines that are written into a file that was removed, or whose directory was, would be lost without an error.
        """
        if self.is_closed:
            return
        path = part_path(self.path, self._part)
        try:
            is_there = os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except OSError:
            is_there = False
        if not is_there:
            raise LogDirectoryError(
                "the log file was removed or replaced while it was written; restore its directory and run again",
                path=str(path),
            )

    def make_durable(self) -> None:
        """Have the lines written so far put onto the disk; raises ``LogWriteError`` (LOG-001) when it refuses."""
        if self._sync is None or self._is_durable or self.is_closed:
            return
        try:
            self._sync(self._descriptor)
        except OSError as error:
            raise LogWriteError(
                f"the log cannot be made durable: {error.strerror}; check the disk, then run again",
                path=str(self.path),
            ) from error
        self._is_durable = True

    def close(self) -> None:
        """Write what is kept back and close; safe to call twice."""
        if self.is_closed:
            return
        try:
            self.append(b"")
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open_part(self) -> None:
        self._descriptor = os.open(part_path(self.path, self._part), _FLAGS, 0o644)
        self._size = os.fstat(self._descriptor).st_size
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            os.close(self._descriptor)
            self._part += 1
            self._open_part()

    def _rotate(self) -> None:
        self.make_durable()
        full, self._part = self._descriptor, self._part + 1
        try:
            self._open_part()
        except OSError as error:
            self._part -= 1
            raise LogRotationError(
                f"cannot open the next part: {error.strerror}; free space or fix the permissions",
                path=str(part_path(self.path, self._part + 1)),
            ) from error
        os.close(full)

    def _write_whole(self, lines: bytes, *, rest: bytes) -> None:
        view, done = memoryview(lines), 0
        try:
            while done < len(lines):
                done += self._write(self._descriptor, view[done:])
        except OSError as error:
            raise LogWriteError(
                f"cannot write the log: {error.strerror}; free space, then run again", path=str(self.path)
            ) from error
        finally:  # also on Ctrl-C: the size on disk says what was written, not our count
            self._settle(lines, rest)

    def _settle(self, lines: bytes, rest: bytes) -> None:
        """Cut a torn line off after a failed write, and keep what did not reach the disk."""
        written = os.fstat(self._descriptor).st_size - self._size
        whole = written if written >= len(lines) else lines.rfind(b"\n", 0, max(written, 0)) + 1
        if whole != written:
            os.ftruncate(self._descriptor, self._size + whole)
        self._size += whole
        self._is_durable = self._is_durable and whole == 0
        self._pending = lines[whole:] + rest
