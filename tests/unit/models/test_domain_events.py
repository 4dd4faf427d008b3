"""The twelve events: the guide's examples parse as written, and every line we write parses back into its event.

Three parts. The examples of the logging guide, byte for byte as the user wrote them (without ``order``), each into its
model. The refusals: an event that contradicts itself or holds a non-number cannot exist. The line: fixed field order,
compact, no NaN, and equal to what Pydantic would have written.
"""

import json
from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.models import (
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

ENVELOPE_FIELDS = ["timestamp", "real_utc_time", "correlation_id", "pid", "order", "metadata"]
ENVELOPE = """
  "timestamp": "2025-01-15T10:30:00",
  "real_utc_time": "2025-01-15T10:30:00.123456",
  "correlation_id": "abc123",
  "pid": 12345,
"""
PAYLOADS: dict[type[DomainEvent], str] = {
    PositionSnapshot: """
  "positions": {
    "aave:aToken:aUSDT": 10000.0,
    "wallet:BaseToken:USDT": 5000.0
  },
  "total_value_usd": 15000.0,
  "position_type": "simulated",
  "trigger_source": "execution_manager",
  "metadata": {}
""",
    OperationExecutionEvent: """
  "operation_id": "supply_001",
  "operation_type": "supply",
  "venue": "aave_v3",
  "source_token": "USDT",
  "target_token": "aUSDT",
  "status": "confirmed",
  "expected_deltas": [
    {
      "position_key": "aave:aToken:aUSDT",
      "delta_amount": 10000.0,
      "token": "aUSDT",
      "venue": "aave_v3",
      "operation_type": "supply"
    }
  ],
  "actual_deltas": {
    "aave:aToken:aUSDT": 10000.0,
    "wallet:BaseToken:USDT": -10000.0
  },
  "fee_amount": 0.0,
  "fee_currency": "USDT",
  "execution_duration_ms": 125.5,
  "simulated": true,
  "error_code": null,
  "error_message": null
""",
    TightLoopExecutionEvent: """
  "operation_id": "supply_001",
  "execution_success": true,
  "reconciliation_success": true,
  "retry_count": 0,
  "total_duration_ms": 150.5,
  "execution_duration_ms": 125.5,
  "reconciliation_duration_ms": 25.0
""",
    ExposureSnapshot: """
  "net_delta_usd": 0.0,
  "asset_exposures": {
    "USDT": {"quantity": 10000.0, "usd_value": 10000.0, "percentage": 0.67},
    "ETH": {"quantity": 2.0, "usd_value": 5000.0, "percentage": 0.33}
  },
  "total_value_usd": 15000.0,
  "share_class_value": 15000.0,
  "metadata": {}
""",
    RiskAssessment: """
  "health_factor": 1.85,
  "ltv_ratio": 0.65,
  "liquidation_threshold": 0.80,
  "margin_usage": 0.45,
  "risk_score": 0.25,
  "risk_level": "low",
  "breach_detected": false,
  "metadata": {}
""",
    PnLCalculation: """
  "total_pnl_usd": 150.25,
  "total_pnl_share_class": 150.25,
  "pnl_attribution": {
    "supply_yield": 45.50,
    "transaction_costs": -2.25,
    "funding_pnl": 0.0
  },
  "period_start": "2025-01-15T09:30:00",
  "period_end": "2025-01-15T10:30:00",
  "metadata": {}
""",
    StrategyDecision: """
  "strategy_name": "pure_lending_usdt",
  "decision_type": "rebalance",
  "orders_generated": 2,
  "total_order_value_usd": 10000.0,
  "decision_reason": "position_deviation_threshold_exceeded",
  "metadata": {}
""",
    AtomicOperationGroupEvent: """
  "atomic_group_id": "group_001",
  "operation_ids": ["supply_001", "borrow_001"],
  "operation_types": ["supply", "borrow"],
  "all_succeeded": true,
  "rollback_occurred": false,
  "total_duration_ms": 250.5
""",
    ReconciliationEvent: """
  "reconciliation_type": "execution_deltas",
  "trigger_source": "execution_manager",
  "reconciliation_success": true,
  "expected_deltas_count": 2,
  "actual_deltas_count": 2,
  "reconciliation_duration_ms": 25.5,
  "metadata": {}
""",
    ExecutionDeltaEvent: """
  "delta_type": "execution_deltas",
  "trigger_source": "execution_manager",
  "deltas_applied": 2,
  "total_delta_value_usd": 10000.0,
  "metadata": {}
""",
    HealthStatusEvent: """
  "overall_status": "healthy",
  "component_statuses": {
    "PositionMonitor": "healthy",
    "ExecutionManager": "healthy"
  },
  "health_score": 0.95,
  "metadata": {}
""",
    SystemErrorEvent: """
  "error_code": "EXEC-001",
  "error_message": "Order execution failed",
  "component": "ExecutionManager",
  "severity": "HIGH",
  "stack_trace": "Traceback (most recent call last)...",
  "metadata": {}
""",
}
FILE_NAMES = [
    "positions.jsonl",
    "operation_executions.jsonl",
    "tight_loop.jsonl",
    "exposures.jsonl",
    "risk_assessments.jsonl",
    "pnl_calculations.jsonl",
    "strategy_decisions.jsonl",
    "atomic_groups.jsonl",
    "reconciliation.jsonl",
    "execution_deltas.jsonl",
    "health_status.jsonl",
    "system_errors.jsonl",
]
every_event = pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.__name__)


def example(event_type: type[DomainEvent]) -> str:
    """Return the guide's JSON of an event."""
    return "{" + ENVELOPE + PAYLOADS[event_type] + "}"


def changed(event_type: type[DomainEvent], **changes: object) -> DomainEvent:
    """Build the guide's event with ``changes``, validated."""
    return event_type.model_validate({**json.loads(example(event_type)), **changes})


class TestGuideExamples:
    """What the user wrote parses."""

    def test_the_twelve_are_in_the_order_of_the_specification(self) -> None:
        assert [event_type.file_name for event_type in EVENT_TYPES] == FILE_NAMES
        assert set(EVENT_TYPES) == set(PAYLOADS)

    @every_event
    def test_the_example_parses_and_keeps_its_values(self, event_type: type[DomainEvent]) -> None:
        event = event_type.model_validate_json(example(event_type))
        written = json.loads(event_line(event))
        assert {name: written[name] for name in json.loads(example(event_type))} == json.loads(example(event_type))
        assert event.order is None

    @every_event
    def test_what_the_example_leaves_out_is_null_or_empty(self, event_type: type[DomainEvent]) -> None:
        given = json.loads(example(event_type))
        written = json.loads(event_line(event_type.model_validate(given)))
        assert {name: value for name, value in written.items() if name not in given and value} == {}


class TestPositionSnapshot:
    """The scaffold's case, without trigger_source."""

    def test_valid_snapshot(self) -> None:
        snapshot = PositionSnapshot.model_validate(
            {
                "timestamp": "2025-01-15T10:30:00",
                "real_utc_time": "2025-01-15T10:30:00.123456",
                "correlation_id": "abc123",
                "pid": 12345,
                "positions": {"aave:aToken:aUSDT": 10000.0},
                "total_value_usd": 10000.0,
                "position_type": "simulated",
            }
        )
        assert snapshot.correlation_id == "abc123"
        assert snapshot.pid == 12345
        assert len(snapshot.positions) == 1

    def test_a_short_perpetual_and_a_margin_loan_may_be_negative(self) -> None:
        positions = {"okx:PerpPosition:ETH-PERP": -2.0, "okx:BaseToken:USDT": -10.0}
        assert changed(PositionSnapshot, positions=positions).model_dump()["positions"] == positions

    def test_an_empty_book_is_a_snapshot(self) -> None:
        assert changed(PositionSnapshot, positions={}, total_value_usd=0)


class TestOperationExecutionEvent:
    """Success, failure, and the richer shape."""

    def test_successful_execution(self) -> None:
        delta = {"position_key": "aave:aToken:aUSDT", "delta_amount": 10000.0, "source": "supply", "price": 1.0}
        event = OperationExecutionEvent.model_validate(
            {
                **json.loads(example(OperationExecutionEvent)),
                "source_venue": "wallet",
                "target_venue": "aave_v3",
                "operation_details": {"aave_supply_index": 0.93746},
                "position_deltas": [{**delta, "operation_type": "supply", "fee": 0.0}],
                "executed_amount": 10000.0,
                "submitted_at": "2025-01-15T10:30:00",
                "executed_at": "2025-01-15T10:30:00",
                "venue_metadata": {"tx_hash": "0x1"},
            }
        )
        written = json.loads(event_line(event))
        assert written["position_deltas"][0] == {
            "position_key": "aave:aToken:aUSDT",
            "delta_amount": 10000.0,
            "token": "aUSDT",
            "venue": "aave_v3",
            "operation_type": "supply",
            "source": "supply",
            "price": 1.0,
            "fee": 0.0,
        }

    def test_failed_execution(self) -> None:
        event = changed(OperationExecutionEvent, status="failed", actual_deltas={}, error_code="EXEC-001")
        written = json.loads(event_line(event))
        assert (written["status"], written["error_code"], written["actual_deltas"]) == ("failed", "EXEC-001", {})

    def test_rolled_back_execution(self) -> None:
        group = {"atomic_group_id": "group_001", "sequence_in_group": 0}
        assert changed(OperationExecutionEvent, status="rolled_back", actual_deltas={}, **group)


class TestRicherShapes:
    """Optional fields of the other events."""

    def test_a_decision_carries_its_orders(self) -> None:
        order = {
            "operation_id": "transfer_001",
            "operation": "transfer",
            "venue": "wallet",
            "amount": 1.0,
            "source_venue": "wallet",
            "target_venue": "okx",
            "source_token": "USDT",
            "target_token": "USDT",
            "expected_deltas": {"wallet:BaseToken:USDT": -1.0, "okx:BaseToken:USDT": 1.0},
        }
        event = changed(StrategyDecision, orders=[order], risk_level="low", constraints_violated=[])
        line = event_line(event)
        assert json.loads(line)["orders"][0]["expected_deltas"][1]["venue"] == "okx"
        assert StrategyDecision.model_validate_json(line) == event

    def test_a_settlement_delta_has_a_source_but_no_operation(self) -> None:
        delta = {"position_key": "okx:BaseToken:USDT", "delta_amount": 0.6, "source": "funding"}
        event = changed(ExecutionDeltaEvent, delta_type="funding", deltas=[delta], deltas_applied=1)
        assert json.loads(event_line(event))["deltas"][0]["operation_type"] is None

    def test_a_mismatch_names_the_key(self) -> None:
        mismatch = {"position_key": "okx:BaseToken:USDT", "expected": 1.0, "actual": 0.9, "diff": -0.1}
        event = changed(ReconciliationEvent, reconciliation_success=False, mismatches=[mismatch], retry_attempt=1)
        assert json.loads(event_line(event))["mismatches"] == [mismatch]

    def test_a_rolled_back_group_says_why(self) -> None:
        facts = {"group_status": "rolled_back", "rollback_reason": "EXEC-001", "total_gas_fees": 0.0}
        assert changed(AtomicOperationGroupEvent, all_succeeded=False, rollback_occurred=True, **facts)

    def test_a_breach_is_listed(self) -> None:
        event = changed(RiskAssessment, breach_detected=True, risk_level="critical", breaches=["ltv_risk"])
        assert json.loads(event_line(event))["breaches"] == ["ltv_risk"]


NAN, INF = float("nan"), float("inf")
REFUSED = [
    pytest.param(PositionSnapshot, {"positions": {"aUSDT": 1.0}}, id="malformed-key"),
    pytest.param(PositionSnapshot, {"positions": {"aave:aToken:aUSDT": NAN}}, id="position-not-a-number"),
    pytest.param(PositionSnapshot, {"position_type": "guessed"}, id="unknown-position-source"),
    pytest.param(PositionSnapshot, {"pid": -1}, id="negative-pid"),
    pytest.param(PositionSnapshot, {"pid": True}, id="pid-as-bool"),
    pytest.param(PositionSnapshot, {"order": -1}, id="negative-order"),
    pytest.param(PositionSnapshot, {"timestamp": "yesterday"}, id="timestamp-not-iso"),
    pytest.param(PositionSnapshot, {"correlation_id": ""}, id="empty-correlation-id"),
    pytest.param(PositionSnapshot, {"metadata": {"deep": {"er": [NAN]}}}, id="nan-deep-in-metadata"),
    pytest.param(PositionSnapshot, {"colour": "red"}, id="unknown-field"),
    pytest.param(OperationExecutionEvent, {"status": "failed", "actual_deltas": {}}, id="failure-without-code"),
    pytest.param(
        OperationExecutionEvent, {"status": "failed", "error_code": "EXEC-001"}, id="failure-that-moved-balances"
    ),
    pytest.param(OperationExecutionEvent, {"error_code": "EXEC-999"}, id="code-not-in-registry"),
    pytest.param(OperationExecutionEvent, {"operation_type": "SUPPLY"}, id="operation-in-upper-case"),
    pytest.param(OperationExecutionEvent, {"fee_amount": -1.0}, id="negative-fee"),
    pytest.param(OperationExecutionEvent, {"simulated": "yes"}, id="flag-as-text"),
    pytest.param(TightLoopExecutionEvent, {"retry_count": 1.5}, id="half-a-retry"),
    pytest.param(TightLoopExecutionEvent, {"total_duration_ms": -1.0}, id="negative-duration"),
    pytest.param(ExposureSnapshot, {"net_delta_usd": INF}, id="infinite-delta"),
    pytest.param(ExposureSnapshot, {"asset_exposures": {"ETH": {"quantity": 1.0}}}, id="exposure-without-value"),
    pytest.param(
        ExposureSnapshot,
        {"asset_exposures": {"ETH": {"quantity": 1.0, "usd_value": 1.0, "percentage": 67.0}}},
        id="share-in-per-cent",
    ),
    pytest.param(RiskAssessment, {"health_factor": INF}, id="infinite-health-factor"),
    pytest.param(RiskAssessment, {"risk_score": 1.5}, id="score-above-one"),
    pytest.param(RiskAssessment, {"risk_level": "LOW"}, id="level-in-upper-case"),
    pytest.param(PnLCalculation, {"pnl_attribution": {"funding_pnl": None}}, id="attribution-without-amount"),
    pytest.param(PnLCalculation, {"total_pnl_usd": "150"}, id="pnl-as-text"),
    pytest.param(StrategyDecision, {"decision_type": "wait"}, id="unknown-decision"),
    pytest.param(StrategyDecision, {"total_order_value_usd": -1.0}, id="negative-order-value"),
    pytest.param(AtomicOperationGroupEvent, {"operation_types": ["supply"]}, id="lists-of-two-lengths"),
    pytest.param(AtomicOperationGroupEvent, {"rollback_occurred": True}, id="succeeded-and-rolled-back"),
    pytest.param(ReconciliationEvent, {"expected_deltas_count": -1}, id="negative-count"),
    pytest.param(ExecutionDeltaEvent, {"delta_type": "gift"}, id="unknown-delta-type"),
    pytest.param(HealthStatusEvent, {"component_statuses": {"PnLMonitor": "fine"}}, id="unknown-health"),
    pytest.param(HealthStatusEvent, {"health_score": 95}, id="score-in-per-cent"),
    pytest.param(SystemErrorEvent, {"severity": "high"}, id="severity-in-lower-case"),
    pytest.param(SystemErrorEvent, {"error_code": None}, id="error-without-code"),
]


class TestValidationErrors:
    """An event that contradicts itself cannot exist."""

    @pytest.mark.parametrize(("event_type", "changes"), REFUSED)
    def test_invalid_events_are_refused(self, event_type: type[DomainEvent], changes: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            changed(event_type, **changes)

    @every_event
    def test_every_field_of_the_example_is_required_or_has_a_null_default(self, event_type: type[DomainEvent]) -> None:
        fields = event_type.model_fields
        for name in json.loads(example(event_type)):
            raw = {**json.loads(example(event_type))}
            del raw[name]
            if fields[name].is_required():
                with pytest.raises(ValidationError):
                    event_type.model_validate(raw)
            else:
                assert event_type.model_validate(raw)

    @every_event
    def test_an_event_cannot_be_changed(self, event_type: type[DomainEvent]) -> None:
        event = event_type.model_validate_json(example(event_type))
        with pytest.raises(ValidationError):
            event.pid = 1  # type: ignore[misc]  # what is tested


class TestTimestamps:
    """Written without offset, read with or without."""

    @pytest.mark.parametrize("text", ["2025-01-15T10:30:00Z", "2025-01-15T10:30:00+00:00", "2025-01-15T12:30:00+02:00"])
    def test_an_offset_is_converted_to_utc_and_dropped(self, text: str) -> None:
        assert changed(PositionSnapshot, timestamp=text).timestamp == "2025-01-15T10:30:00"

    @given(instant=st.datetimes())
    def test_text_without_offset_is_kept_as_it_is(self, instant: datetime) -> None:
        assert changed(PositionSnapshot, timestamp=instant.isoformat()).timestamp == instant.isoformat()


class TestLine:
    """What is written to disk."""

    @every_event
    def test_line_and_model_are_one(self, event_type: type[DomainEvent]) -> None:
        event = changed(event_type, order=7, metadata={"note": "x"})
        assert event_type.model_validate_json(event_line(event)) == event

    @every_event
    def test_line_is_what_the_model_dumps(self, event_type: type[DomainEvent]) -> None:
        event = changed(event_type, order=7)
        assert event_line(event) == orjson.dumps(event.model_dump(mode="json")) + b"\n"

    @every_event
    def test_line_is_compact_and_one_line(self, event_type: type[DomainEvent]) -> None:
        line = event_line(changed(event_type, metadata={"text": "two\nlines"}))
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        assert line.startswith(b'{"timestamp":"2025-01-15T10:30:00","real_utc_time":')

    @every_event
    def test_fields_are_the_envelope_then_the_payload_as_declared(self, event_type: type[DomainEvent]) -> None:
        fields = list(json.loads(event_line(changed(event_type))))
        assert fields == list(event_type.model_fields)
        assert fields[: len(ENVELOPE_FIELDS)] == ENVELOPE_FIELDS

    @pytest.mark.parametrize(
        ("event_type", "pattern"),
        [
            pytest.param(OperationExecutionEvent, b'"operation_type":"supply"', id="supply-operations"),
            pytest.param(SystemErrorEvent, b'"severity":"HIGH"', id="severity-in-upper-case"),
            pytest.param(RiskAssessment, b'"risk_level":"low"', id="risk-level-in-lower-case"),
            pytest.param(HealthStatusEvent, b'"ExecutionManager":"healthy"', id="component-health"),
        ],
    )
    def test_the_patterns_of_the_guide_match(self, event_type: type[DomainEvent], pattern: bytes) -> None:
        assert pattern in event_line(changed(event_type))

    @given(
        value=st.floats(allow_nan=False, allow_infinity=False),
        positions=st.dictionaries(
            st.sampled_from(["wallet:BaseToken:USDT", "okx:PerpPosition:ETH-PERP"]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
    )
    def test_numbers_survive_to_the_last_bit(self, value: float, positions: dict[str, float]) -> None:
        event = changed(PositionSnapshot, total_value_usd=value, positions=positions)
        assert PositionSnapshot.model_validate_json(event_line(event)) == event
