"""The command line in process, forty synthetic days, and one finished run that every reading command looks at."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from dataflow.cli.main import app
from dataflow.market.synthetic.data_set import write_synthetic

Json = dict[str, object]


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    exit_code: int
    out: str
    err: str

    def json(self) -> Json:
        """The one JSON object on standard output."""
        return cast(Json, json.loads(self.out))

    @property
    def error_line(self) -> str:
        """The only line on standard error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


Basis = Callable[..., Answer]


@dataclass(frozen=True)
class FinishedRun:
    """A run on three synthetic days."""

    summary: Json
    results: Path
    logs: Path

    @property
    def run_id(self) -> str:
        return str(self.summary["run_id"])

    @property
    def places(self) -> tuple[str, ...]:
        """The options that name where the run is."""
        return ("--results", str(self.results), "--logs", str(self.logs))


def _basis(*arguments: object) -> Answer:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def basis() -> Basis:
    """Run ``basis`` in this process."""
    return _basis


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty synthetic days from 2024-01-01."""
    return write_synthetic(tmp_path_factory.mktemp("data") / "set", days=40)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, data_set: Path) -> FinishedRun:
    """btc_basis over three days, and pure_lending_usdt in the same directories."""
    place = tmp_path_factory.mktemp("finished")
    results, logs = place / "results", place / "logs"
    answers = [
        _basis(
            *("backtest", mode, "--data", data_set, "--start", "2024-01-10", "--end", "2024-01-13"),
            *("--results", results, "--logs", logs, "--json"),
        )
        for mode in ("pure_lending_usdt", "btc_basis")
    ]
    assert [answer.exit_code for answer in answers] == [0, 0], answers
    return FinishedRun(answers[1].json(), results, logs)
