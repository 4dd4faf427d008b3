"""Atomic groups: all of their operations, or none and not a bit changed. [domain] 5.5.

The group is the leveraged entry of domain 3.2: borrow WETH for the length of the transaction, stake it with the equity,
supply the LST, borrow against it, repay. No mode of this version makes one, so the orders are given by hand to the
engine's tight loop and the simulated venues.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dataflow.records.audit.replay import replay
from dataflow.records.log.event_log import DomainEventLogger
from schemas.errors import OrderValidationError
from schemas.intents import OrderIntent, supply
from schemas.models.events import AtomicOperationGroupEvent
from schemas.models.orders import Order, parse_order
from schemas.operations import ExecutionMode, GroupStatus, OperationType, StrategyIntent
from tests.support.desk import COSTS, SNAPSHOT, Desk
from tests.support.runs import CORRELATION_ID, PID

EQUITY, LTV = 100.0, 0.65
BORROWED = EQUITY * LTV / (1.0 - LTV)
"""F = E l / (1 - l) without flash fee, [domain] 4.7: 185.7 ETH for 100."""

STAKED_LST = (EQUITY + BORROWED) / 1.03816
INTENT = StrategyIntent.ENTRY_FULL

ETH, WETH, USDT = "wallet:BaseToken:ETH", "wallet:BaseToken:WETH", "wallet:BaseToken:USDT"
WEETH, A_WEETH, DEBT = "etherfi:LST:weETH", "aave:aToken:aweETH", "aave:debtToken:debtWETH"
UNITS: Mapping[str, float] = {
    USDT: 5_000.0,
    ETH: EQUITY + 1.0,  # one for gas
    WETH: 0.0,
    WEETH: 0.0,
    A_WEETH: 0.0,
    DEBT: 0.0,
    "aave:aToken:aUSDT": 0.0,
}


def member(
    sequence: int, operation: OperationType, venue: str, amount: float, source: str, target: str, **fields: str
) -> OrderIntent:
    """One order of the group."""
    return OrderIntent(
        operation,
        venue,
        amount,
        "wallet",
        venue,
        source,
        target,
        INTENT,
        atomic_group="entry",
        sequence_in_group=sequence,
        **fields,  # type: ignore[arg-type]  # gas_cost_type alone
    )


def leveraged_entry(borrowed: float = BORROWED) -> list[OrderIntent]:
    """The five orders of a leveraged entry that borrows ``borrowed`` WETH against what is staked."""
    return [
        member(0, OperationType.FLASH_BORROW, "morpho", BORROWED, "WETH", "WETH"),
        member(1, OperationType.STAKE, "etherfi", EQUITY + BORROWED, "ETH", "weETH"),
        member(2, OperationType.SUPPLY, "aave_v3", STAKED_LST, "weETH", "aweETH"),
        member(3, OperationType.BORROW, "aave_v3", borrowed, "debtWETH", "WETH"),
        member(4, OperationType.FLASH_REPAY, "morpho", BORROWED, "WETH", "WETH", gas_cost_type="atomic_entry"),
    ]


def group_event(**fields: object) -> AtomicOperationGroupEvent:
    """An event of a group of two that completed, unless the fields say otherwise."""
    given: dict[str, Any] = {
        "timestamp": "2025-01-15T10:30:00",
        "real_utc_time": "2025-01-15T10:30:00.123456",
        "correlation_id": CORRELATION_ID,
        "pid": PID,
        "atomic_group_id": "group_001",
        "operation_ids": ["supply_001", "borrow_001"],
        "operation_types": ["supply", "borrow"],
        "all_succeeded": True,
        "rollback_occurred": False,
        "total_duration_ms": 250.5,
    }
    return AtomicOperationGroupEvent(**{**given, **fields})


class TestAtomicOperations:
    """The three claims of the user's plan, and what follows from them."""

    def test_successful_atomic_group(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        outcome = desk.process(leveraged_entry())
        assert (outcome.attempted, outcome.confirmed, outcome.failed) == (5, 5, 0)
        units = desk.holdings.units
        collateral = units[A_WEETH] * SNAPSHOT.liquidity_index["weETH"] * SNAPSHOT.lst_oracle_ratio["weETH"]
        debt = units[DEBT] * SNAPSHOT.variable_borrow_index["WETH"]
        assert debt / collateral == pytest.approx(LTV)
        assert collateral - debt == pytest.approx(EQUITY)
        assert units[WEETH] == 0.0
        assert units[WETH] == 0.0, "the flash loan is repaid"

    def test_atomic_group_rollback(self, tmp_path: Path) -> None:
        """Borrowing 250 ETH against 286 is refused by the pool; nothing of the group stays."""
        desk = Desk(tmp_path, UNITS)
        before = dict(desk.holdings.units)
        outcome = desk.process(leveraged_entry(borrowed=250.0))
        assert (outcome.attempted, outcome.confirmed, outcome.failed) == (5, 0, 5)
        assert desk.holdings.units == before
        assert desk.world.books.units == before, "nor at the venues"
        assert (outcome.cost_usd, outcome.fees_usd) == (0.0, 0.0)
        statuses = [event["status"] for event in desk.events("operation_executions")]
        assert statuses == ["rolled_back"] * 5
        codes = [event["error_code"] for event in desk.events("operation_executions")]
        assert codes == ["EXEC-006", "EXEC-006", "EXEC-006", "EXEC-001", "EXEC-006"], "the culprit keeps its own"
        assert [event["error_code"] for event in desk.events("system_errors")] == ["EXEC-006"]

    def test_atomic_group_logging(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        desk.process(leveraged_entry())
        (group,) = desk.events("atomic_groups")
        members = desk.events("operation_executions")
        identifier = group["atomic_group_id"]
        assert group["operation_ids"] == [event["operation_id"] for event in members]
        assert group["operation_ids"] == [f"{identifier}_{number}" for number in range(1, 6)]
        assert group["operation_types"] == ["flash_borrow", "stake", "supply", "borrow", "flash_repay"]
        assert (group["all_succeeded"], group["rollback_occurred"]) == (True, False)
        assert group["group_status"] == GroupStatus.COMPLETED
        assert [event["sequence_in_group"] for event in members] == [0, 1, 2, 3, 4]
        assert {event["atomic_group_id"] for event in members} == {identifier}
        (loop,) = desk.events("tight_loop")
        assert loop["operation_id"] == identifier, "a group counts once"
        assert len(desk.events("reconciliation")) == 1

    def test_a_group_pays_gas_once(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        outcome = desk.process(leveraged_entry())
        assert outcome.fees_usd == pytest.approx(COSTS.gas_usd("atomic_entry", SNAPSHOT.gas_unit_usd))
        paid = [event for event in desk.events("operation_executions") if event["fee_amount"]]
        assert len(paid) == 1

    def test_rollback_logging(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        desk.process(leveraged_entry(borrowed=250.0))
        (group,) = desk.events("atomic_groups")
        assert (group["all_succeeded"], group["rollback_occurred"]) == (False, True)
        assert group["group_status"] == GroupStatus.ROLLED_BACK
        assert group["rollback_reason"] == "HealthFactorLowerThanLiquidationThreshold"
        assert desk.events("execution_deltas") == []
        assert desk.events("positions") == []
        (loop,) = desk.events("tight_loop")
        assert (loop["operation_id"], loop["execution_success"]) == (group["atomic_group_id"], False)

    @pytest.mark.parametrize(
        ("culprit", "amount"),
        [
            pytest.param(1, 1_000.0, id="stakes-more-than-there-is"),
            pytest.param(2, 1_000.0, id="supplies-more-than-was-staked"),
            pytest.param(3, 250.0, id="borrows-more-than-is-safe"),
            pytest.param(4, 1_000.0, id="repays-more-than-there-is"),
        ],
    )
    def test_whichever_member_fails_nothing_is_left(self, tmp_path: Path, culprit: int, amount: float) -> None:
        orders = leveraged_entry()
        orders[culprit] = replace(orders[culprit], amount=amount)
        _assert_untouched(Desk(tmp_path, UNITS), orders)

    def test_a_group_whose_gas_cannot_be_paid_leaves_nothing(self, tmp_path: Path) -> None:
        _assert_untouched(Desk(tmp_path, {**UNITS, ETH: EQUITY, USDT: 1.0}), leveraged_entry())

    def test_orders_after_a_rolled_back_group_are_not_sent(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        outcome = desk.process([*leveraged_entry(borrowed=250.0), supply("USDT", 100.0, INTENT)])
        assert outcome.attempted == 5
        assert desk.holdings.units["aave:aToken:aUSDT"] == 0.0

    def test_orders_around_a_committed_group_are_sent(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        aside = supply("USDT", 100.0, INTENT)
        outcome = desk.process([aside, *leveraged_entry(), aside])
        assert outcome.confirmed == 7
        assert desk.holdings.units["aave:aToken:aUSDT"] == pytest.approx(200.0 / 1.066714)

    @pytest.mark.parametrize("borrowed", [BORROWED, 250.0])
    def test_the_log_replays_to_the_books(self, tmp_path: Path, borrowed: float) -> None:
        desk = Desk(tmp_path, UNITS)
        desk.process(leveraged_entry(borrowed))
        report = replay(tmp_path, initial_positions=UNITS)
        assert report.final_positions == desk.holdings.units
        # No decision event is written here, so the count of orders alone is off.
        assert {fault.what for fault in report.faults} == {"5 operations were logged for 0 orders"}


def _assert_untouched(desk: Desk, orders: list[OrderIntent]) -> None:
    """Process orders of which none may be confirmed and none may leave a trace."""
    before = dict(desk.holdings.units)
    assert desk.process(orders).confirmed == 0
    assert desk.holdings.units == before
    assert desk.world.books.units == before


class TestGroupRules:
    """What makes an order a member of a group. [domain] 5.1."""

    RAW: Mapping[str, object] = {
        "operation_id": "group_001_1",
        "operation": "supply",
        "venue": "aave_v3",
        "amount": 100.0,
        "source_venue": "wallet",
        "target_venue": "aave_v3",
        "source_token": "USDT",
        "target_token": "aUSDT",
        "expected_deltas": {"aave:aToken:aUSDT": 93.7, USDT: -100.0},
    }

    def test_a_member_has_group_and_sequence(self) -> None:
        order = parse_order(
            {**self.RAW, "execution_mode": "atomic", "atomic_group_id": "group_001", "sequence_in_group": 0}
        )
        assert order.is_atomic()
        assert order.execution_mode is ExecutionMode.ATOMIC

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"atomic_group_id": "group_001"}, id="group-without-sequence"),
            pytest.param({"sequence_in_group": 0}, id="sequence-without-group"),
            pytest.param({"execution_mode": "atomic"}, id="atomic-without-group"),
        ],
    )
    def test_half_a_membership_is_refused(self, fields: dict[str, object]) -> None:
        with pytest.raises(OrderValidationError) as caught:
            parse_order({**self.RAW, **fields})
        assert caught.value.code == "EXEC-004"

    def test_only_flash_members_may_expect_nothing(self) -> None:
        flash = {**self.RAW, "operation": "flash_borrow", "venue": "morpho", "expected_deltas": []}
        group = {"atomic_group_id": "group_001", "sequence_in_group": 0}
        assert parse_order({**flash, **group}).expected_deltas == ()
        for raw in (flash, {**self.RAW, **group, "expected_deltas": []}):
            with pytest.raises(OrderValidationError):
                parse_order(raw)

    def test_intents_of_a_group_become_atomic_orders(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        seen: list[Order] = []
        execute = desk.delivery.execute_group
        desk.delivery.execute_group = lambda orders: seen.extend(orders) or execute(orders)  # type: ignore[method-assign, func-returns-value]  # a spy on the port
        desk.process(leveraged_entry())
        assert [order.sequence_in_group for order in seen] == [0, 1, 2, 3, 4]
        assert {order.execution_mode for order in seen} == {ExecutionMode.ATOMIC}
        assert len({order.atomic_group_id for order in seen}) == 1


class TestGroupEvent:
    """AtomicOperationGroupEvent, as a model and in its file."""

    def test_the_users_example_is_one_line_of_its_file(self, tmp_path: Path) -> None:
        with DomainEventLogger(tmp_path, CORRELATION_ID, PID) as log:
            log.log_atomic_group(group_event())
        (line,) = (tmp_path / "events" / "atomic_groups.jsonl").read_text().splitlines()
        assert AtomicOperationGroupEvent.model_validate_json(line) == group_event(order=0)
        assert '"operation_types":["supply","borrow"]' in line

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"operation_types": ["supply"]}, id="lists-of-unequal-length"),
            pytest.param({"rollback_occurred": True}, id="succeeded-and-rolled-back"),
            pytest.param({"operation_types": ["supply", "steal"]}, id="unknown-operation"),
            pytest.param({"total_duration_ms": float("inf")}, id="infinite-duration"),
        ],
    )
    def test_an_event_that_contradicts_itself_is_refused(self, fields: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            group_event(**fields)
