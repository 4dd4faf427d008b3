"""Long spot, short the same quantity of a perpetual, on every venue: the rules that both basis modes share.

The book earns funding and is neutral to the price. Spot is the perpetual's collateral. [domain] 3.2, rulings 8, 11,
14 to 17.
"""

import numpy as np
from hamilton.function_modifiers import tag

from dataflow.maths.costs import CostModel
from schemas.decisions import HOLD, DecisionRule
from schemas.intents import OrderIntent
from schemas.operations import DecisionType, StrategyIntent
from schemas.trade_rules import TradeRuleBook
from schemas.units import Column, frozen, max_of_columns, sum_columns
from strategies.basis.orders import BasisBook
from strategies.rules import first_that_applies

EXIT_MARGIN = DecisionRule(
    1, "margin_ratio_below_exit", DecisionType.EMERGENCY_EXIT, StrategyIntent.EXIT_FULL, is_risk_exit=True
)
REDUCE_MARGIN = DecisionRule(
    2, "margin_ratio_below_reduce", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL, is_risk_exit=True
)
EXIT_FUNDING = DecisionRule(3, "funding_below_leave_threshold", DecisionType.EXIT, StrategyIntent.EXIT_FULL)
FINISH_EXIT = DecisionRule(4, "exit_left_unfinished", DecisionType.EXIT, StrategyIntent.EXIT_FULL)
REPAY_LOAN = DecisionRule(5, "margin_loan_above_limit", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
ADJUST_DELTA = DecisionRule(6, "net_delta_above_limit", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
WITHDRAWAL = DecisionRule(7, "withdrawal_pending", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
ENTRY = DecisionRule(8, "funding_above_enter_threshold", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
SCALE_UP = DecisionRule(
    9, "equity_above_position_deviation_threshold", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL
)
SCALE_DOWN = DecisionRule(
    10, "equity_below_position_deviation_threshold", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL
)
RULES = (
    ENTRY,  # before FINISH_EXIT: what an exit left over is invested at once
    EXIT_MARGIN,
    REDUCE_MARGIN,
    EXIT_FUNDING,
    FINISH_EXIT,
    REPAY_LOAN,
    ADJUST_DELTA,
    WITHDRAWAL,
    SCALE_UP,
    SCALE_DOWN,
)
"""In order of priority: of those that apply at a row, the first decides."""


@tag(stage="decision", unit="flag")
def is_flat(tradable_spot_units: Column, perp_units: Column) -> Column:
    """1 where no coin that can be sold and no perpetual is held, else 0.

    Shape:  (rows,).

    >>> is_flat(np.array([[0.0], [0.5]]), np.array([[0.0], [-0.5]])).tolist()
    [1.0, 0.0]
    """
    return frozen((sum_columns(tradable_spot_units) + sum_columns(np.abs(perp_units)) == 0.0).astype(np.float64))


@tag(stage="decision", unit="flag")
def exit_is_unfinished(
    is_flat: Column, perp_units: Column, quote_units: Column, cooldown_over: Column, min_trade_usd: float
) -> Column:
    """1 where an exit that met a failed order has left USDT at the exchanges, or coins that may not be hedged again.

    Coins without any perpetual are hedged again where an entry is allowed, and sold where it is not.

    Shape:  (rows,).
    Source: [domain] 3.0, a full exit ends in the wallet; rulings 15 and 29.

    >>> none, usdt = np.zeros((2, 1)), np.array([[50.0], [5.0]])
    >>> exit_is_unfinished(np.ones(2), none, usdt, np.ones(2), 10.0).tolist()
    [1.0, 0.0]
    """
    is_left = (is_flat > 0.0) & (sum_columns(quote_units) > min_trade_usd)
    is_unhedged = (is_flat == 0.0) & (sum_columns(np.abs(perp_units)) == 0.0) & (cooldown_over == 0.0)
    return frozen((is_left | is_unhedged).astype(np.float64))


@tag(stage="decision", unit="usd")
def deployable_idle_usd(deployable_usd: Column, equity_usd: Column, position_deviation_threshold: float) -> Column:
    """The deployable part of the wallet that a rebalance moves: 0 until it passes the rebalance threshold.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 3.0, deposits raise equity and are invested.

    >>> deployable_idle_usd(np.array([1.0, 3.0]), np.array([100.0, 100.0]), 0.02).tolist()
    [0.0, 3.0]
    """
    return frozen(np.where(deployable_usd > position_deviation_threshold * equity_usd, deployable_usd, 0.0))


@tag(stage="decision", unit="fraction")
def venue_share_gap(venue_equity_usd: Column, hedge_allocation: Column) -> Column:
    """Largest distance of a venue's share of the exchanges' equity from its allocation.

    Shape:  (rows,).
    Units:  fraction of one; 0 while nothing is at the exchanges.
    Source: [domain] ruling 14.

    >>> venue_share_gap(np.array([[60.0, 40.0]]), np.array([0.5, 0.5])).round(6).tolist()
    [0.1]
    """
    total = sum_columns(venue_equity_usd)
    has_any = total > 0.0
    share = venue_equity_usd / np.where(has_any, total, 1.0)[:, None]
    return frozen(np.where(has_any, max_of_columns(np.abs(share - hedge_allocation)), 0.0))


@tag(stage="decision", unit="usd")
def scaling_order_usd(
    quote_units: Column,
    deployable_idle_usd: Column,
    equity_deviation: Column,
    spot_value_usd: Column,
) -> Column:
    """Size of the orders that an equity rebalance would send: idle USDT invested, or coins sold in proportion.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] ruling 14.

    >>> scaling_order_usd(np.array([[5.0]]), np.zeros(1), np.array([-0.1]), np.array([[100.0]])).round(6).tolist()
    [10.0]
    """
    invested = sum_columns(np.maximum(quote_units, 0.0)) + deployable_idle_usd
    sold = -equity_deviation * sum_columns(spot_value_usd)
    return frozen(np.where(equity_deviation > 0.0, invested, np.maximum(sold, 0.0)))


@tag(stage="decision", unit="fraction")
def margin_loan_fraction(quote_units: Column, venue_equity_usd: Column) -> Column:
    """Largest margin loan of a venue against its equity.

    Shape:  (rows,).
    Units:  fraction of one; 0 where no USDT balance is negative.
    Source: [domain] ruling 8.

    >>> margin_loan_fraction(np.array([[-2.0, 5.0]]), np.array([[100.0, 100.0]])).tolist()
    [0.02]
    """
    loan = np.maximum(-quote_units, 0.0)
    return max_of_columns(loan / np.where(venue_equity_usd > 0.0, venue_equity_usd, 1.0))


@tag(stage="decision", unit="flag")
def entry_is_due(
    funding_settles: Column,
    funding_known: Column,
    funding_trailing_apr: Column,
    cooldown_over: Column,
    deployable_usd: Column,
    funding_enter_apr: float,
    min_trade_usd: float,
) -> Column:
    """1 where a settlement row shows enough funding to open the book.

    Shape:  (rows,).
    Source: [domain] ruling 15.

    >>> one = np.ones(1)
    >>> entry_is_due(one, one, 0.05 * one, one, 500.0 * one, 0.0, 10.0).tolist()
    [1.0]
    """
    checked = (funding_settles > 0.0) & (funding_known > 0.0) & (cooldown_over > 0.0)
    pays = funding_trailing_apr > funding_enter_apr
    return frozen((checked & pays & (deployable_usd > min_trade_usd)).astype(np.float64))


@tag(stage="decision", unit="flag")
def funding_exit_is_due(
    funding_settles: Column, funding_known: Column, funding_trailing_apr: Column, funding_leave_apr: float
) -> Column:
    """1 where a settlement row shows too little funding to keep the book.

    Shape:  (rows,).
    Source: [domain] ruling 15.

    >>> funding_exit_is_due(np.ones(1), np.ones(1), np.array([-0.05]), 0.0).tolist()
    [1.0]
    """
    checked = (funding_settles > 0.0) & (funding_known > 0.0)
    return frozen((checked & (funding_trailing_apr < funding_leave_apr)).astype(np.float64))


@tag(stage="decision", unit="rule")
def scaling_rule(
    equity_deviation: Column,
    scaling_order_usd: Column,
    deployable_idle_usd: Column,
    position_deviation_threshold: float,
    min_trade_usd: float,
) -> Column:
    """Code of the equity rebalance that is due, 0 for none.

    Shape:  (rows,).
    Source: [domain] 3.0 and ruling 14.

    >>> scaling_rule(np.array([0.03, -0.03, 0.01]), np.full(3, 50.0), np.zeros(3), 0.02, 10.0).tolist()
    [9.0, 10.0, 0.0]
    """
    is_worth_it = scaling_order_usd > min_trade_usd
    grew = (equity_deviation > position_deviation_threshold) | (deployable_idle_usd > 0.0)
    shrank = equity_deviation < -position_deviation_threshold
    chosen = np.where(shrank & is_worth_it, float(SCALE_DOWN.code), HOLD)
    return frozen(np.where(grew & is_worth_it, float(SCALE_UP.code), chosen))


@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(
    is_flat: Column,
    worst_margin_ratio: Column,
    was_liquidated: Column,
    funding_exit_is_due: Column,
    exit_is_unfinished: Column,
    margin_loan_fraction: Column,
    net_delta_fraction: Column,
    entry_is_due: Column,
    scaling_rule: Column,
    is_first_row: Column,
    margin_exit: float,
    margin_reduce: float,
    margin_loan_limit: float,
    net_delta_trade: float,
    withdrawal_pending: float,
    entry_only: bool,
) -> Column:
    """Code of the rule that applies at each row, 0 to hold; of those that apply, the first of ``RULES`` wins.

    Shape:  (rows,).
    Source: [domain] 3.0, rulings 15 to 17 and 33.

    >>> zero, one = np.zeros(1), np.ones(1)
    >>> held = dict(is_flat=zero, funding_exit_is_due=zero, margin_loan_fraction=zero, net_delta_fraction=zero)
    >>> held |= dict(was_liquidated=zero, exit_is_unfinished=zero)
    >>> rest = dict(entry_is_due=zero, scaling_rule=zero, is_first_row=zero, margin_exit=0.2, margin_reduce=0.3)
    >>> limits = dict(margin_loan_limit=0.001, net_delta_trade=0.02, withdrawal_pending=0.0, entry_only=False)
    >>> decision(worst_margin_ratio=0.25 * one, **held, **rest, **limits).tolist()
    [2.0]
    """
    flat = is_flat > 0.0
    if entry_only:
        return frozen(np.where(flat & (is_first_row > 0.0), float(ENTRY.code), HOLD))
    applies = {
        EXIT_MARGIN: ~flat & ((worst_margin_ratio < margin_exit) | (was_liquidated > 0.0)),
        REDUCE_MARGIN: ~flat & (worst_margin_ratio < margin_reduce),
        EXIT_FUNDING: ~flat & (funding_exit_is_due > 0.0),
        FINISH_EXIT: exit_is_unfinished > 0.0,
        REPAY_LOAN: ~flat & (margin_loan_fraction > margin_loan_limit),
        ADJUST_DELTA: ~flat & (net_delta_fraction > net_delta_trade),
        WITHDRAWAL: ~flat & (withdrawal_pending > 0.0),
        ENTRY: flat & (entry_is_due > 0.0),
        SCALE_UP: ~flat & (scaling_rule == SCALE_UP.code),
        SCALE_DOWN: ~flat & (scaling_rule == SCALE_DOWN.code),
    }
    return first_that_applies(RULES, applies)


@tag(stage="orders", unit="intent")
def orders(
    decision_rule: DecisionRule,
    basis_book: BasisBook,
    deployable_usd: Column,
    deployable_idle_usd: Column,
    equity_deviation: Column,
    venue_share_gap: Column,
    venue_share_tolerance: float,
    withdrawal_shortfall_usd: float,
) -> list[OrderIntent]:
    """What the rule asks for, in the order in which it must be done.

    Columns are those of the decision's row alone, shape (1,).
    """
    intent = decision_rule.intent
    if decision_rule is ENTRY:
        return basis_book.enter(max(float(deployable_usd[0]), 0.0))
    if decision_rule in (EXIT_MARGIN, EXIT_FUNDING, FINISH_EXIT):
        return basis_book.leave(intent)
    if decision_rule is REDUCE_MARGIN:
        return basis_book.close_share(0.5, intent)
    if decision_rule is WITHDRAWAL:
        return basis_book.free(withdrawal_shortfall_usd, intent)
    if decision_rule is REPAY_LOAN:
        return basis_book.repay_loans(intent)
    if decision_rule is ADJUST_DELTA:
        return basis_book.hedge_again(intent)
    if decision_rule is SCALE_DOWN:
        return basis_book.close_share(-float(equity_deviation[0]), intent)
    level_venues = bool(venue_share_gap[0] > venue_share_tolerance)
    return basis_book.invest_idle(float(deployable_idle_usd[0]), level_venues=level_venues)


@tag(stage="orders", unit="book")
def basis_book(
    spot_price: Column,
    perp_mark: Column,
    tradable_spot_units: Column,
    perp_units: Column,
    perp_entry_price: Column,
    quote_units: Column,
    venue_equity_usd: Column,
    hedge_allocation: Column,
    venues: tuple[str, ...],
    base_asset: str,
    costs: CostModel,
    trade_rules: TradeRuleBook,
) -> BasisBook:
    """The book at the decision's row, venue by venue, as the order builder sees it.

    Columns are those of the row alone, shape (1, venues); hedge_allocation is (venues,).
    """
    return BasisBook.of_row(
        venues=venues,
        base_asset=base_asset,
        costs=costs,
        trade_rules=trade_rules,
        spot_price=spot_price[0],
        perp_mark=perp_mark[0],
        spot_units=tradable_spot_units[0],
        perp_units=perp_units[0],
        perp_entry_price=perp_entry_price[0],
        quote_units=quote_units[0],
        venue_equity_usd=venue_equity_usd[0],
        hedge_allocation=hedge_allocation,
    )
