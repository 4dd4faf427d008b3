"""Which flags of a graph say that a limit is near or crossed, of which kind of risk, and what they compare.

The flags are nodes. A mode lists them (``ModeSpec.breaches``, ``ModeSpec.warnings``), and their tags say the rest:
``risk`` the kind of risk, ``bounds`` the column that is compared, ``limit`` the input that it is compared with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from dataflow.graph.build import Graph
from schemas.units import Column
from strategies.rules import ModeSpec


@dataclass(frozen=True, slots=True)
class RiskFlag:
    """A flag column of the risk stage.

    node: its name. risk: the kind of risk it tells of. bounds, limit: the column that it compares, and with what.
    """

    node: str
    risk: str
    bounds: str | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class RiskFlags:
    """The flags of a mode, in the order in which they are told."""

    breaches: tuple[RiskFlag, ...] = ()
    warnings: tuple[RiskFlag, ...] = ()

    @classmethod
    def of(cls, graph: Graph, spec: ModeSpec, inputs: Mapping[str, object]) -> Self:
        """Those that the mode lists, as the tags of their nodes describe them."""
        return cls(_described(spec.breaches, graph, inputs), _described(spec.warnings, graph, inputs))

    @property
    def nodes(self) -> tuple[str, ...]:
        """The columns that decide what is told of a row."""
        return tuple(flag.node for flag in (*self.warnings, *self.breaches))

    def notes(self, columns: Mapping[str, Column], row: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Warnings and breaches of one row, by the kind of risk that is near or over its limit, each once.

        >>> import numpy as np
        >>> flags = RiskFlags(breaches=(RiskFlag("ltv_breach", "ltv_risk"),))
        >>> flags.notes({"ltv_breach": np.array([0.0, 1.0])}, 1)
        ((), ('ltv_risk',))
        """
        return _raised(self.warnings, columns, row), _raised(self.breaches, columns, row)

    def breach_of(self, risk: str) -> RiskFlag | None:
        """The first breach of a kind of risk."""
        return next((flag for flag in self.breaches if flag.risk == risk), None)


def _raised(flags: Iterable[RiskFlag], columns: Mapping[str, Column], row: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flag.risk for flag in flags if columns[flag.node][row] > 0.0))


def _described(names: Iterable[str], graph: Graph, inputs: Mapping[str, object]) -> tuple[RiskFlag, ...]:
    described: list[RiskFlag] = []
    for name in names:
        tags = graph.by_name[name].tags
        limit = inputs.get(tags.get("limit", ""))
        described.append(
            RiskFlag(name, tags.get("risk", name), tags.get("bounds"), limit if isinstance(limit, float) else None)
        )
    return tuple(described)
