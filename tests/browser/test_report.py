"""Reports in a real browser: everything is drawn, nothing is asked of any network, the console stays silent.

Renews two pictures in ``docs/images``. Run by ``make browser``.
"""

import base64
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from dataflow.records.report.pages import write_report
from dataflow.services.backtest import BacktestRequest, run_backtest
from tests.browser.conftest import PICTURES
from tests.support.runs import results_dir_of

pytestmark = pytest.mark.browser

MODES = ("btc_basis", "eth_leveraged", "usdt_market_neutral", "ml_btc_directional_usdt_margin")
DRAWN_SECONDS = 60.0
LAPTOP = 1366
PAPER = 718
"""Pixels between the margins of a sheet of A4."""

WIDTHS = "return [...document.querySelectorAll('.chart')].map((each) => each._fullLayout.width)"

UNDRAWN = "return [...document.querySelectorAll('.chart')].filter((each) => !each.querySelector('.main-svg')).length"
RANGES = (
    "return [...document.querySelectorAll('.chart')].map((each) => each.layout.xaxis)"
    ".filter((axis) => axis.type === 'date').map((axis) => axis.range.map((end) => new Date(end).getTime()))"
)

ReportOf = Callable[[str], str]


@pytest.fixture(scope="module")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> ReportOf:
    """Mode to the address of the report of a year of it."""
    place = tmp_path_factory.mktemp("reports")

    @cache
    def address(mode: str) -> str:
        request = BacktestRequest(mode=mode, end="2024-12-31T23:00", logs=place / "logs", results=place / "results")
        html, _ = write_report(results_dir_of(run_backtest(request)))
        return html.as_uri()

    return address


def opened(browser: webdriver.Chrome, address: str) -> None:
    """Show a report and wait until each chart is drawn; what was logged before is forgotten."""
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        logged(browser, kind)
    browser.get(address)
    until = time.monotonic() + DRAWN_SECONDS
    while browser.execute_script(UNDRAWN) and time.monotonic() < until:
        time.sleep(0.2)
    assert browser.execute_script(UNDRAWN) == 0


def logged(browser: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """What was logged since the last look."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]  # Selenium leaves it untyped
    return entries


def requested(browser: webdriver.Chrome) -> list[str]:
    """Addresses that the page asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    return [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]


def picture(browser: webdriver.Chrome, name: str, first: str, last: str) -> None:
    """Keep a part of the page, from the top of one element to the bottom of another, at the width of a laptop."""
    top, bottom = (browser.find_element(By.CSS_SELECTOR, each).rect for each in (first, last))
    clip = {"x": 0, "y": top["y"], "width": LAPTOP, "height": bottom["y"] + bottom["height"] - top["y"], "scale": 1}
    shot: dict[str, Any] = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
    )
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / name).write_bytes(base64.b64decode(shot["data"]))


@pytest.mark.parametrize("mode", MODES)
def test_a_report_is_drawn_in_silence_and_from_itself_alone(
    mode: str, report_of: ReportOf, browser: webdriver.Chrome
) -> None:
    address = report_of(mode)
    browser.set_window_size(LAPTOP, 900)
    opened(browser, address)
    assert browser.find_element(By.TAG_NAME, "h1").text == mode
    assert logged(browser, "browser") == []
    assert [url for url in requested(browser) if not url.startswith("data:")] == [address]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= LAPTOP


def test_all_charts_of_time_follow_the_one_that_is_zoomed(report_of: ReportOf, browser: webdriver.Chrome) -> None:
    opened(browser, report_of("btc_basis"))
    zoomed = ["2024-03-01", "2024-04-01"]
    browser.execute_script("Plotly.relayout('chart-equity', {'xaxis.range': arguments[0]})", zoomed)
    time.sleep(1.0)
    ranges = browser.execute_script(RANGES)
    assert len(ranges) > 3
    assert len({tuple(each) for each in ranges}) == 1


def test_charts_shrink_to_the_paper_and_grow_back(report_of: ReportOf, browser: webdriver.Chrome) -> None:
    browser.set_window_size(LAPTOP, 900)
    opened(browser, report_of("eth_leveraged"))
    on_screen = browser.execute_script(WIDTHS)
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert max(browser.execute_script(WIDTHS)) <= PAPER
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    time.sleep(1.0)
    assert browser.execute_script(WIDTHS) == on_screen


def test_pointing_at_a_stack_shows_the_parts_as_they_are(report_of: ReportOf, browser: webdriver.Chrome) -> None:
    opened(browser, report_of("usdt_market_neutral"))
    chart = browser.find_element(By.ID, "chart-attribution")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    ActionChains(browser).move_to_element(chart).perform()
    time.sleep(1.0)
    shown = dict(
        label.text.split(" : ") for label in chart.find_elements(By.CSS_SELECTOR, ".hoverlayer .traces") if label.text
    )
    values = {name: float(value.replace(",", "").replace("\N{MINUS SIGN}", "-")) for name, value in shown.items()}
    total = values.pop("total P&L")
    assert len(values) > 5
    assert sum(values.values()) == pytest.approx(total, abs=0.01 * len(values))


def test_the_pictures_of_the_documentation_are_renewed(report_of: ReportOf, browser: webdriver.Chrome) -> None:
    browser.set_window_size(LAPTOP, 900)
    opened(browser, report_of("usdt_market_neutral"))
    picture(browser, "report_attribution.png", "#attribution", "#chart-attribution")
    opened(browser, report_of("btc_basis"))
    picture(browser, "report_equity.png", "header", "#equity")
    for name in ("report_attribution.png", "report_equity.png"):
        assert (PICTURES / name).stat().st_size < 300_000
