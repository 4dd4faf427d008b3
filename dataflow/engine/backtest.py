"""One backtest from configuration and market to the state after the last row; files are the caller's business."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dataflow.engine.cycle_search import cycle_search_off
from dataflow.engine.inputs import evaluations
from dataflow.engine.loop import Engine, RunCounts
from dataflow.engine.statistics import RunStatistics
from dataflow.engine.windows import CAP_ROWS, WindowPolicy
from dataflow.execution.gateway import Delivery, ExecutionPolicy
from dataflow.execution.liquidations import Liquidations
from dataflow.execution.system_clock import SYSTEM_CLOCK
from dataflow.execution.tight_loop import TightLoop
from dataflow.execution.venue_set import VenueSet, VenueSetup
from dataflow.graph.build import Graph, build_graph
from dataflow.graph.column_facts import ColumnFacts, column_facts
from dataflow.graph.executors import CheckHook, Executor, HamiltonExecutor, PlanExecutor
from dataflow.graph.inputs import Parameters, build_parameters
from dataflow.graph.market_rows import MarketRows
from dataflow.graph.prices import price_sources
from dataflow.graph.proof import prove
from dataflow.graph.risk_flags import RiskFlags
from dataflow.graph.state import RunState
from dataflow.graph.validation import CallCheck, validate_operations, validate_stage
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.recorder import Journal
from dataflow.journal.run_facts import RunFacts
from dataflow.journal.sequencer import Envelope
from dataflow.market.market import (
    CANDLE_COLUMNS,
    DUST_PRICE,
    REWARD_FEED,
    STABLE_PRICE,
    Market,
    MarketRequest,
    RewardPayout,
)
from dataflow.market.series import prediction_series
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.settlement.capital_flows import CapitalFlows, Till
from dataflow.settlement.sources import SettlementSource, StakingRewards, UnstakeClaims
from dataflow.venues.faults.report import FaultSource
from schemas.clock import Clock
from schemas.errors import AttributionError
from schemas.flows import DueFlow
from schemas.instruments import cex_key, wallet_key
from schemas.models.config import RunConfig
from schemas.models.results import EventDetail, FirstBreak
from schemas.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Column, Instants
from strategies.registry import MODES
from strategies.rules import ModeSpec

ExecutorName = Literal["plan", "hamilton"]
Validation = Literal["chunk", "every-call"]

ColumnSink = Callable[[str, Instants, Mapping[str, Column]], None]
"""Takes the validated columns of one stage of a chunk."""


@dataclass(frozen=True)
class EngineOptions:
    """How to run, none of which changes a result.

    window: fixed rows a window, None to adapt. validation: frames once a chunk, or every node call as well; the
    Hamilton executor always checks every call. events: how much the event log says of rows without a decision.
    clock: by which durations are told and a chunk is written early; the venues have their own.
    """

    executor: ExecutorName = "plan"
    window: int | None = None
    validation: Validation = "chunk"
    events: EventDetail = "every-step"
    clock: Clock = SYSTEM_CLOCK


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


class Backtest:
    """A run of one mode, ready to be given its market. spec: of a strategy that is not the registered one."""

    def __init__(
        self, config: RunConfig, options: EngineOptions | None = None, *, spec: ModeSpec | None = None
    ) -> None:
        self.config, self.options = config, options or EngineOptions()
        self.spec = spec or MODES[config.mode.mode]
        self.attribution_types = tuple(part.value for part in config.attribution_types)
        self._hook = CheckHook()
        prices = price_sources(config)
        self.graph: Graph = build_graph(
            self.spec,
            attribution_types=self.attribution_types,
            price_columns=tuple(prices.columns.values()),
            claims=config.claim is not None,
            rewards=bool(config.reward_tokens),
            loop=config.loops_leverage,
            adapters=(self._hook,) if self.options.executor == "hamilton" else (),
        )
        self.parameters: Parameters = build_parameters(config, self.spec, prices)
        asked = evaluations(self.graph, self.parameters, self.market_request().columns)
        prove(self.graph, asked, self.parameters.axes)
        self.executor = self._executor()

    def _executor(self) -> Executor:
        check = CallCheck(self.graph, self.column_axes())
        if self.options.executor == "hamilton":
            self._hook.check = check
            return HamiltonExecutor(self.graph)
        return PlanExecutor(self.graph, check if self.options.validation == "every-call" else None)

    def column_axes(self) -> dict[str, tuple[str, ...]]:
        """Labels of the second axis of every column that has one."""
        axes = {node.name: self.parameters.axes[node.axis] for node in self.graph.nodes if node.axis is not None}
        by_venue = ("spot_price", "perp_mark", "funding_rate", "funding_settled", *CANDLE_COLUMNS)
        venues = dict.fromkeys(by_venue, self.config.cex_venues)
        venues["dust_price_eth"] = self.config.reward_tokens
        venues[STABLE_PRICE] = self.parameters.axes["stable_tokens"]
        indexes = {"liquidity_index": self.config.supplied_tokens, "variable_borrow_index": self.config.borrowed_tokens}
        return {**venues, **indexes, **axes}

    def column_metadata(self) -> dict[str, ColumnFacts]:
        """Unit, sign and description of every column, for the results."""
        return column_facts(self.graph)

    def held(self, state: RunState) -> Mapping[str, float]:
        """Native units of every position key."""
        return self.parameters.groups.holdings(state.values).units

    def is_open(self, state: RunState) -> bool:
        """Whether anything but the share-class token in wallet and venues is held."""
        groups, units = self.parameters.groups, self.held(state)
        coins = () if self.spec.features["coin_margin"] else ("spot",)
        held = (*coins, "perp", "a_token", "lst", "claim", "dust")
        return any(units[key] != 0.0 for group in held for key in groups.keys.get(group, ()))

    def market_request(self) -> MarketRequest:
        """The columns that the mode needs, without a window."""
        mode = self.config.mode
        return MarketRequest(
            columns=tuple(c for c in mode.data_requirements if c != REWARD_FEED or self.config.reward_tokens),
            base_asset=self.config.base_asset,
            venues=self.config.cex_venues,
            supplied=self.config.supplied_tokens,
            borrowed=self.config.borrowed_tokens,
            lst=self.config.lst,
            fill_rules=mode.fill_rules,
            step_seconds=mode.clock_step_seconds,
            files=self._files(),
            reward_tokens=self.config.reward_tokens,
            stable_tokens=() if self.config.cex_venues else self.parameters.axes["stable_tokens"],
            required_when_used=(DUST_PRICE,) if self.config.reward_tokens else (),
            look_back_rows=1 + self.graph.look_back_hours() * SECONDS_PER_HOUR // mode.clock_step_seconds,
        )

    def deposit(self, capital: float) -> dict[str, float]:
        """Where the initial capital arrives: the wallet, in the share-class token; at the exchanges in ML modes.

        Source: [domain] 4.8.
        """
        token, allocation = self.config.mode.share_class, self.config.hedge_allocation
        if not self.spec.features["directional"]:
            return {wallet_key(token): capital}
        total = sum(allocation.values())
        return {cex_key(venue, token): capital * share / total for venue, share in allocation.items()}

    def _files(self) -> dict[str, Path]:
        """Series that the mode reads from outside the data set."""
        mode = self.config.mode
        if mode.ml_config is None or mode.ml_config.predictions_file is None or self.config.base_asset is None:
            return {}
        return {
            prediction_series(self.config.base_asset, mode.clock_step_seconds): Path(mode.ml_config.predictions_file)
        }

    def run(
        self,
        market: Market,
        *,
        capital: float,
        seed: int,
        correlation_id: str,
        pid: int,
        log: DomainEventLogger | None,
        venues: VenueSetup,
        components: ComponentLogs | None = None,
        sink: ColumnSink | None = None,
        state: RunState | None = None,
        is_final: bool = True,
        flows: tuple[DueFlow, ...] = (),
        watch_from: np.datetime64 | None = None,
        wall_clock: Callable[[], str],
        progress: Callable[[int, int], None] | None = None,
    ) -> BacktestOutcome:
        """Run the mode over the market.

        capital: share-class units, paid in on the first row of a run. state: what the partition before left, None for
        the first. is_final: whether the run ends here. venues: makes those of this run, or of this partition.
        flows: deposits and withdrawals of the whole run, whatever partition this is, as ``schedule`` gives them.
        watch_from: the first break counts from this instant on.

        Raises PlatformError; what was done before is on record.
        """
        clock = self.options.clock
        started = clock.monotonic()
        rows = MarketRows(market, self.graph, self.executor, self.parameters, self.config.lst)
        statistics = RunStatistics()
        sinking = 0.0

        def take(instants: Instants, columns: Mapping[str, Column]) -> None:
            nonlocal sinking
            begun = clock.monotonic()
            self._take(instants, columns, journal, statistics, sink)
            sinking += clock.monotonic() - begun

        made = venues.make(self.config, self.parameters, rows.snapshot(0))
        policy = self._policy(venues)
        limits = RiskFlags.of(self.graph, self.spec, self.parameters.inputs)
        watch = BreakWatch(limits, "" if watch_from is None else str(watch_from))
        journal = Journal(
            log,
            Envelope(correlation_id, pid, wall_clock),
            self._facts(rows, state, made, limits),
            components=components,
            watch=watch,
            detail=self.options.events,
            reconciliation_tolerance=policy.relative_tolerance,
        )
        engine = self._engine(
            rows,
            market.payouts,
            journal,
            take,
            policy,
            capital=capital,
            seed=seed,
            is_final=is_final,
            venues=made,
            flows=flows,
        )
        with cycle_search_off(), watch.told_by_errors():
            final = engine.run(
                state if state is not None else engine.initial_state(),
                (lambda done: progress(done, len(rows))) if progress is not None else None,
            )
        records = engine.records_seconds + sinking
        return BacktestOutcome(
            state=final,
            statistics=statistics,
            counts=engine.counts,
            errors=journal.errors.counts,
            reconciliation_failures=journal.execution.reconciliation_failures,
            liquidations=engine.counts.liquidations,
            first_break=journal.watch.first,
            engine_seconds=clock.monotonic() - started - records,
            records_seconds=records,
        )

    def _take(
        self,
        instants: Instants,
        columns: Mapping[str, Column],
        journal: Journal,
        statistics: RunStatistics,
        sink: ColumnSink | None,
    ) -> None:
        """Validate every stage of a chunk, then hand it on: nothing unchecked is written."""
        self.check_columns(instants, columns)
        validate_operations(journal.pending)
        _refuse_unreconciled(instants, columns)
        statistics.add(instants, columns)
        if sink is not None:
            for stage, chosen in self.stages_of(columns).items():
                sink(stage, instants, chosen)

    def check_columns(self, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Hold columns against the frames of their stages; raises the error of the first stage that is at fault."""
        axes = self.column_axes()
        for stage, chosen in self.stages_of(columns).items():
            validate_stage(stage, chosen, axes, instants)

    def stages_of(self, columns: Mapping[str, Column]) -> dict[str, dict[str, Column]]:
        """Columns by stage; those of the data set belong to the market."""
        by_stage: dict[str, dict[str, Column]] = {}
        for name, column in columns.items():
            node = self.graph.by_name.get(name)
            by_stage.setdefault("market" if node is None else node.stage, {})[name] = column
        return by_stage

    def _policy(self, venues: VenueSetup) -> ExecutionPolicy:
        components = self.config.mode.component_config
        if not venues.live_policy:
            return ExecutionPolicy.backtest(components.execution_manager)
        tolerance = components.position_update_handler.reconciliation_tolerance
        return ExecutionPolicy.live(components.execution_manager, tolerance)

    def _facts(self, rows: MarketRows, state: RunState | None, venues: VenueSet, limits: RiskFlags) -> RunFacts:
        return RunFacts(
            mode=self.spec.mode,
            run_start=rows.texts[0] if state is None else instant_text(state.values["run_start_seconds"]),
            groups=self.parameters.groups,
            assets=self.parameters.axes["assets"],
            attribution_types=self.attribution_types,
            position_source=venues.source,
            limits=limits,
        )

    def _engine(
        self,
        rows: MarketRows,
        payouts: Sequence[RewardPayout],
        journal: Journal,
        take: Callable[[Instants, Mapping[str, Column]], None],
        policy: ExecutionPolicy,
        *,
        capital: float,
        seed: int,
        is_final: bool,
        venues: VenueSet,
        flows: tuple[DueFlow, ...],
    ) -> Engine:
        config, clock = self.config, self.options.clock
        factors = {venue: config.venues[venue].collateral_factor or 0.0 for venue in config.cex_venues}
        if isinstance(venues.port, FaultSource):
            venues.port.report_to(journal.errors.injected)
        delivery = Delivery(venues.port, policy, venues.clock, simulated=venues.are_simulated)

        def equity_usd(row: int, state: RunState) -> float:
            return engine.equity_usd(row, state)

        engine = Engine(
            self.graph,
            self.executor,
            rows,
            self.parameters,
            journal=journal,
            tight_loop=TightLoop(
                self.executor,
                journal,
                delivery,
                venues.market,
                policy,
                clock=clock,
                seed=seed,
                collateral_factor=factors,
                allow_negative_balances=config.scenario.allow_negative_balances,
            ),
            port=delivery,
            liquidations=Liquidations(self.executor, journal, venues.liquidator, clock),
            windows=WindowPolicy(CAP_ROWS[self.options.executor], self.options.window),
            sink=take,
            check=self.check_columns,
            deposit=self.deposit(capital),
            clock=clock,
            settlements=self._settlements(rows, payouts, flows, equity_usd),
            is_final=is_final,
        )
        return engine

    def _settlements(
        self,
        rows: MarketRows,
        payouts: Sequence[RewardPayout],
        flows: tuple[DueFlow, ...],
        equity_usd: Callable[[int, RunState], float],
    ) -> tuple[SettlementSource, ...]:
        """What changes balances at known instants, in the order in which it is settled."""
        sources: list[SettlementSource] = []
        if self.config.reward_tokens:
            sources.append(StakingRewards(rows, payouts, self.config.reward_tokens))
        if self.config.claim is not None:
            delay = self.config.unstaking_period_days * SECONDS_PER_DAY
            sources.append(UnstakeClaims(rows.epoch_seconds, self.config.claim, delay))
        if flows:
            sources.append(CapitalFlows(flows, rows, self._till(), equity_usd))
        return tuple(sources)

    def _till(self) -> Till:
        strategy = self.config.mode.strategy_config
        return Till(
            shares=self.deposit(1.0),
            token=None if self.spec.features["directional"] else self.config.mode.share_class,
            can_unwind=self.config.scenario.decisions == "strategy",
            least_usd=strategy.min_trade_usd,
            is_open=self.is_open,
        )


def _refuse_unreconciled(instants: Instants, columns: Mapping[str, Column]) -> None:
    """Raise AttributionError (PNL-004) at the first row whose P&L the attribution does not explain."""
    rows = np.flatnonzero(columns["is_reconciled"] == 0.0)
    if len(rows):
        row = int(rows[0])
        instant = str(instants[row])
        raise AttributionError(
            f"the attribution leaves {columns['unexplained_pnl'][row]!r} unexplained at {instant}, over its tolerance",
            timestamp=instant,
            unexplained_pnl=float(columns["unexplained_pnl"][row]),
        )


def instant_text(epoch_seconds: float | Column) -> str:
    """The text of the logs for an instant carried in the state.

    >>> instant_text(0.0)
    '1970-01-01T00:00:00'
    """
    return str(np.datetime64(int(epoch_seconds), "s"))
