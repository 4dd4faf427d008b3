"""Events of what goes wrong, and of the health that follows: errors, breaches, liquidations, injected faults."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from dataflow.journal.balances import UPDATER
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.event_fields import Columns
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.sequencer import Sequencer
from dataflow.venues.faults.report import InjectedFault
from schemas.errors import REGISTRY, ErrorCode, JsonScalar, PlatformError, Severity
from schemas.liquidations import Liquidation
from schemas.models.events import HealthStatusEvent, SystemErrorEvent
from schemas.operations import HealthStatus

HEALTH_ROWS: Final = 1_000
"""Rows between two health events."""

COMPONENTS: Final = (
    "DataProvider",
    "PositionMonitor",
    "ExposureMonitor",
    "RiskMonitor",
    "PnLMonitor",
    "StrategyManager",
    "ExecutionManager",
    UPDATER,
)
"""Components whose health is reported."""

DEGRADED_ERRORS: Final = 5
UNHEALTHY_ERRORS: Final = 10
"""Errors of a component above which it is degraded, or unhealthy. [domain] 9.2."""

HEALTH_SCORES: Final = {HealthStatus.HEALTHY: 1.0, HealthStatus.DEGRADED: 0.5, HealthStatus.UNHEALTHY: 0.0}


class ErrorEvents:
    """Records errors, counts them, and knows whether a risk limit is crossed now.

    counts: errors by code.
    """

    def __init__(self, sequencer: Sequencer, components: ComponentLogs, watch: BreakWatch) -> None:
        self._sequencer, self._components, self._watch = sequencer, components, watch
        self.counts: Counter[str] = Counter()
        self._by_component: Counter[str] = Counter()
        self._is_breached = False

    # -- health

    def health(self, timestamp: str) -> None:
        """The state of every component, from the errors seen so far."""
        self._components.info("HealthMonitor", "health checked", timestamp, errors=sum(self.counts.values()))
        self.health_at(timestamp, self._sequencer.take())

    def health_at(self, timestamp: str, order: int) -> None:
        """The same under a number taken before; rows counted in bulk leave no record of the component."""
        statuses = {name: _health(self._by_component[name]) for name in COMPONENTS}
        self._sequencer.keep(
            HealthStatusEvent,
            timestamp,
            order,
            overall_status=min(statuses.values(), key=HEALTH_SCORES.__getitem__),
            component_statuses=statuses,
            health_score=sum(HEALTH_SCORES[status] for status in statuses.values()) / len(statuses),
        )

    # -- risk limits

    @property
    def is_breached(self) -> bool:
        """Whether a risk limit was crossed at the last row."""
        return self._is_breached

    def resume(self, *, is_breached: bool) -> None:
        """Go on where the partition before ended."""
        self._is_breached = is_breached

    def breach_of_row(self, timestamp: str, columns: Columns) -> None:
        """An error event if a breach begins or ends with a one-row set of columns."""
        breaches = self._watch.limits.notes(columns, 0)[1]
        self._watch.rows((timestamp,), columns, columns["breach_detected"] > 0.0)
        if bool(breaches) != self._is_breached:
            self.breach(timestamp, breaches, order=self._sequencer.take())

    def breach(self, timestamp: str, breaches: Iterable[str], *, order: int) -> None:
        """A risk limit began or ceased to be crossed."""
        self._is_breached = not self._is_breached
        what = ", ".join(breaches) if self._is_breached else "all limits"
        message = f"risk limit breached: {what}" if self._is_breached else f"risk limit breach ended: {what} hold again"
        self._error(timestamp, order, ErrorCode.RISK_LIMIT_BREACHED, message, "RiskMonitor", Severity.HIGH, message)

    # -- errors

    def liquidation(self, timestamp: str, liquidation: Liquidation) -> None:
        """A venue has crossed the account's liquidation threshold and acts on it."""
        venue = liquidation.venue
        loss = f", {liquidation.venue_loss_usd:.2f} USD of which it lost itself" if liquidation.venue_loss_usd else ""
        message = f"{venue} liquidated at a cost of {liquidation.cost_usd + liquidation.venue_loss_usd:.2f} USD{loss}"
        self._not_raised(
            timestamp,
            ErrorCode.RISK_LIQUIDATION_THRESHOLD_EXCEEDED,
            message,
            "an act of the venue, not raised",
            {"venue": venue, **liquidation.facts},
        )

    def failure(self, timestamp: str, error: PlatformError, trace: str, **facts: JsonScalar) -> None:
        """An error that a component raised; its context, and facts beside it, are the metadata of its event."""
        self._watch.error(timestamp, error)
        metadata = {name: _json_fact(fact) for name, fact in {**facts, **error.context}.items()}
        order = self._sequencer.take()
        self._error(timestamp, order, error.code, error.message, error.component, error.severity, trace, metadata)

    def injected(self, fault: InjectedFault) -> None:
        """A fault that was put between engine and venues on purpose, at the moment it happens."""
        trace = "injected by a fault plan, not raised"
        self._not_raised(fault.timestamp, fault.code, fault.message, trace, fault.metadata())

    def _not_raised(
        self, timestamp: str, code: ErrorCode, message: str, trace: str, metadata: Mapping[str, JsonScalar]
    ) -> None:
        spec = REGISTRY[code]
        self._error(timestamp, self._sequencer.take(), code, message, spec.component, spec.severity, trace, metadata)

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
        self.counts[code.value] += 1
        self._by_component[component] += 1
        self._components.error(component, message, timestamp, code, trace)
        self._sequencer.keep(
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


def _json_fact(fact: JsonScalar) -> JsonScalar:
    """The fact itself; as text where JSON has no number for it."""
    return str(fact) if isinstance(fact, float) and not math.isfinite(fact) else fact


def _health(errors: int) -> HealthStatus:
    if errors > UNHEALTHY_ERRORS:
        return HealthStatus.UNHEALTHY
    return HealthStatus.DEGRADED if errors > DEGRADED_ERRORS else HealthStatus.HEALTHY
