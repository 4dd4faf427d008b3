"""Stake ETH and hold the staking token: the rules of the plain staking mode. [domain] 3.2 and ruling 14."""

import numpy as np
from hamilton.function_modifiers import config, tag

from dataflow.maths.costs import CostModel
from schemas.decisions import HOLD, DecisionRule
from schemas.instruments import LST_VENUES
from schemas.intents import OrderIntent, stake, swap, unstake
from schemas.operations import DecisionType, StrategyIntent
from schemas.units import Column, column, frozen, sum_columns
from strategies.dust import DustBook
from strategies.rules import first_that_applies

WITHDRAWAL = DecisionRule(2, "withdrawal_pending", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
ENTRY = DecisionRule(3, "nothing_staked", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
ADD_IDLE = DecisionRule(
    4, "position_deviation_threshold_exceeded", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL
)
SELL_DUST = DecisionRule(1, "dust_above_threshold", DecisionType.SELL_DUST, StrategyIntent.SELL_DUST)
RULES = (SELL_DUST, WITHDRAWAL, ENTRY, ADD_IDLE)
"""In order of priority: of those that apply at a row, the first decides."""


@tag(stage="decision", unit="flag")
def has_staked(lst_units: Column) -> Column:
    """1 where any staking token is held, else 0.

    Shape:  (rows,).

    >>> has_staked(np.array([[0.0], [5.0]])).tolist()
    [0.0, 1.0]
    """
    return frozen((sum_columns(lst_units) > 0.0).astype(np.float64))


@tag(stage="decision", unit="eth")
@config.when(claims=False)
def queued_eth__none(row_is_new: Column) -> Column:
    """0: staked ETH does not leave through a queue.

    Shape:  (rows,).

    >>> queued_eth__none(np.ones(2)).tolist()
    [0.0, 0.0]
    """
    return frozen(np.zeros(len(row_is_new)))


@tag(stage="decision", unit="eth")
@config.when(claims=True)
def queued_eth__claims(claim_units: Column) -> Column:
    """ETH that the withdrawal queue owes.

    Shape:  (rows,).
    Sign:   >= 0.
    Source: [domain] ruling 10.

    >>> queued_eth__claims(np.array([[2.0]])).tolist()
    [2.0]
    """
    return sum_columns(claim_units)


@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(
    deployable_usd: Column,
    has_staked: Column,
    queued_eth: Column,
    idle_is_due: Column,
    dust_is_due: Column,
    is_first_row: Column,
    min_trade_usd: float,
    withdrawal_pending: float,
    entry_only: bool,
) -> Column:
    """Code of the rule that applies at each row, 0 to hold; of those that apply, the first of ``RULES`` wins.

    A withdrawal that waits for the queue asks for nothing more until the queue has paid.

    Shape:  (rows,).
    Source: [domain] 3.0 and 3.2, rulings 14 and 33.

    >>> one = np.ones(1)
    >>> decision(500.0 * one, 0.0 * one, 0.0 * one, 0.0 * one, 0.0 * one, one, 10.0, 0.0, False).tolist()
    [3.0]
    """
    is_flat = has_staked == 0.0
    if entry_only:
        return frozen(np.where(is_flat & (is_first_row > 0.0), float(ENTRY.code), HOLD))
    can_deploy = deployable_usd > min_trade_usd
    applies = {
        SELL_DUST: dust_is_due > 0.0,
        WITHDRAWAL: ~is_flat & (withdrawal_pending > 0.0) & (queued_eth == 0.0),
        ENTRY: is_flat & can_deploy,
        ADD_IDLE: ~is_flat & can_deploy & (idle_is_due > 0.0),
    }
    return first_that_applies(RULES, applies)


@tag(stage="orders", unit="intent")
def orders(
    decision_rule: DecisionRule,
    dust_book: DustBook,
    deployable_usd: Column,
    eth_price: Column,
    lst_units: Column,
    lst_oracle_ratio: Column,
    lst_market_ratio: Column,
    lst_tokens: tuple[str, ...],
    lst: str,
    withdrawal_shortfall_usd: float,
    unstakes_by_queue: bool,
    costs: CostModel,
) -> list[OrderIntent]:
    """What the rule asks for: one stake of what is deployable, one exit of what a withdrawal misses, or dust sold.

    Columns are those of the decision's row alone.

    >>> one, cell, dust = np.ones(1), np.ones((1, 1)), DustBook((), (), (), 4.0, 0.0, CostModel.free())
    >>> rest = (4.0 * one, cell, one, one, ("weETH",), "weETH", 0.0, False, CostModel.free())
    >>> [(i.venue, i.amount) for i in orders(ENTRY, dust, np.array([88.0]), *rest)]
    [('etherfi', 22.0)]
    """
    if decision_rule is SELL_DUST:
        return dust_book.sale(decision_rule.intent)
    intent, price = decision_rule.intent, float(eth_price[0])
    if decision_rule is not WITHDRAWAL:
        return [stake(lst, LST_VENUES[lst], float(deployable_usd[0]) / price, intent)]
    missing, held = withdrawal_shortfall_usd / price, float(column(lst_units, lst_tokens, lst)[0])
    if unstakes_by_queue:
        return [unstake(lst, LST_VENUES[lst], min(missing / float(lst_oracle_ratio[0]), held), intent)]
    slippage = costs.slippage("swap", "uniswap", f"ETH{lst}", held * float(lst_market_ratio[0]) * price)
    return [swap(lst, LST_VENUES[lst], min(missing / (float(lst_market_ratio[0]) * (1.0 - slippage)), held), intent)]
