"""A desk: the tight loop of the engine with simulated venues behind it, at one instant, for orders given by hand.

Everything is the engine's own but two things: the market is one snapshot, and the valuation of the books is the sum of
units times the prices given, since no mode's graph values them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from dataflow.execution.balance_rules import MarginLoans, ShortPerpetuals
from dataflow.execution.decision import Decision, Outcome
from dataflow.execution.gateway import Delivery, ExecutionPolicy
from dataflow.execution.system_clock import SYSTEM_CLOCK
from dataflow.execution.tight_loop import TightLoop
from dataflow.graph.risk_flags import RiskFlags
from dataflow.graph.state import PositionGroups
from dataflow.journal.interim import PassedBooks
from dataflow.journal.recorder import Journal
from dataflow.journal.run_facts import RunFacts
from dataflow.journal.sequencer import Envelope
from dataflow.maths.costs import CostModel, Slippage
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.router import SimulatedPort
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.decisions import DecisionRule
from schemas.holdings import Holdings
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import DecisionType, PositionSource, StrategyIntent
from schemas.port import OrderPort
from schemas.snapshot import MarketSnapshot
from schemas.units import NOT_APPLICABLE, Column
from tests.support.catalogue import CATALOGUE
from tests.support.lending import lending_terms
from tests.support.prices import token_prices
from tests.support.runs import CORRELATION_ID, PID, Event, prepared, read_lines

TIMESTAMP = "2024-05-12T00:00:00"
RULE = DecisionRule(1, "by_hand", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
FACTS = RunFacts("btc_basis", TIMESTAMP, PositionGroups({}), ("USDT",), (), PositionSource.SIMULATED, RiskFlags())
SEED = 7

BACKTEST = ExecutionPolicy(0, 0.0, 30.0, 10.0, 120.0, 1e-9, 0.0)
LIVE = ExecutionPolicy(3, 0.1, 30.0, 10.0, 120.0, 0.01, 1e-9)

SNAPSHOT = MarketSnapshot(
    timestamp=TIMESTAMP,
    prices=token_prices(3_000.0, weETH=1.03816),
    gas_unit_usd=3e-5,
    base_asset="BTC",
    spot_price={"binance": 60_000.0, "okx": 60_010.0},
    perp_mark={"binance": 60_030.0, "okx": 60_020.0},
    liquidity_index={"USDT": 1.066714, "weETH": 1.0002},
    variable_borrow_index={"WETH": 1.05},
    lst_oracle_ratio={"weETH": 1.03816},
    lst_market_ratio={"weETH": 1.036},
)

COSTS = CostModel(
    taker_fee={
        ("spot", "binance"): 0.001,
        ("spot", "okx"): 0.001,
        ("perp", "binance"): 0.0005,
        ("perp", "okx"): 0.0005,
    },
    slippage_by_pair={
        ("spot", "binance", "BTCUSDT"): Slippage((5.0, 7.0, 13.0), (50_000.0, 500_000.0)),
        ("spot", "okx", "BTCUSDT"): Slippage((5.0, 7.0, 13.0), (50_000.0, 500_000.0)),
        ("perp", "binance", "BTCUSDT"): Slippage((3.0, 4.0, 8.0), (50_000.0, 500_000.0)),
        ("perp", "okx", "BTCUSDT"): Slippage((3.0, 4.0, 8.0), (50_000.0, 500_000.0)),
        ("swap", "uniswap", "weETHWETH"): Slippage((20.0, 24.0, 35.0), (50_000.0, 500_000.0)),
    },
    gas_units={"supply": 250_000.0, "withdraw": 220_000.0, "transfer": 100_000.0, "atomic_entry": 1_250_000.0},
    gas_charged=True,
)

USD_PER_UNIT: Mapping[str, float] = {"USDT": 1.0, "BTC": 60_000.0, "ETH": 3_000.0, "WETH": 3_000.0, "weETH": 3_114.48}
"""Rough prices of what the desk holds, for values in events."""


def _rough_values(books: Sequence[Holdings], prices: Mapping[str, float]) -> dict[str, Column]:
    """What the exposure and risk events show, at rough prices and without perpetuals; risk is that of no debt."""
    equity = np.array(
        [sum(units * prices[key] for key, units in held.units.items() if ":PerpPosition:" not in key) for held in books]
    )
    zero, none = np.zeros(len(books)), np.full(len(books), NOT_APPLICABLE)
    return {
        "net_delta_usd": zero,
        "equity_usd": equity,
        "equity_share_class": equity,
        "asset_quantity": equity[:, None],
        "asset_value_usd": equity[:, None],
        "asset_share": np.ones((len(books), 1)),
        "health_factor": none,
        "ltv": zero,
        "liquidation_threshold": none,
        "margin_usage": zero,
        "risk_score": zero,
        "risk_level": zero,
        "risk_warning": zero,
        "breach_detected": zero,
    }


COLLATERAL: Final = {"binance": 0.95, "okx": 0.95}
"""Share of the value of coins that backs perpetuals and loans."""

PortWrapper = Callable[[OrderPort, SimulatedWorld], OrderPort]


@dataclass
class Desk:
    """Holdings, simulated venues and a tight loop over them."""

    log_dir: Path
    units: Mapping[str, float]
    entry_price: Mapping[str, float] = field(default_factory=dict)
    costs: CostModel = COSTS
    policy: ExecutionPolicy = BACKTEST
    wrap: PortWrapper | None = None
    venues: Sequence[str] = tuple(CATALOGUE.venues)

    def __post_init__(self) -> None:
        perps = [key for key in self.units if ":PerpPosition:" in key]
        entries = {key: self.entry_price.get(key, 0.0) for key in perps}
        self.holdings = Holdings(dict(self.units), entries)
        self.world = SimulatedWorld(
            self.costs,
            False,
            SNAPSHOT,
            self.holdings,
            lending_terms(USDT=0.78, weETH=0.8),
            collateral_factor=COLLATERAL,
        )
        self.clock = SimulatedClock(lambda: self.world.instant)
        port: OrderPort = SimulatedPort(self.world, CATALOGUE, self.venues)
        reached = port if self.wrap is None else self.wrap(port, self.world)
        self.delivery = Delivery(reached, self.policy, self.clock, simulated=True)
        self.operations = 0

    @property
    def prices(self) -> dict[str, float]:
        """USD a unit of each key held."""
        return {key: _price(key) for key in self.units}

    def process(self, intents: Sequence[OrderIntent]) -> Outcome:
        """Execute the orders of one decision; what happened is on disk afterwards, even where the run must stop."""
        with DomainEventLogger(self.log_dir, CORRELATION_ID, PID) as log:
            journal = Journal(log, Envelope(CORRELATION_ID, PID, log.real_utc_time), FACTS)
            try:
                return self._process(intents, journal)
            finally:
                for event in journal.pending:
                    log.log(event)

    def _process(self, intents: Sequence[OrderIntent], journal: Journal) -> Outcome:
        backtest = prepared("btc_basis")
        loop = TightLoop.over(
            backtest.executor,
            journal,
            self.delivery,
            self.world,
            self.policy,
            clock=SYSTEM_CLOCK,
            seed=SEED,
            rules=(ShortPerpetuals(), MarginLoans("USDT", COLLATERAL)),
        )
        known = {
            **backtest.parameters.inputs,
            "costs": self.costs,
            "orders": list(intents),
        }
        decision = Decision(TIMESTAMP, RULE, list(intents), SNAPSHOT, self.prices, known)
        passed = PassedBooks()
        try:
            outcome = loop.process_orders(decision, self.holdings, first_operation=self.operations, passed=passed)
        finally:
            passed.value(_rough_values(passed.holdings, self.prices))
            journal.sequencer.keep_valued()
        self.holdings = outcome.holdings
        self.operations += outcome.attempted
        return outcome

    def events(self, name: str) -> list[Event]:
        """Parsed lines of one event file."""
        return parsed(self.log_dir, name)

    def told(self) -> list[str]:
        """Names of the event files in the order in which their events happened."""
        numbered = [
            (int(str(event["order"])), name) for name in read_lines(self.log_dir) for event in self.events(name)
        ]
        return [name for _, name in sorted(numbered)]


@dataclass
class Through:
    """A port that passes everything on; a faulty venue overrides what it does differently."""

    port: OrderPort
    world: SimulatedWorld

    def execute(self, order: Order) -> ExecutionHandshake:
        """Pass an order on."""
        return self.port.execute(order)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Pass a group on."""
        return self.port.execute_group(orders)

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """Pass a look-up on."""
        return self.port.find(operation_id, venue)

    def cancel(self, operation_id: str, venue: str) -> None:
        """Pass a cancellation on."""
        self.port.cancel(operation_id, venue)

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Pass the balances on."""
        return self.port.balances(venues)


def parsed(log_dir: Path, name: str) -> list[Event]:
    """Parsed lines of one event file of a log."""
    return [orjson.loads(line) for line in read_lines(log_dir)[name]]


def _price(key: str) -> float:
    _, kind, token = key.split(":")
    if kind == "PerpPosition":
        return USD_PER_UNIT[token.removesuffix("-PERP")]
    if kind == "aToken":
        underlying = token.removeprefix("a")
        return USD_PER_UNIT[underlying] * SNAPSHOT.liquidity_index[underlying]
    if kind == "debtToken":
        underlying = token.removeprefix("debt")
        return USD_PER_UNIT[underlying] * SNAPSHOT.variable_borrow_index[underlying]
    return USD_PER_UNIT[token]
