"""``basis simulate``: random markets and injected faults from a seed, with the laws checked after every run."""

from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.cli.commands.failures import EXIT_FAILED, CommandFailedError, require
from dataflow.cli.commands.options import AsJson
from dataflow.cli.commands.output import print_error, print_json, print_line, print_table, progress_bar

if TYPE_CHECKING:
    from dataflow.services.simulate import SimulationReport, SimulationRequest

Seeds = Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="Seeds; each is run in every mode.")]
FirstSeed = Annotated[int, typer.Option("--first-seed", min=0, metavar="K", help="First seed.")]
Modes = Annotated[str, typer.Option("--modes", metavar="all|A,B", help="Modes; `basis modes` lists them.")]
Faults = Annotated[str, typer.Option("--faults", metavar="NAME|FILE", help="Plan of configs/faults, or a file.")]
Rows = Annotated[
    int,
    typer.Option("--rows", min=200, metavar="R", help="Rows of a run, hours mostly; more where too little happens."),
]
Jobs = Annotated[int, typer.Option("--jobs", min=0, metavar="J", help="Processes; 0: one a processor.")]
TradeRules = Annotated[bool, typer.Option("--trade-rules", help="Trade in the lots and least sizes of the exchanges.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar, even on a terminal.")]

_SHOWN_MAX = 20


def simulate(
    seeds: Seeds = 20,
    first_seed: FirstSeed = 0,
    modes: Modes = "all",
    faults: Faults = "storm",
    rows: Rows = 320,
    jobs: Jobs = 0,
    trade_rules: TradeRules = False,
    no_progress: NoProgress = False,
    as_json: AsJson = False,
) -> None:
    """Run modes over random markets with faults, and check the laws after every run. Exit code 1 if one is broken.

    Example:  basis simulate --seeds 50 --faults storm
    """
    from dataflow.services.simulate import simulate as run

    request = _request(seeds, first_seed, modes, faults, rows, jobs, trade_rules=trade_rules)
    with progress_bar("Simulating", shown=not (no_progress or as_json)) as running:
        report = run(request, running)
    if as_json:
        print_json(_as_object(report))
    else:
        _print_report(report)
    if report.broken():
        raise CommandFailedError(EXIT_FAILED)


def _request(
    seeds: int, first_seed: int, modes: str, faults: str, rows: int, jobs: int, *, trade_rules: bool
) -> "SimulationRequest":
    import os

    from dataflow.config.files import list_modes
    from dataflow.services.simulate import SimulationRequest

    names = list_modes() if modes == "all" else tuple(dict.fromkeys(modes.split(",")))
    require(all(names), f"--modes {modes!r} names an empty mode; write all, or names with commas between")
    return SimulationRequest(
        seeds=seeds,
        first_seed=first_seed,
        modes=names,
        faults=faults,
        rows=rows,
        jobs=jobs or len(os.sched_getaffinity(0)),
        trade_rules=trade_rules,
    )


def _print_report(report: "SimulationReport") -> None:
    names = report.request.modes
    for title, table in (("Faults injected", report.faults()), ("Verdicts", report.verdicts())):
        rows = [(row, *(f"{n.get(name, 0):,}" for name in names), f"{sum(n.values()):,}") for row, n in table.items()]
        print_table(title, ("", *names, "all"), rows, right=range(1, len(names) + 2))
    broken = report.broken()
    for run in broken[:_SHOWN_MAX]:
        print_line(f"{run.mode} seed {run.seed}: {run.verdict}, {run.broken[0]}", "red")
        print_line(f"  again: {report.request.replay_command(run.mode, run.seed)}")
    if len(broken) > _SHOWN_MAX:
        print_line(f"and {len(broken) - _SHOWN_MAX} runs more", "red")
    speed = report.request.seeds / report.seconds
    print_error(
        f"{len(report.runs):,} runs of {report.request.seeds:,} seeds in {report.seconds:.1f} s "
        f"({speed:.2f} seeds/s): {len(broken)} broke a law"
    )


def _as_object(report: "SimulationReport") -> dict[str, object]:
    request = report.request
    return {
        "request": request.model_dump(mode="json"),
        "runs": len(report.runs),
        "operations": sum(run.operations for run in report.runs),
        "rows": sum(run.rows for run in report.runs),
        "faults": report.faults(),
        "verdicts": report.verdicts(),
        "broken": [
            {
                "mode": run.mode,
                "seed": run.seed,
                "verdict": run.verdict,
                "laws": list(run.broken),
                "command": request.replay_command(run.mode, run.seed),
            }
            for run in report.broken()
        ],
        "seconds": report.seconds,
        "seeds_per_second": request.seeds / report.seconds,
    }
