"""All settlement sources of a run as one, in the order in which they are settled."""

from collections.abc import Sequence

from dataflow.graph.state import PositionGroups, RunState
from dataflow.journal.event_fields import Columns
from dataflow.settlement.sources import DueSettlement, SettlementSource, StateChanges
from schemas.holdings import Holdings


class Settlements:
    """The sources of a run. groups: its position keys."""

    def __init__(self, sources: Sequence[SettlementSource], groups: PositionGroups) -> None:
        self._sources, self._groups = tuple(sources), groups

    def initial(self) -> StateChanges:
        """What the sources carry in the state, before the first row of a run."""
        return {name: value for source in self._sources for name, value in source.initial().items()}

    def next_row(self, row: int, end: int, state: RunState) -> int:
        """First row from ``row`` on that is settled on its own; ``end`` where that is not before it."""
        for source in self._sources:
            end = source.next_row(row, end, state)
        return end

    def passed(self, start: int, end: int, columns: Columns, state: RunState) -> RunState:
        """The state with what the rows from ``start`` to before ``end`` leave in it."""
        for source in self._sources:
            state = state.with_values(source.passed(start, end, columns, state))
        return state

    def due(self, row: int, state: RunState) -> DueSettlement | None:
        """The first thing due at the row; called again with the state after it until nothing is."""
        for source in self._sources:
            due = source.due(row, self._groups.holdings(state.values), state)
            if due is not None:
                return due
        return None

    def traded(self, row: int, before: Holdings, after: Holdings, state: RunState) -> StateChanges:
        """What a decision executed at the row, or a liquidation before it, leaves in the state."""
        return {
            name: value for source in self._sources for name, value in source.traded(row, before, after, state).items()
        }
