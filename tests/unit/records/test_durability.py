"""When the log reaches the disk: by time, by the policy of ``fsync``, and never silently into a directory that is gone.

Clocks and ``fsync`` are handed in. A run whose clock jumps writes its chunks early; not a byte differs.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dataflow.engine.backtest import Backtest, EngineOptions
from dataflow.engine.prepared import PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.journal.sequencer import Envelope
from dataflow.records import DomainEventLogger
from dataflow.records.audit.verification import verify
from dataflow.records.log.event_log import FLUSH_SECONDS
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.simulated.clock import SimulatedClock
from schemas.clock import Clock
from schemas.errors import LogDirectoryError, LogWriteError
from schemas.models.config_blocks import FsyncPolicy
from schemas.models.events import HealthStatusEvent
from tests.support.markets import violent_market
from tests.support.runs import CORRELATION_ID, PID, business_lines, prepared, read_lines

MODE = "btc_basis"


class Syncs:
    """Counts and, if told so, refuses."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.refuses = False

    def __call__(self, descriptor: int) -> None:
        """Note the file."""
        if self.refuses:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.files.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def health(order: int) -> HealthStatusEvent:
    return HealthStatusEvent(
        timestamp="2024-05-12T00:00:00",
        real_utc_time="2024-05-12T00:00:00",
        correlation_id="run1",
        pid=1,
        order=order,
        overall_status="healthy",
        component_statuses={},
        health_score=1.0,
    )


def logger_of(tmp_path: Path, fsync: FsyncPolicy, sync: Syncs, seconds: Seconds) -> DomainEventLogger:
    return DomainEventLogger(tmp_path, "run1", 1, fsync=fsync, sync=sync, monotonic=seconds)


def test_every_write_is_made_durable(tmp_path: Path) -> None:
    syncs = Syncs()
    logger = logger_of(tmp_path, "every", syncs, Seconds())
    for order in range(3):
        logger.log(health(order))
        logger.flush()
    assert syncs.files == ["health_status.jsonl"] * 3
    logger.flush()
    assert syncs.files == ["health_status.jsonl"] * 3, "nothing was written since"
    logger.close()
    assert syncs.files == [*["health_status.jsonl"] * 3, "events.chain"]


def test_an_interval_passes_between_two_syncs(tmp_path: Path) -> None:
    syncs, seconds = Syncs(), Seconds()
    logger = logger_of(tmp_path, "interval", syncs, seconds)
    for order, now in enumerate([0.0, 1.0, FLUSH_SECONDS, FLUSH_SECONDS + 1.0, 2 * FLUSH_SECONDS]):
        seconds.now = now
        logger.log(health(order))
        logger.flush()
    assert syncs.files == ["health_status.jsonl"] * 2
    logger.close()
    assert syncs.files == [*["health_status.jsonl"] * 2, "events.chain"]


def test_never_leaves_it_to_the_operating_system(tmp_path: Path) -> None:
    syncs = Syncs()
    with logger_of(tmp_path, "never", syncs, Seconds()) as logger:
        logger.log(health(0))
    assert syncs.files == []


def test_a_full_part_is_durable_before_the_next_is_begun(tmp_path: Path) -> None:
    syncs = Syncs()
    with DomainEventLogger(
        tmp_path, "run1", 1, part_bytes=600, fsync="interval", sync=syncs, monotonic=Seconds()
    ) as log:
        for order in range(7):
            log.log(health(order))
            log.flush()
    parts = sorted(path.name for path in (tmp_path / "events").glob("health_status*"))
    assert len(parts) > 2
    assert sorted(name for name in syncs.files if name.startswith("health")) == parts


def test_a_disk_that_does_not_keep_what_it_was_given_is_log_001(tmp_path: Path) -> None:
    syncs = Syncs()
    logger = logger_of(tmp_path, "every", syncs, Seconds())
    syncs.refuses = True
    with pytest.raises(LogWriteError):
        logger.log(health(0))


@pytest.mark.parametrize(
    "take_away",
    [
        pytest.param(lambda path: path.rename(path.with_name("elsewhere")), id="renamed"),
        pytest.param(lambda path: [file.unlink() for file in path.iterdir()], id="emptied"),
    ],
)
def test_a_directory_that_was_taken_away_is_log_003(tmp_path: Path, take_away: Callable[[Path], object]) -> None:
    logger = logger_of(tmp_path, "never", Syncs(), Seconds())
    logger.log(health(0))
    take_away(tmp_path / "events")
    logger.log(health(1))
    with pytest.raises(LogDirectoryError) as raised:
        logger.flush()
    assert Path(str(raised.value.context["path"])).parent == tmp_path / "events"


class Hasty(SimulatedClock):
    """A clock on which a flush is due whenever it is looked at."""

    def monotonic(self) -> float:
        """Seconds, more at each look."""
        self.waited += FLUSH_SECONDS
        return self.waited


def run_at(log_dir: Path, clock: Clock, written: list[int]) -> None:
    """A violent run in windows of 8 rows on a clock, everything that differs between two runs being fixed."""
    config = prepared(MODE).config
    backtest = Backtest(config, EngineOptions(window=8, clock=clock))

    def write(descriptor: int, data: bytes | memoryview) -> int:
        written.append(len(data))
        return os.write(descriptor, data)

    with DomainEventLogger(log_dir, CORRELATION_ID, PID, write=write) as log:
        envelope = Envelope(CORRELATION_ID, PID, lambda: "2024-05-12T00:00:00")
        request = RunRequest(config.initial_capital, 7, simulated_venues())
        PreparedBacktest(backtest, violent_market(MODE, 3, 60)).run(request, Recording(envelope, log))


def test_a_chunk_is_written_when_its_time_has_come_and_no_byte_differs(tmp_path: Path) -> None:
    still: list[int] = []
    hasty: list[int] = []
    run_at(tmp_path / "still", SimulatedClock(), still)
    run_at(tmp_path / "hasty", Hasty(), hasty)
    assert len(hasty) > len(still) + 10
    assert business_lines(read_lines(tmp_path / "still")) == business_lines(read_lines(tmp_path / "hasty"))
    assert verify(tmp_path / "hasty").faults == ()
