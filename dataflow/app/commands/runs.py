"""``basis runs``: what ran, how it ended, and how runs differ."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.app.commands.failures import require
from dataflow.app.commands.options import LOGS, RESULTS, AsJson, LogsDir, ResultsDir, RunArgument
from dataflow.app.commands.output import ABSENT, percent, print_json, print_line, print_table

if TYPE_CHECKING:
    from dataflow.records.results import RunEntry
    from schemas.models.results import Manifest, RunSummary

RunArguments = Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Two or more runs.")]


def list_(results: ResultsDir = RESULTS, logs: LogsDir = LOGS, as_json: AsJson = False) -> None:
    """List the runs under --results, oldest first: complete, running, failed and crashed ones.

    Example:  basis runs list --results results
    """
    from dataflow.records.results import list_results

    entries = list_results(results)
    if as_json:
        print_json({"runs": [{**_manifest(entry.manifest), "path": str(entry.path)} for entry in entries]})
        return
    header = ("run", "status", "mode", "start", "end", "data", "total return", "created (UTC)")
    print_table(f"Runs in {results}", header, [_row(entry) for entry in entries], right=(6,))
    if not entries:
        print_line(f"no run in {results} yet; begin with: basis backtest btc_basis (logs are in {logs})")


def _row(entry: "RunEntry") -> tuple[str, ...]:
    from dataflow.records.results import load_summary
    from schemas.models.results import RunStatus

    manifest = entry.manifest
    complete = entry.status is RunStatus.COMPLETE
    return (
        entry.run_id,
        entry.status.value if manifest.error_code is None else f"{entry.status.value} {manifest.error_code.value}",
        manifest.mode,
        manifest.start or ABSENT,
        manifest.end or ABSENT,
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
        from dataflow.app.commands.run_tables import print_places, print_summary

        print_summary(summary)
        print_places(summary)
    facts = [(name, _fact(value)) for name, value in _manifest(manifest).items() if value is not None]
    print_table(f"Manifest of {manifest.run_id}", ("", ""), facts)


def compare(runs: RunArguments, results: ResultsDir = RESULTS, logs: LogsDir = LOGS, as_json: AsJson = False) -> None:
    """Show several runs side by side, attribution included.

    Example:  basis runs compare btc_basis_2024 eth_basis_2024
    """
    require(len(runs) > 1, "compare takes two or more runs; see `basis runs list`")
    summaries = [_summary(run, results, logs) for run in runs]
    if as_json:
        print_json({"runs": [summary.model_dump(mode="json") for summary in summaries]})
        return
    from dataflow.app.commands.run_tables import print_comparison

    print_comparison(summaries)


def _summary(run: str, results: Path, logs: Path) -> "RunSummary":
    from dataflow.records.results import find_run, load_summary

    return load_summary(find_run(run, results, logs))


def _find(run: str, results: Path, logs: Path) -> "tuple[Manifest, RunSummary | None]":
    """Manifest of a run, and its summary where it is complete.

    Raises LogDirectoryError (LOG-003) where no run, or more than one, has that id.
    """
    from dataflow.records.results import MANIFEST_FILE, find_run, list_results, load_summary
    from schemas.models.results import Manifest, RunStatus

    for entry in list_results(results):
        if run in (entry.run_id, entry.manifest.correlation_id) and entry.status is not RunStatus.COMPLETE:
            return entry.manifest, None
    directory = find_run(run, results, logs)
    summary = load_summary(directory)
    return Manifest.model_validate_json((directory / MANIFEST_FILE).read_bytes()), summary


def _manifest(manifest: "Manifest") -> dict[str, object]:
    return manifest.model_dump(mode="json")


def _fact(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {fact}" for name, fact in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
