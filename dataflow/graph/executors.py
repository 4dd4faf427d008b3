"""Two ways to run one graph: the flattened plan, and Hamilton's own ``execute``. Their results are equal.

The plan calls the node functions in order, which costs a microsecond a node; Hamilton walks the graph and lets every
call be checked. Both take what is known (inputs, or nodes already computed) and give the nodes asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from operator import itemgetter
from types import UnionType
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar, cast, get_args, get_origin

from hamilton.lifecycle import NodeExecutionHook
from hamilton.lifecycle.base import BaseDoValidateInput

from dataflow.graph.build import Graph, Node

Values = Mapping[str, object]
Check = Callable[[str, Values], None]
"""Called before a node runs with the node's name and its arguments; raises where one is not what its frame says."""


class Executor(Protocol):
    """Runs nodes of a graph."""

    def evaluate(self, names: Sequence[str], known: Values) -> dict[str, object]:
        """Values of the nodes named, from what is known; intermediate nodes are computed as needed."""
        ...


T = TypeVar("T")


@dataclass(frozen=True)
class Target(Generic[T]):
    """A node whose value the engine takes, and the type of it, to which the graph is held when it is built."""

    name: str
    kind: type[T]


def value_of(executor: Executor, target: Target[T], known: Values) -> T:
    """The value of one node. Its type is that of the target: ``proof`` compared it with what the node declares."""
    return cast(T, executor.evaluate([target.name], known)[target.name])


class Step(NamedTuple):
    """One call of the plan: which node, and how its arguments are taken from what is known.

    keywords: parameter names where the function takes no positional arguments, else None.
    """

    name: str
    function: Callable[..., object]
    take: Callable[[Values], tuple[object, ...]]
    keywords: tuple[str, ...] | None

    @classmethod
    def of(cls, node: Node) -> "Step":
        """The call of a node, positional where its function allows: that is the cheaper half of a call."""
        sources = dict(node.arguments)
        parameters = signature(node.function).parameters.values()
        is_positional = all(parameter.kind is Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        names = tuple(parameter.name for parameter in parameters)
        if not is_positional or set(names) != set(sources):
            names, is_positional = tuple(sources), False
        return cls(
            node.name, node.function, _taker([sources[name] for name in names]), None if is_positional else names
        )

    def call(self, values: Values) -> object:
        """The node's value."""
        arguments = self.take(values)
        if self.keywords is None:
            return self.function(*arguments)
        return self.function(**dict(zip(self.keywords, arguments, strict=True)))


def _taker(sources: Sequence[str]) -> Callable[[Values], tuple[object, ...]]:
    """Takes the values named, always as a tuple."""
    if len(sources) == 1:
        only = sources[0]
        return lambda values: (values[only],)
    return itemgetter(*sources) if sources else lambda _: ()


class PlanExecutor:
    """Calls the node functions one after the other, in an order fixed once."""

    def __init__(self, graph: Graph, check: Check | None = None) -> None:
        self._graph = graph
        self._check = check
        self._steps: dict[str, Step] = {}
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Step, ...]] = {}

    def evaluate(self, names: Sequence[str], known: Values) -> dict[str, object]:
        """Values of the nodes named; every node on the way is in the result too."""
        values = dict(known)
        steps = self._plan(tuple(names), known)
        if self._check is not None:
            return self._checked(steps, values, self._check)
        for name, function, take, keywords in steps:
            if keywords is None:
                values[name] = function(*take(values))
            else:
                values[name] = function(**dict(zip(keywords, take(values), strict=True)))
        return values

    def _checked(self, steps: tuple[Step, ...], values: dict[str, object], check: Check) -> dict[str, object]:
        by_name = self._graph.by_name
        for step in steps:
            check(step.name, {parameter: values[source] for parameter, source in by_name[step.name].arguments})
            values[step.name] = step.call(values)
        return values

    def _plan(self, names: tuple[str, ...], known: Values) -> tuple[Step, ...]:
        # What is known differs between calls only by kind of call: the key is the names asked for and those known.
        given = tuple(known)
        plan = self._plans.get((names, given))
        if plan is None:
            plan = self._plans[names, given] = self._needed(names, frozenset(given))
        return plan

    def _needed(self, names: tuple[str, ...], given: frozenset[str]) -> tuple[Step, ...]:
        wanted: set[str] = set()
        pending = [name for name in names if name not in given]
        while pending:
            name = pending.pop()
            if name in wanted or name in given:
                continue
            wanted.add(name)
            pending.extend(source for _, source in self._graph.by_name[name].arguments if source not in given)
        return tuple(self._step(node) for node in self._graph.nodes if node.name in wanted)

    def _step(self, node: Node) -> Step:
        if node.name not in self._steps:
            self._steps[node.name] = Step.of(node)
        return self._steps[node.name]


class CheckHook(NodeExecutionHook, BaseDoValidateInput):  # type: ignore[misc]  # Hamilton ships no types
    """Lets Hamilton call a check before every node, and take inputs of parametrised types."""

    def __init__(self) -> None:
        self.check: Check | None = None

    def do_validate_input(self, *, node_type: type, input_value: object) -> bool:
        """Whether an input is of its declared type; Hamilton's own test refuses every ``tuple[str, ...]``."""
        declared: Any = get_origin(node_type) or node_type
        if declared is Annotated:
            return self.do_validate_input(node_type=get_args(node_type)[0], input_value=input_value)
        if declared is UnionType:
            return any(self.do_validate_input(node_type=one, input_value=input_value) for one in get_args(node_type))
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
