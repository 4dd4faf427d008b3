"""``basis events``, ``basis replay`` and ``basis export``: the event log of a run read, proved and handed on."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.cli.commands.failures import EXIT_FAILED, CommandFailedError, require
from dataflow.cli.commands.options import LOGS, RESULTS, AsJson, LogsDir, ResultsDir, RunArgument
from dataflow.cli.commands.output import ABSENT, print_error, print_json, print_line, print_table

if TYPE_CHECKING:
    from dataflow.records.audit.replay import ReplayReport
    from dataflow.records.audit.verification import Verification
    from dataflow.records.log.reading import EventRecord

_SHOWN_ROWS = 20
_SHOWN_FAULTS = 20
_CELL_CHARACTERS_MAX = 60
_ENVELOPE = ("real_utc_time", "correlation_id", "pid", "metadata")
"""Fields that say the same on every line of a run; a table leaves them out."""

_COLUMN_CHARACTERS_MIN = 12
"""Characters that a column of events needs; where there is not so much room, an event is a table of its own."""

_COLUMNS = {
    "operation_executions": (
        "timestamp",
        "order",
        "operation_type",
        "venue",
        "status",
        "executed_amount",
        "fee_amount",
        "fee_currency",
        "error_code",
        "operation_id",
    )
}
"""What a table shows of a type with more fields than it has room for."""

EventType = Annotated[
    str | None,
    typer.Argument(metavar="[TYPE]", help="Event type, e.g. strategy_decisions; without it the counts of all."),
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="TEST", help="Condition, e.g. orders_generated>2; repeat it, all must hold."),
]
Start = Annotated[str | None, typer.Option("--start", metavar="T", help="First instant, ISO-8601, UTC assumed.")]
End = Annotated[str | None, typer.Option("--end", metavar="T", help="Last instant, ISO-8601, UTC assumed.")]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="A,B", help="Fields that a table shows; `all` for every one.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many events; default 20 in a table, all in JSON.")
]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="Also hold every line and file against its hash, and the counts that must agree."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Directory of the CSV files; default exports/RUN.")
]


def events(
    run: RunArgument,
    event_type: EventType = None,
    where: Where = None,
    start: Start = None,
    end: End = None,
    limit: Limit = None,
    columns: Columns = None,
    results: ResultsDir = RESULTS,
    logs: LogsDir = LOGS,
    as_json: AsJson = False,
) -> None:
    """Read the event log of a run: counts of all types, or the events of one type that pass the conditions.

    Example:  basis events btc_basis_2024 strategy_decisions --where decision_type=entry --start 2024-01-10
    """
    from dataflow.records.store.results import find_run

    directory = find_run(run, results, logs)
    if event_type is None:
        filtered = where or start or end
        require(not filtered, "a filter needs an event type, e.g. `basis events RUN strategy_decisions --where ...`")
        _print_counts(directory, as_json=as_json)
        return
    from dataflow.records.audit.query import find_events

    found = find_events(directory, event_type, tuple(where or ()), start=start, end=end)
    shown = list(islice(found, limit if as_json else limit or _SHOWN_ROWS))
    matched = len(shown) + sum(1 for _ in found)
    if as_json:
        print_json({"run": str(directory), "type": event_type, "matched": matched, "events": shown})
        return
    _print_events(f"{event_type} of {directory}", shown, _columns(event_type, shown, columns))
    print_line(f"{len(shown):,} shown of {matched:,} that pass")


def _print_counts(directory: Path, *, as_json: bool) -> None:
    from dataflow.records.log.reading import event_counts, torn_tails

    counts = event_counts(directory)
    torn = [f"{tail.file}: torn at byte {tail.byte_offset}" for tail in torn_tails(directory)]
    if as_json:
        print_json({"run": str(directory), "event_counts": counts, "torn_tails": torn})
        return
    print_table(f"Events of {directory}", ("type", "events"), [(k, f"{n:,}") for k, n in counts.items()], right=(1,))
    for line in torn:
        print_error(f"warning: {line}")


def _columns(event_type: str, shown: Sequence["EventRecord"], wanted: str | None) -> list[str]:
    """Fields of a table: those asked for, else those that are given and say something."""
    fields = list(shown[0]) if shown else []
    if wanted is not None and wanted != "all":
        names = wanted.split(",")
        unknown = [name for name in names if fields and name not in fields]
        require(not unknown, f"--columns: no field {', '.join(unknown)}; fields: {', '.join(fields)}")
        return names
    chosen = fields if wanted else [name for name in _COLUMNS.get(event_type, fields) if name not in _ENVELOPE]
    return [name for name in chosen if _is_given(shown, name)]


def _print_events(title: str, shown: Sequence["EventRecord"], columns: Sequence[str]) -> None:
    """One table, or one an event where the terminal is too narrow for the columns."""
    from dataflow.cli.commands.output import console

    if _COLUMN_CHARACTERS_MIN * len(columns) <= console().width:
        print_table(title, columns, [[_cell(event[name]) for name in columns] for event in shown])
        return
    for number, event in enumerate(shown, start=1):
        print_table(f"{title}, {number} of {len(shown)}", ("", ""), [(name, _cell(event[name])) for name in columns])


def _is_given(shown: Sequence["EventRecord"], name: str) -> bool:
    return any(event.get(name) is not None for event in shown)


def _cell(value: object) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, dict | list):
        import orjson

        value = orjson.dumps(value).decode()
    text = f"{value:.8g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _CELL_CHARACTERS_MAX else f"{text[: _CELL_CHARACTERS_MAX - 3]}..."


def replay(
    run: RunArgument,
    verify: Verify = False,
    results: ResultsDir = RESULTS,
    logs: LogsDir = LOGS,
    as_json: AsJson = False,
) -> None:
    """Rebuild the positions of a run from its deltas alone and hold every snapshot against them.

    Example:  basis replay btc_basis_2024 --verify

    Exit code 1 where the log is torn or does not prove itself; each fault is a line with code, file and line.
    """
    from dataflow.records.store.results import find_run

    directory = find_run(run, results, logs)
    if verify:
        _verify(directory, as_json=as_json)
    else:
        _replay(directory, as_json=as_json)


def _replay(directory: Path, *, as_json: bool) -> None:
    from dataflow.records.audit.replay import replay as replay_log
    from schemas.errors import ReconciliationMismatchError

    report = replay_log(directory)
    faults = [*map(str, report.faults), *(f"{t.file.name}: torn at byte {t.byte_offset}" for t in report.torn_tails)]
    if report.events == 0:
        faults.append("no event was written: the run was stopped before its first; its component logs say where it was")
    if as_json:
        print_json({"run": str(directory), "verified": not faults, **_replay_object(report), "faults": faults})
    else:
        _print_replay(directory, report, faults)
    if faults:
        failure = ReconciliationMismatchError(
            f"the event log of {directory} does not verify: {len(faults)} faults, first: {faults[0]}; run it again"
        )
        print_error(failure.one_line())
        raise CommandFailedError(EXIT_FAILED)


def _verify(directory: Path, *, as_json: bool) -> None:
    from dataflow.records.audit.verification import verify as verify_log

    found = verify_log(directory)
    if as_json:
        print_json(_verification_object(directory, found))
    else:
        _print_verification(directory, found)
    if not found.ok:
        first = found.faults[0]
        print_error(
            f"{first.code.value}: the event log of {directory} does not verify: {len(found.faults)} faults, "
            f"first: {first}; restore it from a backup, or run it again"
        )
        raise CommandFailedError(EXIT_FAILED)


def _print_replay(directory: Path, report: "ReplayReport", faults: Sequence[str]) -> None:
    rows = [*_replay_rows(report), ("faults", f"{len(faults):,}")]
    print_table(f"Replay of {directory}", ("", ""), rows, right=(1,))
    _print_positions(report)
    for fault in faults:
        print_error(fault)
    if not faults:
        print_line(
            "verified: the deltas give every balance of the log exactly; --verify holds every line to its hash", "green"
        )


def _print_verification(directory: Path, found: "Verification") -> None:
    rows = [] if found.replayed is None else _replay_rows(found.replayed)
    rows += [
        ("lines under a hash", f"{found.chain.lines_checked:,}"),
        ("hashes", f"{found.chain.blocks_checked:,}"),
        ("seal", found.chain.seal[:16] if found.chain.seal is not None else ABSENT),
        ("faults", f"{len(found.faults):,}"),
    ]
    print_table(f"Verification of {directory}", ("", ""), rows, right=(1,))
    if found.replayed is not None:
        _print_positions(found.replayed)
    for fault in found.faults[:_SHOWN_FAULTS]:
        print_error(fault.coded())
    if len(found.faults) > _SHOWN_FAULTS:
        print_error(f"and {len(found.faults) - _SHOWN_FAULTS:,} more; --json lists all")
    if found.ok:
        print_line(
            "verified: log and results are those that were written, and the deltas give every snapshot exactly", "green"
        )


def _replay_rows(report: "ReplayReport") -> list[tuple[str, str]]:
    return [
        ("events", f"{report.events:,}"),
        ("deltas applied", f"{report.deltas_applied:,}"),
        ("snapshots compared", f"{report.snapshots_compared:,}"),
        ("operations checked", f"{report.operations_checked:,}"),
        ("complete through order", f"{report.complete_through:,}"),
        ("events left out", f"{report.left_out:,}"),
    ]


def _print_positions(report: "ReplayReport") -> None:
    positions = [(key, f"{units:.12g}") for key, units in sorted(report.final_positions.items())]
    print_table("Final positions, native units", ("position", "units"), positions, right=(1,))


def _replay_object(report: "ReplayReport") -> dict[str, object]:
    return {
        "events": report.events,
        "deltas_applied": report.deltas_applied,
        "snapshots_compared": report.snapshots_compared,
        "operations_checked": report.operations_checked,
        "complete_through": report.complete_through,
        "left_out": report.left_out,
        "final_positions": dict(report.final_positions),
    }


def _verification_object(directory: Path, found: "Verification") -> dict[str, object]:
    return {
        "run": str(directory),
        "verified": found.ok,
        **({} if found.replayed is None else _replay_object(found.replayed)),
        "lines_checked": found.chain.lines_checked,
        "blocks_checked": found.chain.blocks_checked,
        "seal": found.chain.seal,
        "faults": [
            {
                "code": fault.code.value,
                "file": fault.file,
                "line": fault.line,
                "order": fault.order,
                "key": fault.key,
                "what": fault.what,
            }
            for fault in found.faults
        ],
    }


def export(
    run: RunArgument, out: Out = None, results: ResultsDir = RESULTS, logs: LogsDir = LOGS, as_json: AsJson = False
) -> None:
    """Write the twelve event types of a run as CSV files.

    Example:  basis export btc_basis_2024 --out /tmp/btc_basis
    """
    from dataflow.records.store.results import export_csv, find_run

    directory = find_run(run, results, logs)
    target = out if out is not None else Path("exports") / directory.resolve().name
    files = [str(path) for path in export_csv(directory, target)]
    if as_json:
        print_json({"run": str(directory), "files": files})
    else:
        print_line(f"{len(files)} files in {target}")
