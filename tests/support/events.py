"""What happened in a run, counted by kind: what a market must lead to before a law that holds on it says anything."""

from collections.abc import Iterator

import numpy as np

from schemas.instruments import LST_VENUES
from schemas.operations import DecisionType
from tests.support.runs import Event, MemoryRun

DEPEG_FROM = 0.03
"""Share by which the market price of a staking token is below its oracle price where it counts as depegged."""

_BY_REASON = {
    "stop": ("stop_loss", "stop_loss_then_signal"),
    "margin_call": ("margin_ratio_below_exit", "margin_ratio_below_reduce", "margin_ratio_below_warning"),
    "deleverage": ("health_factor_below_minimum", "ltv_above_target", "ltv_above_liquidation_threshold"),
}


def rows_of_events(run: MemoryRun) -> dict[str, list[int]]:
    """Kind of event to the rows at which it happened, ascending.

    liquidation: by a venue. stop: of a directional book. margin_call, deleverage: rules that decided, the first not
    at the row of a liquidation. depeg: staking tokens sold below their peg. rebalance, dust: decisions of that type.
    """
    codes = run.column("decision").astype(np.int64)
    types = {rule.code: rule.decision_type for rule in run.backtest.spec.rules}
    reasons = {rule.code: rule.reason for rule in run.backtest.spec.rules}
    found = {"liquidation": _rows(run, _liquidations(run)), "depeg": _rows(run, _depegged_sales(run))}
    for kind, named in _BY_REASON.items():
        found[kind] = [row for row, code in enumerate(codes.tolist()) if reasons.get(code) in named]
    found["margin_call"] = [row for row in found["margin_call"] if row not in found["liquidation"]]
    for kind, decided in (("rebalance", DecisionType.REBALANCE), ("dust", DecisionType.SELL_DUST)):
        found[kind] = [row for row, code in enumerate(codes.tolist()) if types.get(code) is decided]
    return found


def _rows(run: MemoryRun, events: Iterator[Event]) -> list[int]:
    at = {instant: row for row, instant in enumerate(np.datetime_as_string(run.instants, unit="s").tolist())}
    return sorted({at[str(event["timestamp"])] for event in events})


def _liquidations(run: MemoryRun) -> Iterator[Event]:
    return (event for event in run.events("execution_deltas") if event["delta_type"] == "liquidation")


def _depegged_sales(run: MemoryRun) -> Iterator[Event]:
    if "lst_oracle_ratio" not in run.columns["market"]:
        return
    oracle = dict(
        zip(
            np.datetime_as_string(run.instants, unit="s").tolist(), run.column("lst_oracle_ratio").tolist(), strict=True
        )
    )
    for event in run.events("operation_executions"):
        details = event["operation_details"]
        assert isinstance(details, dict)
        market = details.get("market_ratio", 0.0)
        is_staked = event["source_token"] in LST_VENUES
        is_sold = event["operation_type"] == "swap" and event["status"] == "confirmed" and is_staked
        if is_sold and market < (1.0 - DEPEG_FROM) * oracle[str(event["timestamp"])]:
            yield event
