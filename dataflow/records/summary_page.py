"""``summary.md``: the numbers of a run as a page for people."""

from collections.abc import Iterable, Mapping

from schemas.errors import ErrorCode
from schemas.models.results import Manifest, RunSummary
from schemas.units import BPS

_ABSENT = "n/a"


def summary_page(summary: RunSummary, manifest: Manifest) -> str:
    """Return the page: headline, attribution, decisions, risk, records and errors, provenance.

    Units: amounts in the share class unless said otherwise; ratios shown in per cent.
    """
    title = f"# {summary.mode}: {summary.start} to {summary.end} UTC"
    sections = [
        f"{title}\n",
        "> **Synthetic data.** These prices never happened; the figures show the engine, not a market.\n"
        if summary.synthetic
        else "",
        _headline(summary),
        _attribution(summary),
        _activity(summary),
        _risk(summary),
        _records(summary),
        _provenance(summary, manifest),
    ]
    return "\n".join(section for section in sections if section)


def _headline(summary: RunSummary) -> str:
    unit = summary.share_class
    rows = [
        ("Initial capital", f"{_amount(summary.initial_capital)} {unit}"),
        ("Final equity", f"{_amount(summary.final_equity)} {unit}"),
        ("P&L", f"{_amount(summary.total_pnl_share_class)} {unit} ({_amount(summary.total_pnl_usd)} USD)"),
        ("Total return", _percent(summary.total_return)),
        ("Annualised return", _percent(summary.annualized_return)),
        ("Target return", _against(summary.target_apy, summary.apy_vs_target)),
        ("Maximum drawdown", _percent(summary.max_drawdown)),
        ("Target drawdown", _against(summary.target_max_drawdown, summary.drawdown_vs_target)),
        ("Sharpe ratio", _ratio(summary.sharpe_ratio)),
        ("Positions open at the end", "yes" if summary.open_at_end else "no"),
    ]
    return _table("Result", ("", ""), rows)


def _attribution(summary: RunSummary) -> str:
    capital = summary.initial_capital
    parts = [*summary.pnl_attribution.items(), ("unexplained", summary.unexplained_pnl)]
    rows = [(name, _amount(amount), f"{amount / capital / BPS:,.2f}") for name, amount in parts]
    return _table("Where the P&L came from", ("part", summary.share_class, "bps of capital"), rows)


def _activity(summary: RunSummary) -> str:
    rows = [
        *((f"decisions: {kind}", f"{count:,}") for kind, count in summary.decisions.items()),
        ("steps", f"{summary.steps:,}"),
        ("orders", f"{summary.orders:,}"),
        ("operations failed", f"{summary.operations_failed:,}"),
        ("reconciliation failures", f"{summary.reconciliation_failures:,}"),
        ("liquidations", f"{summary.liquidations:,}"),
        ("fees paid", f"{_amount(summary.total_fees)} {summary.share_class}"),
    ]
    return _table("Decisions and operations", ("", ""), rows)


def _risk(summary: RunSummary) -> str:
    rows = [
        ("lowest health factor", _ratio(summary.min_health_factor)),
        ("highest loan to value", _percent(summary.max_ltv)),
        ("lowest margin ratio", _percent(summary.min_margin_ratio)),
        ("largest net delta", _percent(summary.max_abs_net_delta_fraction)),
        ("what broke first", "nothing" if summary.first_break is None else summary.first_break.sentence()),
    ]
    return _table("Risk", ("", ""), rows)


def _records(summary: RunSummary) -> str:
    events = _table("Events", ("file", "lines"), _counts(summary.event_counts))
    errors = _table("Errors", ("code", "count"), _counts(summary.errors_by_code) or [("none", "0")])
    warnings = "".join(f"- {warning}\n" for warning in summary.warnings)
    return "\n".join([errors, f"## Warnings\n\n{warnings}" if warnings else "", events])


def _provenance(summary: RunSummary, manifest: Manifest) -> str:
    rows = [
        ("run", summary.run_id),
        ("correlation id", summary.correlation_id),
        ("data set", f"{summary.data_set}{' (synthetic)' if summary.synthetic else ''}"),
        ("scenarios", ", ".join(summary.scenarios) or "none"),
        ("shocks", "; ".join(summary.shocks) or "none"),
        ("seed", str(summary.seed)),
        ("configuration digest", manifest.config_digest),
        ("data digest", manifest.data_digest),
        ("code version", manifest.code_version),
        ("packages", ", ".join(f"{name} {version}" for name, version in manifest.package_versions.items())),
        ("engine seconds", f"{summary.engine_seconds:.3f}"),
        ("records seconds", f"{summary.records_seconds:.3f}"),
    ]
    return _table("Provenance", ("", ""), rows)


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)] if any(header) else ["---"] * len(header)
    lines = [_line(header), _line(rule), *(_line(row) for row in rows)]
    return "\n".join([f"## {title}", "", *lines, ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _counts(counts: Mapping[ErrorCode, int] | Mapping[str, int]) -> list[tuple[str, str]]:
    return [(str(name), f"{count:,}") for name, count in counts.items()]


def _amount(amount: float) -> str:
    """Two decimals for thousands, six significant digits below: 100 ETH and 100,000 USDT are both readable."""
    return f"{amount:,.2f}" if abs(amount) >= 1_000.0 else f"{amount:.6g}"


def _percent(fraction: float | None) -> str:
    return _ABSENT if fraction is None else f"{fraction:.4%}"


def _ratio(ratio: float | None) -> str:
    return _ABSENT if ratio is None else f"{ratio:.3f}"


def _against(target: float | None, difference: float | None) -> str:
    if target is None or difference is None:
        return _ABSENT
    return f"{target:.2%} (achieved minus target: {difference:+.4%})"
