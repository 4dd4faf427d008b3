"""A column that is broken on purpose, in any stage, stops a run with that stage's code, whichever executor runs it.

Nothing but the error is written: no results directory, and logs that still parse. (Must-show 8; the same in Dagster is
shown beside its assets.)
"""

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dataflow.engine.backtest import ExecutorName
from dataflow.graph.build import OBSERVE_STAGES
from dataflow.maths import deltas
from dataflow.nodes import execution
from dataflow.records import LogDirectoryManager
from dataflow.records.log.reading import read_events
from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.errors import ErrorCode, PlatformError
from schemas.frames import FRAME_ERRORS
from schemas.models.events import EVENT_TYPES
from schemas.models.handshake import ExecutionHandshake
from tests.support.data_sets import violent_data_set
from tests.support.faults import break_node, nan_at_last, nan_everywhere, out_of_bounds, overstate_deltas, spoil_answers
from tests.support.runs import prepared

MODE = "btc_basis"
ROWS = 12
EXECUTORS: tuple[ExecutorName, ...] = ("plan", "hamilton")

NODES = [
    pytest.param(node.module, node.name, node.stage, id=f"{node.stage}-{node.name}")
    for node in prepared(MODE).graph.in_stages(OBSERVE_STAGES)
]
ONE_A_STAGE = [
    pytest.param("dataflow.nodes.market", "perp_premium_step", "market", id="market"),
    pytest.param("dataflow.nodes.positions", "spot_units", "positions", id="positions"),
    pytest.param("dataflow.nodes.exposure", "net_delta_usd", "exposure", id="exposure"),
    pytest.param("dataflow.nodes.risk", "margin_usage", "risk", id="risk"),
    pytest.param("dataflow.nodes.pnl", "basis_pnl", "pnl", id="pnl"),
    pytest.param("strategies.basis.rules", "venue_share_gap", "decision", id="decision"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set that makes the mode trade."""
    return violent_data_set(tmp_path_factory.mktemp("data"), MODE, seed=5, rows=ROWS)


@pytest.fixture
def stopped(data: Path, tmp_path: Path) -> Callable[[ExecutorName], PlatformError]:
    """A function that runs the mode and gives the error that stopped it; it has looked at what was written."""

    def run(executor: ExecutorName) -> PlatformError:
        logs, results = tmp_path / "logs", tmp_path / "results"
        with pytest.raises(PlatformError) as caught:
            run_backtest(
                BacktestRequest(
                    mode=MODE, data=str(data), start="2024-01-04T01:00", logs=logs, results=results, executor=executor
                )
            )
        assert [path.name for path in results.iterdir() if not path.name.startswith(".")] == []
        for log_dir in LogDirectoryManager.list_runs(logs):
            for event_class in EVENT_TYPES:
                list(read_events(log_dir, event_class))
        return caught.value

    return run


@pytest.mark.breakage
@pytest.mark.parametrize(("module", "node", "stage"), NODES)
def test_every_broken_column_is_its_stages_error(
    module: str,
    node: str,
    stage: str,
    stopped: Callable[[ExecutorName], PlatformError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_node(monkeypatch, import_module(module), node, nan_everywhere)
    assert stopped("plan").code == FRAME_ERRORS[stage].code


@pytest.mark.parametrize("spoil", [nan_everywhere, nan_at_last])
@pytest.mark.parametrize(("module", "node", "stage"), ONE_A_STAGE)
def test_plan_and_hamilton_fail_with_the_same_code(
    module: str,
    node: str,
    stage: str,
    spoil: Callable[[Any], Any],
    stopped: Callable[[ExecutorName], PlatformError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_node(monkeypatch, import_module(module), node, spoil)
    codes = {executor: stopped(executor).code for executor in EXECUTORS}
    assert codes == dict.fromkeys(EXECUTORS, FRAME_ERRORS[stage].code)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_stage_error_names_column_row_and_value(
    executor: ExecutorName, stopped: Callable[[ExecutorName], PlatformError], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_node(monkeypatch, import_module("dataflow.nodes.risk"), "margin_usage", out_of_bounds)
    error = stopped(executor)
    assert error.context["column"] == "margin_usage"
    assert error.context["row"] == 0
    assert float(str(error.context["value"])) == 1e18


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_calculator_that_gives_no_number_is_an_error_of_the_deltas(
    executor: ExecutorName, stopped: Callable[[ExecutorName], PlatformError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "transfer_deltas", lambda *_: (("wallet:BaseToken:USDT", math.nan),))
    assert stopped(executor).code == FRAME_ERRORS["deltas"].code


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_answer_in_a_wrong_unit_is_an_error_of_the_handshakes(
    executor: ExecutorName, stopped: Callable[[ExecutorName], PlatformError], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_answers(monkeypatch, _price_in_wei)
    assert stopped(executor).code == FRAME_ERRORS["handshakes"].code


def _price_in_wei(handshake: ExecutionHandshake) -> ExecutionHandshake:
    """A spot fill whose price is a thousand times what any price may be."""
    if not any(":BaseToken:BTC" in key for key in handshake.actual_deltas):
        return handshake
    return handshake.model_copy(update={"execution_details": {**handshake.execution_details, "executed_price": 1e12}})


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("who", ["venue", "calculator"])
def test_a_change_that_was_not_expected_is_an_error_of_the_reconciliation(
    who: str,
    executor: ExecutorName,
    stopped: Callable[[ExecutorName], PlatformError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if who == "venue":
        overstate_deltas(monkeypatch)
    else:
        break_node(monkeypatch, execution, "expected_deltas", lambda found: tuple((k, 1.1 * v) for k, v in found))
    assert stopped(executor).code == FRAME_ERRORS["reconciliation"].code


@pytest.mark.parametrize("executor", EXECUTORS)
def test_books_that_cannot_be_stop_a_run_alike_and_leave_no_hole_in_its_log(
    executor: ExecutorName,
    stopped: Callable[[ExecutorName], PlatformError],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    spoil_answers(monkeypatch, _fee_of_a_fortune)
    assert stopped(executor).code is ErrorCode.POS_RECONCILIATION_MISMATCH
    (log_dir,) = (tmp_path / "logs").glob("*/*")
    numbers = sorted(int(str(event["order"])) for kind in EVENT_TYPES for event in read_events(log_dir, kind))
    assert numbers == list(range(len(numbers)))


def _fee_of_a_fortune(handshake: ExecutionHandshake) -> ExecutionHandshake:
    """A spot fill whose fee is more coins than there are."""
    if not any(":BaseToken:BTC" in key for key in handshake.actual_deltas):
        return handshake
    return handshake.model_copy(update={"fee_amount": 1e8, "fee_currency": "BTC"})
