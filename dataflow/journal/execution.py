"""Events of a decision and its execution: what was decided, attempted, grouped, compared and gone through."""

from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.sequencer import Sequencer
from dataflow.records.audit.replay import DELTA_TOLERANCE
from schemas.models.events import (
    AtomicOperationGroupEvent,
    OperationExecutionEvent,
    ReconciliationEvent,
    StrategyDecision,
    TightLoopExecutionEvent,
)


class ExecutionEvents:
    """Records decisions, operations, atomic groups, reconciliations and tight loops.

    reconciliation_tolerance: relative, with which the changes of an operation are compared; on record where it is wider
    than that of a replay.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        components: ComponentLogs,
        watch: BreakWatch,
        mode: str,
        reconciliation_tolerance: float,
    ) -> None:
        self._sequencer, self._components, self._watch, self._mode = sequencer, components, watch, mode
        is_wide = reconciliation_tolerance > DELTA_TOLERANCE
        self._metadata = {"reconciliation_tolerance": reconciliation_tolerance} if is_wide else {}
        self.reconciliation_failures = 0

    def decision(self, timestamp: str, **fields: object) -> None:
        """What was decided, hold included."""
        self._sequencer.emit(StrategyDecision, timestamp, strategy_name=self._mode, **fields)
        self._components.info(
            "StrategyManager",
            f"decided {fields['decision_type']}: {fields['decision_reason']}",
            timestamp,
            orders=fields["orders_generated"],
            order_value_usd=fields["total_order_value_usd"],
        )

    def operation(self, timestamp: str, **fields: object) -> None:
        """One operation as attempted."""
        self._watch.operation(timestamp, fields)
        self._sequencer.emit(OperationExecutionEvent, timestamp, **fields, metadata=self._metadata)
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
        self._sequencer.emit(AtomicOperationGroupEvent, timestamp, **fields)

    def reconciliation(self, timestamp: str, **fields: object) -> None:
        """Expected against actual."""
        self._sequencer.emit(ReconciliationEvent, timestamp, **fields)
        self.reconciliation_failures += not fields["reconciliation_success"]

    def tight_loop(self, timestamp: str, **fields: object) -> None:
        """One pass of execute, apply, reconcile."""
        self._sequencer.emit(TightLoopExecutionEvent, timestamp, **fields)
