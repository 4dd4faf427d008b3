"""Horizontal bars as a Plotly figure: the waterfall of the P&L, and the costs."""

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from dataflow.records.report.charts import GRID, INK, QUIET, Bar, BarChart
from dataflow.records.report.style import BOTTOM, TOP, layout, softened

_BAR: Final = 30
"""Pixels a bar."""

_TEXT_ROOM: Final = 0.42
"""Share of the axis kept for what is written beside the bars."""


def bars_figure(chart: BarChart) -> go.Figure:
    """The bars of a chart, first on top, each with its text at its right end."""
    bars: Sequence[Bar] = chart.bars
    figure = go.Figure(layout=layout(_BAR * len(bars) + TOP + BOTTOM))
    figure.add_trace(
        go.Bar(
            orientation="h",
            y=list(range(len(bars))),
            x=[bar.length for bar in bars],
            base=[bar.start for bar in bars],
            marker={"color": [softened(bar.colour) for bar in bars], "line": {"width": 0}},
            text=[bar.text for bar in bars],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
            width=0.66,
            showlegend=False,
        )
    )
    ends = [(min(bar.start, bar.start + bar.length), max(bar.start, bar.start + bar.length)) for bar in bars]
    low, high = min(0.0, *(end[0] for end in ends)), max(0.0, *(end[1] for end in ends))
    room = (high - low) * _TEXT_ROOM
    for number, (bar, (_, right)) in enumerate(zip(bars, ends, strict=True)):
        figure.add_annotation(
            text=bar.text, x=right, y=number, xanchor="left", xshift=6, showarrow=False, font={"size": 11, "color": INK}
        )
    figure.update_layout(
        xaxis={
            "range": [low - (high - low) * 0.02, high + room],
            "tickformat": ",.6~f",
            "gridcolor": GRID,
            "zeroline": True,
            "zerolinecolor": QUIET,
            "nticks": 8,
            "fixedrange": True,
        },
        yaxis={
            "tickvals": list(range(len(bars))),
            "ticktext": [bar.name for bar in bars],
            "ticklabelstandoff": 6,
            "range": [len(bars) - 0.4, -0.6],
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
    )
    return figure
