"""Ctrl-C between two windows and never within one: in the middle of a flush it would tear what is on record."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

LetThrough = Callable[[], None]
"""Raises what Ctrl-C raises here, if it came since the last call."""


@contextmanager
def held_interrupts() -> Iterator[LetThrough]:
    """Hold the first SIGINT back until the function given is called, or the block ends; a second one acts at once.

    An error that leaves the block takes precedence over an interrupt that was held.

    Python delivers signals to the main thread only; in another thread, or where SIGINT is ignored, nothing changes.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield lambda: None
        return
    came: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if came:
            let_through()
        came.append((number, frame))

    def let_through() -> None:
        if came:
            usual(*came.pop())

    signal.signal(signal.SIGINT, hold)
    try:
        yield let_through
    finally:
        signal.signal(signal.SIGINT, usual)
    let_through()
