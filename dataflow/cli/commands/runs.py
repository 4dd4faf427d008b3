"""``basis runs``: what ran, how it ended, and how runs differ."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.cli.commands.failures import require
from dataflow.cli.commands.options import LOGS, RESULTS, AsJson, LogsDir, ResultsDir, RunArgument
from dataflow.cli.commands.output import ABSENT, percent, print_json, print_line, print_table

if TYPE_CHECKING:
    from dataflow.records.store.results import RunEntry
    from schemas.models.results import Manifest, RunSummary

OlderThan = Annotated[
    float | None,
    typer.Option("--older-than", min=0.0, metavar="DAYS", help="Days since the end; default 7, of live sessions 30."),
]
Keep = Annotated[int, typer.Option("--keep", min=0, metavar="N", help="Keep the newest N runs whatever their age.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do remove; without it nothing is touched.")]
RunArguments = Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Two or more runs.")]


def list_(results: ResultsDir = RESULTS, logs: LogsDir = LOGS, as_json: AsJson = False) -> None:
    """List the runs under --results, oldest first: complete, running, failed and crashed ones.

    Example:  basis runs list --results results
    """
    from dataflow.records.store.results import list_results

    entries = list_results(results)
    if as_json:
        print_json({"runs": [{**_manifest(entry.manifest), "path": str(entry.path)} for entry in entries]})
        return
    header = ("run", "status", "data", "total return", "created (UTC)")
    print_table(f"Runs in {results}", header, [_row(entry) for entry in entries], right=(3,))
    if not entries:
        print_line(f"no run in {results} yet; begin with: basis backtest btc_basis (logs are in {logs})")


def _row(entry: "RunEntry") -> tuple[str, ...]:
    from dataflow.records.store.results import load_summary
    from schemas.models.results import RunStatus

    manifest = entry.manifest
    complete = entry.status is RunStatus.COMPLETE
    return (
        entry.run_id,
        entry.status.value if manifest.error_code is None else f"{entry.status.value} {manifest.error_code.value}",
        f"{manifest.data_set}{' (SYNTHETIC)' if manifest.synthetic else ''}",
        percent(load_summary(entry.path).total_return) if complete else ABSENT,
        manifest.created_at[:19],
    )


def show(run: RunArgument, results: ResultsDir = RESULTS, logs: LogsDir = LOGS, as_json: AsJson = False) -> None:
    """Show one run: its summary and what it was made from; of a run that failed, why.

    Example:  basis runs show btc_basis_2024
    """
    manifest, summary = _find(run, results, logs)
    if as_json:
        found = None if summary is None else summary.model_dump(mode="json")
        print_json({"manifest": _manifest(manifest), "summary": found})
        return
    if summary is not None:
        from dataflow.cli.commands.run_tables import print_places, print_summary

        print_summary(summary)
        print_places(summary)
    facts = [(name, _fact(value)) for name, value in _manifest(manifest).items() if value is not None]
    print_table(f"Manifest of {manifest.run_id}", ("", ""), facts)


def compare(runs: RunArguments, results: ResultsDir = RESULTS, logs: LogsDir = LOGS, as_json: AsJson = False) -> None:
    """Show runs side by side; of two runs, explain the difference and name the first row and event where they part.

    Example:  basis runs compare btc_basis_2024-01 btc_basis_2024-02
    """
    from dataflow.records.store.results import find_run, load_summary

    require(len(runs) > 1, "compare takes two or more runs; see `basis runs list`")
    directories = [find_run(run, results, logs) for run in runs]
    summaries = [load_summary(directory) for directory in directories]
    difference = None
    if len(directories) == 2:
        from dataflow.records.audit.comparison import compare_runs

        difference = compare_runs(*directories)
    if as_json:
        from dataclasses import asdict

        compared = [summary.model_dump(mode="json") for summary in summaries]
        explained = None
        if difference is not None:
            largest = difference.largest_part
            explained = {**asdict(difference), "largest_part": None if largest is None else largest.name}
        print_json({"runs": compared, "difference": explained})
        return
    from dataflow.cli.commands.run_tables import print_comparison

    print_comparison(summaries)
    if difference is not None:
        from dataflow.cli.commands.difference_tables import print_difference

        print_difference(difference)


def _find(run: str, results: Path, logs: Path) -> "tuple[Manifest, RunSummary | None]":
    """Manifest of a run, and its summary where it is complete.

    Raises LogDirectoryError (LOG-003) where no run, or more than one, has that id.
    """
    from dataflow.records.store.results import find_run, list_results, load_manifest, load_summary
    from schemas.models.results import RunStatus

    named = [e for e in list_results(results) if e.run_id.startswith(run) or e.manifest.correlation_id == run]
    if len(named) == 1 and named[0].status is not RunStatus.COMPLETE:
        return named[0].manifest, None
    directory = find_run(run, results, logs)
    return load_manifest(directory), load_summary(directory)


def _manifest(manifest: "Manifest") -> dict[str, object]:
    return manifest.model_dump(mode="json")


def _fact(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {fact}" for name, fact in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def prune(
    older_than: OlderThan = None,
    keep: Keep = 0,
    yes: Yes = False,
    results: ResultsDir = RESULTS,
    logs: LogsDir = LOGS,
    as_json: AsJson = False,
) -> None:
    """Remove old runs with their logs: backtests after 7 days, live sessions after 30. Without --yes only show them.

    Example:  basis runs prune --older-than 14 --keep 5 --yes

    A run that is still going on is never removed.
    """
    from dataflow.records.log.instants import instant_text
    from dataflow.records.store.pruning import old_runs, remove

    found = old_runs(results, logs, days=older_than, keep=keep)
    if yes:
        remove(found)
    size = sum(run.size_bytes for run in found)
    if as_json:
        listed = [
            {
                "run": run.run_id,
                "status": "logs only" if run.status is None else run.status.value,
                "ended": instant_text(run.ended),
                "bytes": run.size_bytes,
                "paths": [str(path) for path in run.paths],
            }
            for run in found
        ]
        print_json({"removed": yes, "runs": listed, "bytes": size})
        return
    rows = [
        (
            run.run_id,
            "logs only" if run.status is None else run.status.value,
            instant_text(run.ended)[:19],
            _megabytes(run.size_bytes),
        )
        for run in found
    ]
    print_table("Removed" if yes else "Would be removed", ("run", "status", "ended (UTC)", "MB"), rows, right=(3,))
    told = f"{len(found):,} runs, {_megabytes(size)} MB"
    print_line(f"removed {told}" if yes else f"nothing was removed; with --yes this removes {told}")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f}"
