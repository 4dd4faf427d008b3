"""The command line ``basis``: its commands by family, each loaded when it runs."""

import gc
import signal
import sys
from typing import Annotated, Final

import typer

from dataflow.cli.commands import (
    backtest,
    config,
    data,
    graph,
    modes,
    records,
    report,
    runs,
    scenarios,
    schemas,
    simulate,
    trace,
)
from dataflow.cli.commands.failures import BasisCommand, BasisGroup

_COLLECT_AFTER_OBJECTS: Final = 50_000

app = typer.Typer(
    name="basis",
    cls=BasisGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Market-neutral and yield strategies over history, every decision and cent on record.",
    epilog="Begin with:  basis backtest btc_basis",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"basis {version('basis-strategy')}")
        raise typer.Exit


@app.callback()
def basis(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Market-neutral and yield strategies over history, every decision and cent on record."""


def _command(name: str, function: typer.models.CommandFunctionType) -> None:
    app.command(name, cls=BasisCommand)(function)


def _group(name: str, summary: str, **commands: typer.models.CommandFunctionType) -> None:
    group = typer.Typer(cls=BasisGroup, no_args_is_help=True, help=summary)
    for command, function in commands.items():
        group.command(command, cls=BasisCommand)(function)
    app.add_typer(group, name=name)


_command("modes", modes.modes)
_command("scenarios", scenarios.scenarios)
_command("backtest", backtest.backtest)
_command("simulate", simulate.simulate)
_command("graph", graph.graph)
_group(
    "runs",
    "List, show, compare and prune the runs under --results.",
    list=runs.list_,
    show=runs.show,
    compare=runs.compare,
    prune=runs.prune,
)
_command("events", records.events)
_command("trace", trace.trace)
_command("replay", records.replay)
_command("export", records.export)
_command("report", report.report)
_group("config", "Show a mode's merged configuration, or check files.", show=config.show, check=config.check)
_group(
    "data",
    "Make the synthetic data set, or check any data set.",
    make=data.make,
    predictions=data.predictions,
    check=data.check,
)
_group("schemas", "Check or write the JSON Schemas of models and frames.", check=schemas.check, export=schemas.export)


def _spare_start_up() -> None:
    """Leave out what a short process pays for and never uses.

    Pandera loads Hypothesis, and so every pytest plugin of it, where it is installed: 0.3 s for examples that no
    command draws; None in ``sys.modules`` means "not installed". Imports allocate much and free little, so collecting
    cycles every 700 objects costs 0.1 s.
    """
    sys.modules.setdefault("hypothesis", None)  # type: ignore[arg-type]  # None is the documented form
    gc.set_threshold(_COLLECT_AFTER_OBJECTS)


def _interrupt(_signal: int, _frame: object) -> None:
    signal.raise_signal(signal.SIGINT)  # which the engine holds until a window is whole


def main() -> None:
    """Run the command line; the entry point of ``basis``. A service manager's SIGTERM ends it like Ctrl-C."""
    _spare_start_up()
    signal.signal(signal.SIGTERM, _interrupt)
    app()


if __name__ == "__main__":
    main()
