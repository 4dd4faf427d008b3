"""From columns to the fields of the events that describe a row: one mapping for the bulk and for the single path."""

from collections.abc import Mapping

from dataflow.graph.state import PositionGroups
from schemas.operations import RiskLevel
from schemas.units import Column

Columns = Mapping[str, Column]
"""Node name to column, (rows,) or (rows, n)."""

RISK_LEVELS = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH, RiskLevel.CRITICAL)
"""Level by the code of the ``risk_level`` column."""


def position_columns(columns: Columns, groups: PositionGroups) -> dict[str, Column]:
    """Units of every position key."""
    return {key: columns[f"{group}_units"][:, at] for group, keys in groups.keys.items() for at, key in enumerate(keys)}


def exposure_columns(columns: Columns, assets: tuple[str, ...]) -> dict[str, dict[str, Column]]:
    """Quantity, value and share of every asset."""
    return {
        asset: {
            "quantity": columns["asset_quantity"][:, at],
            "usd_value": columns["asset_value_usd"][:, at],
            "percentage": columns["asset_share"][:, at],
        }
        for at, asset in enumerate(assets)
    }


HOLD_REASON = "no_rule_applies"
TRIGGER = "full_loop"
"""Reason of a decision to hold, and what sets off every decision of a backtest."""

RISK_FIELDS: Mapping[str, str] = {
    "health_factor": "health_factor",
    "ltv_ratio": "ltv",
    "liquidation_threshold": "liquidation_threshold",
    "margin_usage": "margin_usage",
    "risk_score": "risk_score",
}
"""Field of a RiskAssessment to the node it shows."""
