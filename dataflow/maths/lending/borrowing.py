"""Actions of borrowers: borrow, repay, repay with aTokens.

Amounts are token wei; ``MAX_UINT256`` is everything. Every action reverts with ``AaveRevertError`` and then has changed
nothing. Source: BorrowLogic.sol of both versions.
"""

from dataflow.maths.lending.checks import check_borrow, check_covered, check_healthy, check_repay
from dataflow.maths.lending.fixed_point import MAX_UINT256, ray_div
from dataflow.maths.lending.pool import Pool, atomic


@atomic
def borrow(pool: Pool, user: str, symbol: str, amount: int, *, releases_underlying: bool = True) -> int:
    """Borrow at the variable rate. Returns the amount. Source: executeBorrow.

    releases_underlying: False where a flash loan has paid it out already.
    """
    reserve = pool.accrue(symbol)
    scaled = ray_div(amount, reserve.variable_borrow_index, pool.rules.debt_mint)
    check_borrow(pool, user, reserve, amount, scaled)
    pool.mint_debt(user, symbol, scaled)
    pool.set_borrowing(user, symbol, True)
    pool.update_rates(symbol, taken=amount if releases_underlying else 0)
    if releases_underlying:
        pool.pay_out(symbol, amount)
    if pool.rules.checks_borrow_after:
        check_covered(pool, user)
    return amount


@atomic
def repay(pool: Pool, user: str, symbol: str, amount: int) -> int:
    """Repay own debt with underlying. Returns the amount repaid, at most the debt. Source: executeRepay."""
    paid = _burn_debt(pool, user, symbol, amount)
    pool.update_rates(symbol, added=paid)
    pool.receive(symbol, paid)
    return paid


@atomic
def repay_with_supply(pool: Pool, user: str, symbol: str, amount: int) -> int:
    """Repay own debt with own aTokens of the reserve. Returns the amount repaid. Source: executeRepay, useATokens."""
    rules = pool.rules
    paid = _burn_debt(pool, user, symbol, amount, most=pool.supplied(user, symbol) if amount == MAX_UINT256 else amount)
    pool.update_rates(symbol)
    index = pool.reserves[symbol].liquidity_index
    is_gone = pool.burn_supply(user, symbol, ray_div(paid, index, rules.supply_burn))
    account = pool.account(user)
    if rules.checks_health_after_repaying_with_supply and symbol in account.collateral:
        if is_gone:
            pool.set_collateral(user, symbol, False)
        if account.borrowing:
            check_healthy(pool, user)
    return paid


def _burn_debt(pool: Pool, user: str, symbol: str, amount: int, *, most: int | None = None) -> int:
    """Burn debt for the amount a user asks to repay; return what was needed of it.

    most: what the user can offer, where that is less than the amount asked for.
    """
    reserve = pool.accrue(symbol)
    check_repay(pool, user, reserve.terms, amount)
    owed = pool.owed(user, symbol)
    paid = min(amount if most is None else most, owed)
    is_scaled_debt_gone = pool.burn_debt(user, symbol, paid)
    if is_scaled_debt_gone if pool.rules.checks_scaled_amounts else paid == owed:
        pool.set_borrowing(user, symbol, False)
    return paid
