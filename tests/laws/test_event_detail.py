"""A log that says less says nothing else: at every detail the run is the same, and replays and verifies.

Claims, for the modes with a violent market: columns, state and final balances do not depend on the detail. The lines of
a lower detail are lines of the higher one but for their numbers, which have no gap. Window and partition change none.
``on-change`` keeps each row where a balance, a limit or the risk level changed, ``operations`` each decision to act.
"""

import re
from itertools import count, pairwise
from pathlib import Path

import orjson
import pytest

from dataflow.records import LogDirectoryManager
from dataflow.records.audit.replay import replay
from dataflow.records.audit.verification import verify
from schemas.models.results import EventDetail
from tests.support.markets import MODES, violent_market
from tests.support.runs import (
    CORRELATION_ID,
    EVENT_NAMES,
    HEALTH,
    PID,
    Lines,
    MemoryRun,
    business_lines,
    differing_columns,
    prepared,
    run_in_memory,
    run_in_partitions,
)

DETAILS: tuple[EventDetail, ...] = ("every-step", "on-change", "operations")
ROWS = 150
OF_EACH_ROW = ("positions", "exposures", "risk_assessments", "pnl_calculations", "strategy_decisions")

_ORDER = re.compile(rb'"order":\d+,')


def run_at(mode: str, detail: EventDetail, base: Path, window: int | None = None) -> MemoryRun:
    """A violent run at a detail, with its metadata."""
    log_dir = LogDirectoryManager.create_run_logs(CORRELATION_ID, PID, mode, mode, 1.0, base, event_detail=detail)
    return run_in_memory(prepared(mode, events=detail, window=window), violent_market(mode, 3, ROWS), log_dir)


def without_numbers(lines: Lines) -> dict[str, list[bytes]]:
    """Business lines without their ``order``."""
    return {name: [_ORDER.sub(b"", line) for line in of_file] for name, of_file in business_lines(lines).items()}


@pytest.mark.parametrize("mode", MODES)
def test_a_lower_detail_leaves_lines_out_and_changes_nothing(mode: str, tmp_path: Path) -> None:
    runs = {detail: run_at(mode, detail, tmp_path / detail) for detail in DETAILS}
    whole = runs["every-step"]
    for detail, run in runs.items():
        assert differing_columns(run, whole) == []
        assert run.final_positions() == whole.final_positions()
        found = verify(run.log_dirs[0])
        assert found.faults == (), detail
        assert found.replayed is not None
        assert {key: found.replayed.final_positions.get(key, 0.0) for key in run.final_positions()} == (
            run.final_positions()
        )
    said = {detail: without_numbers(run.lines) for detail, run in runs.items()}
    for more, less in pairwise(DETAILS):
        for name in EVENT_NAMES:
            assert is_subsequence(said[less][name], said[more][name]), (less, name)
    for name in set(EVENT_NAMES) - set(OF_EACH_ROW):
        assert said["operations"][name] == said["every-step"][name], name


def is_subsequence(some: list[bytes], of_all: list[bytes]) -> bool:
    """Whether the lines come in the same order among the others."""
    others = iter(of_all)
    return all(line in others for line in some)


@pytest.mark.parametrize("mode", ["btc_basis", "eth_basis"])
def test_what_changed_and_what_was_decided_is_on_record(mode: str, tmp_path: Path) -> None:
    whole = run_at(mode, "every-step", tmp_path / "whole")
    for detail in DETAILS[1:]:
        run = run_at(mode, detail, tmp_path / detail)
        decided = {event["timestamp"]: event["decision_type"] for event in run.events("strategy_decisions")}
        acted = {e["timestamp"] for e in whole.events("strategy_decisions") if e["decision_type"] != "hold"}
        assert acted <= decided.keys()
        assert str(whole.instants[-1]) in decided
        assert len(decided) < ROWS
    changed = run_at(mode, "on-change", tmp_path / "again")
    kept = {event["timestamp"] for event in changed.events("risk_assessments")}
    levels = [(event["timestamp"], event["risk_level"]) for event in whole.events("risk_assessments")]
    assert {at for (at, level), (_, before) in zip(levels[1:], levels, strict=False) if level != before} <= kept
    assert {event["timestamp"] for event in whole.events("execution_deltas")} <= kept


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("detail", ["on-change", "operations"])
def test_window_and_partition_change_no_line(mode: str, detail: EventDetail, tmp_path: Path) -> None:
    market, backtest = violent_market(mode, 1, ROWS), prepared(mode, events=detail)
    whole = run_in_memory(backtest, market, tmp_path / "whole")
    narrow = run_in_memory(prepared(mode, events=detail, window=7), market, tmp_path / "narrow")
    chained = run_in_partitions(backtest, market, tmp_path / "chained", [50, 51, 110])
    wanted = business_lines(whole.lines, without=(HEALTH,))
    assert business_lines(narrow.lines, without=(HEALTH,)) == wanted
    assert business_lines(chained.lines, without=(HEALTH,)) == wanted
    assert [order_of(line) for line in merged(whole.lines)] == list(range(whole.state.order))
    assert replay(whole.log_dirs[0]).ok


def merged(lines: Lines) -> list[bytes]:
    """Lines of all files by number."""
    return sorted((line for of_file in lines.values() for line in of_file), key=order_of)


def order_of(line: bytes) -> int:
    """Number of an event."""
    order = orjson.loads(line)["order"]
    assert isinstance(order, int)
    return order


def test_a_row_that_is_missing_is_found_at_every_step(tmp_path: Path) -> None:
    """The five lines of a row, taken out with their numbers: the decisions then skip an instant."""
    run = run_at("btc_basis", "every-step", tmp_path)
    numbers = count()
    log_dir = LogDirectoryManager.create_run_logs(CORRELATION_ID, PID, "m", "m", 1.0, tmp_path / "cut")
    quiet = next(e["timestamp"] for e in run.events("strategy_decisions")[60:] if e["decision_type"] == "hold")
    for line in merged(run.lines):
        event = orjson.loads(line)
        if event["timestamp"] == quiet:
            continue
        name = next(name for name, of_file in run.lines.items() if line in of_file)
        with (log_dir / "events" / f"{name}.jsonl").open("ab") as file:
            file.write(_ORDER.sub(b'"order":%d,' % next(numbers), line, count=1))
    assert any(str(quiet)[:10] in fault.what and "no row between" in fault.what for fault in verify(log_dir).faults)
