"""Statistics of an equity curve, as ruling 24 fixes them: drawdown, annualised return, Sharpe ratio."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.returns import (
    FlowHistory,
    annualised_return,
    daily_returns,
    max_drawdown,
    money_weighted_return,
    monthly_returns,
    sharpe_ratio,
    trailing_rate,
    unit_values,
)
from schemas.units import Column, Instants

curves = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=60).map(np.array)


def midnights(days: int) -> Instants:
    """Consecutive midnights."""
    return (np.datetime64("2024-05-12", "D") + np.arange(days)).astype("datetime64[s]")


@given(equity=curves)
def test_drawdown_is_the_deepest_fall_from_any_earlier_peak(equity: Column) -> None:
    brute = max(1.0 - equity[late] / equity[: late + 1].max() for late in range(len(equity)))
    assert max_drawdown(equity) == pytest.approx(brute, abs=1e-15)
    assert 0.0 <= max_drawdown(equity) < 1.0


@given(equity=curves, factor=st.floats(0.1, 10.0))
def test_drawdown_does_not_depend_on_the_unit(equity: Column, factor: float) -> None:
    assert max_drawdown(equity * factor) == pytest.approx(max_drawdown(equity), abs=1e-12)


@given(total=st.floats(-0.5, 5.0), days=st.floats(60.0, 4_000.0))
def test_annualised_return_compounds_back_to_the_total(total: float, days: float) -> None:
    yearly = annualised_return(total, days)
    assert yearly is not None
    assert (1.0 + yearly) ** (days / 365.25) == pytest.approx(1.0 + total, rel=1e-9)


@pytest.mark.parametrize(
    ("total", "days"),
    [
        pytest.param(0.1, 0.0, id="no-span"),
        pytest.param(-1.0, 10.0, id="all-lost"),
        pytest.param(-1.5, 10.0, id="more-than-all-lost"),
        pytest.param(0.1, 1.0 / 24.0, id="a-tenth-in-an-hour-overflows"),
    ],
)
def test_annualised_return_that_does_not_exist_is_none(total: float, days: float) -> None:
    assert annualised_return(total, days) is None


def test_daily_returns_take_midnights_alone() -> None:
    instants = np.datetime64("2024-01-01T00", "s") + np.arange(49).astype("timedelta64[h]")
    equity = np.full(49, 1.0)
    equity[[0, 24, 48]] = [100.0, 110.0, 99.0]
    assert daily_returns(instants, equity).round(12).tolist() == [0.1, -0.1]


def test_sharpe_is_mean_over_deviation_of_daily_returns_times_root_365() -> None:
    returns = np.tile([0.01, -0.005, 0.002], 20)
    equity = 100.0 * np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    expected = returns.mean() / returns.std(ddof=1) * np.sqrt(365.0)
    assert sharpe_ratio(midnights(61), equity) == pytest.approx(expected, rel=1e-9)


def test_sharpe_needs_thirty_daily_returns() -> None:
    equity = np.exp(np.random.default_rng(0).normal(0.0, 0.01, 31).cumsum())
    assert sharpe_ratio(midnights(30), equity[:30]) is None
    assert sharpe_ratio(midnights(31), equity) is not None


def test_sharpe_of_a_flat_curve_does_not_exist() -> None:
    assert sharpe_ratio(midnights(60), np.full(60, 100.0)) is None


@st.composite
def funded_curves(draw: st.DrawFn) -> tuple[Instants, Column, Column, Column]:
    """Midnights, equity, what was paid in so far, and the growth of each day; all may be paid out."""
    days = draw(st.integers(1, 120))
    growth = np.array(draw(st.lists(st.floats(0.9, 1.1), min_size=days, max_size=days)))
    kinds = draw(st.lists(st.sampled_from(["none", "none", "in", "out", "all"]), min_size=days, max_size=days))
    equity, flows = np.empty(days), np.zeros(days)
    held, flows[0] = 1_000.0, 1_000.0
    for row, kind in enumerate(kinds):
        growth[row] = growth[row] if held > 0.0 else 1.0
        held *= growth[row]
        if row:
            flows[row] = {"none": 0.0, "in": 500.0, "out": -0.25 * held, "all": -held}[kind]
            held = 0.0 if kind == "all" else held + flows[row]
        equity[row] = held
    return midnights(days), equity, np.cumsum(flows), growth


@given(curve=funded_curves())
def test_months_multiply_to_the_growth_whatever_flows_in_and_out(
    curve: tuple[Instants, Column, Column, Column],
) -> None:
    instants, equity, invested, growth = curve
    months = monthly_returns(instants, equity, invested)
    assert list(months) == sorted({str(instant.astype("datetime64[M]")) for instant in instants})
    assert np.prod([1.0 + value for value in months.values()]) == pytest.approx(np.prod(growth), rel=1e-6)


@given(curve=funded_curves(), factor=st.floats(0.1, 10.0))
def test_monthly_returns_do_not_depend_on_the_unit(
    curve: tuple[Instants, Column, Column, Column], factor: float
) -> None:
    instants, equity, invested, _ = curve
    scaled = monthly_returns(instants, factor * equity, factor * invested)
    assert scaled == pytest.approx(monthly_returns(instants, equity, invested), abs=1e-6)


@given(rate=st.floats(-0.2, 0.5), days=st.integers(1, 10))
def test_an_index_of_constant_growth_has_one_trailing_rate(rate: float, days: int) -> None:
    instants = midnights(40)
    index = np.power(1.0 + rate / 365.0, np.arange(40.0))
    trailing = trailing_rate(instants, index, float(days))
    assert np.isnan(trailing[:days]).all()
    assert trailing[days:] == pytest.approx(((1.0 + rate / 365.0) ** days - 1.0) * 365.0 / days, abs=1e-9)


@st.composite
def funds(draw: st.DrawFn) -> tuple[FlowHistory, Column, Column, float]:
    """Flows into a fund that grows at one rate a day: history, days, equity at the days, rate."""
    rate = draw(st.floats(-0.002, 0.002))
    days = np.arange(draw(st.integers(30, 400)), dtype=np.float64)
    flow_days = sorted(draw(st.sets(st.integers(1, len(days) - 2), max_size=6)))
    equity, held = np.empty(len(days)), 0.0
    seconds, amounts, before = [0.0], [100.0], [0.0]
    for day in range(len(days)):
        held = 100.0 if day == 0 else held * np.exp(rate)
        if day in flow_days:
            amount = draw(st.floats(-0.6, 2.0)) * held
            seconds.append(day * 86_400.0)
            amounts.append(amount)
            before.append(held)
            held += amount
        equity[day] = held
    return FlowHistory(np.array(seconds), np.array(amounts), np.array(before)), days, equity, rate


@given(funds())
def test_neither_return_sees_flows_where_the_fund_grows_at_one_rate(
    fund: tuple[FlowHistory, Column, Column, float],
) -> None:
    flows, days, equity, rate = fund
    instants = (days * 86_400).astype("datetime64[s]")
    values = unit_values(instants, equity, flows)
    np.testing.assert_allclose(values, np.exp(rate * days), rtol=1e-9)
    yearly = money_weighted_return(flows, days[-1] * 86_400.0, float(equity[-1]))
    assert yearly == pytest.approx(np.expm1(rate * 365.0), rel=1e-6, abs=1e-9)


def test_without_flows_a_unit_is_equity_over_capital() -> None:
    instants = np.arange(3).astype("datetime64[D]").astype("datetime64[s]")
    alone = FlowHistory(np.zeros(1), np.array([50.0]), np.zeros(1))
    assert unit_values(instants, np.array([50.0, 55.0, 40.0]), alone).tolist() == [1.0, 1.1, 0.8]


def test_a_fund_that_was_emptied_keeps_its_value_until_capital_comes_back() -> None:
    instants = np.arange(5).astype("datetime64[D]").astype("datetime64[s]")
    flows = FlowHistory(
        np.array([0.0, 2.0, 4.0]) * 86_400.0, np.array([100.0, -110.0, 70.0]), np.array([0.0, 110.0, 0.0])
    )
    values = unit_values(instants, np.array([100.0, 110.0, 0.0, 0.0, 77.0]), flows)
    assert values.tolist() == pytest.approx([1.0, 1.1, 1.1, 1.1, 1.21])


def test_a_fund_that_lost_everything_stays_lost() -> None:
    instants = np.arange(3).astype("datetime64[D]").astype("datetime64[s]")
    flows = FlowHistory(np.array([0.0, 1.0]) * 86_400.0, np.array([100.0, 50.0]), np.array([0.0, 0.0]))
    assert unit_values(instants, np.array([100.0, 50.0, 60.0]), flows).tolist() == [1.0, 0.0, 0.0]
    assert money_weighted_return(flows, 0.0, 10.0) is None
