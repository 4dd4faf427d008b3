"""One short run that dies at every step on its way to the disk; a program of its own.

    python -m tests.crash.crashing MODE DATA PLACE

A step is a write of a log, or the opening for writing, making, linking, renaming or removal of an entry below PLACE.
Before each step the process forks and the child ends with ``os._exit``: no handler, no flush, no unlock runs. At a
write a second child ends after half of the bytes. The parent copies what the dead process left to
``PLACE/crashes/NNNN``, takes the half write back, and goes on, so that one run gives every crash. What it leaves
itself, ``PLACE/run``, is the whole run to compare with; ``PLACE/crashes.json`` names the steps.

Frames are not validated here: they cost nine tenths of the time and write nothing.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import dataflow.engine.checked_columns
import dataflow.engine.chunk
from dataflow.services.backtest import BacktestRequest, run_backtest

WINDOW_ROWS: Final = 12
"""Rows between two flushes of the log; the first row, with its decision, is flushed alone."""
START, END = "2024-01-10", "2024-01-11T12:00"

_STEPS: Final = ("open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate")
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_KILLED: Final = 137


class Killer:
    """Lets a child die at each step and keeps what it left."""

    def __init__(self, place: Path) -> None:
        self._run, self._crashes = place / "run", place / "crashes"
        self._is_watching = False
        self.steps: list[dict[str, str]] = []

    def watch(self) -> None:
        """See every step from now on."""
        self._is_watching = True
        sys.addaudithook(self._audited)

    def leave(self) -> None:
        """See no more steps, and name those seen."""
        self._is_watching = False
        (self._crashes.parent / "crashes.json").write_text(json.dumps(self.steps))

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Die before a write, die in the middle of it, then write."""
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        self._die("before write", path, lambda: None)
        size = os.fstat(descriptor).st_size
        self._die("in write", path, lambda: os.write(descriptor, data[: len(data) // 2]))
        os.ftruncate(descriptor, size)
        return os.write(descriptor, data)

    def _audited(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_watching or event not in _STEPS:
            return
        path, flags = arguments[0], arguments[2] if event == "open" else _WRITING
        is_change = isinstance(flags, int) and bool(flags & _WRITING)
        if is_change and isinstance(path, str | Path) and Path(path).is_relative_to(self._run):
            self._die(f"before {event}", str(path), lambda: None)

    def _die(self, kind: str, path: str, last_act: Callable[[], object]) -> None:
        self._is_watching = False
        child = os.fork()
        if child == 0:
            last_act()
            os._exit(_KILLED)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == _KILLED
        shutil.copytree(self._run, self._crashes / f"{len(self.steps):04}")
        self.steps.append({"kind": kind, "path": str(Path(path).relative_to(self._run))})
        self._is_watching = True


def main(mode: str, data: str, place: Path) -> None:
    """Run a mode below ``place`` and let it die at every step."""
    dataflow.engine.chunk.CHUNK_ROWS = 1
    for check in ("validate_stage", "validate_operations"):
        setattr(dataflow.engine.checked_columns, check, lambda *_: None)
    run = place / "run"
    run.mkdir(parents=True)
    request = BacktestRequest(
        mode=mode, data=data, start=START, end=END, window=WINDOW_ROWS, logs=run / "logs", results=run / "results"
    )
    killer = Killer(place)
    killer.watch()
    run_backtest(request, write=killer.write)
    killer.leave()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).resolve())
