"""The one way in which anything that sends orders learns what time it is, and waits."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """An instant of the calendar, which may be set, and seconds that only pass, by which durations are measured."""

    def now(self) -> datetime:
        """The instant, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed instant; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
