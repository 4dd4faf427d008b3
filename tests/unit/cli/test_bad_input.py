"""Claim: bad input gets one line with its code, what and where; exit code 1 or 2; no results; logs that still parse.

Wrong words and broken data are tried in process; a full disk (a limit on the size of files), Ctrl-C and the one-line
form itself in real processes. ``--debug``, and only it, shows the traceback.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import dataflow.services.backtest
from dataflow.market.synthetic.data_set import write_synthetic
from schemas.errors import ErrorCode
from tests.unit.cli.conftest import Answer, Basis

SPOT = "spot_ohlcv_binance_btcusdt_1h"
LENDING = "aave_v3_usdt_rates_1d"
BACKWARDS = ("--start", "2024-02-01", "--end", "2024-01-01")
TYPO = ("--set", "strategy_config.funding_entre=0")
WINDOW = ("--start", "2024-01-10", "--end", "2024-01-13")

Change = Callable[[pd.DataFrame], pd.DataFrame]


def _assert_left_clean(place: Path) -> None:
    """No results under a final name, and every line of every log parses."""
    results = place / "results"
    if results.is_dir():
        assert [path.name for path in results.iterdir() if not path.name.startswith(".")] == []
        assert list(results.glob("*.partial")) + list(results.glob(".*.partial")) == []
    for log in (place / "logs").rglob("*"):
        if log.suffix in (".jsonl", ".log"):
            for line in log.read_text().splitlines():
                json.loads(line)


def _assert_one_line(answer: Answer, code: str, exit_code: int, *facts: str) -> None:
    assert answer.exit_code == exit_code, answer
    assert answer.error_line.startswith(f"{code}: ")
    assert "Traceback" not in answer.err
    for fact in facts:
        assert fact in answer.error_line


@pytest.fixture
def try_backtest(basis: Basis, tmp_path: Path) -> Callable[..., Answer]:
    """Run a backtest that must fail, with its results and logs below the test's directory."""

    def run(*arguments: object) -> Answer:
        answer = basis("backtest", *arguments, "--results", tmp_path / "results", "--logs", tmp_path / "logs")
        _assert_left_clean(tmp_path)
        return answer

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "facts"),
    [
        pytest.param(("btc_bassis",), "CONFIG-001", ("did you mean", "btc_basis"), id="unknown-mode"),
        pytest.param(("btc_basis", *BACKWARDS), "CONFIG-003", ("--start", "--end"), id="date-order"),
        pytest.param(("btc_basis", "--start", "yesterday"), "CONFIG-003", ("--start", "yesterday"), id="no-date"),
        pytest.param(("btc_basis", *TYPO), "CONFIG-003", ("funding_entre",), id="config-typo"),
        pytest.param(("btc_basis", "--scenario", "frictionles"), "CONFIG-003", ("frictionles",), id="unknown-scenario"),
        pytest.param(("btc_basis", "--capital", "-5"), "CONFIG-003", ("--capital",), id="negative-capital"),
        pytest.param(("btc_basis", "--capital", "nan"), "CONFIG-003", ("--capital",), id="capital-no-number"),
        pytest.param(("btc_basis", "--window", "0"), "CONFIG-003", ("--window",), id="window-zero"),
        pytest.param(("btc_basis", "--executor", "fast"), "CONFIG-003", ("--executor", "plan"), id="unknown-executor"),
        pytest.param(("btc_basis", "--wat"), "CONFIG-003", ("--wat", "basis backtest --help"), id="unknown-option"),
        pytest.param((), "CONFIG-003", ("MODE",), id="no-mode"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_line_and_exit_code_2(
    try_backtest: Callable[..., Answer], data_set: Path, arguments: tuple[str, ...], code: str, facts: tuple[str, ...]
) -> None:
    _assert_one_line(try_backtest(*arguments, "--data", data_set), code, 2, *facts)


def test_unknown_command_is_one_line(basis: Basis) -> None:
    _assert_one_line(basis("backtets"), "CONFIG-003", 2, "backtest")
    _assert_one_line(basis("runs", "lst"), "CONFIG-003", 2, "list")


def test_window_that_the_data_does_not_cover(try_backtest: Callable[..., Answer], data_set: Path) -> None:
    answer = try_backtest("btc_basis", "--data", data_set, "--start", "2030-01-01", "--end", "2030-02-01")
    _assert_one_line(answer, "DATA-004", 1, "2030-01-01")


def test_data_set_that_is_not_there(try_backtest: Callable[..., Answer], tmp_path: Path) -> None:
    _assert_one_line(try_backtest("btc_basis", "--data", tmp_path / "none"), "DATA-003", 1, "none")


def _value(column: str, row: int, value: float) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = value
        return frame

    return change


def _misnamed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"open": "opne"})


def _doubled(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame[:251], frame[250:]])


def _swapped(frame: pd.DataFrame) -> pd.DataFrame:
    order = list(range(len(frame)))
    order[250], order[251] = order[251], order[250]
    return frame.iloc[order]


@pytest.mark.parametrize(
    ("mode", "series", "change", "fact"),
    [
        pytest.param("btc_basis", SPOT, lambda frame: frame.drop(columns="open"), "open", id="missing-column"),
        pytest.param("btc_basis", SPOT, _misnamed, "opne", id="misnamed-column"),
        pytest.param("btc_basis", SPOT, _value("open", 250, float("nan")), "open", id="nan-price"),
        pytest.param("btc_basis", SPOT, _value("open", 250, -1.0), "-1", id="negative-price"),
        pytest.param("pure_lending_usdt", LENDING, _value("liquidity_index", 12, 1.0), "index", id="decreasing-index"),
        pytest.param("btc_basis", SPOT, _doubled, "2024-01-11T10", id="duplicate-timestamp"),
        pytest.param("btc_basis", SPOT, _swapped, "2024-01-11T1", id="unsorted-timestamps"),
    ],
)  # fmt: skip
def test_broken_data_is_refused_with_series_and_place(
    try_backtest: Callable[..., Answer],
    basis: Basis,
    data_set: Path,
    tmp_path: Path,
    mode: str,
    series: str,
    change: Change,
    fact: str,
) -> None:
    broken = Path(shutil.copytree(data_set, tmp_path / "data"))
    path = broken / f"{series}.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    answer = try_backtest(mode, "--data", broken, *WINDOW)
    assert answer.error_line[:5] == "DATA-"
    _assert_one_line(answer, answer.error_line[:8], 1, series, fact)
    assert basis("data", "check", broken, "--mode", mode).exit_code == 1


def test_results_that_cannot_be_written(try_backtest: Callable[..., Answer], data_set: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file is in the way")
    _assert_one_line(try_backtest("btc_basis", "--data", data_set, *WINDOW), "LOG-003", 1, str(tmp_path / "results"))


def test_logs_that_cannot_be_written(try_backtest: Callable[..., Answer], data_set: Path, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    _assert_one_line(try_backtest("btc_basis", "--data", data_set, *WINDOW), "LOG-003", 1, "--logs")


def test_run_that_is_not_there(basis: Basis, tmp_path: Path) -> None:
    for command in (("runs", "show"), ("events",), ("replay",), ("export",)):
        answer = basis(*command, "nothing", "--results", tmp_path, "--logs", tmp_path)
        _assert_one_line(answer, "LOG-003", 1, "nothing")


def test_failure_with_json_is_one_object_with_the_code(basis: Basis) -> None:
    for arguments in (("backtest", "btc_bassis", "--json"), ("config", "show", "nothing", "--json")):
        answer = basis(*arguments)
        error = answer.json()["error"]
        assert isinstance(error, dict)
        assert error["code"] == ErrorCode.CONFIG_MODE_INVALID.value
    assert list(basis("backtest", "--json").json()) == ["error"]


def test_traceback_is_shown_only_with_debug(basis: Basis) -> None:
    assert "Traceback" not in basis("backtest", "btc_bassis").err
    for arguments in (("backtest", "btc_bassis", "--debug"), ("--debug", "backtest", "btc_bassis")):
        answer = basis(*arguments)
        assert answer.exit_code == 2
        assert "Traceback" in answer.err


def test_what_nobody_expected_is_one_line(
    basis: Basis, data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(dataflow.services.backtest, "load_run_market", broken)
    answer = basis("backtest", "btc_basis", "--data", data_set, "--results", tmp_path / "r", "--logs", tmp_path / "l")
    _assert_one_line(answer, "ENGINE-004", 1, "RuntimeError", "--debug")


def test_interrupt_before_the_run_is_one_line(
    basis: Basis, data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataflow.services.backtest, "load_run_market", interrupted)
    answer = basis("backtest", "btc_basis", "--data", data_set, "--results", tmp_path / "r", "--logs", tmp_path / "l")
    _assert_one_line(answer, "ENGINE-004", 1, "interrupted")


def _program(data_set: Path, place: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "dataflow.cli.main", "backtest", "btc_basis", "--data", str(data_set)),
        *("--results", str(place / "results"), "--logs", str(place / "logs"), *options),
    ]


def test_full_disk_while_writing(data_set: Path, tmp_path: Path) -> None:
    def no_file_above_100_kb() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        _program(data_set, tmp_path), capture_output=True, text=True, preexec_fn=no_file_above_100_kb, check=False
    )
    _assert_one_line(Answer(done.returncode, done.stdout, done.stderr), "LOG-001", 1, "free space")
    _assert_whole_lines(tmp_path)


def test_ctrl_c_in_the_middle(tmp_path: Path) -> None:
    data = write_synthetic(
        tmp_path / "data", days=200
    )  # so many rows that a busy machine is not done before the signal
    program = _program(data, tmp_path, "--executor", "hamilton", "--window", "1")
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        _wait_for(lambda: list((tmp_path / "results").glob(".*.partial")))
        time.sleep(0.3)
        os.kill(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=20)
    _assert_one_line(Answer(running.returncode, out, err), "ENGINE-004", 1, "interrupted")
    _assert_left_clean(tmp_path)


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "the run did not begin"
        time.sleep(0.02)


def _assert_whole_lines(place: Path) -> None:
    """No results; the logs parse but for the line that the disk cut, which reading reports as torn."""
    from dataflow.records.log.reading import read_events
    from schemas.models.events import EVENT_TYPES

    assert [path for path in (place / "results").iterdir() if not path.name.startswith(".")] == []
    (log_dir,) = (place / "logs").glob("*/*")
    for event_class in EVENT_TYPES:
        for _ in read_events(log_dir, event_class):
            pass
