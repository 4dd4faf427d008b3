"""Fixtures of the golden tests, and the replay times in the summary of a run."""

from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from tests.golden.vectors import FILE_NAME, REPLAY_SECONDS, Json, read_vectors


@pytest.fixture(scope="session")
def vectors(golden_dir: Path) -> Json:
    """The vector file of ``BASIS_GOLDEN_DIR`` (default ``../shared/golden``)."""
    return read_vectors(golden_dir / FILE_NAME)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print how long each scenario took to replay."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    times = [
        (report.nodeid.rpartition("[")[2].rstrip("]"), *value)
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == REPLAY_SECONDS
    ]
    for scenario, steps, seconds in sorted(times):
        terminalreporter.write_line(f"golden replay {scenario}: {steps} steps in {seconds:.3f} s")
