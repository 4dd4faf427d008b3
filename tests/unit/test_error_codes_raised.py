"""Every error code has a way to happen, or says in the registry why it is reserved.

The codes of execution, venues and positions are raised here through the public interface: a run with a venue that
misbehaves, a strategy that asks for the wrong thing, or a capital that no frame allows. Each must be found in
``system_errors.jsonl`` with the severity of the registry. For the other codes a table names the test that raises each.
"""

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from dataflow.engine.backtest import Backtest
from dataflow.graph.build import Graph
from dataflow.graph.executors import PlanExecutor
from dataflow.market.synthetic.random_markets import random_market
from dataflow.services.fault_plans import fault_wrapper
from dataflow.services.simulated_venues import PortWrapper
from dataflow.venues.faults.plan import FaultKind, FaultPlan, FaultRule, FaultTarget
from dataflow.venues.faults.port import FaultyPort
from dataflow.venues.simulated.router import SimulatedPort
from schemas import errors
from schemas.errors import REGISTRY, ErrorCode, PlatformError
from schemas.intents import OrderIntent, supply
from schemas.models.handshake import ExecutionHandshake, parse_handshake
from schemas.models.orders import Order
from schemas.operations import StrategyIntent
from schemas.units import Column
from tests.support.catalogue import CATALOGUE
from tests.support.markets import quiet_market, violent_market
from tests.support.runs import Event, prepared
from tests.support.scripts import scripted
from tests.support.venues import FakeVenues, FaultyRun, MakeVenues, Unreachable, run_faulty

ROOT = Path(__file__).parents[2]
LENDING = "pure_lending_usdt"
ENTRY = StrategyIntent.ENTRY_FULL

Trigger = Callable[[Path, pytest.MonkeyPatch], FaultyRun]


# -- venues that misbehave


@dataclass
class Answering(FakeVenues):
    """Venues whose answers, true in all else, have some fields changed."""

    changes: Mapping[str, object] | None = None
    hides_balances: bool = False

    def answer(self, order: Order) -> ExecutionHandshake:
        return parse_handshake({**self.port.execute(order).model_dump(), **(self.changes or {})})

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        return None if self.hides_balances else self.port.balances(venues)


@dataclass
class Reporting(FakeVenues):
    """Venues that report balances which differ from what they did."""

    off: Mapping[str, float] | None = None

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        reported = self.port.balances(venues)
        assert reported is not None
        return {**reported, **{key: reported.get(key, 0.0) + by for key, by in (self.off or {}).items()}}


@dataclass
class Planned(FakeVenues):
    """Venues behind a plan of faults, each of which is told of in the log."""

    wrap: PortWrapper | None = None

    def __post_init__(self) -> None:
        assert self.wrap is not None
        faulty = self.wrap(self.port, self.world, self.clock)
        assert isinstance(faulty, FaultyPort)
        self.port, self.report_to = faulty, faulty.report_to


@dataclass
class With(FakeVenues):
    """The simulated venues that a test names, instead of those of the mode."""

    venues: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.port = SimulatedPort(self.world, CATALOGUE, self.venues)


def by_fault(kind: FaultKind, *, mode: str = LENDING, rows: int = 1, **settings: object) -> Trigger:
    """A plan of faults with one rule, which meets everything, as ``--faults`` takes it."""
    rule = FaultRule.model_validate({"kind": kind, "probability": 1.0, **settings})
    plan = FaultPlan(name="one_rule", description="One rule.", rules=(rule,))

    def trigger(directory: Path, _: pytest.MonkeyPatch) -> FaultyRun:
        backtest = prepared(mode)
        market = random_market(backtest.market_request(), 1, rows, calm_rows=rows)
        wrap = fault_wrapper(plan, backtest, market, seed=7)
        return run_faulty(backtest, market, directory, partial(Planned, wrap=wrap), live=True)

    return trigger


def by_venue(make: MakeVenues) -> Trigger:
    """A supply to venues that misbehave in a way that no plan knows."""
    return lambda directory, _: run_faulty(prepared(LENDING), quiet_market(LENDING, 1), directory, make, live=False)


def by_order(*intents: OrderIntent, venues: tuple[str, ...] = ("wallet", "aave_v3")) -> Trigger:
    """A strategy that asks for certain orders."""

    def trigger(directory: Path, _: pytest.MonkeyPatch) -> FaultyRun:
        backtest = scripted(LENDING, {0: intents})
        return run_faulty(backtest, quiet_market(LENDING, 1), directory, partial(With, venues=venues), live=False)

    return trigger


def by_capital(capital: float) -> Trigger:
    """More money than there is."""
    return lambda directory, _: run_faulty(
        prepared(LENDING), quiet_market(LENDING, 1), directory, FakeVenues, live=False, capital=capital
    )


TRIGGERS: Mapping[str, Trigger] = {
    "EXEC-001": by_fault(FaultKind.REJECT, attempts=100),
    "EXEC-002": by_fault(FaultKind.VENUE_OUTAGE, reads=True),
    "EXEC-003": by_order(replace(supply("USDT", 1.0, ENTRY), target_token=5)),  # type: ignore[arg-type]  # the fault
    "EXEC-004": by_order(replace(supply("USDT", 1.0, ENTRY), sequence_in_group=0)),
    "EXEC-005": by_fault(FaultKind.SLOW_ANSWER, at=FaultTarget.BALANCES, seconds=(11.0, 11.0)),
    "EXEC-006": by_fault(FaultKind.REVERT, mode="eth_leveraged"),
    "EXEC-007": by_fault(FaultKind.STALE_PRICE, mode="btc_basis", rows=9, shift=(-0.02, -0.02)),
    "EXEC-008": by_fault(FaultKind.INVALID_ANSWER),
    "VEN-001": by_order(replace(supply("USDT", 1.0, ENTRY), venue="etherfi")),
    "VEN-002": by_fault(FaultKind.TIMEOUT_BEFORE),
    "VEN-003": by_fault(FaultKind.VENUE_OUTAGE),
    "VEN-004": by_venue(partial(With, venues=("wallet",))),
    "VEN-005": by_fault(FaultKind.AUTHENTICATION_FAILED),
    "VEN-006": by_fault(FaultKind.RATE_LIMITED),
    "POS-001": by_venue(partial(Answering, changes={"fee_amount": 1.0, "fee_currency": "BTC"})),
    "POS-002": by_venue(partial(Reporting, off={"wallet:BaseToken:KING": 3.0})),
    "POS-003": by_capital(1e16),
    "POS-004": by_venue(partial(Answering, changes={"fee_amount": 1e6, "fee_currency": "USDT"}, hides_balances=True)),
    "POS-005": by_fault(FaultKind.DUPLICATE_CONFIRMATION),
}

STOPS = {
    "EXEC-002",
    "EXEC-003",
    "EXEC-004",
    "EXEC-005",
    "EXEC-007",
    "EXEC-008",
    "VEN-001",
    "VEN-004",
    "VEN-005",
    "POS-001",
    "POS-003",
    "POS-004",
    "POS-005",
}
"""Codes after which the run may not go on; after the others it does."""


def found_by_the_engine(run: FaultyRun) -> list[Event]:
    """Error events, without those in which the plan tells what it did."""
    return [event for event in run.events("system_errors") if "injected_fault" not in cast("Event", event["metadata"])]


@pytest.mark.parametrize("code", TRIGGERS)
def test_code_is_raised_and_recorded_with_its_severity(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TRIGGERS[code](tmp_path, monkeypatch)
    recorded = [event for event in found_by_the_engine(run) if event["error_code"] == code]
    assert recorded, run.codes()
    spec = REGISTRY[ErrorCode(code)]
    for event in recorded:
        assert event["severity"] == spec.severity.value
        assert event["component"] == spec.component
        assert event["error_message"]
        assert event["stack_trace"]
    assert (run.error is not None) == (code in STOPS)


def test_an_answer_about_another_operation_is_exec_008(tmp_path: Path) -> None:
    make = partial(Answering, changes={"operation_id": "another"})
    run = run_faulty(prepared(LENDING), quiet_market(LENDING, 1), tmp_path, make, live=False)
    assert run.codes() == ["EXEC-008"]
    assert run.operations() == [("supply", "pending")], "the order may be filled, so it is on record"
    assert len(run.events("execution_deltas")) == 1, "nothing but the initial capital was applied"


def test_a_venue_that_refuses_the_credentials_is_asked_once(tmp_path: Path) -> None:
    make = partial(Unreachable, code=ErrorCode.VEN_AUTHENTICATION_FAILED)
    run = run_faulty(prepared(LENDING), quiet_market(LENDING, 1), tmp_path, make, live=True)
    assert len(run.venues.sent) == 1
    assert run.codes() == ["VEN-005", "EXEC-002"]


def test_an_undeclared_balance_is_reported_once_and_ignored(tmp_path: Path) -> None:
    make = partial(Reporting, off={"wallet:BaseToken:KING": 3.0})
    run = run_faulty(prepared("btc_basis"), quiet_market("btc_basis", 9), tmp_path, make, live=False)
    assert run.error is None
    assert run.codes() == ["POS-002"]
    assert len(run.operations()) == 9


# -- stages that break their frame

BROKEN: Mapping[str, tuple[str, float]] = {
    "EXP-001": ("net_delta_usd", 1e18),
    "RISK-006": ("risk_warning", 7.0),
    "PNL-001": ("total_pnl_usd", 1e18),
    "STRAT-001": ("idle_is_due", 7.0),
    "PNL-004": ("is_reconciled", 0.0),
}
"""Code to a column and the value which, standing in it, must end in it."""


@pytest.mark.parametrize("code", BROKEN)
def test_a_spoilt_column_stops_the_run_with_the_code_of_its_stage(code: str, tmp_path: Path) -> None:
    backtest = Backtest(prepared(LENDING).config)
    name, value = BROKEN[code]

    def column(row_number: Column) -> Column:
        return np.full_like(row_number, value)

    graph = backtest.graph
    nodes = tuple(
        replace(node, function=column, arguments=(("row_number", "row_number"),)) if node.name == name else node
        for node in graph.nodes
    )
    backtest.executor = PlanExecutor(Graph(graph.hamilton, nodes, graph.inputs))
    run = run_faulty(backtest, quiet_market(LENDING, 3), tmp_path, FakeVenues, live=False)
    assert run.error is not None
    assert run.codes() == [code], run.events("system_errors")
    assert run.events("system_errors")[0]["severity"] == REGISTRY[ErrorCode(code)].severity.value


def test_a_limit_that_is_crossed_is_risk_001(tmp_path: Path) -> None:
    market = violent_market("btc_basis", 1, 450)
    run = run_faulty(prepared("btc_basis"), market, tmp_path, FakeVenues, live=False)
    assert "RISK-001" in run.codes()


# -- every code

_HERE = "tests/unit/test_error_codes_raised.py"
_CONFIG = "tests/unit/test_config_files.py"
_LOG = "tests/unit/logging/test_domain_event_logger.py"
_LOADING = "tests/unit/market/test_loading.py"
_READERS = "tests/unit/market/test_readers.py"

RAISED_BY: Mapping[str, str] = {
    **dict.fromkeys(TRIGGERS, f"{_HERE}::test_code_is_raised_and_recorded_with_its_severity"),
    **dict.fromkeys(BROKEN, f"{_HERE}::test_a_spoilt_column_stops_the_run_with_the_code_of_its_stage"),
    "RISK-001": f"{_HERE}::test_a_limit_that_is_crossed_is_risk_001",
    "RISK-005": "tests/integration/test_liquidations.py::test_liquidation_at_an_exchange_by_hand",
    "PNL-005": "tests/laws/test_capital_flows.py::test_nobody_is_paid_more_than_is_held",
    "CONFIG-001": f"{_CONFIG}::test_an_unknown_mode_is_config_001_and_names_the_nearest",
    "CONFIG-002": f"{_CONFIG}::test_the_error_of_a_run_has_the_code_of_its_faults_and_names_each",
    "CONFIG-003": f"{_CONFIG}::test_the_error_of_a_run_has_the_code_of_its_faults_and_names_each",
    "CONFIG-004": f"{_CONFIG}::test_the_error_of_a_run_has_the_code_of_its_faults_and_names_each",
    "DATA-002": f"{_READERS}::test_a_cell_that_is_no_instant_is_refused",
    "DATA-003": f"{_READERS}::test_an_absent_directory_is_named",
    "DATA-004": f"{_LOADING}::test_a_missing_candle_is_a_gap",
    "DATA-005": "tests/unit/components/test_strategy_manager_deltas.py",
    "STRAT-002": "tests/unit/components/test_strategy_manager_deltas.py",
    "STRAT-003": "tests/unit/engine/test_proof.py::test_what_is_no_list_of_intents_is_strat_003",
    "ENGINE-001": "tests/unit/engine/test_proof.py::test_a_part_is_refused_for_its_input_and_then_for_its_frame",
    "ENGINE-003": "tests/unit/records/test_results_store.py",
    "ENGINE-004": "tests/unit/cli/test_bad_input.py::test_what_nobody_expected_is_one_line",
    "LOG-001": f"{_LOG}::test_a_full_disk_ends_in_log_001_and_whole_lines",
    "LOG-002": f"{_LOG}::test_a_gap_that_never_closes_overflows_instead_of_growing",
    "LOG-003": f"{_LOG}::test_an_unwritable_directory_is_named",
    "LOG-004": f"{_LOG}::test_an_event_of_another_run_is_refused",
    "LOG-005": f"{_LOG}::test_a_part_that_cannot_be_opened_is_log_005",
}
"""Code to the test that raises it."""


def _source_of(test: str) -> str:
    """Text of the named test, its decorators included, or of the whole file where no test is named."""
    path, _, name = test.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    if not name:
        return text
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(functions) == 1, f"{test} does not exist"
    first = min([functions[0].lineno, *(decorator.lineno for decorator in functions[0].decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : functions[0].end_lineno])


def _leaf(code: ErrorCode) -> type[PlatformError] | None:
    leaves = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, PlatformError) and vars(kind).get("code") is code
    ]
    return leaves[0] if leaves else None


def test_every_code_is_raised_by_a_test_or_reserved_with_a_reason() -> None:
    raised = {ErrorCode(code) for code in RAISED_BY}
    reserved = {code for code, spec in REGISTRY.items() if spec.reserved is not None}
    assert raised & reserved == set()
    assert raised | reserved == set(ErrorCode)


@pytest.mark.parametrize("code", [c for c in RAISED_BY if c not in TRIGGERS and c not in BROKEN])
def test_the_test_that_is_named_for_a_code_speaks_of_it(code: str) -> None:
    source, fact = _source_of(RAISED_BY[code]), ErrorCode(code)
    leaf = _leaf(fact)
    assert code in source or fact.name in source or (leaf is not None and leaf.__name__ in source)


@pytest.mark.parametrize("code", [code for code, spec in REGISTRY.items() if spec.reserved is not None])
def test_no_reserved_code_is_raised_anywhere(code: ErrorCode) -> None:
    leaf = _leaf(code)
    for folder in ("schemas", "dataflow", "strategies", "dagster_project"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name in ("errors.py", "error_codes.py") and folder == "schemas":
                continue
            text = path.read_text(encoding="utf-8")
            assert f"ErrorCode.{code.name}" not in text, path
            assert leaf is None or f"{leaf.__name__}(" not in text, path
