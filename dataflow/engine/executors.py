"""Two ways to run one graph: the flattened plan, and Hamilton's own ``execute``. Their results are equal.

The plan calls the node functions in order, which costs a microsecond a node; Hamilton walks the graph and lets every
call be checked. Both take what is known (inputs, or nodes already computed) and give the nodes asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, get_origin

from hamilton.lifecycle import NodeExecutionHook
from hamilton.lifecycle.base import BaseDoValidateInput

from dataflow.engine.graph import Graph, Node

Values = Mapping[str, object]
Check = Callable[[str, Values], None]
"""Called before a node runs with the node's name and its arguments; raises where one is not what its frame says."""


class Executor(Protocol):
    """Runs nodes of a graph."""

    def evaluate(self, names: Sequence[str], known: Values) -> dict[str, object]:
        """Values of the nodes named, from what is known; intermediate nodes are computed as needed."""
        ...


class PlanExecutor:
    """Calls the node functions one after the other, in an order fixed once."""

    def __init__(self, graph: Graph, check: Check | None = None) -> None:
        self._graph = graph
        self._check = check
        self._plans: dict[tuple[tuple[str, ...], frozenset[str]], tuple[Node, ...]] = {}

    def evaluate(self, names: Sequence[str], known: Values) -> dict[str, object]:
        """Values of the nodes named; every node on the way is in the result too."""
        values = dict(known)
        check = self._check
        for node in self._plan(tuple(names), known):
            arguments: dict[str, Any] = {parameter: values[source] for parameter, source in node.arguments}
            if check is not None:
                check(node.name, arguments)
            values[node.name] = node.function(**arguments)
        return values

    def _plan(self, names: tuple[str, ...], known: Values) -> tuple[Node, ...]:
        # What is known differs between calls only by kind of call, so the key is the names asked for and the nodes known.
        given = frozenset(known)
        plan = self._plans.get((names, given))
        if plan is None:
            plan = self._plans[names, given] = self._needed(names, given)
        return plan

    def _needed(self, names: tuple[str, ...], given: frozenset[str]) -> tuple[Node, ...]:
        wanted: set[str] = set()
        pending = [name for name in names if name not in given]
        while pending:
            name = pending.pop()
            if name in wanted or name in given:
                continue
            wanted.add(name)
            pending.extend(source for _, source in self._graph.by_name[name].arguments if source not in given)
        return tuple(node for node in self._graph.nodes if node.name in wanted)


class CheckHook(NodeExecutionHook, BaseDoValidateInput):  # type: ignore[misc]  # Hamilton ships no types
    """Lets Hamilton call a check before every node, and take inputs of parametrised types."""

    def __init__(self) -> None:
        self.check: Check | None = None

    def do_validate_input(self, *, node_type: type, input_value: object) -> bool:
        """Whether an input is of its declared type; Hamilton's own test refuses every ``tuple[str, ...]``."""
        declared: Any = get_origin(node_type) or node_type
        if getattr(declared, "_is_protocol", False):
            return True
        return isinstance(input_value, (int, float) if declared is float else declared)

    def run_before_node_execution(self, *, node_name: str, node_kwargs: dict[str, Any], **_: object) -> None:
        """Check the arguments of a node that is about to run."""
        if self.check is not None:
            self.check(node_name, node_kwargs)

    def run_after_node_execution(self, **_: object) -> None:
        """Nothing is checked twice: a result is checked where it is used, and in its frame."""


class HamiltonExecutor:
    """Hamilton's own graph walk; known nodes are overrides."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def evaluate(self, names: Sequence[str], known: Values) -> dict[str, object]:
        """Values of the nodes named, beside what was known."""
        nodes = self._graph.by_name
        configured = self._graph.hamilton.graph.config
        inputs = {name: value for name, value in known.items() if name not in nodes and name not in configured}
        overrides = {name: value for name, value in known.items() if name in nodes}
        result: Mapping[str, object] = self._graph.hamilton.execute(list(names), inputs=inputs, overrides=overrides)
        return {**known, **result}
