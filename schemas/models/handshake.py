"""The venue's answer to an order (domain specification, 5.3).

Actual deltas are gross, at the executed price; the fee is apart in ``fee_amount`` and becomes a delta of its own (5.4).
"""

from typing import Final, Self, TypeGuard

from pydantic import Field, ValidationError, model_validator

from schemas.errors import ErrorCode, HandshakeInvalidError
from schemas.models.message import (
    Amounts,
    Details,
    Flag,
    Message,
    NonNegativeNumber,
    RawMessage,
    Text,
    UtcInstant,
    describe_faults,
    validate_raw,
)
from schemas.operations import ExecutionStatus

_NUMERIC_DETAILS: Final = ("executed_price", "executed_amount", "executed_value", "gas_used", "slippage_bps")


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether a detail is a number; a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class ExecutionHandshake(Message):
    """What a venue says happened.

    ``actual_deltas`` are in the units of their keys, > 0 where a balance grew, and empty where nothing happened.
    ``executed_value`` of ``execution_details`` is the notional in the quote asset; ``fee_amount`` >= 0 is paid in
    ``fee_currency``. Naive instants are read as UTC. In a backtest both instants are the engine's clock.
    """

    operation_id: Text
    status: ExecutionStatus
    actual_deltas: Amounts = Field(default_factory=dict)
    execution_details: Details = Field(default_factory=dict)
    fee_amount: NonNegativeNumber = 0.0
    fee_currency: Text = "USDT"
    error_code: ErrorCode | None = None
    error_message: str | None = None
    submitted_at: UtcInstant
    executed_at: UtcInstant | None = None
    venue_metadata: Details = Field(default_factory=dict)
    simulated: Flag = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Check the rules across fields."""
        if self.status is ExecutionStatus.FAILED and self.error_code is None:
            raise ValueError("a failed handshake needs an error_code")
        if self.status is ExecutionStatus.CONFIRMED and self.error_code is not None:
            raise ValueError(f"a confirmed handshake cannot carry error_code {self.error_code}")
        if self.actual_deltas and self.status in (ExecutionStatus.FAILED, ExecutionStatus.ROLLED_BACK):
            raise ValueError(f"a {self.status} handshake changed nothing: actual_deltas must be empty")
        for name in _NUMERIC_DETAILS:
            value = self.execution_details.get(name)
            if value is not None and not _is_number(value):
                raise ValueError(f"execution_details.{name} must be a number, not {value!r}")
        return self

    def was_successful(self) -> bool:
        """Whether the venue confirmed the order, in full or in part."""
        return self.status is ExecutionStatus.CONFIRMED

    def was_failed(self) -> bool:
        """Whether the order failed at the venue."""
        return self.status is ExecutionStatus.FAILED

    def is_pending(self) -> bool:
        """Whether the outcome is still open."""
        return self.status is ExecutionStatus.PENDING

    def was_rolled_back(self) -> bool:
        """Whether the order left no trace because its atomic group failed."""
        return self.status is ExecutionStatus.ROLLED_BACK

    def executed_amount(self, ordered: float) -> float:
        """Amount that was done; all that was ordered where the venue says no other."""
        amount = self.execution_details.get("executed_amount")
        return float(amount) if _is_number(amount) else ordered

    @property
    def traded_at(self) -> float | None:
        """Price at which a trade was done, quote per base; None for anything that is no trade."""
        price = self.execution_details.get("executed_price")
        return float(price) if _is_number(price) else None

    @property
    def executed_price(self) -> float:
        """Price of a trade, quote per base; HandshakeInvalidError (EXEC-008) where the venue says none."""
        price = self.traded_at
        if price is None:
            raise HandshakeInvalidError(
                "a confirmed trade gives no executed_price", operation_id=self.operation_id, field="executed_price"
            )
        return price

    @property
    def mid_price(self) -> float:
        """Price of a trade without slippage: that of the instant, at which what the trade yields is converted."""
        mid = self.execution_details.get("mid_price")
        return float(mid) if _is_number(mid) else self.executed_price

    def get_net_position_change(self) -> dict[str, float]:
        """Return a copy of the actual deltas, without the fee."""
        return dict(self.actual_deltas)

    def total_fee(self) -> float:
        """Return the fee alone, in ``fee_currency``, >= 0."""
        return self.fee_amount

    def get_total_cost(self) -> float:
        """Return executed notional (0 where the venue gave none) plus fee; :meth:`total_fee` is the cost alone."""
        value = self.execution_details.get("executed_value")
        return (float(value) if _is_number(value) else 0.0) + self.fee_amount


def parse_handshake(raw: RawMessage) -> ExecutionHandshake:
    """Read the handshake that a venue's answer spells.

    Raises :class:`HandshakeInvalidError` (EXEC-008), naming the operation and every faulty field: the order may have
    been filled all the same.
    """
    try:
        return validate_raw(ExecutionHandshake, raw)
    except ValidationError as error:
        message, context = describe_faults("handshake", raw, error)
        raise HandshakeInvalidError(message, **context) from error
