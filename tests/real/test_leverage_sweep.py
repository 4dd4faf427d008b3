"""Leverage from none to the cap meets its closed form, and one step above the cap is refused.

The closed form is computed here from the files alone: E0 ETH stake C0 = E0 / (1 - ltv), owe D0 = ltv C0, and end at
C0 r1/r0 I1/I0 - D0 J1/J0 with the staking ratio r, the collateral index I and the debt index J at both ends.
"""

from pathlib import Path

import pandas as pd
import pytest

from dataflow.engine.backtest import Backtest
from dataflow.engine.prepared import BacktestOutcome, PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.journal.sequencer import Envelope
from dataflow.market.market import Market
from dataflow.services.backtest import BacktestRequest, load_run_market
from dataflow.services.simulated_venues import simulated_venues
from schemas.errors import ConfigValidationError
from tests.real.conftest import END, START
from tests.support.runs import CORRELATION_ID, PID, prepared

pytestmark = pytest.mark.real_data

CAPITAL = 100.0
OF_CAPITAL = 1e-6
FRICTIONLESS = ("frictionless",)


def at_ltv(target: float) -> tuple[str, ...]:
    """Overrides that aim at a loan-to-value, the caps raised out of the way."""
    return ("max_ltv=0.95", "share_class:max_leverage=8", f"strategy_config.target_ltv={target}")


def market_of(mode: str, data: Path) -> Market:
    request = BacktestRequest(mode=mode, data=str(data), start=START, end=END)
    return load_run_market(request, prepared(mode, scenarios=FRICTIONLESS))


def run(backtest: Backtest, market: Market) -> BacktestOutcome:
    envelope = Envelope(CORRELATION_ID, PID, lambda: START)
    return PreparedBacktest(backtest, market).run(RunRequest(CAPITAL, 7, simulated_venues()), Recording(envelope))


def final_equity(backtest: Backtest, market: Market) -> float:
    return float(run(backtest, market).statistics.last["equity_share_class"])


def growth(data: Path, series: str, column: str) -> float:
    """Last value over the first, of a daily series between the two midnights of the window."""
    table = pd.read_csv(data / f"{series}.csv.gz", index_col="timestamp", parse_dates=True)[column]
    return float(table[pd.Timestamp(END)] / table[pd.Timestamp(START)])


@pytest.fixture(scope="module")
def leveraged_market(real_data: Path) -> Market:
    return market_of("eth_leveraged", real_data)


@pytest.fixture(scope="module")
def growths(real_data: Path) -> tuple[float, float, float]:
    """Growth of staking ratio, collateral index and debt index."""
    return (
        growth(real_data, "lst_weeth_oracle_1d", "eth_per_lst"),
        growth(real_data, "aave_v3_weeth_rates_1d", "liquidity_index"),
        growth(real_data, "aave_v3_weth_rates_1d", "variable_borrow_index"),
    )


@pytest.mark.parametrize("target", [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.83, 0.85, 0.86])
def test_the_sweep_meets_the_closed_form(
    target: float, leveraged_market: Market, growths: tuple[float, float, float]
) -> None:
    staked, supplied, owed = growths
    collateral = CAPITAL / (1.0 - target)
    expected = collateral * staked * supplied - target * collateral * owed
    backtest = prepared("eth_leveraged", scenarios=FRICTIONLESS, overrides=at_ltv(target))
    outcome = run(backtest, leveraged_market)
    assert outcome.statistics.last["equity_share_class"] == pytest.approx(expected, abs=OF_CAPITAL * CAPITAL)
    assert outcome.statistics.extremes()["max_ltv"] == pytest.approx(target, abs=0.01)


def test_a_target_whose_health_factor_would_be_too_low_is_refused() -> None:
    with pytest.raises(ConfigValidationError, match=r"target_ltv 0\.87 is above") as caught:
        prepared("eth_leveraged", scenarios=FRICTIONLESS, overrides=at_ltv(0.87))
    assert caught.value.code == "CONFIG-003"


def test_without_leverage_it_is_plain_staking_times_the_collateral_index(
    real_data: Path, leveraged_market: Market, growths: tuple[float, float, float]
) -> None:
    unlevered = prepared("eth_leveraged", scenarios=FRICTIONLESS, overrides=at_ltv(0.0))
    plain = prepared("eth_staking_only", scenarios=FRICTIONLESS)
    expected = final_equity(plain, market_of("eth_staking_only", real_data)) * growths[1]
    assert final_equity(unlevered, leveraged_market) == pytest.approx(expected, abs=OF_CAPITAL * CAPITAL)
    assert run(unlevered, leveraged_market).counts.orders == 2
