"""The look that all figures share: font, paper, margins, and how strong a colour is where it fills an area."""

from typing import Final

from dataflow.records.report.charts import GRID, INK

LEFT, RIGHT, TOP, BOTTOM = 84, 16, 8, 34
"""Pixels around the panels of a figure."""

_FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

_SOFT, _FAINT = 0.72, 0.14
"""Strength of a colour in stacked areas and bars, and of what is filled under a line."""


def layout(height: int) -> dict[str, object]:
    """What every figure sets, with its height in pixels."""
    return {
        "height": height,
        "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        "font": {"family": _FONT, "size": 12, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hoverlabel": {"bgcolor": "white", "bordercolor": GRID, "font": {"size": 12, "color": INK}, "namelength": -1},
        "showlegend": True,
    }


def softened(colour: str) -> str:
    """A colour mixed with white, so that a line upon it is seen; opaque, so that the grid under it is not."""
    mixed = (round(_SOFT * part + (1.0 - _SOFT) * 255.0) for part in _channels(colour))
    return "rgb({},{},{})".format(*mixed)


def faint(colour: str) -> str:
    """A colour that one sees through."""
    return "rgba({},{},{},{})".format(*_channels(colour), _FAINT)


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue
