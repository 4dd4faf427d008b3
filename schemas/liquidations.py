"""What a venue takes on its own: a liquidation as its statement tells it."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import JsonScalar
from schemas.operations import DeltaType, OperationType


@dataclass(frozen=True, slots=True)
class LiquidationStep:
    """One change of balances, (position key, change) pairs in the unit of each key.

    operation: what the liquidator did. price: USDT per base of a trade, else None. fee: amount, >= 0, and currency,
    where the step is a fee.
    """

    delta_type: DeltaType
    operation: OperationType
    deltas: tuple[tuple[str, float], ...]
    price: float | None = None
    fee: tuple[float, str] = (0.0, "")


@dataclass(frozen=True, slots=True)
class Liquidation:
    """All that one venue did to an account at one instant.

    closed: perpetuals that no longer have an entry price. cost_usd: what the account lost by it, > 0, less what the
    venue lost in its place. fees_usd: the part of it that was charged, >= 0. venue_loss_usd: what was owed beyond the
    account's equity and is the venue's loss, >= 0. facts: why it happened, for the event.
    """

    venue: str
    steps: tuple[LiquidationStep, ...]
    closed: tuple[str, ...]
    cost_usd: float
    fees_usd: float
    venue_loss_usd: float
    facts: Mapping[str, JsonScalar]

    def changes(self) -> dict[str, tuple[float, float]]:
        """Position key to the sum of its changes and the sum of their sizes.

        >>> step = LiquidationStep(DeltaType.FEE, OperationType.PERP_TRADE, (("a", -2.0), ("a", 0.5)))
        >>> Liquidation("okx", (step,), (), 1.5, 2.0, 0.0, {}).changes()
        {'a': (-1.5, 2.5)}
        """
        totals: dict[str, tuple[float, float]] = {}
        for step in self.steps:
            for key, change in step.deltas:
                total, size = totals.get(key, (0.0, 0.0))
                totals[key] = total + change, size + abs(change)
        return totals
