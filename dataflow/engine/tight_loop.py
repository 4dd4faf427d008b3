"""The tight loop: one decision's orders, each executed, applied, reconciled and valued before the next.

[domain] 5.6. In a backtest a failed order is not retried: it is recorded, the orders that depend on it are skipped,
and a change that differs from the expected one stops the run.
"""

import hashlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from dataflow.engine.event_fields import Columns
from dataflow.engine.executors import Executor, Values
from dataflow.engine.journal import Journal, structured_deltas
from dataflow.maths.deltas import Deltas
from dataflow.nodes.execution import Reconciliation, Settlement
from schemas.decisions import DecisionRule
from schemas.errors import (
    ErrorCode,
    NegativePositionError,
    OrderExecutionError,
    OrderValidationError,
    PlatformError,
    PositionMismatchError,
    VenueInterfaceUnavailableError,
)
from schemas.holdings import Holdings
from schemas.instruments import VENUES, PositionKey, PositionType, VenueKind, cex_key, wallet_key
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import DeltaType, ExecutionStatus, OperationType
from schemas.snapshot import MarketSnapshot

_NEGATIVE_TOLERANCE = 1e-9
"""Balance below zero, in units of the key, that rounding can leave."""


class Valuation(Protocol):
    """Values the books after a change, at the decision's row."""

    def equity_usd(self, holdings: Holdings) -> float:
        """Equity of the books, USD."""
        ...

    def columns(self, holdings: Holdings) -> Columns:
        """One-row columns of positions, exposure and risk."""
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


@dataclass(frozen=True)
class Outcome:
    """What executing a decision led to."""

    holdings: Holdings
    cost_usd: float
    attempted: int
    confirmed: int
    failed: int
    fees_usd: float


@dataclass
class _Progress:
    holdings: Holdings
    cost_usd: float = 0.0
    fees_usd: float = 0.0
    attempted: int = 0
    confirmed: int = 0
    failed: int = 0

    def outcome(self) -> Outcome:
        return Outcome(self.holdings, self.cost_usd, self.attempted, self.confirmed, self.failed, self.fees_usd)


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
        *,
        seed: int,
        place: Callable[[MarketSnapshot, Holdings], None],
        collateral_factor: Mapping[str, float],
        allow_negative_balances: bool,
    ) -> None:
        self._executor, self._journal, self._seed = executor, journal, seed
        self._place = place
        self._collateral_factor = collateral_factor
        self._allow_negative = allow_negative_balances

    def process_orders(
        self, decision: Decision, holdings: Holdings, *, first_operation: int, value: Valuation
    ) -> Outcome:
        """Execute the orders of a decision one after the other.

        Raises :class:`PositionMismatchError` (EXEC-007), :class:`NegativePositionError` (POS-004) or
        :class:`VenueInterfaceUnavailableError` (EXEC-002): the run stops, nothing heals itself.
        """
        progress = _Progress(holdings)
        lost: list[Order] = []
        for sequence in range(len(decision.orders)):
            number = first_operation + progress.attempted
            known = {
                **decision.known,
                "sequence": sequence,
                "holdings": progress.holdings,
                "operation_id": operation_identifier(self._seed, number),
                "timestamp_group": f"{decision.rule.intent.value}_{decision.timestamp}",
                "snapshot": decision.snapshot,
            }
            order = self._order(known, decision)
            if any(depends_on(order, earlier) for earlier in lost):
                lost.append(order)
                continue
            progress.attempted += 1
            if not self._execute(decision, known | {"order": order}, order, progress, value):
                lost.append(order)
        return progress.outcome()

    def _order(self, known: Values, decision: Decision) -> Order:
        try:
            order = self._executor.evaluate(["order"], known)["order"]
        except ValidationError as error:
            raise OrderValidationError(
                f"the strategy made an invalid order: {error.errors()[0]['msg']}", timestamp=decision.timestamp
            ) from error
        assert isinstance(order, Order)
        return order

    def _execute(self, decision: Decision, known: Values, order: Order, progress: _Progress, value: Valuation) -> bool:
        """One order, from the venue to the books; whether it was confirmed."""
        started = time.perf_counter()
        self._place(decision.snapshot, progress.holdings)
        try:
            done = dict(self._executor.evaluate(["execution_handshake", "settlements", "transaction_cost_usd"], known))
        except PlatformError as error:
            if error.code is ErrorCode.VEN_INTERFACE_NOT_FOUND:
                raise VenueInterfaceUnavailableError(error.message, **error.context) from error
            raise
        handshake = done["execution_handshake"]
        assert isinstance(handshake, ExecutionHandshake)
        executed = time.perf_counter()
        self._journal.operation(decision.timestamp, **operation_fields(order, handshake, executed - started))
        if handshake.status is not ExecutionStatus.CONFIRMED:
            self._record_failure(decision.timestamp, order, handshake, executed - started)
            progress.failed += 1
            return False
        settlements, cost = done["settlements"], done["transaction_cost_usd"]
        assert isinstance(settlements, tuple)
        assert isinstance(cost, float)
        after = self._reconcile_and_apply(decision, done, order, settlements, progress, value)
        finished = time.perf_counter()
        columns = value.columns(after)
        self._journal.exposure_and_risk(decision.timestamp, columns)
        self._journal.tight_loop(
            decision.timestamp,
            operation_id=order.operation_id,
            execution_success=True,
            reconciliation_success=True,
            retry_count=0,
            total_duration_ms=1e3 * (time.perf_counter() - started),
            execution_duration_ms=1e3 * (executed - started),
            reconciliation_duration_ms=1e3 * (finished - executed),
        )
        self._refuse_negative(decision, after)
        progress.holdings = after
        progress.cost_usd += cost
        progress.fees_usd += handshake.fee_amount * decision.prices.get(fee_key(order, handshake), 1.0)
        progress.confirmed += 1
        return True

    def _reconcile_and_apply(
        self,
        decision: Decision,
        done: Values,
        order: Order,
        settlements: tuple[Settlement, ...],
        progress: _Progress,
        value: Valuation,
    ) -> Holdings:
        started = time.perf_counter()
        handshake = done["execution_handshake"]
        reconciliation = self._executor.evaluate(["reconciliation"], done)["reconciliation"]
        assert isinstance(handshake, ExecutionHandshake)
        assert isinstance(reconciliation, Reconciliation)
        try:
            after = self._executor.evaluate(["holdings_after"], {**done, "reconciliation": reconciliation})[
                "holdings_after"
            ]
        except PositionMismatchError:
            self._record_reconciliation(decision.timestamp, reconciliation, started)
            raise
        assert isinstance(after, Holdings)
        self._record_changes(decision, order, handshake, settlements, progress.holdings, after, value)
        self._record_reconciliation(decision.timestamp, reconciliation, started)
        return after

    def _record_changes(
        self,
        decision: Decision,
        order: Order,
        handshake: ExecutionHandshake,
        settlements: tuple[Settlement, ...],
        before: Holdings,
        after: Holdings,
        value: Valuation,
    ) -> None:
        """The fill and each settlement after it, with the balances each leaves; entry prices are those after."""
        steps: list[tuple[DeltaType, Deltas]] = [
            (DeltaType.EXECUTION_DELTAS, tuple(handshake.actual_deltas.items())),
            *((settlement.delta_type, settlement.deltas) for settlement in settlements),
        ]
        books = before
        price = handshake.execution_details.get("executed_price")
        for delta_type, deltas in steps:
            books = Holdings(books.applied(deltas).units, after.entry_price)
            self._journal.applied(
                decision.timestamp,
                delta_type,
                deltas,
                holdings=books,
                equity_usd=value.equity_usd(books),
                prices=decision.prices,
                operation=order.operation,
                operation_id=order.operation_id,
                executed_price=float(price) if isinstance(price, int | float) else None,
                fee=(handshake.fee_amount, handshake.fee_currency),
            )

    def _record_reconciliation(self, timestamp: str, reconciliation: Reconciliation, started: float) -> None:
        self._journal.reconciliation(
            timestamp,
            reconciliation_type="execution_deltas",
            trigger_source="execution_manager",
            reconciliation_success=reconciliation.success,
            expected_deltas_count=reconciliation.expected_count,
            actual_deltas_count=reconciliation.actual_count,
            reconciliation_duration_ms=1e3 * (time.perf_counter() - started),
            mismatches=[
                {
                    "position_key": m.position_key,
                    "expected": m.expected,
                    "actual": m.actual,
                    "diff": m.actual - m.expected,
                }
                for m in reconciliation.mismatches
            ],
        )

    def _record_failure(self, timestamp: str, order: Order, handshake: ExecutionHandshake, seconds: float) -> None:
        self._journal.tight_loop(
            timestamp,
            operation_id=order.operation_id,
            execution_success=False,
            reconciliation_success=False,
            retry_count=0,
            total_duration_ms=1e3 * seconds,
            execution_duration_ms=1e3 * seconds,
            reconciliation_duration_ms=0.0,
            failure_reason=handshake.error_message,
        )
        error = OrderExecutionError(
            f"{order.operation.value} at {order.venue} failed: {handshake.error_message}",
            operation_id=order.operation_id,
            venue=order.venue,
            venue_code=handshake.error_code.value if handshake.error_code else None,
        )
        self._journal.failure(timestamp, error, "".join(traceback.format_stack(limit=4)))

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


def fee_key(order: Order, handshake: ExecutionHandshake) -> str:
    """Key of the balance that pays the fee."""
    if order.is_cex_trade():
        return cex_key(order.venue, handshake.fee_currency)
    return wallet_key(handshake.fee_currency)


def operation_fields(order: Order, handshake: ExecutionHandshake, seconds: float) -> dict[str, object]:
    """Fields of the event of one attempted operation."""
    executed = handshake.execution_details.get("executed_amount")
    price = handshake.execution_details.get("executed_price")
    return {
        "operation_id": order.operation_id,
        "operation_type": order.operation,
        "venue": order.venue,
        "source_token": order.source_token,
        "target_token": order.target_token,
        "status": handshake.status,
        "expected_deltas": order.expected_deltas,
        "actual_deltas": handshake.actual_deltas,
        "fee_amount": handshake.fee_amount,
        "fee_currency": handshake.fee_currency,
        "execution_duration_ms": 1e3 * seconds,
        "simulated": handshake.simulated,
        "error_code": handshake.error_code,
        "error_message": handshake.error_message,
        "source_venue": order.source_venue,
        "target_venue": order.target_venue,
        "operation_details": {**order.operation_details, **handshake.execution_details},
        "position_deltas": structured_deltas(
            tuple(handshake.actual_deltas.items()),
            DeltaType.EXECUTION_DELTAS,
            order.operation,
            float(price) if isinstance(price, int | float) else None,
            (handshake.fee_amount, handshake.fee_currency),
        ),
        "executed_amount": float(executed) if isinstance(executed, int | float) else None,
        "atomic_group_id": order.atomic_group_id,
        "sequence_in_group": order.sequence_in_group,
        "submitted_at": handshake.submitted_at.replace(tzinfo=None).isoformat(),
        "executed_at": handshake.executed_at.replace(tzinfo=None).isoformat() if handshake.executed_at else None,
        "venue_metadata": handshake.venue_metadata,
    }
