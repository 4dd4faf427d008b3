"""``basis graph``: what a mode computes, as a drawing."""

from pathlib import Path
from typing import Annotated

import typer

from dataflow.cli.commands.failures import joined, require
from dataflow.cli.commands.options import AsJson, ModeArgument, Overrides
from dataflow.cli.commands.output import print_json, print_line

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="F.html|.dot|.svg|.png", help="File to write; default graphs/MODE.html."),
]


def graph(mode: ModeArgument, out: Out = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Draw the graph of a mode: every node by stage, with its unit and documentation.

    Example:  basis graph btc_basis --out btc_basis.html

    The .dot and the self-contained .html are always written; .svg and .png need Graphviz.
    """
    from dataflow.config.files import load_run_config
    from dataflow.reference.graph_page import PICTURE_SUFFIXES, TEXT_SUFFIXES, write_graph
    from dataflow.reference.graph_view import graph_view

    loaded = load_run_config(mode, overrides=tuple(set_ or ()))
    target = out if out is not None else Path("graphs") / f"{loaded.config.mode.mode}.html"
    known = (*TEXT_SUFFIXES, *PICTURE_SUFFIXES)
    require(target.suffix in known, f"--out {target} has no known suffix; one of: {joined(known)}")
    view = graph_view(loaded)
    files = [str(path) for path in write_graph(view, target)]
    if as_json:
        print_json({"mode": view.mode, "nodes": len(view.boxes), "edges": len(view.edges()), "files": files})
    else:
        for file in files:
            print_line(file)
