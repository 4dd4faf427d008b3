"""Messages: orders, handshakes and the twelve events, at one obvious home."""

from schemas.models.events import (
    EVENT_TYPES,
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
    event_line,
)
from schemas.models.handshake import ExecutionHandshake, parse_handshake
from schemas.models.orders import ExpectedDelta, Order, parse_order
from schemas.operations import ExecutionStatus, OperationType

__all__ = [
    "EVENT_TYPES",
    "AtomicOperationGroupEvent",
    "DomainEvent",
    "ExecutionDeltaEvent",
    "ExecutionHandshake",
    "ExecutionStatus",
    "ExpectedDelta",
    "ExposureSnapshot",
    "HealthStatusEvent",
    "OperationExecutionEvent",
    "OperationType",
    "Order",
    "PnLCalculation",
    "PositionSnapshot",
    "ReconciliationEvent",
    "RiskAssessment",
    "StrategyDecision",
    "SystemErrorEvent",
    "TightLoopExecutionEvent",
    "event_line",
    "parse_handshake",
    "parse_order",
]
