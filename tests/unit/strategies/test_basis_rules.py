"""Rules of the basis modes: which one applies, in which order of priority, on which rows they are looked at."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.decisions import DecisionRule
from schemas.operations import DecisionType, StrategyIntent
from strategies.basis import rules as basis
from tests.support.modes import MODES

LEVELS = {
    "margin_exit": 0.20,
    "margin_reduce": 0.30,
    "margin_loan_limit": 0.001,
    "net_delta_trade": 0.02,
    "withdrawal_pending": 0.0,
    "entry_only": False,
}
OPEN_AND_QUIET = {
    "is_flat": 0.0,
    "worst_margin_ratio": 0.95,
    "was_liquidated": 0.0,
    "exit_is_unfinished": 0.0,
    "funding_exit_is_due": 0.0,
    "margin_loan_fraction": 0.0,
    "net_delta_fraction": 0.0,
    "entry_is_due": 0.0,
    "scaling_rule": 0.0,
    "is_first_row": 0.0,
}
FLAT = {**OPEN_AND_QUIET, "is_flat": 1.0, "worst_margin_ratio": 999.0}


def decided(row: dict[str, float], **changes: float) -> float:
    """Code of the decision at a row of facts."""
    facts: dict[str, Any] = {name: np.array([value]) for name, value in {**row, **changes}.items() if name in row}
    limits = {**LEVELS, **{name: value for name, value in changes.items() if name in LEVELS}}
    return float(basis.decision(**facts, **limits)[0])


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        pytest.param({}, None, id="quiet-holds"),
        pytest.param({"worst_margin_ratio": 0.19}, basis.EXIT_MARGIN, id="margin-under-exit"),
        pytest.param({"was_liquidated": 1.0}, basis.EXIT_MARGIN, id="a-liquidation-closes-the-rest"),
        pytest.param({"worst_margin_ratio": 0.29}, basis.REDUCE_MARGIN, id="margin-under-reduce"),
        pytest.param({"worst_margin_ratio": 0.30}, None, id="margin-at-the-level-holds"),
        pytest.param({"worst_margin_ratio": 0.20}, basis.REDUCE_MARGIN, id="margin-at-exit-reduces"),
        pytest.param({"funding_exit_is_due": 1.0}, basis.EXIT_FUNDING, id="funding"),
        pytest.param({"exit_is_unfinished": 1.0}, basis.FINISH_EXIT, id="unfinished-exit"),
        pytest.param({"margin_loan_fraction": 0.0011}, basis.REPAY_LOAN, id="loan"),
        pytest.param({"margin_loan_fraction": 0.001}, None, id="loan-at-limit-holds"),
        pytest.param({"net_delta_fraction": 0.021}, basis.ADJUST_DELTA, id="delta"),
        pytest.param({"net_delta_fraction": 0.02}, None, id="delta-at-limit-holds"),
        pytest.param({"scaling_rule": 9.0}, basis.SCALE_UP, id="scale-up"),
        pytest.param({"scaling_rule": 10.0}, basis.SCALE_DOWN, id="scale-down"),
        pytest.param({"entry_is_due": 1.0}, None, id="an-open-book-is-not-entered"),
        pytest.param({"withdrawal_pending": 50.0}, basis.WITHDRAWAL, id="withdrawal"),
    ],
)
def test_rule_of_an_open_book(facts: dict[str, float], rule: DecisionRule | None) -> None:
    assert decided(OPEN_AND_QUIET, **facts) == (0.0 if rule is None else rule.code)


def test_the_risk_exit_has_priority_over_everything() -> None:
    """Risk exit, funding exit, loan, delta, withdrawal, equity rebalance: the order of domain 3.0."""
    facts = {
        "worst_margin_ratio": 0.1,
        "funding_exit_is_due": 1.0,
        "exit_is_unfinished": 1.0,
        "margin_loan_fraction": 0.5,
        "net_delta_fraction": 0.5,
        "withdrawal_pending": 50.0,
        "scaling_rule": 9.0,
    }
    relief = [
        ("worst_margin_ratio", 0.25, basis.REDUCE_MARGIN),
        ("worst_margin_ratio", 0.9, basis.EXIT_FUNDING),
        ("funding_exit_is_due", 0.0, basis.FINISH_EXIT),
        ("exit_is_unfinished", 0.0, basis.REPAY_LOAN),
        ("margin_loan_fraction", 0.0, basis.ADJUST_DELTA),
        ("net_delta_fraction", 0.0, basis.WITHDRAWAL),
        ("withdrawal_pending", 0.0, basis.SCALE_UP),
    ]
    assert decided(OPEN_AND_QUIET, **facts) == basis.EXIT_MARGIN.code
    for name, value, next_rule in relief:
        facts[name] = value
        assert decided(OPEN_AND_QUIET, **facts) == next_rule.code


def test_a_flat_book_enters_or_holds() -> None:
    assert decided(FLAT) == 0.0
    assert decided(FLAT, entry_is_due=1.0) == basis.ENTRY.code
    assert decided(FLAT, funding_exit_is_due=1.0, scaling_rule=9.0, withdrawal_pending=50.0) == 0.0
    assert decided(FLAT, exit_is_unfinished=1.0) == basis.FINISH_EXIT.code
    assert decided(FLAT, exit_is_unfinished=1.0, entry_is_due=1.0) == basis.ENTRY.code


def test_frictionless_enters_on_the_first_row_whatever_the_signal_and_then_holds() -> None:
    assert decided(FLAT, is_first_row=1.0, entry_only=True) == basis.ENTRY.code
    assert decided(FLAT, entry_is_due=1.0, entry_only=True) == 0.0
    assert decided(OPEN_AND_QUIET, worst_margin_ratio=0.01, entry_only=True) == 0.0


def test_codes_and_reasons_are_unique() -> None:
    assert sorted(rule.code for rule in basis.RULES) == list(range(1, len(basis.RULES) + 1))
    assert len({rule.reason for rule in basis.RULES}) == len(basis.RULES)


def test_only_closing_risk_rules_are_emergency_exits() -> None:
    """Ruling 30: a risk rule is emergency_exit if it closes, else rebalance."""
    assert basis.EXIT_MARGIN.decision_type is DecisionType.EMERGENCY_EXIT
    assert basis.REDUCE_MARGIN.decision_type is DecisionType.REBALANCE
    assert [rule for rule in basis.RULES if rule.is_entry] == [basis.ENTRY]
    assert {rule.intent for rule in basis.RULES} == set(StrategyIntent) - {StrategyIntent.SELL_DUST}


ONE = np.ones(1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, 1.0, id="all-holds"),
        pytest.param({"funding_settles": 0.0}, 0.0, id="only-on-settlement-rows"),
        pytest.param({"funding_known": 0.0}, 0.0, id="none-known-no-entry"),
        pytest.param({"funding_trailing_apr": 0.0}, 0.0, id="strictly-above"),
        pytest.param({"cooldown_over": 0.0}, 0.0, id="cooling-down"),
        pytest.param({"deployable_usd": 10.0}, 0.0, id="less-than-the-least-trade"),
    ],
)
def test_entry_conditions(changes: dict[str, float], expected: float) -> None:
    facts = {
        "funding_settles": 1.0,
        "funding_known": 1.0,
        "funding_trailing_apr": 1e-5,
        "cooldown_over": 1.0,
        "deployable_usd": 500.0,
    }
    columns = {name: np.array([value]) for name, value in {**facts, **changes}.items()}
    assert basis.entry_is_due(**columns, funding_enter_apr=0.0, min_trade_usd=10.0).tolist() == [expected]


@pytest.mark.parametrize(
    ("mean", "settles", "known", "expected"),
    [(-1e-6, 1.0, 1.0, 1.0), (0.0, 1.0, 1.0, 0.0), (-1e-6, 0.0, 1.0, 0.0), (-1e-6, 1.0, 0.0, 0.0)],
)
def test_funding_exit_conditions(mean: float, settles: float, known: float, expected: float) -> None:
    due = basis.funding_exit_is_due(settles * ONE, known * ONE, mean * ONE, 0.0)
    assert due.tolist() == [expected]


def test_hysteresis_neither_enters_nor_leaves_between_its_thresholds() -> None:
    mean = np.array([1e-4, 3e-5, -1e-5])
    ones = np.ones(3)
    enters = basis.entry_is_due(ones, ones, mean, ones, 500.0 * ones, 5e-5, 10.0)
    leaves = basis.funding_exit_is_due(ones, ones, mean, 0.0)
    assert enters.tolist() == [1.0, 0.0, 0.0]
    assert leaves.tolist() == [0.0, 0.0, 1.0]


def test_a_scaling_worth_less_than_the_least_trade_is_held() -> None:
    deviation = np.array([0.03, -0.03, 0.03, -0.03])
    orders = np.array([9.0, 9.0, 11.0, 11.0])
    chosen = basis.scaling_rule(deviation, orders, np.zeros(4), 0.02, 10.0)
    assert chosen.tolist() == [0.0, 0.0, basis.SCALE_UP.code, basis.SCALE_DOWN.code]


def test_idle_cash_of_a_deposit_is_invested() -> None:
    idle = basis.deployable_idle_usd(np.array([3_000.0, 1_000.0]), np.array([100_000.0, 100_000.0]), 0.02)
    assert idle.tolist() == [3_000.0, 0.0]
    assert basis.scaling_rule(np.zeros(2), idle, idle, 0.02, 10.0).tolist() == [basis.SCALE_UP.code, 0.0]


def test_venue_share_gap_is_the_largest() -> None:
    gap = basis.venue_share_gap(np.array([[46.0, 27.0, 27.0], [0.0, 0.0, 0.0]]), np.array([0.4, 0.3, 0.3]))
    assert gap.tolist() == pytest.approx([0.06, 0.0])


def test_both_basis_modes_share_everything_but_their_name() -> None:
    assert replace(MODES["btc_basis"], mode="eth_basis") == MODES["eth_basis"]
    assert MODES["btc_basis"].rules is basis.RULES
