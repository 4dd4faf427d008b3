"""Time at simulated venues: a row is one instant, whatever is waited for in it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class SimulatedClock:
    """A clock that moves only when somebody waits on it.

    instant: of the row at hand. waited: seconds, of the whole run or partition.
    """

    instant: Callable[[], datetime] = lambda: _EPOCH
    waited: float = 0.0

    def now(self) -> datetime:
        """The instant of the row."""
        return self.instant()

    def monotonic(self) -> float:
        """Seconds waited so far."""
        return self.waited

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.waited += seconds
