"""What a finished run recorded, as its assets show it: column schemas, and the numbers of each column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pandera.pandas as pa
import pyarrow.parquet as pq

from dataflow.graph.build import OBSERVE_STAGES, Graph, Node
from dataflow.records.store.parquet_stages import INSTANT_COLUMN
from dataflow.records.store.results import MANIFEST_FILE
from schemas.frames import FRAMES
from schemas.models.results import Manifest, RunSummary
from schemas.units import Column

EVENTS_OF_STAGE = {
    "orders": "operation_executions",
    "deltas": "operation_executions",
    "handshakes": "operation_executions",
    "reconciliation": "reconciliation",
}
"""Event log that shows what the nodes of an execute stage did; they have no columns."""


def column_schema(node: Node, labels: tuple[str, ...] | None) -> dg.TableSchema | None:
    """The columns that a node records, with unit and bounds, from the Pandera frame of its stage.

    labels: those of the second axis, None for (rows,). None for a node of an execute stage.
    """
    if node.stage not in OBSERVE_STAGES:
        return None
    return dg.TableSchema(columns=_columns(node.stage, node.name, labels))


def data_schema(axes: Mapping[str, tuple[str, ...] | None]) -> dg.TableSchema:
    """The columns that come from the data set, with unit and bounds; axes: column to the labels of its second axis."""
    return dg.TableSchema(
        columns=[column for name, labels in axes.items() for column in _columns("market", name, labels)]
    )


def _columns(stage: str, name: str, labels: tuple[str, ...] | None) -> list[dg.TableColumn]:
    frame = FRAMES[stage].to_schema()
    declared = frame.columns.get(name) or frame.columns[rf"^{name}\."]
    names = [name] if labels is None else [f"{name}.{label}" for label in labels]
    return [_column(each, declared) for each in names]


def _column(name: str, declared: pa.Column) -> dg.TableColumn:
    bounds = [str(check.error) for check in declared.checks]
    return dg.TableColumn(
        name=name,
        type=str(declared.dtype),
        description=f"unit: {(declared.metadata or {}).get('unit')}",
        constraints=dg.TableColumnConstraints(nullable=declared.nullable, other=bounds),
    )


@dataclass(frozen=True)
class RecordedRun:
    """The results directory of a run that is complete."""

    summary: RunSummary
    columns: Mapping[str, Mapping[str, Column]]
    """Stage to its recorded columns, (rows,) each; those of a second axis are ``name.label``."""

    @property
    def directory(self) -> Path:
        """Where the results are."""
        assert self.summary.results_dir is not None
        return Path(self.summary.results_dir)

    @property
    def log_directory(self) -> Path:
        """Where the logs are."""
        assert self.summary.log_dir is not None
        return Path(self.summary.log_dir)

    def data_metadata(self, graph: Graph) -> dict[str, dg.MetadataValue]:
        """Which data set it was, its digest, and how much of it the month read."""
        manifest = Manifest.model_validate_json((self.directory / MANIFEST_FILE).read_bytes())
        columns = [name for name in self.columns["market"] if name.partition(".")[0] not in graph.by_name]
        return {
            "dagster/row_count": dg.MetadataValue.int(self.summary.steps),
            "data_set": dg.MetadataValue.text(manifest.data_set),
            "synthetic": dg.MetadataValue.bool(manifest.synthetic),
            "digest": dg.MetadataValue.text(manifest.data_digest),
            "start": dg.MetadataValue.text(self.summary.start),
            "end": dg.MetadataValue.text(self.summary.end),
            "columns": dg.MetadataValue.int(len(columns)),
            "path": dg.MetadataValue.path(str(self.directory / "market.parquet")),
        }

    def node_metadata(self, node: Node) -> dict[str, dg.MetadataValue]:
        """Rows, least, greatest and last value of a node's column; of an execute node, how many operations it saw."""
        if node.stage not in OBSERVE_STAGES:
            return self.event_metadata(EVENTS_OF_STAGE[node.stage])
        recorded = self.columns[node.stage]
        chosen = {name: values for name, values in recorded.items() if name.partition(".")[0] == node.name}
        path = dg.MetadataValue.path(str(self.directory / f"{node.stage}.parquet"))
        rows = max((len(values) for values in chosen.values()), default=0)
        metadata: dict[str, dg.MetadataValue] = {"dagster/row_count": dg.MetadataValue.int(rows), "path": path}
        if rows:
            metadata["min"] = dg.MetadataValue.float(min(float(np.min(values)) for values in chosen.values()))
            metadata["max"] = dg.MetadataValue.float(max(float(np.max(values)) for values in chosen.values()))
            metadata |= {
                name.replace(node.name, "last", 1): dg.MetadataValue.float(float(values[-1]))
                for name, values in chosen.items()
            }
        return metadata

    def event_metadata(self, name: str) -> dict[str, dg.MetadataValue]:
        """Lines and path of one event log."""
        return {
            "dagster/row_count": dg.MetadataValue.int(self.summary.event_counts[name]),
            "path": dg.MetadataValue.path(str(self.log_directory / "events" / f"{name}.jsonl")),
        }

    def results_metadata(self) -> dict[str, dg.MetadataValue]:
        """Every number of the summary, the page that shows it, and where it is."""
        said = self.summary.model_dump(mode="json")
        numbers: dict[str, dg.MetadataValue] = {
            name: dg.MetadataValue.float(float(value))
            for name, value in said.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        page = (self.directory / "summary.md").read_text(encoding="utf-8")
        return {
            "summary": dg.MetadataValue.md(page),
            "path": dg.MetadataValue.path(str(self.directory)),
            "pnl_attribution": dg.MetadataValue.json(said["pnl_attribution"]),
            "decisions": dg.MetadataValue.json(said["decisions"]),
            **numbers,
        }


def report_metadata(pages: Sequence[Path]) -> dict[str, dg.MetadataValue]:
    """Where the pages of a report are, and the one that Dagster can show."""
    html, markdown = pages
    return {
        "path": dg.MetadataValue.path(str(html)),
        "bytes": dg.MetadataValue.int(html.stat().st_size),
        "report": dg.MetadataValue.md(markdown.read_text(encoding="utf-8")),
    }


def recorded_run(summary: RunSummary) -> RecordedRun:
    """Read back what a run recorded."""
    assert summary.results_dir is not None
    tables = {stage: pq.read_table(Path(summary.results_dir) / f"{stage}.parquet") for stage in OBSERVE_STAGES}
    columns = {
        stage: {name: table[name].to_numpy() for name in table.column_names if name != INSTANT_COLUMN}
        for stage, table in tables.items()
    }
    return RecordedRun(summary, columns)
