"""``basis data``: make the synthetic data set, check any data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataflow.cli.commands.failures import EXIT_FAILED, CommandFailedError, error_object, require
from dataflow.cli.commands.options import SEED, AsJson, Seed
from dataflow.cli.commands.output import ABSENT, print_error, print_json, print_line, print_table, progress_bar

if TYPE_CHECKING:
    from dataflow.market.history.quality import QualityReport, SeriesQuality
    from dataflow.market.market import MarketRequest

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the new data set.")]
Checked = Annotated[str, typer.Argument(metavar="DIR|synthetic", help="Data set to check.")]
Days = Annotated[int, typer.Option("--days", min=1, help="Whole days of hours.")]
FirstDay = Annotated[str, typer.Option("--start", metavar="DATE", help="First day, midnight UTC.")]
ForMode = Annotated[str | None, typer.Option("--mode", metavar="MODE", help="Check only what this mode needs.")]


def make(
    directory: Directory, seed: Seed = SEED, days: Days = 731, start: FirstDay = "2024-01-01", as_json: AsJson = False
) -> None:
    """Write a synthetic data set: plausible prices, rates and gas from a seed. The same seed gives the same numbers.

    Example:  basis data make data/synthetic --days 365 --seed 11
    """
    from dataflow.market.synthetic.data_set import write_synthetic
    from dataflow.records.log.instant_options import parse_instant

    first_day = str(parse_instant(start, "--start").astype("datetime64[D]"))
    _require_free(directory)
    with progress_bar("Making the synthetic data set", shown=not as_json) as making:
        written = write_synthetic(directory, seed=seed, start=first_day, days=days, progress=making)
    files = sorted(path.name for path in written.iterdir())
    if as_json:
        print_json({"data_set": str(written), "seed": seed, "start": first_day, "days": days, "files": files})
    else:
        print_line(f"{len(files)} files of {days} days from {first_day} in {written}")
        print_line(f"next     basis backtest btc_basis --data {written}")


def _require_free(directory: Path) -> None:
    """Refuse a directory that holds anything but an earlier synthetic set."""
    from dataflow.market.history.data_set import open_data_set

    if directory.exists():
        free = directory.is_dir() and (not any(directory.iterdir()) or open_data_set(directory).synthetic)
        require(free, f"{directory} holds files that are not a synthetic data set; name a new directory")


def predictions(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="CSV file to write.")],
    data: Annotated[
        str, typer.Option("--data", metavar="DIR|synthetic", help="Data set with 5-minute candles.")
    ] = "synthetic",
    seed: Seed = SEED,
    hit_rate: Annotated[float, typer.Option("--hit-rate", help="Share of directions that are right, 0 to 1.")] = 0.55,
    as_json: AsJson = False,
) -> None:
    """Write BTC predictions for the ML modes, right as often as asked. The same seed gives the same predictions.

    Example:  basis data predictions --data ../shared/data --hit-rate 0.55 --out predictions.csv
    """
    from dataflow.market.synthetic.predictions import predict_data_set
    from dataflow.services.backtest import resolve_data_set

    written, rows = predict_data_set(resolve_data_set(data, seed), out, seed=seed, hit_rate=hit_rate)
    if as_json:
        print_json({"file": str(written), "rows": rows, "seed": seed, "hit_rate": hit_rate})
    else:
        print_line(f"{rows} predictions, right {hit_rate:.0%} of the time, in {written}")
        print_line(
            "next     basis backtest ml_btc_directional_usdt_margin "
            f"--data {data} --set ml_config.predictions_file={written}"
        )


def check(data_set: Checked, mode: ForMode = None, seed: Seed = SEED, as_json: AsJson = False) -> None:
    """Report coverage, gaps and faults of a data set: of each file the first of each kind. Exit code 1 if there is one.

    Example:  basis data check ../shared/data --mode btc_basis
    """
    from dataflow.market.history.quality import check_data_set
    from dataflow.services.backtest import resolve_data_set

    request = None if mode is None else _needs(mode)
    report = check_data_set(resolve_data_set(data_set, seed), request)
    if as_json:
        print_json(_report_object(report))
    else:
        _print_report(report)
    if report.faults:
        raise CommandFailedError(EXIT_FAILED)


def _needs(mode: str) -> "MarketRequest":
    from dataflow.config.files import load_run_config
    from dataflow.services.mode_files import backtest_of

    return backtest_of(load_run_config(mode)).market_request()


def _print_report(report: "QualityReport") -> None:
    title = f"{report.data_set}{' (SYNTHETIC)' if report.synthetic else ''}  {report.path}"
    header = ("series", "rows", "first", "last", "step", "gaps", "missing rows", "duplicates", "clipped", "faults")
    print_table(title, header, (_row(one) for one in report.series), right=(1, 4, 5, 6, 7, 8, 9))
    for one in report.series:
        for gap in one.gaps:
            print_line(f"gap      {one.series}: {gap.rows} rows missing, {gap.first} to {gap.last}")
    if report.covered is not None:
        print_line(f"covered  {report.covered[0]} to {report.covered[1]} UTC, common to all that the mode needs")
    for fault in report.faults:
        print_error(fault.one_line())
    print_error(f"{len(report.series)} series: {len(report.faults)} faults")


def _row(one: "SeriesQuality") -> tuple[str, ...]:
    missing = sum(gap.rows for gap in one.gaps)
    return (
        one.series,
        f"{one.rows:,}",
        one.first or ABSENT,
        one.last or ABSENT,
        ABSENT if one.step_seconds is None else f"{one.step_seconds:,} s",
        f"{len(one.gaps):,}",
        f"{missing:,}",
        f"{one.duplicates:,}",
        f"{one.clipped_falls:,}",
        f"{len(one.faults):,}",
    )


def _report_object(report: "QualityReport") -> dict[str, object]:
    return {
        "data_set": report.data_set,
        "path": report.path,
        "synthetic": report.synthetic,
        "covered": None if report.covered is None else [str(instant) for instant in report.covered],
        "series": [
            {
                "series": one.series,
                "file": one.file,
                "rows": one.rows,
                "first": one.first,
                "last": one.last,
                "step_seconds": one.step_seconds,
                "gaps": [{"first": gap.first, "last": gap.last, "rows": gap.rows} for gap in one.gaps],
                "duplicates": one.duplicates,
                "clipped_falls": one.clipped_falls,
                "faults": [error_object(fault) for fault in one.faults],
            }
            for one in report.series
        ],
        "faults": [error_object(fault) for fault in report.faults],
    }
