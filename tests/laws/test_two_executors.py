"""Law 2: the flattened plan and Hamilton's own ``execute``, which checks every node call, give equal results."""

from pathlib import Path

import pytest

from dataflow.market.market import Market
from tests.support.markets import LENDING_MODES, violent_market
from tests.support.runs import assert_same_business, prepared, run_in_memory


@pytest.mark.parametrize("mode", LENDING_MODES)
def test_hamilton_gives_the_bits_of_the_plan_while_lending(mode: str, tmp_path: Path) -> None:
    _compare(mode, violent_market(mode, seed=0, rows=60), tmp_path)


@pytest.mark.parametrize(("mode", "rows"), [("btc_basis", 14), ("eth_basis", 8)])
def test_hamilton_gives_the_bits_of_the_plan_while_trading(mode: str, rows: int, tmp_path: Path) -> None:
    """An entry, and in the longer run a rebalance: each order costs a checked walk of the graph, so rows are few."""
    _compare(mode, violent_market(mode, seed=8, rows=rows), tmp_path)


def test_plan_with_every_call_checked_gives_the_same_bits(tmp_path: Path) -> None:
    market = violent_market("btc_basis", seed=8, rows=8)
    plain = run_in_memory(prepared("btc_basis"), market, tmp_path / "plain")
    checked = run_in_memory(prepared("btc_basis", validation="every-call"), market, tmp_path / "checked")
    assert plain.outcome.counts.orders > 0
    assert_same_business(plain, checked)


def _compare(mode: str, market: Market, directory: Path) -> None:
    plan = run_in_memory(prepared(mode), market, directory / "plan")
    hamilton = run_in_memory(prepared(mode, executor="hamilton"), market, directory / "hamilton")
    assert plan.outcome.counts.orders > 0
    assert_same_business(plan, hamilton)
