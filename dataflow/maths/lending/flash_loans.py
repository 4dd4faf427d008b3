"""Flash loans: repaid with a premium inside the action, or kept as debt without one.

What the receiver does with the money is a function that acts on the pool; whatever reverts in it undoes the loan.
Source: FlashLoanLogic.sol of both versions.
"""

from collections.abc import Callable
from dataclasses import replace

from dataflow.maths.lending.borrowing import borrow
from dataflow.maths.lending.checks import check_flash_loan
from dataflow.maths.lending.fixed_point import minus, percent_mul, ray_div
from dataflow.maths.lending.pool import Pool, atomic
from dataflow.maths.lending.reserve import with_premium_in_index


@atomic
def flash_loan(pool: Pool, symbol: str, amount: int, use: Callable[[Pool, int], None]) -> int:
    """Lend an amount for the length of ``use``, which is told the premium. Returns the premium.

    Source: executeFlashLoanSimple, and executeFlashLoan with mode NONE. The receiver can always pay.
    """
    check_flash_loan(pool, symbol, amount)
    premium = percent_mul(amount, pool.terms.flash_premium_bps, pool.rules.flash_premium)
    _pay_out(pool, symbol, amount)
    use(pool, premium)
    pool.accrue(symbol)
    _share_premium(pool, symbol, premium)
    pool.update_rates(symbol, added=amount + premium)
    pool.receive(symbol, amount + premium)
    return premium


@atomic
def flash_borrow(pool: Pool, user: str, symbol: str, amount: int, use: Callable[[Pool, int], None]) -> int:
    """Lend an amount that stays as debt of the user after ``use``; no premium. Returns the premium, 0.

    Source: executeFlashLoan with interest rate mode 2.
    """
    check_flash_loan(pool, symbol, amount)
    _pay_out(pool, symbol, amount)
    use(pool, 0)
    borrow(pool, user, symbol, amount, releases_underlying=False)
    return 0


def _pay_out(pool: Pool, symbol: str, amount: int) -> None:
    if pool.rules.has_virtual_balance:
        reserve = pool.reserves[symbol]
        pool.reserves[symbol] = replace(reserve, virtual_balance=minus(reserve.virtual_balance, amount))
    pool.pay_out(symbol, amount)


def _share_premium(pool: Pool, symbol: str, premium: int) -> None:
    """Give the premium to suppliers and protocol (3.0.2) or all to the treasury. Source: _handleFlashLoanRepayment."""
    rules, to_protocol = pool.rules, premium
    if rules.pays_premium_to_suppliers:
        to_protocol = percent_mul(premium, pool.terms.flash_premium_to_protocol_bps)
        pool.reserves[symbol] = with_premium_in_index(pool.reserves[symbol], premium - to_protocol, rules)
    reserve = pool.reserves[symbol]
    scaled = ray_div(to_protocol, reserve.liquidity_index, rules.supply_mint)
    pool.reserves[symbol] = replace(reserve, accrued_to_treasury=reserve.accrued_to_treasury + scaled)
