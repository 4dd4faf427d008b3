"""From a row with a rule to the decision that is executed: the rule, its orders, and what they are known from."""

from dataflow.engine.inputs import WITHDRAWAL
from dataflow.engine.observer import Observer
from dataflow.execution.decision import ORDERS, Decision, checked_intents
from dataflow.execution.trade_sizes import within_trade_sizes
from dataflow.graph.build import EXECUTE_STAGES, Graph
from dataflow.graph.executors import Executor, value_of
from dataflow.graph.state import RunState
from schemas.decisions import DecisionRule
from schemas.units import Column


class Decisions:
    """Asks the graph for the orders of a row's rule."""

    def __init__(self, graph: Graph, executor: Executor, observer: Observer, rules: tuple[DecisionRule, ...]) -> None:
        self._executor, self._observer = executor, observer
        self._rules = {rule.code: rule for rule in rules}
        self._execution_inputs = graph.sources(EXECUTE_STAGES)

    def of(self, row: int, columns: dict[str, Column], state: RunState) -> Decision:
        """The decision of a row whose columns name a rule."""
        market, parameters = self._observer.market, self._observer.parameters
        snapshot = market.snapshot(row)
        known = {
            **self._observer.known_at(row, columns),
            WITHDRAWAL: state.values[WITHDRAWAL],
        }
        asked = checked_intents(value_of(self._executor, ORDERS, known))
        held = parameters.groups.holdings(state.values).units
        orders = within_trade_sizes(asked, snapshot, parameters.largest_trade_usd, parameters.trade_rules, held)
        return Decision(
            timestamp=market.texts[row],
            rule=self._rules[int(columns["decision"][0])],
            orders=orders,
            snapshot=snapshot,
            prices=market.key_prices(row, parameters.groups.keys),
            known={**{name: known[name] for name in self._execution_inputs if name in known}, "orders": orders},
        )
