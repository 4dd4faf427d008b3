"""Proof when a graph is built: its inputs are given, its columns have frames, and connected units agree.

A run then meets none of these faults at its first trade, nor at its last, whichever executor walks the graph.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from typing import Any, Final, get_origin, get_type_hints

from dataflow.graph.build import OBSERVE_STAGES, RAW_STAGE, Graph, Node
from dataflow.graph.column_facts import declared_columns
from dataflow.graph.executors import Target
from dataflow.market.market import DATA_COLUMNS, requirement_of
from schemas.errors import ConfigValidationError, EngineInitError
from schemas.spelling import close_match

_CARRY_TAGS: Final = ("carry", "carry_on_entry", "carry_on_execution")
_UNITS_IN_NAMES: Final = ("usd", "eth", "btc", "gwei", "seconds")
"""Units that a name may end in, which then is the first word of its unit."""

_REMEMBERED: Final = 1_024
"""Functions whose parameters are known; all modes together have a third of it."""


@dataclass(frozen=True)
class Evaluation:
    """One kind of call of a graph: the nodes that are wanted, and the names of what is given for them.

    what: how a message calls it. typed: targets whose type the engine relies on. Nodes of ``given`` are known from an
    evaluation before.
    """

    what: str
    targets: tuple[str, ...]
    given: frozenset[str]
    typed: tuple[Target[Any], ...] = ()

    @classmethod
    def of(cls, what: str, typed: tuple[Target[Any], ...], given: frozenset[str]) -> "Evaluation":
        """An evaluation whose values the engine takes as of a type."""
        return cls(what, tuple(target.name for target in typed), given, typed)


@dataclass(frozen=True)
class _Unit:
    """A unit that is declared, and who declares it."""

    unit: str
    where: str


def prove(graph: Graph, evaluations: Sequence[Evaluation], axes: Collection[str]) -> None:
    """Hold a graph against what its engine gives, against the frames of its columns, and its units with each other.

    axes: names of second axes that the run knows.

    Raises EngineInitError (ENGINE-001) naming node and input; ConfigValidationError (CONFIG-003) where the input is a
    market column that the mode does not ask for.
    """
    for evaluation in evaluations:
        _refuse_missing(graph, evaluation)
        for target in evaluation.typed:
            _refuse_other_type(graph, target)
    for node in graph.in_stages(OBSERVE_STAGES):
        _refuse_undeclared(node, axes)
    for name in sorted(graph.inputs & DATA_COLUMNS):
        if name not in declared_columns(RAW_STAGE):
            raise EngineInitError(
                f"market column {name} is read, but the {RAW_STAGE} frame has no column of that name", input=name
            )
    _refuse_unlike_units(graph)


# -- inputs


def _refuse_missing(graph: Graph, evaluation: Evaluation) -> None:
    for node, name in _asked(graph, evaluation):
        if name in evaluation.given:
            continue
        if name in DATA_COLUMNS:
            raise ConfigValidationError(
                f"node {node.name} ({node.module}) reads market column {name}, which the mode does not ask for: "
                f"add {requirement_of(name)} to data_requirements",
                node=node.name,
                input=name,
                field="data_requirements",
            )
        raise EngineInitError(
            f"node {node.name} ({node.module}) asks for {name!r}, which nothing gives to {evaluation.what}"
            f"{close_match(name, (evaluation.given | graph.defined()) - {node.name})}",
            node=node.name,
            input=name,
            module=node.module,
        )


def _asked(graph: Graph, evaluation: Evaluation) -> Iterator[tuple[Node, str]]:
    """Every node that the evaluation runs, with each input of it that no node of the graph gives."""
    seen: set[str] = set()
    pending = [name for name in evaluation.targets if name not in evaluation.given]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        node = graph.by_name[name]
        for _, source in node.arguments:
            if source not in graph.by_name:
                yield node, source
            elif source not in evaluation.given:
                pending.append(source)


def _refuse_other_type(graph: Graph, target: Target[Any]) -> None:
    """Refuse a node that declares to give something else than the engine takes from it."""
    declared, node = graph.hamilton.graph.nodes[target.name].type, graph.by_name[target.name]
    kind = get_origin(declared) or declared
    if not (isinstance(kind, type) and issubclass(kind, target.kind)):
        raise EngineInitError(
            f"node {node.name} ({node.module}) gives {declared}, the engine takes a {target.kind.__name__} from it",
            node=node.name,
            module=node.module,
        )


# -- frames


def _refuse_undeclared(node: Node, axes: Collection[str]) -> None:
    """Refuse a node whose column the frame of its stage does not have, or has of another shape."""
    columns = declared_columns(node.stage)
    column = columns.get(node.name)
    if column is None:
        raise EngineInitError(
            f"node {node.name} ({node.module}) is recorded, but the {node.stage} frame has no column of that name"
            f"{close_match(node.name, columns)}",
            node=node.name,
            stage=node.stage,
            module=node.module,
        )
    if node.axis is not None and node.axis not in axes:
        raise EngineInitError(
            f"node {node.name} ({node.module}) has axis {node.axis!r}, which no run has{close_match(node.axis, axes)}",
            node=node.name,
            axis=node.axis,
            module=node.module,
        )
    if bool(column.regex) != (node.axis is not None):
        shapes = "one value a row", "one value for each label of an axis"
        raise EngineInitError(
            f"node {node.name} ({node.module}) gives {shapes[node.axis is not None]}, "
            f"column {node.name} of the {node.stage} frame has {shapes[bool(column.regex)]}",
            node=node.name,
            stage=node.stage,
            module=node.module,
        )


# -- units


def _refuse_unlike_units(graph: Graph) -> None:
    units = dict(_declared_units(graph))
    for node in graph.nodes:
        own = units.get(node.name)
        if own is None:
            continue
        if node.stage in OBSERVE_STAGES:
            written = (declared_columns(node.stage)[node.name].metadata or {}).get("unit")
            _refuse_unlike(own, _Unit(str(written or own.unit), f"its column of the {node.stage} frame"), node)
        last = node.name.rpartition("_")[2]
        if last in _UNITS_IN_NAMES and own.unit.partition("_")[0] != last:
            _refuse_unlike(own, _Unit(last, "its name"), node)
        for part in _summed(node):
            if part in units:
                _refuse_unlike(own, units[part], node)
    for node in graph.nodes:
        for name, asked in _asked_units(node).items():
            source = dict(node.arguments)[name]
            if source in units:
                _refuse_unlike(_Unit(asked, f"argument {name} of node {node.name}"), units[source], node)


def _declared_units(graph: Graph) -> Iterator[tuple[str, _Unit]]:
    """The unit of every node, market column and carried value that declares one."""
    for name, column in declared_columns(RAW_STAGE).items():
        if name in graph.inputs and column.metadata:
            yield name, _Unit(str(column.metadata["unit"]), f"market column {name}")
    for node in graph.nodes:
        if "unit" in node.tags:
            unit = node.tags["unit"]
            yield node.name, _Unit(unit, f"node {node.name}")
            for tag in _CARRY_TAGS:
                if tag in node.tags:
                    yield node.tags[tag], _Unit(unit, f"{node.tags[tag]}, carried from node {node.name},")


def _summed(node: Node) -> tuple[str, ...]:
    """Nodes that are injected as parts of a sum: arguments that the function does not name.

    A node that says ``injects="labelled"`` takes columns of several units by their labels, and sums none.
    """
    if node.tags.get("injects") == "labelled":
        return ()
    named = _parameters(node.source_function)
    return tuple(source for name, source in node.arguments if name not in named)


def _asked_units(node: Node) -> Mapping[str, str]:
    """Arguments that declare their unit, as ``Annotated[Column, "usd"]``."""
    given = {name for name, _ in node.arguments}
    return {name: unit for name, unit in _parameters(node.source_function).items() if unit and name in given}


@lru_cache(_REMEMBERED)
def _parameters(function: Callable[..., object]) -> Mapping[str, str]:
    """Parameters of a function, each with the unit that its annotation declares, "" where it declares none."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: next((unit for unit in getattr(hints.get(name), "__metadata__", ()) if isinstance(unit, str)), "")
        for name in signature(function).parameters
    }


def _refuse_unlike(one: _Unit, other: _Unit, node: Node) -> None:
    if one.unit != other.unit:
        raise EngineInitError(
            f"{one.where} ({node.module}) is in {one.unit}, {other.where} is in {other.unit}: convert one of them",
            node=node.name,
            unit=one.unit,
            other_unit=other.unit,
            module=node.module,
        )
