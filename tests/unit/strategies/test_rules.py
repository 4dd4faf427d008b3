"""One list says which of several rules wins; where each applies is said beside it, in any order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.decisions import HOLD, DecisionRule
from schemas.operations import DecisionType, StrategyIntent
from strategies.basis import rules as basis
from strategies.hedged import rules as hedged
from strategies.lending import rules as lending
from strategies.leverage import rules as leverage
from strategies.ml import rules as ml
from strategies.rules import first_that_applies
from strategies.staking import rules as staking

FAMILIES = (lending, basis, staking, leverage, hedged, ml)
RULES = tuple(DecisionRule(code, f"r{code}", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL) for code in (7, 2, 9, 4))


@given(st.lists(st.sets(st.sampled_from(RULES)), min_size=1, max_size=8), st.permutations(RULES))
def test_the_first_of_the_list_wins_in_whatever_order_the_conditions_stand(
    rows: list[set[DecisionRule]], order: list[DecisionRule]
) -> None:
    applies = {rule: np.array([rule in row for row in rows]) for rule in order}
    first = [next((float(rule.code) for rule in RULES if rule in row), HOLD) for row in rows]
    assert first_that_applies(RULES, applies).tolist() == first


def test_a_rule_without_a_condition_is_found() -> None:
    with pytest.raises(AssertionError, match="one condition"):
        first_that_applies(RULES, {RULES[0]: np.array([True])})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_codes_and_reasons_of_a_family_are_its_own(family: object) -> None:
    rules: tuple[DecisionRule, ...] = family.RULES  # type: ignore[attr-defined]  # a module is an object to the type checker
    assert len({rule.code for rule in rules}) == len({rule.reason for rule in rules}) == len(rules)
