"""What an exchange takes as the amount and the price of an order: lots, least sizes, ticks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.operations import OperationType

_ROUNDING: Final = 1e-9
"""Share of an amount by which arithmetic may leave it short of a whole lot."""

_OF_A_LOT: Final = 0.05
"""Share of a lot that rounding may add at most."""


@dataclass(frozen=True, slots=True)
class TradeRules:
    """Rules of one pair of one product at one exchange; 0 is no rule.

    step: lot, base units. amount_min: least amount, base units. notional_min: least value, quote units; closing a
    perpetual is free of it. tick: of prices, quote per base.
    """

    step: float = 0.0
    amount_min: float = 0.0
    notional_min: float = 0.0
    tick: float = 0.0

    def cut(self, amount: float, price: float, *, closes: bool = False) -> float:
        """The largest amount, in lots and not above the one given, that is taken at a price; 0 where none is.

        >>> rules = TradeRules(step=0.001, amount_min=0.001, notional_min=10.0)
        >>> rules.cut(0.0129, 60_000.0), rules.cut(0.0009, 60_000.0), rules.cut(0.0019, 5_000.0)
        (0.012, 0.0, 0.0)
        >>> rules.cut(0.0019, 5_000.0, closes=True), TradeRules().cut(0.0019, 5_000.0)
        (0.001, 0.0019)
        """
        cut = self.of_lots(self.lots(amount)) if self.step > 0.0 else amount
        is_worth_it = closes or cut * price >= self.notional_min
        return cut if cut >= self.amount_min and is_worth_it else 0.0

    def lots(self, amount: float) -> int:
        """Whole lots in an amount; there must be lots."""
        lots = amount / self.step
        return math.floor(lots + min(_ROUNDING * lots, _OF_A_LOT))

    def of_lots(self, lots: int) -> float:
        """Amount of so many lots, as it is written.

        >>> TradeRules(step=0.1).of_lots(3)
        0.3
        """
        return round(lots * self.step, _decimals(self.step))

    def at_tick(self, price: float) -> float:
        """The nearest price on a tick.

        >>> TradeRules(tick=0.5).at_tick(100.3), TradeRules().at_tick(100.3)
        (100.5, 100.3)
        """
        return round(round(price / self.tick) * self.tick, _decimals(self.tick)) if self.tick > 0.0 else price


NO_RULES: Final = TradeRules()
"""Any amount at any price."""


@dataclass(frozen=True, slots=True)
class TradeRuleBook:
    """Rules by operation, venue and pair; what is not listed has none."""

    rules: Mapping[tuple[OperationType, str, str], TradeRules] = field(default_factory=dict)

    def of(self, operation: OperationType, venue: str, pair: str | None) -> TradeRules:
        """The rules of a trade; none for anything else."""
        return NO_RULES if pair is None else self.rules.get((operation, venue, pair), NO_RULES)


def _decimals(step: float) -> int:
    """Decimal places that write a step exactly.

    >>> _decimals(0.00001), _decimals(0.25), _decimals(5.0)
    (5, 2, 1)
    """
    text = f"{step:.12f}".rstrip("0")
    return max(len(text.partition(".")[2]), 1)
