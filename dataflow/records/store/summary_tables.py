"""The tables of a finished run that need its summary and manifest alone; ``summary.md`` and the reports show them."""

from collections.abc import Mapping

from dataflow.records.store.tables import ABSENT, Table, amount, facts, percent, ratio
from schemas.errors import ErrorCode
from schemas.models.results import Manifest, RunSummary
from schemas.units import BPS


def result_table(summary: RunSummary) -> Table:
    """Capital, P&L and return against their targets."""
    unit = summary.share_class
    return facts(
        "Result",
        [
            ("Initial capital", f"{amount(summary.initial_capital)} {unit}"),
            ("Final equity", f"{amount(summary.final_equity)} {unit}"),
            ("P&L", f"{amount(summary.total_pnl_share_class)} {unit}"),
            ("Change of value in USD, price moves included", f"{amount(summary.total_pnl_usd)} USD"),
            ("Total return", percent(summary.total_return)),
            ("Annualised return", percent(summary.annualized_return)),
            ("Target return", _against(summary.target_apy, summary.apy_vs_target)),
            ("Maximum drawdown", percent(summary.max_drawdown)),
            ("Target drawdown", _against(summary.target_max_drawdown, summary.drawdown_vs_target)),
            ("Sharpe ratio", ratio(summary.sharpe_ratio)),
            ("Positions open at the end", "yes" if summary.open_at_end else "no"),
        ],
    )


def attribution_table(summary: RunSummary) -> Table:
    """P&L by part, in the share class and in basis points of the initial capital."""
    parts = [*summary.pnl_attribution.items(), ("unexplained, at most", summary.unexplained_pnl)]
    rows = tuple((name, amount(part), f"{part / summary.initial_capital / BPS:z,.2f}") for name, part in parts)
    return Table("Where the P&L came from", ("part", summary.share_class, "bps of capital"), rows)


def activity_table(summary: RunSummary) -> Table:
    """Counts of decisions, orders and failures."""
    return facts(
        "Decisions and operations",
        [
            *((f"decisions: {kind}", f"{count:,}") for kind, count in summary.decisions.items()),
            ("steps", f"{summary.steps:,}"),
            ("orders", f"{summary.orders:,}"),
            ("operations failed", f"{summary.operations_failed:,}"),
            ("reconciliation failures", f"{summary.reconciliation_failures:,}"),
            ("liquidations", f"{summary.liquidations:,}"),
            ("fees paid", f"{amount(summary.total_fees)} {summary.share_class}"),
        ],
    )


def risk_table(summary: RunSummary) -> Table:
    """Worst value of each risk ratio."""
    return facts(
        "Risk",
        [
            ("lowest health factor", ratio(summary.min_health_factor)),
            ("highest loan to value", percent(summary.max_ltv)),
            ("lowest margin ratio", percent(summary.min_margin_ratio)),
            ("largest net delta beyond target", percent(summary.max_abs_net_delta_fraction)),
            ("what broke first", "nothing" if summary.first_break is None else summary.first_break.sentence()),
        ],
    )


def errors_table(summary: RunSummary) -> Table:
    """Errors by code."""
    return Table("Errors", ("code", "count"), _counts(summary.errors_by_code) or (("none", "0"),))


def events_table(summary: RunSummary) -> Table:
    """Lines of each event file."""
    return Table("Events", ("file", "lines"), _counts(summary.event_counts))


def provenance_table(summary: RunSummary, manifest: Manifest) -> Table:
    """What the run was made from."""
    return facts(
        "Provenance",
        [
            ("run", summary.run_id),
            ("correlation id", summary.correlation_id),
            ("data set", f"{summary.data_set}{' (synthetic)' if summary.synthetic else ''}"),
            ("stablecoins", "; ".join(summary.stablecoins) or "none"),
            ("scenarios", ", ".join(summary.scenarios) or "none"),
            ("shocks", "; ".join(summary.shocks) or "none"),
            ("seed", str(summary.seed)),
            ("policy of retries and tolerances", manifest.policy),
            ("injected faults", manifest.fault_plan or "none"),
            ("configuration digest", manifest.config_digest),
            ("data digest", manifest.data_digest),
            ("event log seal", manifest.event_log_seal or ABSENT),
            ("code version", manifest.code_version),
            ("packages", ", ".join(f"{name} {version}" for name, version in manifest.package_versions.items())),
            ("engine seconds", f"{summary.engine_seconds:.3f}"),
            ("records seconds", f"{summary.records_seconds:.3f}"),
        ],
    )


def _counts(counts: Mapping[ErrorCode, int] | Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), f"{count:,}") for name, count in counts.items())


def _against(target: float | None, difference: float | None) -> str:
    if target is None or difference is None:
        return ABSENT
    return f"{target:.2%} (achieved minus target: {difference:+.4%})"
