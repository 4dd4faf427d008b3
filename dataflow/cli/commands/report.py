"""``basis report``: a finished run as a page of charts and tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dataflow.cli.commands.options import LOGS, RESULTS, AsJson, LogsDir, ResultsDir, RunArgument
from dataflow.cli.commands.output import print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Sequence

FormatChoice = Literal["html", "md"]

Format = Annotated[
    FormatChoice | None,
    typer.Option("--format", help="Only the page of charts, or only the Markdown, which is printed as well."),
]
Open = Annotated[bool, typer.Option("--open", help="Show report.html in the browser.")]


def report(
    run: RunArgument,
    format_: Format = None,
    open_: Open = False,
    results: ResultsDir = RESULTS,
    logs: LogsDir = LOGS,
    as_json: AsJson = False,
) -> None:
    """Make report.html, which works offline, and report.md of a finished run, in its results directory.

    Example:  basis report btc_basis_2024 --open
    """
    from dataflow.records.store.results import find_run

    directory = find_run(run, results, logs)
    files = write_reports(directory, None if open_ else format_)
    if as_json:
        print_json({"run": str(directory), "files": [str(file) for file in files]})
    elif format_ == "md":
        print_line(files[-1].read_text(encoding="utf-8"))
    else:
        for file in files:
            print_line(str(file))
    if open_:
        typer.launch(files[0].resolve().as_uri())


def write_reports(directory: Path, format_: FormatChoice | None = None) -> "Sequence[Path]":
    """Write the reports of a run, or one of them; loads the plotting library."""
    from dataflow.records.report.pages import FORMATS, write_report

    return write_report(directory, FORMATS if format_ is None else (format_,))
