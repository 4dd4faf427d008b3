"""Claim: the report of a run says what the run recorded, all of it that applies, and needs nothing but itself."""

import base64
import json
import shutil
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dataflow.records.report.activity import LIMIT_LANE, costs_of, decision_strip, operation_strip
from dataflow.records.report.charts import BarChart, Panel, TimeChart
from dataflow.records.report.drawing import figure_json
from dataflow.records.report.holdings import exposure_chart
from dataflow.records.report.pages import html_page, markdown_page, write_report
from dataflow.records.report.performance import attribution_chart, equity_chart, month_grid, waterfall
from dataflow.records.report.risk import limits_of
from dataflow.records.report.run_files import RunFiles
from dataflow.records.report.sections import sections
from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.errors import ErrorCode, LogDirectoryError, LogSerialisationError, LogWriteError, PlatformError
from tests.support.runs import results_dir_of
from tests.unit.records.report.conftest import FinishedMode

MODES = ("pure_lending_usdt", "btc_basis", "eth_leveraged", "usdt_market_neutral", "ml_btc_directional_btc_margin")
YEAR_BYTES_MAX = 8_000_000

APPLIES = {
    "pure_lending_usdt": {"rates": ["Yearly rate"]},
    "btc_basis": {
        "risk": ["Margin ratio by exchange"],
        "funding": [
            "Funding rate per settlement, bps",
            "Funding a year",
            "Funding received by exchange since the start, USDT",
        ],
    },
    "eth_leveraged": {
        "risk": ["Health factor", "Loan to value"],
        "rates": ["Yearly rate", "Staking token: market over oracle price"],
    },
    "usdt_market_neutral": {
        "risk": ["Health factor", "Loan to value", "Margin ratio by exchange"],
        "funding": ["Funding rate per settlement, bps", "Funding received by exchange since the start, USDT"],
        "rates": ["Yearly rate", "Staking token: market over oracle price"],
    },
    "ml_btc_directional_btc_margin": {
        "risk": ["Margin ratio by exchange"],
        "funding": ["Funding rate per settlement, bps", "Funding received by exchange since the start, BTC"],
    },
}
"""Charts that only some modes have, with their panels."""


class Page(HTMLParser):
    """What a browser would fetch, the anchors, and the script that holds the figures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self._script = ""
        self.figures = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        self._script = given.get("id", "") if tag == "script" else ""
        self.sources += [given[name] for name in ("src", "srcset", "data", "action", "poster") if name in given]
        self.links += [given["href"]] if "href" in given else []

    def handle_data(self, data: str) -> None:
        if self._script == "figures":
            self.figures += data


def charts_of(run: RunFiles) -> dict[str, TimeChart | BarChart]:
    items = [item for section in sections(run) for item in section.items]
    return {item.name: item for item in items if isinstance(item, TimeChart | BarChart)}


def decoded(array: object) -> np.ndarray:
    """An array of a figure."""
    assert isinstance(array, dict)
    return np.frombuffer(base64.b64decode(array["bdata"]), dtype=array["dtype"])


@pytest.mark.parametrize("mode", MODES)
def test_charts_are_those_that_apply_to_the_mode(mode: str, results_of: FinishedMode) -> None:
    charts = charts_of(RunFiles(results_of(mode)))
    always = {"equity", "waterfall", "attribution", "exposure", "positions", "costs"}
    assert charts.keys() == always | APPLIES[mode].keys()
    for name, titles in APPLIES[mode].items():
        chart = charts[name]
        assert isinstance(chart, TimeChart)
        assert [panel.title for panel in chart.panels] == titles


@pytest.fixture(scope="module")
def html_of(results_of: FinishedMode) -> Callable[[str], str]:
    """Mode to its page."""
    return cache(lambda mode: html_page(RunFiles(results_of(mode))))


@pytest.mark.parametrize("mode", MODES)
def test_the_page_fetches_nothing_and_its_links_stay_on_it(
    mode: str, results_of: FinishedMode, html_of: Callable[[str], str]
) -> None:
    run, page = RunFiles(results_of(mode)), Page(html_of(mode))
    assert page.sources == []
    assert all(link.startswith(("#", "data:,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.anchors
    assert {f"chart-{name}" for name in charts_of(run)} <= page.anchors
    assert json.loads(page.figures).keys() == charts_of(run).keys()


@pytest.mark.parametrize("mode", MODES)
def test_both_pages_show_the_numbers_of_the_summary_and_where_they_came_from(
    mode: str, results_of: FinishedMode, html_of: Callable[[str], str]
) -> None:
    run = RunFiles(results_of(mode))
    summary, manifest = run.summary, run.manifest
    for text in (html_of(mode), markdown_page(run)):
        assert f"{summary.total_return:.4%}" in text
        assert all(name in text for name in summary.pnl_attribution)
        assert "Synthetic data" in text
        for fact in (manifest.config_digest, manifest.data_digest, manifest.code_version, *run.data.coverage):
            assert fact in text
        assert run.config.mode.thesis[:20] in text


def test_real_data_is_not_called_synthetic(results_of: FinishedMode, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(results_of("pure_lending_usdt"), copy)
    (copy / "summary.json").write_text(
        (copy / "summary.json").read_text().replace('"synthetic": true', '"synthetic": false')
    )
    run = RunFiles(copy)
    assert "never happened" not in html_page(run)
    assert "never happened" not in markdown_page(run)


@pytest.mark.parametrize("mode", MODES)
def test_the_waterfall_leads_from_nothing_to_the_total(mode: str, results_of: FinishedMode) -> None:
    run = RunFiles(results_of(mode))
    *parts, total = waterfall(run).bars
    assert parts[0].start == 0.0
    for before, after in pairwise(parts):
        assert after.start == before.start + before.length
    assert total.length == run.summary.total_pnl_share_class
    assert parts[-1].start + parts[-1].length == pytest.approx(total.length, abs=1e-9 * run.summary.initial_capital)


@pytest.mark.parametrize("mode", MODES)
def test_the_parts_over_time_add_up_to_the_total_on_every_row(mode: str, results_of: FinishedMode) -> None:
    run = RunFiles(results_of(mode))
    (panel,) = attribution_chart(run).panels
    assert isinstance(panel, Panel)
    *parts, total = panel.series
    summed = np.sum([part.values for part in parts], axis=0)
    np.testing.assert_allclose(summed, total.values, rtol=0.0, atol=1e-9 * run.summary.initial_capital)


@pytest.mark.parametrize("mode", [*MODES, "eth_staking_only"])
def test_the_places_add_up_to_the_equity_on_every_row(mode: str, results_of: FinishedMode) -> None:
    run = RunFiles(results_of(mode, rewards="base_eigen" if mode == "eth_staking_only" else ""))
    by_place = exposure_chart(run).panels[0]
    assert isinstance(by_place, Panel)
    *places, equity = by_place.series
    summed = np.sum([place.values for place in places], axis=0)
    np.testing.assert_allclose(summed, equity.values, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("mode", MODES)
def test_the_months_multiply_to_the_total_return(mode: str, results_of: FinishedMode) -> None:
    run = RunFiles(results_of(mode))
    grid = month_grid(run)
    assert np.prod([1.0 + grid.year(year) for year in grid.years]) - 1.0 == pytest.approx(
        run.summary.total_return, abs=1e-12
    )
    (row,) = grid.table().rows
    assert len(row) == len(grid.table().header) == 14


@pytest.mark.parametrize("mode", MODES)
def test_costs_are_the_fees_that_the_engine_counted_and_the_rest_of_the_part(
    mode: str, results_of: FinishedMode
) -> None:
    run = RunFiles(results_of(mode))
    costs = costs_of(run)
    assert sum(each.operations for each in costs.by_operation) == run.summary.orders - run.summary.operations_failed
    assert costs.total == pytest.approx(-run.summary.pnl_attribution["transaction_costs"], rel=1e-12)
    fees = sum(each.fees for each in costs.by_operation)
    assert fees == pytest.approx(run.summary.total_fees, rel=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_decisions_and_operations_are_marked_once_each(mode: str, results_of: FinishedMode) -> None:
    run = RunFiles(results_of(mode))
    lanes = [mark.lane for mark in decision_strip(run).marks]
    decisions = {kind.value.replace("_", " "): count for kind, count in run.summary.decisions.items() if kind != "hold"}
    assert {lane: lanes.count(lane) for lane in lanes if lane != LIMIT_LANE} == decisions
    assert lanes.count(LIMIT_LANE) == run.summary.errors_by_code.get(ErrorCode.RISK_LIMIT_BREACHED, 0)
    assert len(operation_strip(run).marks) == run.summary.event_counts["operation_executions"]


def test_a_limit_that_was_crossed_is_said(results_of: FinishedMode) -> None:
    run = RunFiles(results_of("ml_btc_directional_btc_margin"))
    limits = {limit.name: limit for limit in limits_of(run)}
    assert limits["drawdown"].worst == run.summary.max_drawdown
    worst_margin, after_trading = limits["margin ratio, liquidation"].worst, run.summary.min_margin_ratio
    assert worst_margin is not None
    assert after_trading is not None
    assert worst_margin <= after_trading
    for limit in limits.values():
        assert limit.worst is not None
        expected = limit.worst >= limit.limit if limit.is_floor else limit.worst <= limit.limit
        assert limit.is_kept is expected
        assert limit.row()[-1] == ("kept" if expected else "crossed")


def test_a_limit_that_trading_restored_within_the_row_counts_as_crossed(results_of: FinishedMode) -> None:
    run = RunFiles(results_of("usdt_market_neutral", scenario="price_gap_up_80pct"))
    first = run.summary.first_break
    assert first is not None
    assert first.what == "cex_margin_ratio"
    limits = {limit.name: limit for limit in limits_of(run)}
    assert limits["margin ratio, reduce"].worst == pytest.approx(first.value, rel=1e-9)
    assert limits["margin ratio, reduce"].is_kept is False
    assert limits["margin ratio, liquidation"].is_kept is True
    page = markdown_page(run)
    assert first.sentence() in page
    assert all(shock in page for shock in run.summary.shocks)


def test_an_event_log_that_says_less_of_quiet_rows_shows_the_same(results_of: FinishedMode) -> None:
    loud = RunFiles(results_of("usdt_market_neutral"))
    terse = RunFiles(results_of("usdt_market_neutral", detail="operations"))
    assert len(list(terse.events("risk_assessments"))) < len(list(loud.events("risk_assessments")))
    assert decision_strip(terse) == decision_strip(loud)
    assert operation_strip(terse) == operation_strip(loud)
    assert costs_of(terse) == costs_of(loud)
    assert [limit.row() for limit in limits_of(terse)] == [limit.row() for limit in limits_of(loud)]


@pytest.mark.parametrize(("mode", "asked", "absent"), [
    pytest.param("usdt_market_neutral", ("frictionless", None), {"costs"}, id="nothing-costs"),
    pytest.param("eth_leveraged", ("", "2024-01-01"), {"rates"}, id="one-row"),
    pytest.param("btc_basis", ("", "2024-01-01T02:00"), {"risk", "costs"}, id="nothing-traded"),
])  # fmt: skip
def test_what_did_not_happen_is_left_out(
    mode: str, asked: tuple[str, str | None], absent: set[str], results_of: FinishedMode
) -> None:
    scenario, end = asked
    run = RunFiles(results_of(mode, scenario=scenario, end=end))
    charts = charts_of(run).keys()
    assert charts == {"equity", "waterfall", "attribution", "exposure", "positions", "costs", *APPLIES[mode]} - absent
    assert json.loads(Page(html_page(run)).figures).keys() == charts


def test_the_drawing_keeps_the_extremes_of_a_long_series(results_of: FinishedMode) -> None:
    run = RunFiles(results_of("ml_btc_directional_btc_margin"))
    assert len(run.instants) > 5_000
    figure = figure_json(equity_chart(run, decision_strip(run)), (run.instants[0], run.instants[-1]))
    traces = figure["data"]
    assert isinstance(traces, list)
    drawn, recorded = decoded(traces[0]["y"]), run.column("equity_share_class")
    assert len(drawn) < len(recorded) / 2
    assert (drawn[0], drawn[-1]) == (recorded[0], recorded[-1])
    assert (drawn.min(), drawn.max()) == (recorded.min(), recorded.max())
    first = decoded(traces[0]["x"])[0]
    assert np.datetime64(int(first), "ms") == run.instants[0]


def test_a_year_of_hours_stays_within_its_budget(tmp_path: Path) -> None:
    request = BacktestRequest(
        mode="usdt_market_neutral", end="2024-12-31T23:00", logs=tmp_path / "logs", results=tmp_path / "results"
    )
    html, markdown = write_report(results_dir_of(run_backtest(request)))
    assert len(Page(html.read_text()).figures) > 1_000_000
    assert html.stat().st_size <= YEAR_BYTES_MAX
    assert markdown.stat().st_size <= 100_000


@pytest.mark.parametrize(("file", "content", "error"), [
    pytest.param("config.json", None, LogDirectoryError, id="no-configuration"),
    pytest.param("data.json", b'{"name": 1}', LogDirectoryError, id="damaged-data"),
    pytest.param("pnl.parquet", b"PAR1", LogSerialisationError, id="damaged-stage"),
    pytest.param("exposure.parquet", None, LogDirectoryError, id="no-stage"),
])  # fmt: skip
def test_a_directory_that_lacks_something_is_named_and_nothing_is_written(
    file: str, content: bytes | None, error: type[PlatformError], results_of: FinishedMode, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(results_of("pure_lending_usdt"), copy)
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)
    with pytest.raises(error) as raised:
        write_report(copy)
    assert set(raised.value.context.values()) & {str(copy), str(copy / file)}
    assert list(copy.glob("*report*")) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_report_that_was_there(results_of: FinishedMode, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(results_of("pure_lending_usdt"), copy)
    (copy / "report.md").write_text("the one before")
    (copy / ".report.md.unfinished").symlink_to("/dev/full")
    with pytest.raises(LogWriteError):
        write_report(copy, ("md",))
    assert (copy / "report.md").read_text() == "the one before"
    assert not (copy / ".report.md.unfinished").is_symlink()
