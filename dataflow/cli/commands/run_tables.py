"""A finished run as tables: headline, attribution, decisions, risk; and several runs side by side."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dataflow.cli.commands.output import ABSENT, amount, percent, print_line, print_table, ratio
from schemas.models.results import RunSummary
from schemas.units import BPS

Row = tuple[str, ...]
Cell = Callable[[RunSummary], str]


def _money(value: float, summary: RunSummary) -> str:
    return f"{amount(value)} {summary.share_class}"


def _against(target: float | None, difference: float | None) -> str:
    if target is None or difference is None:
        return ABSENT
    return f"{percent(target)} (achieved minus target: {difference * 100.0:+.4f} %)"


HEADLINE: Final[tuple[tuple[str, Cell], ...]] = (
    ("initial capital", lambda s: _money(s.initial_capital, s)),
    ("final equity", lambda s: _money(s.final_equity, s)),
    ("P&L", lambda s: _money(s.total_pnl_share_class, s)),
    ("change of value in USD, price moves included", lambda s: f"{amount(s.total_pnl_usd)} USD"),
    ("total return", lambda s: percent(s.total_return)),
    ("annualised return", lambda s: percent(s.annualized_return)),
    ("money-weighted return", lambda s: percent(s.money_weighted_return)),
    ("target return", lambda s: _against(s.target_apy, s.apy_vs_target)),
    ("maximum drawdown", lambda s: percent(s.max_drawdown)),
    ("target drawdown", lambda s: _against(s.target_max_drawdown, s.drawdown_vs_target)),
    ("Sharpe ratio", lambda s: ratio(s.sharpe_ratio)),
    ("fees paid", lambda s: _money(s.total_fees, s)),
    ("positions open at the end", lambda s: "yes" if s.open_at_end else "no"),
)

RISK: Final[tuple[tuple[str, Cell], ...]] = (
    ("lowest health factor", lambda s: ratio(s.min_health_factor)),
    ("highest loan to value", lambda s: percent(s.max_ltv)),
    ("lowest margin ratio", lambda s: percent(s.min_margin_ratio)),
    ("largest net delta beyond target", lambda s: percent(s.max_abs_net_delta_fraction)),
    ("liquidations", lambda s: f"{s.liquidations:,}"),
)

ACTIVITY: Final[tuple[tuple[str, Cell], ...]] = (
    ("steps", lambda s: f"{s.steps:,}"),
    ("orders", lambda s: f"{s.orders:,}"),
    ("operations failed", lambda s: f"{s.operations_failed:,}"),
    ("reconciliation failures", lambda s: f"{s.reconciliation_failures:,}"),
    ("errors", lambda s: ", ".join(f"{code.value} x {n}" for code, n in s.errors_by_code.items()) or "none"),
    ("engine seconds", lambda s: f"{s.engine_seconds:.3f}"),
    ("records seconds", lambda s: f"{s.records_seconds:.3f}"),
)


FLOWS: Final[tuple[tuple[str, Cell], ...]] = (
    ("deposits", lambda s: _money(s.deposits, s)),
    ("withdrawals", lambda s: _money(s.withdrawals, s)),
    ("withdrawals pending", lambda s: _money(s.withdrawals_pending, s)),
    ("withdrawals unpaid", lambda s: _money(s.withdrawals_unpaid, s)),
)


def _had_flows(summary: RunSummary) -> bool:
    return any((summary.deposits, summary.withdrawals, summary.withdrawals_pending, summary.withdrawals_unpaid))


def first_break(summary: RunSummary) -> str:
    """What went wrong first, in a sentence."""
    if summary.first_break is not None:
        return summary.first_break.sentence()
    return "nothing: no limit was crossed, nothing liquidated, no operation failed"


def _cells(facts: Sequence[tuple[str, Cell]], summary: RunSummary) -> list[Row]:
    return [(name, cell(summary)) for name, cell in facts]


def _parts(summary: RunSummary) -> dict[str, float]:
    return {**summary.pnl_attribution, "unexplained, at most": summary.unexplained_pnl}


def _bps(value: float, summary: RunSummary) -> str:
    return f"{value / summary.initial_capital / BPS:z,.2f}"


def print_summary(summary: RunSummary) -> None:
    """Print a run as four tables and its warnings."""
    source = f"{summary.data_set}{' (SYNTHETIC)' if summary.synthetic else ''}"
    overlays = f", scenario {' + '.join(summary.scenarios)}" if summary.scenarios else ""
    title = f"{summary.mode}  {summary.start} to {summary.end} UTC  data {source}{overlays}"
    print_table(title, ("", ""), _cells(HEADLINE, summary), right=(1,))
    if _had_flows(summary):
        print_table("Capital flows", ("", ""), _cells(FLOWS, summary), right=(1,))
    parts = [(name, amount(part), _bps(part, summary)) for name, part in _parts(summary).items()]
    print_table("Where the P&L came from", ("part", summary.share_class, "bps of capital"), parts, right=(1, 2))
    decisions = [(f"decisions: {kind.value}", f"{count:,}") for kind, count in summary.decisions.items()]
    print_table("Decisions and operations", ("", ""), [*decisions, *_cells(ACTIVITY, summary)], right=(1,))
    print_table("Risk", ("", ""), _cells(RISK, summary), right=(1,))
    for shock in summary.shocks:
        print_line(f"shock: {shock}")
    if summary.scenarios or summary.first_break is not None:
        print_line(f"what broke first: {first_break(summary)}")
    for warning in summary.warnings:
        print_line(f"warning: {warning}", "yellow")


def print_places(summary: RunSummary) -> None:
    """Say where the run's files are and what to look at next."""
    print_line(f"logs     {summary.log_dir}")
    print_line(f"results  {summary.results_dir}")
    print_line(f"summary  {summary.results_dir}/summary.md")
    report = Path(summary.results_dir or "") / "report.html"
    print_line(f"report   {report if report.exists() else f'basis report {summary.results_dir} --open'}")
    print_line(f"next     basis events {summary.results_dir} strategy_decisions, or basis replay {summary.results_dir}")


def print_comparison(summaries: Sequence[RunSummary]) -> None:
    """Print several runs side by side: facts, then attribution in basis points of each run's capital."""
    header = ("", *(summary.run_id for summary in summaries))
    right = tuple(range(1, len(header)))
    facts: tuple[tuple[str, Cell], ...] = (
        ("mode", lambda s: s.mode),
        ("data set", lambda s: f"{s.data_set}{' (SYNTHETIC)' if s.synthetic else ''}"),
        ("scenarios", lambda s: ", ".join(s.scenarios) or "none"),
        ("start", lambda s: s.start),
        ("end", lambda s: s.end),
        *HEADLINE,
        *((f"decisions: {kind}", _decisions(kind)) for kind in _kinds(summaries)),
        *ACTIVITY,
        *RISK,
        ("what broke first", lambda s: ABSENT if s.first_break is None else s.first_break.sentence()),
    )
    print_table("Runs", header, [(name, *(cell(each) for each in summaries)) for name, cell in facts], right=right)
    names = list(dict.fromkeys(name for summary in summaries for name in _parts(summary)))
    rows = [(name, *(_part(name, summary) for summary in summaries)) for name in names]
    print_table("Attribution, bps of capital", header, rows, right=right)


def _kinds(summaries: Sequence[RunSummary]) -> list[str]:
    return list(dict.fromkeys(kind.value for summary in summaries for kind in summary.decisions))


def _decisions(kind: str) -> Cell:
    def cell(summary: RunSummary) -> str:
        counts = {name.value: count for name, count in summary.decisions.items()}
        return f"{counts[kind]:,}" if kind in counts else ABSENT

    return cell


def _part(name: str, summary: RunSummary) -> str:
    parts = _parts(summary)
    return _bps(parts[name], summary) if name in parts else ABSENT
