"""The simulated lending pool is the contracts': its units, its checks and the names of its reverts.

What it mints and burns is compared with the integers of the exact model and with the float view; what it refuses, with
the contracts' own names in both versions.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.costs import CostModel
from dataflow.maths.lending import supply_index, underlying_of
from dataflow.maths.lending.accounts import EModeCategory
from dataflow.maths.lending.fixed_point import Rounding, ray_div
from dataflow.maths.lending.rules import AAVE_V3_0_2, AAVE_V3_6, Rules
from dataflow.venues.simulated.pool import USER, LendingTerms, pool_at
from dataflow.venues.simulated.router import SimulatedPort
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode
from schemas.holdings import Holdings
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType
from schemas.snapshot import MarketSnapshot
from schemas.units import exact_ray, from_ray
from tests.support.catalogue import CATALOGUE
from tests.support.lending import lending_terms
from tests.support.prices import token_prices

A_USDT, A_WEETH, DEBT = "aave:aToken:aUSDT", "aave:aToken:aweETH", "aave:debtToken:debtWETH"
USDT, WETH, WEETH = "wallet:BaseToken:USDT", "wallet:BaseToken:WETH", "etherfi:LST:weETH"
ORACLE, ETH = 1.04, 3_000.0
FLAT = {A_USDT: 0.0, A_WEETH: 0.0, DEBT: 0.0, USDT: 1e6, WETH: 100.0, WEETH: 100.0}
LEVERED = {**FLAT, A_WEETH: 10.0, DEBT: 5.0}
"""10.4 ETH of collateral against 5 ETH of debt, at indexes of one."""

CATEGORY = EModeCategory(
    ltv_bps=9_300,
    liquidation_threshold_bps=9_500,
    liquidation_bonus_bps=10_100,
    collateral=frozenset({"weETH"}),
    borrowable=frozenset({"WETH"}),
)
TERMS = lending_terms(USDT=0.78, weETH=0.80)
EMODE = replace(TERMS, category=CATEGORY)
OPERATIONS: Mapping[OperationType, Callable[[str], tuple[str, str]]] = {
    OperationType.SUPPLY: lambda token: (token, f"a{token}"),
    OperationType.WITHDRAW: lambda token: (f"a{token}", token),
    OperationType.BORROW: lambda token: (f"debt{token}", token),
    OperationType.REPAY: lambda token: (token, f"debt{token}"),
}

amounts = st.floats(1e-3, 1e9)
indexes = st.floats(1.0, 5.0)


def world_of(units: dict[str, float], terms: LendingTerms = TERMS, *, index: float = 1.0) -> SimulatedWorld:
    snapshot = MarketSnapshot(
        "2024-05-12T00:00:00",
        token_prices(ETH, weETH=ORACLE),
        0.0,
        liquidity_index=dict.fromkeys(("USDT", "WETH", "weETH"), index),
        variable_borrow_index=dict.fromkeys(("USDT", "WETH"), index),
        lst_oracle_ratio={"weETH": ORACLE},
    )
    return SimulatedWorld(CostModel.free(), False, snapshot, Holdings(units, {}), terms)


def ask(world: SimulatedWorld, operation: OperationType, token: str, amount: float) -> ExecutionHandshake:
    source, target = OPERATIONS[operation](token)
    order = Order.model_validate(
        {
            "operation_id": "a" * 32,
            "operation": operation,
            "venue": "aave_v3",
            "amount": amount,
            "source_venue": "wallet",
            "target_venue": "aave_v3",
            "source_token": source,
            "target_token": target,
            "expected_deltas": {A_USDT: 1.0},
        }
    )
    return SimulatedPort(world, CATALOGUE, ("wallet", "aave_v3")).execute(order)


# -- units


@given(amount=amounts, index=indexes)
def test_minted_units_are_those_of_the_contract_and_the_float_view_is_within_1e_15(amount: float, index: float) -> None:
    deltas = ask(world_of({**FLAT, USDT: 2e9}, index=index), OperationType.SUPPLY, "USDT", amount).actual_deltas
    assert deltas[A_USDT] == from_ray(ray_div(exact_ray(amount), exact_ray(index), Rounding.FLOOR))
    assert deltas[A_USDT] == pytest.approx(amount * supply_index(index), rel=1e-15)
    assert deltas[USDT] == -amount


@given(amount=amounts, index=indexes)
def test_twice_the_amount_is_twice_the_units_to_the_bit(amount: float, index: float) -> None:
    units = {**FLAT, USDT: 4e9}
    one, two = (
        ask(world_of(units, index=index), OperationType.SUPPLY, "USDT", factor * amount).actual_deltas[A_USDT]
        for factor in (1.0, 2.0)
    )
    assert two == 2.0 * one


@given(held=amounts, index=indexes)
def test_everything_that_is_held_can_be_withdrawn_and_leaves_nothing(held: float, index: float) -> None:
    world = world_of({**FLAT, A_USDT: held}, index=index)
    handshake = ask(world, OperationType.WITHDRAW, "USDT", underlying_of(held, index))
    assert handshake.was_successful(), handshake.error_message
    assert world.books.units[A_USDT] == 0.0
    assert handshake.actual_deltas[USDT] == underlying_of(held, index)


@given(owed=st.floats(1e-3, 90.0), index=st.floats(1.0, 1.1), share=st.floats(0.01, 1.0))
def test_a_loan_paid_back_in_two_parts_is_gone(owed: float, index: float, share: float) -> None:
    world = world_of({**FLAT, A_WEETH: 200.0, DEBT: owed}, index=index)
    assert ask(world, OperationType.REPAY, "WETH", share * underlying_of(owed, index)).was_successful()
    world.answers.clear()
    if world.books.units[DEBT] > 0.0:
        rest = underlying_of(world.books.units[DEBT], index)
        assert ask(world, OperationType.REPAY, "WETH", rest).was_successful()
    assert world.books.units[DEBT] == 0.0


def test_of_a_repayment_the_pool_takes_no_more_than_is_owed() -> None:
    world = world_of(LEVERED)
    handshake = ask(world, OperationType.REPAY, "WETH", 50.0)
    assert handshake.execution_details["executed_amount"] == 5.0
    assert (world.books.units[DEBT], world.books.units[WETH]) == (0.0, 95.0)


# -- what the contracts refuse


@pytest.mark.parametrize(("rules", "name"), [(AAVE_V3_6, 1), (AAVE_V3_0_2, 0)], ids=["3.6", "3.0.2"])
@pytest.mark.parametrize(
    ("terms", "units", "operation", "token", "amount", "names"),
    [
        pytest.param(
            TERMS,
            {**FLAT, A_USDT: 10.0},
            OperationType.WITHDRAW,
            "USDT",
            10.001,
            ("NOT_ENOUGH_AVAILABLE_USER_BALANCE", "NotEnoughAvailableUserBalance"),
            id="more-than-supplied",
        ),
        pytest.param(
            TERMS,
            LEVERED,
            OperationType.WITHDRAW,
            "weETH",
            4.5,
            ("HEALTH_FACTOR_LOWER_THAN_LIQUIDATION_THRESHOLD", "HealthFactorLowerThanLiquidationThreshold"),
            id="withdrawal-leaves-too-little",
        ),
        pytest.param(
            TERMS,
            LEVERED,
            OperationType.BORROW,
            "WETH",
            3.2,
            ("COLLATERAL_CANNOT_COVER_NEW_BORROW", "CollateralCannotCoverNewBorrow"),
            id="loan-between-ltv-and-threshold",
        ),
        pytest.param(
            EMODE,
            LEVERED,
            OperationType.BORROW,
            "USDT",
            1.0,
            ("INCONSISTENT_EMODE_CATEGORY", "NotBorrowableInEMode"),
            id="not-in-the-category",
        ),
        pytest.param(
            TERMS,
            FLAT,
            OperationType.REPAY,
            "WETH",
            1.0,
            ("NO_DEBT_OF_SELECTED_TYPE", "NoDebtOfSelectedType"),
            id="nothing-owed",
        ),
        pytest.param(
            replace(TERMS, reserves={**TERMS.reserves, "WETH": replace(TERMS.reserves["WETH"], borrow_cap=6)}),
            LEVERED,
            OperationType.BORROW,
            "WETH",
            1.5,
            ("BORROW_CAP_EXCEEDED", "BorrowCapExceeded"),
            id="over-the-cap",
        ),
    ],
)
def test_a_refusal_has_the_contracts_own_name_and_changes_nothing(
    terms: LendingTerms,
    units: dict[str, float],
    operation: OperationType,
    token: str,
    amount: float,
    names: tuple[str, str],
    rules: Rules,
    name: int,
) -> None:
    world = world_of(units, replace(terms, rules=rules))
    handshake = ask(world, operation, token, amount)
    assert (handshake.error_code, handshake.error_message) == (ErrorCode.EXEC_ORDER_FAILED, names[name])
    assert world.books.units == units


def test_in_e_mode_a_loan_may_be_as_large_as_its_ratio_allows() -> None:
    largest = 0.93 * 10.0 * ORACLE - 5.0
    assert ask(world_of(LEVERED, EMODE), OperationType.BORROW, "WETH", 0.9999 * largest).was_successful()
    assert ask(world_of(LEVERED, EMODE), OperationType.BORROW, "WETH", 1.0001 * largest).was_failed()


def test_the_health_factor_is_that_of_the_book() -> None:
    world = world_of(LEVERED, EMODE)
    now = int(datetime(2024, 5, 12, tzinfo=UTC).timestamp())
    data = pool_at(world.lending, world.snapshot, world.books, now).account_data(USER)
    assert data.health_factor / 1e18 == pytest.approx(0.95 * 10.0 * ORACLE / 5.0, rel=1e-12)
    assert data.debt_value == 5 * 3_000 * 10**8
