"""``basis backtest`` on a disk that takes no more: a limit on the size of a file, and a small file system.

Claims: one line with LOG-001 and exit code 1; the log parses and replays to the last complete operation; no results
directory; the run is listed as failed with its code. The writer that raises ENOSPC at every single write is in
``test_stopped_in_process``, and here once through the whole of ``run_backtest``.
"""

import errno
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataflow.market.synthetic.data_set import write_synthetic
from dataflow.records.store.results import RunEntry, list_results
from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.errors import ErrorCode, LogWriteError
from schemas.models.results import RunStatus
from tests.crash.left_behind import Log, WholeRun, assert_component_logs_parse, assert_replays, log_directories
from tests.crash.stopping import Writer
from tests.crash.test_killed_from_outside import PATIENCE_SECONDS, ROOT, program
from tests.support.marks import all_but_first

KILOBYTE = 1_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty synthetic days."""
    return write_synthetic(tmp_path_factory.mktemp("data") / "set", days=40)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """The run on a disk with room."""
    place = tmp_path_factory.mktemp("whole")
    subprocess.run(program(data, place), cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    (log_dir,) = log_directories(place / "logs")
    return WholeRun(Log(log_dir))


@pytest.fixture
def small_file_system(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a file system of so many bytes; the test is skipped where that is not allowed."""
    place, mounted = tmp_path / "small", False
    place.mkdir()

    def mount(size: int) -> Path:
        nonlocal mounted
        if shutil.which("mount") is None:
            pytest.skip("there is no mount command here")
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
        mounted = True
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def assert_failed(place: Path, whole: WholeRun) -> RunEntry:
    """Demand a log that is sound and a run that is listed as failed by LOG-001."""
    (log_dir,) = log_directories(place / "logs")
    assert_component_logs_parse(log_dir, "full disk")
    assert_replays(Log(log_dir), whole, "full disk")
    (entry,) = list_results(place / "results")
    assert (entry.status, entry.manifest.error_code) == (RunStatus.FAILED, ErrorCode.LOG_WRITE_FAILED)
    assert [path.name for path in (place / "results").iterdir()] == [f".{entry.run_id}.failed.json"]
    return entry


def assert_one_line(done: subprocess.CompletedProcess[str]) -> None:
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{ErrorCode.LOG_WRITE_FAILED.value}: ")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("kilobytes", all_but_first("crash", [25, 200]))
def test_a_limit_on_the_size_of_a_file_is_log_001(kilobytes: int, data: Path, whole: WholeRun, tmp_path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * KILOBYTE, kilobytes * KILOBYTE))

    done = subprocess.run(
        program(data, tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
        timeout=PATIENCE_SECONDS,
    )
    assert_one_line(done)
    assert_failed(tmp_path, whole)


@pytest.mark.crash
@pytest.mark.parametrize("kilobytes", [400, 3_000])
def test_a_full_file_system_is_log_001(
    kilobytes: int, data: Path, whole: WholeRun, small_file_system: Callable[[int], Path]
) -> None:
    place = small_file_system(kilobytes * KILOBYTE)
    done = subprocess.run(
        program(data, place), cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert_one_line(done)
    assert_failed(place, whole)


def test_a_writer_that_raises_is_log_001(data: Path, whole: WholeRun, tmp_path: Path) -> None:
    def full() -> OSError:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    request = BacktestRequest(
        mode="btc_basis", data=str(data), logs=tmp_path / "logs", results=tmp_path / "results", window=100
    )
    with pytest.raises(LogWriteError):
        run_backtest(request, write=Writer(50, full))
    entry = assert_failed(tmp_path, whole)
    assert os.strerror(errno.ENOSPC) in (entry.manifest.error_message or "")
