"""Follow a prediction with BTC perpetuals, with a stop and a target: the rules that both ML modes share.

A row knows the candles that closed before it and its own open. In this order: stop and target of the candle that has
just closed, stop first; funding on what they left; the signal. [domain] 3.2, rulings 17, 26 and 27.
"""

import numpy as np
from hamilton.function_modifiers import tag

from dataflow.maths.costs import CostModel
from schemas.decisions import HOLD, DecisionRule
from schemas.intents import OrderIntent
from schemas.operations import DecisionType, StrategyIntent
from schemas.signals import HOLD_SIGNAL, LONG, NEUTRAL, SHORT
from schemas.units import Column, frozen, sum_columns
from strategies.ml.orders import DirectionalBook, DirectionalVenue
from strategies.rules import first_that_applies

STOP_THEN_ENTRY = DecisionRule(1, "stop_loss_then_signal", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
TARGET_THEN_ENTRY = DecisionRule(2, "take_profit_then_signal", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
STOP_LOSS = DecisionRule(3, "stop_loss", DecisionType.EXIT, StrategyIntent.EXIT_FULL)
TAKE_PROFIT = DecisionRule(4, "take_profit", DecisionType.EXIT, StrategyIntent.EXIT_FULL)
EXIT_MARGIN = DecisionRule(
    5, "margin_ratio_below_exit", DecisionType.EMERGENCY_EXIT, StrategyIntent.EXIT_FULL, is_risk_exit=True
)
REDUCE_MARGIN = DecisionRule(6, "margin_ratio_below_reduce", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
WITHDRAWAL = DecisionRule(7, "withdrawal_pending", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
REVERSE = DecisionRule(8, "opposite_signal", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
EXIT_NEUTRAL = DecisionRule(9, "neutral_signal", DecisionType.EXIT, StrategyIntent.EXIT_FULL)
ENTRY = DecisionRule(10, "signal", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
RULES = (
    STOP_THEN_ENTRY,
    TARGET_THEN_ENTRY,
    STOP_LOSS,
    TAKE_PROFIT,
    EXIT_MARGIN,
    REDUCE_MARGIN,
    WITHDRAWAL,
    REVERSE,
    EXIT_NEUTRAL,
    ENTRY,
)
"""In order of priority: of those that apply at a row, the first decides."""


@tag(stage="positions", unit="fraction")
def held_sd(entry_sd: float, row_is_new: Column) -> Column:
    """Deviation that was predicted at the last entry before the row, which fixes stop and target.

    Shape:  (rows,); constant inside a window, since nothing is entered there.
    Units:  fraction of the entry price.

    >>> held_sd(0.02, np.ones(2)).tolist()
    [0.02, 0.02]
    """
    return frozen(np.full(len(row_is_new), entry_sd))


@tag(stage="positions", unit="flag", axis="venues")
def stop_touched(
    perp_units: Column,
    perp_entry_price: Column,
    candle_high: Column,
    candle_low: Column,
    held_sd: Column,
    stop_loss_sd: float,
    candle_is_new: Column,
    entry_only: bool,
) -> Column:
    """1 where the candle that has just closed touched the stop of the position, which is anchored at its entry.

        stop = entry x (1 -+ stop_loss_sd x deviation predicted at the entry)

    Shape:  (rows, venues).
    Source: [domain] ruling 26; a position opened at the row has no candle behind it yet.

    >>> cell, one = np.ones((1, 1)), np.ones(1)
    >>> stop_touched(cell, 100.0 * cell, 101.0 * cell, 97.0 * cell, 0.01 * one, 2.0, one, False).tolist()
    [[1.0]]
    """
    level = perp_entry_price * (1.0 - np.sign(perp_units) * (stop_loss_sd * held_sd[:, None]))
    touched = ((perp_units > 0.0) & (candle_low <= level)) | ((perp_units < 0.0) & (candle_high >= level))
    return frozen(touched * candle_is_new[:, None] * (0.0 if entry_only else 1.0))


@tag(stage="positions", unit="flag", axis="venues")
def target_touched(
    perp_units: Column,
    perp_entry_price: Column,
    candle_high: Column,
    candle_low: Column,
    stop_touched: Column,
    held_sd: Column,
    take_profit_sd: float,
    candle_is_new: Column,
    entry_only: bool,
) -> Column:
    """1 where the candle that has just closed touched the target of the position, and not its stop.

        target = entry x (1 +- take_profit_sd x deviation predicted at the entry)

    Shape:  (rows, venues).
    Source: [domain] ruling 26, stop first.

    >>> cell, one = np.ones((1, 1)), np.ones(1)
    >>> target_touched(-cell, 100.0 * cell, 101.0 * cell, 97.0 * cell, 0.0 * cell, 0.01 * one, 2.0, one, False).tolist()
    [[1.0]]
    """
    level = perp_entry_price * (1.0 + np.sign(perp_units) * (take_profit_sd * held_sd[:, None]))
    touched = ((perp_units > 0.0) & (candle_high >= level)) | ((perp_units < 0.0) & (candle_low <= level))
    counts = candle_is_new[:, None] * (0.0 if entry_only else 1.0)
    return frozen(touched * (1.0 - stop_touched) * counts)


@tag(stage="positions", unit="flag", axis="venues")
def level_touched(stop_touched: Column, target_touched: Column) -> Column:
    """1 where the position was closed inside the candle that has just closed.

    Shape:  (rows, venues).

    >>> level_touched(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]])).tolist()
    [[1.0, 0.0]]
    """
    return frozen(np.maximum(stop_touched, target_touched))


@tag(stage="decision", unit="fraction", carry_on_entry="entry_sd")
def band_sd(predicted_sd: Column, sd_floor: float, sd_cap: float) -> Column:
    """Predicted standard deviation between its floor and its cap; an entry fixes its levels with it.

    Shape:  (rows,).
    Units:  fraction of the price.
    Source: [domain] 3.2.

    >>> band_sd(np.array([0.0, 0.02, 0.5]), 0.001, 0.1).tolist()
    [0.001, 0.02, 0.1]
    """
    return frozen(np.clip(predicted_sd, sd_floor, sd_cap))


@tag(stage="decision", unit="signal")
def target_direction(signal: Column, confidence: Column, signal_threshold: float, entry_only: bool) -> Column:
    """Direction that the prediction asks for: 1, -1, 0 to be flat, 2 to keep what is held.

    A confidence at or below the threshold keeps. Where every entry is due (``frictionless``) the word alone counts,
    and one without a direction is long.

    Shape:  (rows,).
    Source: [domain] rulings 26 and 33.

    >>> target_direction(np.array([1.0, -1.0]), np.array([0.7, 0.8]), 0.7, False).tolist()
    [2.0, -1.0]
    """
    if entry_only:
        return frozen(np.where(signal == SHORT, SHORT, LONG))
    return frozen(np.where(confidence > signal_threshold, signal, HOLD_SIGNAL))


@tag(stage="decision", unit="sign")
def kept_direction(perp_units: Column, level_touched: Column) -> Column:
    """Direction of what stop and target left: 1 long, -1 short, 0 flat.

    Shape:  (rows,).

    >>> kept_direction(np.array([[-1.0, -2.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])).tolist()
    [-1.0, 0.0]
    """
    return frozen(np.sign(sum_columns(perp_units * (1.0 - level_touched))) + 0.0)


@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(
    stop_touched: Column,
    target_touched: Column,
    target_direction: Column,
    kept_direction: Column,
    worst_margin_ratio: Column,
    was_liquidated: Column,
    equity_usd: Column,
    cooldown_over: Column,
    is_first_row: Column,
    margin_exit: float,
    margin_reduce: float,
    min_trade_usd: float,
    withdrawal_pending: float,
    entry_only: bool,
) -> Column:
    """Code of the rule that applies at each row, 0 to hold; of those that apply, the first of ``RULES`` wins.

    Shape:  (rows,).
    Source: [domain] 3.2, rulings 17, 26 and 33.

    >>> cell, zero, one = np.zeros((1, 1)), np.zeros(1), np.ones(1)
    >>> facts = dict(stop_touched=cell, target_touched=cell, target_direction=-one, worst_margin_ratio=one)
    >>> facts |= dict(was_liquidated=zero)
    >>> rest = dict(equity_usd=100.0 * one, cooldown_over=one, is_first_row=zero, margin_exit=0.2, margin_reduce=0.3)
    >>> rest |= dict(kept_direction=one, min_trade_usd=10.0, withdrawal_pending=0.0, entry_only=False)
    >>> decision(**facts, **rest).tolist()
    [8.0]
    """
    flat = kept_direction == 0.0
    if entry_only:
        return frozen(np.where(flat & (is_first_row > 0.0), float(ENTRY.code), HOLD))
    has_direction = (target_direction == LONG) | (target_direction == SHORT)
    can_enter = (cooldown_over > 0.0) & (equity_usd > min_trade_usd)
    enters = has_direction & (target_direction != kept_direction) & can_enter
    stopped, taken = sum_columns(stop_touched) > 0.0, sum_columns(target_touched) > 0.0
    applies = {
        STOP_THEN_ENTRY: stopped & enters,
        TARGET_THEN_ENTRY: taken & enters & ~stopped,
        STOP_LOSS: stopped,
        TAKE_PROFIT: taken,
        EXIT_MARGIN: ~flat & ((worst_margin_ratio < margin_exit) | (was_liquidated > 0.0)),
        REDUCE_MARGIN: ~flat & (worst_margin_ratio < margin_reduce),
        WITHDRAWAL: ~flat & (withdrawal_pending > 0.0),
        REVERSE: ~flat & enters,
        EXIT_NEUTRAL: ~flat & (target_direction == NEUTRAL),
        ENTRY: flat & enters,
    }
    return first_that_applies(RULES, applies)


@tag(stage="orders", unit="book")
def directional_book(
    perp_mark: Column,
    perp_mark_before: Column,
    perp_units: Column,
    perp_entry_price: Column,
    stop_touched: Column,
    target_touched: Column,
    reference_price: Column,
    equity_usd: Column,
    usd_per_share_class: Column,
    withdrawal_pending: float,
    hedge_allocation: Column,
    venues: tuple[str, ...],
    base_asset: str,
    margin_token: str,
    held_sd: Column,
    stop_loss_sd: float,
    take_profit_sd: float,
    costs: CostModel,
) -> DirectionalBook:
    """The book at the decision's row, as the order builder sees it. Columns are those of the row alone."""
    return DirectionalBook(
        base_asset=base_asset,
        margin_token=margin_token,
        reference_price=float(reference_price[0]),
        equity_usd=float(equity_usd[0]),
        withdrawal_usd=withdrawal_pending * float(usd_per_share_class[0]),
        stop_fraction=stop_loss_sd * float(held_sd[0]),
        target_fraction=take_profit_sd * float(held_sd[0]),
        costs=costs,
        venues=tuple(
            DirectionalVenue(
                venue,
                mark=float(perp_mark[0, at]),
                mark_before=float(perp_mark_before[0, at]),
                units=float(perp_units[0, at]),
                entry_price=float(perp_entry_price[0, at]),
                allocation=float(hedge_allocation[at]),
                stopped=bool(stop_touched[0, at] > 0.0),
                taken=bool(target_touched[0, at] > 0.0),
            )
            for at, venue in enumerate(venues)
        ),
    )


@tag(stage="orders", unit="intent")
def orders(
    decision_rule: DecisionRule,
    directional_book: DirectionalBook,
    target_direction: Column,
    band_sd: Column,
    max_position_size: float,
    stop_loss_sd: float,
    take_profit_sd: float,
) -> list[OrderIntent]:
    """What the rule asks for, in the order in which it must be done. Columns are those of the decision's row, (1,)."""
    if decision_rule is REDUCE_MARGIN:
        return directional_book.close(0.5, decision_rule.intent)
    if decision_rule is WITHDRAWAL:
        return directional_book.close(directional_book.withdrawn_share, decision_rule.intent)
    levels = directional_book.close_at_levels()
    if decision_rule.is_entry:
        return levels + directional_book.turn(
            float(target_direction[0]),
            max_position_size,
            stop_fraction=stop_loss_sd * float(band_sd[0]),
            target_fraction=take_profit_sd * float(band_sd[0]),
        )
    closes_rest = decision_rule in (EXIT_MARGIN, EXIT_NEUTRAL) or target_direction[0] == NEUTRAL
    return levels + (directional_book.close(1.0, StrategyIntent.EXIT_FULL) if closes_rest else [])
