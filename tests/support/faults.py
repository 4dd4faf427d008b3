"""Faults put into a run on purpose, one a stage, so that what refuses them can be seen to.

A node is replaced where Hamilton finds it, in its module, before the graph is built; a venue where it answers. Nothing
else of the run changes.
"""

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dataflow.execution.gateway import Delivery
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.units import Column


def break_node(monkeypatch: pytest.MonkeyPatch, module: ModuleType, node: str, spoil: Callable[[Any], Any]) -> None:
    """Let a node of a module give ``spoil`` of what it should, in each of its variants; its types and tags stay."""
    variants = [name for name in vars(module) if name == node or name.startswith(f"{node}__")]
    assert variants, f"{module.__name__} has no node {node}"
    for name in variants:
        monkeypatch.setattr(module, name, _spoilt(getattr(module, name), spoil))


def _spoilt(function: Callable[..., Any], spoil: Callable[[Any], Any]) -> Callable[..., Any]:
    @wraps(function)
    def broken(*arguments: Any, **named: Any) -> Any:
        return spoil(function(*arguments, **named))

    return broken


def nan_everywhere(column: Column) -> Column:
    """The column without one value."""
    return np.full_like(column, np.nan)


def nan_at_last(column: Column) -> Column:
    """The column without its last row."""
    spoilt = column.copy()
    spoilt[-1] = np.nan
    return spoilt


def out_of_bounds(column: Column) -> Column:
    """The column in a unit that no frame believes."""
    return np.full_like(column, 1e18)


def overstate_deltas(monkeypatch: pytest.MonkeyPatch, factor: float = 1.1) -> None:
    """Let every simulated venue report changes that are too large by a factor."""
    confirmed = SimulatedWorld.confirmed

    def overstated(self: SimulatedWorld, order: Any, deltas: Any, *rest: Any) -> Any:
        return confirmed(self, order, tuple((key, factor * change) for key, change in deltas), *rest)

    monkeypatch.setattr(SimulatedWorld, "confirmed", overstated)


def spoil_answers(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], Any]) -> None:
    """Let the gateway hand on ``spoil`` of every answer to an order."""
    monkeypatch.setattr(Delivery, "execute", _spoilt(Delivery.execute, spoil))
