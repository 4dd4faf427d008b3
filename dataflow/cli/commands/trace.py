"""``basis trace``: the life of one operation across the event files, as a timeline."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.cli.commands.options import LOGS, RESULTS, AsJson, LogsDir, ResultsDir, RunArgument
from dataflow.cli.commands.output import amount, print_json, print_table

if TYPE_CHECKING:
    from dataflow.records.audit.tracing import Trace, TraceStep
    from dataflow.records.log.reading import EventRecord

Subject = Annotated[
    str,
    typer.Argument(
        metavar="ID|INSTANT",
        help="Operation (its order has the same id) or the unique start of its id, atomic group, or instant of a row.",
    ),
]


def trace(
    run: RunArgument, subject: Subject, results: ResultsDir = RESULTS, logs: LogsDir = LOGS, as_json: AsJson = False
) -> None:
    """Follow one operation through all files: decision, order, attempts, deltas, reconciliation, balances.

    Example:  basis trace btc_basis_2024 189264f7

    Members of an atomic group share one life. With an instant: everything that happened at that row.
    """
    from dataflow.records.audit.tracing import trace as follow
    from dataflow.records.store.results import find_run

    directory = find_run(run, results, logs)
    found = follow(directory, subject)
    if as_json:
        print_json({"run": str(directory), **_as_object(found)})
    else:
        _print_trace(found)


def _as_object(found: "Trace") -> dict[str, object]:
    before, after = found.equity_usd
    return {
        "subject": found.subject,
        "operations": list(found.operations),
        "steps": [
            {"order": step.order, "event": step.event_class.__name__, "record": step.record} for step in found.steps
        ],
        "balances": [
            {
                "position_key": balance.position_key,
                "before": balance.before,
                "after": balance.after,
                "change": balance.change,
            }
            for balance in found.balances
        ],
        "equity_usd": {"before": before, "after": after, "change": after - before},
    }


def _print_trace(found: "Trace") -> None:
    rows = [(f"{step.order}", phase, what) for step in found.steps for phase, what in _told(step)]
    instant = str(found.steps[0].record["timestamp"])
    print_table(f"{found.subject} at {instant}", ("order", "step", "what"), rows, right=(0,))
    balances = [(each.position_key, *map(_units, (each.before, each.after, each.change))) for each in found.balances]
    before, after = found.equity_usd
    balances.append(("equity, USD", *map(_units, (before, after, after - before))))
    print_table("Balances, units of their keys", ("position", "before", "after", "change"), balances, right=(1, 2, 3))


def _told(step: "TraceStep") -> Iterator[tuple[str, str]]:
    """What an event says in one line, with the name of its step; an operation is an order and then its handshake."""
    record, name = step.record, step.event_class.__name__
    if name == "OperationExecutionEvent":
        yield "order", _order_text(record)
        yield "handshake", _handshake_text(record)
    else:
        phase, text = _PHASES[name]
        yield phase, text(record)


def _order_text(record: "EventRecord") -> str:
    expected = record["expected_deltas"]
    assert isinstance(expected, list)
    deltas = [delta for delta in expected if isinstance(delta, dict)]
    return (
        f"{record['operation_type']} at {record['venue']}, expects {_delta_texts(deltas)}  [{record['operation_id']}]"
    )


def _handshake_text(record: "EventRecord") -> str:
    if record["error_code"] is not None:
        return f"{record['status']}: {record['error_code']} {record['error_message']}"
    details = record["operation_details"] or {}
    assert isinstance(details, dict)
    fee = _number(record["fee_amount"])
    facts = [f"{name} {_units(_number(details[name]))}" for name in _FACTS if details.get(name) is not None]
    actual = record["actual_deltas"]
    assert isinstance(actual, dict)
    changes = [{"position_key": key, "delta_amount": change} for key, change in actual.items()]
    return ", ".join(
        [f"{record['status']}: {_delta_texts(changes)}", f"fee {_units(fee)} {record['fee_currency']}", *facts]
    )


_FACTS = ("executed_price", "mid_price", "executed_amount", "ordered_amount", "gas_used")


def _applied_text(record: "EventRecord") -> str:
    deltas = record["deltas"] or []
    assert isinstance(deltas, list)
    return f"{record['delta_type']}: {_delta_texts([delta for delta in deltas if isinstance(delta, dict)])}"


def _reconciliation_text(record: "EventRecord") -> str:
    mismatches = record["mismatches"] or []
    assert isinstance(mismatches, list)
    if not mismatches:
        return (
            f"{record['actual_deltas_count']} of {record['expected_deltas_count']} expected deltas came, balances agree"
        )
    differing = [
        f"{m['position_key']} expected {_units(_number(m['expected']))}, is {_units(_number(m['actual']))}"
        for m in mismatches
        if isinstance(m, dict)
    ]
    return f"differs: {'; '.join(differing)}"


def _loop_text(record: "EventRecord") -> str:
    done = "done" if record["execution_success"] and record["reconciliation_success"] else "not done"
    reason = f": {record['failure_reason']}" if record["failure_reason"] else ""
    stop = ", stops the run" if record["system_failure_triggered"] else ""
    return f"{done}{reason}{stop}; retried {record['retry_count']} times, {_number(record['total_duration_ms']):.2f} ms"


def _group_text(record: "EventRecord") -> str:
    operations = record["operation_types"]
    assert isinstance(operations, list)
    reason = f": {record['rollback_reason']}" if record["rollback_reason"] else ""
    return f"{record['group_status']}{reason}; {', '.join(map(str, operations))}  [{record['atomic_group_id']}]"


def _decision_text(record: "EventRecord") -> str:
    return (
        f"{record['decision_type']}: {record['decision_reason']}; {record['orders_generated']} orders, "
        f"{amount(_number(record['total_order_value_usd']))} USD, risk {record['risk_level']}"
    )


def _breaches_text(record: "EventRecord") -> str:
    breaches = record["breaches"] or []
    assert isinstance(breaches, list)
    told = f"breached: {', '.join(map(str, breaches))}" if breaches else "no limit breached"
    return f"{record['risk_level']}, {told}"


_PHASES = {
    "StrategyDecision": ("decision", _decision_text),
    "SystemErrorEvent": ("error", lambda e: f"{e['error_code']} {e['severity']}: {e['error_message']}"),
    "ExecutionDeltaEvent": ("deltas", _applied_text),
    "PositionSnapshot": ("balances", lambda e: f"equity {amount(_number(e['total_value_usd']))} USD"),
    "ReconciliationEvent": ("reconciliation", _reconciliation_text),
    "ExposureSnapshot": ("exposure", lambda e: f"net delta {amount(_number(e['net_delta_usd']))} USD"),
    "RiskAssessment": ("risk", _breaches_text),
    "TightLoopExecutionEvent": ("tight loop", _loop_text),
    "AtomicOperationGroupEvent": ("group", _group_text),
    "PnLCalculation": ("P&L", lambda e: f"{amount(_number(e['total_pnl_share_class']))} since the start"),
    "HealthStatusEvent": ("health", lambda e: str(e["overall_status"])),
}
"""Name of the step and what it says, by event."""


def _delta_texts(deltas: Sequence[Mapping[str, object]]) -> str:
    return ", ".join(f"{delta['position_key']} {_number(delta['delta_amount']):+,.8g}" for delta in deltas) or "nothing"


def _units(units: float) -> str:
    return f"{units:,.12g}"


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
