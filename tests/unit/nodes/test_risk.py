"""Risk nodes: margin ratio and its levels, risk score and level, 999 for what does not exist."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.nodes import risk
from schemas.units import NOT_APPLICABLE

FACTOR = np.array([0.95])
cell = np.ones((1, 1))


@pytest.mark.parametrize(
    ("price_ratio", "expected"),
    [
        pytest.param(1.0, 0.95, id="at-entry"),
        pytest.param(2.0, 0.45, id="doubled"),
        pytest.param(1.0 / 0.35, 0.30, id="reduce"),
        pytest.param(4.0, 0.20, id="exit"),
        pytest.param(0.5, 1.95, id="halved"),
    ],
)
def test_margin_ratio_of_a_basis_book_whose_collateral_is_its_coins(price_ratio: float, expected: float) -> None:
    """With spot q S and short q opened at S, the ratio is .95 + S0/S - 1: only a multiple of the price endangers it."""
    price = 100.0 * price_ratio
    ratio = risk.margin_ratio(price * cell, 0.0 * cell, (100.0 - price) * cell, price * cell, FACTOR)
    assert ratio[0, 0] == pytest.approx(expected)


def test_without_a_perpetual_there_is_no_margin_ratio() -> None:
    assert risk.margin_ratio(cell, cell, 0.0 * cell, 0.0 * cell, FACTOR).tolist() == [[NOT_APPLICABLE]]
    assert risk.margin_usage(np.array([NOT_APPLICABLE])).tolist() == [0.0]


def test_the_worst_venue_counts() -> None:
    assert risk.worst_margin_ratio__perps(np.array([[0.8, 0.25, NOT_APPLICABLE]])).tolist() == [0.25]


@pytest.mark.parametrize(
    ("ratio", "breach", "warning"), [(0.29, 1.0, 1.0), (0.30, 0.0, 1.0), (0.39, 0.0, 1.0), (0.40, 0.0, 0.0)]
)
def test_margin_levels_are_strict(ratio: float, breach: float, warning: float) -> None:
    worst = np.array([ratio])
    assert risk.margin_breach(worst, 0.30).tolist() == [breach]
    assert risk.near_margin_limit(worst, 0.40).tolist() == [warning]


@pytest.mark.parametrize(
    ("health", "ltv", "margin", "expected"),
    [
        pytest.param(999.0, 0.0, 999.0, 0.0, id="nothing-at-risk"),
        pytest.param(999.0, 0.0, 0.45, 0.075, id="margin-under-half"),
        pytest.param(999.0, 0.0, 0.05, 0.3, id="margin-under-a-tenth"),
        pytest.param(1.8, 0.65, 999.0, 0.1 + 0.195, id="leveraged"),
        pytest.param(0.9, 0.95, 0.05, 0.4 + 0.285 + 0.3, id="all-at-once"),
    ],
)
def test_risk_score_table(health: float, ltv: float, margin: float, expected: float) -> None:
    score = risk.risk_score(np.array([health]), np.array([ltv]), np.array([margin]))
    assert score[0] == pytest.approx(expected)


@given(
    health=st.floats(0.0, 999.0), ltv=st.floats(0.0, 999.0), margin=st.floats(-10.0, 999.0), less=st.floats(0.0, 5.0)
)
def test_risk_score_never_falls_when_margin_or_health_do(health: float, ltv: float, margin: float, less: float) -> None:
    def score(health_factor: float, ratio: float) -> float:
        return float(risk.risk_score(np.array([health_factor]), np.array([ltv]), np.array([ratio]))[0])

    assert 0.0 <= score(health, margin) <= score(health, margin - less) <= 1.0
    assert score(health, margin) <= score(max(health - less, 0.0), margin)


@pytest.mark.parametrize(
    ("score", "breach", "level"),
    [(0.24, 0.0, 0.0), (0.25, 0.0, 1.0), (0.5, 0.0, 2.0), (0.75, 0.0, 3.0), (0.0, 1.0, 3.0)],
)
def test_risk_level_bands_and_breach(score: float, breach: float, level: float) -> None:
    assert risk.risk_level(np.array([score]), np.array([breach])).tolist() == [level]


def test_liquidation_threshold_is_weighted_by_value() -> None:
    threshold = risk.liquidation_threshold__lending(np.array([[100.0, 300.0]]), np.array([0.8, 0.6]))
    assert threshold.tolist() == pytest.approx([0.65])
    assert risk.liquidation_threshold__lending(np.zeros((1, 1)), np.array([0.8])).tolist() == [NOT_APPLICABLE]


def test_lending_without_debt_is_healthy() -> None:
    equity = np.array([1.0])
    assert risk.health_factor__no_debt(equity).tolist() == [NOT_APPLICABLE]
    assert risk.ltv__no_debt(equity).tolist() == [0.0]
    assert risk.health_breach(np.array([NOT_APPLICABLE, 1.49, 1.5]), 1.5).tolist() == [0.0, 1.0, 0.0]
