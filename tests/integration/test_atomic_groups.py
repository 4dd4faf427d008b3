"""Atomic groups ([domain] 5.5): the flash-loan bundles of leveraged staking, all or nothing.

A group of five is taken through the tight loop on the simulated venues: entry (flash_borrow, stake, supply, borrow,
flash_repay; amounts of 4.7) and a slice of the exit (flash_borrow, repay, withdraw, swap, flash_repay). Then each
member is made to fail in turn, and nothing may be left of the group: neither in the engine's books nor in the venues'.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.maths.costs import CostModel
from dataflow.venues.port import Venue
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import REGISTRY, ErrorCode, VenueTimeoutError
from schemas.holdings import Holdings
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType, StrategyIntent
from schemas.port import OrderPort
from schemas.snapshot import MarketSnapshot
from tests.support.lending import lending_terms
from tests.support.prices import token_prices
from tests.support.runs import Event
from tests.support.tight_loops import TIMESTAMP, Bench

EQUITY, TARGET_LTV, GAS_ETH = 10.0, 0.65, 0.5
ORACLE, MARKET = 1.04, 1.038
WETH, ETH = "wallet:BaseToken:WETH", "wallet:BaseToken:ETH"
WEETH, A_WEETH, DEBT = "etherfi:LST:weETH", "aave:aToken:aweETH", "aave:debtToken:debtWETH"
VENUES = ("wallet", "etherfi", "aave_v3", "morpho", "instadapp", "uniswap")

FLASH = EQUITY * TARGET_LTV / (1.0 - TARGET_LTV)
STAKED = EQUITY + FLASH

SNAPSHOT = MarketSnapshot(
    timestamp=TIMESTAMP,
    prices=token_prices(3_000.0, weETH=ORACLE),
    gas_unit_usd=3_000.0 * 20e-9,
    liquidity_index={"weETH": 1.0003},
    variable_borrow_index={"WETH": 1.03},
    lst_oracle_ratio={"weETH": ORACLE},
    lst_market_ratio={"weETH": MARKET},
)
COSTS = CostModel(
    taker_fee={},
    slippage_by_pair={},
    gas_units={"atomic_entry": 1_250_000.0, "atomic_deleverage": 850_000.0, "stake": 150_000.0},
    gas_charged=True,
)
GAS_OF_ENTRY_ETH = 1_250_000.0 * 20e-9

FLAT = Holdings({WETH: EQUITY, ETH: GAS_ETH, WEETH: 0.0, A_WEETH: 0.0, DEBT: 0.0}, {})


def member(
    operation: OperationType, venue: str, amount: float, tokens: tuple[str, str], sequence: int, **changes: object
) -> OrderIntent:
    """One member of the group ``entry`` or ``exit``."""
    intent = OrderIntent(
        operation,
        venue,
        amount,
        "wallet",
        venue,
        *tokens,
        StrategyIntent.ENTRY_FULL,
        atomic_group="group",
        sequence_in_group=sequence,
    )
    return replace(intent, **changes)  # type: ignore[arg-type]  # fields of the intent by name


def entry(lender: str = "morpho", flash: float = FLASH, equity: float = EQUITY) -> list[OrderIntent]:
    """Lever ``equity`` with a flash loan: stake all of it, supply the LST, borrow what the loan needs, pay it back."""
    staked = equity + flash
    return [
        member(OperationType.FLASH_BORROW, lender, flash, ("WETH", "WETH"), 0),
        member(OperationType.STAKE, "etherfi", staked, ("WETH", "weETH"), 1),
        member(OperationType.SUPPLY, "aave_v3", staked / ORACLE, ("weETH", "aweETH"), 2),
        member(OperationType.BORROW, "aave_v3", flash, ("debtWETH", "WETH"), 3),
        member(
            OperationType.FLASH_REPAY,
            lender,
            flash,
            ("WETH", "WETH"),
            4,
            flash_fee_bps=0.0,
            gas_cost_type="atomic_entry",
        ),
    ]


def exit_slice(repaid: float) -> list[OrderIntent]:
    """Unwind ``repaid`` WETH of debt at the current loan to value."""
    lst = repaid / TARGET_LTV / ORACLE
    return [
        member(OperationType.FLASH_BORROW, "morpho", repaid, ("WETH", "WETH"), 0),
        member(OperationType.REPAY, "aave_v3", repaid, ("WETH", "debtWETH"), 1),
        member(OperationType.WITHDRAW, "aave_v3", lst, ("aweETH", "weETH"), 2),
        member(OperationType.SWAP, "uniswap", lst, ("weETH", "WETH"), 3),
        member(
            OperationType.FLASH_REPAY,
            "morpho",
            repaid,
            ("WETH", "WETH"),
            4,
            flash_fee_bps=0.0,
            gas_cost_type="atomic_deleverage",
        ),
    ]


def stake_idle() -> OrderIntent:
    """An order of its own after a group."""
    return OrderIntent(
        OperationType.STAKE, "etherfi", 0.1, "wallet", "etherfi", "ETH", "weETH", StrategyIntent.ENTRY_PARTIAL
    )


class RevertsAt:
    """A venue at which member ``failing`` of a group reverts."""

    def __init__(self, venue: Venue, world: SimulatedWorld, failing: int, code: ErrorCode) -> None:
        self._venue, self._world, self._failing, self._code = venue, world, failing, code

    def execute(self, order: Order) -> ExecutionHandshake:
        """Revert the order whose turn it is, or pass it on."""
        if order.sequence_in_group == self._failing:
            return self._world.refused(order, self._code, "execution reverted")
        return self._venue.execute(order)


def bench(log_dir: Path, holdings: Holdings = FLAT, *, failing: int | None = None, **changes: object) -> Bench:
    """Simulated venues of leveraged staking; member ``failing`` of every group reverts."""
    made = Bench(
        log_dir,
        SNAPSHOT,
        holdings,
        VENUES,
        COSTS,
        lending_terms(weETH=0.95),
        wrap_venue=None
        if failing is None
        else lambda venue, world: RevertsAt(venue, world, failing, ErrorCode.EXEC_ORDER_FAILED),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of the bench by name


def statuses(made: Bench) -> list[str]:
    return [str(event["status"]) for event in made.events("operation_executions")]


def codes(made: Bench) -> list[object]:
    return [event["error_code"] for event in made.events("system_errors")]


# -- committed


def test_an_entry_levers_to_the_target_and_leaves_no_loan(tmp_path: Path) -> None:
    made = bench(tmp_path)
    outcome = made.process(entry())
    assert made.error is None
    assert outcome is not None
    units = outcome.holdings.units
    assert units[A_WEETH] * 1.0003 * ORACLE == pytest.approx(STAKED)
    assert units[DEBT] * 1.03 / STAKED == pytest.approx(TARGET_LTV)
    assert units[WEETH] == 0.0
    assert units[WETH] == pytest.approx(0.0, abs=1e-12)
    assert units[ETH] == pytest.approx(GAS_ETH - GAS_OF_ENTRY_ETH)
    assert made.world.books == outcome.holdings


def test_an_exit_slice_keeps_the_loan_to_value_and_brings_the_rest_home(tmp_path: Path) -> None:
    entered = bench(tmp_path / "entry").process(entry())
    assert entered is not None
    made = bench(tmp_path / "exit", entered.holdings)
    outcome = made.process(exit_slice(5.0), first_operation=5)
    assert made.error is None
    assert outcome is not None
    units = outcome.holdings.units
    ltv = units[DEBT] * 1.03 / (units[A_WEETH] * 1.0003 * ORACLE)
    assert ltv == pytest.approx(TARGET_LTV)
    gas = 850_000.0 * 20e-9
    assert units[WETH] == pytest.approx(5.0 / TARGET_LTV / ORACLE * MARKET - 5.0 - gas)
    assert units[WEETH] == 0.0


@pytest.mark.parametrize("lender", ["morpho", "instadapp"])
def test_a_committed_group_is_one_unit_on_record(lender: str, tmp_path: Path) -> None:
    made = bench(tmp_path)
    outcome = made.process([*entry(lender), stake_idle()])
    assert outcome is not None
    assert (outcome.attempted, outcome.confirmed, outcome.failed) == (6, 6, 0)
    (group,) = made.events("atomic_groups")
    assert group["all_succeeded"] is True
    assert group["group_status"] == "completed"
    members = [e for e in made.events("operation_executions") if e["atomic_group_id"] is not None]
    assert [e["operation_id"] for e in members] == group["operation_ids"]
    assert [e["sequence_in_group"] for e in members] == [0, 1, 2, 3, 4]
    assert len(made.events("reconciliation")) == len(made.events("tight_loop")) == 2
    assert made.events("tight_loop")[0]["operation_id"] == group["atomic_group_id"]
    charged = [e for e in members if e["fee_amount"] != 0.0]
    assert [e["fee_amount"] for e in charged] == [pytest.approx(GAS_OF_ENTRY_ETH)]
    assert group["total_gas_fees"] == pytest.approx(GAS_OF_ENTRY_ETH)
    assert codes(made) == []


def test_operation_ids_of_members_are_the_group_and_a_number(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.process(entry())
    (group,) = made.events("atomic_groups")
    assert group["operation_ids"] == [f"{group['atomic_group_id']}_{n}" for n in range(1, 6)]


def test_a_flash_fee_is_paid_out_of_the_loan(tmp_path: Path) -> None:
    """[domain] 4.7 with a fee of 5 bps: F is smaller and B = F(1 + fee), so the loan to value is the target again."""
    fee = 5e-4
    flash = EQUITY * TARGET_LTV / (1.0 - TARGET_LTV + fee)
    orders = entry(flash=flash)
    orders[3] = replace(orders[3], amount=flash * (1.0 + fee))
    orders[4] = replace(orders[4], flash_fee_bps=5.0)
    outcome = bench(tmp_path).process(orders)
    assert outcome is not None
    assert outcome.failed == 0
    ltv = outcome.holdings.units[DEBT] * 1.03 / (EQUITY + flash)
    assert ltv == pytest.approx(TARGET_LTV)


# -- rolled back


def assert_left_no_trace(made: Bench, orders: Sequence[OrderIntent], before: Holdings) -> Event:
    """Demand that nothing but records is left of the group; gives its event."""
    assert made.world.books is before, "the venues' books are the very ones of before"
    operations = made.events("operation_executions")
    assert [event["status"] for event in operations] == ["rolled_back"] * len(orders)
    assert [event["actual_deltas"] for event in operations] == [{}] * len(orders)
    assert [event["fee_amount"] for event in operations] == [0.0] * len(orders)
    (group,) = made.events("atomic_groups")
    assert group["rollback_occurred"] is True
    assert group["group_status"] == "rolled_back"
    (loop,) = made.events("tight_loop")
    assert loop["operation_id"] == group["atomic_group_id"]
    assert loop["execution_success"] is False
    assert made.events("execution_deltas") == []
    assert made.events("positions") == []
    assert made.events("reconciliation") == []
    (error,) = made.events("system_errors")
    assert error["error_code"] == "EXEC-006"
    assert error["severity"] == REGISTRY[ErrorCode.EXEC_GROUP_ROLLED_BACK].severity.value
    return group


@pytest.mark.parametrize("kind", ["entry", "exit"])
@pytest.mark.parametrize("failing", range(5))
def test_a_group_that_fails_at_any_member_leaves_no_trace(kind: str, failing: int, tmp_path: Path) -> None:
    before = FLAT
    if kind == "exit":
        entered = bench(tmp_path / "before").process(entry())
        assert entered is not None
        before = entered.holdings
    orders = entry() if kind == "entry" else exit_slice(5.0)
    made = bench(tmp_path / "group", before, failing=failing)
    outcome = made.process([*orders, stake_idle()])
    assert made.error is None, "the run goes on"
    assert outcome is not None
    assert outcome.holdings is before, "bit-identical: the engine's books are the very ones of before"
    assert (outcome.attempted, outcome.confirmed, outcome.failed) == (5, 0, 5), "what follows is not executed"
    assert outcome.cost_usd == outcome.fees_usd == 0.0
    assert_left_no_trace(made, orders, before)
    own = [event["error_code"] for event in made.events("operation_executions")]
    assert own == ["EXEC-001" if n == failing else "EXEC-006" for n in range(5)], "the failing one keeps its code"


def test_the_failing_member_keeps_whatever_code_it_had(tmp_path: Path) -> None:
    made = bench(
        tmp_path,
        wrap_venue=lambda venue, world: RevertsAt(venue, world, 2, ErrorCode.VEN_UNAVAILABLE),
    )
    made.process(entry())
    own = [event["error_code"] for event in made.events("operation_executions")]
    assert own == ["EXEC-006", "EXEC-006", "VEN-003", "EXEC-006", "EXEC-006"]


def test_orders_before_a_group_stand_when_it_is_rolled_back(tmp_path: Path) -> None:
    made = bench(tmp_path, failing=3)
    outcome = made.process([stake_idle(), *entry(), stake_idle()])
    assert outcome is not None
    assert statuses(made) == ["confirmed", *["rolled_back"] * 5]
    assert outcome.holdings.units[WEETH] == pytest.approx(0.1 / ORACLE)
    assert outcome.holdings == made.world.books


def test_a_loan_that_the_pool_finds_unsafe_reverts_the_group(tmp_path: Path) -> None:
    orders = entry(flash=EQUITY * 24.0)  # a loan to value of 0.96, above the liquidation threshold of 0.95
    made = bench(tmp_path)
    outcome = made.process(orders)
    assert outcome is not None
    assert outcome.holdings is FLAT
    group = assert_left_no_trace(made, orders, FLAT)
    assert group["rollback_reason"] == "HealthFactorLowerThanLiquidationThreshold"


@settings(max_examples=25)
@given(failing=st.integers(0, 4), flash=st.floats(0.1, 50.0), equity=st.floats(0.01, 10.0))
def test_no_failing_group_moves_a_bit(
    failing: int, flash: float, equity: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = bench(tmp_path_factory.mktemp("group"), failing=failing)
    outcome = made.process(entry(flash=flash, equity=equity))
    assert outcome is not None
    assert outcome.holdings is FLAT
    assert made.world.books is FLAT


# -- net of the group


def test_a_group_that_leaves_a_flash_liability_is_undone_by_the_lender(tmp_path: Path) -> None:
    orders = entry()[:4]
    made = bench(tmp_path)
    outcome = made.process(orders)
    assert outcome is not None
    assert outcome.holdings is FLAT
    group = assert_left_no_trace(made, orders, FLAT)
    assert "flash loan not repaid" in str(group["rollback_reason"])


def test_a_flash_loan_repaid_in_part_is_undone(tmp_path: Path) -> None:
    orders = entry()
    orders[4] = replace(orders[4], amount=0.999 * FLASH)
    made = bench(tmp_path)
    made.process(orders)
    assert_left_no_trace(made, orders, FLAT)


def test_a_flash_liability_is_refused_even_where_balances_may_be_negative(tmp_path: Path) -> None:
    orders = entry()[:4]
    made = bench(tmp_path, allow_negative_balances=True)
    made.process(orders)
    assert_left_no_trace(made, orders, FLAT)


def test_a_group_that_would_leave_a_negative_balance_is_refused(tmp_path: Path) -> None:
    orders = entry()
    orders[3] = replace(orders[3], amount=0.5 * FLASH)  # too little to pay the loan back
    made = bench(tmp_path)
    made.process(orders)
    group = assert_left_no_trace(made, orders, FLAT)
    assert "Insufficient balance" in str(group["rollback_reason"])


def test_a_flash_loan_outside_a_group_is_refused(tmp_path: Path) -> None:
    alone = replace(entry()[0], atomic_group=None, sequence_in_group=None)
    made = bench(tmp_path)
    outcome = made.process([alone])
    assert outcome is not None
    assert outcome.holdings is FLAT
    assert statuses(made) == ["failed"]
    assert codes(made) == ["EXEC-004"]


# -- groups that may not be asked for


@pytest.mark.parametrize(
    "orders",
    [
        pytest.param([*entry()[:2], replace(entry()[2], atomic_group="inner"), *entry()[3:]], id="nested"),
        pytest.param([*entry()[:2], stake_idle(), *entry()[2:]], id="taken-up-again"),
        pytest.param([*entry()[:4], replace(entry()[4], sequence_in_group=3)], id="duplicate-sequence"),
        pytest.param([*entry()[:4], replace(entry()[4], sequence_in_group=5)], id="gap-in-sequence"),
        pytest.param([*entry()[:4], replace(entry()[4], sequence_in_group=None)], id="no-sequence"),
        pytest.param([replace(entry()[0], gas_cost_type="atomic_entry"), *entry()[1:]], id="gas-charged-twice"),
    ],
)
def test_a_group_that_breaks_a_rule_is_exec_004_and_nothing_is_sent(orders: list[OrderIntent], tmp_path: Path) -> None:
    made = bench(tmp_path)
    assert made.process([stake_idle(), *orders]) is None
    assert made.error is not None
    assert made.error.code is ErrorCode.EXEC_ORDER_VALIDATION_FAILED
    assert made.world.books is FLAT
    assert made.events("operation_executions") == []
    (error,) = made.events("system_errors")
    assert (error["error_code"], error["severity"]) == ("EXEC-004", "MEDIUM")


def test_members_are_done_in_their_sequence_whatever_the_order_they_are_listed_in(tmp_path: Path) -> None:
    listed = entry()
    shuffled = [listed[3], listed[0], listed[4], listed[2], listed[1]]
    one, other = bench(tmp_path / "listed"), bench(tmp_path / "shuffled")
    first, second = one.process(listed), other.process(shuffled)
    assert first is not None
    assert second is not None
    assert first.holdings == second.holdings


# -- answers that get lost, or make no sense


class LosesTheAnswer:
    """Venues whose answer to a group is lost; ``accepts`` says that the group arrived all the same."""

    def __init__(self, port: OrderPort, *, accepts: bool) -> None:
        self._port, self._accepts = port, accepts
        self.execute, self.find, self.balances = port.execute, port.find, port.balances

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Do the group or not, and say nothing."""
        if self._accepts:
            self._port.execute_group(orders)
        raise VenueTimeoutError("no answer", venue="morpho")


def test_a_group_that_arrived_and_was_not_answered_is_looked_up_and_is_one_fill(tmp_path: Path) -> None:
    made = bench(tmp_path, wrap=lambda port: LosesTheAnswer(port, accepts=True))
    outcome = made.process(entry())
    assert outcome is not None
    assert outcome.confirmed == 5
    assert outcome.holdings == made.world.books
    assert codes(made) == ["VEN-002"]


def test_a_group_that_never_arrived_is_rolled_back(tmp_path: Path) -> None:
    made = bench(tmp_path, wrap=lambda port: LosesTheAnswer(port, accepts=False))
    outcome = made.process([*entry(), stake_idle()])
    assert outcome is not None
    assert outcome.holdings is FLAT
    assert statuses(made) == ["rolled_back"] * 5
    assert codes(made) == ["VEN-002", "EXEC-006"]


class HalfDone:
    """Venues that break their word: they undo a group and yet confirm some of it, or answer in another order."""

    def __init__(self, port: OrderPort, fault: str) -> None:
        self._port, self._fault = port, fault
        self.execute, self.find, self.balances = port.execute, port.find, port.balances

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Do the group and answer wrongly."""
        done = self._port.execute_group(orders)
        if self._fault == "order":
            return tuple(reversed(done))
        if self._fault == "count":
            return done[:-1]
        failed = ExecutionHandshake(
            operation_id=done[-1].operation_id,
            status="failed",
            error_code="EXEC-001",
            submitted_at=done[-1].submitted_at,
        )
        return (*done[:-1], failed)


@pytest.mark.parametrize("fault", ["order", "count", "half"])
def test_an_answer_that_is_neither_all_nor_nothing_is_exec_008_and_stops(fault: str, tmp_path: Path) -> None:
    made = bench(tmp_path, wrap=lambda port: HalfDone(port, fault))
    assert made.process(entry()) is None
    assert made.error is not None
    assert made.error.code is ErrorCode.EXEC_HANDSHAKE_INVALID
    assert statuses(made) == ["pending"] * 5
    assert made.events("execution_deltas") == []
    assert made.events("tight_loop")[0]["system_failure_triggered"] is True
    (group,) = made.events("atomic_groups")
    assert group["operation_ids"] == [event["operation_id"] for event in made.events("operation_executions")]
    assert (group["all_succeeded"], group["rollback_occurred"], group["group_status"]) == (False, False, "failed")


class SendsTwice:
    """A line that delivers every group twice."""

    def __init__(self, port: OrderPort) -> None:
        self._port = port
        self.execute, self.find, self.balances = port.execute, port.find, port.balances

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Deliver it once more."""
        self._port.execute_group(orders)
        return self._port.execute_group(orders)


def test_a_group_delivered_twice_is_one_fill(tmp_path: Path) -> None:
    once, twice = bench(tmp_path / "once"), bench(tmp_path / "twice", wrap=SendsTwice)
    first, second = once.process(entry()), twice.process(entry())
    assert first is not None
    assert second is not None
    assert first.holdings == second.holdings == twice.world.books
