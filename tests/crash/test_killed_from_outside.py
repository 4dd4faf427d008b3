"""``basis backtest`` in a process of its own, stopped by SIGKILL at three moments, by SIGINT and SIGTERM in the middle.

The run has forty days in chunks of 100 rows (``tests.crash.small_chunks``), and the signal comes when the files say
that the moment is there. Claims: the log parses up to a reported torn tail; a replay gives the state at the last
complete operation (defined in ``test_killed_at_every_step``), which the same run left alone also had; no results
directory is half there; a killed run is listed as crashed, an interrupted one says so in one line, exit code 1.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dataflow.market.synthetic.data_set import write_synthetic
from dataflow.records.log.reading import torn_tails
from dataflow.records.store.results import list_results
from schemas.errors import ErrorCode
from schemas.models.results import RunStatus
from tests.crash.left_behind import (
    Log,
    Tail,
    WholeRun,
    assert_component_logs_parse,
    assert_prefix,
    assert_replays,
    log_directories,
)
from tests.support.marks import all_but_first

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 180.0

Moment = Callable[[Path], object]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty synthetic days."""
    return write_synthetic(tmp_path_factory.mktemp("data") / "set", days=40)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """The run that nobody stops."""
    place = tmp_path_factory.mktemp("whole")
    subprocess.run(program(data, place), cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    (log_dir,) = log_directories(place / "logs")
    return WholeRun(Log(log_dir))


def program(data: Path, place: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "tests.crash.small_chunks", "backtest", "btc_basis", "--data", str(data)),
        *("--logs", str(place / "logs"), "--results", str(place / "results"), "--no-progress"),
        *("--window", "100"),
    ]


def stopped(data: Path, place: Path, moment: Moment, with_signal: signal.Signals) -> tuple[int, str]:
    """Run until a moment, send the signal, and give exit code and error output."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    running = subprocess.Popen(
        program(data, place), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with running:
        while not moment(place):
            if running.poll() is not None or time.monotonic() > deadline:
                running.kill()
                pytest.fail(f"the moment did not come: {running.communicate()}")
            time.sleep(0.001)
        running.send_signal(with_signal)
        _, said = running.communicate(timeout=PATIENCE_SECONDS)
    return running.returncode, said


def results_are_begun(place: Path) -> bool:
    return any((place / "results").glob(".*.partial/manifest.json"))


def some_chunks_are_written(place: Path) -> bool:
    return any(path.stat().st_size > 150_000 for path in (place / "logs").glob("*/*/events/positions.jsonl"))


def results_are_being_completed(place: Path) -> bool:
    return any((place / "results").glob(".*.partial/summary.json"))


def assert_log_is_sound(place: Path, whole: WholeRun, moment: Moment) -> None:
    said = getattr(moment, "__name__", "")
    (log_dir,) = log_directories(place / "logs")
    log = Log(log_dir)
    assert {Tail(tail.file.name, tail.byte_offset) for tail in torn_tails(log_dir)} == log.tails
    assert_component_logs_parse(log_dir, said)
    assert_prefix(log, whole.log, said)
    assert_replays(log, whole, said)
    if moment is some_chunks_are_written:
        assert 0 < log.report.complete_through < whole.last_order


MOMENTS: tuple[Moment, ...] = (some_chunks_are_written, results_are_begun, results_are_being_completed)


@pytest.mark.parametrize("moment", all_but_first("crash", MOMENTS))
def test_a_killed_run_is_crashed_and_its_log_is_sound(
    moment: Moment, data: Path, whole: WholeRun, tmp_path: Path
) -> None:
    code, _ = stopped(data, tmp_path, moment, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert_log_is_sound(tmp_path, whole, moment)
    (entry,) = list_results(tmp_path / "results")
    assert entry.status is RunStatus.CRASHED
    assert [path.name for path in (tmp_path / "results").iterdir()] == [f".{entry.run_id}.crashed.json"]


@pytest.mark.parametrize("stop", all_but_first("crash", [signal.SIGTERM, signal.SIGINT]))
def test_a_stop_in_the_middle_is_one_line_and_no_results(
    stop: signal.Signals, data: Path, whole: WholeRun, tmp_path: Path
) -> None:
    code, said = stopped(data, tmp_path, some_chunks_are_written, stop)
    assert code == 1
    (line,) = said.splitlines()
    assert line.startswith(f"{ErrorCode.ENGINE_CRITICAL.value}: interrupted")
    (log_dir,) = log_directories(tmp_path / "logs")
    assert torn_tails(log_dir) == []
    report = Log(log_dir).report
    assert (report.faults, report.left_out) == ((), 0)
    assert_component_logs_parse(log_dir, "interrupted")
    (entry,) = list_results(tmp_path / "results")
    assert (entry.status, entry.manifest.error_code) == (RunStatus.FAILED, ErrorCode.ENGINE_CRITICAL)
    assert [path.name for path in (tmp_path / "results").iterdir()] == [f".{entry.run_id}.failed.json"]
