"""Getting an order to a venue and its outcome back: confirmed, refused, or unknown until somebody can know.

[domain] 5.6. Wraps any port; the nodes see one call with one answer. A refusal is what the venue says; everything else
without an answer is unknown: the order is looked up, and counts as void only at a time at which the venue can no longer
take it up. Time comes from an injected clock, so that a backtest waits for nothing and a simulation can be replayed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from dataflow.execution.doubt import limits_itself, venues_of
from schemas.clock import Clock
from schemas.errors import (
    ErrorCode,
    InterfaceNotFoundError,
    PlatformError,
    ReconciliationTimeoutError,
    RoutingError,
    VenueError,
    VenueTimeoutError,
)
from schemas.models.config_blocks import ExecutionManagerConfig
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus
from schemas.port import OrderPort

_Answer = TypeVar("_Answer")

LOOKS_APART: Final = 2.0
"""Seconds between the two look-ups that make an order void."""

_DOUBLINGS_MAX: Final = 60
"""Doublings of a delay after which it grows no more: without a delay, polling goes on past what a float can count."""


@dataclass(frozen=True)
class ExecutionPolicy:
    """How far to go for an order. Seconds; ``retry_attempts`` 0 is a backtest, where trying again proves nothing.

    The n-th retry waits ``retry_delay_seconds`` x 2^n. execution_timeout: until the outcome of a unit must be known,
    or of its next attempt where the one before is void. reconciliation_timeout: for each comparison with the venues.
    tight_loop_timeout: for a unit from its first attempt until it is reconciled, whatever the two others leave.
    Tolerances are relative to the expected change of a key, with an absolute floor in its unit. validity_window: after
    sending, beyond which the venue refuses an order. void_margin: from then on until an order that it took in time
    must show. looks_apart: between the two look-ups that make an order void.
    """

    retry_attempts: int
    retry_delay_seconds: float
    execution_timeout: float
    reconciliation_timeout: float
    tight_loop_timeout: float
    relative_tolerance: float
    absolute_tolerance: float
    validity_window: float = 0.0
    void_margin: float = 0.0
    looks_apart: float = 0.0

    @classmethod
    def backtest(cls, config: ExecutionManagerConfig) -> "ExecutionPolicy":
        """No retries, and changes equal to 1e-9 relative."""
        return cls(
            0, 0.0, config.execution_timeout, config.reconciliation_timeout, config.tight_loop_timeout, 1e-9, 0.0
        )

    @classmethod
    def live(cls, config: ExecutionManagerConfig, relative_tolerance: float) -> "ExecutionPolicy":
        """Retries as configured; changes equal to the configured tolerance, 1e-9 units at least."""
        return cls(
            config.max_retry_attempts,
            config.retry_delay_seconds,
            config.execution_timeout,
            config.reconciliation_timeout,
            config.tight_loop_timeout,
            relative_tolerance,
            1e-9,
            config.validity_window,
            config.void_margin,
            LOOKS_APART,
        )

    def delay(self, attempt: int) -> float:
        """Seconds to wait before a retry, ``attempt`` counting from 0.

        >>> policy = ExecutionPolicy(3, 0.1, 30.0, 10.0, 120.0, 1e-9, 0.0)
        >>> [round(policy.delay(attempt), 1) for attempt in range(3)]
        [0.1, 0.2, 0.4]
        """
        return float(self.retry_delay_seconds * 2.0 ** min(attempt, _DOUBLINGS_MAX))


class Delivery:
    """A port that tries again where that is safe.

    ``attempts`` says how often the last order was tried again; ``faults`` are the errors of venues since somebody last
    took them, those included that a later attempt overcame.
    """

    def __init__(
        self,
        port: OrderPort,
        policy: ExecutionPolicy,
        clock: Clock,
        *,
        simulated: bool,
    ) -> None:
        self._port, self._policy, self._clock, self._simulated = port, policy, clock, simulated
        self._begun = clock.monotonic()
        self._held: Mapping[str, float] = {}
        self.attempts = 0
        self.faults: list[VenueError] = []

    def expect(self, held: Mapping[str, float]) -> None:
        """Take down what the books hold before a unit: what the venues hold as long as nothing of it is done."""
        self._held = held

    def execute(self, order: Order) -> ExecutionHandshake:
        """Send the order until the venue confirms it, or the attempts or the time are used up.

        What was refused is sent again. What is void is sent again where a second fill could do no harm, else it ends
        as a failed handshake with EXEC-001: the next decision sees balances that agree. Raised are errors of routing
        (VEN-001, VEN-004), invalid answers (EXEC-008), and the error of the venue where the outcome stays unknown.
        """
        self.begin_unit()
        deadline = self._deadline()
        while True:
            handshake, is_void = self._once(order, deadline)
            if handshake.is_pending():
                handshake = self._settled(order, handshake, deadline)
            if not handshake.was_failed() or (is_void and not limits_itself(order, self._held)):
                return handshake
            if is_void:
                deadline = self._deadline()
            if not self._may_retry(handshake, deadline):
                return handshake
            self._clock.sleep(self._policy.delay(self.attempts))
            self.attempts += 1

    def _deadline(self) -> float:
        """When the outcome of an attempt that begins now must be known."""
        policy = self._policy
        return min(self._clock.monotonic() + policy.execution_timeout, self._begun + policy.tight_loop_timeout)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Send an atomic group once: it succeeds or leaves no trace, and is the strategy's to ask for again.

        Where the venue did not answer, its members are looked up: all of them done is done, none of them, at a time at
        which that is final, rolled back. Anything between is raised as it came, because nobody knows what is held.
        """
        self.begin_unit()
        sent = self._clock.monotonic()
        try:
            return self._port.execute_group(orders)
        except VenueError as error:
            self._note(error)
            if not _is_transient(error):
                raise
            was_refused = error.code in _REFUSED_UNSEEN
            answers = () if was_refused else self._looked_up(orders, error, sent, self._deadline())
            if not answers:
                return tuple(self._lost(order, error, is_culprit=order is orders[0]) for order in orders)
            if len(answers) < len(orders) or any(answer.is_pending() for answer in answers):
                raise
            return answers

    def begin_unit(self) -> None:
        """Count attempts and time from here on."""
        self.attempts, self._begun = 0, self._clock.monotonic()

    def settled_again(self, order: Order, accept: Callable[[ExecutionHandshake], bool]) -> ExecutionHandshake | None:
        """The first answer about an operation that ``accept`` takes, asked for again as often as the policy allows.

        Raises ReconciliationTimeoutError (EXEC-005) when that, or the unit with it, takes longer than it may.
        """
        started = self._clock.monotonic()
        for attempt in range(self._policy.retry_attempts):
            self._clock.sleep(self._policy.delay(attempt))
            found = self.find(order.operation_id, order.venue)
            self._refuse_late(started, order.operation_id)
            if found is not None and accept(found):
                return found
        return None

    def agreed_balances(
        self, accept: Callable[[Mapping[str, float]], bool], venues: Collection[str] | None = None
    ) -> Mapping[str, float] | None:
        """Balances at the venues, or at all, that ``accept`` takes, or the last ones when the attempts are used up.

        Raises ReconciliationTimeoutError (EXEC-005) when that, or the unit with it, takes longer than it may.
        """
        started = self._clock.monotonic()
        reported = self.balances(venues)
        for attempt in range(self._policy.retry_attempts):
            self._refuse_late(started, "balances")
            if reported is None or accept(reported):
                return reported
            self._clock.sleep(self._policy.delay(attempt))
            reported = self.balances(venues)
        self._refuse_late(started, "balances")
        return reported

    def _refuse_late(self, started: float, what: str) -> None:
        now = self._clock.monotonic()
        for since, most, late in (
            (started, self._policy.reconciliation_timeout, f"reconciling {what}"),
            (self._begun, self._policy.tight_loop_timeout, f"the tight loop, until {what} was reconciled,"),
        ):
            if now - since > most:
                raise ReconciliationTimeoutError(
                    f"{late} took {now - since:g} s, more than {most:g} s", waited_seconds=now - since
                )

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """What became of an operation, asked again while the venue cannot be reached."""
        return self._patiently(lambda: self._port.find(operation_id, venue))

    def cancel(self, operation_id: str, venue: str) -> None:
        """End what is open of an operation, asked again while the venue cannot be reached."""
        self._patiently(lambda: self._port.cancel(operation_id, venue))

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Balances as the venues named, or all, report them, asked again while one cannot be reached."""
        return self._patiently(lambda: self._port.balances(venues))

    def unanswered(self, order: Order, error: PlatformError) -> ExecutionHandshake:
        """What is to be recorded of an order that ``error`` stopped: failed where it was not sent, else pending.

        A pending one is to be looked up at the venue by hand.
        """
        was_sent = not isinstance(error, RoutingError) and not isinstance(error.__cause__, InterfaceNotFoundError)
        return ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.PENDING if was_sent else ExecutionStatus.FAILED,
            error_code=error.code,
            error_message=error.one_line(),
            submitted_at=self._clock.now(),
            simulated=self._simulated,
        )

    def _note(self, error: VenueError) -> None:
        """Keep the error for the records; a wrong route is the order's fault and stops the run under its own code."""
        if error.code is not ErrorCode.VEN_ROUTING_FAILED:
            self.faults.append(error)

    def _once(self, order: Order, deadline: float) -> tuple[ExecutionHandshake, bool]:
        """The outcome of one attempt, and whether it is void: unanswered, and never to be taken up any more."""
        sent = self._clock.monotonic()
        try:
            return self._port.execute(order), False
        except VenueError as error:
            self._note(error)
            if not _is_transient(error):
                raise
            if error.code in _REFUSED_UNSEEN:
                return self._failed(order, error.one_line()), False
            found = self._looked_up((order,), error, sent, deadline)
            if not found and not self._is_untouched(order):
                raise
            return (found[0], False) if found else (self._failed(order, error.one_line()), True)

    def _looked_up(
        self, orders: Sequence[Order], error: VenueError, sent: float, deadline: float
    ) -> tuple[ExecutionHandshake, ...]:
        """What a venue that did not answer has of an order or group sent at ``sent``; () where that is void.

        Void is what two look-ups do not find, both asked when what the venue took in time must show. Raises ``error``
        where that time is not reached before the deadline: the outcome is unknown.
        """
        policy, clock = self._policy, self._clock
        final, attempt, misses = sent + policy.validity_window + policy.void_margin, 0, 0
        while True:
            asked = clock.monotonic()
            found = [self.find(order.operation_id, order.venue) for order in orders]
            answers = tuple(handshake for handshake in found if handshake is not None)
            misses += asked >= final
            if answers or misses == _LOOKS:
                return answers
            wait = policy.looks_apart if misses else min(policy.delay(attempt), max(final - asked, policy.looks_apart))
            attempt += 1
            if clock.monotonic() + wait > deadline:
                raise error
            clock.sleep(wait)

    def _is_untouched(self, order: Order) -> bool:
        """Whether the venues hold of what the order was to change what the books hold, as far as they say."""
        policy = self._policy
        reported = self.balances(venues_of(order)) or {}
        return all(
            abs(reported[delta.position_key] - self._held[delta.position_key])
            <= max(policy.relative_tolerance * abs(delta.delta_amount), policy.absolute_tolerance)
            for delta in order.expected_deltas
            if delta.position_key in reported and delta.position_key in self._held
        )

    def _settled(self, order: Order, handshake: ExecutionHandshake, deadline: float) -> ExecutionHandshake:
        """The final outcome of a pending order, which is cancelled where it stays open too long.

        Raises VenueTimeoutError (VEN-002) where it is open even then: what a venue has acknowledged is never void.
        """
        attempt, is_cancelled = 0, False
        while handshake.is_pending():
            left = deadline - self._clock.monotonic()
            if left > 0.0:
                self._clock.sleep(min(max(self._policy.delay(attempt), 0.01), left))
            elif is_cancelled:
                late = VenueTimeoutError(
                    f"still pending after {self._policy.execution_timeout:g} s, cancelled or not",
                    venue=order.venue,
                    operation_id=order.operation_id,
                )
                self._note(late)
                raise late
            else:
                self.cancel(order.operation_id, order.venue)
                is_cancelled = True
            attempt += 1
            found = self.find(order.operation_id, order.venue)
            handshake = handshake if found is None else found
        return handshake

    def _failed(self, order: Order, message: str) -> ExecutionHandshake:
        return ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.FAILED,
            error_code=ErrorCode.EXEC_ORDER_FAILED,
            error_message=message,
            submitted_at=self._clock.now(),
            simulated=self._simulated,
        )

    def _lost(self, order: Order, error: VenueError, *, is_culprit: bool) -> ExecutionHandshake:
        """One member of a group that the venue never had."""
        return ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.ROLLED_BACK,
            error_code=error.code if is_culprit else ErrorCode.EXEC_GROUP_ROLLED_BACK,
            error_message=error.one_line() if is_culprit else "the group did not reach the venue",
            submitted_at=self._clock.now(),
            simulated=self._simulated,
        )

    def _may_retry(self, handshake: ExecutionHandshake, deadline: float) -> bool:
        if handshake.error_code in _REFUSED_FOR_GOOD:
            return False
        return self.attempts < self._policy.retry_attempts and self._clock.monotonic() < deadline

    @property
    def _is_over(self) -> bool:
        """Whether the tight loop of the unit has used up its time: nothing more is asked."""
        return self._clock.monotonic() - self._begun > self._policy.tight_loop_timeout

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Ask until the venue answers; its error, once the attempts are used up."""
        attempt = 0
        while True:
            try:
                return ask()
            except VenueError as error:
                self._note(error)
                if not _is_transient(error) or attempt >= self._policy.retry_attempts or self._is_over:
                    raise
                self._clock.sleep(self._policy.delay(attempt))
                attempt += 1


_LOOKS: Final = 2
"""Look-ups, each of which must find nothing, that make an order void."""

_REFUSED_UNSEEN: Final = (ErrorCode.VEN_RATE_LIMITED,)
"""Errors with which a venue says that it did not look at an order; any other error may follow its acceptance."""

_REFUSED_FOR_GOOD: Final = (ErrorCode.EXEC_ORDER_VALIDATION_FAILED, ErrorCode.EXEC_ORDER_FORMAT_INVALID)
"""Refusals of the order itself: the same order will be refused again."""


def _is_transient(error: PlatformError) -> bool:
    """Whether asking a venue again may help: it was slow, away or busy."""
    return error.code in (ErrorCode.VEN_TIMEOUT, ErrorCode.VEN_UNAVAILABLE, ErrorCode.VEN_RATE_LIMITED)
