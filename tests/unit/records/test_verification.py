"""Verification of a run: what the chain, the replay and the counts find, each with its code, file and line.

One real run of ten days is verified whole, from its results and from its logs. Then one thing is changed in a copy.
What only the replay sees, and what only the counts see, is found with the chain made anew over the changed files, as
somebody would who knows how it is made; the seal in the manifest finds that too. Months of a chained run verify by
themselves.
"""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import orjson
import pytest
from typer.testing import CliRunner

from dataflow.cli.main import app
from dataflow.market.synthetic.data_set import write_synthetic
from dataflow.records import DomainEventLogger
from dataflow.records.audit.verification import verify
from dataflow.records.log.hash_chain import CHAIN_FILE
from dataflow.services.backtest import BacktestRequest, CompletedRun, run_backtest
from schemas.errors import ErrorCode
from tests.support.runs import EVENT_NAMES, log_dir_of, results_dir_of

START, MIDDLE, NEXT, END = "2024-01-10", "2024-01-14T23:00", "2024-01-15", "2024-01-20"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty synthetic days."""
    return str(write_synthetic(tmp_path_factory.mktemp("data") / "set", days=40))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where logs and results are."""
    return tmp_path_factory.mktemp("place")


def request_of(data: str, place: Path, start: str, end: str) -> BacktestRequest:
    return BacktestRequest(
        mode="btc_basis", data=data, start=start, end=end, logs=place / "logs", results=place / "results"
    )


@pytest.fixture(scope="module")
def run(data: str, place: Path) -> CompletedRun:
    """Ten days."""
    return run_backtest(request_of(data, place, START, END))


def test_a_run_verifies_from_its_results_and_from_its_logs(run: CompletedRun) -> None:
    for directory in (results_dir_of(run), log_dir_of(run)):
        found = verify(directory)
        assert found.faults == ()
        assert found.replayed is not None
        assert found.chain.lines_checked == found.replayed.events == sum(run.summary.event_counts.values())
    manifest = orjson.loads((results_dir_of(run) / "manifest.json").read_bytes())
    assert manifest["event_log_seal"] == verify(results_dir_of(run)).chain.seal


def test_a_chained_month_verifies_by_itself(data: str, place: Path) -> None:
    first = run_backtest(request_of(data, place, START, MIDDLE), is_final=False)
    second = run_backtest(request_of(data, place, NEXT, END), state=first.state)
    assert verify(results_dir_of(first)).faults == ()
    found = verify(results_dir_of(second))
    assert found.faults == ()
    assert found.replayed is not None
    assert found.replayed.complete_through == second.state.order - 1 > found.replayed.events
    done = CliRunner().invoke(app, ["replay", str(results_dir_of(second)), "--verify", "--json"])
    assert done.exit_code == 0
    assert orjson.loads(done.stdout)["verified"] is True


def changed(run: CompletedRun, tmp_path: Path, name: str, change: Callable[[list[bytes]], None]) -> Path:
    """A copy of the results in which the lines of one event file are changed."""
    directory = tmp_path / "changed"
    copytree(results_dir_of(run), directory)
    path = directory / "logs" / "events" / f"{name}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))
    return directory


def chained_anew(directory: Path) -> Path:
    """The same, with a hash chain that fits."""
    logs = directory / "logs"
    (logs / CHAIN_FILE).unlink()
    metadata = orjson.loads((logs / "metadata.json").read_bytes())
    DomainEventLogger(logs, metadata["correlation_id"], metadata["pid"]).close()
    return directory


@pytest.mark.parametrize("name", [name for name in EVENT_NAMES if name not in ("atomic_groups", "system_errors")])
def test_a_dropped_line_of_any_file_is_named(name: str, run: CompletedRun, tmp_path: Path) -> None:
    def drop(lines: list[bytes]) -> None:
        del lines[0]

    faults = verify(changed(run, tmp_path, name, drop)).faults
    assert (faults[0].code, faults[0].file, faults[0].line) == (ErrorCode.LOG_SERIALISATION_FAILED, f"{name}.jsonl", 1)
    assert any("is missing" in fault.what for fault in faults if fault.code is ErrorCode.POS_RECONCILIATION_MISMATCH)


def test_a_line_that_is_no_event_is_named_once_by_chain_and_once_by_reading(run: CompletedRun, tmp_path: Path) -> None:
    def damage(lines: list[bytes]) -> None:
        lines[4] = lines[4].replace(b'"order":', b'"order"')

    found = verify(changed(run, tmp_path, "positions", damage))
    assert found.replayed is None
    assert [(fault.code, fault.file, fault.line) for fault in found.faults] == [
        (ErrorCode.LOG_SERIALISATION_FAILED, "positions.jsonl", 5),
        (ErrorCode.LOG_SERIALISATION_FAILED, "positions.jsonl", 5),
    ]


def test_a_balance_that_was_changed_with_its_chain_is_found_by_replay_and_seal(
    run: CompletedRun, tmp_path: Path
) -> None:
    def raise_balance(lines: list[bytes]) -> None:
        event = orjson.loads(lines[4])
        key = next(key for key, units in event["positions"].items() if units)
        event["positions"][key] += 1.0
        lines[4] = orjson.dumps(event) + b"\n"

    seal, balance = verify(chained_anew(changed(run, tmp_path, "positions", raise_balance))).faults
    assert (seal.code, seal.file) == (ErrorCode.LOG_SERIALISATION_FAILED, CHAIN_FILE)
    assert (balance.code, balance.file, balance.line) == (
        ErrorCode.POS_RECONCILIATION_MISMATCH,
        "positions.jsonl",
        5,
    )


@pytest.mark.parametrize("name", ["exposures", "risk_assessments", "pnl_calculations", "operation_executions"])
def test_an_event_that_was_left_out_with_its_number_is_found_by_the_counts(
    name: str, run: CompletedRun, tmp_path: Path
) -> None:
    """The chain fits and every number is there: the last event is given the number of the one left out."""

    def drop(lines: list[bytes]) -> None:
        left_out = orjson.loads(lines.pop())["order"]
        last = orjson.loads(lines.pop())
        lines.append(orjson.dumps({**last, "order": left_out}) + b"\n")

    faults = verify(chained_anew(changed(run, tmp_path, name, drop))).faults
    counted = [fault for fault in faults if "summary counts" in fault.what or "as many" in fault.what]
    counted += [fault for fault in faults if "no operation of this identifier" in fault.what]
    assert counted


@pytest.mark.parametrize("name", ["summary.json", "summary.md", "pnl.parquet", "positions.csv", "config.json"])
def test_a_file_of_the_results_that_was_changed_or_removed_is_named(
    name: str, run: CompletedRun, tmp_path: Path
) -> None:
    directory = changed(run, tmp_path, "positions", lambda lines: None)
    file = directory / name
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    (fault,) = verify(directory).faults
    assert (fault.code, fault.file) == (ErrorCode.LOG_SERIALISATION_FAILED, name)
    if name != "summary.json":  # without it there is nothing to hold the counts against
        file.unlink()
        (fault,) = verify(directory).faults
        assert (fault.code, fault.file) == (ErrorCode.LOG_SERIALISATION_FAILED, name)


def test_a_report_made_afterwards_is_not_part_of_what_the_run_wrote(run: CompletedRun, tmp_path: Path) -> None:
    directory = changed(run, tmp_path, "positions", lambda lines: None)
    (directory / "report.html").write_text("a report")
    assert verify(directory).ok


def test_the_command_prints_code_file_and_line(run: CompletedRun, tmp_path: Path) -> None:
    def swap(lines: list[bytes]) -> None:
        lines[7], lines[8] = lines[8], lines[7]

    directory = changed(run, tmp_path, "exposures", swap)
    done = CliRunner().invoke(app, ["replay", str(directory), "--verify"])
    assert done.exit_code == 1
    assert "LOG-004: exposures.jsonl line 8 order" in done.stderr
    said = orjson.loads(CliRunner().invoke(app, ["replay", str(directory), "--verify", "--json"]).stdout)
    assert said["verified"] is False
    assert (said["faults"][0]["code"], said["faults"][0]["line"]) == ("LOG-004", 8)


def test_a_log_of_a_process_that_was_killed_is_read_to_its_torn_end(run: CompletedRun, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    copytree(log_dir_of(run), logs)
    (logs / CHAIN_FILE).write_bytes(b"")
    path = logs / "events" / "positions.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-1]) + whole[-1][:40])
    found = verify(logs)
    assert found.chain.seal is None
    assert any(fault.file == CHAIN_FILE and "not sealed" in fault.what for fault in found.faults)
    assert any((fault.file, fault.line) == ("positions.jsonl", len(whole)) for fault in found.faults)
    assert found.replayed is not None
    assert found.replayed.complete_through > 0
