"""The file of ``--flows``: every fault at once, before the first row; and a run with deposits and withdrawals."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.services.flows_file import FlowsFile, read_flows
from schemas.errors import ConfigValidationError
from schemas.flows import DueFlow, FlowKind
from tests.support.markets import quiet_market
from tests.unit.cli.conftest import Basis

MARKET = quiet_market("pure_lending_usdt", 100)
FIRST = int(MARKET.instants[MARKET.first_row].astype("int64"))
HEADER = "timestamp,amount,speed\n"


def read(path: Path, text: str, *, is_first: bool = True, is_final: bool = True) -> FlowsFile:
    path.write_text(text, encoding="utf-8")
    return read_flows(path, MARKET, 3_600, is_first=is_first, is_final=is_final)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flows.csv"


def test_lines_become_what_is_due_at_each_row(file: Path) -> None:
    text = HEADER + "2024-01-05T00:30Z,-10,fast\n2024-01-04T10:00:00,20,\n2024-01-04T11:00:00+01:00,5.5,\n"
    assert read(file, text).due == (
        DueFlow(FIRST + 9 * 3_600, FlowKind.DEPOSIT, 25.5),
        DueFlow(FIRST + 24 * 3_600, FlowKind.FAST_WITHDRAWAL, 10.0),
    )


def test_the_speed_may_be_left_out(file: Path) -> None:
    (due,) = read(file, "amount,timestamp\n-10,2024-01-05\n").due
    assert due.kind is FlowKind.SLOW_WITHDRAWAL


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        pytest.param("2024-01-05,abc,", "amount", "abc", id="no-number"),
        pytest.param("2024-01-05,0,", "amount", "0", id="nothing"),
        pytest.param("2024-01-05,nan,", "amount", "nan", id="not-finite"),
        pytest.param("2024-01-05,,", "amount", "", id="empty"),
        pytest.param("yesterday,5,", "timestamp", "yesterday", id="no-instant"),
        pytest.param("2023-12-31,5,", "timestamp", "2023-12-31", id="before-the-run"),
        pytest.param("2030-01-01,5,", "timestamp", "2030-01-01", id="after-the-run"),
        pytest.param("2024-01-05,-5,soon", "speed", "soon", id="unknown-speed"),
        pytest.param("2024-01-05,5,fast", "speed", "fast", id="fast-deposit"),
        pytest.param("2024-01-05,5,,7", "line", "7", id="a-cell-too-many"),
    ],
)
def test_a_fault_names_line_column_and_value(file: Path, line: str, field: str, value: str) -> None:
    with pytest.raises(ConfigValidationError) as caught:
        read(file, f"{HEADER}2024-01-05,7,\n{line}\n")
    context = caught.value.context
    assert (context["file"], context["row"], context["field"], context["value"]) == ("flows.csv", 3, field, value)


def test_all_faults_are_told_at_once(file: Path) -> None:
    with pytest.raises(ConfigValidationError) as caught:
        read(file, "timestamp,amount,sped\nyesterday,abc,\n2024-01-05,0,\n")
    assert caught.value.context["faults"] == 4
    for fact in ("line 1 sped", "line 2 timestamp", "line 2 amount", "line 3 amount"):
        assert fact in caught.value.message


def test_a_missing_column_and_a_missing_file_are_named(file: Path) -> None:
    with pytest.raises(ConfigValidationError) as caught:
        read(file, "when,amount\n2024-01-05,5\n")
    assert "line 1 timestamp" in caught.value.message
    with pytest.raises(ConfigValidationError) as absent:
        read_flows(file.with_name("none.csv"), MARKET, 3_600, is_first=True, is_final=True)
    assert absent.value.context["file"].endswith("none.csv")  # type: ignore[union-attr]  # a path is a text


def test_a_partition_leaves_the_flows_of_the_others_to_them(file: Path) -> None:
    text = HEADER + "2023-12-31,5,\n2030-01-01,5,\n"
    assert len(read(file, text, is_first=False, is_final=False).due) == 2


@given(text=st.text(max_size=200))
def test_no_text_escapes_as_anything_but_a_fault(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with suppress(ConfigValidationError):
        found = read(tmp_path_factory.mktemp("flows") / "flows.csv", HEADER + text)
        assert all(due.amount > 0.0 for due in found.due)


def test_a_run_reports_flows_and_both_returns(basis: Basis, data_set: Path, file: Path, tmp_path: Path) -> None:
    file.write_text(HEADER + "2024-01-11,50000,\n2024-01-12,-30000,slow\n")
    places = ("--results", tmp_path / "results", "--logs", tmp_path / "logs")
    run = ("backtest", "pure_lending_usdt", "--data", data_set, "--start", "2024-01-10", "--end", "2024-01-13")
    answer = basis(*run, "--flows", file, *places, "--json")
    assert answer.exit_code == 0, answer
    summary = answer.json()
    assert (summary["deposits"], summary["withdrawals"], summary["withdrawals_pending"]) == (50_000.0, 30_000.0, 0.0)
    assert isinstance(summary["money_weighted_return"], float)
    assert summary["initial_capital"] == 100_000.0
    pnl, equity = summary["total_pnl_share_class"], summary["final_equity"]
    assert isinstance(pnl, float)
    assert isinstance(equity, float)
    assert pnl == pytest.approx(equity - 120_000.0, abs=1e-6)
    shown = basis("runs", "show", str(summary["run_id"]), *places)
    assert "Capital flows" in shown.out
    assert "money-weighted return" in shown.out


def test_a_bad_file_stops_the_command_before_anything_is_written(
    basis: Basis, data_set: Path, file: Path, tmp_path: Path
) -> None:
    file.write_text(HEADER + "2024-01-11,x,\n")
    answer = basis(
        *("backtest", "pure_lending_usdt", "--data", data_set, "--start", "2024-01-10", "--end", "2024-01-13"),
        *("--flows", file, "--results", tmp_path / "results", "--logs", tmp_path / "logs", "--no-progress"),
    )
    assert answer.exit_code == 2
    assert answer.error_line.startswith("CONFIG-003: flows.csv: line 2 amount 'x'")
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "logs").exists()
