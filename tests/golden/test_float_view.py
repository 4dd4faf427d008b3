"""Law 10, second half: the float64 view is within 1e-6 relative of version 3.6, dust excluded.

A shadow ledger holds scaled units in float64, as the platform's position keys do: it applies the amounts of the golden
actions through the float view and never looks at an integer balance. After every step what its units are worth, and
the health factor from them, is compared with the contracts'. Dust is what is below 1e-9 of the largest amount the
reserve has seen: the platform clears such balances (domain, ruling 8).
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.lending import borrow_index, health_factor, supply_index, underlying_of
from dataflow.maths.lending.accounts import AccountData
from dataflow.maths.lending.fixed_point import MAX_UINT256, PERCENT, RAY, WAD, ray_div, ray_mul
from dataflow.maths.lending.pool import Pool
from dataflow.maths.lending.rules import AAVE_V3_6
from schemas.units import NOT_APPLICABLE, from_ray, from_wei
from tests.golden.vectors import Json, replay

RELATIVE_TOLERANCE = 1e-6
DUST = 1e-9
"""Of the largest amount moved in a reserve."""
BASE_DECIMALS = 8
"""The oracle's prices are 1e8 a US dollar."""
DOLLAR = 100_000_000

Holding = tuple[str, str]
"""A user and a reserve."""


@dataclass
class FloatLedger:
    """Scaled units in float64 and the largest amount moved, by reserve."""

    pool: Pool
    supplied: dict[Holding, float] = field(default_factory=lambda: defaultdict(float))
    owed: dict[Holding, float] = field(default_factory=lambda: defaultdict(float))
    largest: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def supply(self, user: str, symbol: str, amount: int) -> None:
        """Add (below zero: take) an amount of underlying at the liquidity index of now."""
        tokens = self._tokens(symbol, amount)
        self.supplied[user, symbol] += tokens * supply_index(from_ray(self.pool.income(symbol)))

    def borrow(self, user: str, symbol: str, amount: int) -> None:
        """Add (below zero: repay) an amount of debt at the variable borrow index of now."""
        tokens = self._tokens(symbol, amount)
        self.owed[user, symbol] += tokens * borrow_index(from_ray(self.pool.debt_index(symbol)))

    def _tokens(self, symbol: str, amount: int) -> float:
        decimals = self.pool.reserves[symbol].terms.decimals
        tokens = math.copysign(from_wei(abs(amount), decimals), amount)
        self.largest[symbol] = max(self.largest[symbol], abs(tokens))
        return tokens

    def apply(self, step: Json) -> None:
        """Apply what an action that went through moved."""
        action = step["action"]
        result: Any = step.get("result")
        user, symbol = action.get("user"), action.get("asset", "WETH")
        match action["type"]:
            case "supply":
                self.supply(user, symbol, result)
            case "withdraw":
                self.supply(user, symbol, -result)
            case "borrow":
                self.borrow(user, symbol, result)
            case "repay":
                self.borrow(user, symbol, -result)
            case "repayWithATokens":
                self.borrow(user, symbol, -result)
                self.supply(user, symbol, -result)
            case "transferAToken":
                self.supply(user, symbol, -action["amount"])
                self.supply(action["to"], symbol, action["amount"])
            case "liquidate":
                self._liquidate(action, *result)
            case "open":
                self.supply(user, "weETH", result["lst"])
                self.borrow(user, symbol, action["flash"] + result["premium"])
            case "close":
                self.borrow(user, symbol, -result["repaid"])
                self.supply(user, "weETH", -result["lst"])

    def _liquidate(self, action: Json, debt: int, collateral: int, fee: int) -> None:
        borrower = action["borrower"]
        self.borrow(borrower, action["asset"], -debt)
        self.supply(borrower, action["collateral"], -(collateral + fee))
        if not self.pool.account(borrower).borrowing:
            # The rest of a debt without collateral is written off, not repaid.
            self.owed.update({(user, symbol): 0.0 for user, symbol in self.owed if user == borrower})

    def balances(self, user: str) -> Iterator[tuple[str, float, float]]:
        """Yield a reserve, what the float view says a user has or owes there, and what the contracts say, in tokens."""
        for symbol, reserve in self.pool.reserves.items():
            decimals = reserve.terms.decimals
            supplied = underlying_of(self.supplied[user, symbol], from_ray(self.pool.income(symbol)))
            yield symbol, supplied, from_wei(self.pool.supplied(user, symbol), decimals)
            owed = underlying_of(self.owed[user, symbol], from_ray(self.pool.debt_index(symbol)))
            yield symbol, owed, from_wei(self.pool.owed(user, symbol), decimals)

    def health_factor(self, user: str) -> float:
        """Health factor of a user by the float view."""
        account, category = self.pool.account(user), self.pool.category_of(user)
        values, thresholds, debt = [], [], 0.0
        for symbol, reserve in self.pool.reserves.items():
            price = from_wei(self.pool.prices[symbol], BASE_DECIMALS)
            if symbol in account.collateral:
                in_category = category is not None and symbol in category.collateral
                terms = category if category is not None and in_category else reserve.terms
                values.append(underlying_of(self.supplied[user, symbol], from_ray(self.pool.income(symbol))) * price)
                thresholds.append(terms.liquidation_threshold_bps / PERCENT)
            debt += underlying_of(self.owed[user, symbol], from_ray(self.pool.debt_index(symbol))) * price
        return health_factor(values, thresholds, debt)


def has_debt(data: AccountData) -> bool:
    """Whether a user owes a dollar: below, the contracts' own unit of 1e-8 dollars is no dust to them."""
    return data.debt_value >= DOLLAR


@pytest.mark.parametrize("name", ["random@3.6", "emode_flash_loop@3.6", "liquidation@3.6"])
def test_float_view_is_within_a_millionth_of_the_contracts(name: str, vectors: Json) -> None:
    scenario, compared, health_factors = vectors["scenarios"][name], 0, 0
    users = [user for user in scenario["users"] if user != "treasury"]
    ledger: FloatLedger | None = None
    for step, pool, _ in replay(vectors, scenario, AAVE_V3_6):
        ledger = ledger or FloatLedger(pool)
        if step.get("ok"):
            ledger.apply(step)
        for user in users:
            for symbol, found, expected in ledger.balances(user):
                dust = DUST * ledger.largest[symbol]
                assert found == pytest.approx(expected, rel=RELATIVE_TOLERANCE, abs=dust), (step["i"], user, symbol)
                compared += expected > dust
            if has_debt(pool.account_data(user)):
                expected = from_wei(pool.account_data(user).health_factor, 18)
                assert ledger.health_factor(user) == pytest.approx(expected, rel=RELATIVE_TOLERANCE), (step["i"], user)
                health_factors += 1
    assert compared > 0
    assert health_factors > 0


indexes = st.integers(min_value=RAY, max_value=5 * RAY)
amounts = st.integers(min_value=10**12, max_value=10**27)


@given(amount=amounts, index=indexes, later=indexes)
def test_a_supply_is_worth_the_same_in_floats_and_integers(amount: int, index: int, later: int) -> None:
    rules = AAVE_V3_6
    exact = ray_mul(ray_div(amount, index, rules.supply_mint), later, rules.supply_balance)
    units = from_wei(amount, 18) * supply_index(from_ray(index))
    assert underlying_of(units, from_ray(later)) == pytest.approx(from_wei(exact, 18), rel=RELATIVE_TOLERANCE)


@given(amount=amounts, index=indexes, later=indexes)
def test_a_debt_is_worth_the_same_in_floats_and_integers(amount: int, index: int, later: int) -> None:
    rules = AAVE_V3_6
    exact = ray_mul(ray_div(amount, index, rules.debt_mint), later, rules.debt_balance)
    units = from_wei(amount, 18) * borrow_index(from_ray(index))
    assert underlying_of(units, from_ray(later)) == pytest.approx(from_wei(exact, 18), rel=RELATIVE_TOLERANCE)


def test_no_debt_is_said_in_each_views_own_way(vectors: Json) -> None:
    _, pool, _ = next(replay(vectors, vectors["scenarios"]["random@3.6"], AAVE_V3_6))
    assert pool.account_data("alice").health_factor == MAX_UINT256 > WAD
    assert FloatLedger(pool).health_factor("alice") == NOT_APPLICABLE
