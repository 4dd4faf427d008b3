"""A mode's graph as files: Graphviz text, a self-contained page, and pictures where Graphviz is installed."""

import html
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Final

from dataflow.reference.graph_view import BANDS, BOXES_PER_ROW, DATA_BAND, STATE_BAND, Box, GraphView, Place, places
from schemas.errors import DataSourceUnavailableError, LogWriteError

APT_LINE: Final = "sudo apt-get install graphviz"
PICTURE_SUFFIXES: Final = (".svg", ".png")
TEXT_SUFFIXES: Final = (".dot", ".html")

_TEMPLATE: Final = Path(__file__).with_name("graph_page.html")

_BOX_WIDTH: Final = 190
_BOX_HEIGHT: Final = 40
_COLUMN_PITCH: Final = 214
_ROW_PITCH: Final = 72
_BAND_LEFT: Final = 148
_BAND_PADDING: Final = 22
_BAND_GAP: Final = 30
_MARGIN: Final = 16
_BEND_MAX: Final = 90
_LONGEST_NAME: Final = 27
"""Characters that fit into a box."""

_TITLES: Final[Mapping[str, str]] = {DATA_BAND: "market data", STATE_BAND: "carried state"}


def write_graph(view: GraphView, out: Path) -> tuple[Path, ...]:
    """Write ``.dot`` and ``.html`` beside ``out``, and the picture that its suffix asks for; return the files.

    Raises LogWriteError (LOG-001) when the disk refuses, and, with the two text files written,
    DataSourceUnavailableError (DATA-003) when a picture is asked for and Graphviz is not installed.
    """
    dot, page = out.with_suffix(".dot"), out.with_suffix(".html")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        dot.write_text(dot_text(view), encoding="utf-8")
        page.write_text(html_page(view), encoding="utf-8")
    except OSError as error:
        raise LogWriteError(
            f"cannot write the graph: {error.strerror}; choose a writable place with --out", path=str(out)
        ) from error
    if out.suffix in PICTURE_SUFFIXES:
        _draw(dot, out)
        return dot, page, out
    return dot, page


def _draw(dot: Path, picture: Path) -> None:
    program = shutil.which("dot")
    if program is None:
        raise DataSourceUnavailableError(
            f"{picture.name} needs Graphviz: {APT_LINE}; {dot} and {dot.with_suffix('.html')} are written"
        )
    command = [program, f"-T{picture.suffix[1:]}", str(dot), "-o", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed program, no shell
    if done.returncode != 0:
        raise LogWriteError(f"Graphviz refused {dot.name}: {done.stderr.strip()}; look at the .html", path=str(picture))


def dot_text(view: GraphView) -> str:
    """Return the graph in Graphviz's language: a cluster a stage, names and units in the boxes, docs as tooltips."""
    return "\n".join(_dot_lines(view)) + "\n"


def _dot_lines(view: GraphView) -> Iterator[str]:
    yield f"digraph {_quoted(view.mode)} {{"
    yield '  rankdir=LR; nodesep=0.2; ranksep=0.6; fontname="Helvetica";'
    yield '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="Helvetica", fontsize=10];'
    yield '  edge [color="#8a94a6", arrowsize=0.6];'
    for band in BANDS:
        boxes = [box for box in view.boxes if box.band == band]
        if boxes:
            yield f"  subgraph {_quoted(f'cluster_{band}')} {{"
            yield f'    label={_quoted(_title(band))}; style="rounded,filled"; color="#c5ccd8"; fillcolor="#f3f5f9";'
            yield from (f"    {_dot_box(box)}" for box in boxes)
            yield "  }"
    yield from (f"  {_quoted(source)} -> {_quoted(reader)};" for source, reader in view.edges())
    yield "}"


def _dot_box(box: Box) -> str:
    label = _quoted(f"{box.name}\n{box.unit}" if box.unit else box.name)
    return f"{_quoted(box.name)} [label={label}, tooltip={_quoted(box.summary)}];"


def _quoted(text: str) -> str:
    r"""Quote a text for Graphviz.

    >>> print(_quoted('say "a"\n'))
    "say \"a\"\n"
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _title(band: str) -> str:
    return _TITLES.get(band, band)


def html_page(view: GraphView) -> str:
    """Return the graph as one page that needs nothing else: a drawing, and the facts of a box when it is pointed at."""
    drawing, width, height = _drawing(view)
    facts = {
        box.name: {
            "band": _title(box.band),
            "unit": box.unit,
            "documentation": box.documentation,
            "module": box.module,
            "sources": box.sources,
            "parameters": box.parameters,
        }
        for box in view.boxes
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        mode=html.escape(view.mode),
        description=html.escape(view.description),
        counts=f"{sum(1 for box in view.boxes if box.module)} nodes, {len(view.edges())} edges",
        width=width,
        height=height,
        drawing=drawing,
        facts=json.dumps(facts, ensure_ascii=False).replace("</", "<\\/"),
    )


def _drawing(view: GraphView) -> tuple[str, int, int]:
    """Return the SVG's content, its width and its height."""
    placed = places(view)
    tops, height = _tops(view, placed)
    width = _BAND_LEFT + BOXES_PER_ROW * _COLUMN_PITCH + _MARGIN
    corners = {
        box.name: (
            _BAND_LEFT + round(placed[box.name].column * _COLUMN_PITCH),
            tops[box.band][0] + _BAND_PADDING + placed[box.name].row * _ROW_PITCH,
        )
        for box in view.boxes
    }
    parts = [
        *_bands(tops, width),
        *(_edge(source, reader, corners) for source, reader in view.edges()),
        *(_box(box, *corners[box.name]) for box in view.boxes),
    ]
    return "\n".join(parts), width, height


def _tops(view: GraphView, placed: Mapping[str, Place]) -> tuple[dict[str, tuple[int, int]], int]:
    """Return top and height of every band in use, and the height of all."""
    tops: dict[str, tuple[int, int]] = {}
    top = _MARGIN
    for band in BANDS:
        rows = [placed[box.name].row for box in view.boxes if box.band == band]
        if rows:
            height = max(rows) * _ROW_PITCH + _BOX_HEIGHT + 2 * _BAND_PADDING
            tops[band] = (top, height)
            top += height + _BAND_GAP
    return tops, top - _BAND_GAP + _MARGIN


def _bands(tops: Mapping[str, tuple[int, int]], width: int) -> Iterable[str]:
    for band, (top, height) in tops.items():
        yield (
            f'<g class="band {band}">'
            f'<rect x="{_MARGIN}" y="{top}" width="{width - 2 * _MARGIN}" height="{height}" rx="12"/>'
            f'<text x="{_MARGIN + 14}" y="{top + 27}">{html.escape(_title(band))}</text></g>'
        )


def _edge(source: str, reader: str, corners: Mapping[str, tuple[int, int]]) -> str:
    (x1, y1), (x2, y2) = corners[source], corners[reader]
    down = 1 if y2 > y1 else -1
    start = (x1 + _BOX_WIDTH // 2, y1 + (_BOX_HEIGHT if down > 0 else 0))
    end = (x2 + _BOX_WIDTH // 2, y2 + (0 if down > 0 else _BOX_HEIGHT))
    bend = down * min(_BEND_MAX, abs(end[1] - start[1]) // 2)
    curve = f"M{start[0]},{start[1]} C{start[0]},{start[1] + bend} {end[0]},{end[1] - bend} {end[0]},{end[1]}"
    return f'<path class="edge" data-from="{html.escape(source)}" data-to="{html.escape(reader)}" d="{curve}"/>'


def _box(box: Box, x: int, y: int) -> str:
    name = html.escape(box.name if len(box.name) <= _LONGEST_NAME else f"{box.name[: _LONGEST_NAME - 1]}…")
    line = y + (17 if box.unit else 25)
    unit = f'<text class="unit" x="{x + 12}" y="{y + 32}">{html.escape(box.unit)}</text>' if box.unit else ""
    return (
        f'<g class="box {box.band}" tabindex="0" data-name="{html.escape(box.name)}">'
        f"<title>{html.escape(box.summary)}</title>"
        f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="7"/>'
        f'<text x="{x + 12}" y="{line}">{name}</text>{unit}</g>'
    )
