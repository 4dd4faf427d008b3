"""What a run decided and did, as marks on the time axis, and what each kind of operation cost."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflow.records.log.reading import EventRecord
from dataflow.records.report.charts import PART_COLOURS, Bar, BarChart, Mark, Strip, spoken
from dataflow.records.report.run_files import RunFiles, number
from dataflow.records.store.tables import Table, amount
from schemas.errors import ErrorCode
from schemas.operations import DecisionType, DeltaType, ExecutionStatus
from schemas.units import BPS, INSTANT_DTYPE

LIMIT_LANE: Final = "risk limit"
ERROR_LANE: Final = "error"
SLIPPAGE: Final = "slippage and spread"
_NO_FLOW: Final = "no operation"


def decision_strip(run: RunFiles) -> Strip:
    """Every decision but to hold, then reports that a risk limit was crossed or holds again, then errors."""
    return Strip("Decisions", (*_decisions(run), *_reports(run, LIMIT_LANE), *_reports(run, ERROR_LANE)))


def operation_strip(run: RunFiles) -> Strip:
    """Every operation that was attempted, by type."""
    return Strip("Operations", tuple(_operations(run)))


def _decisions(run: RunFiles) -> Iterator[Mark]:
    for event in run.events("strategy_decisions"):
        if event["decision_type"] != DecisionType.HOLD:
            orders, value = event["orders_generated"], number(event, "total_order_value_usd")
            text = f"{spoken(str(event['decision_reason']))}: {orders} orders, {amount(value)} USD"
            yield Mark(_instant(event), spoken(str(event["decision_type"])), text)


def _reports(run: RunFiles, lane: str) -> Iterator[Mark]:
    """System errors of one lane: risk limits, or everything else."""
    for event in run.events("system_errors"):
        if (event["error_code"] == ErrorCode.RISK_LIMIT_BREACHED) is (lane == LIMIT_LANE):
            text = f"{event['error_code']} {event['error_message']}"
            yield Mark(_instant(event), lane, text, is_fault=True)


def _operations(run: RunFiles) -> Iterator[Mark]:
    for event in run.events("operation_executions"):
        failed = event["status"] in (ExecutionStatus.FAILED, ExecutionStatus.ROLLED_BACK)
        token, done = event["source_token"], number(event, "executed_amount")
        what = f"{event['status']} {event['error_code']}" if failed else f"{amount(done)} {token}"
        yield Mark(_instant(event), spoken(str(event["operation_type"])), f"{event['venue']}: {what}", is_fault=failed)


def _instant(event: EventRecord) -> np.datetime64:
    return np.datetime64(str(event["timestamp"])).astype(INSTANT_DTYPE)


@dataclass(frozen=True)
class OperationCosts:
    """What operations of one type at one venue cost, share class: fees are what was paid, >= 0."""

    operation_type: str
    venue: str
    operations: int
    fees: float


@dataclass(frozen=True)
class Costs:
    """All trading costs of a run, share class, a cost > 0.

    ``slippage`` is what the P&L part ``transaction_costs`` has beyond the fees: prices worse than the market's, and
    for staking tokens the gap between market and oracle.
    """

    by_operation: tuple[OperationCosts, ...]
    slippage: float

    @property
    def total(self) -> float:
        """The P&L part, positive where it cost."""
        return sum(costs.fees for costs in self.by_operation) + self.slippage


def costs_of(run: RunFiles) -> Costs:
    """The costs of a run: each fee at the price of its instant, as the fee events value it."""
    operations = {
        str(event["operation_id"]): (str(event["operation_type"]), str(event["venue"]))
        for event in run.events("operation_executions")
        if event["status"] == ExecutionStatus.CONFIRMED
    }
    fees: defaultdict[tuple[str, str], float] = defaultdict(float)
    price = run.column("usd_per_share_class")
    for event in run.events("execution_deltas"):
        if event["delta_type"] == DeltaType.FEE:
            row = max(int(np.searchsorted(run.instants, _instant(event), side="right")) - 1, 0)
            kind = operations.get(str(event["source_operation_id"]), (_NO_FLOW, str(event["trigger_source"])))
            fees[kind] += number(event, "total_delta_value_usd") / float(price[row])
    counts = Counter(operations.values())
    kinds = sorted({*counts, *fees}, key=lambda kind: -fees[kind])
    total = -float(run.column("transaction_costs")[-1])
    return Costs(tuple(OperationCosts(*kind, counts[kind], fees[kind]) for kind in kinds), total - sum(fees.values()))


def costs_table(run: RunFiles, costs: Costs) -> Table:
    """Operations and fees by type and venue, then slippage and the total."""
    capital = run.summary.initial_capital
    rows = [
        (f"{spoken(each.operation_type)}, {each.venue}", f"{each.operations:,}", *_money(each.fees, capital))
        for each in costs.by_operation
    ]
    operations = sum(each.operations for each in costs.by_operation)
    rows += [
        (SLIPPAGE, "", *_money(costs.slippage, capital)),
        ("transaction costs", f"{operations:,}", *_money(costs.total, capital)),
    ]
    header = ("fees by operation and venue", "operations", run.summary.share_class, "bps of capital")
    return Table(
        "Costs by operation", header, tuple(rows), "Fees include gas; each is valued at the instant it was paid."
    )


def costs_chart(run: RunFiles, costs: Costs) -> BarChart | None:
    """Fees by type of operation, and slippage, as bars; None where nothing cost anything."""
    by_type: defaultdict[str, float] = defaultdict(float)
    for each in costs.by_operation:
        by_type[spoken(each.operation_type)] += each.fees
    by_type[SLIPPAGE] += costs.slippage
    bars = tuple(
        Bar(name, 0.0, cost, PART_COLOURS["transaction_costs"], " · ".join(_shown(cost, run)))
        for name, cost in by_type.items()
        if cost != 0.0
    )
    return BarChart("costs", "Costs by kind", "", bars, run.summary.share_class) if bars else None


def _money(value: float, capital: float) -> tuple[str, str]:
    return amount(value), f"{value / capital / BPS:z,.2f}"


def _shown(value: float, run: RunFiles) -> tuple[str, str]:
    money, bps = _money(value, run.summary.initial_capital)
    return f"{money} {run.summary.share_class}", f"{bps} bps"
