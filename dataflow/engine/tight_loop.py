"""The tight loop: one decision's orders, each executed, applied, reconciled and valued before the next.

[domain] 5.5 and 5.6. Orders with one atomic group id are one unit: all of them, or none. A failed unit is recorded and
the orders that depend on it are skipped; a change, or a balance, that is not the expected one stops the run.
"""

import hashlib
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from pydantic import ValidationError

from dataflow.engine.delivery import Delivery, ExecutionPolicy
from dataflow.engine.event_fields import Columns
from dataflow.engine.executors import Executor, Values
from dataflow.engine.journal import Journal
from dataflow.engine.operation_records import executed_price, fee_key, operation_fields
from dataflow.engine.reconciling import BalanceMismatch, balance_mismatches
from dataflow.maths.deltas import Deltas
from dataflow.nodes.execution import Reconciliation, Settlement
from schemas.decisions import DecisionRule
from schemas.errors import (
    AtomicGroupRolledBackError,
    ErrorCode,
    NegativePositionError,
    OrderExecutionError,
    OrderValidationError,
    PositionMismatchError,
    ReconciliationMismatchError,
    VenueError,
    VenueInterfaceUnavailableError,
)
from schemas.holdings import Holdings
from schemas.instruments import VENUES, PositionKey, PositionType, VenueKind, cex_key
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import DeltaType, ExecutionStatus, GroupStatus, OperationType
from schemas.snapshot import MarketSnapshot

_NEGATIVE_TOLERANCE = 1e-9
"""Balance below zero, in units of the key, that rounding can leave."""

_MEMBER_NODES = ("reconciliation", "settlements", "transaction_cost_usd")


class Valuation(Protocol):
    """Values the books after a change, at the decision's row."""

    def equity_usd(self, holdings: Holdings) -> float:
        """Equity of the books, USD."""
        ...

    def columns(self, holdings: Holdings) -> Columns:
        """One-row columns of positions, exposure and risk."""
        ...


class Placement(Protocol):
    """Tells simulated venues where the market and the books are before a decision is executed."""

    def place(self, snapshot: MarketSnapshot, books: Holdings) -> None:
        """Move the venues to the decision's instant."""
        ...


@dataclass(frozen=True)
class Decision:
    """A decision that is to be executed at one row."""

    timestamp: str
    rule: DecisionRule
    orders: Sequence[OrderIntent]
    snapshot: MarketSnapshot
    prices: Mapping[str, float]
    known: Values


@dataclass
class Outcome:
    """What executing a decision led to. Amounts in USD, >= 0."""

    holdings: Holdings
    cost_usd: float = 0.0
    fees_usd: float = 0.0
    attempted: int = 0
    confirmed: int = 0
    failed: int = 0
    lost: list[Order] = field(default_factory=list)
    """Orders that failed or were skipped; what depends on them is skipped too."""


@dataclass(frozen=True)
class _Fill:
    """One confirmed order and what the graph says of it."""

    order: Order
    handshake: ExecutionHandshake
    settlements: tuple[Settlement, ...]
    cost_usd: float
    reconciliation: Reconciliation
    before: Holdings
    after: Holdings


@dataclass(frozen=True)
class _Timing:
    started: float
    executed: float
    retries: int = 0


def operation_identifier(seed: int, number: int) -> str:
    """Identifier of an operation of a backtest: a function of the run's seed and a counter, 32 hexadecimal digits.

    >>> operation_identifier(7, 0) == operation_identifier(7, 0) != operation_identifier(7, 1)
    True
    """
    return hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=16).hexdigest()


class TightLoop:
    """Executes decisions through the graph's execution nodes and writes each step to the journal."""

    def __init__(
        self,
        executor: Executor,
        journal: Journal,
        delivery: Delivery,
        placement: Placement,
        policy: ExecutionPolicy,
        *,
        seed: int,
        collateral_factor: Mapping[str, float],
        allow_negative_balances: bool,
    ) -> None:
        self._executor, self._journal, self._delivery, self._placement = executor, journal, delivery, placement
        self._policy, self._seed = policy, seed
        self._collateral_factor = collateral_factor
        self._allow_negative = allow_negative_balances

    def process_orders(
        self, decision: Decision, holdings: Holdings, *, first_operation: int, value: Valuation
    ) -> Outcome:
        """Execute the orders of a decision, unit after unit.

        Raises :class:`PositionMismatchError` (EXEC-007), :class:`ReconciliationMismatchError` (POS-005),
        :class:`NegativePositionError` (POS-004) or :class:`VenueInterfaceUnavailableError` (EXEC-002): the run stops,
        nothing heals itself.
        """
        outcome = Outcome(holdings)
        self._placement.place(decision.snapshot, holdings)
        numbered = list(enumerate(decision.orders))
        for group, members in groupby(numbered, key=lambda member: member[1].atomic_group):
            sequences = [sequence for sequence, _ in members]
            if group is None:
                for sequence in sequences:
                    self._single(decision, sequence, outcome, first_operation, value)
            elif not self._group(decision, sequences, outcome, first_operation, value):
                break  # what follows a group depends on it
        return outcome

    # -- one order

    def _single(
        self, decision: Decision, sequence: int, outcome: Outcome, first_operation: int, value: Valuation
    ) -> None:
        identifier = operation_identifier(self._seed, first_operation + outcome.attempted)
        order, known = self._order(decision, sequence, outcome.holdings, identifier, None)
        if any(depends_on(order, earlier) for earlier in outcome.lost):
            outcome.lost.append(order)
            return
        outcome.attempted += 1
        started = time.perf_counter()
        handshake = self._send(known)
        timing = _Timing(started, time.perf_counter(), self._delivery.attempts)
        self._journal.operation(decision.timestamp, **operation_fields(order, handshake, timing.executed - started))
        if handshake.status is not ExecutionStatus.CONFIRMED:
            self._record_failure(decision.timestamp, order, handshake, timing)
            outcome.failed += 1
            outcome.lost.append(order)
            return
        fill = self._filled(decision, order, known, handshake, outcome.holdings)
        self._apply(decision, fill, value)
        self._reconciled(decision.timestamp, [fill], timing)
        self._close(decision, order.operation_id, [fill], outcome, timing, value)

    def _order(
        self, decision: Decision, sequence: int, holdings: Holdings, identifier: str, group: str | None
    ) -> tuple[Order, dict[str, object]]:
        """The complete order, and everything that was known to make it."""
        known = {
            **decision.known,
            "sequence": sequence,
            "holdings": holdings,
            "operation_id": identifier,
            "atomic_group_id": group,
            "timestamp_group": f"{decision.rule.intent.value}_{decision.timestamp}",
            "snapshot": decision.snapshot,
            "reconciliation_tolerance": self._policy.relative_tolerance,
        }
        try:
            order = self._executor.evaluate(["order"], known)["order"]
        except ValidationError as error:
            raise OrderValidationError(
                f"the strategy made an invalid order: {error.errors()[0]['msg']}", timestamp=decision.timestamp
            ) from error
        assert isinstance(order, Order)
        return order, {**known, "order": order}

    def _send(self, known: Values) -> ExecutionHandshake:
        with _venue_faults():
            handshake = self._executor.evaluate(["execution_handshake"], known)["execution_handshake"]
        assert isinstance(handshake, ExecutionHandshake)
        return handshake

    # -- an atomic group

    def _group(
        self, decision: Decision, sequences: Sequence[int], outcome: Outcome, first_operation: int, value: Valuation
    ) -> bool:
        """Execute a group on a copy of the books; whether it was committed."""
        group = operation_identifier(self._seed, first_operation + outcome.attempted)
        orders, knowns, expected = [], [], outcome.holdings
        for place, sequence in enumerate(sequences):
            order, known = self._order(decision, sequence, expected, f"{group}_{place + 1}", group)
            orders.append(order)
            knowns.append(known)
            expected = expected.applied((delta.position_key, delta.delta_amount) for delta in order.expected_deltas)
        outcome.attempted += len(orders)
        started = time.perf_counter()
        with _venue_faults():
            handshakes = self._delivery.execute_group(orders)
        timing = _Timing(started, time.perf_counter())
        seconds = (timing.executed - started) / len(orders)
        for order, handshake in zip(orders, handshakes, strict=True):
            self._journal.operation(decision.timestamp, **operation_fields(order, handshake, seconds))
        committed = all(handshake.was_successful() for handshake in handshakes)
        fills = self._group_fills(decision, orders, knowns, handshakes, outcome.holdings) if committed else []
        self._record_group(decision.timestamp, group, orders, handshakes, timing)
        if not committed:
            self._record_rollback(decision.timestamp, group, orders, handshakes, timing)
            outcome.failed += len(orders)
            outcome.lost.extend(orders)
            return False
        for fill in fills:
            self._apply(decision, fill, value)
        self._reconciled(decision.timestamp, fills, timing)
        self._close(decision, group, fills, outcome, timing, value)
        return True

    def _group_fills(
        self,
        decision: Decision,
        orders: Sequence[Order],
        knowns: Sequence[Values],
        handshakes: Sequence[ExecutionHandshake],
        holdings: Holdings,
    ) -> list[_Fill]:
        fills: list[_Fill] = []
        for order, known, handshake in zip(orders, knowns, handshakes, strict=True):
            fill = self._filled(decision, order, known, handshake, holdings)
            fills.append(fill)
            holdings = fill.after
        return fills

    # -- applying and reconciling

    def _filled(
        self, decision: Decision, order: Order, known: Values, handshake: ExecutionHandshake, holdings: Holdings
    ) -> _Fill:
        """What a confirmed order changes; stops the run where that is not what was expected."""
        given = {**known, "holdings": holdings}
        reconciliation = self._compare(given, handshake)
        if not reconciliation.success and order.atomic_group_id is None:
            again = self._delivery.settled_again(order, lambda found: self._compare(given, found).success)
            handshake = again or handshake
        done = self._executor.evaluate(_MEMBER_NODES, {**given, "execution_handshake": handshake})
        reconciliation, settlements, cost = (done[name] for name in _MEMBER_NODES)
        assert isinstance(reconciliation, Reconciliation)
        assert isinstance(settlements, tuple)
        assert isinstance(cost, float)
        try:
            after = self._executor.evaluate(["holdings_after"], done)["holdings_after"]
        except PositionMismatchError as error:
            self._record_reconciliation(decision.timestamp, [reconciliation], 0.0)
            mismatch = ReconciliationMismatchError(error.message, **error.context)
            self._journal.failure(decision.timestamp, mismatch, traceback.format_exc())
            raise
        assert isinstance(after, Holdings)
        return _Fill(order, handshake, settlements, cost, reconciliation, holdings, after)

    def _compare(self, given: Values, handshake: ExecutionHandshake) -> Reconciliation:
        done = self._executor.evaluate(["reconciliation"], {**given, "execution_handshake": handshake})
        reconciliation = done["reconciliation"]
        assert isinstance(reconciliation, Reconciliation)
        return reconciliation

    def _apply(self, decision: Decision, fill: _Fill, value: Valuation) -> None:
        """Write the fill and each settlement after it, with the balances each leaves."""
        steps: list[tuple[DeltaType, Deltas]] = [
            (DeltaType.EXECUTION_DELTAS, tuple(fill.handshake.actual_deltas.items())),
            *((settlement.delta_type, settlement.deltas) for settlement in fill.settlements),
        ]
        books = fill.before
        for delta_type, deltas in steps:
            books = Holdings(books.applied(deltas).units, fill.after.entry_price)
            self._journal.applied(
                decision.timestamp,
                delta_type,
                deltas,
                holdings=books,
                equity_usd=value.equity_usd(books),
                prices=decision.prices,
                operation=fill.order.operation,
                operation_id=fill.order.operation_id,
                executed_price=executed_price(fill.handshake),
                fee=(fill.handshake.fee_amount, fill.handshake.fee_currency),
            )

    def _reconciled(self, timestamp: str, fills: Sequence[_Fill], timing: _Timing) -> None:
        """Compare the books with what the venues report; stops the run on a difference."""
        last = fills[-1]

        def differing(reported: Mapping[str, float]) -> tuple[BalanceMismatch, ...]:
            tolerance = self._policy.relative_tolerance
            return balance_mismatches(last.after, reported, last.handshake, relative_tolerance=tolerance)

        with _venue_faults():
            reported = self._delivery.agreed_balances(lambda balances: not differing(balances))
        found = () if reported is None else differing(reported)
        seconds = time.perf_counter() - timing.executed
        self._record_reconciliation(timestamp, [fill.reconciliation for fill in fills], seconds, found)
        if found:
            first = found[0]
            raise ReconciliationMismatchError(
                f"{first.position_key} is {first.reported!r} at the venue and {first.held!r} in the books: "
                f"{first.kind.value}; {len(found)} key(s) differ",
                position_key=first.position_key,
                kind=first.kind.value,
                operation_id=fills[-1].order.operation_id,
            )

    def _close(
        self,
        decision: Decision,
        identifier: str,
        fills: Sequence[_Fill],
        outcome: Outcome,
        timing: _Timing,
        value: Valuation,
    ) -> None:
        """Value the books after a unit, write its tight loop, and move the outcome on."""
        after, reconciled = fills[-1].after, time.perf_counter()
        self._journal.exposure_and_risk(decision.timestamp, value.columns(after))
        self._journal.tight_loop(
            decision.timestamp,
            operation_id=identifier,
            execution_success=True,
            reconciliation_success=True,
            retry_count=timing.retries,
            total_duration_ms=1e3 * (time.perf_counter() - timing.started),
            execution_duration_ms=1e3 * (timing.executed - timing.started),
            reconciliation_duration_ms=1e3 * (reconciled - timing.executed),
        )
        self._refuse_negative(decision, after)
        outcome.holdings = after
        outcome.confirmed += len(fills)
        for fill in fills:
            price = decision.prices.get(fee_key(fill.order, fill.handshake), 1.0)
            outcome.fees_usd += fill.handshake.fee_amount * price
            outcome.cost_usd += fill.cost_usd

    # -- records

    def _record_reconciliation(
        self,
        timestamp: str,
        parts: Sequence[Reconciliation],
        seconds: float,
        balances: Sequence[BalanceMismatch] = (),
    ) -> None:
        mismatches = [
            {"position_key": m.position_key, "expected": m.expected, "actual": m.actual, "diff": m.actual - m.expected}
            for part in parts
            for m in part.mismatches
        ]
        mismatches += [
            {"position_key": m.position_key, "expected": m.held, "actual": m.reported, "diff": m.reported - m.held}
            for m in balances
        ]
        self._journal.reconciliation(
            timestamp,
            reconciliation_type="execution_deltas",
            trigger_source="execution_manager",
            reconciliation_success=not mismatches,
            expected_deltas_count=sum(part.expected_count for part in parts),
            actual_deltas_count=sum(part.actual_count for part in parts),
            reconciliation_duration_ms=1e3 * seconds,
            mismatches=mismatches,
        )

    def _record_failure(self, timestamp: str, order: Order, handshake: ExecutionHandshake, timing: _Timing) -> None:
        self._failed_loop(timestamp, order.operation_id, handshake.error_message, timing)
        error = OrderExecutionError(
            f"{order.operation.value} at {order.venue} failed: {handshake.error_message}",
            operation_id=order.operation_id,
            venue=order.venue,
            venue_code=handshake.error_code.value if handshake.error_code else None,
        )
        self._journal.failure(timestamp, error, "".join(traceback.format_stack(limit=4)))

    def _failed_loop(self, timestamp: str, identifier: str, reason: str | None, timing: _Timing) -> None:
        milliseconds = 1e3 * (timing.executed - timing.started)
        self._journal.tight_loop(
            timestamp,
            operation_id=identifier,
            execution_success=False,
            reconciliation_success=False,
            retry_count=timing.retries,
            total_duration_ms=milliseconds,
            execution_duration_ms=milliseconds,
            reconciliation_duration_ms=0.0,
            failure_reason=reason,
        )

    def _record_group(
        self,
        timestamp: str,
        group: str,
        orders: Sequence[Order],
        handshakes: Sequence[ExecutionHandshake],
        timing: _Timing,
    ) -> None:
        committed = all(handshake.was_successful() for handshake in handshakes)
        self._journal.atomic_group(
            timestamp,
            atomic_group_id=group,
            operation_ids=[order.operation_id for order in orders],
            operation_types=[order.operation for order in orders],
            all_succeeded=committed,
            rollback_occurred=not committed,
            total_duration_ms=1e3 * (timing.executed - timing.started),
            group_status=GroupStatus.COMPLETED if committed else GroupStatus.ROLLED_BACK,
            rollback_reason=None if committed else _culprit(handshakes).error_message,
            total_gas_fees=sum(handshake.fee_amount for handshake in handshakes),
        )

    def _record_rollback(
        self,
        timestamp: str,
        group: str,
        orders: Sequence[Order],
        handshakes: Sequence[ExecutionHandshake],
        timing: _Timing,
    ) -> None:
        culprit = _culprit(handshakes)
        self._failed_loop(timestamp, group, culprit.error_message, timing)
        error = AtomicGroupRolledBackError(
            f"the group of {len(orders)} operations was rolled back: {culprit.error_message}",
            atomic_group_id=group,
            operation_id=culprit.operation_id,
        )
        self._journal.failure(timestamp, error, "".join(traceback.format_stack(limit=4)))

    # -- books that cannot be

    def _refuse_negative(self, decision: Decision, holdings: Holdings) -> None:
        if self._allow_negative:
            return
        for key, units in holdings.units.items():
            if units >= -_NEGATIVE_TOLERANCE:
                continue
            parsed = PositionKey.parse(key)
            if parsed.position_type is PositionType.PERP:
                continue
            floor = self._loan_floor(parsed, holdings, decision.snapshot)
            if units < floor - _NEGATIVE_TOLERANCE:
                raise NegativePositionError(
                    f"{key} is {units!r} at {decision.timestamp}, below {floor!r}; the books are wrong",
                    position_key=key,
                    units=units,
                    floor=floor,
                )

    def _loan_floor(self, key: PositionKey, holdings: Holdings, snapshot: MarketSnapshot) -> float:
        """Lowest balance of a key: 0, or minus what backs a venue's margin loan in USDT. [domain] ruling 8."""
        base = snapshot.base_asset
        if key.token != "USDT" or base is None or VENUES.get(key.venue) is not VenueKind.CEX:
            return 0.0
        coins_usd = holdings.units[cex_key(key.venue, base)] * snapshot.value_of("spot_price", key.venue)
        return -self._collateral_factor[key.venue] * coins_usd


@contextmanager
def _venue_faults() -> Iterator[None]:
    """Turn what a venue cannot recover from into EXEC-002: the outcome is unknown, so the run must stop."""
    try:
        yield
    except VenueError as error:
        if error.code is ErrorCode.VEN_ROUTING_FAILED:
            raise
        raise VenueInterfaceUnavailableError(error.one_line(), **error.context) from error


def _culprit(handshakes: Sequence[ExecutionHandshake]) -> ExecutionHandshake:
    """The member that made its group fail: the one whose code is its own."""
    own = [h for h in handshakes if h.error_code not in (None, ErrorCode.EXEC_GROUP_ROLLED_BACK)]
    return (own or list(handshakes))[0]


def depends_on(order: Order, earlier: Order) -> bool:
    """Whether an order needs what an earlier one was to bring: a credited key it debits, or its hedge's spot leg.

    [domain] ruling 29.
    """
    if (
        order.operation is OperationType.PERP_TRADE
        and earlier.operation is OperationType.SPOT_TRADE
        and order.venue == earlier.venue
    ):
        return True
    credited = {delta.position_key for delta in earlier.expected_deltas if delta.delta_amount > 0.0}
    return any(delta.delta_amount < 0.0 and delta.position_key in credited for delta in order.expected_deltas)
