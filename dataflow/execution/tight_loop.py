"""The tight loop: one decision's orders, each executed, applied and reconciled before the next.

[domain] 5.5 and 5.6. Orders with one atomic group id are one unit: all of them, or none. A failed unit is recorded and
the orders that depend on it are skipped; a change, or a balance, that is not the expected one stops the run.
"""

import hashlib
from collections.abc import Sequence

from dataflow.execution.balance_rules import BalanceRule
from dataflow.execution.booking import Booking
from dataflow.execution.decision import Decision, Outcome
from dataflow.execution.gateway import Delivery, ExecutionPolicy
from dataflow.execution.outcomes import ExecutionRecords
from dataflow.execution.sending import UnitSender
from dataflow.execution.stages import OrderStages
from dataflow.execution.units import units_of
from dataflow.execution.venue_access import VenueAccess
from dataflow.execution.venue_set import VenueMarket
from dataflow.graph.executors import Executor
from dataflow.journal.interim import PassedBooks
from dataflow.journal.recorder import Journal
from schemas.clock import Clock
from schemas.holdings import Holdings


def operation_identifier(seed: int, number: int) -> str:
    """Identifier of an operation of a backtest: a function of the run's seed and a counter, 32 hexadecimal digits.

    >>> operation_identifier(7, 0) == operation_identifier(7, 0) != operation_identifier(7, 1)
    True
    """
    return hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=16).hexdigest()


class TightLoop:
    """Executes decisions unit by unit: makes the orders, sends them, books what came of them."""

    def __init__(
        self, market: VenueMarket, stages: OrderStages, sender: UnitSender, booking: Booking, *, seed: int
    ) -> None:
        self._market, self._stages, self._sender, self._booking = market, stages, sender, booking
        self._seed = seed

    @classmethod
    def over(
        cls,
        executor: Executor,
        journal: Journal,
        delivery: Delivery,
        market: VenueMarket,
        policy: ExecutionPolicy,
        *,
        clock: Clock,
        seed: int,
        rules: Sequence[BalanceRule],
    ) -> "TightLoop":
        """The tight loop of a graph and its venues; ``rules`` say which balances may be negative."""
        records = ExecutionRecords(journal, policy.retry_attempts, clock)
        stages, access = OrderStages(executor, policy), VenueAccess(delivery, records, policy)
        booking = Booking(stages, access, journal, records, rules, clock)
        return cls(market, stages, UnitSender(access, journal, records, clock), booking, seed=seed)

    def process_orders(
        self, decision: Decision, holdings: Holdings, *, first_operation: int, passed: PassedBooks
    ) -> Outcome:
        """Execute the orders of a decision, unit after unit; ``passed`` takes down the books that they lead to.

        Raises :class:`PositionMismatchError` (EXEC-007), :class:`ReconciliationMismatchError` (POS-005),
        :class:`NegativePositionError` (POS-004), :class:`PositionUpdateError` (POS-001),
        :class:`VenueInterfaceUnavailableError` (EXEC-002), :class:`ReconciliationTimeoutError` (EXEC-005) or
        :class:`HandshakeInvalidError` (EXEC-008): the run stops, nothing heals itself. An order or group that breaks
        a rule is EXEC-003 or EXEC-004 and is not sent.
        """
        outcome = Outcome(holdings, passed)
        units = units_of(decision.orders)
        self._market.advance_to(decision.snapshot, holdings)
        for unit in units:
            if unit.group is None:
                self._single(decision, unit.sequences[0], outcome, first_operation)
            elif not self._group(decision, unit.sequences, outcome, first_operation):
                break  # what follows a group depends on it
        if outcome.last is not None:
            self._booking.refuse_unexplained(decision.timestamp, outcome.last, outcome.holdings)
        return outcome

    def _single(self, decision: Decision, sequence: int, outcome: Outcome, first_operation: int) -> None:
        """Execute one order, unless what became of an earlier one forbids it."""
        identifier = operation_identifier(self._seed, first_operation + outcome.attempted)
        order = self._stages.order(decision, sequence, outcome.holdings, identifier, None)
        if outcome.unfinished.hold_up(order):
            outcome.unfinished.lose([order])
            return
        outcome.attempted += 1
        outcome.last = order
        answered = self._sender.single(decision.timestamp, order, outcome.holdings)
        if answered.is_done:
            self._booking.book(decision, answered, outcome)
            return
        outcome.failed += 1
        outcome.unfinished.lose([order])
        self._booking.refuse_silent_fill(decision.timestamp, order, outcome.holdings)

    def _group(self, decision: Decision, sequences: Sequence[int], outcome: Outcome, first_operation: int) -> bool:
        """Execute a group on a copy of the books; whether it was committed."""
        group = operation_identifier(self._seed, first_operation + outcome.attempted)
        orders, expected = [], outcome.holdings
        for place, sequence in enumerate(sequences):
            order = self._stages.order(decision, sequence, expected, f"{group}_{place + 1}", group)
            orders.append(order)
            expected = expected.applied((delta.position_key, delta.delta_amount) for delta in order.expected_deltas)
        outcome.attempted += len(orders)
        outcome.last = orders[-1]
        answered = self._sender.group(decision.timestamp, group, orders, outcome.holdings)
        if answered.is_done:
            self._booking.book(decision, answered, outcome)
        else:
            outcome.failed += len(orders)
            outcome.unfinished.lose(orders)
        return answered.is_done
