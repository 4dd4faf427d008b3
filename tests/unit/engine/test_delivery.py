"""Delivery: the delays double, nothing is waited for in vain, and no order is sent twice that may be filled.

The venue is a fake with a plan of answers, the clock is the injected one. For any plan: an order that was accepted is
never sent again, attempts and time stay within the policy, and every lost answer is noted.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.execution.gateway import Delivery, ExecutionPolicy
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
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus

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

    def execute(self, order: Order) -> ExecutionHandshake:
        """The next word of the plan; after its end everything is confirmed."""
        self.sent_at.append(self._clock.monotonic())
        self.sent_after_acceptance += self.accepted is not None
        self._clock.sleep(self._seconds)
        word = self._plan.pop(0) if self._plan else "confirm"
        if word in ("confirm", "accept and time out"):
            self.accepted = CONFIRMED
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
        return self.accepted

    def balances(self) -> Mapping[str, float] | None:
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


WORDS = st.sampled_from(["refuse", "time out", "accept and time out", "accept and stay pending", "confirm"])


@given(plan=st.lists(WORDS, max_size=6), policy=st.sampled_from([LIVE, BACKTEST]))
def test_an_accepted_order_is_never_sent_again(plan: list[str], policy: ExecutionPolicy) -> None:
    answer, venue, delivery, clock = deliver(plan, policy)
    assert venue.sent_after_acceptance == 0
    assert len(venue.sent_at) <= 1 + policy.retry_attempts
    assert delivery.attempts == len(venue.sent_at) - 1
    assert clock.monotonic() <= policy.execution_timeout + 1e-9
    assert answer.was_successful() == (venue.accepted is CONFIRMED)
    assert not answer.is_pending()
    lost = sum(word.endswith("time out") for word in plan[: len(venue.sent_at)])
    assert [fault.code for fault in delivery.faults] == [ErrorCode.VEN_TIMEOUT] * lost
    assert venue.lookups >= lost


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
