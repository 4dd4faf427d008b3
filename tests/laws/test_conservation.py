"""Law 4: a deal at market moves equity by minus its cost, and by nothing where costs are off.

Each operation is held against the exposure before and after it in the event log, each decision against the columns.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.conftest import ROWS, SEEDS, ViolentRun
from tests.support.markets import BASIS_MODES, MODES, violent_market
from tests.support.runs import FREE_OF_COSTS, Event, MemoryRun, prepared, run_in_memory

RELATIVE = 1e-9
"""Of equity: what rounding may leave, [architecture] 3."""


class Deal(NamedTuple):
    """One confirmed operation, with equity just before and just after it, USD."""

    operation: Event
    before: float
    after: float
    eth_price: float


def deals(run: MemoryRun) -> Iterator[Deal]:
    """Every confirmed operation of a run."""
    valued = {_number(event, "order"): _number(event, "total_value_usd") for event in run.events("exposures")}
    orders = sorted(valued)
    eth_price = dict(zip(np.datetime_as_string(run.instants, unit="s"), run.column("eth_price"), strict=True))
    for operation in run.events("operation_executions"):
        if operation["status"] == "confirmed":
            at = int(np.searchsorted(orders, _number(operation, "order")))
            instant = str(operation["timestamp"])
            yield Deal(operation, valued[orders[at - 1]], valued[orders[at]], float(eth_price[instant]))


def cost_usd(deal: Deal) -> float:
    """Fee and slippage of an operation from its own event."""
    operation, details = deal.operation, deal.operation["operation_details"]
    assert isinstance(details, dict)
    fee = _number(operation, "fee_amount") * (deal.eth_price if operation["fee_currency"] == "ETH" else 1.0)
    if "mid_price" not in details:
        return fee
    slippage = abs(float(details["executed_price"]) - float(details["mid_price"]))
    return fee + _number(operation, "executed_amount") * slippage


def _number(event: Event, name: str) -> float:
    value = event[name]
    assert isinstance(value, int | float)
    return value


def assert_conserved(run: MemoryRun) -> None:
    """Demand that every operation moved equity by minus its cost."""
    for deal in deals(run):
        gap = deal.after - deal.before + cost_usd(deal)
        assert abs(gap) <= RELATIVE * max(deal.before, deal.after), (gap, deal)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mode", MODES)
def test_an_operation_costs_what_it_says(mode: str, seed: int, violent_run: ViolentRun) -> None:
    run = violent_run(mode, seed)
    assert any(cost_usd(deal) > 0.0 for deal in deals(run))
    assert_conserved(run)


@pytest.mark.parametrize("mode", MODES)
def test_an_operation_without_costs_leaves_equity_alone(mode: str, tmp_path: Path) -> None:
    run = run_in_memory(prepared(mode, overrides=FREE_OF_COSTS), violent_market(mode, 1, ROWS), tmp_path)
    done = list(deals(run))
    assert done
    for deal in done:
        assert deal.after == pytest.approx(deal.before, rel=RELATIVE)
    assert not np.any(run.column("transaction_costs"))


@pytest.mark.parametrize("mode", MODES)
def test_costs_of_a_decision_are_those_of_its_operations(mode: str, violent_run: ViolentRun) -> None:
    run = violent_run(mode, 1)
    total = sum(cost_usd(deal) / float(_usd_per_share_class(run, deal)) for deal in deals(run))
    assert -run.column("transaction_costs")[-1] == pytest.approx(total, rel=RELATIVE)


def _usd_per_share_class(run: MemoryRun, deal: Deal) -> float:
    return deal.eth_price if run.backtest.config.mode.share_class == "ETH" else 1.0


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_balances_in_usdt_change_by_trades_fees_and_funding_alone(mode: str, violent_run: ViolentRun) -> None:
    run = violent_run(mode, 3)
    flows: dict[str, float] = {}
    for event in run.events("execution_deltas"):
        deltas = event["deltas"]
        assert isinstance(deltas, list)
        for delta in deltas:
            if delta["token"] == "USDT":
                kind = str(event["delta_type"])
                flows[kind] = flows.get(kind, 0.0) + delta["delta_amount"]
    assert set(flows) == {"initial_capital", "execution_deltas", "realized_pnl", "fee", "funding"}
    held = sum(units for key, units in run.final_positions().items() if key.endswith(":USDT"))
    assert held == pytest.approx(sum(flows.values()), rel=RELATIVE)
    assert flows["funding"] == pytest.approx(run.column("funding_pnl")[-1], rel=RELATIVE)


@pytest.mark.parametrize("mode", MODES)
def test_equity_before_a_row_is_equity_after_the_one_before(mode: str, violent_run: ViolentRun) -> None:
    """Nothing moves equity between two rows but the market: the units of a quiet row are those of the row before."""
    run = violent_run(mode, 1)
    quiet = run.column("decision") == 0.0
    for name, units in run.columns["positions"].items():
        if name in ("quote_units", "funding_flow"):
            continue  # funding moves them
        for row, (before, after) in enumerate(pairwise(units), start=1):
            assert not quiet[row] or np.array_equal(before, after), (name, row)


@settings(max_examples=10)
@given(mode=st.sampled_from(MODES), seed=st.integers(0, 2**32 - 1))
def test_no_market_creates_or_destroys_equity_in_a_deal(mode: str, seed: int) -> None:
    with TemporaryDirectory() as directory:
        assert_conserved(run_in_memory(prepared(mode), violent_market(mode, seed, 100), Path(directory)))
