"""What a mode file says of its logs is done: which component records are written, and how large a file grows."""

from pathlib import Path

import pytest

from dataflow.journal.component_logs import WRITERS
from dataflow.records.log.append_file import BYTES_PER_MB, part_paths
from dataflow.records.log.log_directory import component_log_name
from tests.unit.cli.conftest import Basis


def logs_of(basis: Basis, data_set: Path, place: Path, *settings: str) -> Path:
    """The log directory of a short run with settings of its own."""
    chosen = [part for setting in settings for part in ("--set", f"event_logger.{setting}")]
    run = ("backtest", "btc_basis", "--data", data_set, "--start", "2024-01-10", "--end", "2024-01-31T23:00")
    answer = basis(*run, *chosen, "--results", place / "results", "--logs", place / "logs", "--json")
    assert answer.exit_code == 0, answer
    return Path(str(answer.json()["log_dir"]))


def sizes(logs: Path) -> dict[str, int]:
    """Component to the bytes of its log."""
    return {name: (logs / component_log_name(name)).stat().st_size for name in WRITERS}


@pytest.mark.parametrize(
    ("setting", "silent"),
    [
        pytest.param("log_level=INFO", (), id="every-record"),
        pytest.param("log_level=ERROR", WRITERS, id="errors-only"),
        pytest.param("filters=[PositionMonitor, RiskMonitor]", ("PositionMonitor", "RiskMonitor"), id="two-dropped"),
    ],
)
def test_component_logs_hold_what_the_mode_asks_for(
    setting: str, silent: tuple[str, ...], basis: Basis, data_set: Path, tmp_path: Path
) -> None:
    assert {name for name, size in sizes(logs_of(basis, data_set, tmp_path, setting)).items() if not size} == set(
        silent
    )


def test_a_full_file_is_followed_by_the_next_at_the_size_that_the_mode_names(
    basis: Basis, data_set: Path, tmp_path: Path
) -> None:
    logs = logs_of(basis, data_set, tmp_path, "log_retention_policy.max_file_size_mb=1")
    parts = part_paths(logs / "events" / "positions.jsonl")
    assert all(part.stat().st_size <= BYTES_PER_MB for part in parts)
    whole = sum(part.stat().st_size for part in parts)
    assert len(parts) == -(-whole // BYTES_PER_MB)
