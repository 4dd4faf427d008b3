"""Execution from order to handshake to reconciled books, with the engine's tight loop and simulated venues.

Each claim is about one way an order can go: filled on an exchange or on chain, refused, filled in part, answered late,
wrongly or not at all. What the books and the event log hold afterwards is what is asserted.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dataflow.maths.costs import CostModel
from dataflow.records.audit.replay import replay
from schemas.errors import (
    HandshakeInvalidError,
    NegativePositionError,
    OrderValidationError,
    PositionMismatchError,
    ReconciliationMismatchError,
    RoutingError,
    VenueInterfaceUnavailableError,
    VenueRateLimitError,
    VenueUnavailableError,
)
from schemas.intents import OrderIntent, perp_trade, spot_trade, supply, transfer, withdraw
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus, OperationType, OrderSide, StrategyIntent
from tests.support.desk import COSTS, LIVE, SNAPSHOT, Desk, Through

INTENT = StrategyIntent.ENTRY_FULL
BUY = spot_trade("binance", "BTC", OrderSide.BUY, 0.5, INTENT)
SHORT = perp_trade("binance", "BTC", OrderSide.SHORT, 0.5, INTENT)
SUPPLY = supply("USDT", 10_000.0, INTENT)

BTC, USDT, PERP = "binance:BaseToken:BTC", "binance:BaseToken:USDT", "binance:PerpPosition:BTC-PERP"
WALLET, A_USDT = "wallet:BaseToken:USDT", "aave:aToken:aUSDT"
UNITS: Mapping[str, float] = {
    WALLET: 50_000.0,
    USDT: 40_000.0,
    "okx:BaseToken:USDT": 0.0,
    BTC: 0.0,
    "okx:BaseToken:BTC": 0.0,
    PERP: 0.0,
    "okx:PerpPosition:BTC-PERP": 0.0,
    A_USDT: 0.0,
}
UNIT_OF_EVENTS = [
    "operation_executions",
    "execution_deltas",
    "positions",
    "execution_deltas",
    "positions",
    "reconciliation",
    "exposures",
    "risk_assessments",
    "tight_loop",
]
"""What one filled order leaves, in order: the fill, its fee, the comparison, exposure and risk, the loop."""


@dataclass
class Faulty(Through):
    """A venue that answers the first ``times`` orders in its own way."""

    times: int = 10**6
    asked: list[str] = field(default_factory=list)

    def execute(self, order: Order) -> ExecutionHandshake:
        """Answer in the faulty way while the fault lasts."""
        self.asked.append(order.operation_id)
        if len(self.asked) > self.times:
            return self.port.execute(order)
        return self.answer(order)

    def answer(self, order: Order) -> ExecutionHandshake:
        """The faulty answer."""
        raise NotImplementedError


class Tampering(Faulty):
    """Reports a change that is a tenth too large."""

    def answer(self, order: Order) -> ExecutionHandshake:
        handshake = self.port.execute(order)
        return handshake.model_copy(
            update={"actual_deltas": {key: 1.1 * change for key, change in handshake.actual_deltas.items()}}
        )


class Misaddressed(Faulty):
    """Answers about another operation."""

    def answer(self, order: Order) -> ExecutionHandshake:
        return self.port.execute(order).model_copy(update={"operation_id": "another"})


class Away(Faulty):
    """Cannot be reached."""

    def answer(self, order: Order) -> ExecutionHandshake:
        raise VenueUnavailableError("no answer", venue=order.venue)


class Busy(Faulty):
    """Says that it did not look at the order."""

    def answer(self, order: Order) -> ExecutionHandshake:
        raise VenueRateLimitError("too many requests", venue=order.venue)


class FilledUnheard(Faulty):
    """Fills the order, and the answer is lost on the way."""

    def answer(self, order: Order) -> ExecutionHandshake:
        self.port.execute(order)
        raise VenueUnavailableError("the connection broke", venue=order.venue)


class Slow(Faulty):
    """Fills the order, but says first that it is pending."""

    def answer(self, order: Order) -> ExecutionHandshake:
        return self.port.execute(order).model_copy(
            update={"status": ExecutionStatus.PENDING, "actual_deltas": {}, "executed_at": None}
        )


class Partial(Faulty):
    """Fills four tenths of what was asked."""

    def answer(self, order: Order) -> ExecutionHandshake:
        return self.port.execute(order.model_copy(update={"amount": 0.4 * order.amount}))


@dataclass
class Miscounting(Through):
    """Reports a balance that nobody traded to."""

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        reported = self.port.balances(venues)
        return None if reported is None else {**reported, USDT: reported[USDT] - 5.0}


def keys(event: Mapping[str, Any]) -> dict[str, float]:
    """Changes of an ExecutionDeltaEvent by key."""
    return {delta["position_key"]: delta["delta_amount"] for delta in event["deltas"]}


class TestExecutionFlow:
    """Order to handshake to reconciliation."""

    def test_order_to_handshake_cex(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        outcome = desk.process([BUY, SHORT])
        assert (outcome.attempted, outcome.confirmed, outcome.failed) == (2, 2, 0)
        price, mark = 60_000.0 * 1.0005, 60_030.0 * (1.0 - 3e-4)
        fees = 0.5 * price * 0.001, 0.5 * mark * 0.0005
        assert desk.holdings.units[BTC] == 0.5
        assert desk.holdings.units[PERP] == -0.5
        assert desk.holdings.entry_price[PERP] == pytest.approx(mark)
        assert desk.holdings.units[USDT] == pytest.approx(40_000.0 - 0.5 * price - sum(fees))
        assert outcome.fees_usd == pytest.approx(sum(fees))
        assert desk.told() == UNIT_OF_EVENTS * 2

    def test_order_to_handshake_defi(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        outcome = desk.process([SUPPLY])
        gas = 250_000.0 * 3e-5
        assert outcome.fees_usd == pytest.approx(gas)
        assert desk.holdings.units[A_USDT] == pytest.approx(10_000.0 / 1.066714)
        assert desk.holdings.units[WALLET] == pytest.approx(40_000.0 - gas)
        (operation,) = desk.events("operation_executions")
        assert operation["operation_type"] == "supply"
        assert operation["status"] == "confirmed"
        details: Any = operation["operation_details"]
        assert details["aave_liquidity_index"] == 1.066714
        assert details["aave_supply_index"] == pytest.approx(1.0 / 1.066714)

    def test_failed_order_handling(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, {**UNITS, USDT: 100.0})
        before = dict(desk.holdings.units)
        outcome = desk.process([BUY])
        assert (outcome.attempted, outcome.confirmed, outcome.failed) == (1, 0, 1)
        assert desk.holdings.units == before
        assert desk.told() == ["operation_executions", "tight_loop", "system_errors"]
        (operation,) = desk.events("operation_executions")
        assert (operation["status"], operation["actual_deltas"], operation["fee_amount"]) == ("failed", {}, 0.0)
        assert operation["error_code"] == "EXEC-001"
        (loop,) = desk.events("tight_loop")
        assert (loop["execution_success"], loop["retry_count"]) == (False, 0)
        (error,) = desk.events("system_errors")
        assert (error["error_code"], error["component"], error["severity"]) == ("EXEC-001", "ExecutionManager", "HIGH")

    def test_expected_and_actual_deltas_are_equal(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        desk.process([BUY, SHORT, SUPPLY, transfer("wallet", "okx", "USDT", 5.0, INTENT)])
        operations: list[Any] = desk.events("operation_executions")
        assert len(operations) == 4
        for operation in operations:
            expected = {delta["position_key"]: delta["delta_amount"] for delta in operation["expected_deltas"]}
            assert operation["actual_deltas"] == pytest.approx(expected, rel=1e-12)
        assert all(event["reconciliation_success"] for event in desk.events("reconciliation"))

    def test_the_fee_is_a_delta_of_its_own(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        desk.process([BUY])
        fill, fee = desk.events("execution_deltas")
        assert (fill["delta_type"], fee["delta_type"]) == ("execution_deltas", "fee")
        (operation,) = desk.events("operation_executions")
        assert keys(fill) == operation["actual_deltas"]
        assert keys(fee) == {USDT: -float(str(operation["fee_amount"]))}

    def test_each_order_sees_what_the_one_before_left(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, {**UNITS, USDT: 0.0})
        outcome = desk.process([transfer("wallet", "binance", "USDT", 40_000.0, INTENT), BUY, SHORT])
        assert outcome.failed == 0
        assert desk.holdings.units[BTC] == 0.5

    def test_realised_profit_of_a_perpetual_is_a_settlement(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, {**UNITS, PERP: -0.5}, entry_price={PERP: 61_000.0}, costs=CostModel.free())
        desk.process([perp_trade("binance", "BTC", OrderSide.LONG, 0.5, StrategyIntent.EXIT_FULL)])
        fill, profit = desk.events("execution_deltas")
        assert keys(fill) == {PERP: 0.5}
        assert profit["delta_type"] == "realized_pnl"
        assert keys(profit) == {USDT: pytest.approx(0.5 * (61_000.0 - 60_030.0))}
        assert (desk.holdings.units[PERP], desk.holdings.entry_price[PERP]) == (0.0, 0.0)

    def test_the_log_of_a_decision_replays_to_its_books(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        desk.process([BUY, SHORT, SUPPLY])
        report = replay(tmp_path, initial_positions=UNITS)
        assert report.final_positions == desk.holdings.units
        # No decision event is written here, so the count of orders alone is off.
        assert [fault.what for fault in report.faults] == ["3 operations were logged for 0 orders"]


class TestDependentOrders:
    """What depends on a failed order is not sent; the rest is. [domain] ruling 29."""

    def test_a_short_is_not_opened_without_its_coins(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, {**UNITS, USDT: 100.0, "okx:BaseToken:USDT": 40_000.0})
        other = [
            spot_trade("okx", "BTC", OrderSide.BUY, 0.5, INTENT),
            perp_trade("okx", "BTC", OrderSide.SHORT, 0.5, INTENT),
        ]
        outcome = desk.process([BUY, other[0], SHORT, other[1]])
        assert (outcome.attempted, outcome.confirmed, outcome.failed) == (3, 2, 1)
        assert desk.holdings.units[PERP] == 0.0
        assert desk.holdings.units["okx:PerpPosition:BTC-PERP"] == -0.5

    def test_dependence_is_transitive(self, tmp_path: Path) -> None:
        """A transfer that fails leaves the coins unbought, and so the short unopened."""
        desk = Desk(tmp_path, {**UNITS, WALLET: 10.0, USDT: 0.0})
        outcome = desk.process([transfer("wallet", "binance", "USDT", 40_000.0, INTENT), BUY, SHORT])
        assert (outcome.attempted, outcome.failed) == (1, 1)
        assert len(outcome.unfinished.lost) == 3

    def test_identifiers_number_attempted_operations_alone(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, {**UNITS, USDT: 100.0})
        desk.process([BUY, SHORT, SUPPLY])
        assert desk.operations == 2
        assert len({event["operation_id"] for event in desk.events("operation_executions")}) == 2


class TestReconciliation:
    """Expected against actual, then books against venues; a mismatch stops the run and heals nothing."""

    def test_a_change_that_was_not_expected_stops_the_run(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, wrap=Tampering)
        before = desk.holdings
        with pytest.raises(PositionMismatchError) as caught:
            desk.process([BUY, SHORT])
        assert caught.value.code == "EXEC-007"
        assert caught.value.context["position_key"] == BTC
        assert desk.holdings is before
        (reconciliation,) = desk.events("reconciliation")
        assert not reconciliation["reconciliation_success"]
        mismatches: Any = reconciliation["mismatches"]
        assert {mismatch["position_key"] for mismatch in mismatches} == {BTC, USDT}
        assert [event["error_code"] for event in desk.events("system_errors")] == ["POS-005"]
        assert desk.events("execution_deltas") == [], "nothing of it was applied"

    def test_a_venue_that_counts_otherwise_stops_the_run(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, wrap=Miscounting)
        with pytest.raises(ReconciliationMismatchError) as caught:
            desk.process([BUY])
        assert caught.value.code == "POS-005"
        assert caught.value.context["position_key"] == USDT
        assert [event["reconciliation_success"] for event in desk.events("reconciliation")] == [False]

    def test_a_partial_fill_is_compared_with_its_share_of_the_expectation(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, costs=CostModel.free(), wrap=Partial)
        outcome = desk.process([BUY])
        assert outcome.confirmed == 1
        assert desk.holdings.units[BTC] == pytest.approx(0.2)
        (operation,) = desk.events("operation_executions")
        assert operation["executed_amount"] == pytest.approx(0.2)

    def test_an_answer_about_another_operation_stops_the_run(self, tmp_path: Path) -> None:
        with pytest.raises(HandshakeInvalidError) as caught:
            Desk(tmp_path, UNITS, wrap=Misaddressed).process([BUY])
        assert caught.value.code == "EXEC-008"

    def test_books_that_cannot_be_stop_the_run(self, tmp_path: Path) -> None:
        """A loss realised on a short is a margin loan; without coins behind it the balance is wrong."""
        desk = Desk(tmp_path, {**UNITS, USDT: 10.0, PERP: -0.5}, entry_price={PERP: 50_000.0})
        with pytest.raises(NegativePositionError) as caught:
            desk.process([perp_trade("binance", "BTC", OrderSide.LONG, 0.5, StrategyIntent.EXIT_FULL)])
        assert caught.value.code == "POS-004"
        assert caught.value.context["position_key"] == USDT

    def test_a_margin_loan_backed_by_coins_is_allowed(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, {**UNITS, USDT: 10.0, BTC: 0.5, PERP: -0.5}, entry_price={PERP: 50_000.0})
        desk.process([perp_trade("binance", "BTC", OrderSide.LONG, 0.5, StrategyIntent.EXIT_FULL)])
        assert desk.holdings.units[USDT] < 0.0


class TestRetry:
    """A backtest never tries again; live does, where it is safe. [domain] 5.6."""

    def test_a_backtest_does_not_retry(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, wrap=lambda port, world: Away(port, world, times=1))
        outcome = desk.process([BUY])
        assert outcome.failed == 1
        assert [event["retry_count"] for event in desk.events("tight_loop")] == [0]

    def test_live_retries_with_doubling_delays_until_the_venue_answers(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, policy=LIVE, wrap=lambda port, world: Busy(port, world, times=2))
        outcome = desk.process([BUY])
        assert outcome.confirmed == 1
        assert [event["retry_count"] for event in desk.events("tight_loop")] == [2]
        assert desk.clock.monotonic() == pytest.approx(0.1 + 0.2)

    def test_live_gives_up_after_its_attempts(self, tmp_path: Path) -> None:
        venues: list[Busy] = []

        def busy(port: Any, world: Any) -> Busy:
            venues.append(Busy(port, world))
            return venues[0]

        desk = Desk(tmp_path, UNITS, policy=LIVE, wrap=busy)
        assert desk.process([BUY]).failed == 1
        assert len(venues[0].asked) == 1 + LIVE.retry_attempts
        assert len(set(venues[0].asked)) == 1, "one order keeps its identifier"

    def test_a_purchase_that_is_void_is_the_next_decision_s(self, tmp_path: Path) -> None:
        venues: list[Away] = []

        def away(port: Any, world: Any) -> Away:
            venues.append(Away(port, world, times=1))
            return venues[0]

        desk = Desk(tmp_path, UNITS, policy=LIVE, wrap=away)
        assert desk.process([BUY]).failed == 1
        assert len(venues[0].asked) == 1, "a second fill of a purchase would be one too many"

    def test_an_order_that_may_be_filled_is_looked_up_and_not_sent_again(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, policy=LIVE, wrap=FilledUnheard)
        outcome = desk.process([BUY])
        assert outcome.confirmed == 1
        assert desk.holdings.units[BTC] == 0.5

    def test_a_pending_order_is_asked_about_until_it_is_settled(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, policy=LIVE, wrap=Slow)
        outcome = desk.process([BUY])
        assert outcome.confirmed == 1
        assert desk.holdings.units[BTC] == 0.5


class TestVenues:
    """Where an order goes, and what happens where it cannot."""

    def test_a_venue_without_interface_stops_the_run(self, tmp_path: Path) -> None:
        with pytest.raises(VenueInterfaceUnavailableError) as caught:
            Desk(tmp_path, UNITS, venues=("okx", "wallet")).process([BUY])
        assert caught.value.code == "EXEC-002"

    def test_an_operation_that_a_venue_cannot_do_is_a_routing_error(self, tmp_path: Path) -> None:
        with pytest.raises(RoutingError) as caught:
            Desk(tmp_path, UNITS).process([replace(SUPPLY, venue="okx")])
        assert caught.value.code == "VEN-001"

    def test_an_invalid_order_never_reaches_a_venue(self, tmp_path: Path) -> None:
        intent = OrderIntent(OperationType.SUPPLY, "aave_v3", -1.0, "wallet", "aave_v3", "USDT", "aUSDT", INTENT)
        desk = Desk(tmp_path, UNITS)
        with pytest.raises(OrderValidationError) as caught:
            desk.process([intent])
        assert caught.value.code == "EXEC-004"
        assert desk.events("operation_executions") == []

    def test_a_wallet_that_cannot_pay_the_gas_refuses(self, tmp_path: Path) -> None:
        """[domain] ruling 12: an empty wallet is EXEC-004."""
        desk = Desk(tmp_path, {**UNITS, WALLET: 10_000.0})
        outcome = desk.process([SUPPLY])
        assert outcome.failed == 1
        (operation,) = desk.events("operation_executions")
        assert operation["error_code"] == "EXEC-004"
        assert desk.holdings.units[WALLET] == 10_000.0

    def test_gas_is_paid_in_eth_where_the_wallet_holds_it(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, {**UNITS, "wallet:BaseToken:ETH": 1.0, "wallet:BaseToken:WETH": 0.001})
        desk.process([SUPPLY])
        gas_eth = COSTS.gas_usd("supply", SNAPSHOT.gas_unit_usd) / SNAPSHOT.eth_price
        assert desk.holdings.units["wallet:BaseToken:WETH"] == 0.0, "WETH goes first"
        assert desk.holdings.units["wallet:BaseToken:ETH"] == pytest.approx(1.001 - gas_eth)
        assert desk.holdings.units[WALLET] == 40_000.0

    def test_a_transfer_between_exchanges_is_free(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS)
        outcome = desk.process([transfer("binance", "okx", "USDT", 100.0, INTENT)])
        assert outcome.fees_usd == 0.0
        assert desk.holdings.units["okx:BaseToken:USDT"] == 100.0

    def test_supply_then_full_withdraw_is_the_identity_but_for_gas(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, UNITS, costs=CostModel.free())
        desk.process([SUPPLY])
        desk.process([withdraw("USDT", 10_000.0, StrategyIntent.EXIT_FULL, closes_all=True)])
        assert desk.holdings.units == UNITS
