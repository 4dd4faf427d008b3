"""``basis backtest``: one run, from names to a results directory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dataflow.cli.commands.options import (
    LOGS,
    RESULTS,
    SEED,
    AsJson,
    DataSet,
    LogsDir,
    ModeArgument,
    Overrides,
    ResultsDir,
    Scenarios,
    Seed,
)
from dataflow.cli.commands.output import print_error, print_json, progress_bar

if TYPE_CHECKING:
    from dataflow.services.backtest import BacktestRequest

ExecutorChoice = Literal["plan", "hamilton"]
PolicyChoice = Literal["backtest", "live"]
ValidationChoice = Literal["chunk", "every-call"]
EventChoice = Literal["every-step", "on-change", "operations"]

Start = Annotated[str | None, typer.Option("--start", metavar="T", help="First row, ISO-8601, UTC assumed.")]
End = Annotated[str | None, typer.Option("--end", metavar="T", help="Last row, ISO-8601, UTC assumed.")]
Capital = Annotated[
    float | None, typer.Option("--capital", help="Initial capital in share-class units; default: the mode's own.")
]
Executor = Annotated[ExecutorChoice, typer.Option("--executor", help="The flattened plan, or Hamilton's own execute.")]
Window = Annotated[int | None, typer.Option("--window", min=1, help="Fixed rows a window; changes no result.")]
Validate = Annotated[
    ValidationChoice, typer.Option("--validate", help="Check frames once a chunk, or every input of every node.")
]
Events = Annotated[
    EventChoice,
    typer.Option("--events", help="What the event log says of rows without a decision: all, what changed, or nothing."),
]
Flows = Annotated[
    Path | None,
    typer.Option("--flows", metavar="FILE", help="Deposits and withdrawals: CSV with timestamp, amount, speed."),
]
Faults = Annotated[
    str | None, typer.Option("--faults", metavar="NAME|FILE", help="Inject the faults of a plan of configs/faults.")
]
Policy = Annotated[
    PolicyChoice | None,
    typer.Option("--policy", help="Retries and tolerances of a backtest or of a live session; live with --faults."),
]
TradeRules = Annotated[
    bool, typer.Option("--trade-rules", help="Trade in the exchanges' lots and least sizes: --scenario trade_rules.")
]
Report = Annotated[bool, typer.Option("--report", help="Make report.html and report.md as well, see `basis report`.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar, even on a terminal.")]


def backtest(
    mode: ModeArgument,
    data: DataSet = "synthetic",
    start: Start = None,
    end: End = None,
    capital: Capital = None,
    scenario: Scenarios = None,
    set_: Overrides = None,
    seed: Seed = SEED,
    executor: Executor = "plan",
    window: Window = None,
    validate: Validate = "chunk",
    events: Events = "every-step",
    flows: Flows = None,
    faults: Faults = None,
    policy: Policy = None,
    trade_rules: TradeRules = False,
    logs: LogsDir = LOGS,
    results: ResultsDir = RESULTS,
    report: Report = False,
    no_progress: NoProgress = False,
    as_json: AsJson = False,
) -> None:
    """Run a mode over a data set; write its logs and results, and print a summary.

    Example:  basis backtest btc_basis --data ../shared/data --start 2024-05-12 --end 2025-03-31

    Without --data it runs on synthetic prices, made on first use.
    """
    request = _request(
        mode=mode,
        data=data,
        start=start,
        end=end,
        capital=capital,
        scenarios=(*(scenario or ()), *(("trade_rules",) if trade_rules else ())),
        overrides=tuple(set_ or ()),
        seed=seed,
        executor=executor,
        window=window,
        validation=validate,
        events=events,
        flows=flows,
        faults=faults,
        policy=policy,
        logs=logs,
        results=results,
    )
    _run(request, as_json=as_json, shown=not (no_progress or as_json), report=report)


def _request(**options: object) -> "BacktestRequest":
    """Build the request; ConfigValidationError (CONFIG-003) names the option that it refuses."""
    from dataflow.engine.cycle_search import cycle_search_off

    with cycle_search_off():
        from pydantic import ValidationError

        from dataflow.services.backtest import BacktestRequest
        from schemas.errors import ConfigValidationError

    try:
        return BacktestRequest.model_validate(options)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        option = f"--{fault['loc'][0]}"
        raise ConfigValidationError(f"{option} {fault['input']}: {fault['msg']}", option=option) from error


def _run(request: "BacktestRequest", *, as_json: bool, shown: bool, report: bool) -> None:
    from dataflow.services.backtest import SYNTHETIC, load_request_config, resolve_data_set, run_backtest

    if request.data == SYNTHETIC and shown:
        load_request_config(request)  # a wrong name is told before the data set is made
        with progress_bar("Making the synthetic data set", shown=shown) as making:
            resolve_data_set(request.data, request.seed, making)
    with progress_bar(f"Running {request.mode}", shown=shown) as running:
        summary = run_backtest(request, progress=running).summary
    if report and summary.results_dir is not None:
        from dataflow.cli.commands.report import write_reports

        write_reports(Path(summary.results_dir))
    if as_json:
        print_json(summary.model_dump(mode="json"))
        return
    from dataflow.cli.commands.run_tables import print_places, print_summary

    print_summary(summary)
    print_places(summary)
    if summary.synthetic:
        print_error("Synthetic data: these prices never happened; pass --data DIR for real history.")
