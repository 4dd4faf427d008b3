"""Booking a confirmed unit: compare it with what was expected, apply it, and hold the books against the venues."""

import traceback
from collections.abc import Sequence

from dataflow.execution.balance_rules import BalanceRule, refuse_negative
from dataflow.execution.decision import Decision, Outcome
from dataflow.execution.doubt import venues_of
from dataflow.execution.outcomes import ExecutionRecords, Timing
from dataflow.execution.reconciliation import BalanceMismatch
from dataflow.execution.sending import Answered
from dataflow.execution.stages import OrderStages
from dataflow.execution.venue_access import VenueAccess
from dataflow.journal.interim import PassedBooks
from dataflow.journal.recorder import Journal
from dataflow.maths.deltas import Deltas
from dataflow.nodes.execution import ExecutedOrder, fee_usd
from schemas.clock import Clock
from schemas.errors import PlatformError, PositionMismatchError, ReconciliationMismatchError
from schemas.holdings import Holdings
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import DeltaType


class Booking:
    """Books the units of decisions, and stops the run where an answer or a balance is not what it must be."""

    def __init__(
        self,
        stages: OrderStages,
        access: VenueAccess,
        journal: Journal,
        records: ExecutionRecords,
        rules: Sequence[BalanceRule],
        clock: Clock,
    ) -> None:
        self._stages, self._access, self._journal, self._records = stages, access, journal, records
        self._rules, self._clock = rules, clock

    def book(self, decision: Decision, unit: Answered, outcome: Outcome) -> None:
        """Compare, apply and reconcile a confirmed unit; what stops the run is on record as its tight loop."""
        try:
            executed = self._executed(decision, unit, outcome.holdings)
            for one in executed:
                self._apply(decision, one, outcome.passed)
            self._reconcile(decision.timestamp, executed, unit.timing)
        except PlatformError as error:
            self._records.system_failure(decision.timestamp, unit.identifier, error, unit.timing)
            raise
        self._close(decision, unit, executed, outcome)

    def refuse_silent_fill(self, timestamp: str, order: Order, holdings: Holdings) -> None:
        """Stop the run where an order that counts as failed has moved a balance at its venues after all."""
        self._refuse_unlike(timestamp, order, holdings, venues_of(order))

    def refuse_unexplained(self, timestamp: str, last: Order, holdings: Holdings) -> None:
        """Stop the run where any balance is not that of the books after a decision whose last order is given."""
        self._access.delivery.begin_unit()
        self._refuse_unlike(timestamp, last, holdings, None)

    def _refuse_unlike(self, timestamp: str, order: Order, holdings: Holdings, venues: frozenset[str] | None) -> None:
        started = self._clock.monotonic()
        found = self._access.differing(timestamp, order, holdings, None, venues)
        if found:
            self._records.reconciliation(timestamp, [], self._clock.monotonic() - started, found)
            raise _balances_differ(found, order)

    # -- what an answer leads to

    def _executed(self, decision: Decision, unit: Answered, holdings: Holdings) -> list[ExecutedOrder]:
        done: list[ExecutedOrder] = []
        for order, handshake in zip(unit.orders, unit.handshakes, strict=True):
            done.append(self._expected(decision, order, handshake, holdings))
            holdings = done[-1].after
        return done

    def _expected(
        self, decision: Decision, order: Order, handshake: ExecutionHandshake, holdings: Holdings
    ) -> ExecutedOrder:
        """What a confirmed order changes; stops the run where that is not what was expected."""
        executed = self._stages.executed(decision, order, handshake, holdings)
        if not executed.reconciliation.success and order.atomic_group_id is None:
            executed = self._settled(decision, executed)
        if not executed.reconciliation.success:
            self._refuse_mismatch(decision.timestamp, executed)
        return executed

    def _settled(self, decision: Decision, first: ExecutedOrder) -> ExecutedOrder:
        """The first answer about the order that leads to what was expected; the one there is, where none does."""

        def led_to(handshake: ExecutionHandshake) -> ExecutedOrder:
            return self._stages.executed(decision, first.order, handshake, first.before)

        with self._access.reaching(decision.timestamp, first.order.operation_id) as delivery:
            again = delivery.settled_again(first.order, lambda found: led_to(found).reconciliation.success)
        return first if again is None else led_to(again)

    def _refuse_mismatch(self, timestamp: str, executed: ExecutedOrder) -> None:
        """Record changes that are not those expected (POS-005), and stop the run (EXEC-007)."""
        self._records.reconciliation(timestamp, [executed.reconciliation], 0.0)
        order, mismatches = executed.order, executed.reconciliation.mismatches
        first = mismatches[0]
        message = (
            f"{order.operation.value} changed {first.position_key} by {first.actual!r}, expected {first.expected!r}; "
            f"{len(mismatches)} key(s) differ"
        )
        context = {"operation_id": order.operation_id, "position_key": first.position_key}
        self._journal.errors.failure(
            timestamp, ReconciliationMismatchError(message, **context), "".join(traceback.format_stack(limit=4))
        )
        raise PositionMismatchError(message, **context)

    # -- books

    def _apply(self, decision: Decision, executed: ExecutedOrder, passed: PassedBooks) -> None:
        """Write the fill and each settlement after it, with the balances each leaves."""
        handshake, books = executed.handshake, executed.before
        steps: list[tuple[DeltaType, Deltas]] = [
            (DeltaType.EXECUTION_DELTAS, tuple(handshake.actual_deltas.items())),
            *((settlement.delta_type, settlement.deltas) for settlement in executed.settlements),
        ]
        for delta_type, deltas in steps:
            books = Holdings(books.applied(deltas).units, executed.after.entry_price)
            self._journal.balances.applied(
                decision.timestamp,
                delta_type,
                deltas,
                books=passed.led_to(books),
                prices=decision.prices,
                operation=executed.order.operation,
                operation_id=executed.order.operation_id,
                executed_price=handshake.traded_at,
                fee=(handshake.fee_amount, handshake.fee_currency),
            )

    def _reconcile(self, timestamp: str, executed: Sequence[ExecutedOrder], timing: Timing) -> None:
        """Compare the books with what the venues report; stops the run on a difference."""
        last = executed[-1]
        touched = frozenset().union(*(venues_of(one.order) for one in executed))
        found = self._access.differing(timestamp, last.order, last.after, last.handshake, touched)
        seconds = self._clock.monotonic() - timing.executed
        self._records.reconciliation(timestamp, [one.reconciliation for one in executed], seconds, found)
        if found:
            raise _balances_differ(found, last.order)

    def _close(self, decision: Decision, unit: Answered, executed: Sequence[ExecutedOrder], outcome: Outcome) -> None:
        """Record the books after a unit and its tight loop, and move the outcome on."""
        after, timing, reconciled = executed[-1].after, unit.timing, self._clock.monotonic()
        self._journal.assessments.exposure_and_risk_of(decision.timestamp, outcome.passed.led_to(after))
        self._journal.execution.tight_loop(
            decision.timestamp,
            operation_id=unit.identifier,
            execution_success=True,
            reconciliation_success=True,
            retry_count=timing.retries,
            total_duration_ms=1e3 * (self._clock.monotonic() - timing.started),
            execution_duration_ms=1e3 * (timing.executed - timing.started),
            reconciliation_duration_ms=1e3 * (reconciled - timing.executed),
        )
        refuse_negative(self._rules, after, decision.snapshot, decision.timestamp)
        outcome.holdings = after
        outcome.confirmed += len(executed)
        outcome.unfinished.partial.extend(one.order for one in executed if one.is_partial)
        for one in executed:
            outcome.fees_usd += fee_usd(one.order, one.handshake, decision.snapshot)
            outcome.cost_usd += one.cost_usd
            outcome.triggered_move_usd += one.triggered_move_usd


def _balances_differ(found: Sequence[BalanceMismatch], order: Order) -> ReconciliationMismatchError:
    first = found[0]
    return ReconciliationMismatchError(
        f"{first.position_key} is {first.reported!r} at the venue and {first.held!r} in the books: "
        f"{first.kind.value}; {len(found)} key(s) differ",
        position_key=first.position_key,
        kind=first.kind.value,
        operation_id=order.operation_id,
    )
