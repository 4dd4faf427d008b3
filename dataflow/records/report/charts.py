"""What a chart says, without how it is drawn: panels on one time axis, event strips, and bars."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from schemas.units import Column, Instants

INK: Final = "#1b2430"
QUIET: Final = "#5c6675"
GRID: Final = "#e6e9ef"
WARNING: Final = "#b3261e"
"""Limits and failures, and nothing else."""

INDIGO, CYAN, TEAL, GREEN, OLIVE = "#332288", "#88ccee", "#44aa99", "#117733", "#999933"
SAND, ROSE, WINE, PURPLE = "#ddcc77", "#cc6677", "#882255", "#aa4499"

CATEGORIES: Final = (INDIGO, ROSE, TEAL, OLIVE, WINE, CYAN, GREEN, PURPLE, SAND)
"""Colours told apart with any colour vision: Tol's "muted" scheme, darkest first. Source: [tol-colours]."""

PART_COLOURS: Final = {
    "supply_yield": GREEN,
    "staking_yield_oracle": TEAL,
    "staking_yield_rewards": PURPLE,
    "funding_pnl": INDIGO,
    "basis_pnl": CYAN,
    "delta_pnl": OLIVE,
    "net_delta_pnl": OLIVE,
    "dust_pnl": SAND,
    "borrow_cost": ROSE,
    "transaction_costs": WINE,
}
"""A P&L part has one colour in every chart."""

PLACE_COLOURS: Final = {
    "wallet": SAND,
    "exchanges": INDIGO,
    "margin": INDIGO,
    "staked": TEAL,
    "supplied": GREEN,
    "debt": ROSE,
    "withdrawal queue": CYAN,
    "rewards": OLIVE,
}
"""A place has one colour in every report."""


class Shape(StrEnum):
    """How the values of a series are joined."""

    LINE = "line"
    STEP = "step"
    """Holds until the next row."""
    FILLED = "filled"
    """A line, filled down to zero."""
    STACKED = "stacked"
    """Areas on each other: gains upwards from zero, losses downwards."""


@dataclass(frozen=True)
class Series:
    """One line. values: (rows,), NaN where there is none."""

    name: str
    values: Column
    colour: str
    shape: Shape = Shape.LINE


@dataclass(frozen=True)
class Level:
    """A limit or target, drawn across a panel."""

    value: float
    label: str
    is_limit: bool = True


@dataclass(frozen=True)
class Panel:
    """Series in one unit.

    instants: (rows,) of all series. axis_format, value_format: of d3, for the axis and for what one points at.
    from_zero: the axis reaches zero.
    """

    title: str
    instants: Instants
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()
    axis_format: str = ",.6~f"
    value_format: str = ",.2f"
    height: int = 190
    from_zero: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened: the lane of a strip it stands in, and what to say of it."""

    instant: np.datetime64
    lane: str
    text: str
    is_fault: bool = False


@dataclass(frozen=True)
class Strip:
    """Events on the time axis, one lane a kind."""

    title: str
    marks: tuple[Mark, ...]

    @property
    def lanes(self) -> tuple[str, ...]:
        """Lanes in use, in order of first appearance."""
        return tuple(dict.fromkeys(mark.lane for mark in self.marks))


@dataclass(frozen=True)
class TimeChart:
    """Panels over each other on the time axis of the run."""

    name: str
    title: str
    note: str
    panels: tuple[Panel | Strip, ...]


@dataclass(frozen=True)
class Bar:
    """A horizontal bar from ``start`` over ``length`` (signed), with what is written beside it."""

    name: str
    start: float
    length: float
    colour: str
    text: str


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars in one unit, first on top."""

    name: str
    title: str
    note: str
    bars: tuple[Bar, ...]
    unit: str = ""


Chart = TimeChart | BarChart


def spoken(name: str) -> str:
    """Return a recorded name as prose.

    >>> spoken("funding_pnl"), spoken("transaction_costs")
    ('funding P&L', 'transaction costs')
    """
    return name.replace("_pnl", " P&L").replace("_", " ")


def is_flat(values: Column) -> bool:
    """Whether there is nothing to see: no value, or zero throughout."""
    return not np.any(np.nan_to_num(values))


def coloured(columns: Mapping[str, Column], shape: Shape = Shape.LINE) -> tuple[Series, ...]:
    """One series a column, in the colours of their order."""
    colours = itertools.cycle(CATEGORIES)
    return tuple(Series(name, values, next(colours), shape) for name, values in columns.items())


def moving(panel: Panel) -> tuple[Panel, ...]:
    """The panel without the series that are zero throughout; nothing where none is left."""
    series = tuple(each for each in panel.series if not is_flat(each.values))
    return (replace(panel, series=series),) if series else ()
