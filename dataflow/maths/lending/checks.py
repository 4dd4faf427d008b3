"""What the contracts require of an action, in their order, so that the first reason is the one they give.

Source: ValidationLogic.sol of both versions. Isolation mode, siloed borrowing, stable rates, the price sentinel and the
grace period are not modelled: no reserve of the market uses them.
"""

from dataflow.maths.lending.accounts import ltv_of
from dataflow.maths.lending.fixed_point import WAD, percent_div, ray_mul
from dataflow.maths.lending.pool import Pool
from dataflow.maths.lending.reserve import Reserve, ReserveTerms
from dataflow.maths.lending.reverts import Fault


def check_open(pool: Pool, terms: ReserveTerms, *, refuses_frozen: bool = False) -> None:
    """Require an active reserve that is not paused (nor frozen, where new exposure is taken)."""
    pool.rules.require(terms.is_active, Fault.RESERVE_INACTIVE)
    pool.rules.require(not terms.is_paused, Fault.RESERVE_PAUSED)
    pool.rules.require(not (refuses_frozen and terms.is_frozen), Fault.RESERVE_FROZEN)


def check_supply(pool: Pool, reserve: Reserve, amount: int, scaled: int) -> None:
    """Source: validateSupply. ``reserve`` has accrued; ``scaled`` is what will be minted."""
    rules, terms = pool.rules, reserve.terms
    rules.require((scaled if rules.checks_scaled_amounts else amount) != 0, Fault.INVALID_AMOUNT)
    check_open(pool, terms, refuses_frozen=True)
    existing = reserve.scaled_supply + reserve.accrued_to_treasury
    if rules.checks_scaled_amounts:
        total = ray_mul(existing + scaled, reserve.liquidity_index, rules.supply_balance)
    else:
        total = ray_mul(existing, reserve.liquidity_index, rules.supply_balance) + amount
    rules.require(terms.supply_cap == 0 or total <= terms.supply_cap * terms.unit, Fault.SUPPLY_CAP_EXCEEDED)


def check_withdraw(pool: Pool, terms: ReserveTerms, wanted: int, held: int) -> None:
    """Source: validateWithdraw. Both amounts scaled in 3.6, underlying in 3.0.2."""
    pool.rules.require(wanted != 0, Fault.INVALID_AMOUNT)
    pool.rules.require(wanted <= held, Fault.NOT_ENOUGH_BALANCE)
    check_open(pool, terms)


def check_borrow(pool: Pool, user: str, reserve: Reserve, amount: int, scaled: int) -> None:
    """Source: validateBorrow. What 3.6 requires of the position is in ``check_covered``, after the borrow."""
    rules, terms = pool.rules, reserve.terms
    rules.require((scaled if rules.checks_borrow_after else amount) != 0, Fault.INVALID_AMOUNT)
    check_open(pool, terms, refuses_frozen=True)
    if rules.checks_borrow_after:
        minted = ray_mul(scaled, reserve.variable_borrow_index, rules.debt_balance)
        _check_borrowable(pool, user, terms)
        rules.require(pool.total_supply(terms.symbol) >= minted, Fault.INVALID_AMOUNT)
        total = ray_mul(reserve.scaled_debt + scaled, reserve.variable_borrow_index, rules.debt_balance)
        _check_borrow_cap(pool, terms, total)
        return
    rules.require(terms.is_borrowing_enabled, Fault.BORROWING_NOT_ENABLED)
    _check_borrow_cap(pool, terms, ray_mul(reserve.scaled_debt, reserve.variable_borrow_index) + amount)
    _check_borrowable(pool, user, terms)
    _check_new_debt_covered(pool, user, terms, amount)


def _check_borrowable(pool: Pool, user: str, terms: ReserveTerms) -> None:
    category = pool.category_of(user)
    if category is not None:
        pool.rules.require(terms.symbol in category.borrowable, Fault.NOT_BORROWABLE_IN_EMODE)
    elif pool.rules.has_emode_sets:
        pool.rules.require(terms.is_borrowing_enabled, Fault.BORROWING_NOT_ENABLED)


def _check_borrow_cap(pool: Pool, terms: ReserveTerms, total_debt: int) -> None:
    is_within = terms.borrow_cap == 0 or total_debt <= terms.borrow_cap * terms.unit
    pool.rules.require(is_within, Fault.BORROW_CAP_EXCEEDED)


def _check_new_debt_covered(pool: Pool, user: str, terms: ReserveTerms, amount: int) -> None:
    """Require that the collateral covers old and new debt, before the borrow (3.0.2)."""
    rules, data = pool.rules, pool.account_data(user)
    rules.require(data.collateral_value != 0, Fault.COLLATERAL_BALANCE_IS_ZERO)
    rules.require(data.ltv_bps != 0, Fault.LTV_VALIDATION_FAILED)
    rules.require(data.health_factor > WAD, Fault.HEALTH_FACTOR_TOO_LOW)
    debt = data.debt_value + amount * pool.prices[terms.symbol] // terms.unit
    needed = percent_div(debt, data.ltv_bps, rules.collateral_needed)
    rules.require(needed <= data.collateral_value, Fault.COLLATERAL_CANNOT_COVER_NEW_BORROW)


def check_covered(pool: Pool, user: str) -> None:
    """Require that the collateral covers the debt, after the borrow. Source: validateHFAndLtv (3.6)."""
    rules, data = pool.rules, pool.account_data(user)
    rules.require(data.ltv_bps != 0, Fault.LTV_VALIDATION_FAILED)
    rules.require(data.health_factor >= WAD, Fault.HEALTH_FACTOR_TOO_LOW)
    needed = percent_div(data.debt_value, data.ltv_bps, rules.collateral_needed)
    rules.require(data.collateral_value >= needed, Fault.COLLATERAL_CANNOT_COVER_NEW_BORROW)


def check_healthy(pool: Pool, user: str) -> bool:
    """Require a health factor of at least one; tell whether a collateral has LTV 0. Source: validateHealthFactor."""
    data = pool.account_data(user)
    pool.rules.require(data.health_factor >= WAD, Fault.HEALTH_FACTOR_TOO_LOW)
    return data.has_zero_ltv_collateral


def check_healthy_without(pool: Pool, user: str, symbol: str) -> None:
    """Require health after collateral left, which must be the one with LTV 0 if the user has such.

    Source: validateHFAndLtv (3.0.2), validateHFAndLtvzero (3.6).
    """
    if check_healthy(pool, user):
        terms = pool.reserves[symbol].terms
        ltv = ltv_of(terms, pool.category_of(user), pool.rules) if pool.rules.has_emode_sets else terms.ltv_bps
        pool.rules.require(ltv == 0, Fault.LTV_VALIDATION_FAILED)


def can_be_collateral(pool: Pool, user: str, symbol: str) -> bool:
    """Tell whether the reserve may become collateral of the user. Source: validateUseAsCollateral."""
    terms = pool.reserves[symbol].terms
    ltv = ltv_of(terms, pool.category_of(user), pool.rules) if pool.rules.has_emode_sets else terms.ltv_bps
    return ltv != 0


def check_repay(pool: Pool, user: str, terms: ReserveTerms, amount: int) -> None:
    """Source: validateRepay."""
    pool.rules.require(amount != 0, Fault.INVALID_AMOUNT)
    check_open(pool, terms)
    pool.rules.require(pool.owed(user, terms.symbol) != 0, Fault.NO_DEBT_OF_SELECTED_TYPE)


def check_flash_loan(pool: Pool, symbol: str, amount: int) -> None:
    """Source: validateFlashloanSimple."""
    rules, terms = pool.rules, pool.reserves[symbol].terms
    rules.require(not terms.is_paused, Fault.RESERVE_PAUSED)
    rules.require(terms.is_active, Fault.RESERVE_INACTIVE)
    rules.require(terms.is_flash_loan_enabled, Fault.FLASHLOAN_DISABLED)
    if rules.has_virtual_balance:
        rules.require(pool.total_supply(symbol) >= amount, Fault.INVALID_AMOUNT)


def check_emode(pool: Pool, user: str, emode: int) -> None:
    """Require that the user's debt (and in 3.6 the collateral) fits a category, 0 being none.

    Source: validateSetUserEMode.
    """
    rules, account = pool.rules, pool.account(user)
    category = pool.terms.categories.get(emode)
    exists = emode == 0 or (category is not None and category.liquidation_threshold_bps != 0)
    rules.require(exists, Fault.INCONSISTENT_EMODE_CATEGORY)
    for symbol, reserve in pool.reserves.items():
        if symbol in account.borrowing:
            is_enabled = reserve.terms.is_borrowing_enabled or not rules.has_emode_sets
            is_allowed = is_enabled if category is None else symbol in category.borrowable
            rules.require(is_allowed, Fault.INVALID_DEBT_IN_EMODE)
        if symbol in account.collateral and rules.has_emode_sets:
            ltv = ltv_of(reserve.terms, category, rules)
            rules.require(ltv != 0, Fault.INVALID_COLLATERAL_IN_EMODE)


def check_liquidation(pool: Pool, liquidator: str, borrower: str, debt: str, collateral: str) -> None:
    """Source: validateLiquidationCall. Both reserves are the symbols of the call."""
    rules, reserve = pool.rules, pool.reserves[collateral].terms
    if rules.burns_bad_debt:
        rules.require(borrower != liquidator, Fault.SELF_LIQUIDATION)
    principal = pool.reserves[debt].terms
    rules.require(reserve.is_active and principal.is_active, Fault.RESERVE_INACTIVE)
    rules.require(not reserve.is_paused and not principal.is_paused, Fault.RESERVE_PAUSED)
    health_factor = pool.account_data(borrower).health_factor
    rules.require(health_factor < WAD, Fault.HEALTH_FACTOR_NOT_BELOW_THRESHOLD)
    is_seizable = rules.has_emode_sets or reserve.liquidation_threshold_bps != 0
    is_collateral = collateral in pool.account(borrower).collateral
    rules.require(is_seizable and is_collateral, Fault.COLLATERAL_CANNOT_BE_LIQUIDATED)
    rules.require(pool.owed(borrower, debt) != 0, Fault.CURRENCY_NOT_BORROWED)
