"""What is said of a recorded column, from its node and its frame: the column metadata of the Parquet files."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import pandera.pandas as pa

from dataflow.graph.build import OBSERVE_STAGES, RAW_STAGE, Graph, Node
from schemas.frames import FRAMES

_SIGN: Final = re.compile(r"^\s*Sign:\s+(?P<sign>.+?)\s*(?:^\s*\w+:|^\s*$|\Z)", re.MULTILINE | re.DOTALL)

ColumnFacts = dict[str, str]
"""``unit``, ``sign`` and ``description`` of a column; what nobody says is absent."""


def column_facts(graph: Graph) -> dict[str, ColumnFacts]:
    """Unit, sign and description of the columns of a run by name, without the labels of a second axis.

    A column of the data set is described by its frame, that of a node by the node. Where a node names no sign, a bound
    of its frame at zero is one.
    """
    read = {name: _of_frame(column) for name, column in declared_columns(RAW_STAGE).items() if column.description}
    nodes = {
        node.name: {**_of_frame(declared_columns(stage)[node.name]), **_of_node(node)}
        for stage in OBSERVE_STAGES
        for node in graph.in_stages((stage,))
    }
    return {**read, **nodes}


@cache
def declared_columns(stage: str) -> Mapping[str, pa.Column]:
    """The declared columns of a stage by node name: the pattern of a second axis stands for its node."""
    columns = FRAMES[stage].to_schema().columns
    return MappingProxyType({name.removeprefix("^").removesuffix(r"\."): column for name, column in columns.items()})


def _of_frame(column: pa.Column) -> ColumnFacts:
    bounds = {check.name: check.statistics for check in column.checks}
    facts = {
        "unit": str((column.metadata or {}).get("unit", "")),
        "sign": _sign(
            bounds.get("greater_than_or_equal_to", {}).get("min_value"),
            bounds.get("less_than_or_equal_to", {}).get("max_value"),
        ),
        "description": column.description or "",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _sign(least: float | None, most: float | None) -> str:
    if least is not None and least >= 0.0:
        return "> 0" if least > 0.0 else ">= 0"
    return "<= 0" if most is not None and most <= 0.0 else ""


def _of_node(node: Node) -> ColumnFacts:
    written = _SIGN.search(node.documentation)
    facts = {
        "unit": node.tags.get("unit", ""),
        "sign": " ".join(written["sign"].split()) if written else "",
        "description": node.documentation.partition("\n")[0],
    }
    return {name: fact for name, fact in facts.items() if fact}
