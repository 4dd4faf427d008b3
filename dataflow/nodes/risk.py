"""Risk stage: how far each limit is, and which are crossed.

A ratio that does not exist is 999 (health factor without debt, margin ratio without perpetuals).
"""

import numpy as np
from hamilton.function_modifiers import config, group, inject, resolve_from_config, source, tag

from schemas.units import NOT_APPLICABLE, Column, any_of_parts, frozen, min_of_columns, sum_columns

# Weights and steps of the risk score: [domain] 4.4.
_HEALTH_WEIGHT, _LTV_WEIGHT, _MARGIN_WEIGHT = 0.4, 0.3, 0.3


@tag(stage="risk", unit="fraction", axis="venues")
@config.when(directional=False)
def margin_ratio(
    spot_value_usd: Column,
    quote_units: Column,
    perp_unrealised_pnl_usd: Column,
    perp_notional_usd: Column,
    collateral_factor: Column,
) -> Column:
    """Margin balance over notional at each exchange, coins counted at their collateral factor.

        ratio = (factor x coins + USDT + unrealised profit) / notional

    Shape:  (rows, venues).
    Units:  fraction; 999 without a perpetual.
    Source: [domain] ruling 17.

    >>> coins, usdt, profit, notional = (np.array([[x]]) for x in (100.0, 5.0, -20.0, 100.0))
    >>> margin_ratio(coins, usdt, profit, notional, np.array([0.95])).round(6).tolist()
    [[0.8]]
    """
    balance = spot_value_usd * collateral_factor + quote_units + perp_unrealised_pnl_usd
    is_open = perp_notional_usd > 0.0
    return frozen(np.where(is_open, balance / np.where(is_open, perp_notional_usd, 1.0), NOT_APPLICABLE))


@tag(stage="risk", unit="fraction", axis="venues")
@config.when(directional=True, coin_margin=False)
def margin_ratio__usdt(quote_units: Column, perp_unrealised_pnl_usd: Column, perp_notional_usd: Column) -> Column:
    """Margin balance over notional at each exchange that is margined in USDT.

        ratio = (USDT + unrealised profit) / notional

    Shape:  (rows, venues).
    Units:  fraction; 999 without a perpetual.
    Source: [domain] ruling 17.

    >>> margin_ratio__usdt(np.array([[50.0]]), np.array([[-10.0]]), np.array([[80.0]])).tolist()
    [[0.5]]
    """
    return _over_notional(quote_units + perp_unrealised_pnl_usd, perp_notional_usd)


@tag(stage="risk", unit="fraction", axis="venues")
@config.when(directional=True, coin_margin=True)
def margin_ratio__coins(
    collateral_value_usd: Column,
    perp_unrealised_pnl_usd: Column,
    perp_notional_usd: Column,
    collateral_factor: Column,
) -> Column:
    """Margin balance over notional at each exchange that is margined in coins, counted at their collateral factor.

        ratio = (factor x coins + unrealised profit) / notional

    Shape:  (rows, venues).
    Units:  fraction; 999 without a perpetual.
    Source: [domain] ruling 17.

    >>> coins, profit, notional = np.array([[100.0]]), np.array([[-15.0]]), np.array([[100.0]])
    >>> margin_ratio__coins(coins, profit, notional, np.array([0.95])).round(6).tolist()
    [[0.8]]
    """
    return _over_notional(collateral_value_usd * collateral_factor + perp_unrealised_pnl_usd, perp_notional_usd)


def _over_notional(balance: Column, notional: Column) -> Column:
    is_open = notional > 0.0
    return frozen(np.where(is_open, balance / np.where(is_open, notional, 1.0), NOT_APPLICABLE))


@tag(stage="risk", unit="fraction", record="worst_margin_ratio")
@config.when(perps=True)
def worst_margin_ratio__perps(margin_ratio: Column) -> Column:
    """Lowest margin ratio over the exchanges.

    Shape:  (rows,).
    Units:  fraction; 999 without a perpetual.
    Source: [domain] ruling 17, the worst venue counts.

    >>> worst_margin_ratio__perps(np.array([[0.8, 0.5]])).tolist()
    [0.5]
    """
    return min_of_columns(margin_ratio)


@tag(stage="risk", unit="fraction", record="worst_margin_ratio")
@config.when(perps=False)
def worst_margin_ratio__none(equity_usd: Column) -> Column:
    """Margin ratio of a mode without perpetuals: not applicable.

    Shape:  (rows,).
    Units:  fraction; always 999.

    >>> worst_margin_ratio__none(np.array([1.0])).tolist()
    [999.0]
    """
    return frozen(np.full_like(equity_usd, NOT_APPLICABLE))


@tag(stage="risk", unit="fraction", record="margin_usage")
def margin_usage(worst_margin_ratio: Column) -> Column:
    """Share of the margin in use: 1 less the worst ratio clipped to 0..1; 0 without perpetuals.

    Shape:  (rows,).
    Units:  fraction of one.
    Source: [domain] 4.4.

    >>> margin_usage(np.array([0.75, 999.0])).tolist()
    [0.25, 0.0]
    """
    return frozen(1.0 - _between_0_and_1(worst_margin_ratio))


@tag(stage="risk", unit="ratio", record="health_factor")
@config.when(borrowing=False)
def health_factor__no_debt(equity_usd: Column) -> Column:
    """Health factor of a mode that never borrows: not applicable.

    Shape:  (rows,).
    Units:  ratio; always 999.
    Source: [domain] 4.4 and ruling 31.

    >>> health_factor__no_debt(np.array([1.0])).tolist()
    [999.0]
    """
    return frozen(np.full_like(equity_usd, NOT_APPLICABLE))


@tag(stage="risk", unit="fraction", record="ltv_ratio")
@config.when(borrowing=False)
def ltv__no_debt(equity_usd: Column) -> Column:
    """Loan-to-value of a mode that never borrows: 0.

    Shape:  (rows,).
    Units:  fraction of one.
    Source: [domain] 4.4.

    >>> ltv__no_debt(np.array([1.0])).tolist()
    [0.0]
    """
    return frozen(np.zeros_like(equity_usd))


@tag(stage="risk", unit="usd")
def debt_usd(debt_value_usd: Column) -> Column:
    """All that is owed to the lending pool.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.

    >>> debt_usd(np.array([[-30.0]])).tolist()
    [30.0]
    """
    return frozen(0.0 - sum_columns(debt_value_usd))


@tag(stage="risk", unit="ratio", record="health_factor")
@config.when(borrowing=True)
def health_factor__debt(
    a_token_units: Column,
    liquidity_index: Column,
    supplied_price_usd: Column,
    reserve_liquidation_threshold: Column,
    debt_usd: Column,
) -> Column:
    """Collateral at its liquidation thresholds over debt; below 1 it may be liquidated.

    Shape:  (rows,).
    Units:  ratio; 999 without debt.
    Source: [domain] 4.4.

    >>> one = np.ones((1, 1))
    >>> health_factor__debt(100.0 * one, one, one, np.array([0.95]), np.array([65.0])).round(4).tolist()
    [1.4615]
    """
    weighted = sum_columns(a_token_units * liquidity_index * supplied_price_usd * reserve_liquidation_threshold)
    owes = debt_usd > 0.0
    ratio = np.minimum(weighted / np.where(owes, debt_usd, 1.0), NOT_APPLICABLE)
    return frozen(np.where(owes, ratio, NOT_APPLICABLE))


@tag(stage="risk", unit="fraction", record="ltv_ratio")
@config.when(borrowing=True)
def ltv__debt(supplied_value_usd: Column, debt_usd: Column) -> Column:
    """Debt over collateral.

    Shape:  (rows,).
    Units:  fraction of one; 0 without debt, 999 for debt without collateral.
    Source: [domain] 4.4.

    >>> ltv__debt(np.array([[100.0]]), np.array([65.0])).tolist()
    [0.65]
    """
    collateral = sum_columns(supplied_value_usd)
    backed = collateral > 0.0
    unbacked = np.where(debt_usd > 0.0, NOT_APPLICABLE, 0.0)
    return frozen(np.where(backed, debt_usd / np.where(backed, collateral, 1.0), unbacked))


@tag(stage="risk", unit="fraction", record="liquidation_threshold")
@config.when(lending=True)
def liquidation_threshold__lending(supplied_value_usd: Column, reserve_liquidation_threshold: Column) -> Column:
    """Loan-to-value at which the supplied collateral may be liquidated, weighted by value; 999 with none.

    Shape:  (rows,).
    Units:  fraction of one.
    Source: [domain] 4.4.

    >>> liquidation_threshold__lending(np.array([[100.0]]), np.array([0.78])).tolist()
    [0.78]
    """
    collateral = sum_columns(supplied_value_usd)
    weighted = sum_columns(supplied_value_usd * reserve_liquidation_threshold)
    has_any = collateral > 0.0
    return frozen(np.where(has_any, weighted / np.where(has_any, collateral, 1.0), NOT_APPLICABLE))


@tag(stage="risk", unit="fraction", record="liquidation_threshold")
@config.when(lending=False)
def liquidation_threshold__none(equity_usd: Column) -> Column:
    """Liquidation threshold of a mode without lending: not applicable.

    Shape:  (rows,).
    Units:  fraction; always 999.

    >>> liquidation_threshold__none(np.array([1.0])).tolist()
    [999.0]
    """
    return frozen(np.full_like(equity_usd, NOT_APPLICABLE))


@tag(stage="risk", unit="fraction", record="risk_score")
def risk_score(health_factor: Column, ltv: Column, worst_margin_ratio: Column) -> Column:
    """One number for how close the book is to a forced sale.

        score = clip(0.4 h + 0.3 LTV + 0.3 g, 0, 1)

    h and g step up as the health factor falls through 2, 1.5, 1.2, 1 and the margin ratio through .50, .30, .20, .10.

    Shape:  (rows,).
    Units:  fraction of one.
    Source: [domain] 4.4, volatility term 0.

    >>> risk_score(np.array([999.0]), np.array([0.0]), np.array([0.25])).round(3).tolist()
    [0.15]
    """
    health = 0.25 * _steps(np.less_equal, health_factor, (2.0, 1.5, 1.2, 1.0))
    margin = 0.25 * _steps(np.less, worst_margin_ratio, (0.50, 0.30, 0.20, 0.10))
    return frozen(_between_0_and_1(_HEALTH_WEIGHT * health + _LTV_WEIGHT * ltv + _MARGIN_WEIGHT * margin))


def _between_0_and_1(values: Column) -> Column:
    """Values with what is beyond the bounds put onto them; a third of what ``np.clip`` costs."""
    return np.minimum(np.maximum(values, 0.0), 1.0)


def _steps(is_beyond: np.ufunc, values: Column, levels: tuple[float, ...]) -> Column:
    """How many levels each value is beyond; each level includes those after it, so one that none is beyond ends it."""
    steps = np.zeros(len(values))
    for level in levels:
        beyond = is_beyond(values, level)
        if not np.count_nonzero(beyond):
            break
        steps += beyond
    return steps


@tag(stage="risk", unit="flag", risk="cex_margin_ratio", bounds="worst_margin_ratio", limit="margin_reduce")
def margin_breach(worst_margin_ratio: Column, margin_reduce: float) -> Column:
    """1 where the worst margin ratio is under the level that reduces the book.

    Shape:  (rows,).
    Source: [domain] ruling 17.

    >>> margin_breach(np.array([0.25, 0.35]), 0.30).tolist()
    [1.0, 0.0]
    """
    return frozen((worst_margin_ratio < margin_reduce).astype(np.float64))


@tag(stage="risk", unit="flag", risk="delta_risk", bounds="net_delta_fraction", limit="delta_tolerance")
def delta_breach(net_delta_fraction: Column, delta_tolerance: float) -> Column:
    """1 where the unhedged share of the long leg is over the alert tolerance.

    Shape:  (rows,).
    Source: [domain] ruling 16.

    >>> delta_breach(np.array([0.001, 0.01]), 0.005).tolist()
    [0.0, 1.0]
    """
    return frozen((net_delta_fraction > delta_tolerance).astype(np.float64))


@tag(stage="risk", unit="flag", risk="ltv_risk", bounds="ltv", limit="max_ltv")
def ltv_breach(ltv: Column, max_ltv: float) -> Column:
    """1 where the loan-to-value is above the most that the mode may hold.

    Shape:  (rows,).
    Source: [domain] section 10, max_ltv.

    >>> ltv_breach(np.array([0.76, 0.7]), 0.75).tolist()
    [1.0, 0.0]
    """
    return frozen((ltv > max_ltv).astype(np.float64))


@tag(stage="risk", unit="flag", risk="liquidation_risk", bounds="health_factor", limit="health_factor_min")
def health_breach(health_factor: Column, health_factor_min: float) -> Column:
    """1 where the health factor is under its limit.

    Shape:  (rows,).
    Source: [domain] 3.2 and 4.4.

    >>> health_breach(np.array([1.05, 1.2]), 1.1).tolist()
    [1.0, 0.0]
    """
    return frozen((health_factor < health_factor_min).astype(np.float64))


@tag(stage="risk", unit="flag", record="breach_detected", carry="breach_before")
@resolve_from_config(decorate_with=lambda breaches: inject(parts=group(*map(source, breaches))))
def breach_detected(parts: list[Column]) -> Column:
    """1 where any limit of the mode is crossed.

    Shape:  (rows,).
    Source: [domain] 4.4.

    >>> breach_detected([np.array([0.0, 0.0]), np.array([0.0, 1.0])]).tolist()
    [0.0, 1.0]
    """
    return any_of_parts(parts)


@tag(stage="risk", unit="flag", risk="cex_margin_ratio")
def near_margin_limit(worst_margin_ratio: Column, margin_warning: float) -> Column:
    """1 where the worst margin ratio is under its warning level.

    Shape:  (rows,).
    Source: [domain] ruling 17.

    >>> near_margin_limit(np.array([0.35, 0.45]), 0.40).tolist()
    [1.0, 0.0]
    """
    return frozen((worst_margin_ratio < margin_warning).astype(np.float64))


@tag(stage="risk", unit="flag", risk="liquidation_risk")
def near_health_limit(health_factor: Column, health_factor_min: float) -> Column:
    """1 where the health factor is within a fifth of its limit.

    Shape:  (rows,).
    Source: [domain] 3.2; the fifth mirrors the distance of the margin levels.

    >>> near_health_limit(np.array([1.2]), 1.1).tolist()
    [1.0]
    """
    return frozen((health_factor < 1.2 * health_factor_min).astype(np.float64))


@tag(stage="risk", unit="flag")
@resolve_from_config(decorate_with=lambda warnings: inject(parts=group(*map(source, warnings))))
def risk_warning(parts: list[Column]) -> Column:
    """1 where the book is near any limit of the mode.

    Shape:  (rows,).
    Source: [domain] 3.2 and ruling 17.

    >>> risk_warning([np.zeros(1), np.ones(1)]).tolist()
    [1.0]
    """
    return any_of_parts(parts)


@tag(stage="risk", unit="level", record="risk_level", carry="risk_level_before")
def risk_level(risk_score: Column, breach_detected: Column) -> Column:
    """0 low, 1 medium, 2 high, 3 critical; a breach is critical whatever the score.

    Shape:  (rows,).
    Source: [domain] 4.4: low < .25 <= medium < .5 <= high < .75 <= critical.

    >>> risk_level(np.array([0.1, 0.3, 0.6, 0.1]), np.array([0.0, 0.0, 0.0, 1.0])).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    by_score = _steps(np.greater_equal, risk_score, (0.25, 0.5, 0.75))
    return frozen(np.where(breach_detected > 0.0, 3.0, by_score))
