"""A run whose writer stops at its n-th write, for every n: with an end of the process, or with a full disk.

The market is violent, so that many decisions fall into one day; a chunk is 8 rows, and frames, which write nothing, are
not validated. The n-th write leaves half of its bytes. Claims, for every n:

- unwinding the stack writes nothing that is not whole: no torn tail, and the first lines of the whole run;
- a replay gives the state at the last complete operation (defined in ``test_killed_at_every_step``);
- a full disk is LOG-001, and the log stays what it was; one that has room again a moment later costs no line and
  repeats none, and the error itself is then on record.
"""

import errno
import os
from pathlib import Path

import pytest

import dataflow.engine.checked_columns
import dataflow.engine.chunk
from dataflow.market.market import Market
from dataflow.records.log.reading import torn_tails
from schemas.errors import ErrorCode, LogWriteError
from tests.crash.left_behind import Log, WholeRun, assert_prefix, assert_replays
from tests.crash.stopping import MODE, Stopped, Writer, run_with_writer
from tests.support.markets import violent_market

ROWS = 32


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataflow.engine.chunk, "CHUNK_ROWS", 8)
    monkeypatch.setattr(dataflow.engine.checked_columns, "validate_stage", lambda *_: None)
    monkeypatch.setattr(dataflow.engine.checked_columns, "validate_operations", lambda *_: None)


@pytest.fixture
def market() -> Market:
    """A violent day and a third."""
    return violent_market(MODE, 3, ROWS)


@pytest.fixture
def whole(market: Market, tmp_path: Path) -> tuple[WholeRun, int]:
    """The run that nobody stops, and how many writes it has."""
    writer = Writer(None, Stopped)
    run_with_writer(market, tmp_path / "whole", writer)
    run = WholeRun(Log(tmp_path / "whole"))
    assert len(run.log.records["operation_executions"]) > 10
    assert writer.calls > 40
    return run, writer.calls


def test_a_process_that_ends_at_the_nth_write_leaves_whole_lines(
    market: Market, whole: tuple[WholeRun, int], tmp_path: Path
) -> None:
    run, writes = whole
    reached = []
    for number in range(1, writes + 1):
        log_dir = tmp_path / f"stopped-{number}"
        with pytest.raises(Stopped):
            run_with_writer(market, log_dir, Writer(number, Stopped))
        log = Log(log_dir)
        assert torn_tails(log_dir) == []
        assert log.tails == set()
        assert_prefix(log, run.log, f"write {number}")
        assert_replays(log, run, f"write {number}")
        reached.append(log.report.complete_through)
    assert reached == sorted(reached)
    assert len(set(reached)) > 4


def test_a_disk_that_is_full_from_the_nth_write_on_is_log_001(
    market: Market, whole: tuple[WholeRun, int], tmp_path: Path
) -> None:
    run, writes = whole
    for number in range(1, writes + 1):
        log_dir = tmp_path / f"full-{number}"
        with pytest.raises(LogWriteError) as raised:
            run_with_writer(market, log_dir, Writer(number, full_disk))
        assert os.strerror(errno.ENOSPC) in raised.value.message
        log = Log(log_dir)
        assert log.tails == set()
        assert_prefix(log, run.log, f"write {number}")
        assert_replays(log, run, f"write {number}")


def test_a_disk_that_has_room_again_costs_no_line(market: Market, whole: tuple[WholeRun, int], tmp_path: Path) -> None:
    _, writes = whole
    for number in range(1, writes + 1):
        log_dir = tmp_path / f"again-{number}"
        with pytest.raises(LogWriteError):
            run_with_writer(market, log_dir, Writer(number, full_disk, recovers=True))
        log = Log(log_dir)
        report = log.report
        assert report.faults == (), number
        assert report.left_out == 0, number
        if number == writes:
            continue  # the seal of a log that is complete, which can say no more
        codes = [error["error_code"] for error in log.records["system_errors"]]
        assert codes.count(ErrorCode.LOG_WRITE_FAILED) == 1, number
        assert codes[-1] == ErrorCode.LOG_WRITE_FAILED, number
