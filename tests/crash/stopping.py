"""A short run in this process whose writer stops: for good, as a process that dies, or with an error of the disk."""

import os
from collections.abc import Callable
from pathlib import Path

from dataflow.engine.prepared import PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.market.market import Market
from dataflow.records.log.append_file import Write
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.services.simulated_venues import simulated_venues
from tests.support.runs import CORRELATION_ID, PID, prepared

MODE = "btc_basis"


class Stopped(BaseException):
    """The end of the process, as far as the engine can see it."""


class Writer:
    """``os.write`` up to the n-th call, which writes half of its bytes and fails; then nothing, or all again."""

    def __init__(self, failing: int | None, failure: Callable[[], BaseException], *, recovers: bool = False) -> None:
        self.calls = 0
        self._failing, self._failure, self._recovers = failing, failure, recovers

    def __call__(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write, or fail."""
        self.calls += 1
        if self._failing is None or self.calls < self._failing or (self._recovers and self.calls > self._failing):
            return os.write(descriptor, data)
        if self.calls == self._failing:
            os.write(descriptor, data[: len(data) // 2])
        raise self._failure()


def run_with_writer(market: Market, log_dir: Path, write: Write) -> None:
    """Run the mode over a market, the event log going through ``write``."""
    backtest = prepared(MODE, window=8)
    with DomainEventLogger(log_dir, CORRELATION_ID, PID, write=write) as log:
        request = RunRequest(backtest.config.initial_capital, 7, simulated_venues())
        PreparedBacktest(backtest, market).run(request, Recording.into(log))
