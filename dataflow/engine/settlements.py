"""Settlements at known instants: changes of balances that no order causes and no column carries.

A window ends before the next row at which one is due, so rows between two of them cost nothing. The row itself is
valued with what was held before it, then settled, then valued again for the decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from dataflow.engine.event_fields import Columns
from dataflow.engine.state import RunState
from dataflow.maths.deltas import Deltas, unstake_claim_deltas
from schemas.holdings import Holdings
from schemas.operations import DeltaType
from schemas.units import Column

StateChanges = Mapping[str, float | Column]
"""Values of the state by name."""


@dataclass(frozen=True, slots=True)
class DueSettlement:
    """What is settled at one row, and the values of the state that change with it beside the balances."""

    delta_type: DeltaType
    deltas: Deltas
    changes: StateChanges


class SettlementSource(Protocol):
    """Something that changes balances at instants it knows."""

    def initial(self) -> StateChanges:
        """What it carries in the state, before the first row of a run."""
        ...

    def next_row(self, start: int, end: int, state: RunState) -> int:
        """First row from ``start`` on at which something is due; ``end`` where that is not before it."""
        ...

    def passed(self, start: int, end: int, columns: Columns, state: RunState) -> StateChanges:
        """What the rows from ``start`` to before ``end`` leave in the state; their columns begin at ``start``."""
        ...

    def due(self, row: int, holdings: Holdings, state: RunState) -> DueSettlement | None:
        """The first thing due at the row; called again with the state after it until nothing is."""
        ...

    def traded(self, row: int, before: Holdings, after: Holdings, state: RunState) -> StateChanges:
        """What a decision executed at the row, or a liquidation before it, leaves in the state."""
        ...


_AMOUNTS, _DUE = "claim_amounts", "claim_due_seconds"
_NOTHING: Final[StateChanges] = {}


class UnstakeClaims:
    """Claims on the withdrawal queue of a staking protocol: each is paid to the wallet when its delay is over.

    They are carried as two vectors, ETH and epoch seconds, oldest first. Source: [domain] ruling 10.
    """

    def __init__(self, epoch_seconds: Column, claim: str, delay_seconds: float) -> None:
        self._epoch_seconds, self._claim, self._delay_seconds = epoch_seconds, claim, delay_seconds

    def initial(self) -> StateChanges:
        """No claims."""
        return {_AMOUNTS: np.zeros(0), _DUE: np.zeros(0)}

    def next_row(self, start: int, end: int, state: RunState) -> int:
        """The row at which the oldest claim is paid."""
        due = _vector(state, _DUE)
        if len(due) == 0:
            return end
        return min(start + int(np.searchsorted(self._epoch_seconds[start:end], due[0])), end)

    def passed(self, start: int, end: int, columns: Columns, state: RunState) -> StateChanges:  # noqa: ARG002 - of the protocol
        """Claims do not change with time."""
        return _NOTHING

    def due(self, row: int, holdings: Holdings, state: RunState) -> DueSettlement | None:
        """The oldest claim, where its delay is over."""
        due, amounts = _vector(state, _DUE), _vector(state, _AMOUNTS)
        if len(due) == 0 or due[0] > self._epoch_seconds[row]:
            return None
        deltas = unstake_claim_deltas(self._claim, float(amounts[0]), holdings.units)
        return DueSettlement(DeltaType.UNSTAKE_CLAIM, deltas, {_DUE: due[1:], _AMOUNTS: amounts[1:]})

    def traded(self, row: int, before: Holdings, after: Holdings, state: RunState) -> StateChanges:
        """A new claim for what a decision put into the queue."""
        queued = after.units[self._claim] - before.units[self._claim]
        if queued <= 0.0:
            return _NOTHING
        matures = self._epoch_seconds[row] + self._delay_seconds
        return {
            _DUE: np.append(_vector(state, _DUE), matures),
            _AMOUNTS: np.append(_vector(state, _AMOUNTS), queued),
        }


def _vector(state: RunState, name: str) -> Column:
    vector = state.values[name]
    assert isinstance(vector, np.ndarray), f"{name} is carried as a vector"
    return vector
