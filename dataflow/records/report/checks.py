"""Whether a run can be believed: reconciliations, errors by code, and what the P&L leaves unexplained."""

from collections import Counter, defaultdict

from dataflow.records.report.run_files import RunFiles
from dataflow.records.store.tables import ABSENT, Table, amount, facts
from schemas.errors import REGISTRY, ErrorCode


def reconciliation_table(run: RunFiles) -> Table:
    """Comparisons of expected and actual balances, operations by outcome, and the unexplained P&L."""
    done: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    mismatches: Counter[str] = Counter()
    for event in run.events("reconciliation"):
        kind = str(event["reconciliation_type"])
        done[kind] += 1
        failed[kind] += not event["reconciliation_success"]
        found = event["mismatches"]
        mismatches[kind] += len(found) if isinstance(found, list) else 0
    outcomes = Counter(str(event["status"]) for event in run.events("operation_executions"))
    summary = run.summary
    share = abs(summary.unexplained_pnl) / summary.initial_capital
    return facts(
        "Reconciliation",
        [
            *((f"{kind}: compared", f"{count:,}") for kind, count in done.items()),
            *((f"{kind}: failed", f"{failed[kind]:,}") for kind in done),
            *((f"{kind}: balances that differed", f"{mismatches[kind]:,}") for kind in done),
            *((f"operations {status}", f"{count:,}") for status, count in outcomes.items()),
            ("rows where the P&L reconciles", _reconciled(run)),
            (
                "largest unexplained P&L",
                f"{amount(summary.unexplained_pnl)} {summary.share_class} ({share:.1e} of the initial capital)",
            ),
        ],
    )


def _reconciled(run: RunFiles) -> str:
    holds = run.column("is_reconciled")
    return f"{int(holds.sum()):,} of {len(holds):,}"


def errors_table(run: RunFiles) -> Table:
    """Errors by code: how often, when, what the code means and what an operator does."""
    seen: defaultdict[str, list[str]] = defaultdict(list)
    for event in run.events("system_errors"):
        seen[str(event["error_code"])].append(str(event["timestamp"]))
    rows = tuple(
        (code, f"{len(times):,}", _day(times[0]), _day(times[-1]), *_meaning(code)) for code, times in seen.items()
    )
    header = ("code", "count", "first", "last", "means", "what to do")
    return Table("Errors and limit reports", header, rows or (("none", "0", ABSENT, ABSENT, "", ""),), numbers=False)


def _day(timestamp: str) -> str:
    return timestamp[:16].replace("T", " ")


def _meaning(code: str) -> tuple[str, str]:
    known = REGISTRY[ErrorCode(code)]
    return known.meaning, known.action
