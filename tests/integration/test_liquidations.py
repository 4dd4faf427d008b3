"""Forced liquidation, [domain] rulings 21 and 22: what a venue takes, hand-checked, and what the run makes of it.

A price gap takes a book below its maintenance margin between two rows, before any rule can act. The venue's own
arithmetic is checked by hand on a quiet market; on violent ones every law of a run holds through liquidations, in each
mode that holds perpetuals, for any window and executor.
"""

from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.laws import attribution_faults, conservation_faults, replay_faults
from schemas.operations import DeltaType
from strategies.basis import rules as basis
from strategies.leverage import rules as leverage
from tests.support.gaps import PRICES, flat_market, with_gap
from tests.support.markets import partition, quiet_market
from tests.support.runs import (
    FREE_OF_COSTS,
    HEALTH,
    Event,
    MemoryRun,
    assert_same_business,
    prepared,
    run_in_memory,
    run_in_partitions,
)

GAP_ROW = 30
ROWS = 60
PRICE = 60_000.0


def liquidation_deltas(run: MemoryRun) -> list[Event]:
    """Changes that liquidations made, fees and profits included."""
    return [event for event in run.events("execution_deltas") if event["trigger_source"] == "liquidation"]


def units_by_row(run: MemoryRun, name: str, row: int) -> list[float]:
    """A column of every venue at a row."""
    values: list[float] = run.column(name)[row].tolist()
    return values


# -- worked examples


def test_liquidation_at_an_exchange_by_hand(tmp_path: Path) -> None:
    """BTC gaps from 60,000 to 420,000: at each venue a short of q BTC stands against q BTC and almost no USDT.

    Margin ratio: (0.95 x 420,000 - 360,000) / 420,000 = 0.0929 < 0.10. The venue closes the short at its mark: 360,000
    q of loss and 0.0055 x 420,000 q = 2,310 q of fees. The coins back what is then owed (399,000 q > 362,310 q), so
    they stay until the strategy, at the same row, sells them and goes home.
    """
    market = with_gap(quiet_market("btc_basis", ROWS), GAP_ROW, 7.0)
    run = run_in_memory(prepared("btc_basis"), market, tmp_path)
    held = -run.column("perp_units")[GAP_ROW - 1, 0]
    usdt = run.column("quote_units")[GAP_ROW - 1, 0]

    closed, realised, fee = liquidation_deltas(run)[:3]
    assert [event["delta_type"] for event in (closed, realised, fee)] == ["liquidation", "realized_pnl", "fee"]
    assert changes(closed) == {"binance:PerpPosition:BTC-PERP": pytest.approx(held)}
    assert changes(realised) == {"binance:BaseToken:USDT": pytest.approx(-held * 360_000.0, rel=1e-3)}
    assert changes(fee) == {"binance:BaseToken:USDT": pytest.approx(-held * 420_000.0 * (0.0005 + 0.005))}

    after = next(e for e in run.events("positions") if e["order"] == int(str(fee["order"])) + 1)
    owed = held * 362_310.0 - usdt
    assert after["positions"]["binance:BaseToken:USDT"] == pytest.approx(-owed, rel=1e-3)  # type: ignore[index]  # a parsed event
    assert after["positions"]["binance:BaseToken:BTC"] == pytest.approx(held)  # type: ignore[index]  # a parsed event

    (error, *others) = [event for event in run.events("system_errors") if event["error_code"] == "RISK-005"]
    assert len(others) == 2
    assert error["metadata"]["venue"] == "binance"  # type: ignore[index]  # a parsed event
    assert error["metadata"]["margin_ratio"] == pytest.approx(1 / 7 - 0.05, abs=5e-3)  # type: ignore[index]  # a parsed event
    assert run.outcome.liquidations == 3
    assert run.column("decision")[GAP_ROW] == basis.EXIT_MARGIN.code
    assert np.all(run.column("spot_units")[GAP_ROW] == 0.0)
    assert np.all(run.column("quote_units")[GAP_ROW] >= 0.0)


def test_a_venue_takes_coins_that_back_nothing_and_bears_what_is_missing(tmp_path: Path) -> None:
    """Perpetuals alone gap to 180,000: 120,000 q of loss and 990 q of fees against coins worth 60,000 q.

    The venue sells the coins for 60,000 q less 0.1 % and writes off the rest: equity there is exactly 0.
    """
    market = with_gap(quiet_market("btc_basis", ROWS), GAP_ROW, 3.0, ("perp_mark",))
    run = run_in_memory(prepared("btc_basis"), market, tmp_path)
    held, usdt = -run.column("perp_units")[GAP_ROW - 1, 0], run.column("quote_units")[GAP_ROW - 1, 0]

    steps = liquidation_deltas(run)[:6]
    assert [event["delta_type"] for event in steps] == [
        "liquidation",
        "liquidation",
        "fee",
        "liquidation",
        "realized_pnl",
        "fee",
    ]
    sold, missing = steps[1], steps[3]
    assert changes(sold) == {
        "binance:BaseToken:BTC": pytest.approx(-held),
        "binance:BaseToken:USDT": pytest.approx(held * PRICE),
    }
    loss = held * (120_000.0 + 990.0 - 60_000.0 * (1.0 - 0.001)) - usdt
    assert changes(missing) == {"binance:BaseToken:USDT": pytest.approx(loss, rel=1e-3)}
    (error, *_) = [event for event in run.events("system_errors") if event["error_code"] == "RISK-005"]
    assert error["metadata"]["venue_loss_usd"] == pytest.approx(loss, rel=1e-3)  # type: ignore[index]  # a parsed event
    assert units_by_row(run, "venue_equity_usd", GAP_ROW) == [0.0, 0.0, 0.0]
    assert run.column("equity_usd")[GAP_ROW] == run.column("wallet_units")[GAP_ROW, 0]


def test_liquidation_at_the_pool_by_hand(tmp_path: Path) -> None:
    """100 ETH at a loan-to-value of 0.65: 285.714 ETH of collateral, 185.714 ETH of debt, which then gaps by 49 %.

    Debt 276.714, loan-to-value 0.9685, health factor 0.95 / 0.9685 = 0.9809: above 0.95, so a liquidator repays half,
    138.357, and takes 1 % more, 139.741. The bonus of 1.384 ETH is a cost. What is left, 145.974 against 138.357, has a
    health factor of 1.0023 < 1.1: at the same row the strategy deleverages to 0.65.
    """
    backtest = prepared("eth_leveraged", overrides=FREE_OF_COSTS)
    quiet = flat_market(backtest.market_request(), ROWS, eth_price=3_000.0)
    run = run_in_memory(backtest, with_gap(quiet, GAP_ROW, 1.49, ("variable_borrow_index",)), tmp_path)

    collateral, debt = 100.0 / 0.35, 65.0 / 0.35
    owed = 1.49 * debt
    assert run.column("a_token_units")[GAP_ROW - 1, 0] == pytest.approx(collateral)
    repaid, seized = liquidation_deltas(run)
    assert [event["delta_type"] for event in (repaid, seized)] == ["liquidation", "liquidation"]
    assert changes(repaid) == {"aave:debtToken:debtWETH": pytest.approx(-0.5 * debt)}
    assert changes(seized) == {"aave:aToken:aweETH": pytest.approx(-0.5 * owed * 1.01)}

    (error,) = [event for event in run.events("system_errors") if event["error_code"] == "RISK-005"]
    assert error["metadata"]["health_factor"] == pytest.approx(0.95 * collateral / owed)  # type: ignore[index]  # a parsed event
    bonus = 0.5 * owed * 0.01
    assert run.column("transaction_costs")[GAP_ROW] == pytest.approx(-bonus)
    assert run.column("borrow_cost")[GAP_ROW] == pytest.approx(-0.49 * debt)
    assert run.column("equity_share_class")[GAP_ROW] == pytest.approx(100.0 - 0.49 * debt - bonus)
    assert run.column("decision")[GAP_ROW] == leverage.REDUCE_HEALTH.code
    assert run.column("ltv")[GAP_ROW] == pytest.approx(0.65)
    assert run.outcome.liquidations == 1


def test_a_loan_without_collateral_left_is_the_pools_loss(tmp_path: Path) -> None:
    """The debt gaps by 60 % to 297.143 ETH: a health factor of 0.913, so all may be repaid, but 285.714 / 1.01 only is.

    The collateral goes to the liquidator; the 14.26 ETH that nothing backs any more are burnt, and the equity is 0.
    """
    backtest = prepared("eth_leveraged", overrides=FREE_OF_COSTS)
    quiet = flat_market(backtest.market_request(), ROWS, eth_price=3_000.0)
    run = run_in_memory(backtest, with_gap(quiet, GAP_ROW, 1.6, ("variable_borrow_index",)), tmp_path)

    collateral, owed = 100.0 / 0.35, 1.6 * 65.0 / 0.35
    repaid, seized, burnt = liquidation_deltas(run)
    assert changes(seized) == {"aave:aToken:aweETH": pytest.approx(-collateral)}
    assert changes(repaid) == {"aave:debtToken:debtWETH": pytest.approx(-collateral / 1.01 / 1.6)}
    missing = owed - collateral / 1.01
    assert changes(burnt) == {"aave:debtToken:debtWETH": pytest.approx(-missing / 1.6)}
    (error,) = [event for event in run.events("system_errors") if event["error_code"] == "RISK-005"]
    assert error["metadata"]["venue_loss_usd"] == pytest.approx(missing * 3_000.0)  # type: ignore[index]  # a parsed event
    assert run.column("equity_usd")[GAP_ROW] == pytest.approx(0.0, abs=1e-9)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0


@pytest.mark.parametrize("version", ["3.0.2", "3.6"])
@pytest.mark.parametrize("gap", [1.465, 1.49, 1.535, 1.6])
def test_the_pool_does_what_the_risk_columns_foresee(version: str, gap: float, tmp_path: Path) -> None:
    """Half of the debt, all of it, or what the collateral pays for, by either version of the contracts.

    A liquidation that the exact pool and the columns of the risk stage do not agree on stops the run with POS-005.
    """
    overrides = (*FREE_OF_COSTS, f"venue:aave_v3.contract_version='{version}'")
    backtest = prepared("eth_leveraged", overrides=overrides)
    quiet = flat_market(backtest.market_request(), ROWS, eth_price=3_000.0)
    run = run_in_memory(backtest, with_gap(quiet, GAP_ROW, gap, ("variable_borrow_index",)), tmp_path)
    assert run.outcome.liquidations >= 1
    assert run.outcome.reconciliation_failures == 0
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0
    assert list(replay_faults(run.log_dirs[0], run.final_positions())) == []


def changes(event: Event) -> dict[str, float]:
    """Key to change of one event."""
    deltas = event["deltas"]
    assert isinstance(deltas, list)
    return {delta["position_key"]: delta["delta_amount"] for delta in deltas}


# -- every law holds through a liquidation

LEVERED = ("ml_config.max_position_size=3.0", "margin_ratio_target=0.31", "ml_config.signal_threshold=0.5")
"""At a size of one, no gap that a stop misses takes a directional book below its maintenance margin."""

ALWAYS_IN = ("strategy_config.funding_enter_apr=-50.0", "strategy_config.funding_leave_apr=-50.0")
DEBT = ("variable_borrow_index",)


class Situation(NamedTuple):
    """A mode and what liquidates it: overrides, and gaps as (row, factor, columns)."""

    mode: str
    overrides: tuple[str, ...]
    gaps: tuple[tuple[int, float, Collection[str]], ...]


def price_gaps(factor: float) -> tuple[tuple[int, float, Collection[str]], ...]:
    """Prices jump up, down and up again."""
    return ((40, factor, PRICES), (90, 1.0 / factor, PRICES), (140, factor, PRICES))


SITUATIONS = (
    Situation("btc_basis", ALWAYS_IN, price_gaps(9.0)),
    Situation("eth_basis", ALWAYS_IN, price_gaps(9.0)),
    Situation("usdt_market_neutral_no_leverage", (), price_gaps(2.1)),
    Situation("usdt_market_neutral", (), price_gaps(2.1)),
    Situation("ml_btc_directional_usdt_margin", LEVERED, price_gaps(1.4)),
    Situation("ml_btc_directional_btc_margin", LEVERED, price_gaps(1.7)),
    Situation("eth_leveraged", (), ((40, 1.52, DEBT), (90, 1.49, DEBT), (140, 1.5, DEBT))),
    Situation("usdt_market_neutral", (), ((40, 1.5, DEBT), (90, 2.1, PRICES), (140, 1.49, DEBT))),
)

SEEDS = (2, 4)
LONG = 160

each_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: f"{s.mode}-{len(s.gaps[0][2])}")


@cache
def gapped_market(situation: Situation, seed: int) -> Market:
    """A calm random market with the gaps of a situation."""
    backtest = prepared(situation.mode, overrides=situation.overrides)
    market = random_market(backtest.market_request(), seed, LONG, calm_rows=LONG)
    for row, factor, columns in situation.gaps:
        market = with_gap(market, row, factor, columns)
    return market


Liquidated = Callable[[Situation, int], MemoryRun]


@pytest.fixture(scope="module")
def liquidated(tmp_path_factory: pytest.TempPathFactory) -> Liquidated:
    """A function from situation and seed to the run over that gapped market."""

    @cache
    def run(situation: Situation, seed: int) -> MemoryRun:
        backtest = prepared(situation.mode, overrides=situation.overrides)
        return run_in_memory(backtest, gapped_market(situation, seed), tmp_path_factory.mktemp("liquidated"))

    return run


@each_situation
@pytest.mark.parametrize("seed", SEEDS)
def test_every_law_holds_through_liquidations(situation: Situation, seed: int, liquidated: Liquidated) -> None:
    run = liquidated(situation, seed)
    columns = {name: column for stage in run.columns.values() for name, column in stage.items()}
    backtest, capital = run.backtest, run.backtest.config.initial_capital
    assert run.outcome.liquidations >= 1
    assert run.outcome.counts.operations_failed == 0
    assert run.outcome.reconciliation_failures == 0
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * max(capital, run.column("equity_share_class").max())
    assert list(attribution_faults(columns, backtest.attribution_types, capital)) == []
    assert list(replay_faults(run.log_dirs[0], run.final_positions())) == []
    assert list(conservation_faults(run.log_dirs[0], run.instants, columns, backtest.config.cex_venues)) == []


@each_situation
def test_a_liquidated_book_is_closed_or_deleveraged_and_enters_nothing_for_a_day(
    situation: Situation, liquidated: Liquidated
) -> None:
    for seed in SEEDS:
        run = liquidated(situation, seed)
        rows = liquidation_rows(run)
        assert len(rows) > 0
        if "perp_units" in run.columns["positions"]:
            held = [name for name in ("perp_units", "lst_units", "a_token_units") if name in run.columns["positions"]]
            assert all(np.all(run.column(name)[rows] == 0.0) for name in held), "what no venue took the strategy closes"
        assert np.all(run.column("cooldown_over")[rows] == 0.0)


def liquidation_rows(run: MemoryRun) -> list[int]:
    """Rows at which a venue liquidated."""
    instants = {event["timestamp"] for event in liquidation_deltas(run)}
    return [row for row, instant in enumerate(np.datetime_as_string(run.instants, unit="s")) if instant in instants]


@each_situation
def test_window_and_partitions_change_no_bit_of_a_liquidation(
    situation: Situation, liquidated: Liquidated, tmp_path: Path
) -> None:
    overrides, market = situation.overrides, gapped_market(situation, SEEDS[0])
    whole = liquidated(situation, SEEDS[0])
    windowed = run_in_memory(prepared(situation.mode, overrides=overrides, window=1), market, tmp_path / "windowed")
    assert_same_business(whole, windowed)
    first, second, _ = (row for row, _, _ in situation.gaps)
    backtest = prepared(situation.mode, overrides=overrides)
    chained = run_in_partitions(backtest, market, tmp_path / "chained", [first, first + 1, second])
    assert_same_business(whole, chained, without=(HEALTH,))


@pytest.mark.parametrize("at", [4, 6], ids=["exchange", "pool"])
def test_hamilton_liquidates_to_the_same_bit(at: int, tmp_path: Path) -> None:
    mode, overrides, gaps = SITUATIONS[at]
    market = partition(gapped_market(SITUATIONS[at], SEEDS[0]), gaps[0][0] - 15, gaps[0][0] + 2)
    plan = run_in_memory(prepared(mode, overrides=overrides), market, tmp_path / "plan")
    hamilton = run_in_memory(prepared(mode, overrides=overrides, executor="hamilton"), market, tmp_path / "hamilton")
    assert plan.outcome.liquidations >= 1
    assert_same_business(plan, hamilton)


@pytest.mark.parametrize("at", [0, 2, 6])
def test_frictionless_liquidates_nothing(at: int, tmp_path: Path) -> None:
    backtest = prepared(SITUATIONS[at].mode, scenarios=("frictionless",))
    run = run_in_memory(backtest, gapped_market(SITUATIONS[at], SEEDS[0]), tmp_path)
    assert run.column("worst_margin_ratio").min() < 0.1 or run.column("health_factor").min() < 1.0
    assert run.outcome.liquidations == 0
    assert {event["delta_type"] for event in run.events("execution_deltas")} <= {
        DeltaType.INITIAL_CAPITAL.value,
        DeltaType.EXECUTION_DELTAS.value,
        DeltaType.FUNDING.value,
    }
