"""Reward tokens are sold when they are worth it: the threshold, what the sale costs, and where its proceeds go."""

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from dataflow.market.market import DUST_PRICE, Market
from dataflow.records.audit.replay import replay
from schemas.units import Column
from strategies.hedged import rules as hedged
from strategies.leverage import rules as leverage
from strategies.staking import rules as staking
from tests.support.rewards import DAY_ROWS, EIGEN_KEY, ETHFI_KEY, GAS_GWEI, PRICE, market_of, run_of
from tests.support.runs import MemoryRun, prepared

DEAR = 0.02
"""ETH per token in these markets: 20 EIGEN are worth 0.4 ETH, twice the threshold of 100 ETH of equity."""

PAID_AT = 5 * DAY_ROWS
SWAP_GAS_ETH = 180_000 * GAS_GWEI * 1e-9
EIGEN_BPS = 10.0
HEDGED = "usdt_market_neutral_no_leverage"


def dear(market: Market) -> Market:
    """The market with tokens that are worth selling."""
    prices = np.full((len(market.instants), 2), DEAR, order="F")
    return replace(market, columns={**market.columns, DUST_PRICE: prices})


def sales_of(run: MemoryRun) -> list[str]:
    """Instants of the decisions to sell dust."""
    return [str(e["timestamp"]) for e in run.events("strategy_decisions") if e["decision_type"] == "sell_dust"]


def test_dust_is_sold_on_the_row_where_it_passes_the_threshold(tmp_path: Path) -> None:
    run = run_of(dear(market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2))), tmp_path)
    assert sales_of(run) == [str(run.instants[PAID_AT])]
    assert run.final_positions()[EIGEN_KEY] == 0.0
    assert run.final_positions()["wallet:BaseToken:WETH"] == pytest.approx(20.0 * DEAR, rel=1e-14)
    assert run.column("equity_share_class")[-1] == pytest.approx(100.0 + 20.0 * DEAR, rel=1e-14)
    assert replay(tmp_path).ok


def test_a_sale_pays_slippage_and_gas_and_books_both(tmp_path: Path) -> None:
    market = dear(market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2)))
    run = run_of(market, tmp_path, costs=True)
    costs = run.column("transaction_costs")
    sold = run.events("operation_executions")[-1]
    amount = -sold["actual_deltas"][EIGEN_KEY]  # type: ignore[index]  # a parsed event
    slipped = amount * DEAR * EIGEN_BPS * 1e-4
    assert costs[PAID_AT] - costs[PAID_AT - 1] == pytest.approx(-slipped - SWAP_GAS_ETH, rel=1e-12)
    assert sold["fee_amount"] == pytest.approx(SWAP_GAS_ETH, rel=1e-14)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0


def test_both_tokens_are_sold_at_once(tmp_path: Path) -> None:
    run = run_of(dear(market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2), ("ETHFI", 5, 1, 4, 0.1))), tmp_path)
    assert len(sales_of(run)) == 1
    assert run.final_positions()[EIGEN_KEY] == run.final_positions()[ETHFI_KEY] == 0.0


@pytest.mark.parametrize(
    ("override", "costs"),
    [
        pytest.param("dust_delta=0.005", False, id="below-the-share-of-equity"),
        pytest.param("strategy_config.dust_gas_multiple=300", True, id="below-so-many-times-its-gas"),
    ],
)
def test_dust_that_is_not_worth_it_is_kept(override: str, costs: bool, tmp_path: Path) -> None:
    run = run_of(dear(market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2))), tmp_path, override, costs=costs)
    assert sales_of(run) == []
    assert run.final_positions()[EIGEN_KEY] > 19.0


def test_a_hedged_book_turns_dust_into_margin_and_stays_hedged(tmp_path: Path) -> None:
    market = market_of(HEDGED, ("EIGEN", 5, 3, 5, 1.0))
    rows, venues = len(market.instants), 3
    flat = np.full((rows, venues), PRICE, order="F")
    steady = dict.fromkeys(("spot_price", "perp_mark"), flat)
    idle = {name: np.zeros((rows, venues), order="F") for name in ("funding_rate", "funding_settled")}
    reference = {"reference_price": np.full(rows, PRICE)}
    market = dear(replace(market, columns={**market.columns, **steady, **idle, **reference}))
    run = run_of(market, tmp_path, mode=HEDGED, costs=True)
    assert sales_of(run) == [str(run.instants[PAID_AT])]
    assert run.final_positions()[EIGEN_KEY] == 0.0
    before, after = (run.column("quote_units")[row, 0] for row in (PAID_AT - 1, PAID_AT))
    worth = run.column("staking_yield_rewards")[PAID_AT]
    assert worth > 400.0
    assert 0.98 * worth < after - before < worth
    assert run.column("net_delta_fraction")[PAID_AT] < 1e-3
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100_000.0


def test_a_sale_of_dust_does_not_move_the_reference_of_the_rebalance(tmp_path: Path) -> None:
    run = run_of(dear(market_of("eth_staking_only", ("EIGEN", 5, 3, 5, 0.2))), tmp_path)
    assert run.state.values["reference_equity"] == 100.0


def rule_of(decision: Callable[..., Column], **given: Column | float) -> float:
    """Code of the rule that applies with the inputs given; every other column and threshold is 0."""
    asked = signature(decision).parameters
    assert given.keys() <= asked.keys()
    rest = {name: 0.0 if asked[name].annotation in (float, bool) else np.zeros(1) for name in asked}
    return float(decision(**{**rest, **given})[0])


def test_a_risk_exit_comes_before_dust() -> None:
    one = np.ones(1)
    loan = {"has_supplied": one, "health_factor": 1.05 * one, "ltv": 0.9 * one, "ltv_gap": 0.25 * one}
    limits = {"health_factor_min": 1.1, "ltv_max": 0.95, "ltv_drift_tolerance": 0.02}
    assert rule_of(leverage.decision, dust_is_due=one, **loan, **limits) == leverage.REDUCE_HEALTH.code
    levels = {"margin_exit": 0.2, "margin_warning": 0.4, "margin_excess": 2.0, "net_delta_trade": 0.02}
    short = {"worst_margin_ratio": 0.15 * one}
    assert rule_of(hedged.decision, dust_is_due=one, **short, **levels) == hedged.EXIT_MARGIN.code


def test_dust_comes_before_idle_balances() -> None:
    one = np.ones(1)
    idle = {"deployable_usd": 500.0 * one, "has_staked": one, "idle_is_due": one}
    assert rule_of(staking.decision, dust_is_due=one, min_trade_usd=10.0, **idle) == staking.SELL_DUST.code
    assert rule_of(staking.decision, min_trade_usd=10.0, **idle) == staking.ADD_IDLE.code


def test_the_slippage_of_reward_tokens_is_configured() -> None:
    costs = prepared("eth_staking_only").parameters.costs
    found = [
        costs.slippage("swap", "uniswap", pair, notional) * 1e4
        for pair in ("EIGENETH", "ETHFIETH")
        for notional in (1e4, 1e5, 1e6)
    ]
    assert found == pytest.approx([10, 16, 35, 15, 25, 50], rel=1e-12)
