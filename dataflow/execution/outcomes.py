"""What the tight loop writes about units that failed, were rolled back, or stopped the run."""

import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dataflow.execution.reconciliation import BalanceMismatch
from dataflow.journal.operations import operation_fields
from dataflow.journal.recorder import Journal
from dataflow.nodes.execution import Reconciliation
from schemas.clock import Clock
from schemas.errors import (
    AtomicGroupRolledBackError,
    ErrorCode,
    ExecutionError,
    InvalidPositionKeyError,
    OrderExecutionError,
    OrderFormatError,
    OrderValidationError,
    PlatformError,
)
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import GroupStatus

_REFUSALS: dict[ErrorCode | None, type[ExecutionError]] = {
    ErrorCode.EXEC_ORDER_FORMAT_INVALID: OrderFormatError,
    ErrorCode.EXEC_ORDER_VALIDATION_FAILED: OrderValidationError,
}
"""Codes under which a venue refuses the order itself; every other failure is EXEC-001."""


@dataclass(frozen=True)
class Timing:
    """Seconds of the clock at which a unit was sent and answered, and how often it was tried again."""

    started: float
    executed: float
    retries: int = 0


class ExecutionRecords:
    """Writes the outcome of units to the journal."""

    def __init__(self, journal: Journal, max_retries: int, clock: Clock) -> None:
        self._journal, self._max_retries, self._clock = journal, max_retries, clock
        self._undeclared: set[str] = set()

    def venue_faults(self, timestamp: str, faults: Sequence[PlatformError], unit: str) -> None:
        """One error event for each time that a venue could not be reached for an operation or group."""
        for fault in faults:
            self._journal.errors.failure(timestamp, fault, _stack(), operation_id=unit)

    def undeclared(self, timestamp: str, keys: Collection[str]) -> None:
        """Balances that a venue reports and the mode does not subscribe: a warning (POS-002), once a key and run."""
        for key in sorted(set(keys) - self._undeclared):
            self._undeclared.add(key)
            error = InvalidPositionKeyError(
                f"a venue reports {key}, which is not subscribed and is ignored; "
                "add it to position_subscriptions of the mode",
                position_key=key,
            )
            self._journal.errors.failure(timestamp, error, _stack())

    def failure(self, timestamp: str, order: Order, handshake: ExecutionHandshake, timing: Timing) -> None:
        """An order that the venue refused or failed."""
        self._unsuccessful(timestamp, order.operation_id, handshake.error_message, timing)
        kind = _REFUSALS.get(handshake.error_code, OrderExecutionError)
        error = kind(
            f"{order.operation.value} at {order.venue} failed: {handshake.error_message}",
            operation_id=order.operation_id,
            venue=order.venue,
            venue_code=handshake.error_code.value if handshake.error_code else None,
        )
        self._journal.errors.failure(timestamp, error, _stack())

    def lost_track(
        self,
        timestamp: str,
        orders: Sequence[Order],
        unknown: Sequence[ExecutionHandshake],
        identifier: str,
        started: float,
    ) -> None:
        """Orders that stop the run because their fate is unknown: recorded as pending, to be looked up by hand.

        Those of an atomic group are a group that failed: neither done nor rolled back, for all that is known.
        """
        now, reason = self._clock.monotonic(), unknown[0].error_message
        for order, handshake in zip(orders, unknown, strict=True):
            self._journal.execution.operation(
                timestamp, **operation_fields(order, handshake, (now - started) / len(orders))
            )
        if orders[0].atomic_group_id is not None:
            self._group(timestamp, orders, GroupStatus.FAILED, now - started, reason=reason, gas=None)
        self._unsuccessful(timestamp, identifier, reason, Timing(started, now), stops=True)

    def system_failure(self, timestamp: str, identifier: str, error: PlatformError, timing: Timing) -> None:
        """A unit that was executed and then stopped the run, because the books and the venues do not agree."""
        now = self._clock.monotonic()
        self._journal.execution.tight_loop(
            timestamp,
            operation_id=identifier,
            execution_success=True,
            reconciliation_success=False,
            retry_count=timing.retries,
            total_duration_ms=1e3 * (now - timing.started),
            execution_duration_ms=1e3 * (timing.executed - timing.started),
            reconciliation_duration_ms=1e3 * (now - timing.executed),
            max_retries=self._max_retries,
            failure_reason=error.one_line(),
            system_failure_triggered=True,
        )

    def group(
        self, timestamp: str, orders: Sequence[Order], handshakes: Sequence[ExecutionHandshake], timing: Timing
    ) -> None:
        """One atomic group, committed or rolled back."""
        committed = all(handshake.was_successful() for handshake in handshakes)
        self._group(
            timestamp,
            orders,
            GroupStatus.COMPLETED if committed else GroupStatus.ROLLED_BACK,
            timing.executed - timing.started,
            reason=None if committed else _culprit(handshakes).error_message,
            gas=sum(handshake.fee_amount for handshake in handshakes),
        )

    def _group(
        self,
        timestamp: str,
        orders: Sequence[Order],
        status: GroupStatus,
        seconds: float,
        *,
        reason: str | None,
        gas: float | None,
    ) -> None:
        self._journal.execution.atomic_group(
            timestamp,
            atomic_group_id=orders[0].atomic_group_id,
            operation_ids=[order.operation_id for order in orders],
            operation_types=[order.operation for order in orders],
            all_succeeded=status is GroupStatus.COMPLETED,
            rollback_occurred=status is GroupStatus.ROLLED_BACK,
            total_duration_ms=1e3 * seconds,
            group_status=status,
            rollback_reason=reason,
            total_gas_fees=gas,
        )

    def rollback(
        self,
        timestamp: str,
        group: str,
        orders: Sequence[Order],
        handshakes: Sequence[ExecutionHandshake],
        timing: Timing,
    ) -> None:
        """The tight loop and the error of a group that left no trace."""
        culprit = _culprit(handshakes)
        self._unsuccessful(timestamp, group, culprit.error_message, timing)
        error = AtomicGroupRolledBackError(
            f"the group of {len(orders)} operations was rolled back: {culprit.error_message}",
            atomic_group_id=group,
            operation_id=culprit.operation_id,
        )
        self._journal.errors.failure(timestamp, error, _stack())

    def reconciliation(
        self,
        timestamp: str,
        parts: Sequence[Reconciliation],
        seconds: float,
        balances: Sequence[BalanceMismatch] = (),
    ) -> None:
        """Expected against actual changes of a unit, and held against reported balances."""
        mismatches = [
            {"position_key": m.position_key, "expected": m.expected, "actual": m.actual, "diff": m.actual - m.expected}
            for part in parts
            for m in part.mismatches
        ]
        mismatches += [
            {"position_key": m.position_key, "expected": m.held, "actual": m.reported, "diff": m.reported - m.held}
            for m in balances
        ]
        self._journal.execution.reconciliation(
            timestamp,
            reconciliation_type="execution_deltas",
            trigger_source="execution_manager",
            reconciliation_success=not mismatches,
            expected_deltas_count=sum(part.expected_count for part in parts),
            actual_deltas_count=sum(part.actual_count for part in parts),
            reconciliation_duration_ms=1e3 * seconds,
            mismatches=mismatches,
            metadata={"classification": {m.position_key: m.kind.value for m in balances}} if balances else {},
        )

    def _unsuccessful(
        self, timestamp: str, identifier: str, reason: str | None, timing: Timing, *, stops: bool = False
    ) -> None:
        milliseconds = 1e3 * (timing.executed - timing.started)
        self._journal.execution.tight_loop(
            timestamp,
            operation_id=identifier,
            execution_success=False,
            reconciliation_success=False,
            retry_count=timing.retries,
            total_duration_ms=milliseconds,
            execution_duration_ms=milliseconds,
            reconciliation_duration_ms=0.0,
            max_retries=self._max_retries,
            failure_reason=reason,
            system_failure_triggered=stops,
        )


def _stack() -> str:
    return "".join(traceback.format_stack(limit=4))


def _culprit(handshakes: Sequence[ExecutionHandshake]) -> ExecutionHandshake:
    """The member that made its group fail: the one whose code is its own."""
    own = [h for h in handshakes if h.error_code not in (None, ErrorCode.EXEC_GROUP_ROLLED_BACK)]
    return (own or list(handshakes))[0]
