"""One user: scaled balances, flags, e-mode; and what the pool makes of them (value, LTV, health factor).

Source: UserConfiguration.sol, GenericLogic.sol, PoolLogic.executeGetUserAccountData of both versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from dataflow.maths.lending.fixed_point import MAX_UINT256, PERCENT, divide, percent_mul, ray_mul, wad_div
from dataflow.maths.lending.reserve import Reserve, ReserveTerms, normalised_debt, normalised_income
from dataflow.maths.lending.rules import Rules

NO_EMODE: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EModeCategory:
    """An efficiency-mode category. Before 3.2 ``collateral`` and ``borrowable`` are both the reserves in it."""

    ltv_bps: int
    liquidation_threshold_bps: int
    liquidation_bonus_bps: int
    collateral: frozenset[str]
    borrowable: frozenset[str]
    ltv_zero: frozenset[str] = frozenset()
    """Collateral whose loan-to-value ratio inside the category is 0 (3.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Balances (scaled, by reserve) and flags of a user."""

    supplied: Mapping[str, int] = field(default_factory=dict)
    borrowed: Mapping[str, int] = field(default_factory=dict)
    collateral: frozenset[str] = frozenset()
    borrowing: frozenset[str] = frozenset()
    emode: int = NO_EMODE

    def with_supplied(self, symbol: str, scaled: int) -> "Account":
        """Return the account with another scaled supply."""
        return replace(self, supplied={**self.supplied, symbol: scaled})

    def with_borrowed(self, symbol: str, scaled: int) -> "Account":
        """Return the account with another scaled debt."""
        return replace(self, borrowed={**self.borrowed, symbol: scaled})

    def with_collateral(self, symbol: str, is_used: bool) -> "Account":
        """Return the account with the reserve used as collateral, or not."""
        flag = frozenset((symbol,))
        return replace(self, collateral=self.collateral | flag if is_used else self.collateral - flag)

    def with_borrowing(self, symbol: str, is_borrowing: bool) -> "Account":
        """Return the account with the reserve flagged as borrowed, or not."""
        flag = frozenset((symbol,))
        return replace(self, borrowing=self.borrowing | flag if is_borrowing else self.borrowing - flag)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountData:
    """The six numbers of ``getUserAccountData``, and whether some collateral has no loan-to-value ratio.

    Values in the base currency (1e8 a US dollar), ratios in basis points, health factor a wad, 2^256-1 without debt.
    """

    collateral_value: int
    debt_value: int
    available_borrows: int
    liquidation_threshold_bps: int
    ltv_bps: int
    health_factor: int
    has_zero_ltv_collateral: bool


@dataclass(frozen=True, slots=True)
class Valuation:
    """What turns balances into values at one instant: reserves, oracle prices (1e8 a US dollar), the time."""

    reserves: Mapping[str, Reserve]
    prices: Mapping[str, int]
    now: int
    rules: Rules

    def collateral_value(self, account: Account, symbol: str) -> int:
        """Value of a supply, cut. Source: GenericLogic._getUserBalanceInBaseCurrency."""
        reserve = self.reserves[symbol]
        index = normalised_income(reserve, self.now, self.rules)
        balance = ray_mul(account.supplied.get(symbol, 0), index, self.rules.supply_balance)
        return balance * self.prices[symbol] // reserve.terms.unit

    def debt_value(self, account: Account, symbol: str) -> int:
        """Value of a debt. Source: GenericLogic._getUserDebtInBaseCurrency."""
        reserve = self.reserves[symbol]
        index = normalised_debt(reserve, self.now, self.rules)
        balance = ray_mul(account.borrowed.get(symbol, 0), index, self.rules.debt_balance)
        return divide(balance * self.prices[symbol], reserve.terms.unit, self.rules.debt_value)


def account_data(account: Account, category: EModeCategory | None, valuation: Valuation) -> AccountData:
    """Values, ratios and health factor of a user. Source: GenericLogic.calculateUserAccountData.

    category: that of the account, None outside e-mode.
    """
    rules = valuation.rules
    collateral = by_ltv = by_threshold = debt = 0
    has_zero_ltv = False
    for symbol, reserve in valuation.reserves.items():
        if symbol in account.collateral and (reserve.terms.liquidation_threshold_bps or rules.has_emode_sets):
            value = valuation.collateral_value(account, symbol)
            ltv = ltv_of(reserve.terms, category, rules)
            collateral += value
            by_ltv += value * ltv
            by_threshold += value * _liquidation_threshold(reserve.terms, category)
            has_zero_ltv = has_zero_ltv or ltv == 0
        if symbol in account.borrowing:
            debt += valuation.debt_value(account, symbol)
    ltv_bps = by_ltv // collateral if collateral else 0
    return AccountData(
        collateral_value=collateral,
        debt_value=debt,
        available_borrows=max(percent_mul(collateral, ltv_bps, rules.available_borrows) - debt, 0),
        liquidation_threshold_bps=by_threshold // collateral if collateral else 0,
        ltv_bps=ltv_bps,
        health_factor=_health_factor(collateral, by_threshold, debt, rules),
        has_zero_ltv_collateral=has_zero_ltv,
    )


def ltv_of(terms: ReserveTerms, category: EModeCategory | None, rules: Rules) -> int:
    """Loan-to-value ratio of a collateral for this user, basis points.

    Source: ValidationLogic.getUserReserveLtv (3.6); GenericLogic (3.0.2), where a reserve whose own ratio is 0 has none
    inside a category either.
    """
    if category is None or terms.symbol not in category.collateral:
        return terms.ltv_bps
    if rules.has_emode_sets:
        return 0 if terms.symbol in category.ltv_zero else category.ltv_bps
    return category.ltv_bps if terms.ltv_bps else 0


def liquidation_bonus_of(terms: ReserveTerms, category: EModeCategory | None) -> int:
    """Bonus for seizing a collateral of this user, basis points of what was repaid (10,500 is 5 % more)."""
    if category is None or terms.symbol not in category.collateral:
        return terms.liquidation_bonus_bps
    return category.liquidation_bonus_bps


def _liquidation_threshold(terms: ReserveTerms, category: EModeCategory | None) -> int:
    if category is None or terms.symbol not in category.collateral:
        return terms.liquidation_threshold_bps
    return category.liquidation_threshold_bps


def _health_factor(collateral: int, by_threshold: int, debt: int, rules: Rules) -> int:
    """Return the health factor as a wad; by_threshold is the sum of value x liquidation threshold."""
    if debt == 0:
        return MAX_UINT256
    if rules.cuts_average_threshold:
        average = by_threshold // collateral if collateral else 0
        return wad_div(percent_mul(collateral, average), debt)
    return wad_div(by_threshold, debt) // PERCENT
