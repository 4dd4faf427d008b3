"""Capital that is paid into or out of a run: one flow as it was written, and what is due at a row."""

from dataclasses import dataclass
from enum import StrEnum


class FlowSpeed(StrEnum):
    """How a withdrawal is served: what is idle at once and the rest when it is free, or in one sum when all is."""

    FAST = "fast"
    SLOW = "slow"


class FlowKind(StrEnum):
    """What happens at a row, in the order in which it does."""

    DEPOSIT = "deposit"
    FAST_WITHDRAWAL = "fast_withdrawal"
    SLOW_WITHDRAWAL = "slow_withdrawal"


@dataclass(frozen=True, slots=True)
class CapitalFlow:
    """One line of a schedule.

    instant_seconds: epoch seconds. amount: share-class units, > 0 is paid in, < 0 paid out.
    """

    instant_seconds: int
    amount: float
    speed: FlowSpeed = FlowSpeed.SLOW

    @property
    def kind(self) -> FlowKind:
        """What it is."""
        if self.amount > 0.0:
            return FlowKind.DEPOSIT
        return FlowKind.FAST_WITHDRAWAL if self.speed is FlowSpeed.FAST else FlowKind.SLOW_WITHDRAWAL


@dataclass(frozen=True, slots=True)
class DueFlow:
    """All flows of one kind at one row. row_seconds: epoch seconds of the row. amount: share-class units, > 0."""

    row_seconds: int
    kind: FlowKind
    amount: float
