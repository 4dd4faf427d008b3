"""One row of a run: from the state before it to the state after it, its columns and its events.

Order within a row: settle what is due, let the venues liquidate, value, exposure, risk, decide, execute at the row's
prices, then value again: the row is evaluated once more after execution, with nothing left to settle, and that is what
is recorded. A step needs nothing but its row, the state and the answers of the venues, so it is the same whether rows
were loaded or arrive.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataflow.engine.carry import Carry
from dataflow.engine.deciding import Deciding
from dataflow.engine.observer import Observer
from dataflow.engine.settling import Settling
from dataflow.graph.state import RunState
from dataflow.journal.errors import HEALTH_ROWS
from dataflow.journal.event_fields import Columns
from dataflow.journal.recorder import Journal
from dataflow.journal.sequencer import Draft
from dataflow.settlement.settlements import Settlements
from schemas.units import Column


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a row led to: the state after it, what is recorded of it, and what happened, in order."""

    state: RunState
    columns: dict[str, Column]
    events: tuple[Draft, ...]


class Step:
    """Takes a run from row to row."""

    def __init__(
        self,
        observer: Observer,
        carry: Carry,
        journal: Journal,
        settlements: Settlements,
        settling: Settling,
        deciding: Deciding,
    ) -> None:
        self._observer, self._carry, self._journal = observer, carry, journal
        self._settlements, self._settling, self._deciding = settlements, settling, deciding
        self._market, self._groups = observer.market, observer.parameters.groups

    def next_row(self, row: int, end: int, state: RunState) -> int:
        """First row from ``row`` on that cannot be looked at in a window; ``end`` where that is not before it."""
        return row if state.row == 0 else self._settlements.next_row(row, end, state)

    def step(self, row: int, state: RunState, *, is_last: bool = False) -> Stepped:
        """Process a row of the market. is_last: whether the run ends with it."""
        first = self._journal.sequencer.waiting
        if state.row == 0:
            state = self._settling.pay_in(row, state)
        return self._act(row, self._observer.window(row, row + 1, state), state, first, is_last=is_last)

    def act(self, row: int, columns: dict[str, Column], state: RunState, *, is_last: bool = False) -> Stepped:
        """The same for a row that was looked at already, in a window that begins with ``state``."""
        return self._act(row, columns, state, self._journal.sequencer.waiting, is_last=is_last)

    def _act(
        self, row: int, columns: dict[str, Column], state: RunState, first_event: int, *, is_last: bool
    ) -> Stepped:
        timestamp, journal = self._market.texts[row], self._journal
        if state.row and state.row % HEALTH_ROWS == 0:
            journal.errors.health(timestamp)
        journal.balances.funding_of_row(timestamp, columns)
        state = self._carry.over(row, row + 1, columns, state)
        state, columns = self._settling.settle(row, columns, state)
        if may_liquidate(columns)[0]:
            state, columns = self._settling.liquidate(row, columns, state)
        journal.balances.position(timestamp, self._groups.holdings(state.values), float(columns["equity_usd"][0]))
        journal.assessments.exposure_and_risk(timestamp, columns)
        journal.errors.breach_of_row(timestamp, columns)
        if columns["decision"][0] == 0.0:
            self._deciding.hold(row, columns)
            after = columns
        else:
            state, after = self._deciding.decide(row, columns, state)
            journal.errors.breach_of_row(timestamp, after)
        journal.assessments.pnl(timestamp, after)
        if is_last:
            journal.errors.health(timestamp)
        sequencer = journal.sequencer
        state = state.moved(row=state.row + 1, order=sequencer.next_order)
        return Stepped(state, {**after, "decision": columns["decision"]}, sequencer.since(first_event))


def may_liquidate(columns: Columns) -> npt.NDArray[np.bool_]:
    """Whether each row is one at which a venue may act on its own."""
    if "liquidation_due" in columns:
        return columns["liquidation_due"] > 0.0
    return np.zeros(len(columns["decision"]), dtype=np.bool_)
