"""Forced liquidation, [domain] rulings 21 and 22: what a venue takes, hand-checked, and what the run makes of it.

A price gap takes a book below its maintenance margin between two rows, before any rule can act. The venue's own
arithmetic is checked by hand on a quiet market; on violent ones every law of a run holds through liquidations, in each
mode that holds perpetuals, for any window and executor.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dataflow.app.run_laws import attribution_faults, conservation_faults, replay_faults
from dataflow.market.market import Market
from dataflow.market.random_markets import random_market
from schemas.operations import DeltaType
from strategies import basis
from tests.support.gaps import with_gap
from tests.support.markets import partition, quiet_market
from tests.support.runs import (
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
    assert after["positions"]["binance:BaseToken:USDT"] == pytest.approx(-owed, rel=1e-3)  # type: ignore[index]
    assert after["positions"]["binance:BaseToken:BTC"] == pytest.approx(held)  # type: ignore[index]

    (error, *others) = [event for event in run.events("system_errors") if event["error_code"] == "RISK-005"]
    assert len(others) == 2
    assert error["metadata"]["venue"] == "binance"  # type: ignore[index]
    assert error["metadata"]["margin_ratio"] == pytest.approx(1 / 7 - 0.05, abs=5e-3)  # type: ignore[index]
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
        "realized_pnl",
        "fee",
        "liquidation",
        "fee",
        "liquidation",
    ]
    sold, missing = steps[3], steps[5]
    assert changes(sold) == {
        "binance:BaseToken:BTC": pytest.approx(-held),
        "binance:BaseToken:USDT": pytest.approx(held * PRICE),
    }
    loss = held * (120_000.0 + 990.0 - 60_000.0 * (1.0 - 0.001)) - usdt
    assert changes(missing) == {"binance:BaseToken:USDT": pytest.approx(loss, rel=1e-3)}
    (error, *_) = [event for event in run.events("system_errors") if event["error_code"] == "RISK-005"]
    assert error["metadata"]["venue_loss_usd"] == pytest.approx(loss, rel=1e-3)  # type: ignore[index]
    assert units_by_row(run, "venue_equity_usd", GAP_ROW) == [0.0, 0.0, 0.0]
    assert run.column("equity_usd")[GAP_ROW] == run.column("wallet_units")[GAP_ROW, 0]


def changes(event: Event) -> dict[str, float]:
    """Key to change of one event."""
    deltas = event["deltas"]
    assert isinstance(deltas, list)
    return {delta["position_key"]: delta["delta_amount"] for delta in deltas}


# -- every law holds through a liquidation

LEVERED = ("ml_config.max_position_size=3.0", "ml_config.signal_threshold=0.5")
"""At a size of one, no gap that a stop misses takes a directional book below its maintenance margin."""

ALWAYS_IN = ("strategy_config.funding_enter=-0.05", "strategy_config.funding_leave=-0.05")

SITUATIONS: Mapping[str, tuple[tuple[str, ...], float]] = {
    "btc_basis": (ALWAYS_IN, 9.0),
    "eth_basis": (ALWAYS_IN, 9.0),
    "usdt_market_neutral_no_leverage": ((), 2.1),
    "usdt_market_neutral": ((), 2.1),
    "ml_btc_directional_usdt_margin": (LEVERED, 1.4),
    "ml_btc_directional_btc_margin": (LEVERED, 1.7),
}
"""Mode to overrides, and to the gap that liquidates its perpetuals: prices rise and fall by this factor in turn."""

SEEDS = (4, 5)
GAPS = (40, 90, 140)
LONG = 160


@cache
def gapped_market(mode: str, seed: int) -> Market:
    """A calm random market with a gap up, one down and one up again."""
    overrides, factor = SITUATIONS[mode]
    market = random_market(prepared(mode, overrides=overrides).market_request(), seed, LONG, calm_rows=LONG)
    for row, by in zip(GAPS, (factor, 1.0 / factor, factor), strict=True):
        market = with_gap(market, row, by)
    return market


@pytest.fixture(scope="module")
def liquidated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], MemoryRun]:
    """A function from mode and seed to the run over that gapped market."""

    @cache
    def run(mode: str, seed: int) -> MemoryRun:
        backtest = prepared(mode, overrides=SITUATIONS[mode][0])
        return run_in_memory(backtest, gapped_market(mode, seed), tmp_path_factory.mktemp("liquidated"))

    return run


Liquidated = Callable[[str, int], MemoryRun]


@pytest.mark.parametrize("mode", SITUATIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_law_holds_through_liquidations(mode: str, seed: int, liquidated: Liquidated) -> None:
    run = liquidated(mode, seed)
    columns = {name: column for stage in run.columns.values() for name, column in stage.items()}
    backtest, capital = run.backtest, run.backtest.config.initial_capital
    assert run.outcome.liquidations >= 3
    assert run.outcome.reconciliation_failures == 0
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * max(capital, run.column("equity_share_class").max())
    assert list(attribution_faults(columns, backtest.attribution_types, capital)) == []
    assert list(replay_faults(run.log_dirs[0], run.final_positions())) == []
    assert list(conservation_faults(run.log_dirs[0], run.instants, columns, backtest.config.cex_venues)) == []


@pytest.mark.parametrize("mode", SITUATIONS)
def test_the_book_is_hedged_or_closed_at_the_row_of_a_liquidation(mode: str, liquidated: Liquidated) -> None:
    for seed in SEEDS:
        run = liquidated(mode, seed)
        rows = run.column("was_liquidated") > 0.0
        assert rows.any()
        assert np.all(run.column("perp_units")[rows] == 0.0), "what one venue did not close the strategy does"
        assert run.column("net_delta_fraction")[rows].max() < 0.02
        assert np.all(run.column("cooldown_over")[rows] == 0.0)


@pytest.mark.parametrize("mode", SITUATIONS)
def test_window_and_partitions_change_no_bit_of_a_liquidation(
    mode: str, liquidated: Liquidated, tmp_path: Path
) -> None:
    overrides, market = SITUATIONS[mode][0], gapped_market(mode, SEEDS[0])
    whole = liquidated(mode, SEEDS[0])
    windowed = run_in_memory(prepared(mode, overrides=overrides, window=1), market, tmp_path / "windowed")
    assert_same_business(whole, windowed)
    cuts = [GAPS[0], GAPS[0] + 1, GAPS[1]]
    chained = run_in_partitions(prepared(mode, overrides=overrides), market, tmp_path / "chained", cuts)
    assert_same_business(whole, chained, without=(HEALTH,))


def test_hamilton_liquidates_to_the_same_bit(tmp_path: Path) -> None:
    mode = "ml_btc_directional_usdt_margin"
    overrides, market = SITUATIONS[mode][0], partition(gapped_market(mode, SEEDS[0]), GAPS[0] - 15, GAPS[0] + 2)
    plan = run_in_memory(prepared(mode, overrides=overrides), market, tmp_path / "plan")
    hamilton = run_in_memory(prepared(mode, overrides=overrides, executor="hamilton"), market, tmp_path / "hamilton")
    assert plan.outcome.liquidations >= 1
    assert_same_business(plan, hamilton)


@pytest.mark.parametrize("mode", ["btc_basis", "usdt_market_neutral_no_leverage"])
def test_frictionless_liquidates_nothing(mode: str, tmp_path: Path) -> None:
    run = run_in_memory(prepared(mode, scenarios=("frictionless",)), gapped_market(mode, SEEDS[0]), tmp_path)
    assert run.column("worst_margin_ratio").min() < 0.1
    assert run.outcome.liquidations == 0
    assert {event["delta_type"] for event in run.events("execution_deltas")} <= {
        DeltaType.INITIAL_CAPITAL.value,
        DeltaType.EXECUTION_DELTAS.value,
        DeltaType.FUNDING.value,
    }
