"""All reserves and users of a market at one instant, changed by atomic actions.

The values inside (``Reserve``, ``Account``) are frozen; the pool replaces them. So a copy is two dictionaries, and an
action that reverts puts the dictionaries of before it back: nothing of it has happened. Source: Pool.sol, AToken.sol,
VariableDebtToken.sol, ScaledBalanceTokenBase.sol of both versions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from dataflow.maths.lending.accounts import NO_EMODE, Account, AccountData, EModeCategory, Valuation, account_data
from dataflow.maths.lending.fixed_point import minus, ray_div, ray_mul
from dataflow.maths.lending.reserve import Reserve, accrued, normalised_debt, normalised_income, with_rates
from dataflow.maths.lending.reverts import Fault
from dataflow.maths.lending.rules import AAVE_V3_6, Rules

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTerms:
    """What does not change while the pool runs. Flash premium in basis points, the protocol's share of it too."""

    rules: Rules = AAVE_V3_6
    categories: Mapping[int, EModeCategory] = field(default_factory=dict)
    flash_premium_bps: int = 5
    flash_premium_to_protocol_bps: int = 0
    """Only where premiums are paid to suppliers (3.0.2)."""
    treasury: str = "treasury"
    """User that receives minted treasury shares and liquidation fees."""


@dataclass(slots=True, kw_only=True)
class Pool:
    """The state of a market. Amounts are token wei, prices 1e8 a US dollar, ``now`` Unix seconds.

    Users hold as much of the underlying as they pay in: wallets are outside the model.
    """

    terms: PoolTerms
    reserves: dict[str, Reserve]
    """In the order in which they were listed, which is the order of all loops over them."""
    prices: dict[str, int]
    now: int
    accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def rules(self) -> Rules:
        """Rules of the version."""
        return self.terms.rules

    def copy(self) -> "Pool":
        """Return an independent pool in the same state."""
        return replace(self, reserves=dict(self.reserves), prices=dict(self.prices), accounts=dict(self.accounts))

    # What a caller reads

    def account(self, user: str) -> Account:
        """Balances and flags of a user; empty for one never seen."""
        return self.accounts.get(user, Account())

    def category_of(self, user: str) -> EModeCategory | None:
        """E-mode category of a user, None outside e-mode."""
        emode = self.account(user).emode
        return None if emode == NO_EMODE else self.terms.categories[emode]

    def income(self, symbol: str) -> int:
        """Liquidity index now, ray."""
        return normalised_income(self.reserves[symbol], self.now, self.rules)

    def debt_index(self, symbol: str) -> int:
        """Variable borrow index now, ray."""
        return normalised_debt(self.reserves[symbol], self.now, self.rules)

    def supplied(self, user: str, symbol: str) -> int:
        """Balance of aTokens a user sees. Source: AToken.balanceOf."""
        return ray_mul(self.account(user).supplied.get(symbol, 0), self.income(symbol), self.rules.supply_balance)

    def owed(self, user: str, symbol: str) -> int:
        """Variable debt a user sees. Source: VariableDebtToken.balanceOf."""
        return ray_mul(self.account(user).borrowed.get(symbol, 0), self.debt_index(symbol), self.rules.debt_balance)

    def total_supply(self, symbol: str) -> int:
        """Amount of aTokens in existence, without what is accrued to the treasury. Source: AToken.totalSupply."""
        return ray_mul(self.reserves[symbol].scaled_supply, self.income(symbol), self.rules.supply_balance)

    def account_data(self, user: str) -> AccountData:
        """Value, LTV, health factor of a user. Source: Pool.getUserAccountData."""
        valuation = Valuation(self.reserves, self.prices, self.now, self.rules)
        return account_data(self.account(user), self.category_of(user), valuation)

    # What the actions do to it

    def accrue(self, symbol: str) -> Reserve:
        """Accrue interest of a reserve up to now and return it. Source: ReserveLogic.updateState."""
        reserve = accrued(self.reserves[symbol], self.now, self.rules)
        self.reserves[symbol] = reserve
        return reserve

    def update_rates(self, symbol: str, *, added: int = 0, taken: int = 0) -> None:
        """Set the rates that follow from what an action moved in and out."""
        self.reserves[symbol] = with_rates(self.reserves[symbol], self.rules, added=added, taken=taken)

    def receive(self, symbol: str, amount: int) -> None:
        """Move underlying from a wallet to the aToken contract."""
        reserve = self.reserves[symbol]
        self.reserves[symbol] = replace(reserve, cash=reserve.cash + amount)

    def pay_out(self, symbol: str, amount: int) -> None:
        """Move underlying from the aToken contract to a wallet."""
        reserve = self.reserves[symbol]
        self.rules.require(amount <= reserve.cash, Fault.TOKEN_BALANCE)
        self.reserves[symbol] = replace(reserve, cash=reserve.cash - amount)

    def set_collateral(self, user: str, symbol: str, is_used: bool) -> None:
        """Flag a reserve as collateral of a user, or not."""
        self.accounts[user] = self.account(user).with_collateral(symbol, is_used)

    def set_borrowing(self, user: str, symbol: str, is_borrowing: bool) -> None:
        """Flag a reserve as borrowed by a user, or not."""
        self.accounts[user] = self.account(user).with_borrowing(symbol, is_borrowing)

    def mint_supply(self, user: str, symbol: str, scaled: int) -> bool:
        """Mint scaled aTokens; tell whether the user had none. Source: AToken.mint, _mintScaled."""
        self.rules.require(scaled != 0, Fault.INVALID_MINT_AMOUNT)
        reserve, before = self.reserves[symbol], self.account(user).supplied.get(symbol, 0)
        self.reserves[symbol] = replace(reserve, scaled_supply=reserve.scaled_supply + scaled)
        self.accounts[user] = self.account(user).with_supplied(symbol, before + scaled)
        return before == 0

    def burn_supply(self, user: str, symbol: str, scaled: int) -> bool:
        """Burn scaled aTokens; tell whether the user has none left. Source: AToken.burn, _burnScaled."""
        self.rules.require(scaled != 0, Fault.INVALID_BURN_AMOUNT)
        reserve, before = self.reserves[symbol], self.account(user).supplied.get(symbol, 0)
        self.accounts[user] = self.account(user).with_supplied(symbol, minus(before, scaled))
        self.reserves[symbol] = replace(reserve, scaled_supply=minus(reserve.scaled_supply, scaled))
        return before == scaled

    def move_supply(self, sender: str, recipient: str, symbol: str, scaled: int) -> None:
        """Move scaled aTokens between users, without any check of the pool. Source: IncentivizedERC20._transfer."""
        before = self.account(sender).supplied.get(symbol, 0)
        self.accounts[sender] = self.account(sender).with_supplied(symbol, minus(before, scaled))
        held = self.account(recipient).supplied.get(symbol, 0)
        self.accounts[recipient] = self.account(recipient).with_supplied(symbol, held + scaled)

    def mint_debt(self, user: str, symbol: str, scaled: int) -> None:
        """Mint scaled debt. Source: VariableDebtToken.mint."""
        self.rules.require(scaled != 0, Fault.INVALID_MINT_AMOUNT)
        reserve, before = self.reserves[symbol], self.account(user).borrowed.get(symbol, 0)
        self.reserves[symbol] = replace(reserve, scaled_debt=reserve.scaled_debt + scaled)
        self.accounts[user] = self.account(user).with_borrowed(symbol, before + scaled)

    def burn_debt(self, user: str, symbol: str, amount: int) -> bool:
        """Burn debt worth an amount of underlying; tell whether none is left. Source: VariableDebtToken.burn."""
        scaled = ray_div(amount, self.reserves[symbol].variable_borrow_index, self.rules.debt_burn)
        self.rules.require(scaled != 0, Fault.INVALID_BURN_AMOUNT)
        reserve, before = self.reserves[symbol], self.account(user).borrowed.get(symbol, 0)
        self.accounts[user] = self.account(user).with_borrowed(symbol, minus(before, scaled))
        self.reserves[symbol] = replace(reserve, scaled_debt=minus(reserve.scaled_debt, scaled))
        return before == scaled


def atomic(
    action: Callable[Concatenate[Pool, _Arguments], _Result],
) -> Callable[Concatenate[Pool, _Arguments], _Result]:
    """Make an action all or nothing: whatever is raised inside it, the pool is as it was before."""

    @wraps(action)
    def all_or_nothing(pool: Pool, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        before = pool.copy()
        is_done = False
        try:
            result = action(pool, *args, **kwargs)
            is_done = True
            return result
        finally:
            if not is_done:
                pool.reserves, pool.prices, pool.accounts, pool.now = (
                    before.reserves,
                    before.prices,
                    before.accounts,
                    before.now,
                )

    return all_or_nothing
