"""What happened in a run, for its summary."""

from collections import Counter
from dataclasses import dataclass, field

from schemas.operations import DecisionType


@dataclass
class RunCounts:
    """What happened. Fees >= 0, in the share class, each at the price of its row."""

    windows: int = 0
    decisions: Counter[DecisionType] = field(default_factory=Counter)
    orders: int = 0
    operations_failed: int = 0
    liquidations: int = 0
    fees: float = 0.0
