"""Getting an order to a venue and its outcome back: retries, timeouts, and never sending twice what may be filled.

[domain] 5.6. Wraps any port; the nodes see one call with one answer. Time comes from an injected clock, so that a
backtest waits for nothing and a simulation can be replayed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from schemas.clock import Clock
from schemas.errors import (
    ErrorCode,
    InterfaceNotFoundError,
    PlatformError,
    ReconciliationTimeoutError,
    RoutingError,
    VenueError,
)
from schemas.models.config_blocks import ExecutionManagerConfig
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus
from schemas.port import OrderPort

_Answer = TypeVar("_Answer")

_DOUBLINGS_MAX: Final = 60
"""Doublings of a delay after which it grows no more: without a delay, polling goes on past what a float can count."""


@dataclass(frozen=True)
class ExecutionPolicy:
    """How far to go for an order. Seconds; ``retry_attempts`` 0 is a backtest, where trying again proves nothing.

    The n-th retry waits ``retry_delay_seconds`` x 2^n. execution_timeout: until the outcome of a unit must be known.
    reconciliation_timeout: for each comparison with the venues. tight_loop_timeout: for a unit from its first attempt
    until it is reconciled, whatever the two others leave. Tolerances are relative to the expected change of a key,
    with an absolute floor in its unit.
    """

    retry_attempts: int
    retry_delay_seconds: float
    execution_timeout: float
    reconciliation_timeout: float
    tight_loop_timeout: float
    relative_tolerance: float
    absolute_tolerance: float

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
        self.attempts = 0
        self.faults: list[VenueError] = []

    def execute(self, order: Order) -> ExecutionHandshake:
        """Send the order until the venue confirms it, or the attempts or the time are used up.

        A venue that cannot be reached, and an outcome that stays open, end as a failed handshake with EXEC-001. Errors
        of routing (VEN-001, VEN-004) and invalid answers (EXEC-008) are raised: trying again would not help.
        """
        self._begin_unit()
        deadline = self._begun + min(self._policy.execution_timeout, self._policy.tight_loop_timeout)
        while True:
            handshake = self._once(order)
            if handshake.is_pending():
                handshake = self._settled(order, handshake, deadline)
            if not handshake.was_failed() or not self._may_retry(handshake, deadline):
                return handshake
            self._clock.sleep(self._policy.delay(self.attempts))
            self.attempts += 1

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Send an atomic group once: it succeeds or leaves no trace, and is the strategy's to ask for again.

        Where the venue did not answer, its members are looked up: all of them done is done, none of them rolled back.
        Anything between is raised as it came, because nobody knows what is held.
        """
        self._begin_unit()
        try:
            return self._port.execute_group(orders)
        except VenueError as error:
            self._note(error)
            if not _is_transient(error):
                raise
            found = [self.find(order.operation_id, order.venue) for order in orders]
            answers = tuple(handshake for handshake in found if handshake is not None)
            if not answers:
                return tuple(self._lost(order, error, is_culprit=order is orders[0]) for order in orders)
            if len(answers) < len(orders) or any(answer.is_pending() for answer in answers):
                raise
            return answers

    def _begin_unit(self) -> None:
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

    def agreed_balances(self, accept: Callable[[Mapping[str, float]], bool]) -> Mapping[str, float] | None:
        """Reported balances that ``accept`` takes, or the last ones when the attempts are used up.

        Raises ReconciliationTimeoutError (EXEC-005) when that, or the unit with it, takes longer than it may.
        """
        started = self._clock.monotonic()
        reported = self.balances()
        for attempt in range(self._policy.retry_attempts):
            self._refuse_late(started, "balances")
            if reported is None or accept(reported):
                return reported
            self._clock.sleep(self._policy.delay(attempt))
            reported = self.balances()
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

    def balances(self) -> Mapping[str, float] | None:
        """Balances as the venues report them, asked again while a venue cannot be reached."""
        return self._patiently(self._port.balances)

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

    def _once(self, order: Order) -> ExecutionHandshake:
        try:
            return self._port.execute(order)
        except VenueError as error:
            self._note(error)
            if not _is_transient(error):
                raise
            found = self.find(order.operation_id, order.venue)
            return found if found is not None else self._failed(order, error.one_line())

    def _settled(self, order: Order, handshake: ExecutionHandshake, deadline: float) -> ExecutionHandshake:
        """The final outcome of a pending order, or a failure when it stays open too long."""
        attempt = 0
        while handshake.is_pending():
            if self._clock.monotonic() >= deadline:
                return self._failed(order, f"still pending after {self._policy.execution_timeout:g} s")
            self._clock.sleep(min(max(self._policy.delay(attempt), 0.01), deadline - self._clock.monotonic()))
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


_REFUSED_FOR_GOOD: Final = (ErrorCode.EXEC_ORDER_VALIDATION_FAILED, ErrorCode.EXEC_ORDER_FORMAT_INVALID)
"""Refusals of the order itself: the same order will be refused again."""


def _is_transient(error: PlatformError) -> bool:
    """Whether asking a venue again may help: it was slow, away or busy."""
    return error.code in (ErrorCode.VEN_TIMEOUT, ErrorCode.VEN_UNAVAILABLE, ErrorCode.VEN_RATE_LIMITED)
