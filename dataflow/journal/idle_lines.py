"""The lines of rows without a decision, written from columns in bulk.

Each row has five lines: position, exposure, risk, decision, P&L. A row that funding was settled at has two before them:
what was paid, and the balances after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dataflow.graph.risk_flags import RiskFlags
from dataflow.journal.event_fields import (
    HOLD_REASON,
    RISK_FIELDS,
    RISK_LEVELS,
    TRIGGER,
    Columns,
    exposure_columns,
    position_columns,
)
from dataflow.journal.funding import margin_price_usd
from dataflow.journal.run_facts import RunFacts
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
from schemas.operations import DeltaType
from schemas.units import Column, Instants, sum_columns

LINES_OF_A_ROW: Final = 5
"""Position, exposure, risk, decision, P&L."""

BEFORE_DECISION: Final = 3
"""Lines of a row before the event of a limit that began or ceased to be crossed."""

_FUNDING: Final = DeltaType.FUNDING.value

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IdleLines:
    """Writes the lines of idle rows; every method takes the columns of just the rows that it writes."""

    log: DomainEventLogger
    facts: RunFacts

    def write_funding(self, instants: Instants, columns: Columns, order: Numbers) -> None:
        """What was paid, in one batch for each set of balances that it moved, and the balances after it."""
        log, groups, flows = self.log, self.facts.groups, columns["funding_flow"]
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
            fields=_position_fields(columns, self.facts, _FUNDING),
        )

    def write_rows(self, instants: Instants, columns: Columns, position: Numbers, edges: Numbers) -> None:
        """The five lines of each row.

        Shape:  (rows,) each. position: number of the first line; edges: 1 where the event of a limit stands between.
        """
        log, facts, texts = self.log, self.facts, np.datetime_as_string(instants, unit="s")
        log.log_rows(
            PositionSnapshot,
            order=position,
            timestamps=instants,
            fields=_position_fields(columns, facts, "position_refresh"),
        )
        log.log_rows(
            ExposureSnapshot,
            order=position + 1,
            timestamps=instants,
            fields={
                "net_delta_usd": columns["net_delta_usd"],
                "asset_exposures": exposure_columns(columns, facts.assets),
                "total_value_usd": columns["equity_usd"],
                "share_class_value": columns["equity_share_class"],
            },
        )
        _write_risk(log, facts.limits, instants, columns, position + 2)
        levels = tuple(RISK_LEVELS[int(level)].value for level in columns["risk_level"])
        log.log_rows(
            StrategyDecision,
            order=position + BEFORE_DECISION + edges,
            timestamps=instants,
            fields={
                "strategy_name": facts.mode,
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
            fields=_pnl_fields(columns, facts, texts.tolist()),
        )


def _position_fields(columns: Columns, facts: RunFacts, trigger: str) -> Mapping[str, FieldValue]:
    return {
        "positions": position_columns(columns, facts.groups),
        "total_value_usd": columns["equity_usd"],
        "position_type": facts.position_source,
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


def _pnl_fields(columns: Columns, facts: RunFacts, texts: Sequence[str]) -> Mapping[str, FieldValue]:
    return {
        "total_pnl_usd": columns["total_pnl_usd"],
        "total_pnl_share_class": columns["total_pnl_share_class"],
        "pnl_attribution": {name: columns[name] for name in facts.attribution_types},
        "period_start": facts.run_start,
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
