"""What a row leaves to the next, as the tags of the nodes and the settlements of the run say."""

from dataflow.engine.inputs import RUN_START, carried_at_start
from dataflow.engine.observer import Observer
from dataflow.graph.build import Graph, Node
from dataflow.graph.state import RunState
from dataflow.journal.event_fields import Columns
from dataflow.settlement.settlements import Settlements
from schemas.decisions import DecisionRule
from schemas.units import Column


class Carry:
    """Moves the state from row to row."""

    def __init__(self, graph: Graph, observer: Observer, settlements: Settlements) -> None:
        self._market, self._groups = observer.market, observer.parameters.groups
        self._graph, self._settlements = graph, settlements
        self._each_row = _tagged(observer.nodes, "carry")
        self._on_execution = _tagged(observer.nodes, "carry_on_execution")
        self._on_entry = _tagged(observer.nodes, "carry_on_entry")

    def initial(self) -> RunState:
        """The state before the first row of a run: no balances, nothing carried."""
        carried = carried_at_start(self._graph, self._groups)
        carried[RUN_START] = float(self._market.epoch_seconds[0])
        return RunState({**carried, **self._settlements.initial()})

    def over(self, start: int, end: int, columns: Columns, state: RunState) -> RunState:
        """State after the rows from ``start`` to before ``end``, whose columns begin at ``start``."""
        return self.after(columns, end - start - 1, self._settlements.passed(start, end, columns, state))

    def after(self, columns: Columns, row: int, state: RunState) -> RunState:
        """State after one row of the columns, settled as it is."""
        carried: dict[str, float | Column] = {}
        for name, target in self._each_row.items():
            value = columns[name][row]
            carried[target] = value.copy() if value.ndim else float(value)
        return state.with_values(carried)

    def after_execution(self, rule: DecisionRule, columns: Columns, state: RunState) -> RunState:
        """State with what an executed decision resets: reference equity, entry quantity."""
        resets = {
            **(self._on_execution if rule.sets_reference else {}),
            **(self._on_entry if rule.is_entry else {}),
        }
        return state.with_values({target: float(columns[name][0]) for name, target in resets.items()})

    def costs_with(self, row: int, cost_usd: float, state: RunState) -> float:
        """Transaction costs so far (share class, <= 0) with another one, USD, > 0 is paid."""
        return float(state.values["transaction_costs_before"]) - self._market.in_share_class(row, cost_usd)


def _tagged(nodes: tuple[Node, ...], tag: str) -> dict[str, str]:
    return {node.name: node.tags[tag] for node in nodes if tag in node.tags}
