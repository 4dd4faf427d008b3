"""The violent markets are violent enough: over the fixed seeds every rule of every mode decides at least once.

Without this the other laws could hold on books that never trade. Three rules cannot fire there: without debt no health
factor falls, so ``health_factor_below_minimum`` is tested on its node; and only a refused order unhedges a book or
leaves an exit unfinished. Withdrawals need a schedule: ``tests/laws/test_capital_flows.py``.
"""

from collections import Counter

import pytest

from strategies.basis import rules as basis
from strategies.lending import rules as lending
from tests.laws.conftest import SEEDS, ViolentRun
from tests.support.markets import BASIS_MODES, LENDING_MODES
from tests.support.runs import MemoryRun, rules_fired


def fired(violent_run: ViolentRun, mode: str) -> Counter[str]:
    """Decisions by rule over the fixed seeds."""
    total: Counter[str] = Counter()
    for seed in SEEDS:
        total.update(rules_fired(violent_run(mode, seed)))
    return total


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_every_basis_rule_fires(mode: str, violent_run: ViolentRun) -> None:
    total = fired(violent_run, mode)
    for rule in basis.RULES:
        never = (basis.ADJUST_DELTA, basis.FINISH_EXIT, basis.WITHDRAWAL)
        assert total[rule.reason] > 0 or rule in never, total
    assert sum(total.values()) >= 60, total


def test_a_refused_short_makes_the_delta_rule_fire(unhedged_run: MemoryRun) -> None:
    assert unhedged_run.outcome.counts.operations_failed == 1
    assert rules_fired(unhedged_run)[basis.ADJUST_DELTA.reason] == 1
    first = int((unhedged_run.column("decision") == basis.ADJUST_DELTA.code).argmax())
    assert unhedged_run.column("net_delta_fraction")[first - 1] > 0.02
    assert unhedged_run.column("net_delta_fraction")[first] < 1e-12


@pytest.mark.parametrize("mode", LENDING_MODES)
def test_every_lending_rule_without_debt_fires(mode: str, violent_run: ViolentRun) -> None:
    total = fired(violent_run, mode)
    assert total[lending.ENTRY.reason] == len(SEEDS)
    assert total[lending.ADD_IDLE.reason] > 0


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_venues_are_levelled(mode: str, violent_run: ViolentRun) -> None:
    moved = [
        event
        for seed in SEEDS
        for event in violent_run(mode, seed).events("operation_executions")
        if event["operation_type"] == "transfer" and "wallet" not in (event["source_venue"], event["target_venue"])
    ]
    assert moved


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_books_stay_hedged_after_every_decision(mode: str, violent_run: ViolentRun) -> None:
    for seed in SEEDS:
        run = violent_run(mode, seed)
        decided = run.column("decision") != 0.0
        assert run.column("net_delta_fraction")[decided].max() < 0.02
