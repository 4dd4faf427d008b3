"""One Hamilton graph a mode: stage modules plus strategy modules, joined by name, pruned to what the mode needs."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

os.environ.setdefault("HAMILTON_AUTOLOAD_EXTENSIONS", "0")  # loading every extension costs a second

from hamilton import driver, settings
from hamilton.node import Node as HamiltonNode

from dataflow.nodes import decision, entries, execution, exposure, funding, liquidation, market, pnl, positions, risk
from schemas.errors import EngineInitError
from schemas.spelling import close_match
from strategies.rules import ModeSpec

# Hamilton advertises its chat room on every error; ours say what to do themselves.
logging.getLogger("hamilton").addHandler(logging.NullHandler())

STAGE_MODULES: Final[tuple[ModuleType, ...]] = (
    market,
    funding,
    positions,
    exposure,
    risk,
    entries,
    liquidation,
    pnl,
    decision,
    execution,
)

OBSERVE_STAGES: Final = ("market", "positions", "exposure", "risk", "pnl", "decision")
EXECUTE_STAGES: Final = ("orders", "deltas", "handshakes", "reconciliation")
STAGES: Final = OBSERVE_STAGES + EXECUTE_STAGES
RAW_STAGE: Final = "market"
"""Stage of the columns that come from the data set itself."""

TARGETS: Final = (
    "decision",
    "orders",
    "executed_order",
    "asset_share",
    "equity_share_class",
    "net_delta_usd",
    "risk_level",
    "margin_usage",
    "liquidation_threshold",
    "unexplained_pnl",
    "is_reconciled",
    "total_pnl_usd",
    "risk_warning",
)
"""What every run needs; the graph of a mode is what these and those below depend on."""

WHERE_THERE: Final = (
    "liquidation_price",
    "liquidation_cost_usd",
    "ltv_after_liquidation",
    "collateral_fall_to_liquidation",
    "expected_exchange_liquidation",
    "expected_pool_liquidation",
)
"""What a run needs where the mode holds what it is about."""


REWARD_TARGETS: Final = ("restaked_eth", "dust_price_usd")
"""What the settlement of staking rewards needs beside."""


@dataclass(frozen=True)
class Node:
    """One step of the flattened graph: a callable and the names it takes.

    arguments: (parameter, node or input) pairs. Tags are those of the node function.
    """

    name: str
    function: Callable[..., object]
    arguments: tuple[tuple[str, str], ...]
    tags: Mapping[str, str]
    documentation: str
    module: str
    source_function: Callable[..., object]

    @property
    def stage(self) -> str:
        """Stage that the node belongs to."""
        return self.tags["stage"]

    @property
    def axis(self) -> str | None:
        """Name of the second axis of the node's column, None for (rows,)."""
        return self.tags.get("axis")


class Graph:
    """The nodes of a mode in the order in which they can run, and the driver they came from."""

    def __init__(self, hamilton: driver.Driver, nodes: tuple[Node, ...], inputs: frozenset[str]) -> None:
        self.hamilton = hamilton
        self.nodes = nodes
        self.inputs = inputs
        self.by_name = {node.name: node for node in nodes}

    def in_stages(self, stages: tuple[str, ...]) -> tuple[Node, ...]:
        """Nodes of the stages named, in running order."""
        return tuple(node for node in self.nodes if node.stage in stages)

    def sources(self, stages: tuple[str, ...]) -> tuple[str, ...]:
        """What the nodes of the stages named take: inputs and other nodes, each once."""
        taken = (source for node in self.in_stages(stages) for _, source in node.arguments)
        return tuple(dict.fromkeys(taken))

    def defined(self) -> frozenset[str]:
        """Every node that the modules define, those that the mode does not need included."""
        return frozenset(name for name, node in self.hamilton.graph.nodes.items() if not node.user_defined)

    def look_back_hours(self) -> int:
        """Hours before the first row that a market feature needs."""
        return max((int(node.tags.get("look_back_hours", "0")) for node in self.nodes), default=0)


def build_graph(
    spec: ModeSpec,
    *,
    attribution_types: tuple[str, ...],
    price_columns: tuple[str, ...],
    claims: bool = False,
    rewards: bool = False,
    loop: bool = False,
    adapters: tuple[object, ...] = (),
) -> Graph:
    """The graph of a mode.

    attribution_types: P&L nodes that the mode's attribution sums, in order. price_columns: market columns that price
    its tokens. claims: whether staked ETH leaves through
    a withdrawal queue. rewards: whether staking rewards are paid. loop: whether leverage is a sequential loop, not a
    flash loan. adapters: Hamilton lifecycle adapters.

    Raises EngineInitError (ENGINE-001) where the modules make no graph, or one without a node that every run needs.
    """
    claimed = ("claim",) if claims else ()
    more = (*claimed, "dust") if rewards else claimed
    config: dict[str, Any] = {
        settings.ENABLE_POWER_USER_MODE: True,
        "attribution_types": list(attribution_types),
        "price_columns": list(price_columns),
        "quantity_parts": [*spec.quantity_parts, *(f"{part}_quantity" for part in more)],
        "value_parts": [*spec.value_parts, *(f"{part}_value_usd" for part in more)],
        "staked_parts": [*spec.staked_parts, *(f"{part}_quantity" for part in claimed)],
        "breaches": list(spec.breaches),
        "warnings": list(spec.warnings),
        "liquidations": list(spec.liquidations),
        "claims": claims,
        "rewards": rewards,
        "loop": loop,
        **spec.features,
    }
    built = _built(spec, config, adapters)
    known = built.graph.nodes
    wanted = [*TARGETS, *(REWARD_TARGETS if rewards else ()), *(name for name in WHERE_THERE if name in known)]
    if spec.liquidations:
        wanted.append("liquidation_due")
    needed = _needed(known, wanted, spec.mode)
    ordered = [name for name in _running_order(known, needed) if not known[name].user_defined]
    inputs = frozenset(name for name in needed if known[name].user_defined)
    return Graph(built, tuple(_flattened(known[name]) for name in ordered), inputs)


def _built(spec: ModeSpec, config: Mapping[str, object], adapters: tuple[object, ...]) -> driver.Driver:
    """Hamilton's driver of the modules; ENGINE-001 with its reason where they make no graph."""
    modules = (*STAGE_MODULES, *spec.modules)
    try:
        return driver.Builder().with_modules(*modules).with_config(dict(config)).with_adapters(*adapters).build()
    except Exception as error:  # whatever a module that is not ours can make of Hamilton
        names = ", ".join(module.__name__ for module in spec.modules)
        raise EngineInitError(
            f"the nodes of {names} make no graph: {_first_sentence(error)}", mode=spec.mode, module=names
        ) from error


def _first_sentence(error: Exception) -> str:
    """What Hamilton says of a fault, without its advice."""
    return " ".join(str(error).removeprefix("Error: ").split()).partition(". ")[0] or type(error).__name__


def _needed(known: Mapping[str, HamiltonNode], targets: Iterable[str], mode: str) -> frozenset[str]:
    """Names of the targets and of all that they depend on; ENGINE-001 for a target that no node gives."""
    for name in targets:
        if name not in known or known[name].user_defined:
            raise EngineInitError(
                f"mode {mode} has no node {name!r}, which every run needs{close_match(name, known.keys() - {name})}",
                mode=mode,
                node=name,
            )
    found: set[str] = set()
    pending = list(targets)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(dependency.name for dependency in known[name].dependencies)
    return frozenset(found)


def _running_order(known: Mapping[str, HamiltonNode], needed: frozenset[str]) -> list[str]:
    """Topological order, by stage and then by name, so that the order is the story of the data."""
    rank = {stage: position for position, stage in enumerate(STAGES)}
    ordered: list[str] = []
    done: set[str] = set()
    pending = sorted(needed, key=lambda name: (rank.get(known[name].tags.get("stage", ""), -1), name))
    while pending:
        ready = next(name for name in pending if all(d.name in done for d in known[name].dependencies))
        pending.remove(ready)
        done.add(ready)
        ordered.append(ready)
    return ordered


def _flattened(node: HamiltonNode) -> Node:
    """The node as a step; ENGINE-001 where it says no stage, or one that does not exist."""
    function = node.callable
    source = node.originating_functions[0]
    stage = str(node.tags.get("stage", ""))
    if stage not in STAGES:
        said = f"stage {stage!r}, which does not exist{close_match(stage, STAGES)}" if stage else "no stage"
        raise EngineInitError(
            f"node {node.name} ({source.__module__}) has {said}; tag it with one of {', '.join(STAGES)}",
            node=node.name,
            stage=stage,
            module=source.__module__,
        )
    return Node(
        name=node.name,
        function=function,
        arguments=tuple((name, name) for name in node.input_types),
        tags={key: value for key, value in node.tags.items() if isinstance(value, str)},
        documentation=(node.documentation or "").strip(),
        module=source.__module__,
        source_function=source,
    )
