"""``report.html`` and ``report.md``: the sections of a run as one page each."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal

import jinja2
import numpy as np
import yaml
from markupsafe import Markup

from dataflow.records.log.instants import instant_text, utc_now
from dataflow.records.report.charts import BarChart, TimeChart
from dataflow.records.report.performance import MonthGrid
from dataflow.records.report.run_files import RunFiles
from dataflow.records.report.sections import Item, sections
from dataflow.records.store.tables import Table, amount, markdown, percent, ratio
from schemas.errors import LogWriteError
from schemas.units import Column

Format = Literal["html", "md"]
FORMATS: Final[tuple[Format, ...]] = ("html", "md")

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_SPARKS: Final = 72
_NARROW_COLUMNS: Final = 3


def write_report(run_dir: Path, formats: Sequence[Format] = FORMATS) -> list[Path]:
    """Write the report of a complete run into its directory, from that directory alone; return the files.

    Each file is replaced as a whole. Raises LogDirectoryError (LOG-003) where the directory is not that of a complete
    run, LogSerialisationError (LOG-004) where a file of it is damaged, LogWriteError (LOG-001) when the disk refuses.
    """
    run = RunFiles(run_dir)
    return [_replaced(run_dir / f"report.{kind}", _PAGES[kind](run)) for kind in formats]


def html_page(run: RunFiles) -> str:
    """The report as one HTML page that needs nothing else, the plotting library included."""
    from plotly.offline import get_plotlyjs

    from dataflow.records.report.drawing import figure_json

    parts = sections(run)
    span = (run.instants[0], run.instants[-1])
    charts = [item for section in parts for item in section.items if isinstance(item, TimeChart | BarChart)]
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            run=run,
            summary=run.summary,
            notices=_notices(run),
            sections=parts,
            figures={chart.name: figure_json(chart, span) for chart in charts},
            tiles=_tiles(run),
            plotly=Markup(get_plotlyjs()),  # noqa: S704  # the library's own script
            configuration=_configuration(run),
            written_at=instant_text(utc_now())[:19],
        )
    )


def markdown_page(run: RunFiles) -> str:
    """The report as Markdown that reads well in a terminal: every table, and the equity as a line of blocks."""
    return (
        _templates()
        .get_template("page.md.j2")
        .render(
            run=run,
            summary=run.summary,
            notices=_notices(run),
            sections=sections(run),
            spark=sparkline(run.column("equity_share_class")),
            configuration=_configuration(run),
        )
    )


_PAGES: Final = {"html": html_page, "md": markdown_page}


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"markdown": markdown, "kind": _kind, "paired": _paired}
    return environment


def _kind(item: Item) -> str:
    """What a template branches on."""
    if isinstance(item, Table):
        return "table"
    return "months" if isinstance(item, MonthGrid) else "chart"


def _paired(items: Sequence[Item]) -> list[list[Item]]:
    """Items by line of the page: two narrow tables that follow each other share one."""
    lines: list[list[Item]] = []
    for item in items:
        if lines and len(lines[-1]) == 1 and _is_narrow(item) and _is_narrow(lines[-1][0]):
            lines[-1].append(item)
        else:
            lines.append([item])
    return lines


def _is_narrow(item: Item) -> bool:
    return isinstance(item, Table) and len(item.header) <= _NARROW_COLUMNS


def _notices(run: RunFiles) -> list[str]:
    """What a reader must know before the numbers: shocks, what broke first, warnings."""
    summary = run.summary
    broken = [] if summary.first_break is None else [f"What broke first: {summary.first_break.sentence()}"]
    return [*(f"Shock: {shock}" for shock in summary.shocks), *broken, *summary.warnings]


def _tiles(run: RunFiles) -> list[tuple[str, str]]:
    """The numbers that one looks for first."""
    summary = run.summary
    return [
        (f"Final equity, {summary.share_class}", amount(summary.final_equity)),
        (f"P&L, {summary.share_class}", amount(summary.total_pnl_share_class)),
        ("Total return", percent(summary.total_return, 2)),
        ("Annualised return", percent(summary.annualized_return, 2)),
        ("Maximum drawdown", percent(summary.max_drawdown, 2)),
        ("Sharpe ratio", ratio(summary.sharpe_ratio)),
    ]


def _configuration(run: RunFiles) -> str:
    return yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def sparkline(values: Column) -> str:
    """A curve as a line of blocks, the mean of each span.

    >>> sparkline(np.array([0.0, 1.0, 2.0, 3.0]))
    '▁▃▆█'
    """
    means = np.array([part.mean() for part in np.array_split(values, min(_SPARKS, len(values)))])
    least, most = float(means.min()), float(means.max())
    steps = np.zeros(len(means)) if most == least else (means - least) / (most - least) * (len(_BLOCKS) - 1)
    return "".join(_BLOCKS[round(step)] for step in steps.tolist())


def _replaced(path: Path, text: str) -> Path:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise LogWriteError(
            f"cannot write the report: {error.strerror}; free space or rights", path=str(path)
        ) from error
    return path
