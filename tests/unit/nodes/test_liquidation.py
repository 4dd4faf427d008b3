"""Liquidation nodes: what they foresee is what the risk ratios say at that price, and limits come in their order.

The cost and the seizure are held against the exact pool in ``tests/integration/test_liquidations.py``.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.graph.risk_flags import RiskFlag, RiskFlags
from dataflow.nodes import liquidation, risk
from schemas.units import Column

RATE = np.array([0.10])
ratios = st.floats(0.0, 2.0)


def cell(value: float) -> Column:
    return np.array([[value]])


@given(side=st.sampled_from([-1.0, 1.0]), size=st.floats(0.1, 10.0), margin=st.floats(0.2, 0.8))
def test_at_the_liquidation_price_the_margin_ratio_is_the_maintenance_rate(
    side: float, size: float, margin: float
) -> None:
    units, entry, usdt = side * size, 100.0, margin * size * 100.0
    price = liquidation.liquidation_price__usdt(cell(units), cell(entry), cell(usdt), RATE)
    profit = units * (price - entry)
    ratio = risk.margin_ratio__usdt(cell(usdt), profit, size * price)
    assert ratio[0, 0] == pytest.approx(0.10)


@given(side=st.sampled_from([-1.0, 1.0]), size=st.floats(1.5, 3.0))
def test_at_the_liquidation_price_coins_cover_the_maintenance_rate_too(side: float, size: float) -> None:
    units, entry, coins, factor = side * size, 100.0, 1.0, np.array([0.95])
    price = liquidation.liquidation_price__coins(cell(units), cell(entry), cell(coins), factor, RATE)
    profit = units * (price - entry)
    ratio = risk.margin_ratio__coins(coins * price, profit, size * price, factor)
    assert ratio[0, 0] == pytest.approx(0.10)


def test_coins_that_cover_a_short_are_never_liquidated() -> None:
    price = liquidation.liquidation_price__coins(cell(-1.0), cell(100.0), cell(1.2), np.array([0.95]), RATE)
    assert price.tolist() == [[0.0]]


@given(health_factor=ratios, margin_ratio=ratios)
def test_a_warning_comes_before_the_breach_and_the_breach_before_the_liquidation(
    health_factor: float, margin_ratio: float
) -> None:
    health, margin, ltv = np.array([health_factor]), np.array([margin_ratio]), np.array([0.9])
    margin_due = liquidation.margin_liquidation_due__book(margin, 0.10)
    due = liquidation.liquidation_due([margin_due, liquidation.health_liquidation_due(health, ltv, 1.0)])
    margin_breach, health_breach = risk.margin_breach(margin, 0.30), risk.health_breach(health, 1.1)
    near_margin = risk.near_margin_limit(margin, 0.40)
    near_health = risk.near_health_limit(health, 1.1)
    assert due[0] <= max(margin_breach[0], health_breach[0])
    assert margin_breach[0] <= near_margin[0]
    assert health_breach[0] <= near_health[0]


@pytest.mark.parametrize(
    ("flags", "warnings", "breaches"),
    [
        pytest.param({}, (), (), id="nothing"),
        pytest.param({"near_health_limit": 1.0}, ("liquidation_risk",), (), id="near-the-health-limit"),
        pytest.param({"near_margin_limit": 1.0}, ("cex_margin_ratio",), (), id="near-the-margin-limit"),
        pytest.param(
            {"near_margin_limit": 1.0, "near_health_limit": 1.0, "margin_breach": 1.0, "health_breach": 1.0},
            ("cex_margin_ratio", "liquidation_risk"),
            ("cex_margin_ratio", "liquidation_risk"),
            id="both",
        ),
        pytest.param({"ltv_breach": 1.0, "delta_breach": 1.0}, (), ("delta_risk", "ltv_risk"), id="delta-and-ltv"),
    ],
)
def test_every_limit_is_told_by_its_name(
    flags: dict[str, float], warnings: tuple[str, ...], breaches: tuple[str, ...]
) -> None:
    backtest = Backtest(load_run_config("usdt_market_neutral").config)
    limits = RiskFlags.of(backtest.graph, backtest.spec, {"max_ltv": 0.75})
    columns = {name: np.array([flags.get(name, 0.0)]) for name in limits.nodes}
    assert limits.notes(columns, 0) == (warnings, breaches)
    assert limits.breach_of("ltv_risk") == RiskFlag("ltv_breach", "ltv_risk", "ltv", 0.75)


@given(
    ltv=st.floats(0.1, 1.2),
    debt=st.floats(100.0, 1e6),
    threshold=st.floats(0.7, 0.95),
    bonus=st.floats(0.0, 0.05),
)
def test_a_liquidation_takes_no_more_than_there_is_and_costs_its_bonus(
    ltv: float, debt: float, threshold: float, bonus: float
) -> None:
    owed, collateral = np.array([debt]), cell(debt / ltv)
    health = np.array([threshold / ltv])
    repaid = liquidation.liquidatable_debt_usd(owed, collateral, health, 0.5, 0.95, 2_000.0, bonus)
    seized = liquidation.seizable_collateral_usd(repaid, collateral, bonus)
    assert 0.0 < repaid[0] <= debt
    assert seized[0] <= collateral[0, 0]
    assert seized[0] == pytest.approx(repaid[0] * (1.0 + bonus))
    left = liquidation.ltv_after_liquidation(owed, collateral, repaid, seized)
    assert left[0] <= ltv + 1e-12 or ltv * (1.0 + bonus) > 1.0, "below one, a liquidation makes the loan safer"
