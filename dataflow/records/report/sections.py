"""What stands on a report, in order; sections that do not apply to a mode are left out."""

from collections.abc import Iterator
from dataclasses import dataclass

from dataflow.records.report.activity import costs_chart, costs_of, costs_table, decision_strip, operation_strip
from dataflow.records.report.charts import Chart
from dataflow.records.report.checks import errors_table, reconciliation_table
from dataflow.records.report.holdings import exposure_chart, position_chart
from dataflow.records.report.performance import MonthGrid, attribution_chart, equity_chart, month_grid, waterfall
from dataflow.records.report.rates import funding_chart, yield_chart
from dataflow.records.report.risk import limits_table, risk_chart
from dataflow.records.report.run_files import RunFiles
from dataflow.records.store.summary_tables import (
    activity_table,
    attribution_table,
    events_table,
    provenance_table,
    result_table,
)
from dataflow.records.store.tables import Table

Item = Table | Chart | MonthGrid


@dataclass(frozen=True)
class Section:
    """A heading of the report and what stands under it. name: its anchor on the page."""

    name: str
    title: str
    items: tuple[Item, ...]


def sections(run: RunFiles) -> tuple[Section, ...]:
    """Every section of a run's report."""
    return tuple(_sections(run))


def _sections(run: RunFiles) -> Iterator[Section]:
    summary, costs = run.summary, costs_of(run)
    yield Section("headline", "Headline", (result_table(summary), activity_table(summary)))
    yield Section("equity", "Equity and drawdown", (equity_chart(run, decision_strip(run)), month_grid(run)))
    yield Section(
        "attribution", "P&L attribution", (waterfall(run), attribution_chart(run), attribution_table(summary))
    )
    yield Section("exposures", "Exposures and net delta", (exposure_chart(run),))
    yield Section("risk", "Risk", (*_shown(risk_chart(run)), limits_table(run)))
    rates = (*_shown(funding_chart(run)), *_shown(yield_chart(run)))
    if rates:
        yield Section("rates", "Funding and rates", rates)
    yield Section("positions", "Positions and operations", (position_chart(run, operation_strip(run)),))
    yield Section("costs", "Costs", (*_shown(costs_chart(run, costs)), costs_table(run, costs)))
    yield Section("checks", "Reconciliation and errors", (reconciliation_table(run), errors_table(run)))
    yield Section("provenance", "Configuration and data", tuple(_provenance(run)))


def _shown(chart: Chart | None) -> tuple[Chart, ...]:
    return () if chart is None else (chart,)


def _provenance(run: RunFiles) -> Iterator[Table]:
    yield provenance_table(run.summary, run.manifest)
    rows = tuple((name, span.first, span.last, f"{span.rows:,}") for name, span in run.data.coverage.items())
    if rows:
        yield Table("Series of the data set", ("series", "first", "last", "rows"), rows, numbers=False)
    fills = tuple((name, f"{count:,}") for name, count in run.data.fills.items())
    if fills:
        yield Table("Filled values", ("column and rule", "rows"), fills)
    yield events_table(run.summary)
