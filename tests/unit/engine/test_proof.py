"""A graph that its engine cannot run is refused when it is built, by a message that names node and input."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from dataflow.engine.backtest import Backtest, EngineOptions, ExecutorName
from dataflow.engine.inputs import evaluations
from dataflow.execution.decision import checked_intents
from dataflow.graph.build import OBSERVE_STAGES, Graph, Node
from dataflow.graph.executors import Target, Values
from dataflow.graph.proof import Evaluation, prove
from dataflow.market.market import DATA_COLUMNS
from dataflow.market.synthetic.random_markets import random_market
from schemas.errors import ConfigValidationError, EngineInitError, ErrorCode, InvalidStrategyOutputError, PlatformError
from schemas.models.config_base import ModeName
from tests.support.modes import MODES
from tests.support.runs import prepared, run_in_memory

LENDING = "pure_lending_usdt"
STRATEGY = '''
import numpy as np
from typing import Annotated
from hamilton.function_modifiers import tag
from schemas.intents import OrderIntent
from schemas.units import Column

@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(row_number: Column, min_trade_usd: float) -> Column:
    """Hold."""
    return 0.0 * row_number

@tag(stage="orders", unit="intent")
def orders(equity_usd: Annotated[Column, "usd"], withdrawal_pending: float) -> list[OrderIntent]:
    """None."""
    return []
'''


@cache
def contract(mode: str) -> tuple[Graph, tuple[Evaluation, ...], frozenset[str]]:
    """The graph of a mode, what its engine gives, and the axes that it knows."""
    backtest = prepared(mode)
    asked = evaluations(backtest.graph, backtest.parameters, backtest.market_request().columns)
    return backtest.graph, asked, frozenset(backtest.parameters.axes)


def refusal(graph: Graph, asked: Sequence[Evaluation], axes: frozenset[str]) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        prove(graph, asked, axes)
    return caught.value


def changed(graph: Graph, name: str, change: Callable[[Node], Node]) -> Graph:
    """The graph with one node in place of another."""
    nodes = tuple(change(node) if node.name == name else node for node in graph.nodes)
    return Graph(graph.hamilton, nodes, graph.inputs)


def tagged(**tags: str) -> Callable[[Node], Node]:
    return lambda node: replace(node, tags={**node.tags, **tags})


# -- laws over the ten modes


@pytest.mark.parametrize("mode", ModeName)
def test_every_input_that_is_not_given_is_named(mode: ModeName) -> None:
    graph, asked, axes = contract(mode.value)
    for name in graph.inputs:
        less = tuple(replace(one, given=one.given - {name}) for one in asked)
        error = refusal(graph, less, axes)
        assert isinstance(error, ConfigValidationError if name in DATA_COLUMNS else EngineInitError), name
        assert error.context["input"] == name
        assert name in dict(graph.by_name[str(error.context["node"])].arguments).values()


@pytest.mark.parametrize("mode", ModeName)
def test_every_recorded_node_without_a_column_is_named(mode: ModeName) -> None:
    graph, _, axes = contract(mode.value)
    for node in graph.in_stages(OBSERVE_STAGES):
        misspelt = replace(node, name=f"{node.name}_", tags=node.tags)
        error = refusal(Graph(graph.hamilton, (misspelt,), graph.inputs), (), axes)
        assert error.code is ErrorCode.ENGINE_INIT_FAILED
        assert f"did you mean {node.name!r}?" in error.message


@pytest.mark.parametrize("mode", ModeName)
def test_every_unit_that_is_not_the_one_of_the_frame_is_named(mode: ModeName) -> None:
    graph, asked, axes = contract(mode.value)
    for node in graph.in_stages(OBSERVE_STAGES):
        error = refusal(changed(graph, node.name, tagged(unit="wei")), asked, axes)
        assert error.code is ErrorCode.ENGINE_INIT_FAILED
        assert "wei" in (error.context["unit"], error.context["other_unit"])
        assert node.name in error.message


class Noting:
    """An executor that notes which names were known for which nodes, and lets another one work."""

    def __init__(self, backtest: Backtest) -> None:
        self.inner = backtest.executor
        self.calls: set[tuple[tuple[str, ...], frozenset[str]]] = set()

    def evaluate(self, names: Sequence[str], known: Values) -> dict[str, object]:
        self.calls.add((tuple(names), frozenset(known)))
        return self.inner.evaluate(names, known)


@pytest.mark.parametrize("mode", ["eth_leveraged", "usdt_market_neutral", "ml_btc_directional_usdt_margin"])
def test_the_engine_gives_what_the_proof_takes_for_given(mode: str, tmp_path: Path) -> None:
    backtest = Backtest(prepared(mode).config)
    backtest.executor = noting = Noting(backtest)
    run = run_in_memory(backtest, random_market(backtest.market_request(), 1, 48), tmp_path)
    assert run.outcome.counts.orders
    graph, asked, _ = contract(mode)
    for names, known in noting.calls:
        fitting = [one for one in asked if set(names) <= set(one.targets)]
        assert fitting, names
        needed = _inputs_of(graph, names, known)
        assert any(needed <= one.given for one in fitting), (names, sorted(needed))
        assert needed <= known


def _inputs_of(graph: Graph, names: Sequence[str], known: frozenset[str]) -> set[str]:
    needed: set[str] = set()
    pending = [name for name in names if name not in known]
    while pending:
        for _, source in graph.by_name[pending.pop()].arguments:
            if source in graph.by_name and source not in known:
                pending.append(source)
            elif source not in graph.by_name:
                needed.add(source)
    return needed


# -- strategies that do not fit


def with_strategy(text: str, executor: ExecutorName = "plan", **changes: object) -> Backtest:
    """The lending mode with the strategy of a text."""
    module = ModuleType("scratch_strategy")
    sys.modules[module.__name__] = module
    try:
        exec(text, module.__dict__)  # noqa: S102 - the module of a test
        for node in vars(module).values():
            if getattr(node, "__name__", "") in ("decision", "orders", "tax_value_usd"):
                node.__module__ = module.__name__
        spec = replace(MODES[LENDING], modules=(module,), **changes)  # type: ignore[arg-type]  # fields of a spec
        return Backtest(prepared(LENDING).config, EngineOptions(executor), spec=spec)
    finally:
        del sys.modules[module.__name__]


PART = '''
@tag(stage="exposure", unit="usd", axis="assets")
def tax_value_usd(equity_usdt: Column) -> Column:
    """A part."""
    return equity_usdt
'''

FAULTS: Mapping[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "an input with a slip": (
        lambda text: text.replace("min_trade_usd", "min_trade_us"),
        ("node decision", "'min_trade_us'", "a row", "did you mean 'min_trade_usd'?"),
    ),
    "a value of rows in an order": (
        lambda text: text.replace("withdrawal_pending: float", "row_number: Column"),
        ("node orders", "'row_number'", "a decision"),
    ),
    "a node that is missing": (
        lambda text: text.replace("def orders(", "def order_list("),
        ("mode pure_lending_usdt", "no node 'orders'"),
    ),
    "a stage that is none": (
        lambda text: text.replace('stage="orders"', 'stage="order"'),
        ("node orders", "stage 'order'", "did you mean 'orders'?"),
    ),
    "no stage": (lambda text: text.replace('@tag(stage="orders", unit="intent")\n', ""), ("node orders", "no stage")),
    "another unit than its source": (
        lambda text: text.replace('Column, "usd"', 'Column, "eth"'),
        ("argument equity_usd of node orders", "eth", "node equity_usd is in usd"),
    ),
    "a type that its source has not": (
        lambda text: text.replace("withdrawal_pending: float", "equity_share_class: str"),
        ("scratch_strategy", "equity_share_class"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_strategy_that_does_not_fit_is_refused_in_the_same_words_by_every_executor(fault: str) -> None:
    change, facts = FAULTS[fault]
    said = set()
    executors: tuple[ExecutorName, ...] = ("plan", "hamilton")
    for executor in executors:
        with pytest.raises(EngineInitError) as caught:
            with_strategy(change(STRATEGY), executor)
        said.add(caught.value.message)
    (message,) = said
    assert all(fact in message for fact in facts), message


def test_the_strategy_of_these_tests_fits() -> None:
    assert with_strategy(STRATEGY).graph.by_name["orders"].stage == "orders"


def test_a_part_is_refused_for_its_input_and_then_for_its_frame() -> None:
    parts = (*MODES[LENDING].value_parts, "tax_value_usd")
    with pytest.raises(EngineInitError, match=r"tax_value_usd .* 'equity_usdt'.* did you mean 'equity_usd'\?"):
        with_strategy(STRATEGY + PART, value_parts=parts)
    known = PART.replace("equity_usdt", "wallet_value_usd")
    with pytest.raises(EngineInitError, match=r"tax_value_usd .* the exposure frame has no column"):
        with_strategy(STRATEGY + known, value_parts=parts)


def test_a_type_that_the_engine_cannot_take_is_refused() -> None:
    graph, _, axes = contract("btc_basis")
    asked = Evaluation.of(
        "a decision", (Target("orders", dict),), frozenset({*graph.inputs, *graph.by_name}) - {"orders"}
    )
    assert "node orders (strategies" in (message := refusal(graph, (asked,), axes).message)
    assert "the engine takes a dict" in message


@pytest.mark.parametrize("asked", [None, (), [1]])
def test_what_is_no_list_of_intents_is_strat_003(asked: object) -> None:
    with pytest.raises(InvalidStrategyOutputError, match="node orders gave"):
        checked_intents(asked)
    assert InvalidStrategyOutputError.code.value == "STRAT-003"


def test_a_summand_of_another_unit_is_refused() -> None:
    graph, asked, axes = contract("btc_basis")
    summed = changed(graph, "asset_value_usd", lambda node: replace(node, arguments=(("part", "exchange_quantity"),)))
    error = refusal(summed, asked, axes)
    assert "node asset_value_usd" in error.message
    assert "node exchange_quantity is in asset_unit" in error.message


def test_a_name_that_says_another_unit_is_refused() -> None:
    graph, _, axes = contract("btc_basis")
    node = replace(graph.by_name["decision_rule"], name="rule_eth", tags={"stage": "orders", "unit": "usd"})
    error = refusal(Graph(graph.hamilton, (node,), graph.inputs), (), axes)
    assert (error.context["unit"], error.context["other_unit"]) == ("usd", "eth")


def test_a_second_axis_that_is_unknown_or_not_in_the_frame_is_refused() -> None:
    graph, asked, axes = contract("btc_basis")
    error = refusal(changed(graph, "perp_units", tagged(axis="venue")), asked, axes)
    assert "did you mean 'venues'?" in error.message
    error = refusal(changed(graph, "equity_usd", tagged(axis="venues")), asked, axes)
    assert "one value a row" in error.message
