"""Every mode runs under every shock, keeps the laws, and says what broke first.

Claims: a run under the worst of the shipped scenarios is replayed from its log and its P&L is attributed; the first
break is the earliest fact of the log after the shock; what a chained run reads is what the whole run reads.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dataflow.config.files import list_modes, list_scenarios
from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.laws import OF_CAPITAL
from dataflow.records.audit.replay import replay
from dataflow.services.fault_plans import fault_wrapper
from dataflow.services.simulated_venues import simulated_venues
from dataflow.services.stress import ShockedRun, shocked
from schemas.errors import ConfigValidationError
from schemas.models.results import BreakKind, FirstBreak
from tests.support.runs import MemoryRun, prepared, run_in_memory

ROWS = 300
EARLY = tuple(
    f"scenario:shocks.{kind}.starts_after_hours={{hours}}"
    for kind in ("price_gap", "gas", "lst_depeg", "funding", "venue_outage")
)


@cache
def market_of(mode: str) -> Market:
    return random_market(prepared(mode).market_request(), 11, ROWS, calm_rows=ROWS)


def run_under(
    mode: str, scenario: str, tmp_path: Path, overrides: tuple[str, ...] = ()
) -> tuple[MemoryRun, ShockedRun]:
    backtest = prepared(mode, scenarios=(scenario,), overrides=overrides)
    under = shocked(backtest.config, market_of(mode), None, state=None, is_final=True)
    venues = None
    if under.plan is not None:
        venues = simulated_venues(fault_wrapper(under.plan, backtest, under.market, seed=7), live_policy=True)
    return run_in_memory(backtest, under.market, tmp_path, venues=venues, watch_from=under.begins), under


def first_break(mode: str, scenario: str, tmp_path: Path, overrides: tuple[str, ...] = ()) -> FirstBreak | None:
    return run_under(mode, scenario, tmp_path, overrides)[0].outcome.first_break


@pytest.mark.parametrize("mode", list_modes())
def test_every_mode_keeps_the_laws_under_everything_at_once(mode: str, tmp_path: Path) -> None:
    start = 10 if mode.startswith("ml_") else 120
    overrides = ("scenario:shocks.gas.multiple=2", *(text.format(hours=start) for text in EARLY))
    run, under = run_under(mode, "black_thursday", tmp_path, overrides)
    report = replay(run.log_dirs[0])
    assert report.ok, report.faults
    assert np.abs(run.column("unexplained_pnl")).max() <= OF_CAPITAL * run.backtest.config.initial_capital
    assert len(under.shocks) == 5
    broke = run.outcome.first_break
    if broke is not None:
        assert broke.at >= str(under.begins)


def test_a_short_squeezed_beyond_its_margin_is_a_risk_breach_with_value_and_limit(tmp_path: Path) -> None:
    broke = first_break("usdt_market_neutral_no_leverage", "price_gap_up_80pct", tmp_path)
    assert broke is not None
    assert (broke.kind, broke.what, broke.limit) == (BreakKind.RISK_BREACH, "cex_margin_ratio", 0.30)
    assert broke.value is not None
    assert broke.value < 0.30


def test_an_exchange_that_is_away_breaks_what_needs_it(tmp_path: Path) -> None:
    outage = "scenario:shocks.venue_outage.starts_after_hours=0"
    broke = first_break("btc_basis", "binance_outage", tmp_path, (outage,))
    assert broke is not None
    assert broke.kind in (BreakKind.ERROR, BreakKind.OPERATION_FAILED)
    assert broke.code is not None


def test_a_depeg_does_not_touch_the_health_factor(tmp_path: Path) -> None:
    run, _ = run_under("eth_leveraged", "depeg_20pct", tmp_path / "depeg")
    calm = run_in_memory(prepared("eth_leveraged"), market_of("eth_leveraged"), tmp_path / "calm")
    before_any_sale = run.instants < np.datetime64(run.instants[0] + np.timedelta64(168, "h"))
    for name in ("health_factor", "ltv"):
        np.testing.assert_array_equal(run.column(name)[before_any_sale], calm.column(name)[before_any_sale])
    np.testing.assert_array_equal(run.column("lst_oracle_ratio"), calm.column("lst_oracle_ratio"))


def test_a_shock_after_the_last_row_is_refused() -> None:
    backtest = prepared(
        "btc_basis", scenarios=("gas_spike",), overrides=("scenario:shocks.gas.starts_after_hours=5000",)
    )
    with pytest.raises(ConfigValidationError) as caught:
        shocked(backtest.config, market_of("btc_basis"), None, state=None, is_final=True)
    assert caught.value.context["key"] == "shocks.gas"
    begins_later = shocked(backtest.config, market_of("btc_basis"), None, state=None, is_final=False)
    assert begins_later.market.columns["gas_price_gwei"].tolist() == (
        market_of("btc_basis").columns["gas_price_gwei"].tolist()
    )


@pytest.mark.parametrize("scenario", list_scenarios())
def test_every_shipped_scenario_says_what_it_is(scenario: str) -> None:
    config = prepared("usdt_market_neutral", scenarios=(scenario,)).config.scenario
    assert config.name == scenario
    assert config.description.endswith(".")
