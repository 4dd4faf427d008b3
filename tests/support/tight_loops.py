"""A tight loop on simulated venues without a run around it: any holdings, any orders, at one instant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from dataflow.execution.balance_rules import AnyBalance, BalanceRule, MarginLoans, ShortPerpetuals
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
from dataflow.maths.costs import CostModel
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.venues.port import Venue
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.pool import LendingTerms
from dataflow.venues.simulated.router import SimulatedPort
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.decisions import DecisionRule
from schemas.errors import PlatformError
from schemas.holdings import Holdings
from schemas.intents import OrderIntent
from schemas.models.config_blocks import ExecutionManagerConfig
from schemas.operations import DecisionType, PositionSource, StrategyIntent
from schemas.port import OrderPort
from schemas.snapshot import MarketSnapshot
from schemas.units import Column
from tests.support.catalogue import CATALOGUE
from tests.support.runs import CORRELATION_ID, PID, Event, prepared, read_lines

TIMESTAMP: Final = "2024-05-12T00:00:00"
RULE: Final = DecisionRule(1, "test", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
FACTS: Final = RunFacts("test", TIMESTAMP, PositionGroups({}), ("ETH",), (), PositionSource.SIMULATED, RiskFlags())


def _unvalued(rows: int) -> dict[str, Column]:
    """Exposure and risk of books that nobody values: what these tests are about is units, not values."""
    zeros, table = np.zeros(rows), np.zeros((rows, 1))
    return {
        **dict.fromkeys(("asset_quantity", "asset_value_usd", "asset_share"), table),
        **dict.fromkeys(("net_delta_usd", "equity_usd", "equity_share_class", "ltv", "margin_usage"), zeros),
        **dict.fromkeys(("risk_score", "risk_level", "breach_detected", "risk_warning"), zeros),
        "health_factor": np.full(rows, 999.0),
        "liquidation_threshold": np.full(rows, 0.95),
    }


@dataclass
class Bench:
    """A tight loop, its simulated world, and the events it wrote.

    wrap: put between the engine and its venues. wrap_venue: put between the router and each venue.
    """

    log_dir: Path
    snapshot: MarketSnapshot
    holdings: Holdings
    venues: Sequence[str]
    costs: CostModel = field(default_factory=CostModel.free)
    lending: LendingTerms = field(default_factory=LendingTerms)
    wrap: Callable[[OrderPort], OrderPort] | None = None
    wrap_venue: Callable[[Venue, SimulatedWorld], Venue] | None = None
    allow_negative_balances: bool = False

    def __post_init__(self) -> None:
        self.world = SimulatedWorld(
            self.costs, self.allow_negative_balances, self.snapshot, self.holdings, self.lending
        )
        wrap_venue, clock = self.wrap_venue, SimulatedClock(lambda: self.world.instant)
        port: OrderPort = SimulatedPort(
            self.world,
            CATALOGUE,
            self.venues,
            None if wrap_venue is None else lambda venue: wrap_venue(venue, self.world),
        )
        policy = ExecutionPolicy.backtest(ExecutionManagerConfig())
        self.delivery = Delivery(
            port if self.wrap is None else self.wrap(port),
            policy,
            clock,
            simulated=True,
        )
        self._policy = policy
        self.error: PlatformError | None = None

    def process(self, orders: Sequence[OrderIntent], *, first_operation: int = 0) -> Outcome | None:
        """Execute one decision; None where it stopped the run, whose error is then in ``error`` and on record."""
        with DomainEventLogger(self.log_dir, CORRELATION_ID, PID) as log:
            journal = Journal(log, Envelope(CORRELATION_ID, PID, log.real_utc_time), FACTS)
            loop = TightLoop.over(
                prepared("pure_lending_eth").executor,
                journal,
                self.delivery,
                self.world,
                self._policy,
                clock=SYSTEM_CLOCK,
                seed=7,
                rules=(AnyBalance(),) if self.allow_negative_balances else self._rules(),
            )
            outcome, passed = None, PassedBooks()
            try:
                outcome = loop.process_orders(
                    self._decision(orders), self.holdings, first_operation=first_operation, passed=passed
                )
            except PlatformError as error:
                self.error = error
                journal.errors.failure(TIMESTAMP, error, "stopped")
            passed.value(_unvalued(len(passed.holdings)))
            journal.sequencer.keep_valued()
            journal.flush(np.zeros(0, dtype="datetime64[s]"), {}, np.zeros(0, dtype=np.bool_))
        return outcome

    def _rules(self) -> tuple[BalanceRule, ...]:
        return ShortPerpetuals(), MarginLoans("USDT", dict.fromkeys(self.venues, 0.95))

    def _decision(self, orders: Sequence[OrderIntent]) -> Decision:
        known = {"orders": list(orders), "costs": self.costs, "mode": "test"}
        return Decision(
            timestamp=TIMESTAMP,
            rule=RULE,
            orders=list(orders),
            snapshot=self.snapshot,
            prices=dict.fromkeys(self.holdings.units, 1.0),
            known=known,
        )

    def events(self, name: str) -> list[Event]:
        """Parsed lines of one event file."""
        return [orjson.loads(line) for line in read_lines(self.log_dir)[name]]
