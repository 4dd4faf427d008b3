"""Runs on the real history, made once a session through the function that the command line calls."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dataflow.services.backtest import BacktestRequest, CompletedRun, run_backtest
from tests.support.modes import MODES

START, END = "2024-05-12T00:00Z", "2025-03-31T00:00Z"
"""The window of the table of expected results."""

ML_MODES = tuple(mode for mode, spec in MODES.items() if spec.features["directional"])
HOURLY_MODES = tuple(mode for mode in MODES if mode not in ML_MODES)
"""The eight modes that the table of expected results lists."""

RealRun = Callable[..., CompletedRun]


def _runs(root: Path, defaults: Mapping[str, object]) -> RealRun:
    """A function from mode and options of BacktestRequest to the completed run; the same options run once."""

    @cache
    def run(mode: str, **options: Any) -> CompletedRun:
        chosen = {**defaults, **options}
        return run_backtest(
            BacktestRequest.model_validate({"mode": mode, "logs": root / "logs", "results": root / "results", **chosen})
        )

    return run


@pytest.fixture(scope="session")
def real_run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RealRun:
    """Runs on the real history, in the window of the table unless told otherwise."""
    defaults = {"data": str(real_data), "start": START, "end": END}
    return _runs(tmp_path_factory.mktemp("real"), defaults)


@pytest.fixture(scope="session")
def synthetic_run(tmp_path_factory: pytest.TempPathFactory) -> RealRun:
    """Runs on the synthetic default."""
    return _runs(tmp_path_factory.mktemp("synthetic"), {})
