"""The clock of the machine."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final


@dataclass(frozen=True)
class SystemClock:
    """Time as it passes here; never used for what a run decides or records of its market."""

    def now(self) -> datetime:
        """The instant of the machine, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since the machine's start, or some other fixed instant."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; not at all for less than nothing."""
        time.sleep(max(seconds, 0.0))


SYSTEM_CLOCK: Final = SystemClock()
"""There is only one."""
