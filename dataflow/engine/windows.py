"""How many rows to look at next: few after an event, twice as many each time nothing happens (ADR 0002, 0021)."""

from dataclasses import dataclass
from typing import Final

FIRST_ROWS: Final = 256
CAP_ROWS: Final = {"plan": 16_384, "hamilton": 65_536}
"""Largest window of each executor: a call of the plan is cheap, one of Hamilton is not."""


@dataclass
class WindowPolicy:
    """Size of the next window; with ``fixed`` it never changes. The size never changes a result, only the speed."""

    cap: int
    fixed: int | None = None
    _rows: int = FIRST_ROWS
    _since_event: int = 0

    @property
    def rows_max(self) -> int:
        """Rows of the largest window."""
        return self.cap if self.fixed is None else self.fixed

    def next_rows(self) -> int:
        """Rows of the next window."""
        return self.fixed if self.fixed is not None else min(self._rows, self.cap)

    def idle(self, rows: int) -> None:
        """Tell the policy that a window of ``rows`` rows held no event."""
        self._since_event += rows
        self._rows = min(self._rows * 2, self.cap)

    def event(self, rows: int) -> None:
        """Tell the policy that an event came after ``rows`` more rows."""
        self._rows = max(FIRST_ROWS, 2 * (self._since_event + rows))
        self._since_event = 0
