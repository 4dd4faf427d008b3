"""Every error of a component log is one event of the event log, and every error event one record: exactly once each.

Asked of runs in storms of faults, whether they come to their end or stop, and of runs whose columns are refused.
"""

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.journal.component_logs import ComponentLogs
from dataflow.nodes import pnl
from dataflow.records.log.log_directory import component_log_name
from dataflow.records.log.reading import read_events, read_models
from schemas.errors import REGISTRY, ErrorCode
from schemas.models.events import EVENT_TYPES, SystemErrorEvent
from tests.support.faults import break_node, nan_at_last, overstate_deltas
from tests.support.storms import run_in_storm

FACTS = ("timestamp", "error_code", "message", "component", "severity", "stack_trace")
MODES = ("btc_basis", "eth_leveraged", "usdt_market_neutral", "pure_lending_usdt")


def of_components(log_dir: Path) -> Counter[tuple[str, ...]]:
    """What the component logs say of errors; each record is in the file of its component."""
    found: Counter[tuple[str, ...]] = Counter()
    for path in log_dir.glob("*.log"):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            assert component_log_name(record["component"]) == path.name
            if record["error_code"] is not None:
                found[tuple(str(record[name]) for name in FACTS)] += 1
    return found


def of_events(log_dir: Path) -> Counter[tuple[str, ...]]:
    """What the event log says of errors."""
    return Counter(
        (
            event.timestamp,
            event.error_code.value,
            event.error_message,
            event.component,
            event.severity,
            event.stack_trace,
        )
        for event in read_models(log_dir, SystemErrorEvent)
    )


def assert_mirrored(log_dir: Path) -> Counter[tuple[str, ...]]:
    errors = of_components(log_dir)
    assert errors == of_events(log_dir)
    for _, code, _, component, severity, trace in errors:
        assert component == REGISTRY[ErrorCode(code)].component
        assert severity == REGISTRY[ErrorCode(code)].severity
        assert trace
    return errors


@settings(max_examples=12)
@given(mode=st.sampled_from(MODES), seed=st.integers(0, 2**16))
def test_no_storm_loses_or_repeats_an_error(mode: str, seed: int) -> None:
    with TemporaryDirectory() as directory:
        run = run_in_storm(mode, seed, Path(directory))
        errors = assert_mirrored(run.log_dir)
    if run.code is not None:
        assert run.code.value in {code for _, code, *_ in errors}


@pytest.mark.parametrize("mode", ["btc_basis", "eth_leveraged"])
def test_a_run_that_is_stopped_says_why_once_in_each_log(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overstate_deltas(monkeypatch)
    run = run_in_storm(mode, 3, tmp_path, plan="none")
    errors = assert_mirrored(run.log_dir)
    assert run.code is ErrorCode.EXEC_POSITION_MISMATCH
    assert [number for (_, code, *_), number in errors.items() if code == run.code.value] == [1]


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_errors_of_a_chunk_whose_columns_are_refused_stay_in_both(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_node(monkeypatch, pnl, "basis_pnl", nan_at_last)
    broken = Backtest(load_run_config("btc_basis").config)
    run = run_in_storm("btc_basis", seed, tmp_path, plan="reject", backtest=broken)
    codes = [code for _, code, *_ in assert_mirrored(run.log_dir).elements()]
    assert run.code is ErrorCode.PNL_CALCULATION_FAILED
    assert codes.count(run.code.value) == 1
    assert len(codes) > 1, "faults came before the frame refused the chunk"
    orders = sorted(int(str(event["order"])) for kind in EVENT_TYPES for event in read_events(run.log_dir, kind))
    assert orders == list(range(len(orders)))


def test_an_error_of_a_component_without_a_log_of_its_own_gets_one(tmp_path: Path) -> None:
    with ComponentLogs.open(tmp_path, "run1", 1) as components:
        for _ in range(2):
            components.error(
                "DomainEventLogger", "no space", "2024-05-12T00:00:00", ErrorCode.LOG_WRITE_FAILED, "trace"
            )
    records = [json.loads(line) for line in (tmp_path / "domain_event_logger.log").read_text().splitlines()]
    assert [(record["component"], record["error_code"]) for record in records] == [("DomainEventLogger", "LOG-001")] * 2


def test_silent_logs_write_nothing(tmp_path: Path) -> None:
    with ComponentLogs.silent() as components:
        components.error("RiskMonitor", "no", "2024-05-12T00:00:00", ErrorCode.RISK_LIMIT_BREACHED, "trace")
        components.info("RiskMonitor", "no", "2024-05-12T00:00:00")
    assert list(tmp_path.iterdir()) == []
