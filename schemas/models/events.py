"""The twelve domain events: one envelope, twelve payloads (domain specification, section 6).

The order of fields is fixed and the same everywhere: the envelope (``timestamp, real_utc_time, correlation_id, pid,
order, metadata``), then the fields of the event as declared. Every field is always written, absent ones as null, so
that a file has one set of columns. Enumerations are lower case but for ``severity``.
"""

from typing import Annotated, ClassVar, Final, Self

import orjson
from pydantic import BaseModel, Field, model_validator

from schemas.errors import ErrorCode, Severity
from schemas.models.message import (
    Amounts,
    Count,
    Details,
    Flag,
    InstantText,
    KeyText,
    Message,
    NonNegativeNumber,
    Number,
    SignedUnitNumber,
    Text,
    UnitNumber,
)
from schemas.models.orders import ExpectedDelta, Order, PositionDelta
from schemas.operations import (
    DecisionType,
    DeltaType,
    ExecutionStatus,
    GroupStatus,
    HealthStatus,
    OperationType,
    PositionSource,
    ReconciliationType,
    RiskLevel,
)

Texts = tuple[str, ...]


class DomainEvent(Message):
    """The envelope.

    ``timestamp`` is the engine's clock, ``real_utc_time`` the wall clock, both ISO-8601 UTC without offset. ``order``
    numbers the events of a run 0, 1, 2 ... over all files; events from elsewhere may have none.
    """

    file_name: ClassVar[str]

    timestamp: InstantText
    real_utc_time: InstantText
    correlation_id: Text
    pid: Count
    order: Count | None = None
    metadata: Details = Field(default_factory=dict)


class StructuredDelta(PositionDelta):
    """A change of one balance as the log shows it.

    ``source`` is the operation type of an execution or the delta type of a settlement; ``operation_type`` is null for
    the latter. ``price`` is the executed price, quote per base. ``fee`` >= 0 stands once, on the record whose token is
    the fee currency.
    """

    operation_type: OperationType | None = None
    source: OperationType | DeltaType
    price: NonNegativeNumber | None = None
    fee: NonNegativeNumber = 0.0


class AssetExposure(Message):
    """Exposure to one asset: net delta units (USDT: balance), USD, and its signed share of the gross value, -1 to 1."""

    quantity: Number
    usd_value: Number
    percentage: SignedUnitNumber


class DeltaMismatch(Message):
    """A key whose actual change (or balance) is not the expected one; ``diff`` = actual - expected."""

    position_key: KeyText
    expected: Number
    actual: Number
    diff: Number


class PositionSnapshot(DomainEvent):
    """Balances after an update, in the units of their keys; ``total_value_usd`` is equity."""

    file_name: ClassVar[str] = "positions.jsonl"

    positions: Amounts
    total_value_usd: Number
    position_type: PositionSource
    trigger_source: str | None = None


class OperationExecutionEvent(DomainEvent):
    """One operation as attempted, failed ones included."""

    file_name: ClassVar[str] = "operation_executions.jsonl"

    operation_id: Text
    operation_type: OperationType
    venue: Text
    source_token: Text
    target_token: Text
    status: ExecutionStatus
    expected_deltas: tuple[ExpectedDelta, ...]
    actual_deltas: Amounts
    fee_amount: NonNegativeNumber
    fee_currency: Text
    execution_duration_ms: NonNegativeNumber
    simulated: Flag
    error_code: ErrorCode | None = None
    error_message: str | None = None
    source_venue: Text | None = None
    target_venue: Text | None = None
    operation_details: Details | None = None
    position_deltas: tuple[StructuredDelta, ...] | None = None
    executed_amount: NonNegativeNumber | None = None
    atomic_group_id: Text | None = None
    sequence_in_group: Count | None = None
    submitted_at: InstantText | None = None
    executed_at: InstantText | None = None
    venue_metadata: Details | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse a failure without code, or one that moved a balance."""
        if self.status is ExecutionStatus.FAILED and self.error_code is None:
            raise ValueError("a failed operation needs an error_code")
        if self.actual_deltas and self.status in (ExecutionStatus.FAILED, ExecutionStatus.ROLLED_BACK):
            raise ValueError(f"a {self.status} operation changed nothing: actual_deltas must be empty")
        return self


class TightLoopExecutionEvent(DomainEvent):
    """One pass of execute, apply, reconcile; for a group, ``operation_id`` is the group's id."""

    file_name: ClassVar[str] = "tight_loop.jsonl"

    operation_id: Text
    execution_success: Flag
    reconciliation_success: Flag
    retry_count: Count
    total_duration_ms: NonNegativeNumber
    execution_duration_ms: NonNegativeNumber
    reconciliation_duration_ms: NonNegativeNumber
    max_retries: Count | None = None
    failure_reason: str | None = None
    system_failure_triggered: Flag | None = None


class ExposureSnapshot(DomainEvent):
    """Exposure by asset; ``total_value_usd`` is equity, ``share_class_value`` the same in the share class."""

    file_name: ClassVar[str] = "exposures.jsonl"

    net_delta_usd: Number
    asset_exposures: dict[str, AssetExposure]
    total_value_usd: Number
    share_class_value: Number


class RiskAssessment(DomainEvent):
    """Risk of the book; 999.0 stands for a health factor without debt."""

    file_name: ClassVar[str] = "risk_assessments.jsonl"

    health_factor: NonNegativeNumber
    ltv_ratio: NonNegativeNumber
    liquidation_threshold: NonNegativeNumber
    margin_usage: UnitNumber
    risk_score: UnitNumber
    risk_level: RiskLevel
    breach_detected: Flag
    warnings: Texts | None = None
    breaches: Texts | None = None


class PnLCalculation(DomainEvent):
    """P&L since the start and its parts, in the share class unless the name says usd."""

    file_name: ClassVar[str] = "pnl_calculations.jsonl"

    total_pnl_usd: Number
    total_pnl_share_class: Number
    pnl_attribution: dict[str, Number]
    period_start: InstantText
    period_end: InstantText
    realized_pnl: Number | None = None
    unrealized_pnl: Number | None = None
    unexplained_pnl: Number | None = None
    reconciled: Flag | None = None


class StrategyDecision(DomainEvent):
    """What was decided and why, hold included; the order value is the gross sum in USD."""

    file_name: ClassVar[str] = "strategy_decisions.jsonl"

    strategy_name: Text
    decision_type: DecisionType
    orders_generated: Count
    total_order_value_usd: NonNegativeNumber
    decision_reason: str
    trigger_source: str | None = None
    risk_level: RiskLevel | None = None
    constraints_violated: Texts | None = None
    orders: tuple[Order, ...] | None = None


class AtomicOperationGroupEvent(DomainEvent):
    """An atomic group: all of its operations, or none."""

    file_name: ClassVar[str] = "atomic_groups.jsonl"

    atomic_group_id: Text
    operation_ids: tuple[Text, ...]
    operation_types: tuple[OperationType, ...]
    all_succeeded: Flag
    rollback_occurred: Flag
    total_duration_ms: NonNegativeNumber
    group_status: GroupStatus | None = None
    rollback_reason: str | None = None
    total_gas_fees: NonNegativeNumber | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse lists of unequal length, and success beside a rollback."""
        if len(self.operation_ids) != len(self.operation_types):
            raise ValueError("operation_ids and operation_types must be of one length")
        if self.all_succeeded and self.rollback_occurred:
            raise ValueError("a group cannot both succeed and roll back")
        return self


class ReconciliationEvent(DomainEvent):
    """Expected against actual, after an execution or a look at the venues."""

    file_name: ClassVar[str] = "reconciliation.jsonl"

    reconciliation_type: ReconciliationType
    trigger_source: Text
    reconciliation_success: Flag
    expected_deltas_count: Count
    actual_deltas_count: Count
    reconciliation_duration_ms: NonNegativeNumber
    mismatches: tuple[DeltaMismatch, ...] | None = None
    retry_attempt: Count | None = None


class ExecutionDeltaEvent(DomainEvent):
    """Deltas applied to the positions, by an execution or a settlement; their value is the gross sum in USD."""

    file_name: ClassVar[str] = "execution_deltas.jsonl"

    delta_type: DeltaType
    trigger_source: Text
    deltas_applied: Count
    total_delta_value_usd: NonNegativeNumber
    source_operation_id: Text | None = None
    deltas: tuple[StructuredDelta, ...] | None = None


class HealthStatusEvent(DomainEvent):
    """Health of every component and of the whole; the score is a fraction, 1 is healthy."""

    file_name: ClassVar[str] = "health_status.jsonl"

    overall_status: HealthStatus
    component_statuses: dict[str, HealthStatus]
    health_score: UnitNumber


class SystemErrorEvent(DomainEvent):
    """An error, with its code and stack."""

    file_name: ClassVar[str] = "system_errors.jsonl"

    error_code: ErrorCode
    error_message: str
    component: Text
    severity: Annotated[Severity, Field(description="upper case, as in component logs")]
    stack_trace: str


EVENT_TYPES: Final[tuple[type[DomainEvent], ...]] = tuple(DomainEvent.__subclasses__())
"""The twelve above, in the order of the domain specification."""


def _fields(nested: object) -> dict[str, object]:
    """Fields of a nested message, in declared order."""
    assert isinstance(nested, BaseModel), f"an event cannot hold {type(nested).__name__}"
    return nested.__dict__


def event_line(event: DomainEvent) -> bytes:
    """Encode the event as one line of its file: compact JSON in field order, with the line's end.

    A validated event has finite numbers and plain types only, so its fields go to the encoder as they are.
    """
    return orjson.dumps(event.__dict__, default=_fields, option=orjson.OPT_APPEND_NEWLINE)


def field_json(value: object) -> bytes:
    """Encode the value of one field of an event as it stands in the event's line."""
    return orjson.dumps(value, default=_fields)
