"""A mode as a run needs it: its graph, parameters and executor, from its configuration; no market and no state."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataflow.engine.inputs import evaluations
from dataflow.execution.gateway import ExecutionPolicy
from dataflow.execution.system_clock import SYSTEM_CLOCK
from dataflow.graph.build import Graph, build_graph
from dataflow.graph.column_facts import ColumnFacts, column_facts
from dataflow.graph.executors import CheckHook, Executor, HamiltonExecutor, PlanExecutor
from dataflow.graph.inputs import Parameters, build_parameters
from dataflow.graph.prices import price_sources
from dataflow.graph.proof import prove
from dataflow.graph.state import RunState
from dataflow.graph.validation import CallCheck
from dataflow.market.market import CANDLE_COLUMNS, DUST_PRICE, REWARD_FEED, STABLE_PRICE, MarketRequest
from dataflow.market.series import prediction_series
from schemas.clock import Clock
from schemas.instruments import PositionKey, cex_key, wallet_key
from schemas.models.config import RunConfig
from schemas.models.results import EventDetail
from schemas.operations import OperationType
from schemas.units import SECONDS_PER_HOUR, Column
from strategies.families import spec_of
from strategies.rules import ModeSpec

ExecutorName = Literal["plan", "hamilton"]
Validation = Literal["chunk", "every-call"]


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


class Backtest:
    """A mode that is ready to be given its market (``dataflow.engine.prepared``); nothing of it changes in a run.

    spec: of a strategy that is not its family's.
    """

    def __init__(
        self, config: RunConfig, options: EngineOptions | None = None, *, spec: ModeSpec | None = None
    ) -> None:
        self.config, self.options = config, options or EngineOptions()
        self.spec = spec or spec_of(config.mode)
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
        """Whether anything but the share-class token in wallet and venues is held, and could be traded."""
        groups, units = self.parameters.groups, self.held(state)
        coins = () if self.spec.features["coin_margin"] else ("spot",)
        held = (*coins, "perp", "a_token", "lst", "claim", "dust")
        return any(
            units[key] != 0.0 and not self._is_dust(group, key, units[key])
            for group in held
            for key in groups.keys.get(group, ())
        )

    def _is_dust(self, group: str, key_text: str, units: float) -> bool:
        """Whether a balance is less than a lot of its exchange."""
        if group != "spot":
            return False
        key = PositionKey.parse(key_text)
        rules = self.parameters.trade_rules.of(OperationType.SPOT_TRADE, key.venue, f"{key.token}USDT")
        return rules.cut(units, math.inf) == 0.0

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

    def stages_of(self, columns: Mapping[str, Column]) -> dict[str, dict[str, Column]]:
        """Columns by stage; those of the data set belong to the market."""
        by_stage: dict[str, dict[str, Column]] = {}
        for name, column in columns.items():
            node = self.graph.by_name.get(name)
            by_stage.setdefault("market" if node is None else node.stage, {})[name] = column
        return by_stage

    def policy(self, *, is_live: bool) -> ExecutionPolicy:
        """How far to go for an order: as a live session would, or once."""
        components = self.config.mode.component_config
        if not is_live:
            return ExecutionPolicy.backtest(components.execution_manager)
        tolerance = components.position_update_handler.reconciliation_tolerance
        return ExecutionPolicy.live(components.execution_manager, tolerance)
