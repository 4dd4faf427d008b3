"""Three laws of one run, checked on what it left: its event log and its columns (architecture, section 3).

Law 4: a decision moves equity by minus its costs. Law 5: the deltas of the log give the balances of the log, and those
of the state. Law 6: the parts of the P&L sum to the change of equity. They hold for every mode and under every fault.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from dataflow.records.audit.replay import replay
from dataflow.records.log.log_fault import LogFault
from dataflow.records.log.reading import read_events, read_models
from schemas.errors import ErrorCode
from schemas.models.events import ExecutionDeltaEvent, ExposureSnapshot, OperationExecutionEvent
from schemas.operations import DeltaType, OperationType
from schemas.units import Column, Instants

OF_EQUITY: Final = 1e-9
"""Of equity: what rounding may leave of a decision."""

OF_CAPITAL: Final = 1e-9
"""Of capital, or of equity where that has become larger: what rounding may leave unexplained."""


def conservation_faults(
    log_dir: Path, instants: Instants, columns: Mapping[str, Column], venues: Sequence[str]
) -> Iterator[str]:
    """Decisions and liquidations that moved equity by something else than minus the costs they booked (law 4).

    A deal that is not at the market of its row, a stop or a target of the candle before it, moves equity besides by
    what its price is away from the mark. columns: those of complete rows; the decision that stopped a run has none and
    is not checked. venues: the second axis of ``perp_mark``.
    """
    costs_usd = -columns["transaction_costs"] * columns["usd_per_share_class"]
    before_usd = np.concatenate([[0.0], -columns["transaction_costs"][:-1]]) * columns["usd_per_share_class"]
    moved, levels = _moved_usd(log_dir), _level_deals(log_dir)
    for row, instant in enumerate(np.datetime_as_string(instants, unit="s").tolist()):
        if instant not in moved:
            continue
        before, after = moved[instant]
        gap = after - before + float(costs_usd[row] - before_usd[row])
        for deal in levels.get(instant, ()):
            mark = float(columns["perp_mark"][row, venues.index(deal.venue)])
            gap -= deal.moved_usd(mark, float(columns["usd_per_share_class"][row]))
        if abs(gap) > OF_EQUITY * max(abs(before), abs(after)):
            yield f"law 4: the decision at {instant} moved equity by {after - before!r} USD, {gap!r} beside its costs"


def _moved_usd(log_dir: Path) -> dict[str, tuple[float, float]]:
    """Equity before and after the operations and liquidations of each instant that has any, USD."""
    operations: dict[str, int] = {}
    for event in _acts(log_dir):
        instant, order = str(event["timestamp"]), _number(event["order"])
        operations[instant] = min(operations.get(instant, order), order)
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    for event in read_events(log_dir, ExposureSnapshot):
        instant, order = str(event["timestamp"]), _number(event["order"])
        if instant in operations:
            side = before if order < operations[instant] else after
            side[instant] = float(event["total_value_usd"])  # type: ignore[arg-type]  # a number in every event
    return {instant: (value, after.get(instant, value)) for instant, value in before.items()}


def _acts(log_dir: Path) -> Iterator[Mapping[str, object]]:
    """Everything that is done at a price: operations, and what a venue does when it liquidates."""
    yield from read_events(log_dir, OperationExecutionEvent)
    for event in read_events(log_dir, ExecutionDeltaEvent):
        if event["delta_type"] == DeltaType.LIQUIDATION.value:
            yield event


class _Deal(NamedTuple):
    """A perpetual deal.

    bought: base units. price: what it was priced from, before slippage. realised_coin: what it realised where profit
    is paid in the coin, else None.
    """

    venue: str
    bought: float
    price: float
    executed_price: float
    realised_coin: float | None

    def moved_usd(self, mark: float, usd_per_coin: float) -> float:
        """Change of equity for being priced away from the mark, costs aside; 0 at the mark.

        What is closed is worth ``units (price - entry)`` USDT, or ``units (1 - entry / price)`` coins, and its profit
        is paid in coins at ``price`` (ruling 27).
        """
        if self.realised_coin is None:
            return self.bought * (mark - self.price)
        units_times_entry = -self.bought * self.executed_price - self.realised_coin * self.price
        return units_times_entry * (1.0 / mark - 1.0 / self.price) * usd_per_coin


def _level_deals(log_dir: Path) -> dict[str, list[_Deal]]:
    """Perpetual deals of each instant."""
    realised = {
        event.source_operation_id: delta.delta_amount
        for event in read_models(log_dir, ExecutionDeltaEvent)
        if event.delta_type is DeltaType.REALIZED_PNL
        for delta in event.deltas or ()
        if delta.token != "USDT"
    }
    deals: dict[str, list[_Deal]] = {}
    for event in read_models(log_dir, OperationExecutionEvent):
        details = event.operation_details or {}
        price, executed = details.get("mid_price"), details.get("executed_price")
        if event.operation_type is not OperationType.PERP_TRADE or not event.actual_deltas:
            continue
        assert isinstance(price, float)
        assert isinstance(executed, float)
        (bought,) = event.actual_deltas.values()
        deal = _Deal(event.venue, bought, price, executed, realised.get(event.operation_id))
        deals.setdefault(event.timestamp, []).append(deal)
    return deals


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def replay_faults(
    log_dir: Path, positions: Mapping[str, float] | None, stopped_by: ErrorCode | None = None
) -> Iterator[str]:
    """Where the deltas of the log do not give its balances, or those of the state at the end (law 5).

    positions: units of every key at the end, None where the run stopped. A run that was stopped by a mismatch has one
    operation whose changes are not the expected ones: the log is to show it, and not to have applied it.
    """
    report = replay(log_dir)
    declared = stopped_by is ErrorCode.EXEC_POSITION_MISMATCH
    for fault in report.faults:
        if not (declared and _is_mismatch(fault)):
            yield f"law 5: {fault}"
    yield from (f"law 5: {tail}" for tail in report.torn_tails)
    for key, units in (positions or {}).items():
        replayed = report.final_positions.get(key, 0.0)
        if replayed != units:
            yield f"law 5: {key} is {units!r} in the state, the deltas give {replayed!r}"


def _is_mismatch(fault: LogFault) -> bool:
    return fault.file == OperationExecutionEvent.file_name and "actual delta" in fault.what


def attribution_faults(columns: Mapping[str, Column], parts: tuple[str, ...], capital: float) -> Iterator[str]:
    """The first row whose P&L is not the sum of its parts (law 6). capital: share-class units paid in."""
    equity = columns["equity_share_class"]
    explained = np.zeros(len(equity))
    for name in parts:
        explained = explained + columns[name]
    gaps = np.abs(equity - capital - explained)
    broken = np.flatnonzero(gaps > OF_CAPITAL * np.maximum(capital, np.maximum.accumulate(np.abs(equity))))
    if len(broken):
        row = int(broken[0])
        yield f"law 6: {gaps[row]!r} of the P&L is unexplained at row {row}"
