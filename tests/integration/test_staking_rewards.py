"""Staking rewards: paid at their instant for the ETH staked on the days of their period, and part of the P&L.

The market has a constant ETH price and a constant LST ratio, so every number can be checked by hand.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataflow.market.market import DUST_PRICE
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.replay import replay
from schemas.errors import MissingPriceError
from tests.support.marks import all_but_first
from tests.support.rewards import (
    DAY_ROWS,
    EIGEN_KEY,
    EIGEN_PRICE,
    ETHFI_KEY,
    ETHFI_PRICE,
    KEPT,
    REWARDS,
    ROWS,
    STAKING_MODES,
    market_of,
    run_of,
)
from tests.support.runs import HEALTH, assert_same_business, prepared, run_in_memory, run_in_partitions


def test_a_reward_is_the_mean_eth_of_its_days_times_its_rate(tmp_path: Path) -> None:
    market = market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2), ("ETHFI", 6, 1, 4, 0.1))
    run = run_of(market, tmp_path, *KEPT)
    assert run.final_positions()[EIGEN_KEY] == pytest.approx(100.0 * 0.2, rel=1e-14)
    assert run.final_positions()[ETHFI_KEY] == pytest.approx(100.0 * 0.1, rel=1e-14)


def test_days_before_the_entry_count_as_nothing(tmp_path: Path) -> None:
    """Entered on day 0 at 00:00, so day 0 begins with nothing: of days -3 to 3 three count."""
    run = run_of(market_of("eth_staking_only", ("EIGEN", 3, -3, 3, 0.7)), tmp_path, *KEPT)
    assert run.final_positions()[EIGEN_KEY] == pytest.approx(100.0 * 0.7 * 3 / 7, rel=1e-14)


def test_a_reward_is_settled_at_its_row_and_booked_at_its_value(tmp_path: Path) -> None:
    run = run_of(market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2), ("ETHFI", 5, 1, 4, 0.1)), tmp_path, *KEPT)
    value = 20.0 * EIGEN_PRICE + 10.0 * ETHFI_PRICE
    paid = np.where(np.arange(ROWS) >= 5 * DAY_ROWS, value, 0.0)
    assert run.column("staking_yield_rewards") == pytest.approx(paid, rel=1e-13)
    assert run.column("equity_share_class") == pytest.approx(100.0 + paid, rel=1e-13)
    events = [event for event in run.events("execution_deltas") if event["delta_type"] == "seasonal_rewards"]
    assert [event["timestamp"] for event in events] == [str(run.instants[5 * DAY_ROWS])] * 2
    assert [event["total_delta_value_usd"] for event in events] == pytest.approx([80.0, 20.0], rel=1e-13)
    assert replay(tmp_path).ok


def test_what_a_reward_token_gains_or_loses_until_it_is_sold_is_dust_pnl(tmp_path: Path) -> None:
    market = market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2))
    moved = market.columns[DUST_PRICE].copy(order="F")
    moved[market.first_row + 6 * DAY_ROWS :, 0] = 0.5 * EIGEN_PRICE
    run = run_of(replace(market, columns={**market.columns, DUST_PRICE: moved}), tmp_path, *KEPT)
    lost = np.where(np.arange(ROWS) >= 6 * DAY_ROWS, -20.0 * 0.5 * EIGEN_PRICE, 0.0)
    assert run.column("dust_pnl") == pytest.approx(lost, rel=1e-13)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0


def test_collateral_earns_rewards_and_debt_costs_none(tmp_path: Path) -> None:
    market = market_of("eth_leveraged", ("EIGEN", 5, 3, 5, 0.2))
    run = run_of(market, tmp_path, *KEPT, mode="eth_leveraged")
    restaked = run.column("restaked_eth")[[day * DAY_ROWS for day in (3, 4, 5)]]
    assert restaked.min() > 200.0
    assert run.final_positions()[EIGEN_KEY] == pytest.approx(0.2 * restaked.mean(), rel=1e-13)


def test_a_token_without_a_price_stops_the_run_where_it_is_paid(tmp_path: Path) -> None:
    market = market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2))
    unpriced = market.columns[DUST_PRICE].copy(order="F")
    unpriced[:, 0] = np.nan
    with pytest.raises(MissingPriceError) as raised:
        run_of(replace(market, columns={**market.columns, DUST_PRICE: unpriced}), tmp_path, *KEPT)
    instant = str(market.instants[market.first_row + 5 * DAY_ROWS])
    assert (raised.value.context["token"], raised.value.context["timestamp"]) == ("EIGEN", instant)


def test_a_token_that_loses_its_price_while_held_stops_the_run(tmp_path: Path) -> None:
    market = market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2))
    unpriced = market.columns[DUST_PRICE].copy(order="F")
    unpriced[market.first_row + 5 * DAY_ROWS + 7 :, 0] = np.nan
    with pytest.raises(MissingPriceError) as raised:
        run_of(replace(market, columns={**market.columns, DUST_PRICE: unpriced}), tmp_path, *KEPT)
    assert raised.value.context["timestamp"] == str(market.instants[market.first_row + 5 * DAY_ROWS + 7])


def test_weekly_mode_pays_no_top_ups(tmp_path: Path) -> None:
    backtest = prepared("eth_staking_only", overrides=("rewards_mode=base_eigen",))
    assert backtest.market_request().reward_tokens == ("EIGEN",)
    assert ETHFI_KEY not in backtest.parameters.groups.all_keys()


@pytest.mark.parametrize("mode", STAKING_MODES)
def test_a_run_without_rewards_has_nothing_of_them(mode: str) -> None:
    for options in ({}, {"scenarios": ("frictionless",), "overrides": (REWARDS,)}):
        backtest = prepared(mode, **options)
        assert "dust" not in backtest.parameters.groups.keys
        assert "staking_rewards" not in backtest.market_request().columns
        assert not {"dust_units", "restaked_eth", "dust_pnl_step"} & backtest.graph.by_name.keys()


@pytest.mark.parametrize("mode", all_but_first("laws", STAKING_MODES))
def test_neither_window_nor_executor_nor_partition_changes_a_bit(mode: str, tmp_path: Path) -> None:
    whole = prepared(mode, overrides=(REWARDS,))
    market = random_market(whole.market_request(), 1, ROWS, calm_rows=ROWS)
    one = run_in_memory(whole, market, tmp_path / "one")
    assert one.column("staking_yield_rewards")[-1] > 0.0
    assert np.abs(one.column("unexplained_pnl")).max() <= 1e-9 * whole.config.initial_capital
    assert replay(tmp_path / "one").ok
    windowed = run_in_memory(prepared(mode, overrides=(REWARDS,), window=7), market, tmp_path / "window")
    assert_same_business(one, windowed)
    walked = run_in_memory(prepared(mode, overrides=(REWARDS,), executor="hamilton"), market, tmp_path / "hamilton")
    assert_same_business(one, walked)
    chained = run_in_partitions(whole, market, tmp_path / "chained", [1, 48, 73, 120])
    assert_same_business(one, chained, without=(HEALTH,))
