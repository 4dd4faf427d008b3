"""Charts as Plotly figures. ``pages`` imports this only when it draws: Plotly is slow to load."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go

from dataflow.records.report.bars import bars_figure
from dataflow.records.report.charts import (
    GRID,
    INK,
    QUIET,
    WARNING,
    BarChart,
    Chart,
    Mark,
    Panel,
    Series,
    Shape,
    Strip,
    TimeChart,
)
from dataflow.records.report.style import BOTTOM, TOP, faint, layout, softened
from dataflow.records.report.thinning import Rows, changed_rows, kept_rows
from schemas.units import Column, Instants

ROWS_MAX: Final = 2_000
"""Rows that a panel draws at most: about two a pixel."""

STEP_ROWS: Final = 200
"""Rows at which a step line is drawn beside those where it changes, so that one can read it off anywhere."""

MARKS_PER_LANE_MAX: Final = 300
"""Ticks of a lane at most; more would be one solid bar."""

_HEADING: Final = 26
"""Pixels above a panel for its title and legend."""

_GAP: Final = 16
_LANE: Final = 20

_LINE_WIDTH: Final = 920
"""Pixels that title and legend may fill beside each other; a legend that is wider gets lines of its own."""

_CHARACTER, _SYMBOL = 5.9, 42
"""Pixels of a character and of the symbol of a legend."""

_TIME_ROOM: Final = 0.005
"""Share of the time axis left free on both sides, so that marks on the first and last row are seen."""

_TIME_ROOM_MIN: Final = 60_000.0
"""Milliseconds that are left free at least: a run may have one row."""

_MARGIN: Final = 0.06
"""Share of an axis left free beyond values and levels."""


def figure_json(chart: Chart, span: tuple[np.datetime64, np.datetime64]) -> dict[str, object]:
    """A figure as Plotly's page script takes it: ``data`` and ``layout``; arrays are encoded as base64.

    span: the time axis of every time chart.
    """
    figure = bars_figure(chart) if isinstance(chart, BarChart) else _panels(chart, span)
    drawn: dict[str, object] = figure.to_plotly_json()
    return drawn


@dataclass(frozen=True)
class _Frame:
    """Where a panel stands: its number, from 1, and pixels from the top of the figure."""

    number: int
    heading: int
    top: int
    height: int

    @property
    def axis(self) -> str:
        return "y" if self.number == 1 else f"y{self.number}"


def _panels(chart: TimeChart, span: tuple[np.datetime64, np.datetime64]) -> go.Figure:
    frames, height = _frames(chart.panels)
    inner = height - TOP - BOTTOM
    figure = go.Figure(layout=layout(height))
    figure.update_layout(
        hovermode="x unified",
        xaxis={
            "type": "date",
            "range": _time_range(span),
            "anchor": frames[-1].axis,
            "showgrid": True,
            "gridcolor": GRID,
            "linecolor": QUIET,
            "ticks": "outside",
            "tickcolor": GRID,
            "showspikes": True,
            "spikemode": "across",
            "spikethickness": 1,
            "spikedash": "solid",
            "spikecolor": QUIET,
            "hoverformat": "%Y-%m-%d %H:%M",
        },
    )
    for panel, frame in zip(chart.panels, frames, strict=True):
        bottom = 1.0 - (frame.top + frame.height) / inner
        domain = [max(bottom, 0.0), 1.0 - frame.top / inner]
        _heading(figure, panel.title, domain[1], frame.heading // _HEADING)
        if isinstance(panel, Strip):
            _strip(figure, panel, frame, domain)
        else:
            _panel(figure, panel, frame, domain)
    return figure


def _frames(panels: Sequence[Panel | Strip]) -> tuple[list[_Frame], int]:
    """Places of the panels, and the height of the figure."""
    frames, top = [], 0
    for number, panel in enumerate(panels, start=1):
        heading = _HEADING * _heading_lines(panel)
        height = panel.height if isinstance(panel, Panel) else _LANE * len(panel.lanes) + 8
        frames.append(_Frame(number, heading, top + heading, height))
        top += heading + height + _GAP
    return frames, top - _GAP + TOP + BOTTOM


def _heading_lines(panel: Panel | Strip) -> int:
    """Lines above a panel: its title, and those of a legend that does not fit beside it."""
    if isinstance(panel, Strip) or len(panel.series) == 1:
        return 1
    legend = sum(len(series.name) * _CHARACTER + _SYMBOL for series in panel.series)
    if len(panel.title) * _CHARACTER + legend <= _LINE_WIDTH:
        return 1
    return 1 + -(-int(legend) // _LINE_WIDTH)


def _heading(figure: go.Figure, title: str, top: float, lines: int) -> None:
    figure.add_annotation(
        text=f"<b>{title}</b>",
        x=0.0,
        y=top,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        yshift=4 + (lines - 1) * _HEADING,
        showarrow=False,
        font={"size": 12, "color": INK},
    )


def _panel(figure: go.Figure, panel: Panel, frame: _Frame, domain: list[float]) -> None:
    legend = "legend" if frame.number == 1 else f"legend{frame.number}"
    instants, thinned = _thinned(panel)
    for series in thinned:
        for trace in _traces(series, instants, panel, frame):
            figure.add_trace(trace.update(legend=legend, showlegend=trace.showlegend and len(thinned) > 1))
    axis = {
        "domain": domain,
        "anchor": "x",
        "tickformat": panel.axis_format,
        "ticklabelstandoff": 4,
        "nticks": max(4, panel.height // 36),
        "range": _range(panel),
        "gridcolor": GRID,
        "zeroline": True,
        "zerolinecolor": QUIET,
        "zerolinewidth": 1,
    }
    legend_style = {
        "orientation": "h",
        "x": 1.0,
        "xanchor": "right",
        "y": domain[1],
        "yanchor": "bottom",
        "font": {"size": 11},
        "traceorder": "normal",
        "bgcolor": "rgba(255,255,255,0)",
        "itemwidth": 30,
    }
    figure.update_layout({f"yaxis{frame.axis[1:]}": axis, legend: legend_style})
    for level in panel.levels:
        colour = WARNING if level.is_limit else QUIET
        figure.add_hline(y=level.value, yref=frame.axis, line={"color": colour, "width": 1, "dash": "dash"})
        figure.add_annotation(
            text=level.label,
            x=1.0,
            y=level.value,
            xref="paper",
            yref=frame.axis,
            xanchor="right",
            yanchor="bottom",
            showarrow=False,
            font={"size": 10, "color": colour},
            bgcolor="rgba(255,255,255,0.7)",
            borderpad=1,
        )


def _range(panel: Panel) -> list[float] | None:
    """Range of an axis that has to reach zero or the levels; None to leave it to the values."""
    if not (panel.levels or panel.from_zero):
        return None
    reached = [level.value for level in panel.levels] + [0.0] * panel.from_zero
    for series in panel.series:
        reached += [float(np.nanmin(series.values)), float(np.nanmax(series.values))]
    low, high = min(reached), max(reached)
    margin = (high - low) * _MARGIN
    at_zero = panel.from_zero and not panel.levels
    return [low if at_zero and low == 0.0 else low - margin, high if at_zero and high == 0.0 else high + margin]


def _thinned(panel: Panel) -> tuple[Instants, list[Series]]:
    """The rows to draw: where step lines change, else the extremes."""
    columns = [series.values for series in panel.series]
    rows: Rows = np.arange(len(panel.instants))
    if all(series.shape is Shape.STEP for series in panel.series):
        rows = np.union1d(changed_rows(columns), np.linspace(0, len(rows) - 1, STEP_ROWS).astype(np.int64))
    if len(rows) > ROWS_MAX:
        rows = rows[kept_rows([values[rows] for values in columns], ROWS_MAX)]
    drawn = [Series(each.name, each.values[rows], each.colour, each.shape) for each in panel.series]
    return panel.instants[rows], drawn


def _traces(series: Series, instants: Instants, panel: Panel, frame: _Frame) -> Iterator[go.Scatter]:
    """One line; two areas where a stacked series is both above and below zero."""
    style = {
        "name": series.name,
        "x": milliseconds(instants),
        "yaxis": frame.axis,
        "mode": "lines" if len(instants) > 1 else "markers",
        "hovertemplate": f"%{{y:{panel.value_format}}}",
        "legendgroup": series.name,
        "showlegend": True,
    }
    if series.shape is Shape.STACKED:
        yield from _areas(series, style, panel)
        return
    line = {"color": series.colour, "width": 1.5, "shape": "hv" if series.shape is Shape.STEP else "linear"}
    fill = "tozeroy" if series.shape is Shape.FILLED else "none"
    yield go.Scatter(y=series.values, line=line, fill=fill, fillcolor=faint(series.colour), **style)


def _areas(series: Series, style: Mapping[str, object], panel: Panel) -> Iterator[go.Scatter]:
    """What lies above zero and what lies below, each on its own stack; one of them tells the value to who points."""
    sides = {"gain": np.maximum(series.values, 0.0), "cost": np.minimum(series.values, 0.0)}
    drawn = {side: values for side, values in sides.items() if np.any(values)}
    told: dict[str, object] = {
        "customdata": series.values,
        "hovertemplate": f"%{{customdata:{panel.value_format}}}",
        "showlegend": True,
    }
    untold: dict[str, object] = {"hoverinfo": "skip", "hovertemplate": None, "showlegend": False}
    for number, (side, values) in enumerate(drawn.items()):
        yield go.Scatter(
            {**style, **(untold if number else told)},
            y=values,
            stackgroup=f"{side}{style['yaxis']}",
            line={"width": 0, "color": series.colour},
            fillcolor=softened(series.colour),
        )


def _strip(figure: go.Figure, strip: Strip, frame: _Frame, domain: list[float]) -> None:
    lanes = list(strip.lanes)
    for lane in lanes:
        marks, texts = _gathered([mark for mark in strip.marks if mark.lane == lane])
        figure.add_trace(
            go.Scatter(
                x=milliseconds(np.array([mark.instant for mark in marks])),
                y=[lanes.index(lane)] * len(marks),
                text=texts,
                yaxis=frame.axis,
                name=lane,
                mode="markers",
                marker={
                    "symbol": "line-ns",
                    "size": _LANE - 9,
                    "line": {"width": 1.5, "color": [WARNING if mark.is_fault else INK for mark in marks]},
                },
                hovertemplate="%{text}",
                showlegend=False,
            )
        )
    axis = {
        "domain": domain,
        "anchor": "x",
        "tickvals": list(range(len(lanes))),
        "ticktext": lanes,
        "ticklabelstandoff": 4,
        "range": [len(lanes) - 0.4, -0.6],
        "gridcolor": GRID,
        "zeroline": False,
        "fixedrange": True,
    }
    figure.update_layout({f"yaxis{frame.axis[1:]}": axis})


def _gathered(marks: Sequence[Mark]) -> tuple[list[Mark], list[str]]:
    """Marks to draw: all, or the first of each span of time with the number that it stands for; failures win."""
    if len(marks) <= MARKS_PER_LANE_MAX:
        return list(marks), [mark.text for mark in marks]
    seconds = np.array([mark.instant for mark in marks]).astype(np.int64)
    edges = np.linspace(seconds[0], seconds[-1] + 1, MARKS_PER_LANE_MAX + 1)
    spans = np.searchsorted(edges, seconds, side="right")
    first: dict[int, Mark] = {}
    for span, mark in zip(spans.tolist(), marks, strict=True):
        if span not in first or (mark.is_fault and not first[span].is_fault):
            first[span] = mark
    counts = dict(zip(*(each.tolist() for each in np.unique(spans, return_counts=True)), strict=True))
    texts = [
        mark.text if counts[span] == 1 else f"{mark.text} and {counts[span] - 1} more" for span, mark in first.items()
    ]
    return list(first.values()), texts


def milliseconds(instants: Instants) -> Column:
    """Instants as Plotly's date axis takes numbers: milliseconds since 1970, UTC."""
    numbers: Column = instants.astype("datetime64[ms]").astype(np.float64)
    return numbers


def _time_range(span: tuple[np.datetime64, np.datetime64]) -> list[float]:
    """First and last instant of the axis."""
    first, last = milliseconds(np.array(span)).tolist()
    room = max((last - first) * _TIME_ROOM, _TIME_ROOM_MIN)
    return [first - room, last + room]
