"""A strategy that asks at given rows for exactly the orders that a test gives it, and holds at all others."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from unittest.mock import patch

import numpy as np
from hamilton.function_modifiers import tag

from dataflow.engine.backtest import Backtest
from schemas.decisions import DecisionRule
from schemas.intents import OrderIntent
from schemas.operations import DecisionType, StrategyIntent
from schemas.units import Column, frozen
from tests.support.modes import MODES
from tests.support.runs import prepared

Script = Mapping[int, Sequence[OrderIntent]]
"""Row of the run to the orders of its decision."""


def scripted(mode: str, script: Script, overrides: tuple[str, ...] = ()) -> Backtest:
    """A backtest of a mode's configuration, venues and valuation whose strategy follows the script."""
    rules = tuple(
        DecisionRule(code, f"row_{row}", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
        for code, row in enumerate(script, start=1)
    )
    orders_of = dict(zip(rules, script.values(), strict=True))

    def decided(row_number: Column) -> Column:
        codes = np.zeros_like(row_number)
        for rule, row in zip(rules, script, strict=True):
            codes[row_number == row] = rule.code
        return frozen(codes)

    def on_chain(row_number: Column, gas_unit_usd: Column) -> Column:  # every strategy there knows what gas costs
        return decided(row_number)

    def at_the_market(row_number: Column, gas_unit_usd: Column, lst_market_ratio: Column) -> Column:
        return decided(row_number)

    def orders(decision_rule: DecisionRule) -> list[OrderIntent]:
        return list(orders_of[decision_rule])

    config = prepared(mode, overrides=overrides).config
    reads_market = "lst_market_ratio" in config.mode.data_requirements
    decide = decided if MODES[mode].features["directional"] else at_the_market if reads_market else on_chain
    module = ModuleType("scripted_strategy")
    module.decision = tag(stage="decision", unit="rule", role="decision", record="decision")(decide)  # type: ignore[attr-defined]  # made at run time
    module.orders = tag(stage="orders", unit="intent")(orders)  # type: ignore[attr-defined]  # made at run time
    for name in ("decision", "orders"):
        node = getattr(module, name)
        node.__module__, node.__name__ = module.__name__, name
    spec = replace(MODES[mode], modules=(module,), rules=rules)
    with patch.dict(sys.modules, {module.__name__: module}):  # where Hamilton looks up whose a function is
        return Backtest(config, spec=spec)
