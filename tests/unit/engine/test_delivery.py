"""Delivery: the delays double, nothing is waited for in vain, and no order is sent twice that may be filled.

The venue is a fake with a plan of answers, the clock is the injected one. For any plan: an order that was accepted, or
may still be, is never sent again, attempts and time stay within the policy, and every lost answer is noted.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.execution.doubt import limits_itself
from dataflow.execution.gateway import LOOKS_APART, Delivery, ExecutionPolicy
from dataflow.venues.simulated.clock import SimulatedClock
from schemas.errors import (
    ErrorCode,
    ReconciliationTimeoutError,
    VenueAuthenticationError,
    VenueError,
    VenueTimeoutError,
)
from schemas.models.config_blocks import ExecutionManagerConfig
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import ExpectedDelta, Order
from schemas.operations import ExecutionStatus, OperationType, OrderSide

INSTANT = datetime(2024, 5, 12, tzinfo=UTC)
LIVE = ExecutionPolicy.live(ExecutionManagerConfig(), 0.01)
BACKTEST = ExecutionPolicy.backtest(ExecutionManagerConfig())
ORDER = Order(
    operation_id="one",
    operation="transfer",
    venue="wallet",
    amount=1.0,
    source_venue="wallet",
    target_venue="okx",
    source_token="USDT",
    target_token="USDT",
    expected_deltas={"wallet:BaseToken:USDT": -1.0, "okx:BaseToken:USDT": 1.0},
)


def handshake(status: ExecutionStatus, code: ErrorCode | None = None) -> ExecutionHandshake:
    """An answer about the order."""
    return ExecutionHandshake(operation_id="one", status=status, error_code=code, submitted_at=INSTANT)


TAKEN_UP_WITHIN = LIVE.validity_window + LIVE.void_margin
CONFIRMED = handshake(ExecutionStatus.CONFIRMED)
PENDING = handshake(ExecutionStatus.PENDING)
FAILED = handshake(ExecutionStatus.FAILED, ErrorCode.EXEC_ORDER_FAILED)


class PlannedVenue:
    """A venue that goes through a plan, one word an order; what it accepted it can find."""

    def __init__(self, plan: Sequence[str], clock: SimulatedClock, *, seconds: float = 0.0) -> None:
        self._plan, self._clock, self._seconds = list(plan), clock, seconds
        self.accepted: ExecutionHandshake | None = None
        self.sent_at: list[float] = []
        self.sent_after_acceptance = 0
        self.lookups = 0
        self.late_at = math.inf

    def execute(self, order: Order) -> ExecutionHandshake:
        """The next word of the plan; after its end everything is confirmed."""
        self.sent_at.append(self._clock.monotonic())
        self.sent_after_acceptance += self.accepted is not None or self.late_at < math.inf
        self._clock.sleep(self._seconds)
        word = self._plan.pop(0) if self._plan else "confirm"
        if word in ("confirm", "accept and time out"):
            self.accepted = CONFIRMED
        if word == "accept late and time out":
            self.late_at = self._clock.monotonic() + TAKEN_UP_WITHIN
        if word == "accept and stay pending":
            self.accepted = PENDING
            return PENDING
        if word.endswith("time out"):
            raise VenueTimeoutError("no answer", venue=order.venue)
        return FAILED if word == "refuse" else CONFIRMED

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Groups have tests of their own."""
        return tuple(self.execute(order) for order in orders)

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """What was accepted."""
        self.lookups += 1
        if self._clock.monotonic() >= self.late_at:
            self.accepted = CONFIRMED
        return self.accepted

    def cancel(self, operation_id: str, venue: str) -> None:
        """What is open is open no more."""
        if self.accepted is PENDING:
            self.accepted = FAILED

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Slow, and never there."""
        self._clock.sleep(self._seconds)
        return {}


def deliver(
    plan: Sequence[str], policy: ExecutionPolicy = LIVE, *, seconds: float = 0.0
) -> tuple[ExecutionHandshake, PlannedVenue, Delivery, SimulatedClock]:
    """One order through a plan."""
    clock = SimulatedClock(lambda: INSTANT)
    venue = PlannedVenue(plan, clock, seconds=seconds)
    delivery = Delivery(venue, policy, clock, simulated=True)
    return delivery.execute(ORDER), venue, delivery, clock


WORDS = st.sampled_from(
    ["refuse", "time out", "accept and time out", "accept late and time out", "accept and stay pending", "confirm"]
)


@given(plan=st.lists(WORDS, max_size=6), policy=st.sampled_from([LIVE, BACKTEST]))
def test_an_accepted_order_is_never_sent_again(plan: list[str], policy: ExecutionPolicy) -> None:
    answer, venue, delivery, clock = deliver(plan, policy)
    assert venue.sent_after_acceptance == 0
    assert len(venue.sent_at) <= 1 + policy.retry_attempts
    assert delivery.attempts == len(venue.sent_at) - 1
    assert clock.monotonic() <= policy.tight_loop_timeout
    assert answer.was_successful() == (venue.accepted is CONFIRMED)
    assert not answer.is_pending()
    lost = sum(word.endswith("time out") for word in plan[: len(venue.sent_at)])
    assert [fault.code for fault in delivery.faults] == [ErrorCode.VEN_TIMEOUT] * lost
    assert venue.lookups >= lost
    if policy is LIVE and not answer.was_successful():
        assert venue.lookups >= 2 * lost, "nothing is void after one look"


def test_what_a_venue_takes_up_within_its_window_is_one_fill() -> None:
    answer, venue, _, clock = deliver(["accept late and time out"])
    assert answer == CONFIRMED
    assert len(venue.sent_at) == 1
    assert TAKEN_UP_WITHIN <= clock.monotonic() <= TAKEN_UP_WITHIN + LOOKS_APART


def test_a_look_up_is_believed_only_when_the_venue_can_take_nothing_up_any_more() -> None:
    answer, venue, _, clock = deliver(["time out"])
    assert answer.was_failed()
    assert len(venue.sent_at) == 1, "a transfer that may be on its way is never sent again"
    assert clock.monotonic() == pytest.approx(TAKEN_UP_WITHIN + LOOKS_APART)


def test_a_void_order_whose_balances_moved_is_unknown() -> None:
    clock = SimulatedClock(lambda: INSTANT)

    class Moved(PlannedVenue):
        """Does not know the order, and holds less than before."""

        def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
            assert venues == {"okx", "wallet"}
            return {"wallet:BaseToken:USDT": 99.0}

    delivery = Delivery(Moved(["time out"], clock), LIVE, clock, simulated=True)
    delivery.expect({"wallet:BaseToken:USDT": 100.0})
    with pytest.raises(VenueTimeoutError):
        delivery.execute(ORDER)


def test_an_outcome_that_cannot_be_known_in_time_is_raised() -> None:
    with pytest.raises(VenueTimeoutError):
        deliver(["time out"], replace(LIVE, void_margin=60.0))


SALE = ORDER.model_copy(
    update={
        "operation": OperationType.SPOT_TRADE,
        "venue": "okx",
        "pair": "BTCUSDT",
        "side": OrderSide.SELL,
        "expected_deltas": (
            ExpectedDelta.of("okx:BaseToken:BTC", -1.0, OperationType.SPOT_TRADE),
            ExpectedDelta.of("okx:BaseToken:USDT", 60_000.0, OperationType.SPOT_TRADE),
        ),
    }
)


@pytest.mark.parametrize(
    ("order", "coins", "may"),
    [
        pytest.param(SALE, 1.0, True, id="whole-coin"),
        pytest.param(SALE, 1.5, False, id="part-of-a-coin"),
        pytest.param(SALE.model_copy(update={"side": OrderSide.BUY}), 1.0, False, id="purchase"),
        pytest.param(ORDER, 1.0, False, id="transfer"),
        pytest.param(ORDER.model_copy(update={"operation": OperationType.SUPPLY}), 1.0, True, id="on-chain"),
    ],
)
def test_what_may_be_sent_again_is_what_can_be_filled_only_once(order: Order, coins: float, may: bool) -> None:
    assert limits_itself(order, {"okx:BaseToken:BTC": coins}) is may


def test_the_closing_of_a_whole_perpetual_may_be_sent_again() -> None:
    closing = ExpectedDelta.of("okx:PerpPosition:BTC-PERP", 1.0, OperationType.PERP_TRADE)
    order = SALE.model_copy(update={"side": OrderSide.LONG, "expected_deltas": (closing,)})
    assert limits_itself(order, {"okx:PerpPosition:BTC-PERP": -1.0})
    assert not limits_itself(order, {"okx:PerpPosition:BTC-PERP": -3.0})


def test_a_void_order_that_limits_itself_is_sent_again() -> None:
    clock = SimulatedClock(lambda: INSTANT)
    venue = PlannedVenue(["time out"], clock)
    delivery = Delivery(venue, LIVE, clock, simulated=True)
    delivery.expect({"okx:BaseToken:BTC": 1.0})
    assert delivery.execute(SALE).was_successful()
    assert len(venue.sent_at) == 2


def test_delays_double_from_the_configured_one() -> None:
    _, venue, _, _ = deliver(["refuse"] * 9)
    assert [later - earlier for earlier, later in pairwise(venue.sent_at)] == pytest.approx([0.1, 0.2, 0.4])


def test_a_backtest_never_waits() -> None:
    answer, venue, _, clock = deliver(["refuse"] * 9, BACKTEST)
    assert (len(venue.sent_at), clock.monotonic()) == (1, 0.0)
    assert answer == FAILED


def test_a_pending_order_is_given_up_exactly_at_the_timeout() -> None:
    answer, venue, _, clock = deliver(["accept and stay pending"])
    assert clock.monotonic() == pytest.approx(30.0)
    assert answer.error_code is ErrorCode.EXEC_ORDER_FAILED
    assert len(venue.sent_at) == 1


def test_a_slow_venue_is_tried_again_only_while_there_is_time() -> None:
    _, venue, _, _ = deliver(["refuse"] * 9, seconds=14.0)
    assert venue.sent_at == pytest.approx([0.0, 14.1, 28.3])


def test_an_error_that_cannot_pass_is_raised_at_once() -> None:
    class Locked(PlannedVenue):
        """Does not accept the credentials."""

        def execute(self, order: Order) -> ExecutionHandshake:
            self.sent_at.append(self._clock.monotonic())
            raise VenueAuthenticationError("bad key", venue=order.venue)

    clock = SimulatedClock(lambda: INSTANT)
    venue = Locked([], clock)
    delivery = Delivery(venue, LIVE, clock, simulated=True)
    with pytest.raises(VenueAuthenticationError):
        delivery.execute(ORDER)
    assert len(venue.sent_at) == 1
    assert [fault.code for fault in delivery.faults] == [ErrorCode.VEN_AUTHENTICATION_FAILED]


def test_look_ups_are_repeated_while_the_venue_is_away() -> None:
    class AwayTwice(PlannedVenue):
        """Answers the third look-up."""

        def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
            self.lookups += 1
            if self.lookups < 3:
                raise VenueTimeoutError("no answer", venue=venue)
            return self.accepted

    clock = SimulatedClock(lambda: INSTANT)
    venue = AwayTwice(["accept and time out"], clock)
    delivery = Delivery(venue, LIVE, clock, simulated=True)
    assert delivery.execute(ORDER) == CONFIRMED
    assert len(venue.sent_at) == 1
    assert len(delivery.faults) == 3


def test_balances_that_take_too_long_are_exec_005() -> None:
    clock = SimulatedClock(lambda: INSTANT)
    delivery = Delivery(PlannedVenue([], clock, seconds=4.0), LIVE, clock, simulated=True)
    with pytest.raises(ReconciliationTimeoutError) as caught:
        delivery.agreed_balances(lambda _: False)
    assert caught.value.code is ErrorCode.EXEC_RECONCILIATION_TIMEOUT


def test_a_lookup_for_a_correction_that_takes_too_long_is_exec_005() -> None:
    class SlowLookUps(PlannedVenue):
        """Takes its time."""

        def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
            self._clock.sleep(11.0)
            return CONFIRMED

    clock = SimulatedClock(lambda: INSTANT)
    delivery = Delivery(SlowLookUps([], clock), LIVE, clock, simulated=True)
    with pytest.raises(ReconciliationTimeoutError):
        delivery.settled_again(ORDER, lambda _: False)


@pytest.mark.parametrize("found", [(CONFIRMED, None), (None, PENDING), (PENDING, PENDING)])
def test_a_group_of_which_half_is_found_is_raised_as_it_came(
    found: tuple[ExecutionHandshake | None, ExecutionHandshake | None],
) -> None:
    class LosesGroups(PlannedVenue):
        """Loses the answer to a group, and knows only some of its members."""

        def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
            raise VenueTimeoutError("no answer", venue="morpho")

        def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
            return found[int(operation_id)]

    clock = SimulatedClock(lambda: INSTANT)
    delivery = Delivery(LosesGroups([], clock), LIVE, clock, simulated=True)
    members = [ORDER.model_copy(update={"operation_id": text}) for text in "01"]
    with pytest.raises(VenueError):
        delivery.execute_group(members)
