"""The tight loop: one decision's orders, each executed, applied and reconciled before the next.

[domain] 5.5 and 5.6. Orders with one atomic group id are one unit: all of them, or none. A failed unit is recorded and
the orders that depend on it are skipped; a change, or a balance, that is not the expected one stops the run.
"""

import hashlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import ValidationError

from dataflow.execution.doubt import venues_of
from dataflow.execution.gateway import Delivery, ExecutionPolicy
from dataflow.execution.outcomes import ExecutionRecords, Timing
from dataflow.execution.reconciliation import BalanceMismatch, balance_mismatches
from dataflow.execution.units import is_committed, units_of
from dataflow.execution.venue_set import VenueMarket
from dataflow.graph.executors import Executor, Values
from dataflow.journal.interim import PassedBooks
from dataflow.journal.operations import executed_price, operation_fields
from dataflow.journal.recorder import Journal
from dataflow.maths.deltas import RESIDUE, Deltas
from dataflow.nodes.execution import Reconciliation, Settlement, fee_usd
from schemas.clock import Clock
from schemas.decisions import DecisionRule
from schemas.errors import (
    ErrorCode,
    ExecutionError,
    ExpectedDeltaError,
    NegativePositionError,
    OrderFormatError,
    OrderValidationError,
    PlatformError,
    PositionMismatchError,
    ReconciliationMismatchError,
    VenueError,
    VenueInterfaceUnavailableError,
)
from schemas.holdings import Holdings
from schemas.instruments import PositionKey, PositionType, cex_key, perp_key
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.message import describe_faults, is_format_fault
from schemas.models.orders import Order
from schemas.operations import DeltaType, ExecutionStatus, OperationType
from schemas.snapshot import MarketSnapshot

_NEGATIVE_TOLERANCE = 1e-9
"""Balance below zero, in units of the key, that rounding can leave."""

_MEMBER_NODES = ("settlements", "transaction_cost_usd", "triggered_move_usd", "holdings_after")


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
    """What executing a decision led to. Amounts in USD, >= 0 but the move of triggered orders, which has a sign.

    holdings: what is held now. passed: the books on the way there.
    """

    holdings: Holdings
    passed: PassedBooks
    cost_usd: float = 0.0
    triggered_move_usd: float = 0.0
    fees_usd: float = 0.0
    attempted: int = 0
    confirmed: int = 0
    failed: int = 0
    lost: list[Order] = field(default_factory=list)
    """Orders that failed or were skipped; what depends on them is skipped too."""
    partial: list[Order] = field(default_factory=list)
    """Orders that were filled in part; what would leave their exchange is skipped."""
    last: Order | None = None
    """The order sent last."""


@dataclass(frozen=True)
class _Fill:
    """One confirmed order and what the graph says of it."""

    order: Order
    handshake: ExecutionHandshake
    settlements: tuple[Settlement, ...]
    cost_usd: float
    triggered_move_usd: float
    reconciliation: Reconciliation
    before: Holdings
    after: Holdings

    @property
    def is_partial(self) -> bool:
        """Whether less was done than was ordered, rounding aside."""
        executed = self.handshake.execution_details.get("executed_amount", self.order.amount)
        assert isinstance(executed, int | float)
        return executed < self.order.amount * (1.0 - RESIDUE)


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
        market: VenueMarket,
        policy: ExecutionPolicy,
        *,
        clock: Clock,
        seed: int,
        collateral_factor: Mapping[str, float],
        allow_negative_balances: bool,
    ) -> None:
        self._executor, self._journal, self._delivery, self._market = executor, journal, delivery, market
        self._records = ExecutionRecords(journal, policy.retry_attempts, clock)
        self._policy, self._clock, self._seed = policy, clock, seed
        self._collateral_factor = collateral_factor
        self._allow_negative = allow_negative_balances

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
            self._delivery.begin_unit()
            self._refuse_unexplained(decision.timestamp, outcome.last, outcome.holdings, None)
        return outcome

    # -- one order

    def _single(self, decision: Decision, sequence: int, outcome: Outcome, first_operation: int) -> None:
        identifier = operation_identifier(self._seed, first_operation + outcome.attempted)
        order, known = self._order(decision, sequence, outcome.holdings, identifier, None)
        lost, partial = outcome.lost, outcome.partial
        if any(depends_on(order, e) for e in lost) or any(leaves_after(order, e) for e in (*lost, *partial)):
            outcome.lost.append(order)
            return
        outcome.attempted += 1
        outcome.last = order
        self._delivery.expect(outcome.holdings.units)
        started = self._clock.monotonic()
        try:
            with self._reaching(decision.timestamp, order.operation_id):
                handshake = self._send(known)
        except (VenueError, ExecutionError) as error:
            self._records.lost_track(
                decision.timestamp, [order], [self._delivery.unanswered(order, error)], order.operation_id, started
            )
            raise
        timing = Timing(started, self._clock.monotonic(), self._delivery.attempts)
        self._journal.execution.operation(
            decision.timestamp, **operation_fields(order, handshake, timing.executed - started)
        )
        if handshake.status is not ExecutionStatus.CONFIRMED:
            self._records.failure(decision.timestamp, order, handshake, timing)
            outcome.failed += 1
            outcome.lost.append(order)
            self._refuse_unexplained(decision.timestamp, order, outcome.holdings, venues_of(order))
            return
        self._book(decision, order.operation_id, [(order, known, handshake)], outcome, timing)

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
            "reconciliation_floor": self._policy.absolute_tolerance,
        }
        try:
            order = self._executor.evaluate(["order"], known)["order"]
        except ValidationError as error:
            if error.errors()[0]["loc"][:1] == ("expected_deltas",):
                raise ExpectedDeltaError(f"the expected deltas of operation {identifier} are not numbers") from error
            refusal = OrderFormatError if is_format_fault(error) else OrderValidationError
            message, context = describe_faults("order", {"operation_id": identifier}, error)
            raise refusal(message, **context) from error
        assert isinstance(order, Order)
        return order, {**known, "order": order}

    def _send(self, known: Values) -> ExecutionHandshake:
        handshake = self._executor.evaluate(["execution_handshake"], known)["execution_handshake"]
        assert isinstance(handshake, ExecutionHandshake)
        return handshake

    @contextmanager
    def _reaching(self, timestamp: str, unit: str) -> Iterator[None]:
        """Record every error of a venue met for an operation or group; one without recovery becomes EXEC-002.

        The outcome is then unknown, so the run must stop.
        """
        try:
            yield
        except VenueError as error:
            if error.code is ErrorCode.VEN_ROUTING_FAILED:
                raise
            raise VenueInterfaceUnavailableError(error.one_line(), **error.context) from error
        finally:
            self._records.venue_faults(timestamp, self._delivery.faults, unit)
            self._delivery.faults.clear()

    # -- an atomic group

    def _group(self, decision: Decision, sequences: Sequence[int], outcome: Outcome, first_operation: int) -> bool:
        """Execute a group on a copy of the books; whether it was committed."""
        group = operation_identifier(self._seed, first_operation + outcome.attempted)
        orders, knowns, expected = [], [], outcome.holdings
        for place, sequence in enumerate(sequences):
            order, known = self._order(decision, sequence, expected, f"{group}_{place + 1}", group)
            orders.append(order)
            knowns.append(known)
            expected = expected.applied((delta.position_key, delta.delta_amount) for delta in order.expected_deltas)
        outcome.attempted += len(orders)
        outcome.last = orders[-1]
        self._delivery.expect(outcome.holdings.units)
        started = self._clock.monotonic()
        try:
            with self._reaching(decision.timestamp, group):
                handshakes = self._delivery.execute_group(orders)
            committed = is_committed(group, orders, handshakes)
        except (VenueError, ExecutionError) as error:
            unknown = [self._delivery.unanswered(order, error) for order in orders]
            self._records.lost_track(decision.timestamp, orders, unknown, group, started)
            raise
        timing = Timing(started, self._clock.monotonic())
        seconds = (timing.executed - started) / len(orders)
        for order, handshake in zip(orders, handshakes, strict=True):
            self._journal.execution.operation(decision.timestamp, **operation_fields(order, handshake, seconds))
        self._records.group(decision.timestamp, orders, handshakes, timing)
        if not committed:
            self._records.rollback(decision.timestamp, group, orders, handshakes, timing)
            outcome.failed += len(orders)
            outcome.lost.extend(orders)
            return False
        members = list(zip(orders, knowns, handshakes, strict=True))
        self._book(decision, group, members, outcome, timing)
        return True

    # -- applying and reconciling

    def _book(
        self,
        decision: Decision,
        identifier: str,
        members: Sequence[tuple[Order, Values, ExecutionHandshake]],
        outcome: Outcome,
        timing: Timing,
    ) -> None:
        """Compare, apply and reconcile a confirmed unit; what stops the run is on record as its tight loop."""
        try:
            fills = self._fills(decision, members, outcome.holdings)
            for fill in fills:
                self._apply(decision, fill, outcome.passed)
            self._reconciled(decision.timestamp, fills, timing)
        except PlatformError as error:
            self._records.system_failure(decision.timestamp, identifier, error, timing)
            raise
        self._close(decision, identifier, fills, outcome, timing)

    def _fills(
        self, decision: Decision, members: Sequence[tuple[Order, Values, ExecutionHandshake]], holdings: Holdings
    ) -> list[_Fill]:
        fills: list[_Fill] = []
        for order, known, handshake in members:
            fill = self._filled(decision, order, known, handshake, holdings)
            fills.append(fill)
            holdings = fill.after
        return fills

    def _filled(
        self, decision: Decision, order: Order, known: Values, handshake: ExecutionHandshake, holdings: Holdings
    ) -> _Fill:
        """What a confirmed order changes; stops the run where that is not what was expected."""
        given = {**known, "holdings": holdings}
        compared = self._compare(given, handshake)
        if not compared.success and order.atomic_group_id is None:
            with self._reaching(decision.timestamp, order.operation_id):
                again = self._delivery.settled_again(order, lambda found: self._compare(given, found).success)
            if again is not None:
                handshake, compared = again, self._compare(given, again)
        given |= {"execution_handshake": handshake, "reconciliation": compared}
        if not compared.success:
            self._refuse_mismatch(decision.timestamp, given, compared)
        done = self._executor.evaluate(_MEMBER_NODES, given)
        settlements, cost, move, after = (done[name] for name in _MEMBER_NODES)
        assert isinstance(settlements, tuple)
        assert isinstance(cost, float)
        assert isinstance(move, float)
        assert isinstance(after, Holdings)
        return _Fill(order, handshake, settlements, cost, move, compared, holdings, after)

    def _refuse_mismatch(self, timestamp: str, given: Values, compared: Reconciliation) -> None:
        """Record changes that are not those expected (POS-005); the node that applies them raises EXEC-007."""
        self._records.reconciliation(timestamp, [compared], 0.0)
        try:
            self._executor.evaluate(["holdings_after"], {**given, "settlements": ()})
        except PositionMismatchError as error:
            mismatch = ReconciliationMismatchError(error.message, **error.context)
            self._journal.errors.failure(timestamp, mismatch, traceback.format_exc())
            raise

    def _compare(self, given: Values, handshake: ExecutionHandshake) -> Reconciliation:
        done = self._executor.evaluate(["reconciliation"], {**given, "execution_handshake": handshake})
        reconciliation = done["reconciliation"]
        assert isinstance(reconciliation, Reconciliation)
        return reconciliation

    def _apply(self, decision: Decision, fill: _Fill, passed: PassedBooks) -> None:
        """Write the fill and each settlement after it, with the balances each leaves."""
        steps: list[tuple[DeltaType, Deltas]] = [
            (DeltaType.EXECUTION_DELTAS, tuple(fill.handshake.actual_deltas.items())),
            *((settlement.delta_type, settlement.deltas) for settlement in fill.settlements),
        ]
        books = fill.before
        for delta_type, deltas in steps:
            books = Holdings(books.applied(deltas).units, fill.after.entry_price)
            self._journal.balances.applied(
                decision.timestamp,
                delta_type,
                deltas,
                books=passed.led_to(books),
                prices=decision.prices,
                operation=fill.order.operation,
                operation_id=fill.order.operation_id,
                executed_price=executed_price(fill.handshake),
                fee=(fill.handshake.fee_amount, fill.handshake.fee_currency),
            )

    def _reconciled(self, timestamp: str, fills: Sequence[_Fill], timing: Timing) -> None:
        """Compare the books with what the venues report; stops the run on a difference."""
        last = fills[-1]
        touched = frozenset().union(*(venues_of(fill.order) for fill in fills))
        found = self._differing(timestamp, last.order, last.after, last.handshake, touched)
        seconds = self._clock.monotonic() - timing.executed
        self._records.reconciliation(timestamp, [fill.reconciliation for fill in fills], seconds, found)
        if found:
            raise _balances_differ(found, last.order)

    def _differing(
        self,
        timestamp: str,
        order: Order,
        holdings: Holdings,
        handshake: ExecutionHandshake | None,
        venues: frozenset[str] | None,
    ) -> tuple[BalanceMismatch, ...]:
        """Keys whose balance at the venues, None for all, is not that of the books, asked for again while there are."""

        def differing(reported: Mapping[str, float]) -> tuple[BalanceMismatch, ...]:
            tolerance = self._policy.relative_tolerance
            return balance_mismatches(holdings, reported, handshake, relative_tolerance=tolerance)

        with self._reaching(timestamp, order.atomic_group_id or order.operation_id):
            reported = self._delivery.agreed_balances(lambda balances: not differing(balances), venues)
        if reported is None:
            return ()
        self._records.undeclared(timestamp, reported.keys() - holdings.units.keys())
        return differing(reported)

    def _refuse_unexplained(
        self, timestamp: str, order: Order, holdings: Holdings, venues: frozenset[str] | None
    ) -> None:
        """Stop the run where a balance is not that of the books: an order that failed was filled, or somebody else's.

        After an order for its venues, after a decision for all (``venues`` None).
        """
        started = self._clock.monotonic()
        found = self._differing(timestamp, order, holdings, None, venues)
        if found:
            self._records.reconciliation(timestamp, [], self._clock.monotonic() - started, found)
            raise _balances_differ(found, order)

    def _close(
        self,
        decision: Decision,
        identifier: str,
        fills: Sequence[_Fill],
        outcome: Outcome,
        timing: Timing,
    ) -> None:
        """Record the books after a unit and its tight loop, and move the outcome on."""
        after, reconciled = fills[-1].after, self._clock.monotonic()
        self._journal.assessments.exposure_and_risk_of(decision.timestamp, outcome.passed.led_to(after))
        self._journal.execution.tight_loop(
            decision.timestamp,
            operation_id=identifier,
            execution_success=True,
            reconciliation_success=True,
            retry_count=timing.retries,
            total_duration_ms=1e3 * (self._clock.monotonic() - timing.started),
            execution_duration_ms=1e3 * (timing.executed - timing.started),
            reconciliation_duration_ms=1e3 * (reconciled - timing.executed),
        )
        self._refuse_negative(decision, after)
        outcome.holdings = after
        outcome.confirmed += len(fills)
        outcome.partial.extend(fill.order for fill in fills if fill.is_partial)
        for fill in fills:
            outcome.fees_usd += fee_usd(fill.order, fill.handshake, decision.snapshot)
            outcome.cost_usd += fill.cost_usd
            outcome.triggered_move_usd += fill.triggered_move_usd

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
        if key.token != "USDT" or base is None or key.venue not in self._collateral_factor:
            return 0.0
        backing, coins = 0.0, holdings.units.get(cex_key(key.venue, base), 0.0)
        if coins > 0.0:
            backing += self._collateral_factor[key.venue] * coins * snapshot.value_of("spot_price", key.venue)
        perp = perp_key(key.venue, base)
        units = holdings.units.get(perp, 0.0)
        if units != 0.0:
            profit = units * (snapshot.value_of("perp_mark", key.venue) - holdings.entry_price[perp])
            backing += max(profit, 0.0)
        return min(0.0, -backing)


def _balances_differ(found: Sequence[BalanceMismatch], order: Order) -> ReconciliationMismatchError:
    first = found[0]
    return ReconciliationMismatchError(
        f"{first.position_key} is {first.reported!r} at the venue and {first.held!r} in the books: "
        f"{first.kind.value}; {len(found)} key(s) differ",
        position_key=first.position_key,
        kind=first.kind.value,
        operation_id=order.operation_id,
    )


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


def leaves_after(order: Order, trade: Order) -> bool:
    """Whether an order takes something away from an exchange where an earlier trade of the decision was to be done.

    Where the trade was not done in full, what would leave may still be margin (``docs/adr``: unfinished exits).
    """
    return order.operation is OperationType.TRANSFER and trade.is_cex_trade() and order.source_venue == trade.venue
