"""Claim: ``basis graph`` draws the whole pruned graph of a mode, and its page needs nothing from the network.

The Graphviz text and the page are held against the engine's own graph, box by box and edge by edge.
"""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.reference import graph_page
from dataflow.reference.graph_view import BANDS, GraphView, graph_view, places
from tests.unit.cli.conftest import Basis


@pytest.fixture(scope="module", params=["btc_basis", "pure_lending_eth"])
def view(request: pytest.FixtureRequest) -> GraphView:
    return graph_view(load_run_config(request.param))


def test_every_node_of_the_engine_is_a_box_in_its_stage(view: GraphView) -> None:
    nodes = Backtest(load_run_config(view.mode).config).graph.nodes
    boxes = {box.name: box for box in view.boxes}
    for node in nodes:
        assert boxes[node.name].band == node.stage
        assert set(boxes[node.name].sources + boxes[node.name].parameters) == {name for _, name in node.arguments}


def test_no_two_boxes_share_a_place_and_each_lies_below_its_sources(view: GraphView) -> None:
    placed = places(view)
    bands = {box.name: box.band for box in view.boxes}
    for band in BANDS:
        rows: dict[int, list[float]] = {}
        for name, place in placed.items():
            if bands[name] == band:
                rows.setdefault(place.row, []).append(place.column)
        for columns in rows.values():
            assert all(right - left >= 1.0 for left, right in pairwise(sorted(columns)))
    for source, reader in view.edges():
        if bands[source] == bands[reader]:
            assert placed[source].row < placed[reader].row


def test_dot_names_every_box_and_edge(view: GraphView) -> None:
    text = graph_page.dot_text(view)
    assert all(f'"{box.name}" [label="{box.name}' in text for box in view.boxes)
    assert text.count(" -> ") == len(view.edges())
    assert text.count("subgraph") == len({box.band for box in view.boxes})


def test_page_is_self_contained_and_holds_every_box(view: GraphView) -> None:
    page = graph_page.html_page(view)
    assert re.search(r"""(src|href)\s*=|url\((?!#)|@import|https?://""", page) is None
    assert page.count('class="edge"') == len(view.edges())
    facts = re.search(r'<script type="application/json" id="boxes">(.*?)</script>', page, re.DOTALL)
    assert facts is not None
    assert set(json.loads(facts[1])) == {box.name for box in view.boxes}


def test_graph_writes_both_files(basis: Basis, tmp_path: Path) -> None:
    answer = basis("graph", "btc_basis", "--out", tmp_path / "deep" / "g.dot", "--json")
    assert answer.exit_code == 0
    assert answer.json()["files"] == [str(tmp_path / "deep" / "g.dot"), str(tmp_path / "deep" / "g.html")]


def test_picture_without_graphviz_names_the_apt_line(
    basis: Basis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    answer = basis("graph", "btc_basis", "--out", tmp_path / "g.svg")
    assert answer.exit_code == 1
    assert graph_page.APT_LINE in answer.error_line
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".dot", ".html"]


def test_picture_with_graphviz_is_asked_of_dot(basis: Basis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "dot"
    fake.write_text('#!/bin/sh\necho "$1" > "$4"\n')
    fake.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _: str(fake))
    assert basis("graph", "btc_basis", "--out", tmp_path / "g.png").exit_code == 0
    assert (tmp_path / "g.png").read_text() == "-Tpng\n"


def test_unknown_suffix_is_refused(basis: Basis, tmp_path: Path) -> None:
    answer = basis("graph", "btc_basis", "--out", tmp_path / "g.pdf")
    assert answer.exit_code == 2
    assert answer.error_line.startswith("CONFIG-003")
