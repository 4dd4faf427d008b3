"""Frames at work: every stage in bulk before anything is written, or every input of every node on every call."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa

from dataflow.graph.build import OBSERVE_STAGES, RAW_STAGE, Graph
from dataflow.graph.executors import Values
from dataflow.graph.frame_bounds import within_bounds
from dataflow.market.market import DATA_COLUMNS
from schemas.errors import PlatformError
from schemas.frames import FRAME_ERRORS, FRAMES
from schemas.models.events import DomainEvent, OperationExecutionEvent, ReconciliationEvent
from schemas.units import Column, Instants

_REMEMBERED = 512
"""Columns that are known to be valid."""


@cache
def _schema(stage: str) -> pa.DataFrameSchema:
    return FRAMES[stage].to_schema()


def flattened(columns: Mapping[str, Column], axes: Mapping[str, tuple[str, ...]]) -> dict[str, Column]:
    """Columns (rows, n) spread into ``name.label``; those of shape (rows,) as they are."""
    flat: dict[str, Column] = {}
    for name, values in columns.items():
        if values.ndim == 1:
            flat[name] = values
        else:
            flat |= {f"{name}.{label}": values[:, at] for at, label in enumerate(axes[name])}
    return flat


def validate_stage(
    stage: str, columns: Mapping[str, Column], axes: Mapping[str, tuple[str, ...]], instants: Instants | None = None
) -> None:
    """Hold one stage's columns against its frame.

    Raises the stage's error (``schemas.frames.FRAME_ERRORS``), naming the first faulty column, its row, instant and
    value, and how many more there are.
    """
    if not within_bounds(stage, columns):
        _validate(stage, pd.DataFrame(flattened(columns, axes), copy=False), instants)


def _validate(stage: str, frame: pd.DataFrame, instants: Instants | None) -> None:
    try:
        _schema(stage).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        raise _frame_error(stage, cases.iloc[0], len(cases), instants) from error


def _frame_error(stage: str, first: "pd.Series[Any]", count: int, instants: Instants | None) -> PlatformError:
    """The stage's error for the first of its faults."""
    if first["check"] == "column_in_schema":
        column, what, row = str(first["failure_case"]), "is not declared in the frame", None
    else:
        row = None if pd.isna(first["index"]) else int(first["index"])
        column, what = str(first["column"]), f"{first['failure_case']} breaks {first['check']}"
    where = "" if row is None else f" at row {row}"
    if row is not None and instants is not None:
        where += f" ({np.datetime_as_string(instants[row], unit='s')})"
    return FRAME_ERRORS[stage](
        f"{stage} column {column}: {what}{where}; {count} fault(s) in the stage",
        stage=stage,
        column=column,
        row=row,
        value=str(first["failure_case"]),
    )


class CallCheck:
    """Checks the columns among the arguments of every node before it runs."""

    def __init__(self, graph: Graph, axes: Mapping[str, tuple[str, ...]]) -> None:
        self._axes = axes
        self._checked: dict[int, Column] = {}
        self._stage_of = {node.name: node.stage for node in graph.nodes if node.stage in OBSERVE_STAGES}
        for name in graph.inputs:
            if name in DATA_COLUMNS:
                self._stage_of[name] = RAW_STAGE

    def __call__(self, _node_name: str, arguments: Values) -> None:
        """Raise the stage's error for the first argument of the node that its frame refuses."""
        for name, value in arguments.items():
            stage = self._stage_of.get(name)
            if stage is not None and isinstance(value, np.ndarray) and not self._is_known(value):
                self._check_column(stage, name, value)
                self._remember(value)

    def _is_known(self, value: Column) -> bool:
        return self._checked.get(id(value)) is value

    def _remember(self, value: Column) -> None:
        """A read-only column that several nodes take is checked once; holding it keeps its identity its own."""
        if not value.flags.writeable:
            if len(self._checked) >= _REMEMBERED:
                self._checked.clear()
            self._checked[id(value)] = value

    def _check_column(self, stage: str, name: str, value: Column) -> None:
        if not within_bounds(stage, {name: value}):
            _validate(stage, pd.DataFrame(flattened({name: value}, self._axes), copy=False), None)


def validate_operations(events: Sequence[DomainEvent]) -> None:
    """Hold the operations of a chunk against the frames of the execute stages."""
    operations = [event for event in events if isinstance(event, OperationExecutionEvent)]
    reconciled = [event for event in events if isinstance(event, ReconciliationEvent)]
    if operations:
        _validate("deltas", _deltas_frame(operations), None)
        _validate("handshakes", _handshakes_frame(operations), None)
    if reconciled:
        _validate("reconciliation", _reconciliations_frame(reconciled), None)


def _deltas_frame(operations: Sequence[OperationExecutionEvent]) -> pd.DataFrame:
    rows = [
        (o.operation_id, o.operation_type.value, d.position_key, d.delta_amount)
        for o in operations
        for d in o.expected_deltas
    ]
    return pd.DataFrame(rows, columns=["operation_id", "operation_type", "position_key", "delta_amount"])


def _handshakes_frame(operations: Sequence[OperationExecutionEvent]) -> pd.DataFrame:
    prices = [(o.operation_details or {}).get("executed_price") for o in operations]
    return pd.DataFrame(
        {
            "operation_id": [o.operation_id for o in operations],
            "status": [o.status.value for o in operations],
            "fee_amount": [o.fee_amount for o in operations],
            "executed_price": [float(p) if isinstance(p, int | float) else float("nan") for p in prices],
            "deltas": [len(o.actual_deltas) for o in operations],
        }
    )


def _reconciliations_frame(events: Sequence[ReconciliationEvent]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "expected_deltas": [event.expected_deltas_count for event in events],
            "actual_deltas": [event.actual_deltas_count for event in events],
            "mismatches": [len(event.mismatches or ()) for event in events],
            "success": [event.reconciliation_success for event in events],
        }
    )
