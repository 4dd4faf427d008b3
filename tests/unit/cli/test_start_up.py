"""Claim: the command line answers at once and teaches.

Help loads no heavy library (a subprocess lists its modules); every command shows an example; what options offer is
what the engine takes.
"""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer

from dataflow.cli.commands.backtest import ExecutorChoice, ValidationChoice
from dataflow.cli.main import app
from dataflow.engine.backtest import ExecutorName, Validation

HEAVY = ("pandas", "hamilton", "dagster", "pyarrow", "pandera", "pydantic", "numpy")


def _commands() -> dict[str, typer.core.TyperCommand]:
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    found: dict[str, typer.core.TyperCommand] = {}
    for name, command in root.commands.items():
        nested = command.commands if isinstance(command, typer.core.TyperGroup) else {"": command}
        for sub_name, sub_command in nested.items():
            assert isinstance(sub_command, typer.core.TyperCommand)
            found[f"{name} {sub_name}".strip()] = sub_command
    return found


COMMANDS = _commands()


def test_help_imports_no_heavy_library() -> None:
    program = (
        "import sys\nfrom dataflow.cli.main import main\nsys.argv = ['basis', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_a_backtest_does_not_load_what_only_the_report_needs(data_set: Path, tmp_path: Path) -> None:
    run = ["backtest", "pure_lending_usdt", "--data", data_set, "--end", "2024-01-02"]
    places = ["--results", tmp_path / "results", "--logs", tmp_path / "logs"]
    program = (
        "import sys\nfrom dataflow.cli.main import main\n"
        f"sys.argv = ['basis', *{[str(each) for each in (*run, *places)]!r}]\n"
        "try:\n    main()\nexcept SystemExit as done:\n    print('EXIT', done.code)\n"
        "print('LOADED', [name for name in ('plotly', 'jinja2', 'narwhals') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["EXIT 0", "LOADED []"]


def test_the_installed_program_shows_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dataflow.cli.main", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("basis 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name: str) -> None:
    command = COMMANDS[name]
    assert command.help is not None
    assert f"Example:  basis {name}" in command.help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_debug_and_explained_parameters(name: str) -> None:
    params = {param.name: param for param in COMMANDS[name].params}
    assert "as_json" in params
    assert "debug" in params
    assert [key for key, param in params.items() if not getattr(param, "help", None)] == []


@pytest.mark.parametrize(
    "name", ["backtest", "events", "trace", "replay", "export", "runs list", "runs show", "runs compare", "runs prune"]
)
def test_commands_that_read_or_write_runs_take_results_and_logs(name: str) -> None:
    options = {option for param in COMMANDS[name].params for option in param.opts}
    assert {"--results", "--logs"} <= options


def test_choices_are_those_of_the_engine() -> None:
    assert get_args(ExecutorChoice) == get_args(ExecutorName)
    assert get_args(ValidationChoice) == get_args(Validation)


def test_options_of_backtest_cover_the_request() -> None:
    from dataflow.services.backtest import BacktestRequest

    given = {param.name for param in COMMANDS["backtest"].params}
    spelled = {"scenarios": "scenario", "overrides": "set_", "validation": "validate"}
    assert {spelled.get(field, field) for field in BacktestRequest.model_fields} <= given
