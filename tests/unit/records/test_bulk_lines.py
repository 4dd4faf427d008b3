"""Bulk lines are the model's lines: for every event class written from columns, byte for byte, on any values.

The law is stated once, by Hypothesis, over random batches of each class; the examples after it claim what is refused
and that the shortcut for constant columns tells -0.0 from 0.0.
"""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dataflow.records.log.bulk_lines import Batch, BulkEncoder, Counts, FieldValue
from dataflow.records.log.event_csv import event_row
from schemas.errors import LogSerialisationError
from schemas.models.events import (
    DomainEvent,
    ExecutionDeltaEvent,
    ExposureSnapshot,
    HealthStatusEvent,
    PnLCalculation,
    PositionSnapshot,
    ReconciliationEvent,
    RiskAssessment,
    StrategyDecision,
    event_line,
)
from schemas.operations import RiskLevel
from schemas.units import Column, Instants

REAL_UTC_TIME = "2025-01-15T10:30:00.123456"


def start(rows: int) -> Instants:
    return np.datetime64("2024-05-12T00:00:00", "s") + 3_600 * np.arange(rows)


def column(rows: int, low: float | None = None, high: float | None = None) -> st.SearchStrategy[Column]:
    """Any finite column, half of them constant, as in a quiet window."""
    number = st.floats(low, high, allow_nan=False, allow_infinity=False)
    varied = hnp.arrays(np.float64, rows, elements=number)
    return st.one_of(varied, number.map(lambda value: np.full(rows, value)))


def texts(rows: int, *choices: str) -> st.SearchStrategy[tuple[str, ...]]:
    text = st.sampled_from(choices) if choices else st.text(min_size=1)
    return st.lists(text, min_size=rows, max_size=rows).map(tuple)


def batch(event_class: type[DomainEvent], rows: int) -> st.SearchStrategy[dict[str, FieldValue]]:
    """Draw the fields of a batch of one class, as the engine gives them."""
    any_column, positive, unit = column(rows), column(rows, 0.0), column(rows, 0.0, 1.0)
    flags = hnp.arrays(np.bool_, rows)
    fields: dict[type[DomainEvent], dict[str, st.SearchStrategy[FieldValue]]] = {
        PositionSnapshot: {
            "positions": st.fixed_dictionaries({"wallet:BaseToken:USDT": any_column, "aave:aToken:aUSDT": any_column}),
            "total_value_usd": any_column,
            "position_type": st.just("simulated"),
            "trigger_source": st.one_of(st.none(), st.text(), texts(rows)),
            "metadata": st.fixed_dictionaries({"100 %": any_column, 'q"': st.just([1, 2.5, "x", None, {"%b": True}])}),
        },
        ExposureSnapshot: {
            "net_delta_usd": any_column,
            "asset_exposures": st.fixed_dictionaries(
                {
                    asset: st.builds(dict, quantity=any_column, usd_value=any_column, percentage=unit)
                    for asset in ("BTC", "USDT")
                }
            ),
            "total_value_usd": any_column,
            "share_class_value": any_column,
        },
        RiskAssessment: {
            "health_factor": st.one_of(st.just(999.0), positive),
            "ltv_ratio": positive,
            "liquidation_threshold": positive,
            "margin_usage": unit,
            "risk_score": unit,
            "risk_level": st.one_of(texts(rows, *RiskLevel), st.just(RiskLevel.LOW)),
            "breach_detected": flags,
            "warnings": st.one_of(st.none(), st.just([]), st.just(["near the limit"])),
        },
        PnLCalculation: {
            "total_pnl_usd": any_column,
            "total_pnl_share_class": any_column,
            "pnl_attribution": st.fixed_dictionaries({"funding_pnl": any_column, "transaction_costs": any_column}),
            "period_start": st.just(start(rows)),
            "period_end": st.just("2024-06-12T00:00:00"),
            "unexplained_pnl": any_column,
            "reconciled": st.one_of(flags, st.booleans()),
        },
        StrategyDecision: {
            "strategy_name": st.just("btc_basis"),
            "decision_type": st.just("hold"),
            "orders_generated": st.just(0),
            "total_order_value_usd": st.just(0.0),
            "decision_reason": st.one_of(texts(rows), st.text()),
            "risk_level": st.one_of(st.none(), texts(rows, *RiskLevel)),
            "orders": st.just([]),
        },
        ExecutionDeltaEvent: {
            "delta_type": st.just("funding"),
            "trigger_source": st.just("position_update_handler"),
            "deltas_applied": hnp.arrays(np.int64, rows, elements=st.integers(0, 2**53)),
            "total_delta_value_usd": positive,
            "deltas": st.tuples(any_column).map(
                lambda drawn: [
                    {
                        "position_key": "binance:BaseToken:USDT",
                        "delta_amount": drawn[0],
                        "token": "USDT",
                        "venue": "binance",
                        "operation_type": None,
                        "source": "funding",
                        "price": None,
                        "fee": 0.0,
                    }
                ]
            ),
        },
        ReconciliationEvent: {
            "reconciliation_type": st.just("execution_deltas"),
            "trigger_source": texts(rows),
            "reconciliation_success": flags,
            "expected_deltas_count": st.just(2),
            "actual_deltas_count": st.just(2),
            "reconciliation_duration_ms": positive,
        },
        HealthStatusEvent: {
            "overall_status": st.just("healthy"),
            "component_statuses": st.just({"PositionMonitor": "healthy"}),
            "health_score": unit,
        },
    }
    return st.fixed_dictionaries(fields[event_class])


def value_at(value: FieldValue, row: int) -> object:
    """Return what a field value says of one row, in plain Python: the meaning that ``FieldValue`` documents."""
    if isinstance(value, np.ndarray):
        return str(value[row]) if value.dtype.kind == "M" else value[row].item()
    if isinstance(value, tuple):
        return value[row]
    if isinstance(value, Mapping):
        return {key: value_at(member, row) for key, member in value.items()}
    if isinstance(value, list):
        return [value_at(member, row) for member in value]
    return value


def encode(event_class: type[DomainEvent], order: Counts, fields: Mapping[str, FieldValue]) -> list[bytes]:
    return encode_both(event_class, order, fields).lines


def encode_both(event_class: type[DomainEvent], order: Counts, fields: Mapping[str, FieldValue]) -> Batch:
    return BulkEncoder("run1", 7).encode(
        event_class,
        order=order,
        timestamps=start(len(order)),
        real_utc_time=REAL_UTC_TIME,
        fields=fields,
        with_table=True,
    )


def decisions(rows: int) -> dict[str, FieldValue]:
    return {
        "strategy_name": "btc_basis",
        "decision_type": "hold",
        "orders_generated": 0,
        "total_order_value_usd": np.zeros(rows),
        "decision_reason": "no_trigger",
    }


@pytest.mark.parametrize(
    "event_class",
    [
        PositionSnapshot,
        ExposureSnapshot,
        RiskAssessment,
        PnLCalculation,
        StrategyDecision,
        ExecutionDeltaEvent,
        ReconciliationEvent,
        HealthStatusEvent,
    ],
    ids=lambda event_class: event_class.__name__,
)
@given(data=st.data())
def test_bulk_lines_and_rows_are_those_of_the_model(event_class: type[DomainEvent], data: st.DataObject) -> None:
    rows = data.draw(st.sampled_from([1, 2, 9]), label="rows")
    fields = data.draw(batch(event_class, rows), label="fields")
    order = 5 * np.arange(rows) + data.draw(st.integers(0, 2**40), label="first order")

    lines, table_rows = encode_both(event_class, order, fields)

    for row, (line, table_row) in enumerate(zip(lines, table_rows, strict=True)):
        event = event_class.model_validate(
            {
                "timestamp": str(start(rows)[row]),
                "real_utc_time": REAL_UTC_TIME,
                "correlation_id": "run1",
                "pid": 7,
                "order": int(order[row]),
                **{name: value_at(value, row) for name, value in fields.items()},
            }
        )
        assert line == event_line(event)
        assert table_row == event_row(event)
        assert event_class.model_validate_json(line) == event


def test_a_constant_column_keeps_the_sign_of_zero() -> None:
    zeros = np.zeros(9)
    zeros[4] = -0.0
    fields = decisions(9) | {"total_order_value_usd": zeros}
    lines = encode(StrategyDecision, np.arange(9), fields)
    texts_of_zero = [line.split(b'"total_order_value_usd":')[1][:4] for line in lines]
    assert texts_of_zero == [b"0.0,"] * 4 + [b"-0.0"] + [b"0.0,"] * 4


def test_a_column_of_a_table_need_not_be_contiguous() -> None:
    table = np.arange(20.0).reshape(10, 2)
    fields = decisions(10) | {"total_order_value_usd": table[:, 1]}
    lines = encode(StrategyDecision, np.arange(10), fields)
    assert b'"total_order_value_usd":19.0,' in lines[-1]


def test_a_list_is_one_text_a_row_where_the_field_is_a_text() -> None:
    fields = decisions(2) | {"decision_reason": ["first", "second"]}
    assert [b'"second"' in line for line in encode(StrategyDecision, np.arange(2), fields)] == [False, True]


@pytest.mark.parametrize("rows", [2, 9])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_row(rows: int, bad: float) -> None:
    values = np.ones(rows)
    values[1] = bad
    with pytest.raises(LogSerialisationError, match="row 1") as raised:
        encode(StrategyDecision, np.arange(rows), decisions(rows) | {"total_order_value_usd": values})
    assert raised.value.context == {"event": "StrategyDecision", "field": "total_order_value_usd"}


def test_an_instant_that_is_none_is_refused_with_its_row() -> None:
    fields: dict[str, FieldValue] = {
        "total_pnl_usd": 0.0,
        "total_pnl_share_class": 0.0,
        "pnl_attribution": {},
        "period_start": np.array(["2024-05-12", "NaT"], dtype="datetime64[s]"),
        "period_end": start(2),
    }
    with pytest.raises(LogSerialisationError, match="row 1"):
        encode(PnLCalculation, np.arange(2), fields)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"reason": "x"}, "reason", id="unknown-field"),
        pytest.param({"order": 1}, "order", id="field-of-the-log"),
        pytest.param({"orders_generated": 0.0}, "orders_generated", id="float-for-a-count"),
        pytest.param({"total_order_value_usd": 0}, "line", id="int-for-a-float"),
        pytest.param({"total_order_value_usd": -1.0}, "total_order_value_usd", id="out-of-bounds"),
        pytest.param({"total_order_value_usd": np.inf}, "total_order_value_usd", id="constant-not-finite"),
        pytest.param({"total_order_value_usd": np.zeros(3)}, "total_order_value_usd", id="too-long"),
        pytest.param({"total_order_value_usd": np.zeros((2, 1))}, "total_order_value_usd", id="table"),
        pytest.param({"total_order_value_usd": np.zeros(2, np.float32)}, "total_order_value_usd", id="float32"),
        pytest.param({"decision_reason": ("a",)}, "decision_reason", id="too-few-texts"),
        pytest.param({"decision_type": "wait"}, "decision_type", id="constant-outside-the-enumeration"),
        pytest.param({"decision_type": ("hold", "wait")}, "decision_type", id="text-outside-the-enumeration"),
        pytest.param({"metadata": {"x": {1, 2}}}, "metadata.x", id="no-json"),
        pytest.param({"metadata": {"x": [np.nan]}}, "metadata.x.0", id="nested-not-finite"),
        pytest.param({"decision_reason": "\ud800"}, "decision_reason", id="no-unicode"),
    ],
)
def test_what_the_model_would_not_write_is_refused_by_field(changes: dict[str, FieldValue], field: str) -> None:
    with pytest.raises(LogSerialisationError) as raised:
        encode(StrategyDecision, np.arange(2), decisions(2) | changes)
    assert raised.value.context["field"] == field


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(LogSerialisationError) as raised:
        encode(StrategyDecision, np.arange(2), {"strategy_name": "btc_basis"})
    assert raised.value.context["field"] == "decision_type"


def test_fields_in_another_order_than_the_model_are_refused() -> None:
    exposure: FieldValue = {"BTC": {"usd_value": 1.0, "quantity": 1.0, "percentage": 1.0}}
    fields: dict[str, FieldValue] = {
        "net_delta_usd": 0.0,
        "asset_exposures": exposure,
        "total_value_usd": 1.0,
        "share_class_value": 1.0,
    }
    with pytest.raises(LogSerialisationError, match="asset_exposures"):
        encode(ExposureSnapshot, np.arange(2), fields)
