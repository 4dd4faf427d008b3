"""The execute stages in bulk: deltas, handshakes and reconciliations of a chunk, before anything is written."""

import pandera.pandas as pa
from pandera.typing import Series

from schemas.frames.fields import PRICE_MAX, UNITS_MAX, USD_MAX
from schemas.operations import ExecutionStatus, OperationType

_OPERATIONS = [operation.value for operation in OperationType]
_STATUSES = [status.value for status in ExecutionStatus]


class ExecutionFrame(pa.DataFrameModel):
    """Base of the three: no column that is not declared, no conversion."""

    class Config:
        """Pandera's settings."""

        strict = True
        coerce = False


class DeltasFrame(ExecutionFrame):
    """One expected change of one balance. A fault is STRAT-002."""

    operation_id: Series[str] = pa.Field(str_length={"min_value": 1}, metadata={"unit": "identifier"})
    operation_type: Series[str] = pa.Field(isin=_OPERATIONS, metadata={"unit": "name"})
    position_key: Series[str] = pa.Field(str_matches=r"^\w+:\w+:[\w-]+$", metadata={"unit": "position_key"})
    delta_amount: Series[float] = pa.Field(ge=-UNITS_MAX, le=UNITS_MAX, metadata={"unit": "unit of the key"})


class HandshakesFrame(ExecutionFrame):
    """One answer of a venue. A fault is EXEC-008."""

    operation_id: Series[str] = pa.Field(str_length={"min_value": 1}, metadata={"unit": "identifier"})
    status: Series[str] = pa.Field(isin=_STATUSES, metadata={"unit": "name"})
    fee_amount: Series[float] = pa.Field(ge=0.0, le=USD_MAX, metadata={"unit": "fee currency"})
    executed_price: Series[float] = pa.Field(
        ge=0.0, le=PRICE_MAX, nullable=True, metadata={"unit": "quote_per_base; null where nothing was traded"}
    )
    deltas: Series[int] = pa.Field(ge=0, metadata={"unit": "count"})


class ReconciliationsFrame(ExecutionFrame):
    """One comparison of expected and actual changes. A fault is EXEC-007."""

    expected_deltas: Series[int] = pa.Field(ge=0, metadata={"unit": "count"})
    actual_deltas: Series[int] = pa.Field(ge=0, metadata={"unit": "count"})
    mismatches: Series[int] = pa.Field(ge=0, metadata={"unit": "count"})
    success: Series[bool] = pa.Field(metadata={"unit": "flag"})
