"""Deposits and withdrawals keep every law of a run, in all modes, and returns do not depend on them.

Claims: with flows, results do not depend on windows, executor and partitions, the log replays, and the attribution is
exact; the sum of the flows of the log is what the schedule asked for; a flow split in two is one flow; where the yield
has a closed form, the time-weighted return is that yield and the money-weighted one its yearly rate, whatever is paid
in and out.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.config.files import list_modes
from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.laws import OF_CAPITAL
from dataflow.records.audit.replay import replay
from dataflow.settlement.capital_flows import schedule
from schemas.flows import CapitalFlow, DueFlow, FlowKind, FlowSpeed
from schemas.units import SECONDS_PER_HOUR, Column
from tests.support.markets import partition, quiet_market
from tests.support.runs import (
    FREE_OF_COSTS,
    HEALTH,
    MemoryRun,
    assert_same_business,
    bits_of,
    flow_history,
    prepared,
    rules_fired,
    run_in_memory,
    run_in_partitions,
)

ROWS = 140
LENDING = "pure_lending_usdt"
DEPOSIT_ROW, SLOW_ROW, FAST_ROW = 40, 80, 110
GROWTH = 2e-6
"""Growth of the quiet supply index a row, compounded."""


@cache
def market_of(mode: str) -> Market:
    request = prepared(mode).market_request()
    return random_market(request, 5, ROWS, calm_rows=ROWS)


def at(market: Market, row: int) -> int:
    """Epoch seconds of a row of the run."""
    return int(market.instants[market.first_row + row].astype(np.int64))


def usual_flows(mode: str) -> tuple[DueFlow, ...]:
    """A deposit, a slow withdrawal between two rows, a fast one and a deposit of one row."""
    backtest, market = prepared(mode), market_of(mode)
    capital, step = backtest.config.initial_capital, backtest.config.mode.clock_step_seconds
    flows = [
        CapitalFlow(at(market, DEPOSIT_ROW), 0.5 * capital),
        CapitalFlow(at(market, SLOW_ROW) - 7, -0.4 * capital),
        CapitalFlow(at(market, FAST_ROW), 0.1 * capital),
        CapitalFlow(at(market, FAST_ROW), -0.3 * capital, FlowSpeed.FAST),
    ]
    return schedule(flows, step)


@pytest.fixture(scope="session")
def flow_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MemoryRun]:
    """Every mode with the usual flows."""
    return {
        mode: run_in_memory(prepared(mode), market_of(mode), tmp_path_factory.mktemp("flows"), flows=usual_flows(mode))
        for mode in list_modes()
    }


# -- every mode


@pytest.mark.parametrize("mode", list_modes())
def test_every_mode_takes_deposits_and_pays_withdrawals(mode: str, flow_run: dict[str, MemoryRun]) -> None:
    run, capital = flow_run[mode], prepared(mode).config.initial_capital
    flows = flow_history(run)
    asked = capital * np.array([1.0, 0.5, 0.1]).sum(), capital * 0.7
    paid = float(flows.amounts[flows.amounts > 0.0].sum()), float(-flows.amounts[flows.amounts < 0.0].sum())
    left = float(run.state.values["withdrawal_pending"]) + float(run.state.values["withdrawals_unpaid"])
    assert paid[0] == pytest.approx(asked[0], rel=1e-12)
    assert paid[1] + left == pytest.approx(asked[1], rel=1e-12)
    assert left == 0.0, (left, run.outcome.errors)
    assert rules_fired(run)["withdrawal_pending"] > 0


@pytest.mark.parametrize("mode", list_modes())
def test_the_log_replays_and_every_cent_is_attributed(mode: str, flow_run: dict[str, MemoryRun]) -> None:
    run = flow_run[mode]
    report = replay(run.log_dirs[0])
    assert report.ok, report.faults
    assert np.abs(run.column("unexplained_pnl")).max() <= OF_CAPITAL * prepared(mode).config.initial_capital
    flows = [event for event in run.events("execution_deltas") if event["delta_type"] == "capital_flow"]
    assert len(flows) == len(flow_history(run).seconds) - 1


@pytest.mark.parametrize("mode", list_modes())
def test_no_result_depends_on_windows_or_partitions(mode: str, flow_run: dict[str, MemoryRun], tmp_path: Path) -> None:
    narrow = run_in_memory(prepared(mode, window=17), market_of(mode), tmp_path / "narrow", flows=usual_flows(mode))
    assert_same_business(flow_run[mode], narrow)
    cuts = [DEPOSIT_ROW, SLOW_ROW + 1, FAST_ROW - 3]
    chained = run_in_partitions(prepared(mode), market_of(mode), tmp_path / "cut", cuts, flows=usual_flows(mode))
    assert_same_business(flow_run[mode], chained, without=(HEALTH,))


@pytest.mark.parametrize("mode", ["usdt_market_neutral", "eth_leveraged", LENDING])
def test_both_executors_agree(mode: str, tmp_path: Path) -> None:
    short, flows = partition(market_of(mode), 0, 90), usual_flows(mode)
    plan = run_in_memory(prepared(mode), short, tmp_path / "plan", flows=flows)
    hamilton = run_in_memory(prepared(mode, executor="hamilton"), short, tmp_path / "hamilton", flows=flows)
    assert_same_business(plan, hamilton)


@pytest.mark.parametrize("mode", list_modes())
def test_an_empty_schedule_changes_nothing(mode: str, tmp_path: Path) -> None:
    market = partition(market_of(mode), 0, 60)
    late = (DueFlow(at(market_of(mode), 100), FlowKind.DEPOSIT, 1.0),)
    without = run_in_memory(prepared(mode), market, tmp_path / "without", is_final=False)
    later = run_in_memory(prepared(mode), market, tmp_path / "later", flows=late, is_final=False)
    assert_same_business(without, later)


# -- schedules

amounts = st.floats(1.0, 1e6)


@given(amount=amounts, part=st.floats(0.01, 0.99), seconds=st.integers(0, 10**9), is_paid_in=st.booleans())
def test_a_flow_split_in_two_is_one_flow(amount: float, part: float, seconds: int, is_paid_in: bool) -> None:
    sign = 1.0 if is_paid_in else -1.0
    (whole,) = schedule([CapitalFlow(seconds, sign * amount)], SECONDS_PER_HOUR)
    halves = [CapitalFlow(seconds, sign * amount * part), CapitalFlow(seconds, sign * (amount - amount * part))]
    (split,) = schedule(halves, SECONDS_PER_HOUR)
    assert (split.row_seconds, split.kind) == (whole.row_seconds, whole.kind)
    assert split.amount == pytest.approx(whole.amount, rel=1e-15)
    assert schedule(list(reversed(halves)), SECONDS_PER_HOUR) == (split,)


@given(seconds=st.integers(0, 10**9), step=st.sampled_from([300, SECONDS_PER_HOUR]))
def test_a_flow_belongs_to_the_first_row_at_or_after_it(seconds: int, step: int) -> None:
    (due,) = schedule([CapitalFlow(seconds, 1.0)], step)
    assert due.row_seconds % step == 0
    assert 0 <= due.row_seconds - seconds < step


def test_a_split_deposit_gives_the_same_run_to_the_bit(tmp_path: Path) -> None:
    market = partition(market_of("btc_basis"), 0, 80)
    whole = schedule([CapitalFlow(at(market, DEPOSIT_ROW), 50_000.0)], SECONDS_PER_HOUR)
    halves = schedule([CapitalFlow(at(market, DEPOSIT_ROW) - n, 25_000.0) for n in (0, 60)], SECONDS_PER_HOUR)
    one, two = (
        run_in_memory(prepared("btc_basis"), market, tmp_path / name, flows=flows)
        for name, flows in (("one", whole), ("two", halves))
    )
    assert bits_of(one.column("equity_usd")) == bits_of(two.column("equity_usd"))


# -- a book whose yield has a closed form


def compounding(rows: int) -> Market:
    index: Column = np.exp(GROWTH * np.arange(rows + 73, dtype=np.float64))[:, None]
    return quiet_market(LENDING, rows, liquidity_index=index)


flow_lists = st.lists(
    st.tuples(st.integers(1, 55), st.floats(5_000.0, 40_000.0), st.sampled_from(["in", "fast", "slow"])), max_size=5
)


@settings(max_examples=12)
@given(flows=flow_lists)
def test_the_returns_of_a_lending_book_do_not_depend_on_its_flows(
    flows: list[tuple[int, float, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    market = compounding(60)
    due = schedule(
        [
            CapitalFlow(at(market, row), amount, FlowSpeed.SLOW)
            if how == "in"
            else CapitalFlow(at(market, row), -0.5 * amount, FlowSpeed(how))
            for row, amount, how in flows
        ],
        SECONDS_PER_HOUR,
    )
    run = run_in_memory(
        prepared(LENDING, overrides=FREE_OF_COSTS), market, tmp_path_factory.mktemp("closed"), flows=due
    )
    returns = run.outcome.statistics.returns(flow_history(run))
    total, yearly = returns["total_return"], returns["money_weighted_return"]
    assert total is not None
    assert yearly is not None
    # What waits to be paid out earns nothing for a row; nothing else can differ.
    idle_rows = 2.0 * sum(how != "in" for _, _, how in flows)
    closed = np.expm1(59 * GROWTH)
    assert closed - idle_rows * GROWTH - 1e-12 <= total <= closed + 1e-12
    rate = np.expm1(GROWTH * 24 * 365)
    assert rate * (1.0 - (idle_rows + 1e-9) / 30.0) <= yearly <= rate * (1.0 + 1e-9)


def test_deposits_alone_leave_the_time_weighted_return_at_the_index(tmp_path: Path) -> None:
    market = compounding(60)
    due = schedule([CapitalFlow(at(market, row), 30_000.0) for row in (7, 20, 41)], SECONDS_PER_HOUR)
    run = run_in_memory(prepared(LENDING, overrides=FREE_OF_COSTS), market, tmp_path, flows=due)
    returns = run.outcome.statistics.returns(flow_history(run))
    assert returns["total_return"] == pytest.approx(np.expm1(59 * GROWTH), rel=1e-9)
    assert returns["max_drawdown"] == pytest.approx(0.0, abs=1e-15)


# -- limits


def test_nobody_is_paid_more_than_is_held(tmp_path: Path) -> None:
    market = quiet_market(LENDING, 30)
    due = schedule([CapitalFlow(at(market, 5), -150_000.0)], SECONDS_PER_HOUR)
    run = run_in_memory(prepared(LENDING), market, tmp_path, capital=100_000.0, flows=due)
    (error,) = run.events("system_errors")
    assert error["error_code"] == "PNL-005"
    paid, unpaid = -float(flow_history(run).amounts[1]), float(run.state.values["withdrawals_unpaid"])
    assert paid + unpaid == pytest.approx(150_000.0)
    assert 99_000.0 < paid < 101_000.0
    assert float(run.column("equity_usd")[-1]) == pytest.approx(0.0, abs=1e-6)
    assert all(units >= 0.0 for units in run.final_positions().values())
    returns = run.outcome.statistics.returns(flow_history(run))
    assert returns["total_return"] is not None
    assert abs(returns["total_return"]) < 1e-3


def test_a_fast_withdrawal_takes_what_is_idle_at_once(tmp_path: Path) -> None:
    market = quiet_market(LENDING, 30)
    idle = CapitalFlow(at(market, 5), 1_000.0)  # below the rebalance threshold, so it stays in the wallet
    runs = {
        speed: run_in_memory(
            prepared(LENDING),
            market,
            tmp_path / speed,
            flows=schedule([idle, CapitalFlow(at(market, 10), -5_000.0, speed)], SECONDS_PER_HOUR),
        )
        for speed in FlowSpeed
    }
    paid = {speed: flow_history(run).amounts[2:].tolist() for speed, run in runs.items()}
    assert paid[FlowSpeed.FAST] == pytest.approx([-1_000.0, -4_000.0])
    assert paid[FlowSpeed.SLOW] == pytest.approx([-5_000.0])
    instants = {speed: flow_history(run).seconds[2:] - at(market, 10) for speed, run in runs.items()}
    assert instants[FlowSpeed.FAST].tolist() == [0.0, SECONDS_PER_HOUR]
    assert instants[FlowSpeed.SLOW].tolist() == [SECONDS_PER_HOUR]


def test_where_only_the_entry_trades_a_withdrawal_takes_what_is_idle(tmp_path: Path) -> None:
    market = quiet_market(LENDING, 30)
    due = schedule([CapitalFlow(at(market, 5), 4_000.0), CapitalFlow(at(market, 10), -10_000.0)], SECONDS_PER_HOUR)
    run = run_in_memory(prepared(LENDING, scenarios=("frictionless",)), market, tmp_path, flows=due)
    assert flow_history(run).amounts[1:].tolist() == [4_000.0, -4_000.0]
    assert run.state.values["withdrawals_unpaid"] == 6_000.0
