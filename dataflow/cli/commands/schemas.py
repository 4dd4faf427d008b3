"""``basis schemas``: the gate that keeps models, frames, files and their reference pages one."""

from pathlib import Path
from typing import Annotated

import typer

from dataflow.cli.commands.failures import EXIT_FAILED, CommandFailedError
from dataflow.cli.commands.options import AsJson
from dataflow.cli.commands.output import print_error, print_json, print_line

Reference = Annotated[
    Path | None,
    typer.Option("--reference", metavar="DIR", help="Directory of the committed pages; default docs/reference."),
]
ConfigRoot = Annotated[
    Path | None,
    typer.Option("--configs", metavar="DIR", help="Configuration files to check; default the shipped ones."),
]
Pages = Annotated[
    Path | None, typer.Option("--pages", metavar="DIR", help="Write the generated pages (errors.md, ...) here as well.")
]
Target = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the schema files.")]


def check(reference: Reference = None, configs: ConfigRoot = None, as_json: AsJson = False) -> None:
    """Compare models, frames, YAML and generated pages with what is committed. Exit code 1 if any differs.

    Example:  basis schemas check
    """
    from dataflow.reference.schema_gate import REFERENCE, check_gate

    report = check_gate(reference or REFERENCE, configs)
    lines = [str(difference) for difference in report.differences]
    if as_json:
        print_json({"files": report.files, "differences": [vars(difference) for difference in report.differences]})
    else:
        for line in lines:
            print_line(line, "red")
        print_error(f"{report.files} files: {len(lines)} differences")
        if any(difference.is_generated for difference in report.differences):
            print_error("if they are meant: basis schemas export docs/reference/schemas --pages docs/reference")
    if lines:
        raise CommandFailedError(EXIT_FAILED)


def export(directory: Target, pages: Pages = None, as_json: AsJson = False) -> None:
    """Write the JSON Schema of every model and the form of every frame, a file each.

    Example:  basis schemas export docs/reference/schemas
    """
    from dataflow.reference.schema_gate import write_pages, write_schemas

    written = write_schemas(directory)
    if pages is not None:
        written += write_pages(pages)
    if as_json:
        print_json({"files": [str(path) for path in written]})
    else:
        print_line(f"{len(written)} files in {directory}")
