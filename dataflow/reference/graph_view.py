"""A mode's graph as plain facts, and where each of its boxes goes on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from typing import Final

from dataflow.config.files import LoadedConfig
from dataflow.graph.build import STAGES, Graph
from dataflow.market.market import MARKET_COLUMNS
from dataflow.services.mode_files import backtest_of

DATA_BAND: Final = "data"
STATE_BAND: Final = "state"
BANDS: Final = (DATA_BAND, STATE_BAND, *STAGES)
"""Bands of the page from top to bottom: what comes in, then the stages in the order of the data."""

_CARRY_TAGS: Final = ("carry", "carry_on_entry", "carry_on_execution")
_HELD: Final = "held_"
BOXES_PER_ROW: Final = 6


@dataclass(frozen=True)
class Box:
    """A node or an input of the graph.

    sources: boxes it reads. parameters: inputs it reads that are settings of the run and have no box.
    """

    name: str
    band: str
    unit: str
    documentation: str
    module: str
    sources: tuple[str, ...]
    parameters: tuple[str, ...]

    @property
    def summary(self) -> str:
        """First line of the documentation."""
        return self.documentation.partition("\n")[0]


@dataclass(frozen=True)
class GraphView:
    """The boxes of a mode, inputs first, each after all that it reads."""

    mode: str
    description: str
    boxes: tuple[Box, ...]

    def edges(self) -> list[tuple[str, str]]:
        """Pairs (source, reader)."""
        return [(source, box.name) for box in self.boxes for source in box.sources]


@dataclass(frozen=True)
class Place:
    """Where a box is inside its band: its column from 0, halves where a row is centred, and its row from 0."""

    column: float
    row: int


def graph_view(loaded: LoadedConfig) -> GraphView:
    """Return the pruned graph of a run as boxes: market columns, carried state, nodes."""
    graph = backtest_of(loaded).graph
    carried = _carried(graph)
    data = [name for name in MARKET_COLUMNS if name in graph.inputs]
    state = sorted(carried & graph.inputs)
    boxes = [Box(name, DATA_BAND, "", "Column of the market data.", "", (), ()) for name in data]
    boxes += [Box(name, STATE_BAND, "", "Carried from the row before.", "", (), ()) for name in state]
    boxed = {*data, *state, *graph.by_name}
    for node in graph.nodes:
        names = tuple(dict.fromkeys(source for _, source in node.arguments))
        boxes.append(
            Box(
                name=node.name,
                band=node.stage,
                unit=node.tags.get("unit", ""),
                documentation=cleandoc(node.documentation),
                module=node.module,
                sources=tuple(name for name in names if name in boxed),
                parameters=tuple(name for name in names if name not in boxed),
            )
        )
    mode = loaded.config.mode
    return GraphView(mode.mode, mode.description, tuple(boxes))


def _carried(graph: Graph) -> set[str]:
    """Inputs that a run carries from row to row."""
    tagged = {node.tags[tag] for node in graph.nodes for tag in _CARRY_TAGS if tag in node.tags}
    return tagged | {name for name in graph.inputs if name.startswith(_HELD)}


def places(view: GraphView) -> dict[str, Place]:
    """Return the place of every box: in its band below all that it reads there, across near its sources."""
    found: dict[str, Place] = {}
    for band in BANDS:
        boxes = [box for box in view.boxes if box.band == band]
        depth = _depths(boxes)
        row = 0
        for level in range(max(depth.values(), default=-1) + 1):
            here = sorted((box for box in boxes if depth[box.name] == level), key=lambda box: _centre(box, found))
            for start in range(0, len(here), BOXES_PER_ROW):
                found |= _row_places(here[start : start + BOXES_PER_ROW], row)
                row += 1
    return found


def _row_places(boxes: Sequence[Box], row: int) -> dict[str, Place]:
    first = (BOXES_PER_ROW - len(boxes)) / 2
    return {box.name: Place(first + number, row) for number, box in enumerate(boxes)}


def _depths(boxes: Sequence[Box]) -> dict[str, int]:
    """Longest way to each box inside its band; boxes come after all that they read."""
    depth: dict[str, int] = {}
    for box in boxes:
        depth[box.name] = max((depth[name] + 1 for name in box.sources if name in depth), default=0)
    return depth


def _centre(box: Box, placed: Mapping[str, Place]) -> float:
    """Mean column of what a box reads; the middle of the page for one that reads no box."""
    columns = [placed[name].column for name in box.sources if name in placed]
    return sum(columns) / len(columns) if columns else (BOXES_PER_ROW - 1) / 2
