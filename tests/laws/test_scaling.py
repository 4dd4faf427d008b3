"""Law 8: with proportional costs only, twice the capital gives twice of everything that is an amount.

Slippage buckets, gas and the least trade are amounts of their own, so they are off. A factor of two is exact in
binary, so nothing may differ by a bit.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.support.markets import BASIS_MODES, MODES, violent_market
from tests.support.runs import prepared, run_in_memory

PROPORTIONAL = ("scenario:slippage=false", "scenario:gas=false", "strategy_config.min_trade_usd=0.0")
RATIOS = ("margin_ratio", "worst_margin_ratio", "equity_deviation", "venue_share_gap", "net_delta_fraction", "decision")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [0, 2])
def test_twice_the_capital_gives_twice_the_pnl(mode: str, seed: int, tmp_path: Path) -> None:
    backtest, market = prepared(mode, overrides=PROPORTIONAL), violent_market(mode, seed, 300)
    capital = backtest.config.initial_capital
    one = run_in_memory(backtest, market, tmp_path / "one")
    two = run_in_memory(backtest, market, tmp_path / "two", capital=2.0 * capital)
    assert one.outcome.counts.orders == two.outcome.counts.orders > 0
    for name in ("total_pnl_share_class", "total_pnl_usd", "equity_usd", *backtest.attribution_types):
        assert np.array_equal(2.0 * one.column(name), two.column(name)), name
    for name in RATIOS:
        if any(name in columns for columns in one.columns.values()):
            assert np.array_equal(one.column(name), two.column(name)), name
    assert {key: 2.0 * units for key, units in one.final_positions().items()} == two.final_positions()


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_fees_scale_too(mode: str, tmp_path: Path) -> None:
    backtest, market = prepared(mode, overrides=PROPORTIONAL), violent_market(mode, 1, 150)
    one = run_in_memory(backtest, market, tmp_path / "one")
    two = run_in_memory(backtest, market, tmp_path / "two", capital=2.0 * backtest.config.initial_capital)
    assert 2.0 * one.outcome.counts.fees == two.outcome.counts.fees > 0.0
