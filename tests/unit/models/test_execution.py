"""The handshake is the only thing a venue can say, and it cannot say anything contradictory.

The cases are those of the user's test plan (success, failure, pending, rolled back, validation errors, zero amounts and
negative fees, simulated against real, position deltas), then the rules of domain 5.3 as a table of refusals, then JSON
there and back as a law.
"""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import ErrorCode, HandshakeInvalidError
from schemas.models import ExecutionHandshake, ExecutionStatus, OperationType, parse_handshake

SUBMITTED_AT = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
BTC, USDT = "binance:BaseToken:BTC", "binance:BaseToken:USDT"
amounts = st.floats(allow_nan=False, allow_infinity=False)


def raw_handshake(**changes: object) -> dict[str, object]:
    """Return a confirmed spot trade of 0.5 BTC, as a venue would report it, with ``changes``."""
    return {
        "operation_id": "spot_001",
        "status": "confirmed",
        "actual_deltas": {BTC: 0.5, USDT: -22_500.0},
        "execution_details": {"executed_price": 45_000.0, "executed_amount": 0.5},
        "fee_amount": 22.5,
        "fee_currency": "USDT",
        "submitted_at": "2025-01-15T10:30:00",
        "executed_at": "2025-01-15T10:30:01",
        "simulated": False,
        **changes,
    }


def failed_handshake(**changes: object) -> dict[str, object]:
    """Return a supply that the venue refused, with ``changes``."""
    facts = {"status": "failed", "actual_deltas": {}, "execution_details": {}, "fee_amount": 0.0, "executed_at": None}
    return raw_handshake(**{**facts, "operation_id": "supply_001", "error_code": "EXEC-001", **changes})


class TestExecutionHandshake:
    """The four outcomes, as the user's scaffold names them."""

    def test_successful_cex_trade(self) -> None:
        handshake = ExecutionHandshake(
            operation_id="spot_001",
            status=ExecutionStatus.CONFIRMED,
            actual_deltas={BTC: 0.5, USDT: -22500.0},
            execution_details={"executed_price": 45000.0, "executed_amount": 0.5},
            fee_amount=22.5,
            fee_currency="USDT",
            submitted_at=SUBMITTED_AT,
            executed_at=SUBMITTED_AT,
            simulated=False,
        )
        assert handshake.was_successful()
        assert not handshake.was_failed()
        assert not handshake.is_pending()
        assert not handshake.was_rolled_back()
        assert handshake.get_total_cost() > 0
        assert handshake.total_fee() == 22.5

    def test_failed_defi_operation(self) -> None:
        handshake = ExecutionHandshake(
            operation_id="supply_001",
            status=ExecutionStatus.FAILED,
            actual_deltas={},
            execution_details={},
            error_code=ErrorCode.EXEC_ORDER_FAILED,
            error_message="Insufficient balance",
            submitted_at=SUBMITTED_AT,
            simulated=True,
        )
        assert handshake.was_failed()
        assert not handshake.was_successful()
        assert handshake.error_code == "EXEC-001"
        assert handshake.executed_at is None

    def test_pending_operation(self) -> None:
        handshake = parse_handshake(raw_handshake(status="pending", actual_deltas={}, executed_at=None, fee_amount=0.0))
        assert handshake.is_pending()
        assert not handshake.was_successful()
        assert not handshake.was_failed()
        assert handshake.get_net_position_change() == {}

    def test_rolled_back_operation(self) -> None:
        handshake = parse_handshake(failed_handshake(status="rolled_back", error_code="EXEC-006"))
        assert handshake.was_rolled_back()
        assert not handshake.was_failed()
        assert not handshake.was_successful()
        assert handshake.get_net_position_change() == {}
        assert handshake.error_code is ErrorCode.EXEC_GROUP_ROLLED_BACK

    def test_a_rolled_back_member_needs_no_code_of_its_own(self) -> None:
        assert parse_handshake(failed_handshake(status="rolled_back", error_code=None)).was_rolled_back()


class TestPositionDeltas:
    """What the positions apply."""

    def test_net_position_change_is_the_actual_deltas_without_the_fee(self) -> None:
        change = parse_handshake(raw_handshake()).get_net_position_change()
        assert change == {BTC: 0.5, USDT: -22_500.0}

    def test_net_position_change_is_a_copy(self) -> None:
        handshake = parse_handshake(raw_handshake())
        handshake.get_net_position_change()[BTC] = 0.0
        assert handshake.actual_deltas[BTC] == 0.5

    def test_old_spellings_of_keys_are_stored_in_the_canonical_one(self) -> None:
        handshake = parse_handshake(raw_handshake(actual_deltas={"binance:Perp:BTC-PERP": -0.5}))
        assert handshake.actual_deltas == {"binance:PerpPosition:BTC-PERP": -0.5}

    def test_integers_become_floats(self) -> None:
        amount = parse_handshake(raw_handshake(actual_deltas={BTC: 1})).actual_deltas[BTC]
        assert isinstance(amount, float)

    def test_zero_deltas_are_a_valid_answer(self) -> None:
        assert parse_handshake(raw_handshake(actual_deltas={BTC: 0.0, USDT: 0.0})).was_successful()

    def test_total_cost_is_notional_plus_fee_where_the_venue_gave_the_notional(self) -> None:
        handshake = parse_handshake(raw_handshake(execution_details={"executed_value": 22_500.0}))
        assert handshake.get_total_cost() == 22_522.5
        assert handshake.total_fee() == 22.5

    def test_without_fee_and_notional_the_cost_is_zero(self) -> None:
        assert parse_handshake(failed_handshake()).get_total_cost() == 0.0


class TestSimulatedAndReal:
    """The same model answers in a backtest and live."""

    @pytest.mark.parametrize("simulated", [True, False])
    def test_the_flag_says_which(self, simulated: bool) -> None:
        assert parse_handshake(raw_handshake(simulated=simulated)).simulated is simulated

    def test_real_is_the_default(self) -> None:
        raw = raw_handshake()
        del raw["simulated"]
        assert not parse_handshake(raw).simulated

    def test_a_naive_instant_is_read_as_utc(self) -> None:
        assert parse_handshake(raw_handshake()).submitted_at == SUBMITTED_AT

    def test_an_instant_with_offset_is_converted_to_utc(self) -> None:
        local = datetime(2025, 1, 15, 12, 30, tzinfo=timezone(timedelta(hours=2)))
        submitted_at = parse_handshake(raw_handshake(submitted_at=local)).submitted_at
        assert (submitted_at, submitted_at.tzinfo) == (SUBMITTED_AT, UTC)


REFUSED = [
    pytest.param(failed_handshake(error_code=None), None, id="failed-without-code"),
    pytest.param(failed_handshake(actual_deltas={BTC: 0.5}), None, id="failed-with-deltas"),
    pytest.param(failed_handshake(status="rolled_back", actual_deltas={BTC: 0.5}), None, id="rolled-back-with-deltas"),
    pytest.param(raw_handshake(error_code="EXEC-001"), None, id="confirmed-with-code"),
    pytest.param(failed_handshake(error_code="EXEC-999"), "error_code", id="code-not-in-registry"),
    pytest.param(raw_handshake(status="done"), "status", id="unknown-status"),
    pytest.param(raw_handshake(fee_amount=-0.01), "fee_amount", id="negative-fee"),
    pytest.param(raw_handshake(fee_amount=float("nan")), "fee_amount", id="fee-not-a-number"),
    pytest.param(raw_handshake(fee_amount="22.5"), "fee_amount", id="fee-as-text"),
    pytest.param(raw_handshake(fee_amount=True), "fee_amount", id="fee-as-bool"),
    pytest.param(raw_handshake(actual_deltas={BTC: float("inf")}), f"actual_deltas.{BTC}", id="infinite-delta"),
    pytest.param(raw_handshake(actual_deltas={BTC: True}), f"actual_deltas.{BTC}", id="delta-as-bool"),
    pytest.param(raw_handshake(actual_deltas={"BTC": 0.5}), "actual_deltas", id="malformed-key"),
    pytest.param(raw_handshake(execution_details={"executed_price": "45000"}), None, id="price-as-text"),
    pytest.param(raw_handshake(execution_details={"gas_used": True}), None, id="gas-as-bool"),
    pytest.param(
        raw_handshake(execution_details={"executed_price": float("nan")}),
        "execution_details.executed_price.float",
        id="price-not-a-number",
    ),
    pytest.param(raw_handshake(operation_id=""), "operation_id", id="empty-id"),
    pytest.param(raw_handshake(submitted_at=None), "submitted_at", id="without-submission"),
    pytest.param(raw_handshake(simulated="yes"), "simulated", id="flag-as-text"),
    pytest.param(raw_handshake(trade_id="7"), "trade_id", id="unknown-field"),
]


class TestValidationErrors:
    """Contradictions and non-numbers are EXEC-008, naming the field."""

    @pytest.mark.parametrize(("raw", "field"), REFUSED)
    def test_invalid_answers_are_refused_with_the_field(self, raw: dict[str, object], field: str | None) -> None:
        with pytest.raises(HandshakeInvalidError) as caught:
            parse_handshake(raw)
        assert caught.value.code == "EXEC-008"
        assert caught.value.context.get("field") == field
        assert "\n" not in caught.value.one_line()

    def test_the_error_names_the_operation(self) -> None:
        with pytest.raises(HandshakeInvalidError) as caught:
            parse_handshake(raw_handshake(fee_amount=-1.0))
        assert caught.value.context["operation_id"] == "spot_001"

    def test_text_that_is_not_json_is_refused(self) -> None:
        with pytest.raises(HandshakeInvalidError):
            parse_handshake("<html>502 Bad Gateway</html>")

    def test_a_handshake_cannot_be_changed(self) -> None:
        handshake = parse_handshake(raw_handshake())
        with pytest.raises(ValidationError):
            handshake.fee_amount = 0.0  # type: ignore[misc]  # what is tested


class TestJson:
    """JSON there and back."""

    @given(base=amounts, quote=amounts, fee=st.floats(min_value=0, allow_nan=False, allow_infinity=False))
    def test_json_there_and_back_is_the_identity(self, base: float, quote: float, fee: float) -> None:
        handshake = parse_handshake(raw_handshake(actual_deltas={BTC: base, USDT: quote}, fee_amount=fee))
        assert parse_handshake(handshake.model_dump_json()) == handshake

    def test_enumerations_are_lower_case_text(self) -> None:
        assert '"status":"confirmed"' in parse_handshake(raw_handshake()).model_dump_json()

    @pytest.mark.parametrize("operation", list(OperationType))
    def test_operation_types_are_their_lower_case_names(self, operation: OperationType) -> None:
        assert operation.value == operation.name.lower()
