"""Rules of decision: what a code of the decision column means."""

from dataclasses import dataclass

from schemas.operations import DecisionType, StrategyIntent

HOLD = 0.0
"""Code of the decision column where nothing is to be done."""


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """One reason to act.

    code: value of the decision column, > 0; a name, not a rank. Of rules that apply at one row, the one that its family
    lists first is taken.
    ``is_risk_exit`` starts the re-entry cooldown.
    """

    code: int
    reason: str
    decision_type: DecisionType
    intent: StrategyIntent
    is_risk_exit: bool = False

    def __hash__(self) -> int:
        """By the code alone, which is one's own within a mode: rules are looked up once a window."""
        return self.code

    @property
    def sets_reference(self) -> bool:
        """Whether equity is compared with that after the rule from then on: not after a sale of dust (ruling 14)."""
        return self.intent is not StrategyIntent.SELL_DUST

    @property
    def is_entry(self) -> bool:
        """Whether the rule opens a book from flat."""
        return self.intent is StrategyIntent.ENTRY_FULL
