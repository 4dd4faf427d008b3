"""Actions of suppliers: supply, withdraw, transfer, collateral flag, e-mode, treasury mint.

Amounts are token wei; ``MAX_UINT256`` is everything. Every action reverts with ``AaveRevertError`` and then has changed
nothing. Source: SupplyLogic.sol, EModeLogic.sol, PoolLogic.sol, AToken.sol of both versions.
"""

from dataclasses import replace

from dataflow.maths.lending.checks import (
    can_be_collateral,
    check_emode,
    check_healthy,
    check_healthy_without,
    check_open,
    check_supply,
    check_withdraw,
)
from dataflow.maths.lending.fixed_point import MAX_UINT256, ray_div, ray_mul
from dataflow.maths.lending.pool import Pool, atomic
from dataflow.maths.lending.reverts import Fault


@atomic
def supply(pool: Pool, user: str, symbol: str, amount: int) -> int:
    """Supply underlying; the first supply of a reserve becomes collateral. Returns the amount.

    Source: executeSupply.
    """
    reserve = pool.accrue(symbol)
    scaled = ray_div(amount, reserve.liquidity_index, pool.rules.supply_mint)
    check_supply(pool, reserve, amount, scaled)
    pool.update_rates(symbol, added=amount)
    pool.receive(symbol, amount)
    if pool.mint_supply(user, symbol, scaled) and can_be_collateral(pool, user, symbol):
        pool.set_collateral(user, symbol, True)
    return amount


@atomic
def withdraw(pool: Pool, user: str, symbol: str, amount: int) -> int:
    """Withdraw underlying. Returns the amount withdrawn. Source: executeWithdraw."""
    reserve = pool.accrue(symbol)
    held_scaled = pool.account(user).supplied.get(symbol, 0)
    held = ray_mul(held_scaled, reserve.liquidity_index, pool.rules.supply_balance)
    paid = held if amount == MAX_UINT256 else amount
    if amount == MAX_UINT256 and pool.rules.checks_scaled_amounts:
        scaled = held_scaled
    else:
        scaled = ray_div(paid, reserve.liquidity_index, pool.rules.supply_burn)
    if pool.rules.checks_scaled_amounts:
        check_withdraw(pool, reserve.terms, scaled, held_scaled)
        is_all = scaled == held_scaled
    else:
        check_withdraw(pool, reserve.terms, paid, held)
        is_all = paid == held
    pool.update_rates(symbol, taken=paid)
    pool.burn_supply(user, symbol, scaled)
    pool.pay_out(symbol, paid)
    _release_collateral(pool, user, symbol, is_all=is_all)
    return paid


def _release_collateral(pool: Pool, user: str, symbol: str, *, is_all: bool) -> None:
    """Clear the flag of collateral that is gone and require health of who still owes."""
    account = pool.account(user)
    if symbol not in account.collateral:
        return
    if is_all:
        pool.set_collateral(user, symbol, False)
    if account.borrowing:
        check_healthy_without(pool, user, symbol)


@atomic
def transfer_supply(pool: Pool, sender: str, recipient: str, symbol: str, amount: int) -> None:
    """Send aTokens to another user. Source: AToken._transfer, executeFinalizeTransfer."""
    rules, index = pool.rules, pool.income(symbol)
    scaled = ray_div(amount, index, rules.supply_transfer)
    sent_before, received_before = (pool.account(user).supplied.get(symbol, 0) for user in (sender, recipient))
    pool.move_supply(sender, recipient, symbol, scaled)
    rules.require(not pool.reserves[symbol].terms.is_paused, Fault.RESERVE_PAUSED)
    moved = scaled if rules.checks_scaled_amounts else amount
    if sender == recipient or moved == 0:
        return
    if rules.checks_scaled_amounts:
        _release_collateral(pool, sender, symbol, is_all=sent_before == scaled)
        return
    if symbol in pool.account(sender).collateral:
        if pool.account(sender).borrowing:
            check_healthy_without(pool, sender, symbol)
        if ray_mul(sent_before, index, rules.supply_balance) == amount:
            pool.set_collateral(sender, symbol, False)
    had_none = ray_mul(received_before, index, rules.supply_balance) == 0
    if had_none and rules.enables_received_collateral and can_be_collateral(pool, recipient, symbol):
        pool.set_collateral(recipient, symbol, True)


@atomic
def use_as_collateral(pool: Pool, user: str, symbol: str, is_used: bool) -> None:
    """Use a supply as collateral, or not. Source: executeUseReserveAsCollateral."""
    rules, terms = pool.rules, pool.reserves[symbol].terms
    if not rules.checks_scaled_amounts:
        rules.require(pool.supplied(user, symbol) != 0, Fault.UNDERLYING_BALANCE_ZERO)
    check_open(pool, terms)
    if is_used == (symbol in pool.account(user).collateral):
        return
    if not is_used:
        pool.set_collateral(user, symbol, False)
        check_healthy_without(pool, user, symbol)
        return
    rules.require(pool.account(user).supplied.get(symbol, 0) != 0, Fault.UNDERLYING_BALANCE_ZERO)
    rules.require(can_be_collateral(pool, user, symbol), Fault.LTV_ZERO)
    pool.set_collateral(user, symbol, True)


@atomic
def set_emode(pool: Pool, user: str, emode: int) -> None:
    """Enter an e-mode category, or leave with 0. Source: executeSetUserEMode."""
    before = pool.account(user).emode
    if pool.rules.has_emode_sets and before == emode:
        return
    check_emode(pool, user, emode)
    pool.accounts[user] = replace(pool.account(user), emode=emode)
    if pool.rules.has_emode_sets or before != 0:
        check_healthy(pool, user)


@atomic
def mint_to_treasury(pool: Pool, symbol: str) -> None:
    """Mint to the treasury what has accrued to it; no interest accrues. Source: executeMintToTreasury."""
    reserve = pool.reserves[symbol]
    if not reserve.terms.is_active or reserve.accrued_to_treasury == 0:
        return
    pool.reserves[symbol] = replace(reserve, accrued_to_treasury=0)
    scaled = reserve.accrued_to_treasury
    if not pool.rules.checks_scaled_amounts:
        index = pool.income(symbol)
        scaled = ray_div(ray_mul(scaled, index, pool.rules.supply_balance), index, pool.rules.supply_mint)
    pool.mint_supply(pool.terms.treasury, symbol, scaled)
