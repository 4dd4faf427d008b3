"""Claim: every column that a run records says its unit and what it is, and its sign where one is fixed."""

import pytest

from dataflow.config.files import list_modes
from dataflow.graph.build import OBSERVE_STAGES
from tests.support.runs import prepared


@pytest.mark.parametrize("mode", list_modes())
def test_every_node_column_has_a_unit_and_a_description(mode: str) -> None:
    backtest = prepared(mode)
    facts = backtest.column_metadata()
    recorded = [node.name for node in backtest.graph.in_stages(OBSERVE_STAGES)]
    assert [name for name in recorded if not {"unit", "description"} <= facts[name].keys()] == []
    assert all(all(said.values()) for said in facts.values())


@pytest.mark.parametrize(("column", "sign"), [
    pytest.param("funding_pnl_step", "> 0 is received.", id="said-by-the-node"),
    pytest.param("debt_value_usd", "<= 0.", id="said-by-a-node-of-a-part"),
    pytest.param("spot_price", "> 0", id="bound-of-the-frame-above-zero"),
    pytest.param("gas_price_gwei", ">= 0", id="bound-of-the-frame-at-zero"),
    pytest.param("equity_usd", None, id="either-sign"),
])  # fmt: skip
def test_a_sign_comes_from_the_node_or_from_the_bounds_of_the_frame(column: str, sign: str | None) -> None:
    assert prepared("usdt_market_neutral").column_metadata()[column].get("sign") == sign
