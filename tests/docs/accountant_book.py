"""The engine's own answers to the accountant's questions: runs in this process, seen from inside and not from records.

What is known of a run: its columns and counts as the engine held them, and every order with every answer of a venue, as
they passed through the port. The event log, the files of the results and their readers are not looked at.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from dataflow.engine.backtest import Backtest
from dataflow.market.market import Market
from dataflow.services.backtest import BacktestRequest, load_request_config, load_run_market
from dataflow.services.fault_plans import fault_wrapper, load_fault_plan
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.faults.report import FaultReport, InjectedFault
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.decisions import DecisionRule
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.port import OrderPort
from schemas.units import Column
from tests.docs.runs import LOW_COLLATERAL
from tests.support.runs import MemoryRun, run_in_memory

_WINTER: Final = {"start": "2024-01-01", "end": "2024-02-29T23:00"}

ACCOUNTANT_RUNS: Final[Mapping[str, Mapping[str, Any]]] = {
    "basis": {"mode": "btc_basis", "overrides": LOW_COLLATERAL, **_WINTER},
    "leveraged": {"mode": "eth_leveraged", **_WINTER},
    "neutral": {"mode": "usdt_market_neutral", **_WINTER},
    "directional": {"mode": "ml_btc_directional_usdt_margin", "start": "2024-01-02", "end": "2024-01-08"},
    "storm": {"mode": "btc_basis", "faults": "storm", "start": "2024-01-01", "end": "2024-01-31T23:00"},
}
"""Runs of the accountant's questions by name; the page shows their commands."""


def request_of(name: str, root: Path) -> BacktestRequest:
    """The request of a run, with its logs and results under ``root``."""
    return BacktestRequest(**ACCOUNTANT_RUNS[name], logs=root / "logs", results=root / "results")


@dataclass
class Witness:
    """A port that passes everything on and remembers it."""

    port: OrderPort
    instant: Callable[[], str]
    sent: list[tuple[str, Order]] = field(default_factory=list)
    """Each time an order was sent: instant, order."""
    answers: dict[str, list[ExecutionHandshake]] = field(default_factory=dict)
    """Operation id to the answers about it, looked-up ones included."""

    def execute(self, order: Order) -> ExecutionHandshake:
        """Pass the order on."""
        self.sent.append((self.instant(), order))
        return self._heard(self.port.execute(order))

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Pass the group on."""
        self.sent += [(self.instant(), order) for order in orders]
        return tuple(map(self._heard, self.port.execute_group(orders)))

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """Pass the question on."""
        found = self.port.find(operation_id, venue)
        return None if found is None else self._heard(found)

    def cancel(self, operation_id: str, venue: str) -> None:
        """Pass a cancellation on."""
        self.port.cancel(operation_id, venue)

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Pass the question on."""
        return self.port.balances(venues)

    def _heard(self, handshake: ExecutionHandshake) -> ExecutionHandshake:
        self.answers.setdefault(handshake.operation_id, []).append(handshake)
        return handshake


@dataclass
class FaultWitness(Witness):
    """A witness before a port that injects faults; remembers those as well."""

    injected: list[InjectedFault] = field(default_factory=list)

    def report_to(self, report: FaultReport) -> None:
        """Pass every fault on to ``report``."""

        def both(fault: InjectedFault) -> None:
            self.injected.append(fault)
            report(fault)

        self.port.report_to(both)  # type: ignore[attr-defined]  # a faulty port


@dataclass(frozen=True)
class Fill:
    """A confirmed operation: when, what was ordered, what the venue answered."""

    timestamp: str
    order: Order
    handshake: ExecutionHandshake

    @property
    def details(self) -> Mapping[str, Any]:
        """What the venue said of the execution."""
        return self.handshake.execution_details

    @property
    def slippage(self) -> float:
        """Cost of not trading at mid, in the quote currency, >= 0; 0 for what is no trade."""
        if "mid_price" not in self.details:
            return 0.0
        return float(self.details["executed_amount"]) * abs(
            float(self.details["executed_price"]) - float(self.details["mid_price"])
        )

    @property
    def cost(self) -> float:
        """Fee and slippage, for fees in the quote currency."""
        return self.handshake.fee_amount + self.slippage


@dataclass(frozen=True)
class Book:
    """One run as the engine knows it."""

    request: BacktestRequest
    run: MemoryRun
    market: Market
    witness: Witness

    @property
    def backtest(self) -> Backtest:
        """The mode as it was run."""
        return self.run.backtest

    def column(self, name: str, label: str | None = None) -> Column:
        """A column over the rows of the run; of one label where it has several."""
        column = self.run.column(name)
        return column if label is None else column[:, self.backtest.column_axes()[name].index(label)]

    def row(self, instant: str) -> int:
        """Number of a row."""
        return int(np.searchsorted(self.run.instants, np.datetime64(instant)))

    def instant(self, row: int) -> str:
        """Text of the instant of a row."""
        return str(self.run.instants[row].astype("datetime64[s]"))

    @property
    def decided(self) -> list[tuple[int, DecisionRule]]:
        """Rows with a decision, and the rule of each."""
        rules = {rule.code: rule for rule in self.backtest.spec.rules}
        codes = self.column("decision")
        return [(row, rules[int(codes[row])]) for row in np.flatnonzero(codes).tolist()]

    @property
    def fills(self) -> list[Fill]:
        """Operations that were confirmed, in the order in which they were sent."""
        first = {order.operation_id: (instant, order) for instant, order in reversed(self.witness.sent)}
        confirmed = {
            name: answer
            for name, answers in self.witness.answers.items()
            for answer in answers
            if answer.was_successful()
        }
        return [Fill(*first[name], confirmed[name]) for name in dict.fromkeys(self.sent_ids) if name in confirmed]

    @property
    def sent_ids(self) -> list[str]:
        """Operation id of each time an order was sent."""
        return [order.operation_id for _, order in self.witness.sent]

    def paid_by(self, fill: Fill) -> str:
        """Key of the balance that paid the fee."""
        return fill.order.fee_key(fill.handshake.fee_currency)


def make_book(name: str, root: Path) -> Book:
    """Run one of the accountant's runs in this process."""
    request = request_of(name, root)
    config = load_request_config(request).config
    backtest = Backtest(config)
    market = load_run_market(request, backtest)
    faults = None
    if request.faults is not None:
        faults = fault_wrapper(load_fault_plan(request.faults), backtest, market, seed=request.seed)
    witnesses: list[Witness] = []

    def wrap(port: OrderPort, world: SimulatedWorld, clock: SimulatedClock) -> OrderPort:
        kind, reached = (Witness, port) if faults is None else (FaultWitness, faults(port, world, clock))
        witnesses.append(kind(reached, lambda: world.snapshot.timestamp))
        return witnesses[0]

    venues = simulated_venues(wrap, live_policy=faults is not None)
    run = run_in_memory(backtest, market, root / "memory", seed=request.seed, venues=venues)
    return Book(request, run, market, witnesses[0])
