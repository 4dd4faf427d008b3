"""The bounds of a frame as plain numbers: a quick yes to columns that hold, before Pandera explains those that do not.

Pandera takes about a millisecond a column however short it is, which a run of a few hundred rows spends most of its
time on. The bounds are read from the frame itself, so that nothing is declared twice; what they do not clearly accept
is Pandera's to judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandera.pandas as pa

from schemas.frames import FRAMES
from schemas.units import Column


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a float64 column without missing values may hold: a range, both ends included, or a few values."""

    least: float
    most: float
    allowed: tuple[float, ...] | None

    def accept(self, column: Column) -> bool:
        """Whether every value is within; NaN never is.

        >>> Bounds(0.0, 1.0, None).accept(np.array([0.0, 1.0])), Bounds(0.0, 1.0, None).accept(np.array([np.nan]))
        (True, False)
        """
        if column.dtype != np.float64:
            return False
        if self.allowed is not None:
            return bool(np.isin(column, self.allowed).all())
        return bool(((column >= self.least) & (column <= self.most)).all())


def within_bounds(stage: str, columns: Mapping[str, Column]) -> bool:
    """Whether all columns of a stage are declared and clearly hold; False says only that Pandera has to look.

    columns: node or ``node.label`` to (rows,), or node to (rows, n).
    """
    declared = _bounds_of(stage)
    for name, column in columns.items():
        node, _, label = name.partition(".")
        bounds = declared.get(node if column.ndim == 1 and not label else f"{node}.")
        if bounds is None or not bounds.accept(column):
            return False
    return True


@cache
def _bounds_of(stage: str) -> dict[str, Bounds]:
    """Bounds by node, with a point behind it where the frame declares a column a label."""
    declared = FRAMES[stage].to_schema().columns.items()
    found = {_node(name, column): _bounds(column) for name, column in declared}
    return {node: bounds for node, bounds in found.items() if bounds is not None}


def _node(name: str, column: pa.Column) -> str:
    return name.removeprefix("^").replace(r"\.", ".") if column.regex else name


def _bounds(column: pa.Column) -> Bounds | None:
    """The bounds of a column; None where they are not all that its frame asks of it."""
    if str(column.dtype) != "float64" or column.nullable or column.unique:
        return None
    least, most, allowed = -np.inf, np.inf, None
    for check in column.checks:
        statistics = check.statistics
        if check.name == "isin":
            allowed = tuple(statistics["allowed_values"])
        elif check.name == "greater_than_or_equal_to":
            least = statistics["min_value"]
        elif check.name == "less_than_or_equal_to":
            most = statistics["max_value"]
        else:
            return None
    return Bounds(least, most, allowed)
