"""Every command that the page on running shows works, one after the other, in an empty directory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import DOCS, fences
from tests.docs.test_strategies import write_my_data

COMMANDS: Final = {
    page: [line for fence in fences(DOCS / page, "bash") if not fence.checks for line in fence.text.splitlines()]
    for page in ("running.md", "LOGGING_GUIDE.md")
}


def shell(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command], cwd=directory, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )


@pytest.mark.pages
@pytest.mark.parametrize("page", COMMANDS)
def test_the_commands_of_a_page_work_in_its_order(page: str, tmp_path: Path) -> None:
    write_my_data(tmp_path / "my_data")
    for command in COMMANDS[page]:
        done = shell(command, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if "--json" in command:
            assert json.loads(done.stdout)["scenarios"] == ["frictionless"]


@pytest.mark.parametrize(("command", "exit_code", "error_code"), [
    pytest.param("basis backtest no_such_mode", 2, "CONFIG-001", id="unknown-mode"),
    pytest.param("basis backtest btc_basis --set strategy_config.no_such_key=1", 2, "CONFIG-003", id="unknown-key"),
    pytest.param("basis backtest btc_basis --data no_such_directory", 1, "DATA-003", id="no-data"),
    pytest.param("basis runs show no_such_run", 1, "LOG-003", id="no-run"),
])  # fmt: skip
def test_a_failure_has_the_exit_code_and_the_code_of_the_page(
    command: str, exit_code: int, error_code: str, tmp_path: Path
) -> None:
    done = shell(command, tmp_path)
    assert done.returncode == exit_code
    assert done.stderr.splitlines()[-1].startswith(f"{error_code}: ")
    assert "Traceback" not in done.stderr
