"""Finished runs of modes that differ in what they hold, each made when a test first asks for it."""

from functools import cache
from pathlib import Path
from typing import Protocol

import pytest

from dataflow.market.synthetic.data_set import write_synthetic
from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.models.results import EventDetail
from tests.support.runs import results_dir_of


class FinishedMode(Protocol):
    """Mode, and what else is asked of the run, to its results directory."""

    def __call__(
        self,
        mode: str,
        *,
        scenario: str = "",
        end: str | None = None,
        rewards: str = "",
        detail: EventDetail = "every-step",
    ) -> Path:
        """Run it, unless it was run before."""


DAYS = 24


@pytest.fixture(scope="session")
def results_of(tmp_path_factory: pytest.TempPathFactory) -> FinishedMode:
    """Runs over synthetic days that no test may change."""
    place = tmp_path_factory.mktemp("reported")
    data = write_synthetic(place / "set", days=DAYS)

    @cache
    def run(
        mode: str,
        *,
        scenario: str = "",
        end: str | None = None,
        rewards: str = "",
        detail: EventDetail = "every-step",
    ) -> Path:
        request = BacktestRequest(
            mode=mode,
            data=str(data),
            end=end,
            events=detail,
            overrides=(f"rewards_mode={rewards}",) if rewards else (),
            scenarios=(scenario,) if scenario else (),
            logs=place / "logs",
            results=place / "results",
        )
        return results_dir_of(run_backtest(request))

    return run
