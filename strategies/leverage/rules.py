"""Stake ETH with flash-loan leverage: collateral is the staking token, debt is WETH. [domain] 3.2, 4.7, rulings 19, 20.

Every change of leverage is one atomic group: borrow for a moment, stake, supply, borrow for good, give back; or the
other way round. Either all of it happens or none.
"""

import numpy as np
from hamilton.function_modifiers import config, tag

from dataflow.maths.costs import CostModel
from dataflow.maths.leverage import LoopTerms
from schemas.decisions import HOLD, DecisionRule
from schemas.intents import OrderIntent
from schemas.operations import DecisionType, StrategyIntent
from schemas.units import Column, column, frozen, sum_columns
from strategies.dust import DustBook
from strategies.leverage.orders import LeverageBook
from strategies.rules import first_that_applies

EXIT_LTV = DecisionRule(
    1, "ltv_above_liquidation_threshold", DecisionType.EMERGENCY_EXIT, StrategyIntent.EXIT_FULL, is_risk_exit=True
)
REDUCE_HEALTH = DecisionRule(
    2, "health_factor_below_minimum", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL, is_risk_exit=True
)
REDUCE_LTV = DecisionRule(3, "ltv_above_target", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
WITHDRAWAL = DecisionRule(5, "withdrawal_pending", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
ENTRY = DecisionRule(6, "nothing_supplied", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
INCREASE_LTV = DecisionRule(7, "ltv_below_target", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL)
ADD_IDLE = DecisionRule(
    8, "position_deviation_threshold_exceeded", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL
)
SELL_DUST = DecisionRule(4, "dust_above_threshold", DecisionType.SELL_DUST, StrategyIntent.SELL_DUST)
RULES = (EXIT_LTV, REDUCE_HEALTH, REDUCE_LTV, SELL_DUST, WITHDRAWAL, ENTRY, INCREASE_LTV, ADD_IDLE)
"""In order of priority: of those that apply at a row, the first decides."""


@tag(stage="decision", unit="eth")
def staked_eth(a_token_units: Column, liquidity_index: Column, supplied_ratio: Column) -> Column:
    """ETH in the collateral, at the oracle ratio.

    Shape:  (rows,).
    Units:  ETH.
    Sign:   >= 0.

    >>> staked_eth(np.array([[100.0]]), np.array([[1.0]]), np.array([[1.05]])).tolist()
    [105.0]
    """
    return sum_columns(a_token_units * liquidity_index * supplied_ratio)


@tag(stage="decision", unit="fraction")
@config.when(loop=False)
def ltv_gap__flash(ltv: Column, has_supplied: Column, target_ltv: float) -> Column:
    """Loan-to-value less its target while anything is supplied, else 0.

    Shape:  (rows,).
    Units:  fraction of one.
    Sign:   > 0 where too much is borrowed.
    Source: [domain] ruling 19, an absolute distance.

    >>> ltv_gap__flash(np.array([0.68]), np.ones(1), 0.65).round(6).tolist()
    [0.03]
    """
    return frozen(np.where(has_supplied > 0.0, ltv - target_ltv, 0.0))


@tag(stage="decision", unit="fraction")
@config.when(loop=True)
def ltv_gap__loop(
    ltv: Column, has_supplied: Column, supplied_value_usd: Column, target_ltv: float, leverage_loop: LoopTerms
) -> Column:
    """Loan-to-value less its target while anything is supplied, else 0; 0 too where the loop would stop at once.

    Shape:  (rows,).
    Units:  fraction of one.
    Sign:   > 0 where too much is borrowed.
    Source: [domain] 3.2 and ruling 19; a loan below the loop's stop is not taken.

    >>> ltv, one, worth = np.array([0.6, 0.5]), np.ones(2), np.array([[100.0], [100.0]])
    >>> ltv_gap__loop(ltv, one, worth, 0.65, LoopTerms(10.0, 0.93)).round(6).tolist()
    [0.0, -0.15]
    """
    gap = np.where(has_supplied > 0.0, ltv - target_ltv, 0.0)
    is_too_little = (gap < 0.0) & (-gap * sum_columns(supplied_value_usd) < leverage_loop.stop_usd)
    return frozen(np.where(is_too_little, 0.0, gap))


@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(
    deployable_usd: Column,
    has_supplied: Column,
    idle_is_due: Column,
    dust_is_due: Column,
    health_factor: Column,
    ltv: Column,
    ltv_gap: Column,
    cooldown_over: Column,
    entry_survives: Column,
    is_first_row: Column,
    health_factor_min: float,
    ltv_max: float,
    ltv_drift_tolerance: float,
    min_trade_usd: float,
    withdrawal_pending: float,
    entry_only: bool,
) -> Column:
    """Code of the rule that applies at each row, 0 to hold; of those that apply, the first of ``RULES`` wins.

    Shape:  (rows,).
    Source: [domain] 3.0 and 3.2, rulings 14, 15 (the cooldown after a risk exit), 19 and 33.

    >>> one, zero = np.ones(1), np.zeros(1)
    >>> at_risk, limits = (1.05 * one, 0.9 * one, 0.25 * one, one, one, zero), (1.1, 0.95, 0.02, 10.0, 0.0, False)
    >>> decision(zero, one, zero, zero, *at_risk, *limits).tolist()
    [2.0]
    """
    is_flat = has_supplied == 0.0
    if entry_only:
        return frozen(np.where(is_flat & (is_first_row > 0.0), float(ENTRY.code), HOLD))
    can_deploy, may_lever = deployable_usd > min_trade_usd, (cooldown_over > 0.0) & (entry_survives > 0.0)
    applies = {
        EXIT_LTV: ~is_flat & (ltv > ltv_max),
        REDUCE_HEALTH: ~is_flat & (health_factor < health_factor_min),
        REDUCE_LTV: ltv_gap > ltv_drift_tolerance,
        SELL_DUST: dust_is_due > 0.0,
        WITHDRAWAL: ~is_flat & (withdrawal_pending > 0.0),
        ENTRY: is_flat & can_deploy & may_lever,
        INCREASE_LTV: (ltv_gap < -ltv_drift_tolerance) & may_lever,
        ADD_IDLE: ~is_flat & can_deploy & may_lever & (idle_is_due > 0.0),
    }
    return first_that_applies(RULES, applies)


@tag(stage="orders", unit="book")
def leverage_book(
    a_token_units: Column,
    liquidity_index: Column,
    debt_units: Column,
    variable_borrow_index: Column,
    lst_oracle_ratio: Column,
    lst_market_ratio: Column,
    eth_price: Column,
    gas_unit_usd: Column,
    supplied_tokens: tuple[str, ...],
    supplied_token: str,
    borrowed_tokens: tuple[str, ...],
    borrowed_token: str,
    target_ltv: float,
    leverage_loop: LoopTerms | None,
    costs: CostModel,
) -> LeverageBook:
    """The position at the decision's row, as the order builder sees it. Columns are those of the row alone."""
    collateral = column(a_token_units * liquidity_index, supplied_tokens, supplied_token)
    debt = column(debt_units * variable_borrow_index, borrowed_tokens, borrowed_token)
    return LeverageBook(
        lst=supplied_token,
        collateral_lst=float(collateral[0]),
        debt_eth=float(debt[0]),
        oracle_ratio=float(lst_oracle_ratio[0]),
        market_ratio=float(lst_market_ratio[0]),
        eth_price=float(eth_price[0]),
        gas_unit_usd=float(gas_unit_usd[0]),
        target_ltv=target_ltv,
        loop=leverage_loop,
        costs=costs,
    )


@tag(stage="orders", unit="intent")
def orders(
    decision_rule: DecisionRule,
    leverage_book: LeverageBook,
    dust_book: DustBook,
    deployable_usd: Column,
    eth_price: Column,
    withdrawal_shortfall_usd: float,
) -> list[OrderIntent]:
    """What the rule asks for, a change of leverage as one atomic group. Columns are those of the row alone, (1,)."""
    intent = decision_rule.intent
    if decision_rule is SELL_DUST:
        return dust_book.sale(intent)
    if decision_rule is EXIT_LTV:
        return leverage_book.leave(intent)
    if decision_rule in (REDUCE_HEALTH, REDUCE_LTV):
        return leverage_book.reduce(intent)
    if decision_rule is WITHDRAWAL:
        return leverage_book.free(withdrawal_shortfall_usd / float(eth_price[0]), intent)
    if decision_rule is INCREASE_LTV:
        return leverage_book.increase(intent)
    return leverage_book.enter(float(deployable_usd[0] / eth_price[0]), intent)
