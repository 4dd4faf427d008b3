"""One backtest, put together: a mode, its market, the venues and records of a run, to the state after the last row.

Market and graph are made once and serve any number of runs; whatever changes in a run is made anew for it, so two runs
share nothing that either could change. Files are the caller's business.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dataflow.engine.backtest import Backtest
from dataflow.engine.carry import Carry
from dataflow.engine.checked_columns import CheckedColumns
from dataflow.engine.chunk_writer import ChunkSink, ChunkWriter
from dataflow.engine.counts import RunCounts
from dataflow.engine.cycle_search import cycle_search_off
from dataflow.engine.deciding import Deciding
from dataflow.engine.decisions import Decisions
from dataflow.engine.loop import WindowLoop
from dataflow.engine.observer import Observer
from dataflow.engine.requests import Recording, RunRequest
from dataflow.engine.settling import Settling
from dataflow.engine.statistics import RunStatistics
from dataflow.engine.step import Step
from dataflow.engine.windows import CAP_ROWS, WindowPolicy
from dataflow.execution.balance_rules import AnyBalance, BalanceRule, MarginLoans, ShortPerpetuals
from dataflow.execution.gateway import Delivery, ExecutionPolicy
from dataflow.execution.liquidations import Liquidations
from dataflow.execution.tight_loop import TightLoop
from dataflow.execution.venue_set import VenueSet
from dataflow.graph.market_rows import MarketRows
from dataflow.graph.risk_flags import RiskFlags
from dataflow.graph.state import RunState
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.recorder import Journal
from dataflow.journal.run_facts import RunFacts
from dataflow.market.market import Market
from dataflow.settlement.capital_flows import CapitalFlows, Till
from dataflow.settlement.settlements import Settlements
from dataflow.settlement.sources import SettlementSource, StakingRewards, UnstakeClaims
from dataflow.venues.faults.report import FaultSource
from schemas.flows import DueFlow
from schemas.models.results import FirstBreak
from schemas.units import SECONDS_PER_DAY, Column


@dataclass(frozen=True)
class BacktestOutcome:
    """What a run gives beside its records."""

    state: RunState
    statistics: RunStatistics
    counts: RunCounts
    errors: Mapping[str, int]
    reconciliation_failures: int
    liquidations: int
    first_break: FirstBreak | None
    engine_seconds: float
    records_seconds: float


class PreparedBacktest:
    """A mode and its market, whose nodes are evaluated: ready to run."""

    def __init__(self, backtest: Backtest, market: Market) -> None:
        self._backtest, self._clock, self._payouts = backtest, backtest.options.clock, market.payouts
        started = self._clock.monotonic()
        self._rows = MarketRows(market, backtest.graph, backtest.executor, backtest.parameters, backtest.config.lst)
        self._seconds = self._clock.monotonic() - started

    def run(
        self, request: RunRequest, recording: Recording, progress: Callable[[int, int], None] | None = None
    ) -> BacktestOutcome:
        """Run the mode over the market. progress: told rows done and rows in all.

        Raises PlatformError; what was done before is on record.
        """
        backtest, rows = self._backtest, self._rows
        started = self._clock.monotonic() - self._seconds
        venues = request.venues.make(backtest.config, backtest.parameters, rows.snapshot(0))
        policy = backtest.policy(is_live=request.venues.live_policy)
        watch_from = "" if request.watch_from is None else str(request.watch_from)
        limits = RiskFlags.of(backtest.graph, backtest.spec, backtest.parameters.inputs)
        watch = BreakWatch(limits, watch_from)
        journal = Journal(
            recording.log,
            recording.envelope,
            self._facts(request.state, venues, limits),
            components=recording.components,
            watch=watch,
            detail=backtest.options.events,
            reconciliation_tolerance=policy.relative_tolerance,
        )
        sink, counts = CheckedColumns(backtest, journal, recording.sink), RunCounts()
        loop = self._loop(request, journal, venues, policy, sink, counts)
        with cycle_search_off(), watch.told_by_errors():
            final = loop.run(
                request.state,
                is_final=request.is_final,
                progress=None if progress is None else lambda done: progress(done, len(rows)),
            )
        return BacktestOutcome(
            state=final,
            statistics=sink.statistics,
            counts=counts,
            errors=journal.errors.counts,
            reconciliation_failures=journal.execution.reconciliation_failures,
            liquidations=counts.liquidations,
            first_break=watch.first,
            engine_seconds=self._clock.monotonic() - started - loop.records_seconds,
            records_seconds=loop.records_seconds,
        )

    def _facts(self, state: RunState | None, venues: VenueSet, limits: RiskFlags) -> RunFacts:
        backtest = self._backtest
        return RunFacts(
            mode=backtest.spec.mode,
            run_start=self._rows.texts[0] if state is None else instant_text(state.values["run_start_seconds"]),
            groups=backtest.parameters.groups,
            assets=backtest.parameters.axes["assets"],
            attribution_types=backtest.attribution_types,
            position_source=venues.source,
            limits=limits,
        )

    def _loop(
        self,
        request: RunRequest,
        journal: Journal,
        venues: VenueSet,
        policy: ExecutionPolicy,
        sink: ChunkSink,
        counts: RunCounts,
    ) -> WindowLoop:
        backtest = self._backtest
        executor, clock = backtest.executor, self._clock
        observer = Observer(backtest.graph, executor, self._rows, backtest.parameters)
        settlements = self._settlements(request.flows, observer)
        carry = Carry(backtest.graph, observer, settlements)
        if isinstance(venues.port, FaultSource):
            venues.port.report_to(journal.errors.injected)
        delivery = Delivery(venues.port, policy, venues.clock, simulated=venues.are_simulated)
        tight_loop = TightLoop.over(
            executor,
            journal,
            delivery,
            venues.market,
            policy,
            clock=clock,
            seed=request.seed,
            rules=self._balance_rules(),
        )
        liquidations = Liquidations(executor, journal, venues.liquidator, clock)
        deposit = backtest.deposit(request.capital)
        settling = Settling(observer, carry, journal, settlements, liquidations, deposit, counts)
        decisions = Decisions(backtest.graph, executor, observer, backtest.spec.rules)
        deciding = Deciding(decisions, observer, carry, journal, tight_loop, settlements, counts)
        step = Step(observer, carry, journal, settlements, settling, deciding)
        windows = WindowPolicy(CAP_ROWS[backtest.options.executor], backtest.options.window)
        writer = ChunkWriter(
            self._rows,
            journal,
            sink,
            clock,
            first_order=0 if request.state is None else request.state.order,
            window_rows_max=windows.rows_max,
        )
        return WindowLoop(observer, carry, step, journal, writer, windows, counts)

    def _balance_rules(self) -> tuple[BalanceRule, ...]:
        """Which balances of the run may be negative."""
        config = self._backtest.config
        if config.scenario.allow_negative_balances:
            return (AnyBalance(),)
        factors = {venue: config.venues[venue].collateral_factor or 0.0 for venue in config.cex_venues}
        return ShortPerpetuals(), MarginLoans("USDT", factors)

    def _settlements(self, flows: tuple[DueFlow, ...], observer: Observer) -> Settlements:
        """What changes balances at known instants, in the order in which it is settled."""
        config, rows = self._backtest.config, self._rows
        sources: list[SettlementSource] = []
        if config.reward_tokens:
            sources.append(StakingRewards(rows, self._payouts, config.reward_tokens))
        if config.claim is not None:
            delay = config.unstaking_period_days * SECONDS_PER_DAY
            sources.append(UnstakeClaims(rows.epoch_seconds, config.claim, delay))
        if flows:
            sources.append(CapitalFlows(flows, rows, self._till(), observer.equity_usd))
        return Settlements(sources, self._backtest.parameters.groups)

    def _till(self) -> Till:
        backtest = self._backtest
        mode = backtest.config.mode
        return Till(
            shares=backtest.deposit(1.0),
            token=None if backtest.spec.features["directional"] else mode.share_class,
            can_unwind=backtest.config.scenario.decisions == "strategy",
            least_usd=mode.strategy_config.min_trade_usd,
            is_open=backtest.is_open,
        )


def instant_text(epoch_seconds: float | Column) -> str:
    """The text of the logs for an instant carried in the state.

    >>> instant_text(0.0)
    '1970-01-01T00:00:00'
    """
    return str(np.datetime64(int(epoch_seconds), "s"))
