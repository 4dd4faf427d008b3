"""A strategy that asks on the first row for exactly the orders that a test gives it, and then holds."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from hamilton.function_modifiers import tag

from dataflow.engine import backtest
from dataflow.engine.backtest import Backtest
from schemas.decisions import DecisionRule
from schemas.intents import OrderIntent
from schemas.operations import DecisionType, StrategyIntent
from schemas.units import Column, frozen
from strategies.registry import MODES
from tests.support.runs import prepared

RULE = DecisionRule(1, "scripted", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)


def scripted(monkeypatch: pytest.MonkeyPatch, mode: str, intents: Sequence[OrderIntent]) -> Backtest:
    """A backtest of a mode's configuration whose strategy asks for ``intents`` on the first row."""
    module = ModuleType("scripted_strategy")

    @tag(stage="decision", unit="rule", role="decision", record="decision")  # type: ignore[untyped-decorator]
    def decision(is_first_row: Column, gas_unit_usd: Column) -> Column:  # every strategy knows what gas costs
        return frozen(np.where(is_first_row > 0.0, float(RULE.code), 0.0))

    @tag(stage="orders", unit="intent")  # type: ignore[untyped-decorator]  # Hamilton ships no types
    def orders(decision_rule: DecisionRule) -> list[OrderIntent]:
        return list(intents)

    for node in (decision, orders):
        node.__module__ = module.__name__
        setattr(module, node.__name__, node)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = replace(MODES[mode], modules=(module,), rules=(RULE,))
    monkeypatch.setattr(backtest, "MODES", {**MODES, mode: spec})
    return Backtest(prepared(mode).config)
