"""Rules of the lending modes. No debt exists in them, so the exit on health is shown on its nodes."""

from typing import Any

import numpy as np
import pytest

from dataflow.nodes import decision
from schemas.decisions import DecisionRule
from schemas.operations import OperationType, StrategyIntent
from strategies.lending import rules as lending

ONE, CELL = np.ones(1), np.ones((1, 1))


def decided(
    *,
    deployable: float = 0.0,
    supplied: float = 1.0,
    idle: float = 0.0,
    health: float = 999.0,
    first: float = 0.0,
    pending: float = 0.0,
    entry_only: bool = False,
) -> float:
    """Code of the decision at one row of facts."""
    facts = (np.array([value]) for value in (deployable, supplied, idle, health, first))
    limits = {"health_factor_min": 1.5, "min_trade_usd": 10.0}
    return float(lending.decision(*facts, **limits, withdrawal_pending=pending, entry_only=entry_only)[0])


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        pytest.param({"deployable": 500.0, "supplied": 0.0}, lending.ENTRY, id="nothing-supplied"),
        pytest.param({"deployable": 10.0, "supplied": 0.0}, None, id="too-little-to-supply"),
        pytest.param({"deployable": 500.0, "idle": 1.0}, lending.ADD_IDLE, id="idle-due"),
        pytest.param({"deployable": 500.0}, None, id="idle-not-due"),
        pytest.param({"deployable": 5.0, "idle": 1.0}, None, id="idle-under-the-least-trade"),
        pytest.param({"health": 1.49}, lending.EXIT_HEALTH, id="health-under-minimum"),
        pytest.param({"health": 1.5}, None, id="health-at-minimum"),
        pytest.param({"health": 1.0, "supplied": 0.0, "deployable": 500.0}, lending.ENTRY, id="no-exit-when-flat"),
        pytest.param({"health": 1.0, "deployable": 500.0, "idle": 1.0}, lending.EXIT_HEALTH, id="exit-comes-first"),
        pytest.param({"pending": 50.0}, lending.WITHDRAWAL, id="withdrawal"),
        pytest.param({"pending": 50.0, "deployable": 500.0, "idle": 1.0}, lending.WITHDRAWAL, id="before-idle"),
        pytest.param({"pending": 50.0, "health": 1.0}, lending.EXIT_HEALTH, id="exit-before-withdrawal"),
        pytest.param({"pending": 50.0, "supplied": 0.0}, None, id="nothing-left-to-withdraw"),
    ],
)
def test_rule_table(facts: dict[str, Any], rule: DecisionRule | None) -> None:
    assert decided(**facts) == (0.0 if rule is None else rule.code)


def test_frictionless_enters_on_the_first_row_and_then_holds() -> None:
    assert decided(supplied=0.0, first=1.0, entry_only=True) == lending.ENTRY.code
    assert decided(supplied=0.0, deployable=500.0, entry_only=True) == 0.0
    assert decided(deployable=500.0, idle=1.0, health=0.5, entry_only=True) == 0.0


def test_an_endangered_deposit_is_withdrawn_whole() -> None:
    (intent,) = lending.orders(lending.EXIT_HEALTH, 0.0 * ONE, 80.0 * CELL, 1.25 * CELL, CELL, ("USDT",), "USDT", 0.0)
    assert intent.operation is OperationType.WITHDRAW
    assert intent.amount == 100.0
    assert intent.closes_all
    assert intent.strategy_intent is StrategyIntent.EXIT_FULL


@pytest.mark.parametrize("rule", [lending.ENTRY, lending.ADD_IDLE])
def test_what_is_deployable_is_supplied_in_units_of_the_token(rule: DecisionRule) -> None:
    (intent,) = lending.orders(rule, 6_000.0 * ONE, 0.0 * CELL, CELL, 3_000.0 * CELL, ("WETH",), "WETH", 0.0)
    assert intent.operation is OperationType.SUPPLY
    assert (intent.source_venue, intent.target_venue, intent.source_token) == ("wallet", "aave_v3", "WETH")
    assert intent.amount == 2.0
    assert intent.strategy_intent is rule.intent


def test_deployable_leaves_gas_and_reserve() -> None:
    wallet, price = np.array([[1.0, 2.0]]), np.array([[3_000.0, 3_000.0]])
    left = decision.deployable_usd(wallet, price, 20.0 * ONE, 100.0 * ONE, 3_000.0 * ONE, 0.0)
    assert left.tolist() == [8_880.0]


@pytest.mark.parametrize(
    ("missing", "amount", "closes_all"),
    [pytest.param(40.0, 40.0, False, id="part"), pytest.param(100.0, 100.0, True, id="all")],
)
def test_a_withdrawal_takes_what_is_missing_and_never_more_than_is_there(
    missing: float, amount: float, closes_all: bool
) -> None:
    (intent,) = lending.orders(
        lending.WITHDRAWAL, 0.0 * ONE, 80.0 * CELL, 1.25 * CELL, CELL, ("USDT",), "USDT", missing
    )
    assert (intent.operation, intent.amount, intent.closes_all) == (OperationType.WITHDRAW, amount, closes_all)


@pytest.mark.parametrize(
    ("deployable", "deviation", "due"),
    [
        pytest.param(3.0, 0.0, 1.0, id="idle-over-threshold"),
        pytest.param(1.0, 0.0, 0.0, id="idle-under-threshold"),
        pytest.param(1.0, 0.03, 1.0, id="equity-grew"),
        pytest.param(1.0, -0.03, 1.0, id="equity-fell"),
    ],
)
def test_idle_is_due(deployable: float, deviation: float, due: float) -> None:
    flag = decision.idle_is_due(deployable * ONE, 100.0 * ONE, deviation * ONE, 0.02)
    assert flag.tolist() == [due]


def test_a_mode_without_debt_never_meets_the_health_rule() -> None:
    assert decided(health=999.0, deployable=1e6, idle=1.0) != lending.EXIT_HEALTH.code
