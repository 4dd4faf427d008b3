"""The decision of a row: recorded, executed, and what it leaves in the state."""

from dataflow.engine.carry import Carry
from dataflow.engine.counts import RunCounts
from dataflow.engine.decisions import Decisions
from dataflow.engine.observer import Observer
from dataflow.execution.decision import Decision, Outcome
from dataflow.execution.tight_loop import TightLoop
from dataflow.execution.trade_sizes import order_value_usd
from dataflow.graph.state import RunState
from dataflow.journal.event_fields import HOLD_REASON, RISK_LEVELS, TRIGGER
from dataflow.journal.interim import PassedBooks
from dataflow.journal.recorder import Journal
from dataflow.settlement.settlements import Settlements
from schemas.holdings import Holdings
from schemas.operations import DecisionType
from schemas.units import Column

Columns = dict[str, Column]


class Deciding:
    """Executes what the rules of a mode decide."""

    def __init__(
        self,
        decisions: Decisions,
        observer: Observer,
        carry: Carry,
        journal: Journal,
        tight_loop: TightLoop,
        settlements: Settlements,
        counts: RunCounts,
    ) -> None:
        self._decisions, self._observer, self._carry, self._journal = decisions, observer, carry, journal
        self._tight_loop, self._settlements, self._counts = tight_loop, settlements, counts
        self._market, self._groups = observer.market, observer.parameters.groups

    def hold(self, row: int, columns: Columns) -> None:
        """Record that no rule applies."""
        self._journal.execution.decision(
            self._market.texts[row],
            decision_type=DecisionType.HOLD,
            orders_generated=0,
            total_order_value_usd=0.0,
            decision_reason=HOLD_REASON,
            trigger_source=TRIGGER,
            risk_level=_risk_level(columns),
        )

    def decide(self, row: int, columns: Columns, state: RunState) -> tuple[RunState, Columns]:
        """Execute the decision of a row; the state and the columns after it."""
        decision = self._decisions.of(row, columns, state)
        self._record(decision, columns)
        before, passed = self._groups.holdings(state.values), PassedBooks()
        try:
            outcome = self._tight_loop.process_orders(decision, before, first_operation=state.operations, passed=passed)
        finally:
            self._value(row, state, passed)
        self._count(row, decision, outcome)
        return self._book(row, decision, outcome, before, state)

    def _record(self, decision: Decision, columns: Columns) -> None:
        self._journal.execution.decision(
            decision.timestamp,
            decision_type=decision.rule.decision_type,
            orders_generated=len(decision.orders),
            total_order_value_usd=sum(order_value_usd(order, decision.snapshot) for order in decision.orders),
            decision_reason=decision.rule.reason,
            trigger_source=TRIGGER,
            risk_level=_risk_level(columns),
        )

    def _value(self, row: int, state: RunState, passed: PassedBooks) -> None:
        """Say what the balances inside a decision are worth, whether or not the decision came to its end."""
        if passed.holdings:
            passed.value(self._observer.interim(row, state, passed.holdings))
            self._journal.sequencer.keep_valued()

    def _count(self, row: int, decision: Decision, outcome: Outcome) -> None:
        self._counts.decisions[decision.rule.decision_type] += 1
        self._counts.orders += outcome.attempted
        self._counts.operations_failed += outcome.failed
        self._counts.fees += self._market.in_share_class(row, outcome.fees_usd)

    def _book(
        self, row: int, decision: Decision, outcome: Outcome, before: Holdings, state: RunState
    ) -> tuple[RunState, Columns]:
        """Book the costs and set what an executed decision resets: reference equity, cooldown, entry quantity."""
        changes = {
            **self._groups.values(outcome.holdings),
            "transaction_costs_before": self._carry.costs_with(row, outcome.cost_usd, state),
        }
        if outcome.triggered_move_usd != 0.0:
            carried = float(state.values["delta_pnl_before"])
            changes["delta_pnl_before"] = carried + self._market.in_share_class(row, outcome.triggered_move_usd)
        if decision.rule.is_risk_exit:
            changes["last_risk_exit_seconds"] = float(self._market.epoch_seconds[row])
        changes |= self._settlements.traded(row, before, outcome.holdings, state)
        state = state.with_values(changes).moved(operations=state.operations + outcome.attempted)
        after = self._observer.settled(row, state, is_decided=True)
        state = self._carry.after(after, 0, state)
        if outcome.confirmed:
            state = self._carry.after_execution(decision.rule, after, state)
        return state, after


def _risk_level(columns: Columns) -> str:
    return RISK_LEVELS[int(columns["risk_level"][0])].value
