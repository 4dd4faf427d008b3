"""How a run earned: equity and drawdown, P&L by part, and the return of each month."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflow.maths.returns import drawdowns, growth_of_rows, monthly_returns
from dataflow.records.report.charts import (
    INDIGO,
    INK,
    PART_COLOURS,
    QUIET,
    WINE,
    Bar,
    BarChart,
    Level,
    Panel,
    Series,
    Shape,
    Strip,
    TimeChart,
    is_flat,
    spoken,
)
from dataflow.records.report.run_files import RunFiles
from dataflow.records.store.tables import Table, amount, percent
from schemas.units import BPS, Column

_DRAWDOWN_SHOWN: Final = 0.2
"""A drawdown limit is drawn where the run used at least this share of it; else it would flatten the curve."""

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def equity_chart(run: RunFiles, decisions: Strip) -> TimeChart:
    """Equity against what was paid in, the fall from its peak, and the decisions."""
    equity = run.column("equity_share_class")
    paid_in = equity - run.column("total_pnl_share_class")
    unit = run.summary.share_class
    fallen = drawdowns(np.multiply.accumulate(growth_of_rows(equity, paid_in)))
    limit = run.summary.target_max_drawdown
    is_near = limit is not None and run.summary.max_drawdown >= _DRAWDOWN_SHOWN * limit
    levels = (Level(-limit, f"limit {limit:.1%}"),) if limit is not None and is_near else ()
    panels = [
        Panel(
            f"Equity, {unit}",
            run.instants,
            (Series("equity", equity, INDIGO), Series("paid in", paid_in, QUIET, Shape.STEP)),
            value_format=",.6~f" if abs(equity[-1]) < 1_000.0 else ",.2f",
            height=240,
        ),
        Panel(
            "Drawdown from the highest value so far, flows removed",
            run.instants,
            (Series("drawdown", -fallen, WINE, Shape.FILLED),),
            levels,
            ".4~%",
            ".4%",
            height=110,
        ),
    ]
    note = "" if is_near or limit is None else f"The drawdown limit of {limit:.1%} lies off the scale."
    return TimeChart("equity", "Equity and drawdown", note, (*panels, *([decisions] if decisions.marks else [])))


def _parts(run: RunFiles) -> dict[str, Column]:
    """P&L parts that are not zero throughout, share class, cumulative."""
    parts = {name: run.column(name) for name in run.summary.pnl_attribution if run.has(name)}
    return {name: values for name, values in parts.items() if not is_flat(values)}


def attribution_chart(run: RunFiles) -> TimeChart:
    """P&L parts stacked since the start, gains upwards and costs downwards, with their sum."""
    stacked = tuple(
        Series(spoken(name), values, PART_COLOURS.get(name, QUIET), Shape.STACKED)
        for name, values in _parts(run).items()
    )
    total = Series("total P&L", run.column("total_pnl_share_class"), INK)
    panel = Panel(f"{run.summary.share_class} since the start", run.instants, (*stacked, total), height=340)
    return TimeChart("attribution", "P&L by part over time", "", (panel,))


def waterfall(run: RunFiles) -> BarChart:
    """From nothing to the total P&L, part by part."""
    unit, capital = run.summary.share_class, run.summary.initial_capital

    def text(value: float) -> str:
        return f"{amount(value)} {unit} · {value / capital / BPS:z,.1f} bps"

    bars: list[Bar] = []
    reached = 0.0
    for name, value in run.summary.pnl_attribution.items():
        if value != 0.0:
            bars.append(Bar(spoken(name), reached, value, PART_COLOURS.get(name, QUIET), text(value)))
            reached += value
    total = run.summary.total_pnl_share_class
    bars.append(Bar("total P&L", 0.0, total, INK, text(total)))
    return BarChart("waterfall", "P&L by part at the end", "", tuple(bars), unit)


@dataclass(frozen=True)
class MonthGrid:
    """Time-weighted returns by calendar month: ``2024-05`` to a fraction."""

    by_month: Mapping[str, float]

    @property
    def years(self) -> tuple[str, ...]:
        """Years of the run."""
        return tuple(dict.fromkeys(month[:4] for month in self.by_month))

    @property
    def largest(self) -> float:
        """Largest return of a month, either sign."""
        return max(map(abs, self.by_month.values()))

    def months(self, year: str) -> tuple[float | None, ...]:
        """Return of each of the twelve months, None outside the run."""
        return tuple(self.by_month.get(f"{year}-{number:02}") for number in range(1, 13))

    def year(self, year: str) -> float:
        """Return of a year, or of the part of it that was run."""
        return math.prod(1.0 + value for month, value in self.by_month.items() if month[:4] == year) - 1.0

    def table(self) -> Table:
        """One row a year."""
        rows = tuple(
            (
                year,
                *("" if each is None else percent(each, 2) for each in self.months(year)),
                percent(self.year(year), 2),
            )
            for year in self.years
        )
        note = "Time-weighted, flows removed, UTC months."
        return Table("Monthly returns", ("year", *MONTHS, "year"), rows, note)


def month_grid(run: RunFiles) -> MonthGrid:
    """Returns of the months of a run."""
    equity = run.column("equity_share_class")
    return MonthGrid(monthly_returns(run.instants, equity, equity - run.column("total_pnl_share_class")))
