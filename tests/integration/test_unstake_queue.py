"""The withdrawal queue: a claim at once, without yield, counted in equity, paid to the wallet after its delay.

A strategy that leaves at fixed rows drives the real engine over a market whose every number is chosen by hand.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest, EngineOptions
from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.replay import replay
from dataflow.settlement.capital_flows import schedule
from schemas.flows import CapitalFlow
from tests.support import leaving_strategy
from tests.support.modes import MODES
from tests.support.runs import (
    HEALTH,
    MemoryRun,
    assert_same_business,
    prepared,
    run_in_memory,
    run_in_partitions,
)

ROWS = 40
DELAY_ROWS = 12
"""Half a day, as the venue is configured here."""

CLAIM, WRAPPED = "etherfi:BaseToken:ETH", "wallet:BaseToken:WETH"
PRICE, GROWTH = 2_000.0, 1e-3

Leaving = Callable[..., Backtest]


@pytest.fixture
def leaving() -> Leaving:
    """The staking mode under the leaving strategy, with a queue of half a day and without costs."""
    mode = replace(MODES["eth_staking_only"], modules=(leaving_strategy,), rules=leaving_strategy.RULES)
    overrides = (
        "strategy_config.unstake_route=queue",
        "venue:etherfi.unstaking_period_days=0.5",
        "scenario:gas=false",
    )
    config = load_run_config(mode.mode, overrides=overrides).config
    return lambda **options: Backtest(config, EngineOptions(**options), spec=mode)


def market_of(backtest: Backtest) -> Market:
    """A constant price and a ratio that grows by the same amount every row."""
    market = random_market(backtest.market_request(), 1, ROWS)
    rows = len(market.instants)
    columns = {
        **market.columns,
        "eth_price": np.full(rows, PRICE),
        "lst_oracle_ratio": 1.0 + GROWTH * np.arange(-market.first_row, rows - market.first_row),
    }
    return replace(market, columns=columns)


def claims_of(run: MemoryRun) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """ETH in the queue at each row."""
    return run.column("claim_units")[:, 0]


def test_a_claim_is_credited_at_once_and_paid_after_the_delay(leaving: Leaving, tmp_path: Path) -> None:
    backtest = leaving()
    run = run_in_memory(backtest, market_of(backtest), tmp_path)
    first, second = 45.0 * (1.0 + 3 * GROWTH), 22.5 * (1.0 + 5 * GROWTH)  # 90 LST staked at a ratio of 1
    expected = np.zeros(ROWS)
    expected[3 : 3 + DELAY_ROWS] += first
    expected[5 : 5 + DELAY_ROWS] += second
    assert claims_of(run) == pytest.approx(expected, abs=1e-12)
    assert run.final_positions()[WRAPPED] == pytest.approx(first + second, rel=1e-15)
    assert run.final_positions()[CLAIM] == 0.0


def test_the_payment_is_a_settlement_of_its_own_before_the_decision_of_its_row(
    leaving: Leaving, tmp_path: Path
) -> None:
    backtest = leaving()
    run = run_in_memory(backtest, market_of(backtest), tmp_path)
    paid = [event for event in run.events("execution_deltas") if event["delta_type"] == "unstake_claim"]
    assert [event["timestamp"] for event in paid] == [str(run.instants[row + DELAY_ROWS]) for row in (3, 5)]
    for event in paid:
        deltas = event["deltas"]
        assert isinstance(deltas, list)
        assert [delta["position_key"] for delta in deltas] == [CLAIM, WRAPPED]
        (decided,) = [d for d in run.events("strategy_decisions") if d["timestamp"] == event["timestamp"]]
        assert decided["order"] > event["order"]  # type: ignore[operator]  # parsed events


def test_a_claim_earns_nothing_and_counts_in_equity_and_exposure(leaving: Leaving, tmp_path: Path) -> None:
    backtest = leaving()
    run = run_in_memory(backtest, market_of(backtest), tmp_path)
    staked = np.where(np.arange(ROWS) < 4, 90.0, np.where(np.arange(ROWS) < 6, 45.0, 22.5))
    yielded = np.add.accumulate(np.where(np.arange(ROWS) > 0, staked * GROWTH, 0.0))
    assert run.column("staking_yield_oracle") == pytest.approx(yielded, rel=1e-12)
    assert run.column("equity_share_class") == pytest.approx(100.0 + yielded, rel=1e-13)
    assert run.column("net_delta_units") == pytest.approx(100.0 + yielded, rel=1e-13)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0
    assert replay(tmp_path).ok


@pytest.mark.parametrize("options", [{"window": 1}, {"window": 7}, {"executor": "hamilton"}])
def test_neither_window_nor_executor_changes_a_bit(
    leaving: Leaving, options: dict[str, object], tmp_path: Path
) -> None:
    backtest = leaving()
    whole = run_in_memory(backtest, market_of(backtest), tmp_path / "whole")
    other = run_in_memory(leaving(**options), market_of(backtest), tmp_path / "other")
    assert_same_business(whole, other)


def test_claims_outlive_a_partition(leaving: Leaving, tmp_path: Path) -> None:
    backtest = leaving()
    whole = run_in_memory(backtest, market_of(backtest), tmp_path / "whole")
    chained = run_in_partitions(backtest, market_of(backtest), tmp_path / "chained", [4, 6, 15, 17])
    assert_same_business(whole, chained, without=(HEALTH,))


def test_a_run_without_a_queue_has_no_claims() -> None:
    assert "claim" not in Backtest(load_run_config("eth_staking_only").config).parameters.groups.keys


@pytest.mark.parametrize(("mode", "warned"), [("eth_staking_only", False), ("eth_leveraged", True)])
def test_a_mode_that_cannot_wait_says_that_it_swaps(mode: str, warned: bool) -> None:
    loaded = load_run_config(mode, overrides=("strategy_config.unstake_route=queue",))
    assert any("always swaps" in warning.message for warning in loaded.warnings) is warned


def test_a_withdrawal_waits_for_the_queue_and_costs_no_slippage(tmp_path: Path) -> None:
    overrides = ("strategy_config.unstake_route=queue", "venue:etherfi.unstaking_period_days=0.5")
    backtest = prepared("eth_staking_only", overrides=(*overrides, "scenario:gas=false"))
    market = market_of(backtest)
    asked, step = int(market.instants[market.first_row + 10].astype(np.int64)), backtest.config.mode.clock_step_seconds
    flows = schedule([CapitalFlow(asked, -30.0)], step)
    run = run_in_memory(backtest, market, tmp_path / "whole", flows=flows)
    assert [event["operation_type"] for event in run.events("operation_executions")] == ["stake", "unstake"]
    settled = {str(event["delta_type"]): str(event["timestamp"]) for event in run.events("execution_deltas")}
    assert settled["unstake_claim"] == settled["capital_flow"] == str(run.instants[10 + DELAY_ROWS])
    assert claims_of(run)[10:22].min() == pytest.approx(30.0, abs=0.01)
    assert run.column("transaction_costs")[-1] == 0.0
    assert run.column("equity_share_class")[-1] - run.column("total_pnl_share_class")[-1] == pytest.approx(70.0)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0
    windowed = prepared("eth_staking_only", overrides=(*overrides, "scenario:gas=false"), window=1)
    assert_same_business(run, run_in_memory(windowed, market, tmp_path / "windowed", flows=flows))
