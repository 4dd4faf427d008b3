"""``summary.md``: the numbers of a run as a page for people."""

from dataflow.records.store.summary_tables import (
    activity_table,
    attribution_table,
    errors_table,
    events_table,
    provenance_table,
    result_table,
    risk_table,
)
from dataflow.records.store.tables import markdown
from schemas.models.results import Manifest, RunSummary


def summary_page(summary: RunSummary, manifest: Manifest) -> str:
    """Return the page: headline, attribution, decisions, risk, records and errors, provenance.

    Units: amounts in the share class unless said otherwise; ratios shown in per cent.
    """
    warnings = "".join(f"- {warning}\n" for warning in summary.warnings)
    sections = [
        f"# {summary.mode}: {summary.start} to {summary.end} UTC\n",
        "> **Synthetic data.** These prices never happened; the figures show the engine, not a market.\n"
        if summary.synthetic
        else "",
        markdown(result_table(summary)),
        markdown(attribution_table(summary)),
        markdown(activity_table(summary)),
        markdown(risk_table(summary)),
        markdown(errors_table(summary)),
        f"## Warnings\n\n{warnings}" if warnings else "",
        markdown(events_table(summary)),
        markdown(provenance_table(summary, manifest)),
    ]
    return "\n".join(section for section in sections if section)
