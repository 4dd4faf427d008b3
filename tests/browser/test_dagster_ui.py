"""The Dagster UI in a real browser: the lineage shows the stages of a mode, a month runs green, its checks are listed.

Starts what ``make ui`` starts, on a free port and an empty home, launches one month of ``btc_basis`` through the run
queue, and looks at the pages with headless Chromium. Renews two pictures in ``docs/images``. Run by ``make browser``;
needs Debian's packages chromium and chromium-driver, and the extra ``browser``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from dagster_project.checks import check_specs
from dagster_project.definitions import job_name
from dagster_project.partitions import Months
from dataflow.graph.build import STAGES
from tests.browser.conftest import PICTURES

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
MODE, MONTH = "btc_basis", "2024-01"
LOCATION = "dagster_project.definitions"
START_SECONDS, RUN_SECONDS, PAGE_SECONDS = 180.0, 180.0, 60.0
LAUNCH = """mutation($parameters: ExecutionParams!) { launchRun(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@dataclass(frozen=True)
class Ui:
    """A running Dagster and a run of one month that has ended."""

    address: str
    run_id: str
    run_status: str


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(address: str, query: str, variables: dict[str, object]) -> dict[str, Any]:
    """Ask Dagster's GraphQL."""
    request = urllib.request.Request(  # noqa: S310  # our own server
        f"{address}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PAGE_SECONDS) as answer:  # noqa: S310  # our own server
        data: dict[str, Any] = json.load(answer)["data"]
    return data


def wait_until_up(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the server answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=5):  # noqa: S310  # our own server
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(1)
    pytest.fail(f"Dagster did not come up:\n{log.read_text(encoding='utf-8')[-3000:]}")


def run_month(address: str, home: Path) -> tuple[str, str]:
    """Launch one month through the queue and wait for its end; its id and status."""
    config = {"logs": str(home / "logs"), "results": str(home / "results")}
    parameters = {
        "selector": {"repositoryName": "__repository__", "repositoryLocationName": LOCATION, "jobName": job_name(MODE)},
        "runConfigData": {"ops": {MODE: {"config": config}}},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": MONTH}]},
    }
    launched = post(address, LAUNCH, {"parameters": parameters})["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id, status = str(launched["run"]["runId"]), "QUEUED"
    until = time.monotonic() + RUN_SECONDS
    while status not in ("SUCCESS", "FAILURE", "CANCELED") and time.monotonic() < until:
        time.sleep(1)
        status = str(post(address, STATUS, {"id": run_id})["runOrError"]["status"])
    return run_id, status


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End what was started, and all that it started: ask first."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """Dagster as a user starts it, with one month materialised."""
    home = tmp_path_factory.mktemp("dagster_home")
    port, log = free_port(), home / "dev.log"
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_project.ui", "-h", "127.0.0.1", "-p", str(port)],
            cwd=ROOT,
            env={**os.environ, "DAGSTER_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_up(address, process, log)
        yield Ui(address, *run_month(address, home))
    finally:
        stop(process)


def shows(browser: webdriver.Chrome, texts: list[str]) -> list[str]:
    """Wait for texts on the page; those that do not appear."""

    def missing(chrome: webdriver.Chrome) -> list[str]:
        page = chrome.find_element(By.TAG_NAME, "body").text
        return [text for text in texts if text not in page]

    until = time.monotonic() + PAGE_SECONDS
    while (left := missing(browser)) and time.monotonic() < until:
        time.sleep(0.5)
    return left


def picture(browser: webdriver.Chrome, name: str) -> None:
    """Keep what the page shows, once it has stopped moving."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    before, seen = b"", browser.get_screenshot_as_png()
    until = time.monotonic() + PAGE_SECONDS
    while seen != before and time.monotonic() < until:
        time.sleep(1)
        before, seen = seen, browser.get_screenshot_as_png()
    (PICTURES / name).write_bytes(seen)


def test_the_lineage_shows_the_stages_of_the_mode(ui: Ui, browser: webdriver.Chrome) -> None:
    browser.get(f"{ui.address}/asset-groups~key%3A%22{MODE}%2F*%22")
    groups = [f"{MODE}_{name}" for name in (*STAGES, "records")]
    assert not shows(browser, groups)
    boxes = WebDriverWait(browser, PAGE_SECONDS).until(lambda chrome: chrome.find_elements(By.CSS_SELECTOR, "svg"))
    assert boxes
    picture(browser, "dagster_lineage.png")


def test_the_materialised_run_is_green(ui: Ui, browser: webdriver.Chrome) -> None:
    assert ui.run_status == "SUCCESS"
    browser.get(f"{ui.address}/runs/{ui.run_id}")
    assert not shows(browser, ["Success", f"partition: {MONTH}", "RUN_SUCCESS", "Errored (0)", "Succeeded (1)"])
    picture(browser, "dagster_run.png")


def test_the_checks_are_listed_and_passed(ui: Ui, browser: webdriver.Chrome) -> None:
    names = [spec.name for spec in check_specs(MODE, Months().definition()) if spec.asset_key.path[-1] == "results"]
    browser.get(f"{ui.address}/assets/{MODE}/results?view=checks")
    assert not shows(browser, [f"Checks ({len(names)})", *names])
    assert browser.find_element(By.TAG_NAME, "body").text.count("Succeeded") >= len(names)
