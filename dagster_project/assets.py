"""The assets of a mode, generated from its graph: data, one a node, twelve event logs, results, state and report.

A mode is one multi-asset whose body runs one month through ``dataflow.services`` and shows what was recorded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg

from dagster_project.checks import RESULTS, Finding, broken_frame, check_specs, event_asset, findings
from dagster_project.code_versions import code_versions
from dagster_project.partitions import MonthOfRun, Months, month_of_run
from dagster_project.recorded import RecordedRun, column_schema, data_schema, recorded_run, report_metadata
from dagster_project.run_config import RunOptions, request_of
from dagster_project.state_chain import StateChain
from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.graph.build import OBSERVE_STAGES, Graph, Node
from dataflow.graph.state import RunState
from dataflow.market.market import DATA_COLUMNS
from dataflow.records.log.reading import event_name
from dataflow.records.report.pages import write_report
from dataflow.services.backtest import CompletedRun, load_request_config, run_backtest
from dataflow.services.provenance import code_version
from schemas.errors import PlatformError
from schemas.models.events import EVENT_TYPES

DATA: Final = ("market_data",)
"""Asset of the data set's rows: the one root of a mode."""

STATE: Final = ("state",)
"""Asset of what a month leaves for the next one."""

REPORT: Final = ("report",)
"""Asset of the page that shows a month."""

_STAGE_OF_EVENTS: Final[Mapping[str, str]] = {
    "positions": "positions",
    "exposures": "exposure",
    "risk_assessments": "risk",
    "pnl_calculations": "pnl",
    "strategy_decisions": "decision",
}
"""Event log to the observe stage whose columns it records."""

_NODES_OF_EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "positions": ("equity_usd", "holdings_after"),
    "strategy_decisions": ("orders",),
    "operation_executions": ("expected_deltas", "order"),
    "tight_loop": ("fill", "reconciliation"),
    "atomic_groups": ("order", "fill"),
    "reconciliation": ("reconciliation",),
    "execution_deltas": ("settlements", "holdings_after"),
}
"""Event log to the nodes that it records beside them; health and errors come from the engine itself."""


@dataclass(frozen=True)
class ModeAssets:
    """A mode as Dagster has it: its graph under the shipped configuration, and the months it may run."""

    mode: str
    backtest: Backtest
    months: Months

    @property
    def graph(self) -> Graph:
        """The graph that the assets are generated from."""
        return self.backtest.graph

    def key(self, *path: str) -> dg.AssetKey:
        """Key of an asset of the mode."""
        return dg.AssetKey([self.mode, *path])

    def group(self, name: str) -> str:
        """Name of a group of assets of the mode: a stage, or the records."""
        return f"{self.mode}_{name}"

    def specs(self) -> list[dg.AssetSpec]:
        """Every asset of the mode, in the order in which a run shows them."""
        return [
            self._data_spec(),
            *self._node_specs(),
            *self._event_specs(),
            self._results_spec(),
            self._state_spec(),
            self._report_spec(),
        ]

    def _data_spec(self) -> dg.AssetSpec:
        columns, axes = sorted(self.graph.inputs & DATA_COLUMNS), self.backtest.column_axes()
        return dg.AssetSpec(
            self.key(*DATA),
            description="Rows of the data set in the month: read, validated, aligned on the clock of the mode.",
            metadata={"dagster/column_schema": data_schema({name: axes.get(name) for name in columns})},
            group_name=self.group("market"),
            code_version=code_version(),
            tags={"stage": "market"},
            kinds={"python", "pandas"},
        )

    def _node_specs(self) -> Iterator[dg.AssetSpec]:
        versions, axes = code_versions(self.graph), self.backtest.column_axes()
        for node in self.graph.nodes:
            schema = column_schema(node, axes.get(node.name))
            yield dg.AssetSpec(
                self.key(node.name),
                deps=[self.key(*source) for source in self.taken_by(node)],
                description=node.documentation,
                metadata={} if schema is None else {"dagster/column_schema": schema},
                group_name=self.group(node.stage),
                code_version=versions[node.name],
                tags={"stage": node.stage},
                kinds={"python", "hamilton"},
            )

    def taken_by(self, node: Node) -> list[tuple[str, ...]]:
        """Assets that a node depends on: the nodes it takes, and the data, directly or because it is given each row."""
        sources = [source for _, source in node.arguments]
        nodes = [(source,) for source in sources if source in self.graph.by_name]
        return [*nodes, DATA] if not nodes or DATA_COLUMNS.intersection(sources) else list(nodes)

    def _event_specs(self) -> Iterator[dg.AssetSpec]:
        for kind in EVENT_TYPES:
            name = event_name(kind)
            yield dg.AssetSpec(
                self.key(*event_asset(name)),
                deps=[self.key(node) for node in self._recorded_in(name)] or [self.key(*DATA)],
                description=f"{kind.file_name}: {kind.__doc__}",
                group_name=self.group("records"),
                code_version=code_version(),
                kinds={"json"},
            )

    def _recorded_in(self, events: str) -> list[str]:
        of_stage = [node for node in self.graph.nodes if node.stage == _STAGE_OF_EVENTS.get(events)]
        marked = [node.name for node in of_stage if "record" in node.tags or "group" in node.tags]
        return [*marked, *_NODES_OF_EVENTS.get(events, ())]

    def _results_spec(self) -> dg.AssetSpec:
        used = {source for node in self.graph.nodes for _, source in node.arguments}
        leaves = [node.name for node in self.graph.nodes if node.name not in used and node.stage in OBSERVE_STAGES]
        events = [event_asset(event_name(kind)) for kind in EVENT_TYPES]
        return dg.AssetSpec(
            self.key(*RESULTS),
            deps=[*(self.key(*event) for event in events), *(self.key(leaf) for leaf in leaves)],
            description="The results directory of a month: summary, manifest, one Parquet file a stage, events as CSV.",
            group_name=self.group("records"),
            code_version=code_version(),
            kinds={"parquet"},
        )

    def _state_spec(self) -> dg.AssetSpec:
        carried = [node.name for node in self.graph.nodes if any(tag.startswith("carry") for tag in node.tags)]
        month_before = dg.AssetDep(
            self.key(*STATE), partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
        )
        return dg.AssetSpec(
            self.key(*STATE),
            deps=[month_before, self.key(*RESULTS), *(self.key(name) for name in (*carried, "holdings_after"))],
            description="What the next month starts from; written only when the month is complete and proven.",
            group_name=self.group("records"),
            code_version=code_version(),
            kinds={"json"},
        )

    def _report_spec(self) -> dg.AssetSpec:
        return dg.AssetSpec(
            self.key(*REPORT),
            deps=[self.key(*RESULTS)],
            description="The month as one offline page of charts and tables, made from the results directory alone.",
            group_name=self.group("records"),
            code_version=code_version(),
            kinds={"html"},
        )

    def definition(self) -> dg.AssetsDefinition:
        """The multi-asset of the mode."""
        partitions = self.months.definition()

        @dg.multi_asset(
            name=self.mode,
            specs=self.specs(),
            check_specs=check_specs(self.mode, partitions),
            partitions_def=partitions,
            config_schema=RunOptions.to_fields_dict(),
            description=f"One month of {self.mode}: the run that `basis backtest {self.mode}` makes, cut into months.",
        )
        def month(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
            yield from self.run_month(
                context.partition_key,
                context.op_execution_context.op_config,
                Path(context.instance.storage_directory()),
            )

        return month

    def run_month(
        self, month: str, options: Mapping[str, object], storage: Path
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Run one month from the state before it; show what was recorded, check it, and keep the state.

        Raises dagster.Failure, with the code of our error, when the run or a blocking check fails: no state is left.
        """
        try:
            yield from self._run_month(month, options, storage)
        except PlatformError as error:
            if (broken := broken_frame(error)) is not None:
                yield broken.result(self.mode)
            raise _failure(error) from error

    def _run_month(
        self, month: str, options: Mapping[str, object], storage: Path
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        request = request_of(self.mode, options)
        config = load_request_config(request).config
        part = month_of_run(request, month, self.months, config.mode.clock_step_seconds)
        chain = StateChain.of(storage, part, config.config_digest, self.months)
        start = chain.start_of(part)
        chain.forget_from(month)
        completed = run_backtest(part.request, state=start, is_final=part.is_final)
        run = recorded_run(completed.summary)
        found = findings(run, Backtest(config), start, part.run_start)
        yield from self._shown(run)
        yield from (finding.result(self.mode) for finding in found)
        if blocking := [finding for finding in found if finding.blocks]:
            raise _blocked(part, blocking)
        yield from self._kept(chain, part, completed)
        yield dg.MaterializeResult(asset_key=self.key(*REPORT), metadata=report_metadata(write_report(run.directory)))

    def _shown(self, run: RecordedRun) -> Iterator[dg.MaterializeResult[None]]:
        yield dg.MaterializeResult(asset_key=self.key(*DATA), metadata=run.data_metadata(self.graph))
        for node in self.graph.nodes:
            yield dg.MaterializeResult(asset_key=self.key(node.name), metadata=run.node_metadata(node))
        for kind in EVENT_TYPES:
            name = event_name(kind)
            yield dg.MaterializeResult(asset_key=self.key(*event_asset(name)), metadata=run.event_metadata(name))
        yield dg.MaterializeResult(asset_key=self.key(*RESULTS), metadata=run.results_metadata())

    def _kept(
        self, chain: StateChain, part: MonthOfRun, completed: CompletedRun
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Keep the state, and let it go again if Dagster cannot record that it is there."""
        state, recorded = completed.state, False
        path = chain.keep(part.month, state)
        try:
            yield dg.MaterializeResult(asset_key=self.key(*STATE), metadata=_state_metadata(path, state, part))
            recorded = True
        finally:
            if not recorded:
                chain.forget_from(part.month)


def mode_assets(mode: str, months: Months) -> ModeAssets:
    """A mode under its shipped configuration."""
    return ModeAssets(mode, Backtest(load_run_config(mode).config), months)


def _state_metadata(path: Path, state: RunState, part: MonthOfRun) -> dict[str, dg.MetadataValue]:
    return {
        "path": dg.MetadataValue.path(str(path)),
        "rows_done": dg.MetadataValue.int(state.row),
        "events_numbered": dg.MetadataValue.int(state.order),
        "run_start": dg.MetadataValue.text(part.run_start),
        "is_final": dg.MetadataValue.bool(part.is_final),
    }


def _failure(error: PlatformError) -> dg.Failure:
    metadata = {name: dg.MetadataValue.text(str(value)) for name, value in error.context.items()}
    return dg.Failure(
        error.one_line(),
        metadata={**metadata, "code": dg.MetadataValue.text(error.code.value)},
        allow_retries=error.is_retryable,
    )


def _blocked(part: MonthOfRun, blocking: list[Finding]) -> dg.Failure:
    failed = "; ".join(f"{'/'.join(finding.asset)} {finding.name}: {finding.said}" for finding in blocking)
    return dg.Failure(
        f"{part.month} is wrong and leaves no state; {len(blocking)} blocking check(s) failed: {failed}",
        metadata={"failed_checks": dg.MetadataValue.json([finding.name for finding in blocking])},
        allow_retries=False,
    )
