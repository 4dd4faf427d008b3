"""Law 10, first half: the integer model is Aave's.

Every number of every state after every action, every result and every revert (by the contracts' name) of the golden
vectors is equal, on integers, for both versions in the file. And the vectors are sharp: each rounding, constant and
form of interest changed alone makes the replay fail, so that equality is not for want of cases.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from dataflow.maths.lending.fixed_point import Rounding
from dataflow.maths.lending.rules import AAVE_V3_0_2, AAVE_V3_6, VERSIONS, InterestForm, Rules
from tests.golden.vectors import REPLAY_SECONDS, Json, Mismatch, first_mismatch, replay

SCENARIOS = [f"{name}@{version}" for name in ("random", "emode_flash_loop", "liquidation") for version in VERSIONS]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_number_and_every_revert_is_the_contracts(
    name: str, vectors: Json, record_property: Callable[[str, object], None]
) -> None:
    scenario = vectors["scenarios"][name]
    started = time.perf_counter()
    mismatch = first_mismatch(vectors, scenario, VERSIONS[scenario["aave_version"]])
    record_property(REPLAY_SECONDS, (len(scenario["steps"]), time.perf_counter() - started))
    assert mismatch is None, f"{mismatch}: {scenario['steps'][mismatch.step]['action']}"


def test_scenarios_that_another_file_adds_are_the_contracts_too(vectors: Json) -> None:
    scenarios = vectors["scenarios"]
    assert set(scenarios) >= set(SCENARIOS)
    added = [scenario for name, scenario in scenarios.items() if name not in SCENARIOS]
    assert not any(first_mismatch(vectors, scenario, VERSIONS[scenario["aave_version"]]) for scenario in added)


@pytest.mark.parametrize("version", list(VERSIONS))
def test_the_loop_leaves_its_owner_what_the_contracts_left(version: str, vectors: Json) -> None:
    scenario = vectors["scenarios"][f"emode_flash_loop@{version}"]
    done = [step for step in scenario["steps"] if step["ok"]]
    closes = [step["result"] for step in done if step["action"]["type"] == "close"]
    paid_out = sum(close["weth"] - close["repaid"] - close["premium"] for close in closes)
    opened = sum(step["action"]["equity"] for step in done if step["action"]["type"] == "open")
    assert scenario["extra"] == {"owner_weth_received": paid_out, "equity_in": opened}


def test_a_failed_action_leaves_no_trace(vectors: Json) -> None:
    scenario = vectors["scenarios"]["random@3.6"]
    before, reverts = None, 0
    for step, pool, _ in replay(vectors, scenario, AAVE_V3_6):
        after = (dict(pool.reserves), dict(pool.accounts), dict(pool.prices))
        if step.get("chainError"):
            assert after == before
            reverts += 1
        before = after
    assert reverts > 0


def changed(rules: Rules, **change: object) -> pytest.ParameterSet:
    """A mutation of one rule, named after it."""
    ((name, value),) = change.items()
    text = value.value if isinstance(value, Rounding | InterestForm) else value
    return pytest.param(replace(rules, **change), id=f"{rules.version}-{name}-{text}")  # type: ignore[arg-type]


MUTATIONS = [
    # Rounding directions of mint, burn and balance of both tokens
    changed(AAVE_V3_6, supply_mint=Rounding.CEIL),
    changed(AAVE_V3_6, supply_mint=Rounding.HALF_UP),
    changed(AAVE_V3_6, supply_burn=Rounding.FLOOR),
    changed(AAVE_V3_6, supply_burn=Rounding.HALF_UP),
    changed(AAVE_V3_6, supply_transfer=Rounding.FLOOR),
    changed(AAVE_V3_6, supply_balance=Rounding.CEIL),
    changed(AAVE_V3_6, debt_mint=Rounding.FLOOR),
    changed(AAVE_V3_6, debt_mint=Rounding.HALF_UP),
    changed(AAVE_V3_6, debt_burn=Rounding.CEIL),
    changed(AAVE_V3_6, debt_burn=Rounding.HALF_UP),
    changed(AAVE_V3_6, debt_balance=Rounding.FLOOR),
    changed(AAVE_V3_6, debt_value=Rounding.FLOOR),
    changed(AAVE_V3_6, available_borrows=Rounding.HALF_UP),
    changed(AAVE_V3_0_2, supply_mint=Rounding.FLOOR),
    changed(AAVE_V3_0_2, supply_burn=Rounding.CEIL),
    changed(AAVE_V3_0_2, supply_balance=Rounding.FLOOR),
    changed(AAVE_V3_0_2, debt_mint=Rounding.CEIL),
    changed(AAVE_V3_0_2, debt_burn=Rounding.FLOOR),
    changed(AAVE_V3_0_2, debt_balance=Rounding.CEIL),
    # Interest
    changed(AAVE_V3_6, series_terms=2),
    changed(AAVE_V3_0_2, series_terms=2),
    changed(AAVE_V3_6, debt_interest=InterestForm.BINOMIAL),
    changed(AAVE_V3_0_2, debt_interest=InterestForm.EXPONENTIAL),
    changed(AAVE_V3_6, debt_interest=InterestForm.LINEAR),
    changed(AAVE_V3_6, supply_interest=InterestForm.EXPONENTIAL),
    changed(AAVE_V3_0_2, supply_interest=InterestForm.BINOMIAL),
    changed(AAVE_V3_6, seconds_per_year=360 * 86_400),
    changed(AAVE_V3_6, seconds_per_year=366 * 86_400),
    changed(AAVE_V3_0_2, seconds_per_year=36_525 * 864),
    # Flash premium and close factor
    changed(AAVE_V3_6, flash_premium=Rounding.FLOOR),
    changed(AAVE_V3_6, flash_premium=Rounding.HALF_UP),
    changed(AAVE_V3_0_2, flash_premium=Rounding.FLOOR),
    changed(AAVE_V3_6, close_factor_bps=10_000),
    changed(AAVE_V3_0_2, close_factor_bps=10_000),
    # Procedures
    changed(AAVE_V3_6, pays_premium_to_suppliers=True),
    changed(AAVE_V3_6, checks_borrow_after=False),
    changed(AAVE_V3_6, cuts_average_threshold=True),
    changed(AAVE_V3_6, burns_bad_debt=False),
    changed(AAVE_V3_6, accrues_on_index_step=False),
    changed(AAVE_V3_0_2, averages_borrow_rate=False),
    changed(AAVE_V3_0_2, enables_received_collateral=False),
]


@pytest.mark.parametrize("mutated", MUTATIONS)
def test_a_change_of_one_rule_breaks_the_replay(mutated: Rules, vectors: Json) -> None:
    scenarios = [item for item in vectors["scenarios"].values() if item["aave_version"] == mutated.version]
    found: list[Mismatch | None] = [first_mismatch(vectors, scenario, mutated) for scenario in scenarios]
    assert any(found)
