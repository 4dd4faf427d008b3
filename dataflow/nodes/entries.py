"""Bounds that an entry must keep at its row, and leverage after it: none of them is ever a reason to sell.

The same bounds are held against the configuration when it is loaded (``schemas.models.config_entry``). Here they see
the market: a staking token that already trades below its oracle ratio, and margin that a move has already used.
"""

import numpy as np
from hamilton.function_modifiers import config, tag

from schemas.units import NOT_APPLICABLE, Column, frozen, sum_columns


@tag(stage="market", unit="fraction")
def ltv_after_spread_move(
    lst_oracle_ratio: Column, lst_market_ratio: Column, target_ltv: float, max_stake_spread_move: float
) -> Column:
    """LTV of an entry at target, its collateral at the market price of the LST after one more fall of that price.

        LTV = target x oracle ratio / (market ratio x (1 - move))

    Shape:  (rows,).
    Units:  fraction of one; 999 where nothing would be left.
    Source: [domain] section 10, max_stake_spread_move.

    >>> ltv_after_spread_move(np.array([1.0, 1.0]), np.array([1.0, 0.8]), 0.6, 0.25).round(6).tolist()
    [0.8, 1.0]
    """
    left = lst_market_ratio * (1.0 - max_stake_spread_move)
    nothing_left = np.full_like(left, NOT_APPLICABLE)
    ltv = np.divide(target_ltv * lst_oracle_ratio, left, out=nothing_left, where=left > 0.0)
    return frozen(np.minimum(ltv, NOT_APPLICABLE))


@tag(stage="risk", unit="fraction")
def margin_ratio_after_move(worst_margin_ratio: Column, max_underlying_move: float) -> Column:
    """Worst margin ratio after a rise of the price by a move against shorts that are margined in dollars.

        ratio = (ratio - move) / (1 + move)

    Shape:  (rows,).
    Units:  fraction; 999 without a perpetual.
    Source: [domain] section 10, max_underlying_move.

    >>> margin_ratio_after_move(np.array([0.8, 999.0]), 0.25).round(6).tolist()
    [0.44, 999.0]
    """
    moved = (worst_margin_ratio - max_underlying_move) / (1.0 + max_underlying_move)
    return frozen(np.where(worst_margin_ratio >= NOT_APPLICABLE, NOT_APPLICABLE, moved))


@tag(stage="decision", unit="flag")
@config.when(perps=False)
def entry_survives__loan(ltv_after_spread_move: Column, ltv_max: float) -> Column:
    """1 where the loan of an entry would survive a fall of the LST's market price.

    Shape:  (rows,).
    Source: [domain] section 10, max_stake_spread_move.

    >>> entry_survives__loan(np.array([0.8, 1.0]), 0.95).tolist()
    [1.0, 0.0]
    """
    return frozen((ltv_after_spread_move < ltv_max).astype(np.float64))


@tag(stage="decision", unit="flag")
@config.when(perps=True, borrowing=False)
def entry_survives__margin(margin_ratio_after_move: Column, margin_exit: float) -> Column:
    """1 where the margin that is there would survive a move of the price.

    Shape:  (rows,).
    Source: [domain] section 10, max_underlying_move.

    >>> entry_survives__margin(np.array([0.44, 0.1, 999.0]), 0.2).tolist()
    [1.0, 0.0, 1.0]
    """
    return frozen((margin_ratio_after_move > margin_exit).astype(np.float64))


@tag(stage="decision", unit="flag")
@config.when(perps=True, borrowing=True)
def entry_survives__loan_and_margin(
    ltv_after_spread_move: Column, margin_ratio_after_move: Column, ltv_max: float, margin_exit: float
) -> Column:
    """1 where the loan of an entry would survive a fall of the LST, and the margin a move of the price.

    Shape:  (rows,).
    Source: [domain] section 10, max_stake_spread_move and max_underlying_move.

    >>> entry_survives__loan_and_margin(np.array([0.8, 1.0]), np.array([0.44, 0.44]), 0.95, 0.2).tolist()
    [1.0, 0.0]
    """
    return frozen(((ltv_after_spread_move < ltv_max) & (margin_ratio_after_move > margin_exit)).astype(np.float64))


@tag(stage="risk", unit="ratio")
@config.when(borrowing=True)
def leverage__debt(equity_usd: Column, debt_usd: Column) -> Column:
    """Assets over equity: what the equity and the loans of the pool hold together.

    Shape:  (rows,).
    Units:  ratio; 999 where no equity is left.
    Source: [domain] section 10, max_leverage of the share class.

    >>> leverage__debt(np.array([35.0]), np.array([65.0])).round(4).tolist()
    [2.8571]
    """
    return _over_equity(equity_usd + debt_usd, equity_usd)


@tag(stage="risk", unit="ratio")
@config.when(directional=True)
def leverage__directional(perp_notional_usd: Column, equity_usd: Column) -> Column:
    """Notional of the perpetuals over equity.

    Shape:  (rows,).
    Units:  ratio; 999 where no equity is left.
    Source: [domain] section 10, max_leverage of the share class.

    >>> leverage__directional(np.array([[60.0, 40.0]]), np.array([50.0])).tolist()
    [2.0]
    """
    return _over_equity(sum_columns(perp_notional_usd), equity_usd)


def _over_equity(held_usd: Column, equity_usd: Column) -> Column:
    has_equity = equity_usd > 0.0
    ratio = np.minimum(held_usd / np.where(has_equity, equity_usd, 1.0), NOT_APPLICABLE)
    return frozen(np.where(has_equity, ratio, np.where(held_usd > 0.0, NOT_APPLICABLE, 0.0)))


@tag(stage="risk", unit="flag", risk="leverage", bounds="leverage", limit="leverage_max")
def leverage_breach(leverage: Column, leverage_max: float) -> Column:
    """1 where the book holds more over its equity than its share class allows.

    Shape:  (rows,).
    Source: [domain] section 10, max_leverage of the share class.

    >>> leverage_breach(np.array([2.9, 3.1]), 3.0).tolist()
    [0.0, 1.0]
    """
    return frozen((leverage > leverage_max).astype(np.float64))


@tag(
    stage="risk",
    unit="flag",
    risk="venue_leverage",
    bounds="worst_margin_ratio",
    limit="margin_ratio_of_venue_leverage",
)
def venue_leverage_breach(worst_margin_ratio: Column, margin_ratio_of_venue_leverage: float) -> Column:
    """1 where notional over margin is above what the strictest exchange allows: the ratio below one over it.

    Shape:  (rows,).
    Source: [domain] section 10, max_leverage of a venue.

    >>> venue_leverage_breach(np.array([0.4, 0.6]), 0.5).tolist()
    [1.0, 0.0]
    """
    return frozen((worst_margin_ratio < margin_ratio_of_venue_leverage).astype(np.float64))
