"""Liquidation: who may close how much of whose debt, for which collateral, and what becomes of a rest.

Source: LiquidationLogic.sol of both versions.
"""

from dataclasses import dataclass, replace

from dataflow.maths.lending.accounts import AccountData, liquidation_bonus_of
from dataflow.maths.lending.checks import can_be_collateral, check_liquidation
from dataflow.maths.lending.fixed_point import Rounding, divide, minus, percent_div, percent_mul, ray_div
from dataflow.maths.lending.pool import Pool, atomic
from dataflow.maths.lending.reserve import ReserveTerms
from dataflow.maths.lending.reverts import Fault


@dataclass(frozen=True, slots=True)
class LiquidationCall:
    """What a liquidator asks for; ``debt_to_cover`` in wei of the debt reserve, ``MAX_UINT256`` is all it may."""

    liquidator: str
    borrower: str
    debt: str
    collateral: str
    debt_to_cover: int
    receives_supply: bool = False
    """Take the collateral as aTokens instead of the underlying."""


@dataclass(frozen=True, slots=True)
class Liquidated:
    """What was done: debt repaid, collateral to the liquidator, collateral to the treasury, in wei of each reserve.

    Of collateral seized in full the treasury gets up to a wei less than ``protocol_fee``: what rounding has left.
    """

    debt: int
    collateral: int
    protocol_fee: int


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a liquidation: its reserve, oracle price, and the borrower's balance."""

    terms: ReserveTerms
    price: int
    balance: int

    def value(self, amount: int, rounding: Rounding = Rounding.FLOOR) -> int:
        """Value in the base currency."""
        return divide(amount * self.price, self.terms.unit, rounding)


@atomic
def liquidate(pool: Pool, call: LiquidationCall) -> Liquidated:
    """Repay debt of an unhealthy borrower against collateral with a bonus. Source: executeLiquidationCall."""
    _accrue(pool, call)
    check_liquidation(pool, call.liquidator, call.borrower, call.debt, call.collateral)
    before = pool.account_data(call.borrower)
    debt = _side(pool, call.debt, pool.owed(call.borrower, call.debt))
    collateral = _side(pool, call.collateral, pool.supplied(call.borrower, call.collateral))
    wanted = min(call.debt_to_cover, _closable(pool, before, debt, collateral))
    done = _seizable(pool, call, debt, collateral, wanted)
    if pool.rules.burns_bad_debt:
        _check_rest(pool, debt, collateral, done)
    seized = done.collateral + done.protocol_fee
    if seized == collateral.balance:
        pool.set_collateral(call.borrower, call.collateral, False)
    leaves_nothing = pool.rules.burns_bad_debt and before.collateral_value == collateral.value(seized)
    _close_debt(pool, call.borrower, call.debt, debt.balance, done.debt, is_bad=leaves_nothing)
    _hand_over(pool, call, done.collateral)
    _pay_fee(pool, call, done.protocol_fee)
    if leaves_nothing:
        _burn_bad_debt(pool, call.borrower)
    pool.receive(call.debt, done.debt)
    return done


def _accrue(pool: Pool, call: LiquidationCall) -> None:
    """Accrue the debt reserve, and in 3.6 the collateral reserve with it."""
    stored = pool.reserves[call.debt].accrued_to_treasury
    reserve = pool.accrue(call.debt)
    if not pool.rules.accrues_both_roles:
        return
    if call.debt != call.collateral:
        pool.accrue(call.collateral)
        return
    # Both caches hold the old state, so the treasury's share of the same interest is added a second time.
    twice = reserve.accrued_to_treasury + (reserve.accrued_to_treasury - stored)
    pool.reserves[call.debt] = replace(reserve, accrued_to_treasury=twice)


def _side(pool: Pool, symbol: str, balance: int) -> _Side:
    return _Side(pool.reserves[symbol].terms, pool.prices[symbol], balance)


def _closable(pool: Pool, before: AccountData, debt: _Side, collateral: _Side) -> int:
    """Return how much debt the close factor lets go, in wei.

    3.0.2: the share of this debt. 3.6: the share of all debt of the borrower, and all of this debt where collateral or
    debt is small. Source: _calculateDebt (3.0.2), executeLiquidationCall (3.6).
    """
    rules = pool.rules
    is_limited = before.health_factor > rules.close_factor_health
    if not rules.burns_bad_debt:
        return percent_mul(debt.balance, rules.close_factor_bps) if is_limited else debt.balance
    debt_value = debt.value(debt.balance, rules.debt_value)
    smaller = min(collateral.value(collateral.balance), debt_value)
    most = percent_mul(before.debt_value, rules.close_factor_bps)
    if not is_limited or smaller < rules.small_position or debt_value <= most:
        return debt.balance
    return divide(most * debt.terms.unit, debt.price, Rounding.FLOOR)


def _seizable(pool: Pool, call: LiquidationCall, debt: _Side, collateral: _Side, wanted: int) -> Liquidated:
    """Return debt repaid, collateral and fee for the debt wanted. Source: _calculateAvailableCollateralToLiquidate."""
    bonus = liquidation_bonus_of(collateral.terms, pool.category_of(call.borrower))
    base = divide(debt.price * wanted * collateral.terms.unit, collateral.price * debt.terms.unit, Rounding.FLOOR)
    seized, repaid = percent_mul(base, bonus), wanted
    if seized > collateral.balance:
        seized = collateral.balance
        worth = divide(collateral.price * seized * debt.terms.unit, debt.price * collateral.terms.unit, Rounding.FLOOR)
        repaid = percent_div(worth, bonus, pool.rules.debt_of_seized)
    fee = percent_mul(seized - percent_div(seized, bonus), collateral.terms.liquidation_protocol_fee_bps)
    return Liquidated(repaid, seized - fee, fee)


def _check_rest(pool: Pool, debt: _Side, collateral: _Side, done: Liquidated) -> None:
    """Require that nothing of one side, or enough of both, is left (3.3 and later)."""
    rest = debt.balance - done.debt
    collateral_rest = collateral.balance - done.collateral - done.protocol_fee
    if rest <= 0 or collateral_rest <= 0:
        return
    least = pool.rules.smallest_rest
    is_enough = debt.value(rest, pool.rules.debt_value) >= least and collateral.value(collateral_rest) >= least
    pool.rules.require(is_enough, Fault.MUST_NOT_LEAVE_DUST)


def _close_debt(pool: Pool, borrower: str, symbol: str, owed: int, repaid: int, *, is_bad: bool) -> None:
    """Burn the debt repaid, or all of it into the deficit if no collateral is left. Source: _burnDebtTokens."""
    is_scaled_debt_gone = pool.burn_debt(borrower, symbol, owed if is_bad else repaid)
    rest = minus(owed, repaid) if pool.rules.burns_bad_debt else owed - repaid
    if is_bad:
        reserve = pool.reserves[symbol]
        pool.reserves[symbol] = replace(reserve, deficit=reserve.deficit + rest)
    if is_scaled_debt_gone if pool.rules.checks_scaled_amounts else rest == 0:
        pool.set_borrowing(borrower, symbol, False)
    pool.update_rates(symbol, added=repaid)


def _hand_over(pool: Pool, call: LiquidationCall, amount: int) -> None:
    """Give the liquidator the collateral. Source: _burnCollateralATokens, _liquidateATokens."""
    rules, symbol = pool.rules, call.collateral
    if not call.receives_supply:
        reserve = pool.accrue(symbol)
        pool.update_rates(symbol, taken=amount)
        pool.burn_supply(call.borrower, symbol, ray_div(amount, reserve.liquidity_index, rules.supply_burn))
        pool.pay_out(symbol, amount)
        return
    had_none = pool.supplied(call.liquidator, symbol) == 0
    scaled = ray_div(amount, pool.income(symbol), rules.supply_transfer)
    pool.move_supply(call.borrower, call.liquidator, symbol, scaled)
    if had_none and rules.enables_received_collateral and can_be_collateral(pool, call.liquidator, symbol):
        pool.set_collateral(call.liquidator, symbol, True)


def _pay_fee(pool: Pool, call: LiquidationCall, fee: int) -> None:
    """Move the protocol's share of the bonus to the treasury as aTokens, at most what rounding has left."""
    if fee == 0:
        return
    index, left = pool.income(call.collateral), pool.account(call.borrower).supplied.get(call.collateral, 0)
    scaled = ray_div(fee, index, pool.rules.supply_transfer)
    pool.move_supply(call.borrower, pool.terms.treasury, call.collateral, min(scaled, left))


def _burn_bad_debt(pool: Pool, borrower: str) -> None:
    """Burn every other debt of a borrower without collateral into its reserve's deficit. Source: _burnBadDebt."""
    for symbol, reserve in list(pool.reserves.items()):
        if symbol in pool.account(borrower).borrowing and reserve.terms.is_active:
            pool.accrue(symbol)
            _close_debt(pool, borrower, symbol, pool.owed(borrower, symbol), 0, is_bad=True)
