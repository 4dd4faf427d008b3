"""The loop: windows of rows through the observe nodes, decisions through the tight loop, state from row to row.

Order within a row: settle what is due, let the venues liquidate, value, exposure, risk, decide, execute at the row's
prices, then value again.
Rows before the first decision of a window are committed as they are; the decision's row is evaluated once more after
execution, with nothing left to settle, and that is what is recorded.
"""

import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dataflow.engine.chunk import Chunk
from dataflow.engine.inputs import RUN_START, WITHDRAWAL, carried_at_start
from dataflow.engine.interrupts import LetThrough, held_interrupts
from dataflow.engine.windows import WindowPolicy
from dataflow.execution.liquidations import LiquidationRow, Liquidations
from dataflow.execution.tight_loop import Decision, Outcome, TightLoop
from dataflow.execution.trade_sizes import order_value_usd, within_trade_sizes
from dataflow.graph.build import EXECUTE_STAGES, OBSERVE_STAGES, Graph, Node
from dataflow.graph.executors import Executor, PlanExecutor
from dataflow.graph.inputs import Parameters
from dataflow.graph.market_rows import MarketRows
from dataflow.graph.state import RunState
from dataflow.journal.errors import HEALTH_ROWS
from dataflow.journal.event_fields import HOLD_REASON, RISK_LEVELS, TRIGGER, Columns
from dataflow.journal.interim import PassedBooks
from dataflow.journal.recorder import Journal
from dataflow.records.log.event_log import FLUSH_SECONDS
from dataflow.settlement.capital_flows import booked
from dataflow.settlement.sources import SettlementSource
from schemas.clock import Clock
from schemas.decisions import DecisionRule
from schemas.errors import CriticalEngineError, DecisionFrameError, LogError, MissingPriceError, PlatformError
from schemas.operations import DecisionType, DeltaType
from schemas.port import OrderPort
from schemas.units import Column, Instants
from strategies.registry import OUTSIDE_PACKAGE

ChunkSink = Callable[[Instants, Mapping[str, Column]], None]
"""Takes every column of a complete chunk: validates it, and writes it to the results."""

_ONE_OLD = np.zeros(1)


@dataclass
class RunCounts:
    """What happened, for the summary. Fees >= 0, in the share class, each at the price of its row."""

    windows: int = 0
    decisions: Counter[DecisionType] = field(default_factory=Counter)
    orders: int = 0
    operations_failed: int = 0
    liquidations: int = 0
    fees: float = 0.0


class Engine:
    """One run of one mode over rows that are already loaded."""

    def __init__(
        self,
        graph: Graph,
        executor: Executor,
        market: MarketRows,
        parameters: Parameters,
        *,
        journal: Journal,
        tight_loop: TightLoop,
        port: OrderPort,
        liquidations: Liquidations,
        windows: WindowPolicy,
        sink: ChunkSink,
        check: ChunkSink,
        deposit: Mapping[str, float],
        clock: Clock,
        settlements: tuple[SettlementSource, ...] = (),
        is_final: bool = True,
    ) -> None:
        self._graph, self._executor, self._market, self._parameters = graph, executor, market, parameters
        self._journal, self._tight_loop, self._port, self._liquidations = journal, tight_loop, port, liquidations
        self._check = check
        self._last_seen: tuple[int, int, Mapping[str, Column]] = (0, 1, {})
        self._windows, self._sink, self._deposit, self._is_final = windows, sink, deposit, is_final
        self._settlements = settlements
        self._nodes = tuple(node for node in graph.in_stages(OBSERVE_STAGES) if node.stage != "market")
        self._names = tuple(node.name for node in self._nodes)
        self._unchecked = PlanExecutor(graph)
        self._recorded = tuple(node.name for node in self._nodes if node.stage in ("exposure", "risk"))
        self._execution_inputs = graph.sources(EXECUTE_STAGES)
        self._carries = _tagged(self._nodes, "carry")
        self._on_execution = _tagged(self._nodes, "carry_on_execution")
        self._on_entry = _tagged(self._nodes, "carry_on_entry")
        self._rules = {rule.code: rule for rule in _rules(parameters)}
        self._chunk = self._new_chunk(0, 0)
        self._clock, self._flushed_at = clock, clock.monotonic()
        self.counts, self.records_seconds = RunCounts(), 0.0

    # -- state

    def initial_state(self) -> RunState:
        """The state before the first row of a run: empty books, nothing carried."""
        carried = carried_at_start(self._graph, self._parameters.groups)
        carried[RUN_START] = float(self._market.epoch_seconds[0])
        for source in self._settlements:
            carried |= source.initial()
        return RunState(carried)

    # -- the run

    def run(self, state: RunState, progress: Callable[[int], None] | None = None) -> RunState:
        """Process every row of the market from ``state`` on and give the state after the last.

        Whatever happens, what was committed is written; an error is recorded before it leaves. Ctrl-C waits for the
        end of a window.
        """
        with held_interrupts() as let_interrupts_through:
            return self._run(state, progress, let_interrupts_through)

    def _run(self, state: RunState, progress: Callable[[int], None] | None, let_through: LetThrough) -> RunState:
        base = state.row
        self._journal.resume(state.order, is_breached=bool(state.values["breach_before"]))
        self._chunk = self._new_chunk(0, state.order)
        row, rows = 0, len(self._market)
        try:
            while row < rows:
                done, state = self._window(row, rows, base, state)
                row += done
                if progress is not None:
                    progress(row)
                let_through()
                if self._chunk.is_full or self._clock.monotonic() - self._flushed_at >= FLUSH_SECONDS:
                    self._flush()
            self._flush()
        except (Exception, KeyboardInterrupt) as error:
            stopped = self._cause_of(error)
            self._record_stop(stopped, self._market.texts[min(row, rows - 1)])
            raise stopped from error
        return state.moved(order=self._journal.sequencer.next_order)

    def _cause_of(self, error: BaseException) -> PlatformError:
        """Why the run stops: a column that its frame refuses comes before anything that followed from it.

        A missing price says so itself: the columns that its frame would refuse follow from it.
        """
        start, end, columns = self._last_seen
        if not isinstance(error, KeyboardInterrupt | MissingPriceError):
            try:
                self._check(self._market.instants[start:end], {**self._market.between(start, end), **columns})
            except PlatformError as refused:
                return refused
        return as_platform_error(error)

    def _record_stop(self, error: PlatformError, timestamp: str) -> None:
        """Write what was done before an error, unless its frames refuse it, and then the error.

        Where the log refuses too, what could be written stands, and the error says so.
        """
        trace, first_order = traceback.format_exc(), self._chunk.first_order
        try:
            try:
                self._flush()
            except LogError:
                raise
            except PlatformError:
                self._journal.discard(first_order)
            self._journal.errors.failure(timestamp, error, trace)
            self._journal.flush(self._market.instants[:0], {}, np.zeros(0, dtype=np.bool_))
        except LogError as refused:
            error.add_note(f"not on record: {refused.one_line()}")

    def _window(self, row: int, rows: int, base: int, state: RunState) -> tuple[int, RunState]:
        """Process the next rows, up to and with the first that does not pass quietly; how many, and the state then."""
        self.counts.windows += 1
        is_start = base + row == 0
        if is_start:
            state = self._pay_in(state)
        end = self._next_settlement(row, min(rows, row + self._windows.next_rows()), state)
        if is_start or end == row:
            return 1, self._single_row(row, base, self._observe(row, row + 1, base, state), state)
        columns = self._observe(row, end, base, state)
        acts = np.flatnonzero((columns["decision"] > 0.0) | _is_liquidated(columns))
        quiet = end - row if len(acts) == 0 else int(acts[0])
        if quiet:
            kept = columns if quiet == end - row else {name: column[:quiet] for name, column in columns.items()}
            state = self._commit_quiet(row, row + quiet, base, kept, state)
        if len(acts) == 0:
            self._windows.quiet(end - row)
            return end - row, state
        self._windows.event(quiet + 1)
        return quiet + 1, self._single_row(row + quiet, base, row_of(columns, quiet), state)

    def _next_settlement(self, row: int, end: int, state: RunState) -> int:
        """First row from ``row`` on that is settled on its own; ``end`` where that is not before it."""
        for source in self._settlements:
            end = source.next_row(row, end, state)
        return end

    def _observe(self, start: int, end: int, base: int, state: RunState) -> dict[str, Column]:
        """Every observe column of the rows, on the assumption that nothing is traded in them."""
        rows = np.arange(base + start, base + end, dtype=np.float64)
        return self._evaluate(self._names, start, end, state, rows, np.ones(end - start))

    def _evaluate(
        self,
        names: tuple[str, ...],
        start: int,
        end: int,
        state: RunState,
        row_number: Column,
        row_is_new: Column,
        candle_is_new: Column | None = None,
    ) -> dict[str, Column]:
        known = self._known(start, end, state, row_number, row_is_new, candle_is_new)
        values = self._executor.evaluate(names, known)
        columns: dict[str, Column] = {name: values[name] for name in names}  # type: ignore[misc]  # observe nodes
        self._last_seen = (start, end, columns)
        return columns

    def _known(
        self,
        start: int,
        end: int,
        state: RunState,
        row_number: Column,
        row_is_new: Column,
        candle_is_new: Column | None = None,
    ) -> dict[str, object]:
        """Inputs of the graph. row_is_new: 1 where the row is still to be settled, else 0.

        candle_is_new: 1 where what the candle before the row did to stop and target is still to be executed; as
        ``row_is_new`` where it is not given.
        """
        return {
            **self._parameters.inputs,
            **self._market.between(start, end),
            **state.values,
            "row_number": row_number,
            "row_is_new": row_is_new,
            "candle_is_new": row_is_new if candle_is_new is None else candle_is_new,
            "epoch_seconds": self._market.epoch_seconds[start:end],
        }

    def _carried(self, state: RunState, columns: Columns, row: int) -> RunState:
        """State after one row of the columns."""
        carried: dict[str, float | Column] = {}
        for name, target in self._carries.items():
            value = columns[name][row]
            carried[target] = value.copy() if isinstance(value, np.ndarray) else float(value)
        return state.with_values(carried)

    def _commit_quiet(self, start: int, end: int, base: int, columns: Columns, state: RunState) -> RunState:
        is_last = self._is_final and end == len(self._market)
        state = self._passed(start, end, columns, state)
        self._journal.idle_rows.count(
            self._market.texts[start:end],
            columns,
            first_row=base + start,
            level_before=float(state.values["risk_level_before"]),
            is_last=is_last,
        )
        self._chunk.add(columns, quiet=True)
        return self._carried(state, columns, -1).moved(row=base + end, order=self._journal.sequencer.next_order)

    def _passed(self, start: int, end: int, columns: Columns, state: RunState) -> RunState:
        """The state with what settlements carry over the rows."""
        for source in self._settlements:
            state = state.with_values(source.passed(start, end, columns, state))
        return state

    # -- rows that go through the models one by one

    def _pay_in(self, state: RunState) -> RunState:
        """Initial capital, at the first row of a run."""
        groups = self._parameters.groups
        holdings = groups.holdings(state.values).applied(self._deposit.items())
        prices = self._market.key_prices(0, groups.keys)
        value_usd = sum(amount * prices[key] for key, amount in self._deposit.items())
        self._journal.errors.health(self._market.texts[0])
        self._journal.balances.settled(
            self._market.texts[0],
            DeltaType.INITIAL_CAPITAL,
            tuple(self._deposit.items()),
            holdings=holdings,
            equity_usd=value_usd,
            prices=prices,
        )
        capital = value_usd / float(self._market.columns["usd_per_share_class"][0])
        return state.with_values(
            {
                **groups.values(holdings),
                "deposited_usd": value_usd,
                "deposited_share_class": capital,
                "initial_capital": capital,
                "reference_equity": capital,
                **booked(state, float(self._market.epoch_seconds[0]), capital, 0.0),
            }
        )

    def _single_row(self, row: int, base: int, columns: Columns, state: RunState) -> RunState:
        """One row, with its decision executed if it has one."""
        timestamp, groups, number = self._market.texts[row], self._parameters.groups, base + row
        if number and number % HEALTH_ROWS == 0:
            self._journal.errors.health(timestamp)
        self._journal.balances.funding_of_row(timestamp, columns)
        state = self._passed(row, row + 1, columns, self._carried(state, columns, 0))
        if self._settlements:
            state, columns = self._settle(row, columns, state)
        if _is_liquidated(columns)[0]:
            state, columns = self._liquidate(row, columns, state)
        self._journal.balances.position(timestamp, groups.holdings(state.values), float(columns["equity_usd"][0]))
        self._journal.assessments.exposure_and_risk(timestamp, columns)
        self._journal.errors.breach_of_row(timestamp, columns)
        code = float(columns["decision"][0])
        if code == 0.0:
            self._journal.execution.decision(timestamp, **_hold_fields(columns))
            after = columns
        else:
            state, after = self._decide(row, self._rules[int(code)], columns, state)
            self._journal.errors.breach_of_row(timestamp, after)
        self._journal.assessments.pnl(timestamp, after)
        if self._is_final and row == len(self._market) - 1:
            self._journal.errors.health(timestamp)
        self._chunk.add({**after, "decision": columns["decision"]}, quiet=False)
        return state.moved(row=number + 1, order=self._journal.sequencer.next_order)

    def _settle(self, row: int, columns: Columns, state: RunState) -> tuple[RunState, Columns]:
        """Apply what is due at a row that was valued with what was held before it; the columns after it."""
        timestamp, groups, settled = self._market.texts[row], self._parameters.groups, False
        for source in self._settlements:
            while (due := source.due(row, groups.holdings(state.values), state)) is not None:
                state = state.with_values(due.changes)
                if due.refusal is not None:
                    self._journal.errors.failure(timestamp, due.refusal, due.refusal.message)
                settled = settled or due.asks_again or bool(due.deltas)
                if not due.deltas:
                    continue
                holdings = groups.holdings(state.values).applied(due.deltas)
                state = state.with_values(groups.values(holdings))
                self._journal.balances.settled(
                    timestamp,
                    due.delta_type,
                    due.deltas,
                    holdings=holdings,
                    equity_usd=self.equity_usd(row, state),
                    prices=self._market.key_prices(row, groups.keys),
                )
        if not settled:
            return state, columns
        after = self._valued_again(row, state, is_decided=False)
        return self._carried(state, after, 0), after

    def equity_usd(self, row: int, state: RunState) -> float:
        """Equity of a row that is already settled, USD."""
        number = np.array([float(state.row)])
        return float(self._evaluate(("equity_usd",), row, row + 1, state, number, _ONE_OLD)["equity_usd"][0])

    def _valued_again(self, row: int, state: RunState, *, is_decided: bool) -> dict[str, Column]:
        """Every observe column of a row that is already settled, before or after its decision."""
        number, candle = np.array([float(state.row)]), np.zeros(1) if is_decided else np.ones(1)
        return self._evaluate(self._names, row, row + 1, state, number, _ONE_OLD, candle)

    def _value(self, row: int, state: RunState, passed: PassedBooks) -> None:
        """Say what the books of a decision are worth, and record them, whether or not the decision came to its end.

        No frame is held to them: frames are for rows, these are for the record.
        """
        books = passed.holdings
        if not books:
            return
        rows = len(books)
        known = {
            **self._known(row, row + 1, state, np.full(rows, float(state.row)), np.zeros(rows)),
            **self._market.repeated(row, rows),
            **self._parameters.groups.columns(books),
            "epoch_seconds": np.full(rows, self._market.epoch_seconds[row]),
        }
        values = self._unchecked.evaluate(self._recorded, known)
        passed.value({name: values[name] for name in self._recorded})  # type: ignore[misc]  # observe nodes
        self._journal.sequencer.keep_valued()

    def _liquidate(self, row: int, columns: Columns, state: RunState) -> tuple[RunState, Columns]:
        """What the venues take before the decision of a settled row; the state and the columns after it."""
        timestamp, groups = self._market.texts[row], self._parameters.groups
        holdings = groups.holdings(state.values)
        place = LiquidationRow(
            timestamp,
            self._market.snapshot(row),
            self._market.key_prices(row, groups.keys),
            {**self._parameters.inputs, **self._market.between(row, row + 1), **columns},
            spared=self._closed_inside_candle(columns),
        )
        taken = self._liquidations.taken(place, holdings)
        if not taken:
            return state, columns
        self._journal.balances.position(timestamp, holdings, float(columns["equity_usd"][0]))
        self._journal.assessments.exposure_and_risk(timestamp, columns)
        self._journal.errors.breach_of_row(timestamp, columns)
        before = holdings
        holdings = self._liquidations.booked(
            place, taken, before, lambda books: self.equity_usd(row, state.with_values(groups.values(books)))
        )
        self.counts.liquidations += len(taken)
        self.counts.fees += self._in_share_class(row, sum(liquidation.fees_usd for liquidation in taken))
        cost = sum(liquidation.cost_usd for liquidation in taken)
        instant = float(self._market.epoch_seconds[row])
        changes = {
            **groups.values(holdings),
            "transaction_costs_before": self._with_cost(row, state, cost),
            "last_risk_exit_seconds": instant,
            "last_liquidation_seconds": instant,
        }
        for source in self._settlements:
            changes |= source.traded(row, before, holdings, state)
        state = state.with_values(changes)
        after = self._valued_again(row, state, is_decided=False)
        return self._carried(state, after, 0), after

    def _closed_inside_candle(self, columns: Columns) -> tuple[str, ...]:
        """Venues whose position its stop or target closed before the row, although that is booked with the decision."""
        if "level_touched" not in columns:
            return ()
        venues = self._parameters.axes["venues"]
        return tuple(v for v, touched in zip(venues, columns["level_touched"][0].tolist(), strict=True) if touched)

    def _with_cost(self, row: int, state: RunState, cost_usd: float) -> float:
        """Transaction costs so far (share class, <= 0) with another one, USD, > 0 is paid."""
        return float(state.values["transaction_costs_before"]) - self._in_share_class(row, cost_usd)

    def _in_share_class(self, row: int, usd: float) -> float:
        """USD at the price of a row, share-class units."""
        return usd / float(self._market.columns["usd_per_share_class"][row])

    def _decide(
        self, row: int, rule: DecisionRule, columns: Columns, state: RunState
    ) -> tuple[RunState, dict[str, Column]]:
        """Execute the decision of a row; the state and the columns after it."""
        decision = self._decision(row, rule, columns, state)
        self._record_decision(decision, columns)
        passed = PassedBooks()
        try:
            outcome = self._tight_loop.process_orders(
                decision,
                self._parameters.groups.holdings(state.values),
                first_operation=state.operations,
                passed=passed,
            )
        finally:
            self._value(row, state, passed)
        self._count(row, rule, outcome)
        return self._settle_decision(row, rule, outcome, state)

    def _settle_decision(
        self, row: int, rule: DecisionRule, outcome: Outcome, state: RunState
    ) -> tuple[RunState, dict[str, Column]]:
        """Book the costs and set what an executed decision resets: reference equity, cooldown, entry quantity."""
        costs = self._with_cost(row, state, outcome.cost_usd)
        changes = {**self._parameters.groups.values(outcome.holdings), "transaction_costs_before": costs}
        if outcome.triggered_move_usd != 0.0:
            held = float(state.values["delta_pnl_before"])
            changes["delta_pnl_before"] = held + self._in_share_class(row, outcome.triggered_move_usd)
        if rule.is_risk_exit:
            changes["last_risk_exit_seconds"] = float(self._market.epoch_seconds[row])
        before = self._parameters.groups.holdings(state.values) if self._settlements else outcome.holdings
        for source in self._settlements:
            changes |= source.traded(row, before, outcome.holdings, state)
        state = state.with_values(changes).moved(operations=state.operations + outcome.attempted)
        after = self._valued_again(row, state, is_decided=True)
        state = self._carried(state, after, 0)
        if outcome.confirmed:
            resets = {
                **(self._on_execution if rule.sets_reference else {}),
                **(self._on_entry if rule.is_entry else {}),
            }
            state = state.with_values({target: float(after[name][0]) for name, target in resets.items()})
        return state, after

    def _decision(self, row: int, rule: DecisionRule, columns: Columns, state: RunState) -> Decision:
        snapshot = self._market.snapshot(row)
        known = {
            **self._parameters.inputs,
            **self._market.between(row, row + 1),
            **columns,
            WITHDRAWAL: state.values[WITHDRAWAL],
            "venue_port": self._port,
        }
        asked = self._executor.evaluate(["orders"], known)["orders"]
        assert isinstance(asked, list)
        orders = within_trade_sizes(asked, snapshot, self._parameters.largest_trade_usd)
        return Decision(
            timestamp=self._market.texts[row],
            rule=rule,
            orders=orders,
            snapshot=snapshot,
            prices=self._market.key_prices(row, self._parameters.groups.keys),
            known={**{name: known[name] for name in self._execution_inputs if name in known}, "orders": orders},
        )

    def _record_decision(self, decision: Decision, columns: Columns) -> None:
        self._journal.execution.decision(
            decision.timestamp,
            decision_type=decision.rule.decision_type,
            orders_generated=len(decision.orders),
            total_order_value_usd=sum(order_value_usd(order, decision.snapshot) for order in decision.orders),
            decision_reason=decision.rule.reason,
            trigger_source=TRIGGER,
            risk_level=_risk_level(columns),
        )

    def _count(self, row: int, rule: DecisionRule, outcome: Outcome) -> None:
        self.counts.decisions[rule.decision_type] += 1
        self.counts.orders += outcome.attempted
        self.counts.operations_failed += outcome.failed
        self.counts.fees += self._in_share_class(row, outcome.fees_usd)

    def _new_chunk(self, first_row: int, first_order: int) -> Chunk:
        rows_left = len(self._market) - first_row
        return Chunk(first_row, first_order, rows_left=rows_left, window_rows_max=self._windows.rows_max)

    def _flush(self) -> None:
        chunk = self._chunk
        start, end = chunk.first_row, chunk.first_row + chunk.rows
        instants, columns = self._market.instants[start:end], self._market.between(start, end)
        columns |= chunk.columns
        if chunk.rows:
            self._sink(instants, columns)
        started = self._clock.monotonic()
        self._journal.flush(instants, columns, chunk.quiet)
        self.records_seconds += self._clock.monotonic() - started
        self._chunk = self._new_chunk(end, self._journal.sequencer.next_order)
        self._flushed_at = self._clock.monotonic()


def as_platform_error(error: BaseException) -> PlatformError:
    """The error itself where it has a code.

    A stop by the user, or a fault of ours, as ENGINE-004; a fault inside a strategy that is not ours as STRAT-001.
    """
    if isinstance(error, PlatformError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CriticalEngineError("interrupted; the logs hold what was done, run again for results")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        module = sys.modules.get(f"{OUTSIDE_PACKAGE}.{Path(frame.filename).stem}")
        if module is not None and module.__file__ == frame.filename:
            return DecisionFrameError(
                f"strategy module {frame.filename}, line {frame.lineno}, in {frame.name}: "
                f"{type(error).__name__}: {error}",
                file=frame.filename,
                line=frame.lineno,
                node=frame.name,
            )
    return CriticalEngineError(f"{type(error).__name__}: {error}; this is a fault of the program, please report it")


def _tagged(nodes: tuple[Node, ...], tag: str) -> dict[str, str]:
    return {node.name: node.tags[tag] for node in nodes if tag in node.tags}


def _rules(parameters: Parameters) -> tuple[DecisionRule, ...]:
    rules = parameters.inputs["rules"]
    assert isinstance(rules, tuple)
    return rules


def _is_liquidated(columns: Columns) -> npt.NDArray[np.bool_]:
    """Whether each row is one at which a venue may act on its own."""
    if "liquidation_due" in columns:
        return columns["liquidation_due"] > 0.0
    return np.zeros(len(columns["decision"]), dtype=np.bool_)


def row_of(columns: Columns, row: int) -> dict[str, Column]:
    """One row of every column, keeping the first axis."""
    return {name: column[row : row + 1] for name, column in columns.items()}


def _risk_level(columns: Columns) -> str:
    return RISK_LEVELS[int(columns["risk_level"][0])].value


def _hold_fields(columns: Columns) -> dict[str, object]:
    return {
        "decision_type": DecisionType.HOLD,
        "orders_generated": 0,
        "total_order_value_usd": 0.0,
        "decision_reason": HOLD_REASON,
        "trigger_source": TRIGGER,
        "risk_level": _risk_level(columns),
    }
