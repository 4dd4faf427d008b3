"""A strategy for tests: stake at the first row, unstake half of what is left at rows 3 and 5, through the queue."""

import numpy as np
from hamilton.function_modifiers import tag

from schemas.decisions import HOLD, DecisionRule
from schemas.instruments import LST_VENUES
from schemas.intents import OrderIntent, stake, unstake
from schemas.operations import DecisionType, StrategyIntent
from schemas.units import Column, frozen

ENTRY = DecisionRule(1, "nothing_staked", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
LEAVE = DecisionRule(2, "time_to_leave", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
RULES = (ENTRY, LEAVE)

LEAVING_ROWS = (3.0, 5.0)


@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(row_number: Column) -> Column:
    """Code of the rule of each row, by its number alone."""
    leaves = np.where(np.isin(row_number, LEAVING_ROWS), float(LEAVE.code), HOLD)
    return frozen(np.where(row_number == 0.0, float(ENTRY.code), leaves))


@tag(stage="orders", unit="intent")
def orders(
    decision_rule: DecisionRule, wallet_units: Column, lst_units: Column, lst_tokens: tuple[str, ...]
) -> list[OrderIntent]:
    """Stake nine tenths of the wallet, or put half of the staking token into the queue."""
    lst, intent = lst_tokens[0], decision_rule.intent
    if decision_rule is ENTRY:
        return [stake(lst, LST_VENUES[lst], 0.9 * float(wallet_units[0].sum()), intent)]
    return [unstake(lst, LST_VENUES[lst], 0.5 * float(lst_units[0, 0]), intent)]
