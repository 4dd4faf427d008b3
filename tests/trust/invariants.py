"""The rows of the matrix: what holds for whatever is traded, each read from the engine's own records and columns."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pytest

from schemas.operations import DeltaType, OperationType
from schemas.units import HOURS_PER_DAY, HOURS_PER_YEAR
from tests.support.runs import Event, MemoryRun
from tests.trust.subjects import GROWING, MOVING, Subject

RELATIVE: Final = 1e-9
"""Of equity or of a balance: what rounding may leave."""

_SETTLEMENT_ROW: Final = 4
_FUNDING: Final = {-12: 1e-4, -4: 3e-4, _SETTLEMENT_ROW: -2e-4}
"""Row to funding rate: two settlements known before the run, one paid in it."""


def no_trade_conserves(subject: Subject) -> None:
    """Where nothing moves and nothing is traded, no balance and no equity changes by a bit."""
    run = subject.stood
    equity = run.column("equity_share_class")[subject.opened :]
    assert np.all(equity == equity[0])
    rows = range(subject.opened + 1, len(run.instants))
    later = [event["positions"] for row in rows for event in _at_row(run, "positions", row)]
    assert len(later) == len(equity) - 1
    assert all(positions == run.final_positions() for positions in later)


def entry_is_value_neutral(subject: Subject) -> None:
    """Without costs no operation of the entry changes equity."""
    values = [_number(event, "total_value_usd") for event in _at_row(subject.moved, "exposures", subject.opened)]
    assert len(values) > 1
    assert values == pytest.approx([values[0]] * len(values), rel=RELATIVE)


def single_trade_closed_form(subject: Subject) -> None:
    """What the trade earns in a moving market is what a formula gives that knows nothing of the engine."""
    equity = subject.moved.column("equity_share_class")
    earned = equity[-1] - equity[subject.opened]
    assert earned == pytest.approx(subject.profit(MOVING, subject.opened), abs=RELATIVE * equity[0])


def round_trip(subject: Subject) -> None:
    """The trade and its opposite leave every balance as it was, but for the funding paid between them."""
    run = subject.round_trip()
    before = _balances_before(run, subject.opened)
    for event in _deltas(run, DeltaType.FUNDING):
        before["wallet:BaseToken:USDT"] += sum(_number(delta, "delta_amount") for delta in _listed(event, "deltas"))
    assert _held(run.final_positions()) == pytest.approx(_held(before), rel=RELATIVE)


def borrow_and_repay(subject: Subject) -> None:
    """A loan costs its interest and nothing else, and what is owed is what was borrowed, plus that, less repaid."""
    run = subject.repaid()
    equity, interest = run.column("equity_share_class"), -float(run.column("borrow_cost")[-1])
    assert interest > 0.0
    assert equity[-1] - equity[0] == pytest.approx(-interest, abs=RELATIVE * equity[0])
    borrowed, repaid = (_executed(run, each) for each in (OperationType.BORROW, OperationType.REPAY))
    assert borrowed > 0.0
    assert repaid > 0.0
    index = float(run.column("variable_borrow_index")[-1, 0])
    interest_eth = interest * float(run.column("usd_per_share_class")[-1] / run.column("eth_price")[-1])
    owed = run.final_positions()["aave:debtToken:debtWETH"] * index
    assert owed == pytest.approx(borrowed + interest_eth - repaid, abs=RELATIVE * borrowed)


def yield_equals_the_index(subject: Subject) -> None:
    """The parts of the P&L that come from an index are the balance times its growth."""
    assert subject.yields
    for parts, closed_form in subject.yields.items():
        columns = [subject.grown.column(part) for part in parts]
        earned = sum(float(column[-1] - column[subject.opened]) for column in columns)
        expected = closed_form(GROWING, subject.opened)
        assert earned == pytest.approx(expected, rel=1e-3 * RELATIVE, abs=RELATIVE * abs(expected))


def rejection_changes_nothing(subject: Subject) -> None:
    """Refused orders are on record and move no balance by a bit."""
    run = subject.refused()
    attempts = _at_row(run, "operation_executions", subject.opened)
    assert attempts
    assert {event["status"] for event in attempts} <= {"failed", "rolled_back"}
    assert run.final_positions() == _balances_before(run, subject.opened)
    equity = run.column("equity_share_class")
    assert np.all(equity == equity[0])


def each_cost_appears_once(subject: Subject) -> None:
    """Equity falls by the fees, the gas and the slippage of the operations, and each of them is booked once."""
    run, row = subject.paid, subject.opened
    operations = [event for event in _at_row(run, "operation_executions", row) if event["status"] == "confirmed"]
    booked = [str(event["source_operation_id"]) for event in _deltas(run, DeltaType.FEE) if _is_at(run, event, row)]
    assert booked == [str(each["operation_id"]) for each in operations if _number(each, "fee_amount") > 0.0]
    costs = sum(_cost(run, row, each) for each in operations)
    assert costs > 0.0
    values = [_number(event, "share_class_value") for event in _at_row(run, "exposures", row)]
    assert values[0] - values[-1] == pytest.approx(costs, abs=RELATIVE * values[0])
    total = np.concatenate([[0.0], run.column("transaction_costs")])
    assert total[row] - total[row + 1] == pytest.approx(costs, abs=RELATIVE * values[0])


def funding_seen_is_funding_accrued(subject: Subject) -> None:
    """At a settlement the decision sees the balances that the payment has left, and the rate that was paid."""
    run = subject.settled(_FUNDING)
    row, rate = _SETTLEMENT_ROW, _FUNDING[_SETTLEMENT_ROW]
    notional = run.column("perp_units")[row - 1] * run.column("perp_mark")[row]
    accrued = -rate * float(notional.sum()) / _conversion(run, row)
    assert accrued != 0.0
    before, seen = run.column("equity_share_class")[row - 1], _at_row(run, "exposures", row)[0]
    tolerance = RELATIVE * before
    assert _number(seen, "share_class_value") - before == pytest.approx(accrued, abs=tolerance)
    assert run.column("funding_pnl")[row] == pytest.approx(accrued, abs=tolerance)
    if "funding_trailing_apr" in run.columns["market"]:
        a_year = sum(_FUNDING.values()) / HOURS_PER_DAY * HOURS_PER_YEAR
        assert run.column("funding_trailing_apr")[row] == pytest.approx(a_year)


def unsupported_is_refused(subject: Subject) -> None:
    """An operation that its venue cannot do is refused with a code, and nothing moves."""
    stopped = subject.misrouted()
    assert str(stopped.error.code) in ("VEN-001", "VEN-004", "EXEC-002")
    since = stopped.first_refusal()
    assert [event for event in stopped.events("execution_deltas") if _number(event, "order") > since] == []


# -- reading a run


def _number(event: Event, name: str) -> float:
    value = event[name]
    assert isinstance(value, int | float)
    return value


def _listed(event: Event, name: str) -> list[Event]:
    value = event[name]
    assert isinstance(value, list)
    return value


def _instant(run: MemoryRun, row: int) -> str:
    return str(np.datetime_as_string(run.instants[row], unit="s"))


def _is_at(run: MemoryRun, event: Event, row: int) -> bool:
    return event["timestamp"] == _instant(run, row)


def _at_row(run: MemoryRun, name: str, row: int) -> list[Event]:
    return [event for event in run.events(name) if _is_at(run, event, row)]


def _deltas(run: MemoryRun, kind: DeltaType) -> Iterator[Event]:
    return (event for event in run.events("execution_deltas") if event["delta_type"] == kind.value)


def _balances_before(run: MemoryRun, row: int) -> dict[str, float]:
    """Every balance just before the orders of a row."""
    first = next((_number(event, "order") for event in _at_row(run, "operation_executions", row)), np.inf)
    snapshots = [event for event in run.events("positions") if _number(event, "order") < first]
    positions = snapshots[-1]["positions"]
    assert isinstance(positions, Mapping)
    return dict(positions)


def _held(balances: Mapping[str, float]) -> dict[str, float]:
    """What is not zero, ETH and WETH of the wallet as the one asset that they are."""
    folded: dict[str, float] = {}
    for key, units in balances.items():
        name = key.replace("wallet:BaseToken:WETH", "wallet:BaseToken:ETH")
        folded[name] = folded.get(name, 0.0) + units
    return {key: units for key, units in folded.items() if units}


def _executed(run: MemoryRun, operation: OperationType) -> float:
    """Sum of what the confirmed operations of a type moved, in the underlying."""
    return sum(
        _number(event, "executed_amount")
        for event in run.events("operation_executions")
        if event["operation_type"] == operation.value and event["status"] == "confirmed"
    )


def _conversion(run: MemoryRun, row: int) -> float:
    """USD at which the operations of a row are booked in the share class: coins of margin at the mark."""
    if run.backtest.spec.features["coin_margin"]:
        return float(run.column("perp_mark")[row, 0])
    return float(run.column("usd_per_share_class")[row])


def _cost(run: MemoryRun, row: int, operation: Event) -> float:
    """Fee, gas and slippage of an operation from its own event, share class."""
    details, currency = operation["operation_details"], str(operation["fee_currency"])
    assert isinstance(details, dict)
    slippage = 0.0
    if "mid_price" in details:
        slippage = abs(float(details["executed_price"]) - float(details["mid_price"]))
    cost_usd = _number(operation, "executed_amount") * slippage
    fee = _number(operation, "fee_amount")
    if currency == run.backtest.config.mode.share_class:
        return fee + cost_usd / _conversion(run, row)
    fee_usd = fee * (float(run.column("eth_price")[row]) if currency == "ETH" else 1.0)
    return (fee_usd + cost_usd) / _conversion(run, row)
