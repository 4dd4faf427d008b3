"""The rules of the lending contracts that the golden vectors do not reach, each by a case to check by hand.

Caps and flags of a reserve, the order of two reasons, dust, small positions, e-mode, self-liquidation, aTokens instead
of underlying, amounts of zero, actions inside a flash loan. A rule that differs between versions is asserted in both.
Sources are those of the modules under test.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.lending.accounts import EModeCategory
from dataflow.maths.lending.borrowing import borrow, repay, repay_with_supply
from dataflow.maths.lending.fixed_point import MAX_UINT256, RAY, WAD, Rounding, divide
from dataflow.maths.lending.flash_loans import flash_borrow, flash_loan
from dataflow.maths.lending.interest import debt_growth, supply_growth
from dataflow.maths.lending.interest_rates import RateStrategy
from dataflow.maths.lending.liquidation import Liquidated, LiquidationCall, liquidate
from dataflow.maths.lending.pool import Pool, PoolTerms
from dataflow.maths.lending.reserve import Reserve, ReserveTerms
from dataflow.maths.lending.reverts import AaveRevertError, Fault
from dataflow.maths.lending.rules import AAVE_V3_0_2, AAVE_V3_6, VERSIONS, Rules
from dataflow.maths.lending.supplying import (
    mint_to_treasury,
    set_emode,
    supply,
    transfer_supply,
    use_as_collateral,
    withdraw,
)
from schemas.error_codes import ErrorCode
from schemas.units import from_ray, from_wei, to_ray, to_wei

DOLLAR = 10**8
USDT = 10**6
ETH = 10**18
STRATEGY = RateStrategy(optimal_usage_bps=9_000, base_bps=0, slope1_bps=400, slope2_bps=6_000)
EMODE = 1

both_versions = pytest.mark.parametrize("rules", list(VERSIONS.values()), ids=list(VERSIONS))


def terms(symbol: str, decimals: int) -> ReserveTerms:
    return ReserveTerms(
        symbol=symbol,
        decimals=decimals,
        strategy=STRATEGY,
        ltv_bps=8_000,
        liquidation_threshold_bps=8_500,
        liquidation_bonus_bps=10_500,
        reserve_factor_bps=1_000,
        liquidation_protocol_fee_bps=1_000,
    )


def market(rules: Rules, **changes: object) -> Pool:
    """USDT and two coins at $2,000 of which only ETH and stETH are in the e-mode; changes apply to ETH's terms."""
    in_emode = frozenset({"ETH", "stETH"})
    category = EModeCategory(
        ltv_bps=9_300,
        liquidation_threshold_bps=9_500,
        liquidation_bonus_bps=10_100,
        collateral=in_emode,
        borrowable=in_emode,
    )
    listed = (terms("USDT", 6), replace(terms("ETH", 18), **changes), terms("stETH", 18))  # type: ignore[arg-type]
    pool = Pool(
        terms=PoolTerms(rules=rules, categories={EMODE: category}),
        reserves={item.symbol: Reserve(terms=item) for item in listed},
        prices={"USDT": DOLLAR, "ETH": 2_000 * DOLLAR, "stETH": 2_000 * DOLLAR},
        now=1_700_000_000,
    )
    supply(pool, "lender", "USDT", 1_000_000 * USDT)
    supply(pool, "lender", "stETH", 1_000 * ETH)
    return pool


def with_terms(pool: Pool, symbol: str, **changes: object) -> None:
    reserve = pool.reserves[symbol]
    pool.reserves[symbol] = replace(reserve, terms=replace(reserve.terms, **changes))  # type: ignore[arg-type]


def refused(fault: Fault, rules: Rules, action: object, *args: object) -> None:
    """Assert that an action reverts with the fault's name in this version and leaves the pool as it was."""
    pool = args[0]
    assert isinstance(pool, Pool)
    assert callable(action)
    before = pool.copy()
    with pytest.raises(AaveRevertError) as caught:
        action(*args)
    assert caught.value.revert == fault.value[rules.error_names.value]
    assert caught.value.code is ErrorCode.EXEC_ORDER_FAILED
    assert pool == before


# Fixed point


@given(numerator=st.integers(0, 10**60), denominator=st.integers(1, 10**30))
def test_the_three_roundings_enclose_the_quotient(numerator: int, denominator: int) -> None:
    low, near, high = (divide(numerator, denominator, rounding) for rounding in Rounding)
    assert low <= near <= high <= low + 1
    assert abs(2 * near * denominator - 2 * numerator) <= denominator
    assert (low == high) == (numerator % denominator == 0)


def test_division_by_zero_and_overflow_are_reverts() -> None:
    with pytest.raises(AaveRevertError):
        divide(1, 0, Rounding.FLOOR)
    with pytest.raises(AaveRevertError):
        divide(MAX_UINT256 + 1, 1, Rounding.FLOOR)


@both_versions
@pytest.mark.parametrize("seconds", [0, 1, 2, 3, 86_400, 365 * 86_400])
def test_debt_never_grows_slower_than_supply_at_one_rate(rules: Rules, seconds: int) -> None:
    rate = RAY // 20
    linear, series = supply_growth(rate, seconds, rules), debt_growth(rate, seconds, rules)
    assert linear == RAY + rate * seconds // (365 * 86_400)
    assert series >= linear
    assert series - RAY == pytest.approx(1.05127 * RAY - RAY, rel=3e-4) or seconds < 365 * 86_400


# Amounts of zero, caps, flags


@both_versions
def test_nothing_can_be_supplied_withdrawn_borrowed_or_repaid(rules: Rules) -> None:
    pool = market(rules)
    refused(Fault.INVALID_AMOUNT, rules, supply, pool, "user", "ETH", 0)
    refused(Fault.INVALID_AMOUNT, rules, withdraw, pool, "lender", "USDT", 0)
    refused(Fault.INVALID_AMOUNT, rules, borrow, pool, "lender", "USDT", 0)
    refused(Fault.INVALID_AMOUNT, rules, repay, pool, "lender", "USDT", 0)
    refused(Fault.INVALID_AMOUNT, rules, withdraw, pool, "nobody", "USDT", MAX_UINT256)
    refused(Fault.NO_DEBT_OF_SELECTED_TYPE, rules, repay, pool, "lender", "USDT", MAX_UINT256)


@both_versions
def test_caps_are_whole_tokens_and_may_be_reached(rules: Rules) -> None:
    pool = market(rules, supply_cap=10, borrow_cap=3)
    supply(pool, "user", "ETH", 10 * ETH)
    refused(Fault.SUPPLY_CAP_EXCEEDED, rules, supply, pool, "user", "ETH", 1)
    borrow(pool, "lender", "ETH", 3 * ETH)
    refused(Fault.BORROW_CAP_EXCEEDED, rules, borrow, pool, "lender", "ETH", 1)


@both_versions
@pytest.mark.parametrize(
    ("flag", "fault"),
    [
        ({"is_active": False, "is_paused": True}, Fault.RESERVE_INACTIVE),
        ({"is_paused": True, "is_frozen": True}, Fault.RESERVE_PAUSED),
        ({"is_frozen": True, "supply_cap": 1}, Fault.RESERVE_FROZEN),
    ],
)
def test_flags_are_checked_in_the_contracts_order(rules: Rules, flag: dict[str, object], fault: Fault) -> None:
    pool = market(rules, **flag)
    refused(fault, rules, supply, pool, "user", "ETH", 2 * ETH)
    refused(fault, rules, borrow, pool, "lender", "ETH", 2 * ETH)


@both_versions
def test_a_frozen_reserve_can_be_left(rules: Rules) -> None:
    pool = market(rules)
    supply(pool, "user", "ETH", ETH)
    borrow(pool, "lender", "ETH", ETH // 2)
    with_terms(pool, "ETH", is_frozen=True)
    assert repay(pool, "lender", "ETH", MAX_UINT256) == ETH // 2
    assert withdraw(pool, "user", "ETH", MAX_UINT256) == ETH


@both_versions
def test_paused_reserves_move_no_supply(rules: Rules) -> None:
    pool = market(rules)
    with_terms(pool, "USDT", is_paused=True)
    refused(Fault.RESERVE_PAUSED, rules, transfer_supply, pool, "lender", "user", "USDT", USDT)
    refused(Fault.RESERVE_PAUSED, rules, flash_loan, pool, "USDT", USDT, lambda *_: None)
    refused(Fault.RESERVE_PAUSED, rules, use_as_collateral, pool, "lender", "USDT", False)


@both_versions
def test_a_reserve_may_refuse_borrowers_and_flash_loans(rules: Rules) -> None:
    pool = market(rules)
    with_terms(pool, "USDT", is_borrowing_enabled=False, is_flash_loan_enabled=False)
    refused(Fault.BORROWING_NOT_ENABLED, rules, borrow, pool, "lender", "USDT", USDT)
    refused(Fault.FLASHLOAN_DISABLED, rules, flash_loan, pool, "USDT", USDT, lambda *_: None)


@both_versions
def test_a_borrow_needs_collateral(rules: Rules) -> None:
    # 3.0.2 says what is missing before the borrow; 3.6 finds a position without loan-to-value ratio after it.
    fault = Fault.LTV_VALIDATION_FAILED if rules.checks_borrow_after else Fault.COLLATERAL_BALANCE_IS_ZERO
    refused(fault, rules, borrow, market(rules), "nobody", "USDT", USDT)


# Collateral and e-mode


@both_versions
def test_supply_without_loan_to_value_is_no_collateral(rules: Rules) -> None:
    pool = market(rules, ltv_bps=0)
    supply(pool, "user", "ETH", ETH)
    assert pool.account("user").collateral == frozenset()
    refused(Fault.LTV_ZERO, rules, use_as_collateral, pool, "user", "ETH", True)


@both_versions
def test_collateral_without_loan_to_value_leaves_first(rules: Rules) -> None:
    pool = market(rules)
    supply(pool, "user", "ETH", 10 * ETH)
    supply(pool, "user", "stETH", 10 * ETH)
    borrow(pool, "user", "USDT", 1_000 * USDT)
    with_terms(pool, "ETH", ltv_bps=0)
    refused(Fault.LTV_VALIDATION_FAILED, rules, withdraw, pool, "user", "stETH", ETH)
    assert withdraw(pool, "user", "ETH", ETH) == ETH


def test_only_the_old_version_makes_received_supply_collateral() -> None:
    for rules in VERSIONS.values():
        pool = market(rules)
        transfer_supply(pool, "lender", "user", "USDT", USDT)
        assert pool.account("user").collateral == ({"USDT"} if rules is AAVE_V3_0_2 else frozenset())
        assert pool.supplied("user", "USDT") == USDT


@both_versions
def test_sending_supply_to_oneself_changes_nothing(rules: Rules) -> None:
    pool = market(rules)
    before = pool.copy()
    transfer_supply(pool, "lender", "lender", "USDT", USDT)
    assert pool == before


@both_versions
def test_emode_raises_the_limit_and_cannot_be_left_by_who_needs_it(rules: Rules) -> None:
    pool = market(rules)
    set_emode(pool, "user", EMODE)
    supply(pool, "user", "ETH", 10 * ETH)
    borrow(pool, "user", "stETH", 9 * ETH)
    assert pool.account_data("user").ltv_bps == 9_300
    refused(Fault.HEALTH_FACTOR_TOO_LOW, rules, set_emode, pool, "user", 0)
    refused(Fault.NOT_BORROWABLE_IN_EMODE, rules, borrow, pool, "user", "USDT", USDT)
    refused(Fault.INCONSISTENT_EMODE_CATEGORY, rules, set_emode, pool, "user", 7)
    set_emode(pool, "user", EMODE)


@both_versions
def test_debt_outside_a_category_keeps_its_user_out(rules: Rules) -> None:
    pool = market(rules)
    borrow(pool, "lender", "USDT", USDT)
    refused(Fault.INVALID_DEBT_IN_EMODE, rules, set_emode, pool, "lender", EMODE)


def test_collateral_of_no_value_in_a_category_keeps_its_user_out() -> None:
    pool = market(AAVE_V3_6)
    category = replace(pool.terms.categories[EMODE], ltv_zero=frozenset({"ETH"}))
    pool.terms = replace(pool.terms, categories={EMODE: category})
    supply(pool, "user", "ETH", ETH)
    refused(Fault.INVALID_COLLATERAL_IN_EMODE, AAVE_V3_6, set_emode, pool, "user", EMODE)


@both_versions
def test_collateral_that_is_sent_away_is_no_longer_flagged(rules: Rules) -> None:
    pool = market(rules)
    supply(pool, "user", "ETH", ETH)
    supply(pool, "user", "stETH", ETH)
    borrow(pool, "user", "USDT", 100 * USDT)
    transfer_supply(pool, "user", "other", "ETH", ETH)
    assert pool.account("user").collateral == {"stETH"}
    refused(Fault.HEALTH_FACTOR_TOO_LOW, rules, transfer_supply, pool, "user", "other", "stETH", ETH)


@both_versions
def test_a_flag_that_is_set_already_is_left_alone(rules: Rules) -> None:
    pool = market(rules)
    before = pool.copy()
    use_as_collateral(pool, "lender", "USDT", True)
    assert pool == before
    refused(Fault.UNDERLYING_BALANCE_ZERO, rules, use_as_collateral, pool, "nobody", "USDT", True)


# Repaying with supply, treasury, flash loans


def test_only_the_new_version_asks_for_health_after_repaying_with_collateral() -> None:
    for rules in VERSIONS.values():
        pool = market(rules)
        supply(pool, "user", "ETH", ETH)
        borrow(pool, "user", "ETH", ETH // 2)
        borrow(pool, "user", "USDT", 590 * USDT)
        pool.prices["USDT"] = 2 * DOLLAR
        if rules.checks_health_after_repaying_with_supply:
            refused(Fault.HEALTH_FACTOR_TOO_LOW, rules, repay_with_supply, pool, "user", "ETH", ETH // 4)
        else:
            assert repay_with_supply(pool, "user", "ETH", ETH // 4) == ETH // 4


@both_versions
def test_all_supply_repays_no_more_than_it_is_worth(rules: Rules) -> None:
    pool = market(rules)
    supply(pool, "user", "ETH", ETH)
    borrow(pool, "lender", "ETH", ETH // 2)
    transfer_supply(pool, "user", "lender", "ETH", ETH // 4)
    assert repay_with_supply(pool, "lender", "ETH", MAX_UINT256) == ETH // 4
    refused(Fault.INVALID_BURN_AMOUNT, rules, repay_with_supply, pool, "lender", "ETH", MAX_UINT256)


def test_only_the_new_version_clears_the_flag_of_collateral_that_repaid_its_own_debt() -> None:
    for rules in VERSIONS.values():
        pool = market(rules)
        supply(pool, "user", "ETH", ETH)
        supply(pool, "user", "stETH", ETH)
        borrow(pool, "user", "ETH", ETH)
        assert repay_with_supply(pool, "user", "ETH", MAX_UINT256) == ETH
        assert pool.account("user").borrowing == frozenset()
        assert ("ETH" in pool.account("user").collateral) == (rules is AAVE_V3_0_2)


@both_versions
def test_the_treasury_gets_what_has_accrued(rules: Rules) -> None:
    pool = market(rules)
    before = pool.copy()
    mint_to_treasury(pool, "USDT")
    assert pool == before
    borrow(pool, "lender", "USDT", 500_000 * USDT)
    pool.now += 365 * 86_400
    flash_loan(pool, "USDT", USDT, lambda *_: None)
    accrued = pool.reserves["USDT"].accrued_to_treasury
    mint_to_treasury(pool, "USDT")
    assert pool.account(pool.terms.treasury).supplied["USDT"] == pytest.approx(accrued, abs=1)
    assert pool.reserves["USDT"].accrued_to_treasury == 0
    # A tenth of what 500,000 owed for a year at about 2.2 % grew by.
    assert from_wei(pool.supplied(pool.terms.treasury, "USDT"), 6) == pytest.approx(1_123.4, rel=1e-3)


def test_a_flash_loan_costs_five_basis_points_and_debt_on_the_spot_nothing() -> None:
    for rules, premium in ((AAVE_V3_0_2, 500_000), (AAVE_V3_6, 500_001)):
        pool = market(rules)
        assert flash_loan(pool, "USDT", 1_000 * USDT + 1, lambda *_: None) == premium
        assert flash_borrow(pool, "lender", "USDT", 1_000 * USDT, lambda *_: None) == 0
        assert pool.owed("lender", "USDT") == 1_000 * USDT


@both_versions
def test_what_fails_inside_a_flash_loan_undoes_the_loan_and_all_inside_it(rules: Rules) -> None:
    pool = market(rules)

    def supply_then_overdraw(inside: Pool, _: int) -> None:
        supply(inside, "user", "ETH", ETH)
        withdraw(inside, "user", "ETH", 2 * ETH)

    refused(Fault.NOT_ENOUGH_BALANCE, rules, flash_loan, pool, "USDT", USDT, supply_then_overdraw)


@both_versions
def test_no_more_is_lent_than_is_there(rules: Rules) -> None:
    pool = market(rules)
    fault = Fault.INVALID_AMOUNT if rules.has_virtual_balance else Fault.TOKEN_BALANCE
    refused(fault, rules, flash_loan, pool, "USDT", 1_000_001 * USDT, lambda *_: None)
    borrow(pool, "lender", "USDT", 900_000 * USDT)
    refused(Fault.ARITHMETIC, rules, withdraw, pool, "lender", "USDT", 200_000 * USDT)


# Liquidation


def underwater(rules: Rules, ethers: int, tethers: int, price: int) -> Pool:
    """A borrower of USDT against ETH whose price has fallen."""
    pool = market(rules)
    supply(pool, "user", "ETH", ethers)
    borrow(pool, "user", "USDT", tethers)
    pool.prices["ETH"] = price
    return pool


def call(debt_to_cover: int, liquidator: str = "liquidator", *, receives_supply: bool = False) -> LiquidationCall:
    return LiquidationCall(liquidator, "user", "USDT", "ETH", debt_to_cover, receives_supply)


@both_versions
def test_the_close_factor_is_half_above_a_health_factor_of_95_hundredths(rules: Rules) -> None:
    for price, share in ((1_850, 2), (1_700, 1)):
        pool = underwater(rules, 10 * ETH, 16_000 * USDT, price * DOLLAR)
        is_above = pool.account_data("user").health_factor > 95 * WAD // 100
        assert is_above == (share == 2)
        assert liquidate(pool, call(MAX_UINT256)).debt == 16_000 * USDT // share


def test_bonus_and_fee_of_a_liquidation() -> None:
    pool = underwater(AAVE_V3_6, 10 * ETH, 16_000 * USDT, 1_600 * DOLLAR)
    # 1,600 buys 1 ETH at the oracle price; the bonus is 0.05, of which a tenth is the treasury's.
    done = liquidate(pool, call(1_600 * USDT))
    assert done == Liquidated(1_600 * USDT, 1_045 * ETH // 1_000, 5 * ETH // 1_000)
    assert pool.supplied(pool.terms.treasury, "ETH") == 5 * ETH // 1_000


@both_versions
def test_without_a_protocol_fee_the_liquidator_gets_the_whole_bonus(rules: Rules) -> None:
    pool = underwater(rules, 10 * ETH, 16_000 * USDT, 1_600 * DOLLAR)
    with_terms(pool, "ETH", liquidation_protocol_fee_bps=0)
    assert liquidate(pool, call(1_600 * USDT)) == Liquidated(1_600 * USDT, 105 * ETH // 100, 0)


def test_only_the_new_version_closes_small_positions_in_full() -> None:
    for rules, share in ((AAVE_V3_0_2, 2), (AAVE_V3_6, 1)):
        pool = underwater(rules, ETH, 1_600 * USDT, 1_850 * DOLLAR)
        assert liquidate(pool, call(MAX_UINT256)).debt == 1_600 * USDT // share


def test_only_the_new_version_forbids_dust() -> None:
    for rules in VERSIONS.values():
        pool = underwater(rules, ETH, 1_600 * USDT, 1_700 * DOLLAR)
        if rules.burns_bad_debt:
            refused(Fault.MUST_NOT_LEAVE_DUST, rules, liquidate, pool, call(1_000 * USDT))
        else:
            assert liquidate(pool, call(1_000 * USDT)).debt == 1_000 * USDT


def test_the_rest_may_be_just_large_enough() -> None:
    # 600 pays for 630 dollars of 1,700: 1,070 of collateral and 1,000 of debt are left.
    pool = underwater(AAVE_V3_6, ETH, 1_600 * USDT, 1_700 * DOLLAR)
    assert liquidate(pool, call(600 * USDT)).debt == 600 * USDT
    pool = underwater(AAVE_V3_6, ETH, 1_600 * USDT, 1_700 * DOLLAR)
    refused(Fault.MUST_NOT_LEAVE_DUST, AAVE_V3_6, liquidate, pool, call(600 * USDT + 1))


def test_debt_without_collateral_becomes_deficit_in_every_reserve() -> None:
    pool = underwater(AAVE_V3_6, 10 * ETH, 12_000 * USDT, 2_000 * DOLLAR)
    borrow(pool, "user", "stETH", ETH)
    pool.prices["ETH"] = 1_000 * DOLLAR
    done = liquidate(pool, call(MAX_UINT256))
    assert pool.account("user").borrowing == pool.account("user").collateral == frozenset()
    assert pool.reserves["USDT"].deficit == 12_000 * USDT - done.debt > 0
    assert pool.reserves["stETH"].deficit == ETH
    assert pool.account_data("user").health_factor == MAX_UINT256


def test_the_old_version_leaves_bad_debt_with_the_borrower() -> None:
    pool = underwater(AAVE_V3_0_2, 10 * ETH, 16_000 * USDT, 1_000 * DOLLAR)
    done = liquidate(pool, call(MAX_UINT256))
    assert pool.owed("user", "USDT") == 16_000 * USDT - done.debt > 0
    assert pool.account_data("user").health_factor == 0


def test_only_the_new_version_forbids_liquidating_oneself() -> None:
    pool = underwater(AAVE_V3_6, 10 * ETH, 16_000 * USDT, 1_700 * DOLLAR)
    refused(Fault.SELF_LIQUIDATION, AAVE_V3_6, liquidate, pool, call(USDT, "user"))
    pool = underwater(AAVE_V3_0_2, 10 * ETH, 16_000 * USDT, 1_700 * DOLLAR)
    assert liquidate(pool, call(USDT, "user")).debt == USDT


@both_versions
def test_liquidators_may_take_the_supply_itself(rules: Rules) -> None:
    pool = underwater(rules, 10 * ETH, 16_000 * USDT, 1_700 * DOLLAR)
    cash = pool.reserves["ETH"].cash
    done = liquidate(pool, call(1_700 * USDT, receives_supply=True))
    assert pool.reserves["ETH"].cash == cash
    assert pool.supplied("liquidator", "ETH") == done.collateral
    assert pool.account("liquidator").collateral == ({"ETH"} if rules.enables_received_collateral else frozenset())


@both_versions
def test_reasons_against_a_liquidation_come_in_order(rules: Rules) -> None:
    pool = underwater(rules, 10 * ETH, 16_000 * USDT, 2_000 * DOLLAR)
    refused(Fault.HEALTH_FACTOR_NOT_BELOW_THRESHOLD, rules, liquidate, pool, call(USDT))
    pool.prices["ETH"] = 1_700 * DOLLAR
    other = replace(call(USDT), collateral="stETH", debt="ETH")
    refused(Fault.COLLATERAL_CANNOT_BE_LIQUIDATED, rules, liquidate, pool, other)
    refused(Fault.CURRENCY_NOT_BORROWED, rules, liquidate, pool, replace(call(USDT), debt="stETH"))
    with_terms(pool, "ETH", is_paused=True)
    refused(Fault.RESERVE_PAUSED, rules, liquidate, pool, call(USDT))


def test_one_reserve_in_both_roles_pays_the_treasury_twice() -> None:
    shares = {}
    for accrues_both_roles in (False, True):
        rules = replace(AAVE_V3_6, accrues_both_roles=accrues_both_roles)
        pool = market(rules)
        supply(pool, "user", "ETH", 10 * ETH)
        supply(pool, "other", "ETH", 10 * ETH)
        borrow(pool, "user", "ETH", 8 * ETH)
        with_terms(pool, "ETH", liquidation_threshold_bps=7_500)
        pool.now += 86_400
        liquidate(pool, replace(call(ETH), debt="ETH"))
        shares[accrues_both_roles] = pool.reserves["ETH"].accrued_to_treasury
    assert shares[True] == 2 * shares[False] > 0


# The seam


@given(amount=st.floats(min_value=0.0, max_value=1e15), decimals=st.sampled_from([6, 8, 18]))
def test_wei_of_an_amount_and_back_is_the_amount(amount: float, decimals: int) -> None:
    assert from_wei(to_wei(amount, decimals), decimals) == pytest.approx(amount, rel=1e-15, abs=0.5 / 10**decimals)


@given(factor=st.floats(min_value=1.0, max_value=1e6))
def test_ray_of_an_index_and_back_is_the_index(factor: float) -> None:
    assert from_ray(to_ray(factor)) == factor


def test_a_decimal_amount_has_the_wei_that_it_says() -> None:
    assert to_wei(0.3, 18) == 3 * ETH // 10
    assert to_wei(1e-7, 6) == 0
    assert to_wei(2.5e-6, 6) == 2
    assert to_wei(1e22, 18) == 10**40
