"""With lots and least sizes of real exchanges a book is entered and left whole, nothing is asked for twice, laws hold.

Every mode that trades at exchanges enters over a random market, and leaves it because all of its capital is withdrawn.
"""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.laws import OF_CAPITAL, conservation_faults, replay_faults
from dataflow.settlement.capital_flows import schedule
from schemas.flows import CapitalFlow, DueFlow
from schemas.models.config import RunConfig
from schemas.models.config_venues import PairRules, VenueTradeRules
from tests.support.runs import MemoryRun, differing_columns, prepared, run_in_memory

MODES: Final = (
    "btc_basis",
    "eth_basis",
    "usdt_market_neutral",
    "usdt_market_neutral_no_leverage",
    "ml_btc_directional_usdt_margin",
    "ml_btc_directional_btc_margin",
)
ROWS, LEAVES_AT = 240, 160

FINE: Final = PairRules(step=0.00001, amount_min=0.00001, notional_min=5.0, tick=0.01)
FINE_PERP: Final = PairRules(step=0.00001, amount_min=0.00001, notional_min=10.0, tick=0.1)


def with_rules(config: RunConfig, spot: PairRules, perp: PairRules) -> RunConfig:
    """The configuration with the same rules at every exchange."""
    pairs = ("BTCUSDT", "ETHUSDT")
    rules = VenueTradeRules(spot=dict.fromkeys(pairs, spot), perp=dict.fromkeys(pairs, perp))
    venues = {
        name: venue.model_copy(update={"trade_rules": rules}) if name in config.cex_venues else venue
        for name, venue in config.venues.items()
    }
    return config.model_copy(update={"venues": venues})


@cache
def backtest_of(mode: str, rules: str) -> Backtest:
    """A mode under the shipped rules, or under fine ones."""
    config = load_run_config(mode, scenarios=("trade_rules",)).config
    return Backtest(config if rules == "shipped" else with_rules(config, FINE, FINE_PERP))


def run_and_leave(backtest: Backtest, seed: int, log_dir: Path) -> MemoryRun:
    """A run that enters on its own and loses all its capital to a withdrawal."""
    market = random_market(backtest.market_request(), seed, ROWS, calm_rows=ROWS)
    instant = int(market.instants[market.first_row + LEAVES_AT].astype(np.int64))
    flows: tuple[DueFlow, ...] = schedule([CapitalFlow(instant, -1e12)], backtest.config.mode.clock_step_seconds)
    return run_in_memory(backtest, market, log_dir, flows=flows)


def assert_laws(run: MemoryRun, log_dir: Path) -> None:
    """Replay, conservation and attribution."""
    backtest = run.backtest
    columns = {name: column for stage in run.columns.values() for name, column in stage.items()}
    assert list(replay_faults(log_dir, run.final_positions(), None)) == []
    assert list(conservation_faults(log_dir, run.instants, columns, backtest.config.cex_venues)) == []
    assert np.abs(columns["unexplained_pnl"]).max() <= OF_CAPITAL * backtest.config.initial_capital


@pytest.mark.parametrize("rules", ["shipped", "fine"])
@pytest.mark.parametrize("mode", MODES)
def test_a_book_in_lots_is_entered_and_left_flat_and_nothing_is_repeated(mode: str, rules: str, tmp_path: Path) -> None:
    backtest = backtest_of(mode, rules)
    run = run_and_leave(backtest, 5, tmp_path)
    operations = run.events("operation_executions")
    trades = [event for event in operations if str(event["operation_type"]).endswith("_trade")]
    assert len(trades) > 5
    assert {event["status"] for event in operations} == {"confirmed"}
    for event in trades:
        amount = float(str(event["executed_amount"]))
        step = 0.00001 if rules == "fine" else 0.000001
        assert abs(amount / step - round(amount / step)) < 1e-3
    assert not backtest.is_open(run.state)
    last = max(str(event["timestamp"]) for event in operations)
    left_at = str(run.instants[LEAVES_AT + 3])
    assert last <= left_at, "nothing is asked for again once the book is left"
    assert_laws(run, tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_without_the_scenario_the_rules_of_the_venues_change_nothing(mode: str, tmp_path: Path) -> None:
    plain, config = prepared(mode), load_run_config(mode).config
    coarse = PairRules(step=1.0, amount_min=1.0, notional_min=1e6, tick=100.0)
    ruled = Backtest(with_rules(config, coarse, coarse))
    runs = [run_and_leave(backtest, 5, tmp_path / name) for name, backtest in (("plain", plain), ("ruled", ruled))]
    assert differing_columns(*runs) == []


def test_what_an_exchange_does_not_trade_counts_as_nothing(tmp_path: Path) -> None:
    """Half a lot is left at an exchange: the book is flat all the same."""
    backtest = backtest_of("btc_basis", "fine")
    run = run_and_leave(backtest, 5, tmp_path)
    key = "binance:BaseToken:BTC"
    dusty = run.state.with_values(
        backtest.parameters.groups.values(backtest.parameters.groups.holdings(run.state.values).applied([(key, 4e-6)]))
    )
    assert backtest.held(dusty)[key] == 4e-6
    assert not backtest.is_open(dusty)
    assert prepared("btc_basis").is_open(dusty)
