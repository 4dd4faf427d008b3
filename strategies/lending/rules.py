"""Supply one token to Aave and leave it there: the rules that both lending modes share.

Full entry when nothing is supplied; idle balances are added when they, or the change of equity, pass the rebalance
threshold; everything is withdrawn if a debt ever endangers the collateral. [domain] 3.2 and ruling 14.
"""

import numpy as np
from hamilton.function_modifiers import tag

from schemas.decisions import HOLD, DecisionRule
from schemas.intents import OrderIntent, supply, withdraw
from schemas.operations import DecisionType, StrategyIntent
from schemas.units import Column, column, frozen
from strategies.rules import first_that_applies

EXIT_HEALTH = DecisionRule(
    1, "health_factor_below_minimum", DecisionType.EMERGENCY_EXIT, StrategyIntent.EXIT_FULL, is_risk_exit=True
)
WITHDRAWAL = DecisionRule(2, "withdrawal_pending", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
ENTRY = DecisionRule(3, "nothing_supplied", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
ADD_IDLE = DecisionRule(
    4, "position_deviation_threshold_exceeded", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL
)
RULES = (EXIT_HEALTH, WITHDRAWAL, ENTRY, ADD_IDLE)
"""In order of priority: of those that apply at a row, the first decides."""


@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(
    deployable_usd: Column,
    has_supplied: Column,
    idle_is_due: Column,
    health_factor: Column,
    is_first_row: Column,
    health_factor_min: float,
    min_trade_usd: float,
    withdrawal_pending: float,
    entry_only: bool,
) -> Column:
    """Code of the rule that applies at each row, 0 to hold; of those that apply, the first of ``RULES`` wins.

    Shape:  (rows,).
    Source: [domain] 3.0 and 3.2, rulings 14 and 33.

    >>> one = np.ones(1)
    >>> decision(500.0 * one, 0.0 * one, 0.0 * one, 999.0 * one, one, 1.5, 10.0, 0.0, False).tolist()
    [3.0]
    """
    is_flat = has_supplied == 0.0
    if entry_only:
        return frozen(np.where(is_flat & (is_first_row > 0.0), float(ENTRY.code), HOLD))
    can_deploy = deployable_usd > min_trade_usd
    applies = {
        EXIT_HEALTH: ~is_flat & (health_factor < health_factor_min),
        WITHDRAWAL: ~is_flat & (withdrawal_pending > 0.0),
        ENTRY: is_flat & can_deploy,
        ADD_IDLE: ~is_flat & can_deploy & (idle_is_due > 0.0),
    }
    return first_that_applies(RULES, applies)


@tag(stage="orders", unit="intent")
def orders(
    decision_rule: DecisionRule,
    deployable_usd: Column,
    a_token_units: Column,
    liquidity_index: Column,
    supplied_price_usd: Column,
    supplied_tokens: tuple[str, ...],
    supplied_token: str,
    withdrawal_shortfall_usd: float,
) -> list[OrderIntent]:
    """What the rule asks for: one supply of what is deployable, or one withdrawal, of all or of what is missing.

    Columns are those of the decision's row alone: deployable_usd (1,), the others (1, 1).

    >>> cell = np.ones((1, 1))
    >>> found = orders(ENTRY, np.array([88.0]), 0.0 * cell, cell, cell, ("USDT",), "USDT", 0.0)
    >>> [(intent.operation.value, intent.amount) for intent in found]
    [('supply', 88.0)]
    """
    token, price = supplied_token, float(column(supplied_price_usd, supplied_tokens, supplied_token)[0])
    held = float(column(a_token_units * liquidity_index, supplied_tokens, token)[0])
    missing = withdrawal_shortfall_usd / price
    if decision_rule is EXIT_HEALTH or (decision_rule is WITHDRAWAL and missing >= held):
        return [withdraw(token, held, decision_rule.intent, closes_all=True)]
    if decision_rule is WITHDRAWAL:
        return [withdraw(token, missing, decision_rule.intent)]
    return [supply(token, float(deployable_usd[0]) / price, decision_rule.intent)]
