"""What the graph says of rows: the columns of a window, of a row that is settled, of balances inside a decision.

The one place where market, state and parameters become inputs of the graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dataflow.graph.build import OBSERVE_STAGES, Graph
from dataflow.graph.executors import Executor, PlanExecutor, Values
from dataflow.graph.inputs import Parameters
from dataflow.graph.market_rows import MarketRows
from dataflow.graph.state import RunState
from schemas.holdings import Holdings
from schemas.units import Column

_SETTLED: Final = np.zeros(1)
_OPEN: Final = np.ones(1)


@dataclass(frozen=True)
class Seen:
    """The rows that were looked at last, and their columns."""

    start: int = 0
    end: int = 1
    columns: dict[str, Column] = field(default_factory=dict)


class Observer:
    """Evaluates the observe nodes of a mode over the rows of its market."""

    def __init__(self, graph: Graph, executor: Executor, market: MarketRows, parameters: Parameters) -> None:
        self.market, self.parameters = market, parameters
        self.nodes = tuple(node for node in graph.in_stages(OBSERVE_STAGES) if node.stage != "market")
        self._names = tuple(node.name for node in self.nodes)
        self._recorded = tuple(node.name for node in self.nodes if node.stage in ("exposure", "risk"))
        self._executor, self._unchecked = executor, PlanExecutor(graph)
        self._last_seen = Seen()

    @property
    def last_seen(self) -> Seen:
        """Columns of the last call, for an error that is to say what was wrong with them."""
        return self._last_seen

    def window(self, start: int, end: int, state: RunState) -> dict[str, Column]:
        """Every observe column of rows, on the assumption that nothing is traded in them."""
        rows = np.arange(state.row, state.row + end - start, dtype=np.float64)
        is_new = np.ones(end - start)
        return self._evaluate(self._names, start, end, self._known(start, end, state, rows, is_new, is_new))

    def settled(self, row: int, state: RunState, *, is_decided: bool) -> dict[str, Column]:
        """Every observe column of a row that is already settled, before or after its decision."""
        number, candle = np.array([float(state.row)]), _SETTLED if is_decided else _OPEN
        known = self._known(row, row + 1, state, number, _SETTLED, candle)
        return self._evaluate(self._names, row, row + 1, known)

    def equity_usd(self, row: int, state: RunState) -> float:
        """Equity of a row that is already settled, USD."""
        known = self._known(row, row + 1, state, np.array([float(state.row)]), _SETTLED, _SETTLED)
        return float(self._evaluate(("equity_usd",), row, row + 1, known)["equity_usd"][0])

    def interim(self, row: int, state: RunState, balances: Sequence[Holdings]) -> dict[str, Column]:
        """What balances inside a decision are worth and risk, a row each.

        No frame is held to them: frames are for rows, these are for the record.
        """
        count = len(balances)
        settled = np.zeros(count)
        known = {
            **self._known(row, row + 1, state, np.full(count, float(state.row)), settled, settled),
            **self.market.repeated(row, count),
            **self.parameters.groups.columns(balances),
            "epoch_seconds": np.full(count, self.market.epoch_seconds[row]),
        }
        values = self._unchecked.evaluate(self._recorded, known)
        return {name: values[name] for name in self._recorded}  # type: ignore[misc]  # observe nodes

    def known_at(self, row: int, columns: dict[str, Column]) -> dict[str, object]:
        """What a row that was looked at is known from, as inputs for the nodes that act on it."""
        return {**self.parameters.inputs, **self.market.between(row, row + 1), **columns}

    def _evaluate(self, names: tuple[str, ...], start: int, end: int, known: Values) -> dict[str, Column]:
        values = self._executor.evaluate(names, known)
        columns: dict[str, Column] = {name: values[name] for name in names}  # type: ignore[misc]  # observe nodes
        self._last_seen = Seen(start, end, columns)
        return columns

    def _known(
        self, start: int, end: int, state: RunState, row_number: Column, row_is_new: Column, candle_is_new: Column
    ) -> dict[str, object]:
        """Inputs of the graph. row_is_new: 1 where the row is still to be settled, else 0.

        candle_is_new: 1 where what the candle before the row did to stop and target is still to be executed, else 0.
        """
        return {
            **self.parameters.inputs,
            **self.market.between(start, end),
            **state.values,
            "row_number": row_number,
            "row_is_new": row_is_new,
            "candle_is_new": candle_is_new,
            "epoch_seconds": self.market.epoch_seconds[start:end],
        }
