"""Runs on the real history, made once a session through the function that the command line calls."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dataflow.app.backtest import BacktestRequest, CompletedRun, run_backtest

START, END = "2024-05-12T00:00Z", "2025-03-31T00:00Z"
"""The window of the table of expected results."""

RealRun = Callable[..., CompletedRun]


@pytest.fixture(scope="session")
def real_run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RealRun:
    """A function from mode and options of BacktestRequest to the completed run; the same options run once."""
    root = tmp_path_factory.mktemp("real")

    @cache
    def run(mode: str, **options: Any) -> CompletedRun:
        window = {"start": START, "end": END}
        return run_backtest(
            BacktestRequest(
                mode=mode, data=str(real_data), logs=root / "logs", results=root / "results", **{**window, **options}
            )
        )

    return run
