"""The lines of rows without a decision, from columns in bulk: kept until the chunk is written.

At the detail ``every-step`` each row has five lines: position, exposure, risk, decision, P&L. ``on-change`` leaves out
rows where no balance, no limit and no risk level changed; ``operations`` leaves out all but the last row of a run. Rows
that funding was settled at have two lines before them at every detail: what was paid, and the balances after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from dataflow.graph.risk_flags import RiskFlags
from dataflow.graph.state import PositionGroups
from dataflow.journal.event_fields import (
    HOLD_REASON,
    RISK_FIELDS,
    RISK_LEVELS,
    TRIGGER,
    Columns,
    exposure_columns,
    position_columns,
)
from dataflow.records.log.bulk_lines import FieldValue
from dataflow.records.log.event_log import DomainEventLogger
from schemas.instruments import PositionKey
from schemas.models.events import (
    ExecutionDeltaEvent,
    ExposureSnapshot,
    PnLCalculation,
    PositionSnapshot,
    RiskAssessment,
    StrategyDecision,
)
from schemas.models.results import EventDetail
from schemas.operations import DeltaType, PositionSource
from schemas.units import Column, Instants, sum_columns

LINES_OF_A_ROW: Final = 5
"""Position, exposure, risk, decision, P&L."""

BEFORE_DECISION: Final = 3
"""Lines of a row before the event of a limit that began or ceased to be crossed."""

_FUNDING: Final = DeltaType.FUNDING.value

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def rows_with_lines(
    detail: EventDetail, *, settled: Numbers, edges: Numbers, level: Column, level_before: float, is_last: bool
) -> Flags:
    """Which rows without a decision have their five lines at a detail.

    Shape:  (rows,) each. settled, edges: 1 where a balance changed, and where a limit began or ceased to be crossed.
            level, level_before: risk level of each row, and of the row before the first.
    """
    if detail == "every-step":
        return np.ones(len(level), dtype=np.bool_)
    chosen = np.zeros(len(level), dtype=np.bool_)
    if detail == "on-change":
        before = np.concatenate([[level_before], level[:-1]])
        chosen = (settled > 0) | (edges > 0) | (level != before)
    chosen[-1] |= is_last
    return chosen


@dataclass(frozen=True)
class QuietContext:
    """What the lines of a row carry beside its columns."""

    mode: str
    run_start: str
    groups: PositionGroups
    assets: tuple[str, ...]
    attribution_types: tuple[str, ...]
    position_source: PositionSource
    limits: RiskFlags


def margin_price_usd(columns: Columns, groups: PositionGroups) -> Column:
    """USD a unit of what funding is paid in: a coin that margins perpetuals is the share class of its mode.

    Shape:  (rows,).
    """
    if "quote" in groups.keys:
        return np.ones(len(columns["equity_usd"]))
    return columns["equity_usd"] / columns["equity_share_class"]


@dataclass
class QuietRows:
    """Rows of a chunk without a decision: which have lines, the number of their first, and what stands between."""

    context: QuietContext
    _has_lines: list[Flags] = field(default_factory=list)
    _first: list[Numbers] = field(default_factory=list)
    _edges: list[Numbers] = field(default_factory=list)
    _is_settled: list[Flags] = field(default_factory=list)
    _first_settled: list[Numbers] = field(default_factory=list)

    def add(self, has_lines: Flags, first: Numbers, edges: Numbers, is_settled: Flags, first_settled: Numbers) -> None:
        """Keep rows, (rows,) each: whether they have lines, the number of the first, 1 where a breach event follows.

        is_settled, first_settled: whether funding was settled, and the number of the first line of that.
        """
        self._has_lines.append(has_lines)
        self._first.append(first[has_lines])
        self._edges.append(edges[has_lines])
        self._is_settled.append(is_settled)
        self._first_settled.append(first_settled[is_settled])

    def clear(self) -> None:
        """Forget the rows of a chunk that has been written."""
        self._has_lines.clear()
        self._first.clear()
        self._edges.clear()
        self._is_settled.clear()
        self._first_settled.clear()

    def write(self, log: DomainEventLogger, instants: Instants, columns: Columns, quiet: Flags) -> None:
        """Write the lines; ``instants`` and ``columns`` are all rows of the chunk, ``quiet`` marks those kept here."""
        if not self._has_lines:
            return
        rows = np.flatnonzero(quiet)
        settled = rows[np.concatenate(self._is_settled)]
        if len(settled):
            self._write_funding(log, instants[settled], _rows(columns, settled), np.concatenate(self._first_settled))
        told = rows[np.concatenate(self._has_lines)]
        if len(told):
            first, edges = np.concatenate(self._first), np.concatenate(self._edges)
            self._write(log, instants[told], _rows(columns, told), first, edges)

    def _write_funding(self, log: DomainEventLogger, instants: Instants, columns: Columns, order: Numbers) -> None:
        """What was paid, in one batch for each set of balances that it moved, and the balances after it."""
        groups, flows = self.context.groups, columns["funding_flow"]
        value_usd = sum_columns(np.abs(flows) * margin_price_usd(columns, groups)[:, None])
        for moved in np.unique(flows != 0.0, axis=0):
            chosen = np.all((flows != 0.0) == moved, axis=1)
            log.log_rows(
                ExecutionDeltaEvent,
                order=order[chosen],
                timestamps=instants[chosen],
                fields={
                    "delta_type": _FUNDING,
                    "trigger_source": _FUNDING,
                    "deltas_applied": int(moved.sum()),
                    "total_delta_value_usd": value_usd[chosen],
                    "deltas": [
                        _funding_delta(key, flows[chosen, at]) for at, key in enumerate(groups.margin_keys) if moved[at]
                    ],
                },
            )
        log.log_rows(
            PositionSnapshot,
            order=order + 1,
            timestamps=instants,
            fields=_position_fields(columns, self.context, _FUNDING),
        )

    def _write(
        self, log: DomainEventLogger, instants: Instants, columns: Columns, position: Numbers, edges: Numbers
    ) -> None:
        context, texts = self.context, np.datetime_as_string(instants, unit="s")
        log.log_rows(
            PositionSnapshot,
            order=position,
            timestamps=instants,
            fields=_position_fields(columns, context, "position_refresh"),
        )
        log.log_rows(
            ExposureSnapshot,
            order=position + 1,
            timestamps=instants,
            fields={
                "net_delta_usd": columns["net_delta_usd"],
                "asset_exposures": exposure_columns(columns, context.assets),
                "total_value_usd": columns["equity_usd"],
                "share_class_value": columns["equity_share_class"],
            },
        )
        _write_risk(log, self.context.limits, instants, columns, position + 2)
        levels = tuple(RISK_LEVELS[int(level)].value for level in columns["risk_level"])
        log.log_rows(
            StrategyDecision,
            order=position + BEFORE_DECISION + edges,
            timestamps=instants,
            fields={
                "strategy_name": context.mode,
                "decision_type": "hold",
                "orders_generated": 0,
                "total_order_value_usd": 0.0,
                "decision_reason": HOLD_REASON,
                "trigger_source": TRIGGER,
                "risk_level": levels,
            },
        )
        log.log_rows(
            PnLCalculation,
            order=position + BEFORE_DECISION + 1 + edges,
            timestamps=instants,
            fields=_pnl_fields(columns, context, texts.tolist()),
        )


def _rows(columns: Columns, rows: Numbers) -> dict[str, Column]:
    return {name: column[rows] for name, column in columns.items()}


def _position_fields(columns: Columns, context: QuietContext, trigger: str) -> Mapping[str, FieldValue]:
    return {
        "positions": position_columns(columns, context.groups),
        "total_value_usd": columns["equity_usd"],
        "position_type": context.position_source,
        "trigger_source": trigger,
    }


def _funding_delta(key_text: str, flow: Column) -> Mapping[str, FieldValue]:
    """One change by funding, as a StructuredDelta is written."""
    key = PositionKey.parse(key_text)
    return {
        "position_key": key_text,
        "delta_amount": flow,
        "token": key.token,
        "venue": key.venue,
        "operation_type": None,
        "source": _FUNDING,
        "price": None,
        "fee": 0.0,
    }


def _pnl_fields(columns: Columns, context: QuietContext, texts: Sequence[str]) -> Mapping[str, FieldValue]:
    return {
        "total_pnl_usd": columns["total_pnl_usd"],
        "total_pnl_share_class": columns["total_pnl_share_class"],
        "pnl_attribution": {name: columns[name] for name in context.attribution_types},
        "period_start": context.run_start,
        "period_end": tuple(texts),
        "unexplained_pnl": columns["unexplained_pnl"],
        "reconciled": columns["is_reconciled"] > 0.0,
    }


def _write_risk(
    log: DomainEventLogger, limits: RiskFlags, instants: Instants, columns: Columns, order: Numbers
) -> None:
    """Risk lines in one batch for each pattern of level, warnings and breaches."""
    flags = [columns[name] for name in ("risk_level", *limits.nodes)]
    patterns = np.zeros(len(order), dtype=np.int64)
    for flag in flags:
        patterns = patterns * 4 + flag.astype(np.int64)
    for pattern in np.unique(patterns):
        chosen = patterns == pattern
        some = {name: column[chosen] for name, column in columns.items()}
        warnings, breaches = limits.notes(some, 0)
        log.log_rows(
            RiskAssessment,
            order=order[chosen],
            timestamps=instants[chosen],
            fields={
                **{name: some[node] for name, node in RISK_FIELDS.items()},
                "risk_level": RISK_LEVELS[int(some["risk_level"][0])].value,
                "breach_detected": bool(breaches),
                "warnings": list(warnings),
                "breaches": list(breaches),
            },
        )
