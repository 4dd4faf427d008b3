"""Liquidation: how far it is, what it would cost now, which rows a venue acts on, and what it is expected to take.

A venue that liquidates does so on the book as it stands at a row, funding settled, before the strategy decides. A pool
here has one collateral and one debt, as every levered mode does.
"""

import numpy as np
from hamilton.function_modifiers import config, group, inject, resolve_from_config, source, tag, value

from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import Deltas
from dataflow.maths.liquidation import ClosedAccount, closed_account
from schemas.instruments import a_token_key, cex_key, debt_key, perp_key
from schemas.units import NOT_APPLICABLE, Column, any_of_parts, column, frozen, sum_columns


@tag(stage="risk", unit="usd")
@config.when(borrowing=True)
def liquidatable_debt_usd(
    debt_usd: Column,
    supplied_value_usd: Column,
    health_factor: Column,
    close_factor: float,
    close_factor_health: float,
    small_position_usd: float,
    liquidation_bonus: float,
) -> Column:
    """Debt that one liquidation would repay now.

    All of it at a health factor of ``close_factor_health`` or less, and where debt or collateral is a small position;
    else the share ``close_factor``; never more than the collateral pays for.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 4.4 and ruling 22.

    >>> args = (np.array([[100e3]]), np.array([0.97]), 0.5, 0.95, 2_000.0, 0.01)
    >>> liquidatable_debt_usd(np.array([98e3]), *args).tolist()
    [49000.0]
    """
    collateral = sum_columns(supplied_value_usd)
    is_whole = (health_factor <= close_factor_health) | (np.minimum(collateral, debt_usd) < small_position_usd)
    closable = np.where(is_whole, debt_usd, close_factor * debt_usd)
    return frozen(np.minimum(closable, collateral / (1.0 + liquidation_bonus)))


@tag(stage="risk", unit="usd")
@config.when(borrowing=True)
def seizable_collateral_usd(
    liquidatable_debt_usd: Column, supplied_value_usd: Column, liquidation_bonus: float
) -> Column:
    """Collateral that one liquidation would take now: the debt it repays and the bonus.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 4.4.

    >>> seizable_collateral_usd(np.array([100.0]), np.array([[500.0]]), 0.01).tolist()
    [101.0]
    """
    return frozen(np.minimum(liquidatable_debt_usd * (1.0 + liquidation_bonus), sum_columns(supplied_value_usd)))


@tag(stage="risk", unit="fraction")
@config.when(borrowing=True)
def ltv_after_liquidation(
    debt_usd: Column, supplied_value_usd: Column, liquidatable_debt_usd: Column, seizable_collateral_usd: Column
) -> Column:
    """Loan-to-value that one liquidation now would leave; 0 where it leaves no collateral.

    Shape:  (rows,).
    Units:  fraction of one.
    Source: [domain] 4.4.

    >>> debt, collateral = np.array([98.0]), np.array([[100.0]])
    >>> ltv_after_liquidation(debt, collateral, np.array([50.0]), np.array([52.0])).tolist()
    [1.0]
    """
    left = sum_columns(supplied_value_usd) - seizable_collateral_usd
    is_left = left > 0.0
    owed = debt_usd - liquidatable_debt_usd
    return frozen(np.where(is_left, np.minimum(owed / np.where(is_left, left, 1.0), NOT_APPLICABLE), 0.0))


@tag(stage="risk", unit="fraction")
@config.when(borrowing=True)
def collateral_fall_to_liquidation(health_factor: Column) -> Column:
    """Fall of the collateral against the debt that makes it liquidatable; of a staking token a fall of its ratio.

        fall = 1 - 1 / health factor

    Shape:  (rows,).
    Units:  fraction of one.
    Sign:   < 0 where it is liquidatable already; nearly 1 without debt.
    Source: [domain] 4.4.

    >>> collateral_fall_to_liquidation(np.array([1.25])).round(6).tolist()
    [0.2]
    """
    return frozen(1.0 - 1.0 / np.maximum(health_factor, 1.0 / NOT_APPLICABLE))


@tag(stage="risk", unit="usdt_per_base", axis="venues")
@config.when(perps=True, coin_margin=False, directional=False)
def liquidation_price__coins_and_usdt(
    perp_units: Column,
    perp_entry_price: Column,
    quote_units: Column,
    spot_value_usd: Column,
    collateral_factor: Column,
    maintenance_margin_rate: Column,
) -> Column:
    """Mark at which each exchange liquidates, if its coins keep their value.

    Shape:  (rows, venues); 0 without a perpetual, or where no mark does.
    Units:  USDT per base unit.
    Source: [domain] ruling 21.

    >>> cell = np.ones((1, 1))
    >>> price = liquidation_price__coins_and_usdt(-cell, 100.0 * cell, 50.0 * cell, 0.0 * cell, cell[0], 0.1 * cell[0])
    >>> price.round(6).tolist()
    [[136.363636]]
    """
    collateral = quote_units + collateral_factor * spot_value_usd
    return _liquidation_price(perp_units, perp_entry_price, collateral, maintenance_margin_rate)


@tag(stage="risk", unit="usdt_per_base", axis="venues")
@config.when(perps=True, coin_margin=False, directional=True)
def liquidation_price__usdt(
    perp_units: Column, perp_entry_price: Column, quote_units: Column, maintenance_margin_rate: Column
) -> Column:
    """Mark at which each exchange liquidates.

    Shape:  (rows, venues); 0 without a perpetual, or where no mark does.
    Units:  USDT per base unit.
    Source: [domain] ruling 21.

    >>> cell = np.ones((1, 1))
    >>> liquidation_price__usdt(2.0 * cell, 100.0 * cell, 110.0 * cell, 0.1 * cell[0]).round(6).tolist()
    [[50.0]]
    """
    return _liquidation_price(perp_units, perp_entry_price, quote_units, maintenance_margin_rate)


def _liquidation_price(units: Column, entry: Column, collateral: Column, rate: Column) -> Column:
    """Price at which collateral and profit fall to the maintenance margin; leverage is size at entry / collateral.

    short = entry (1 + 1 / leverage) / (1 + rate), long = entry (1 - 1 / leverage) / (1 - rate).
    """
    side = np.sign(units)
    backing = collateral / np.where(side == 0.0, 1.0, np.abs(units))
    return frozen(np.maximum((entry - side * backing) / (1.0 - side * rate), 0.0) * np.abs(side))


@tag(stage="risk", unit="usdt_per_base", axis="venues")
@config.when(perps=True, coin_margin=True)
def liquidation_price__coins(
    perp_units: Column,
    perp_entry_price: Column,
    spot_units: Column,
    collateral_factor: Column,
    maintenance_margin_rate: Column,
) -> Column:
    """Mark at which each exchange liquidates a position whose margin are coins, worth more as the price rises.

        short = entry / (1 + rate - cover), long = entry / (1 - rate + cover)

    cover: coins, at their collateral factor, for each coin of the position.

    Shape:  (rows, venues); 0 without a perpetual, or where no mark does: coins cover a short of their size.
    Units:  USDT per base unit.
    Source: [domain] rulings 21 and 27.

    >>> cell = np.ones((1, 1))
    >>> liquidation_price__coins(-2.0 * cell, 99.0 * cell, 1.0 * cell, cell[0], 0.1 * cell[0]).round(6).tolist()
    [[165.0]]
    """
    side = np.sign(perp_units)
    cover = spot_units * collateral_factor / np.where(side == 0.0, 1.0, np.abs(perp_units))
    divisor = 1.0 - side * maintenance_margin_rate + side * cover
    exists = (side != 0.0) & (divisor > 0.0)
    return frozen(np.where(exists, perp_entry_price / np.where(exists, divisor, 1.0), 0.0))


@tag(stage="risk", unit="usd", record="liquidation_cost_usd")
@config.when(perps=True, borrowing=False)
def liquidation_cost_usd__exchanges(perp_notional_usd: Column, forced_close_fee: Column) -> Column:
    """What it would cost if every exchange liquidated now: taker and liquidation fee.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] ruling 21.

    >>> liquidation_cost_usd__exchanges(np.array([[1_000.0, 2_000.0]]), np.array([0.005, 0.01])).tolist()
    [25.0]
    """
    return sum_columns(perp_notional_usd * forced_close_fee)


@tag(stage="risk", unit="usd", record="liquidation_cost_usd")
@config.when(perps=False, borrowing=True)
def liquidation_cost_usd__pool(seizable_collateral_usd: Column, liquidatable_debt_usd: Column) -> Column:
    """What one liquidation of the loan would cost now: the bonus.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 4.4.

    >>> liquidation_cost_usd__pool(np.array([101.0]), np.array([100.0])).tolist()
    [1.0]
    """
    return frozen(seizable_collateral_usd - liquidatable_debt_usd)


@tag(stage="risk", unit="usd", record="liquidation_cost_usd")
@config.when(perps=True, borrowing=True)
def liquidation_cost_usd__both(
    perp_notional_usd: Column,
    forced_close_fee: Column,
    seizable_collateral_usd: Column,
    liquidatable_debt_usd: Column,
) -> Column:
    """What it would cost if every exchange and the pool liquidated now: fees and bonus.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 4.4 and ruling 21.

    >>> notional, seized, repaid = np.array([[1_000.0]]), np.array([101.0]), np.array([100.0])
    >>> liquidation_cost_usd__both(notional, np.array([0.005]), seized, repaid).tolist()
    [6.0]
    """
    return frozen(sum_columns(perp_notional_usd * forced_close_fee) + seizable_collateral_usd - liquidatable_debt_usd)


@tag(stage="risk", unit="flag")
@config.when(directional=False)
def margin_liquidation_due__book(worst_margin_ratio: Column, margin_liquidation: float) -> Column:
    """1 where an exchange closes the perpetuals of the account.

    Shape:  (rows,).
    Source: [domain] rulings 17 and 21.

    >>> margin_liquidation_due__book(np.array([0.05, 0.1]), 0.1).tolist()
    [1.0, 0.0]
    """
    return frozen((worst_margin_ratio < margin_liquidation).astype(np.float64))


@tag(stage="risk", unit="flag")
@config.when(directional=True)
def margin_liquidation_due__levels(margin_ratio: Column, level_touched: Column, margin_liquidation: float) -> Column:
    """1 where an exchange closes a perpetual that neither its stop nor its target had closed before.

    Shape:  (rows,).
    Source: [domain] rulings 17, 21 and 26.

    >>> margin_liquidation_due__levels(np.array([[0.05, 0.5]]), np.array([[1.0, 0.0]]), 0.1).tolist()
    [0.0]
    """
    is_due = (margin_ratio < margin_liquidation) & (level_touched == 0.0)
    return frozen(is_due.any(axis=1).astype(np.float64))


@tag(stage="risk", unit="flag")
def health_liquidation_due(health_factor: Column, ltv: Column, health_factor_liquidation: float) -> Column:
    """1 where a liquidator may repay debt for collateral, of which there must be some.

    Shape:  (rows,).
    Source: [domain] ruling 22.

    >>> health_liquidation_due(np.array([0.99, 0.99, 1.0]), np.array([0.96, 999.0, 0.95]), 1.0).tolist()
    [1.0, 0.0, 0.0]
    """
    is_unhealthy = (health_factor < health_factor_liquidation) & (ltv < NOT_APPLICABLE)
    return frozen(is_unhealthy.astype(np.float64))


@tag(stage="risk", unit="flag", role="liquidation")
@resolve_from_config(
    decorate_with=lambda liquidations: inject(parts=group(*map(source, liquidations)) if liquidations else value([]))
)
def liquidation_due(parts: list[Column]) -> Column:
    """1 where any venue of the mode may liquidate.

    Shape:  (rows,).
    Source: [domain] rulings 21 and 22.

    >>> liquidation_due([np.zeros(1), np.ones(1)]).tolist()
    [1.0]
    """
    return any_of_parts(parts)


@tag(stage="decision", unit="flag")
def was_liquidated(epoch_seconds: Column, last_liquidation_seconds: float) -> Column:
    """1 on the row at which a venue liquidated, else 0.

    Shape:  (rows,).

    >>> was_liquidated(np.array([100.0, 200.0]), 100.0).tolist()
    [1.0, 0.0]
    """
    return frozen((epoch_seconds == last_liquidation_seconds).astype(np.float64))


@tag(stage="deltas")
@config.when(perps=True, directional=False)
def expected_exchange_liquidation__coins_and_usdt(
    liquidated_venue: str,
    venues: tuple[str, ...],
    base_asset: str,
    perp_units: Column,
    perp_mark: Column,
    perp_unrealised_pnl_usd: Column,
    perp_notional_usd: Column,
    quote_units: Column,
    spot_units: Column,
    spot_price: Column,
    collateral_factor: Column,
    costs: CostModel,
) -> Deltas:
    """Changes by which an exchange closes the perpetual of an account that holds coins and USDT.

    Columns are those of the row alone.
    Source: [domain] ruling 21.
    """
    at, coins = venues.index(liquidated_venue), cex_key(liquidated_venue, base_asset)
    left = closed_account(
        float(quote_units[0, at]),
        float(perp_unrealised_pnl_usd[0, at]),
        float(perp_notional_usd[0, at]) * costs.forced_close_fee(liquidated_venue),
        coins=float(spot_units[0, at]),
        coin_price=float(spot_price[0, at]),
        collateral_factor=float(collateral_factor[at]),
        sale_fee=costs.fee("spot", liquidated_venue),
    )
    margin = (cex_key(liquidated_venue, "USDT"), left.margin - float(quote_units[0, at]))
    sold = ((coins, left.coins - float(spot_units[0, at])),) if left.coins != spot_units[0, at] else ()
    return (_closed(liquidated_venue, base_asset, perp_units[0, at]), margin, *sold)


@tag(stage="deltas")
@config.when(perps=True, directional=True, coin_margin=False)
def expected_exchange_liquidation__usdt(
    liquidated_venue: str,
    venues: tuple[str, ...],
    base_asset: str,
    perp_units: Column,
    perp_unrealised_pnl_usd: Column,
    perp_notional_usd: Column,
    quote_units: Column,
    costs: CostModel,
) -> Deltas:
    """Changes by which an exchange closes the perpetual of an account that is margined in USDT.

    Columns are those of the row alone.
    Source: [domain] ruling 21.
    """
    at = venues.index(liquidated_venue)
    fee = float(perp_notional_usd[0, at]) * costs.forced_close_fee(liquidated_venue)
    left = closed_account(float(quote_units[0, at]), float(perp_unrealised_pnl_usd[0, at]), fee)
    margin = (cex_key(liquidated_venue, "USDT"), left.margin - float(quote_units[0, at]))
    return (_closed(liquidated_venue, base_asset, perp_units[0, at]), margin)


@tag(stage="deltas")
@config.when(perps=True, directional=True, coin_margin=True)
def expected_exchange_liquidation__coins(
    liquidated_venue: str,
    venues: tuple[str, ...],
    base_asset: str,
    perp_units: Column,
    perp_mark: Column,
    perp_unrealised_pnl_usd: Column,
    reference_price: Column,
    spot_units: Column,
    costs: CostModel,
) -> Deltas:
    """Changes by which an exchange closes the perpetual of an account that is margined in coins.

    Columns are those of the row alone.
    Source: [domain] rulings 21 and 27.
    """
    at = venues.index(liquidated_venue)
    held, fee = float(spot_units[0, at]), abs(float(perp_units[0, at])) * costs.forced_close_fee(liquidated_venue)
    left: ClosedAccount = closed_account(held, float(perp_unrealised_pnl_usd[0, at] / reference_price[0]), fee)
    margin = (cex_key(liquidated_venue, base_asset), left.margin - held)
    return (_closed(liquidated_venue, base_asset, perp_units[0, at]), margin)


@tag(stage="deltas")
@config.when(borrowing=True)
def expected_pool_liquidation(
    a_token_units: Column,
    liquidity_index: Column,
    supplied_price_usd: Column,
    supplied_value_usd: Column,
    supplied_tokens: tuple[str, ...],
    supplied_token: str,
    debt_units: Column,
    variable_borrow_index: Column,
    borrowed_price_usd: Column,
    borrowed_tokens: tuple[str, ...],
    borrowed_token: str,
    liquidatable_debt_usd: Column,
    seizable_collateral_usd: Column,
    burns_bad_debt: bool,
) -> Deltas:
    """Changes of scaled units by which a liquidator repays debt for collateral; debt that nothing backs then is gone.

    Columns are those of the row alone.
    Source: [domain] ruling 22.
    """
    held = float(column(a_token_units, supplied_tokens, supplied_token)[0])
    owed = float(column(debt_units, borrowed_tokens, borrowed_token)[0])
    takes_all = bool(seizable_collateral_usd[0] >= sum_columns(supplied_value_usd)[0])
    unit_usd = column(supplied_price_usd * liquidity_index, supplied_tokens, supplied_token)
    debt_unit_usd = column(borrowed_price_usd * variable_borrow_index, borrowed_tokens, borrowed_token)
    seized, repaid = seizable_collateral_usd[0] / unit_usd[0], liquidatable_debt_usd[0] / debt_unit_usd[0]
    closed = owed if takes_all and burns_bad_debt else float(repaid)
    return (
        (debt_key(borrowed_token), -closed),
        (a_token_key(supplied_token), -(held if takes_all else float(seized))),
    )


def _closed(venue: str, base_asset: str, units: float) -> tuple[str, float]:
    return perp_key(venue, base_asset), -float(units)
