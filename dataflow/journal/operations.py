"""From an operation to the fields of its events."""

from dataflow.journal.balances import structured_deltas
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import DeltaType


def operation_fields(order: Order, handshake: ExecutionHandshake, seconds: float) -> dict[str, object]:
    """Fields of the OperationExecutionEvent of one attempted operation."""
    executed = handshake.execution_details.get("executed_amount")
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
        "operation_details": {
            **order.operation_details,
            **handshake.execution_details,
            **({"ordered_amount": order.amount} if executed not in (None, order.amount) else {}),
        },
        "position_deltas": structured_deltas(
            tuple(handshake.actual_deltas.items()),
            DeltaType.EXECUTION_DELTAS,
            order.operation,
            handshake.traded_at,
            (handshake.fee_amount, handshake.fee_currency),
        ),
        "executed_amount": float(executed) if isinstance(executed, int | float) else None,
        "atomic_group_id": order.atomic_group_id,
        "sequence_in_group": order.sequence_in_group,
        "submitted_at": handshake.submitted_at.replace(tzinfo=None).isoformat(),
        "executed_at": handshake.executed_at.replace(tzinfo=None).isoformat() if handshake.executed_at else None,
        "venue_metadata": handshake.venue_metadata,
    }
