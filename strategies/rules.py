"""What a mode is to the engine: its rules of decision, the first of which applies, and the pieces of its graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt

from schemas.decisions import HOLD, DecisionRule
from schemas.units import Column, frozen


@dataclass(frozen=True, slots=True)
class ModeSpec:
    """A mode: its name, its strategy modules and which contributions its graph sums.

    quantity_parts, value_parts: exposure nodes summed into ``asset_quantity`` and ``asset_value_usd``.
    staked_parts: quantity nodes that make up the hedged ETH of a hedged mode, at the ratios of the row before.
    breaches, warnings: flags of limits that are crossed or near, in the order in which they are told; liquidations:
    flags of rows at which a venue may act.
    entry_operations, exit_operations: operations of one full entry and one full exit that pay gas.
    operations_per_venue: those that both pay again for each exchange.
    """

    mode: str
    modules: tuple[ModuleType, ...]
    rules: tuple[DecisionRule, ...]
    quantity_parts: tuple[str, ...]
    value_parts: tuple[str, ...]
    features: Mapping[str, bool]
    entry_operations: tuple[str, ...]
    exit_operations: tuple[str, ...]
    staked_parts: tuple[str, ...] = ("wallet_quantity",)
    operations_per_venue: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ("health_breach",)
    warnings: tuple[str, ...] = ("near_health_limit",)
    liquidations: tuple[str, ...] = ()


def features(
    *,
    perps: bool = False,
    lending: bool = False,
    borrowing: bool = False,
    staking: bool = False,
    hedged: bool = False,
    directional: bool = False,
    coin_margin: bool = False,
) -> dict[str, bool]:
    """Which kinds of holdings a mode's graph has.

    ``hedged`` shorts perpetuals against staked ETH. ``directional`` holds nothing but perpetuals and their margin,
    which is the base asset itself with ``coin_margin``, else USDT.
    """
    return {
        "perps": perps,
        "lending": lending,
        "borrowing": borrowing,
        "staking": staking,
        "hedged": hedged,
        "directional": directional,
        "coin_margin": coin_margin,
    }


def first_that_applies(rules: Sequence[DecisionRule], applies: Mapping[DecisionRule, npt.NDArray[np.bool_]]) -> Column:
    """Code at each row of the first rule of the list that applies there; to hold where none does.

    rules: in order of priority, the only place that says which of two wins. applies: where each of them applies,
    (rows,), in any order. Shape: (rows,). Most rules apply at no row of a window, and cost one look.

    >>> from schemas.operations import DecisionType, StrategyIntent
    >>> exits, enters = (DecisionRule(code, "", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL) for code in (1, 2))
    >>> applies = {enters: np.array([True, True, False]), exits: np.array([False, True, False])}
    >>> first_that_applies((exits, enters), applies).tolist()
    [2.0, 1.0, 0.0]
    """
    assert len(rules) == len(applies), "every rule of a mode has one condition"
    chosen = np.full(len(applies[rules[0]]), HOLD)
    for rule in reversed(rules):
        if np.count_nonzero(applies[rule]):
            chosen = np.where(applies[rule], float(rule.code), chosen)
    return frozen(chosen)
