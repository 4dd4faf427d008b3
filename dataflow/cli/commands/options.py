"""Options that several commands share, with the same name, default and help everywhere."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on standard output.")]
ResultsDir = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Directory of the results, one directory a run.")
]
LogsDir = Annotated[Path, typer.Option("--logs", metavar="DIR", help="Directory of the logs.")]
DataSet = Annotated[
    str, typer.Option("--data", metavar="DIR|synthetic", help="Data set: a directory, or the synthetic one.")
]
ModeArgument = Annotated[
    str, typer.Argument(metavar="MODE", help="Mode; `basis modes` lists them. Or the path of a mode file.")
]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Run id or its unique start, correlation id, or the path of a run's directory."),
]
Scenarios = Annotated[
    list[str] | None,
    typer.Option("--scenario", metavar="NAME", help="Overlay, see `basis scenarios`; repeat it, later ones win."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a key, e.g. strategy_config.funding_enter_apr=0.1; repeat."
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of identifiers and of synthetic data.")]

RESULTS = Path("results")
LOGS = Path("logs")
SEED = 7
