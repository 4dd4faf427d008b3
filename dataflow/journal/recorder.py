"""The journal of a run: turns rows and operations into the twelve events, numbered in the order they happened.

A row's events stand in fixed phases: health, initial capital, funding, position, exposure, risk, breach, decision,
operations, P&L. Quiet rows are counted at once and written from columns in bulk when a chunk is flushed; rows with a
decision pass through the models. Numbers depend on rows and phases only, never on windows.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from dataflow.graph.state import PositionGroups
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.event_fields import (
    RISK_FIELDS,
    RISK_LEVELS,
    Columns,
    exposure_columns,
    position_columns,
)
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.idle_rows import (
    BEFORE_DECISION,
    LINES_OF_A_ROW,
    Flags,
    Numbers,
    QuietContext,
    QuietRows,
    margin_price_usd,
    rows_with_lines,
)
from dataflow.journal.interim import Valued
from dataflow.maths.deltas import Deltas
from dataflow.records.audit.replay import DELTA_TOLERANCE
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.venues.faults.report import InjectedFault
from schemas.errors import REGISTRY, ErrorCode, JsonScalar, PlatformError, Severity
from schemas.holdings import Holdings
from schemas.instruments import PositionKey
from schemas.liquidations import Liquidation, LiquidationStep
from schemas.models.events import (
    AtomicOperationGroupEvent,
    DomainEvent,
    ExecutionDeltaEvent,
    ExposureSnapshot,
    HealthStatusEvent,
    OperationExecutionEvent,
    PnLCalculation,
    PositionSnapshot,
    ReconciliationEvent,
    RiskAssessment,
    StrategyDecision,
    SystemErrorEvent,
    TightLoopExecutionEvent,
)
from schemas.models.results import EventDetail
from schemas.operations import DeltaType, HealthStatus, OperationType, PositionSource
from schemas.units import Column, Instants

HEALTH_ROWS: Final = 1_000
"""Rows between two health events."""

_UPDATER: Final = "PositionUpdateHandler"

COMPONENTS: Final = (
    "DataProvider",
    "PositionMonitor",
    "ExposureMonitor",
    "RiskMonitor",
    "PnLMonitor",
    "StrategyManager",
    "ExecutionManager",
    _UPDATER,
)
"""Components whose health is reported."""

DEGRADED_ERRORS: Final = 5
UNHEALTHY_ERRORS: Final = 10
"""Errors of a component above which it is degraded, or unhealthy. [domain] 9.2."""

_FUNDED: Final = f"{DeltaType.FUNDING.value} applied"

HEALTH_SCORES: Final = {HealthStatus.HEALTHY: 1.0, HealthStatus.DEGRADED: 0.5, HealthStatus.UNHEALTHY: 0.0}


@dataclass(frozen=True)
class JournalContext:
    """What every event of a run carries or needs.

    run_start: text of the first instant of the run. position_source: whose balances the books are.
    reconciliation_tolerance: relative, with which the changes of an
    operation are compared; on record where it is wider than that of a replay.
    """

    correlation_id: str
    pid: int
    mode: str
    run_start: str
    groups: PositionGroups
    assets: tuple[str, ...]
    attribution_types: tuple[str, ...]
    wall_clock: Callable[[], str]
    position_source: PositionSource
    reconciliation_tolerance: float = DELTA_TOLERANCE
    detail: EventDetail = "every-step"


@dataclass(frozen=True, slots=True)
class Draft:
    """An event as it happened, not yet passed through its model: that is done when its chunk is written."""

    event_class: type[DomainEvent]
    fields: Mapping[str, object]

    def event(self) -> DomainEvent:
        """The validated event."""
        return self.event_class(**self.fields)


class Journal:
    """Events of a run in the order in which they happened; written when a chunk is complete and valid."""

    def __init__(
        self,
        log: DomainEventLogger | None,
        context: JournalContext,
        components: ComponentLogs | None = None,
        watch: BreakWatch | None = None,
    ) -> None:
        self.order = 0
        self.errors: Counter[str] = Counter()
        self.reconciliation_failures = 0
        self._component_errors: Counter[str] = Counter()
        self.breached = False
        self.watch = watch or BreakWatch()
        self.records_seconds = 0.0
        self._log, self._context = log, context
        self._components = components or ComponentLogs.silent()
        self._drafts: list[Draft] = []
        self._unvalued: list[Callable[[], None]] = []
        self._events: list[DomainEvent] = []
        self._quiet = QuietRows(
            QuietContext(
                context.mode,
                context.run_start,
                context.groups,
                context.assets,
                context.attribution_types,
                context.position_source,
                self.watch.limits,
            )
        )
        self._envelope = {"correlation_id": context.correlation_id, "pid": context.pid}

    # -- single events

    @property
    def pending(self) -> list[DomainEvent]:
        """The single events of the chunk through their models, in the order in which they happened."""
        self._events += [draft.event() for draft in self._drafts]
        self._drafts.clear()
        return self._events

    def _emit(self, event_class: type[DomainEvent], timestamp: str, **fields: object) -> None:
        self._numbered(event_class, timestamp, self.order, **fields)
        self.order += 1

    def _numbered(self, event_class: type[DomainEvent], timestamp: str, order: int, **fields: object) -> None:
        fields |= self._envelope
        fields |= {"timestamp": timestamp, "real_utc_time": self._context.wall_clock(), "order": order}
        self._drafts.append(Draft(event_class, fields))

    def health(self, timestamp: str) -> None:
        """The state of every component, from the errors seen so far."""
        self._components.info("HealthMonitor", "health checked", timestamp, errors=sum(self.errors.values()))
        self._emit(HealthStatusEvent, timestamp, **self._health_fields())

    def _health_fields(self) -> dict[str, object]:
        statuses = {name: _health(self._component_errors[name]) for name in COMPONENTS}
        return {
            "overall_status": min(statuses.values(), key=HEALTH_SCORES.__getitem__),
            "component_statuses": statuses,
            "health_score": sum(HEALTH_SCORES[status] for status in statuses.values()) / len(statuses),
        }

    def settled(
        self,
        timestamp: str,
        delta_type: DeltaType,
        deltas: Deltas,
        *,
        holdings: Holdings,
        equity_usd: float,
        prices: Mapping[str, float],
    ) -> None:
        """A settlement and the balances after it: initial capital, funding."""
        trigger = "initial_capital" if delta_type is DeltaType.INITIAL_CAPITAL else delta_type.value
        order, self.order = self.order, self.order + 2
        self._components.info(_UPDATER, f"{trigger} applied", timestamp, deltas=dict(deltas))
        self._delta_event(timestamp, order, delta_type, trigger, deltas, prices, operation=None, operation_id=None)
        self._snapshot(timestamp, order + 1, holdings.units, equity_usd, trigger)

    def applied(
        self,
        timestamp: str,
        delta_type: DeltaType,
        deltas: Deltas,
        *,
        books: Valued,
        prices: Mapping[str, float],
        operation: OperationType,
        operation_id: str,
        executed_price: float | None,
        fee: tuple[float, str],
    ) -> None:
        """Changes of one operation and the balances after them, these once they are valued."""
        self._delta_event(
            timestamp,
            self.order,
            delta_type,
            "execution_manager",
            deltas,
            prices,
            operation=operation,
            operation_id=operation_id,
            executed_price=executed_price,
            fee=fee if delta_type is DeltaType.FEE else (0.0, ""),
        )
        self._unvalued.append(partial(self._snapshot_of, timestamp, self.order + 1, books))
        self._components.info(
            "PositionMonitor", f"{delta_type.value} applied", timestamp, operation_id=operation_id, deltas=dict(deltas)
        )
        self.order += 2

    def liquidated(self, timestamp: str, liquidation: Liquidation) -> None:
        """A venue has crossed the account's liquidation threshold and acts on it."""
        code = ErrorCode.RISK_LIQUIDATION_THRESHOLD_EXCEEDED
        spec, venue = REGISTRY[code], liquidation.venue
        loss = f", {liquidation.venue_loss_usd:.2f} USD of which it lost itself" if liquidation.venue_loss_usd else ""
        message = f"{venue} liquidated at a cost of {liquidation.cost_usd + liquidation.venue_loss_usd:.2f} USD{loss}"
        trace = "an act of the venue, not raised"
        metadata = {"venue": venue, **liquidation.facts}
        self._error(timestamp, self.order, code, message, spec.component, spec.severity, trace, metadata)
        self.order += 1

    def liquidation_step(
        self,
        timestamp: str,
        step: LiquidationStep,
        *,
        holdings: Holdings,
        equity_usd: float,
        prices: Mapping[str, float],
    ) -> None:
        """One change by a liquidation and the balances after it."""
        self._delta_event(
            timestamp,
            self.order,
            step.delta_type,
            "liquidation",
            step.deltas,
            prices,
            operation=step.operation,
            operation_id=None,
            executed_price=step.price,
            fee=step.fee,
        )
        self._snapshot(timestamp, self.order + 1, holdings.units, equity_usd, "liquidation")
        self._components.info(_UPDATER, f"{step.delta_type.value} applied", timestamp, deltas=dict(step.deltas))
        self.order += 2

    def _delta_event(
        self,
        timestamp: str,
        order: int,
        delta_type: DeltaType,
        trigger: str,
        deltas: Deltas,
        prices: Mapping[str, float],
        *,
        operation: OperationType | None,
        operation_id: str | None,
        executed_price: float | None = None,
        fee: tuple[float, str] = (0.0, ""),
    ) -> None:
        if delta_type is DeltaType.LIQUIDATION:
            self.watch.liquidation(timestamp, deltas)
        self._numbered(
            ExecutionDeltaEvent,
            timestamp,
            order,
            delta_type=delta_type,
            trigger_source=trigger,
            deltas_applied=len(deltas),
            total_delta_value_usd=sum(abs(change) * prices[key] for key, change in deltas),
            source_operation_id=operation_id,
            deltas=structured_deltas(deltas, delta_type, operation, executed_price, fee),
        )

    def _snapshot(
        self, timestamp: str, order: int, units: Mapping[str, float], equity_usd: float, trigger: str
    ) -> None:
        self._numbered(
            PositionSnapshot,
            timestamp,
            order,
            positions=dict(units),
            total_value_usd=equity_usd,
            position_type=self._context.position_source,
            trigger_source=trigger,
        )

    def _snapshot_of(self, timestamp: str, order: int, books: Valued) -> None:
        self._snapshot(timestamp, order, books.holdings.units, books.equity_usd, "execution_manager")

    def position(self, timestamp: str, holdings: Holdings, equity_usd: float) -> None:
        """The balances at the start of a row."""
        self._snapshot(timestamp, self.order, holdings.units, equity_usd, "position_refresh")
        self.order += 1

    def exposure_and_risk(self, timestamp: str, columns: Columns) -> None:
        """Exposure and risk of a one-row set of columns."""
        self._exposure_and_risk(timestamp, self.order, columns, 0)
        self.order += 2

    def exposure_and_risk_of(self, timestamp: str, books: Valued) -> None:
        """Exposure and risk of books within a decision, once they are valued."""
        order, self.order = self.order, self.order + 2
        self._unvalued.append(lambda: self._exposure_and_risk(timestamp, order, books.columns, books.row))

    def books_valued(self) -> None:
        """Record the books of a decision, whose values are known now; their numbers were taken as they happened."""
        for record in self._unvalued:
            record()
        self._unvalued.clear()

    def _exposure_and_risk(self, timestamp: str, order: int, columns: Columns, row: int) -> None:
        assets = exposure_columns(columns, self._context.assets)
        equity_usd = float(columns["equity_usd"][row])
        self._numbered(
            ExposureSnapshot,
            timestamp,
            order,
            net_delta_usd=float(columns["net_delta_usd"][row]),
            asset_exposures={
                asset: {name: float(column[row]) for name, column in fields.items()} for asset, fields in assets.items()
            },
            total_value_usd=equity_usd,
            share_class_value=float(columns["equity_share_class"][row]),
        )
        warnings, breaches = self.watch.limits.notes(columns, row)
        self._components.info("ExposureMonitor", "exposure calculated", timestamp, equity_usd=equity_usd)
        self._components.info(
            "RiskMonitor", "risk assessed", timestamp, warnings=list(warnings), breaches=list(breaches)
        )
        self._numbered(
            RiskAssessment,
            timestamp,
            order + 1,
            **{name: float(columns[node][row]) for name, node in RISK_FIELDS.items()},
            risk_level=RISK_LEVELS[int(columns["risk_level"][row])],
            breach_detected=bool(breaches),
            warnings=warnings,
            breaches=breaches,
        )

    def breach_of_row(self, timestamp: str, columns: Columns) -> None:
        """An error event if a breach begins or ends with a one-row set of columns."""
        breaches = self.watch.limits.notes(columns, 0)[1]
        self.watch.rows((timestamp,), columns, columns["breach_detected"] > 0.0)
        if bool(breaches) != self.breached:
            self.breach(timestamp, breaches, order=self.order)
            self.order += 1

    def breach(self, timestamp: str, breaches: Iterable[str], *, order: int) -> None:
        """A risk limit began or ceased to be crossed."""
        self.breached = not self.breached
        what = ", ".join(breaches) if self.breached else "all limits"
        message = f"risk limit breached: {what}" if self.breached else f"risk limit breach ended: {what} hold again"
        self._error(timestamp, order, ErrorCode.RISK_LIMIT_BREACHED, message, "RiskMonitor", Severity.HIGH, message)

    def failure(self, timestamp: str, error: PlatformError, trace: str, **facts: JsonScalar) -> None:
        """An error that a component raised; its context, and facts beside it, are the metadata of its event."""
        self.watch.error(timestamp, error)
        metadata = {name: _json_fact(fact) for name, fact in {**facts, **error.context}.items()}
        self._error(timestamp, self.order, error.code, error.message, error.component, error.severity, trace, metadata)
        self.order += 1

    def injected(self, fault: InjectedFault) -> None:
        """A fault that was put between engine and venues on purpose, at the moment it happens."""
        spec = REGISTRY[fault.code]
        self._error(
            fault.timestamp,
            self.order,
            fault.code,
            fault.message,
            spec.component,
            spec.severity,
            "injected by a fault plan, not raised",
            fault.metadata(),
        )
        self.order += 1

    def _error(
        self,
        timestamp: str,
        order: int,
        code: ErrorCode,
        message: str,
        component: str,
        severity: Severity,
        trace: str,
        metadata: Mapping[str, JsonScalar] | None = None,
    ) -> None:
        self.errors[code.value] += 1
        self._component_errors[component] += 1
        self._components.error(component, message, timestamp, code, trace)
        self._numbered(
            SystemErrorEvent,
            timestamp,
            order,
            error_code=code,
            error_message=message,
            component=component,
            severity=severity,
            stack_trace=trace,
            metadata=dict(metadata or {}),
        )

    def decision(self, timestamp: str, **fields: object) -> None:
        """What was decided, hold included."""
        self._emit(StrategyDecision, timestamp, strategy_name=self._context.mode, **fields)
        self._components.info(
            "StrategyManager",
            f"decided {fields['decision_type']}: {fields['decision_reason']}",
            timestamp,
            orders=fields["orders_generated"],
            order_value_usd=fields["total_order_value_usd"],
        )

    def operation(self, timestamp: str, **fields: object) -> None:
        """One operation as attempted."""
        self.watch.operation(timestamp, fields)
        tolerance = self._context.reconciliation_tolerance
        metadata = {"reconciliation_tolerance": tolerance} if tolerance > DELTA_TOLERANCE else {}
        self._emit(OperationExecutionEvent, timestamp, **fields, metadata=metadata)
        self._components.info(
            "ExecutionManager",
            f"{fields['operation_type']} at {fields['venue']} {fields['status']}",
            timestamp,
            operation_id=fields["operation_id"],
            fee_amount=fields["fee_amount"],
            fee_currency=fields["fee_currency"],
        )

    def atomic_group(self, timestamp: str, **fields: object) -> None:
        """One atomic group: committed, rolled back, or of unknown fate."""
        self._emit(AtomicOperationGroupEvent, timestamp, **fields)

    def reconciliation(self, timestamp: str, **fields: object) -> None:
        """Expected against actual."""
        self._emit(ReconciliationEvent, timestamp, **fields)
        self.reconciliation_failures += not fields["reconciliation_success"]

    def tight_loop(self, timestamp: str, **fields: object) -> None:
        """One pass of execute, apply, reconcile."""
        self._emit(TightLoopExecutionEvent, timestamp, **fields)

    def pnl(self, timestamp: str, columns: Columns) -> None:
        """P&L of a one-row set of columns."""
        self._components.info(
            "PnLMonitor", "P&L calculated", timestamp, total_pnl_usd=float(columns["total_pnl_usd"][0])
        )
        self._emit(
            PnLCalculation,
            timestamp,
            total_pnl_usd=float(columns["total_pnl_usd"][0]),
            total_pnl_share_class=float(columns["total_pnl_share_class"][0]),
            pnl_attribution={name: float(columns[name][0]) for name in self._context.attribution_types},
            period_start=self._context.run_start,
            period_end=timestamp,
            unexplained_pnl=float(columns["unexplained_pnl"][0]),
            reconciled=bool(columns["is_reconciled"][0]),
        )

    # -- quiet rows

    def quiet_rows(
        self,
        texts: Sequence[str],
        columns: Columns,
        *,
        first_row: int,
        level_before: float,
        is_last: bool,
    ) -> None:
        """Count the lines of rows without a decision, and make the few events among them that are not in bulk.

        level_before: risk level of the row before the first.
        """
        rows = len(texts)
        health = ((np.arange(first_row, first_row + rows) % HEALTH_ROWS) == 0).astype(np.int64)
        settled = _settled(columns, rows)
        breach = columns["breach_detected"] > 0.0
        before = np.concatenate([[self.breached], breach[:-1]])
        edges = (breach != before).astype(np.int64)
        self.watch.rows(texts, columns, breach)
        has_lines = rows_with_lines(
            self._context.detail,
            settled=settled,
            edges=edges,
            level=columns["risk_level"],
            level_before=level_before,
            is_last=is_last,
        )
        counts = LINES_OF_A_ROW * has_lines + health + 2 * settled + edges
        counts[-1] += is_last
        ends = self.order + np.add.accumulate(counts)
        starts = ends - counts
        for row in np.flatnonzero(health).tolist():
            self._numbered(HealthStatusEvent, texts[row], int(starts[row]), **self._health_fields())
        is_settled = settled > 0
        self._log_funding(texts, columns, is_settled)
        position = starts + health + 2 * settled
        breaches = position + BEFORE_DECISION * has_lines
        for row in np.flatnonzero(edges).tolist():
            self.breach(texts[row], self.watch.limits.notes(columns, row)[1], order=int(breaches[row]))
        if is_last:
            self._numbered(HealthStatusEvent, texts[-1], int(ends[-1]) - 1, **self._health_fields())
        self.order = int(ends[-1])
        self._quiet.add(has_lines, position, edges, is_settled, starts + health)

    def _log_funding(self, texts: Sequence[str], columns: Columns, is_settled: Flags) -> None:
        """One record of the component a settlement; the events of quiet rows are written in bulk."""
        if self._components.is_silent or not np.any(is_settled):
            return
        keys = self._context.groups.margin_keys
        flows = columns["funding_flow"][is_settled].tolist()
        for row, paid in zip(np.flatnonzero(is_settled).tolist(), flows, strict=True):
            self._components.info(_UPDATER, _FUNDED, texts[row], deltas=dict(_paid(keys, paid)))

    def funding_of_row(self, timestamp: str, columns: Columns) -> None:
        """Funding settled at a one-row set of columns, if any."""
        if not _settled(columns, 1)[0]:
            return
        groups = self._context.groups
        units = {key: float(column[0]) for key, column in position_columns(columns, groups).items()}
        self.settled(
            timestamp,
            DeltaType.FUNDING,
            _paid(groups.margin_keys, columns["funding_flow"][0].tolist()),
            holdings=Holdings(units, {}),
            equity_usd=float(columns["equity_usd"][0]),
            prices=dict.fromkeys(groups.margin_keys, float(margin_price_usd(columns, groups)[0])),
        )

    def discard(self, order: int) -> None:
        """Forget what a chunk that its frames refused had to say, but for its errors: component logs have them already.

        order: the number that the chunk's first event would have had; its errors are numbered from there.
        """
        found: list[Mapping[str, object]] = [
            event.__dict__ for event in self._events if isinstance(event, SystemErrorEvent)
        ]
        found += [draft.fields for draft in self._drafts if draft.event_class is SystemErrorEvent]
        self._clear()
        self._drafts += [
            Draft(SystemErrorEvent, {**fields, "order": number}) for number, fields in enumerate(found, start=order)
        ]
        self.order = order + len(found)

    def flush(self, instants: Instants, columns: Columns, quiet: npt.NDArray[np.bool_]) -> None:
        """Write the chunk: ``instants`` and ``columns`` are all its rows, ``quiet`` marks those without a decision."""
        if self._log is None:
            self._clear()
            return
        # Each event is given to the log once, also when the disk refuses: the log keeps what it took.
        pending, self._events = iter(self.pending), []
        try:
            self._quiet.write(self._log, instants, columns, quiet)
            for event in pending:
                self._log.log(event)
        finally:
            self._events.extend(pending)
            self._quiet.clear()
        self._log.flush()
        self._components.flush()

    def _clear(self) -> None:
        self._drafts.clear()
        self._unvalued.clear()
        self._events.clear()
        self._quiet.clear()


def structured_deltas(
    deltas: Deltas,
    delta_type: DeltaType,
    operation: OperationType | None,
    executed_price: float | None,
    fee: tuple[float, str],
) -> list[dict[str, object]]:
    """Changes in the form of the log; the fee stands once, on the first record in its currency."""
    source = operation if operation is not None and delta_type is DeltaType.EXECUTION_DELTAS else delta_type
    records: list[dict[str, object]] = []
    unpaid = fee[0]
    for key, change in deltas:
        is_fee = unpaid > 0.0 and PositionKey.parse(key).token == fee[1]
        records.append(
            {
                "position_key": key,
                "delta_amount": change,
                "operation_type": operation,
                "source": source,
                "price": executed_price,
                "fee": unpaid if is_fee else 0.0,
            }
        )
        unpaid = 0.0 if is_fee else unpaid
    return records


def _paid(keys: Sequence[str], flows: Sequence[float]) -> Deltas:
    """The balances that funding moved."""
    return tuple((key, flow) for key, flow in zip(keys, flows, strict=True) if flow != 0.0)


def _json_fact(fact: JsonScalar) -> JsonScalar:
    """The fact itself; as text where JSON has no number for it."""
    return str(fact) if isinstance(fact, float) and not math.isfinite(fact) else fact


def _health(errors: int) -> HealthStatus:
    if errors > UNHEALTHY_ERRORS:
        return HealthStatus.UNHEALTHY
    return HealthStatus.DEGRADED if errors > DEGRADED_ERRORS else HealthStatus.HEALTHY


def _settled(columns: Columns, rows: int) -> Numbers:
    """1 on rows where funding moved a balance."""
    if "funding_flow" not in columns:
        return np.zeros(rows, dtype=np.int64)
    moved: Numbers = np.any(columns["funding_flow"] != 0.0, axis=1).astype(np.int64)
    return moved


def row_of(columns: Columns, row: int) -> dict[str, Column]:
    """One row of every column, keeping the first axis."""
    return {name: column[row : row + 1] for name, column in columns.items()}
