"""Deposits and withdrawals of a run as settlements. [domain] 3.0, 4.8, rulings 14, 24 and 28.

A deposit arrives where the initial capital did. A withdrawal is paid from idle balances; where they do not suffice it
waits, the mode's rules unwind on the same row, and it is paid on a later one. Nobody is paid more than is held: what
is left when nothing can be unwound is refused on record.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np

from dataflow.graph.market_rows import MarketRows
from dataflow.graph.state import NEVER, RunState
from dataflow.journal.event_fields import Columns
from dataflow.maths.deltas import RESIDUE, Deltas, snapped, wallet_debit
from dataflow.settlement.sources import DueSettlement, StateChanges
from schemas.errors import SettlementError
from schemas.flows import CapitalFlow, DueFlow, FlowKind
from schemas.holdings import Holdings
from schemas.instruments import PositionKey
from schemas.operations import DeltaType
from schemas.units import Column

_DONE, _PENDING, _SEEN, _UNPAID = (
    "capital_flows_done",
    "withdrawal_pending",
    "withdrawal_seen_seconds",
    "withdrawals_unpaid",
)
HISTORY: Final = ("capital_flow_seconds", "capital_flow_amounts", "capital_flow_equity")
"""Vectors of the state: instant of each flow, its amount (> 0 paid in), equity just before it; share-class units."""


def nothing_due() -> dict[str, float | Column]:
    """What the state carries of flows before the first row of a run."""
    return {_DONE: 0.0, _PENDING: 0.0, _SEEN: NEVER, _UNPAID: 0.0, **dict.fromkeys(HISTORY, np.zeros(0))}


def booked(state: RunState, instant: float, amount: float, equity_before: float) -> dict[str, float | Column]:
    """The history of the state with one flow more."""
    added = dict(zip(HISTORY, (instant, amount, equity_before), strict=True))
    return {name: np.append(np.asarray(state.values[name]), value) for name, value in added.items()}


def schedule(flows: Iterable[CapitalFlow], step_seconds: int) -> tuple[DueFlow, ...]:
    """What is due at which row: a flow belongs to the first row at or after it; flows of one row and kind add up.

    >>> schedule([CapitalFlow(10, 2.0), CapitalFlow(3_600, 3.0)], 3_600)
    (DueFlow(row_seconds=3600, kind=<FlowKind.DEPOSIT: 'deposit'>, amount=5.0),)
    """
    order = list(FlowKind)

    def place(flow: CapitalFlow) -> tuple[int, int]:
        return -(-flow.instant_seconds // step_seconds) * step_seconds, order.index(flow.kind)

    return tuple(
        DueFlow(row_seconds, order[kind], math.fsum(abs(flow.amount) for flow in group))
        for (row_seconds, kind), group in groupby(sorted(flows, key=place), key=place)
    )


@dataclass(frozen=True)
class Till:
    """Where capital is paid in and out.

    shares: key to the share of a deposit that arrives there. token: the share-class token of the wallet, None where
    capital lies at exchanges. can_unwind: whether a rule of the run can free cash. least_usd: what is not worth an
    order. is_open: whether anything but cash is held.
    """

    shares: Mapping[str, float]
    token: str | None
    can_unwind: bool
    least_usd: float
    is_open: Callable[[RunState], bool]

    def paid_in(self, amount: float) -> Deltas:
        """Changes of a deposit."""
        return tuple((key, amount * share) for key, share in self.shares.items())

    def cash(self, holdings: Holdings) -> float:
        """What could be paid out, share-class units."""
        return sum(max(holdings.units[key], 0.0) for key in self._keys(holdings))

    def paid_out(self, amount: float, holdings: Holdings) -> Deltas:
        """Changes of a payment: WETH before ETH; from exchanges in proportion to what lies there."""
        if self.token is not None:
            return wallet_debit(self.token, amount, holdings.units)
        whole = self.cash(holdings)
        parts = {key: max(holdings.units[key], 0.0) / whole for key in self._keys(holdings)}
        return snapped(tuple((key, -amount * part) for key, part in parts.items() if part > 0.0), holdings.units)

    def _keys(self, holdings: Holdings) -> tuple[str, ...]:
        if self.token not in ("ETH", "WETH"):
            return tuple(self.shares)
        wallet = (key for key in holdings.units if key.startswith("wallet:"))
        return tuple(key for key in wallet if PositionKey.parse(key).token in ("ETH", "WETH"))


class CapitalFlows:
    """The settlement source of a schedule.

    equity_usd: equity of a row and state in USD, before anything more is settled at the row.
    """

    def __init__(
        self,
        due_flows: tuple[DueFlow, ...],
        rows: MarketRows,
        till: Till,
        equity_usd: Callable[[int, RunState], float],
    ) -> None:
        self._flows, self._rows, self._till, self._equity_usd = due_flows, rows, till, equity_usd

    def initial(self) -> StateChanges:
        """Nothing beside what every run carries of flows."""
        return {}

    def next_row(self, start: int, end: int, state: RunState) -> int:
        """The row of the next flow; every row while a withdrawal waits."""
        if _number(state, _PENDING) > 0.0:
            return start
        done = int(_number(state, _DONE))
        if done == len(self._flows):
            return end
        waited = np.searchsorted(self._rows.epoch_seconds[start:end], self._flows[done].row_seconds)
        return min(start + int(waited), end)

    def passed(self, start: int, end: int, columns: Columns, state: RunState) -> StateChanges:  # noqa: ARG002 - of the protocol
        """Flows do not change with time."""
        return {}

    def traded(self, row: int, before: Holdings, after: Holdings, state: RunState) -> StateChanges:  # noqa: ARG002 - of the protocol
        """Flows do not change with trades."""
        return {}

    def due(self, row: int, holdings: Holdings, state: RunState) -> DueSettlement | None:
        """A withdrawal that waits since an earlier row, then the flows of the row one by one."""
        now = float(self._rows.epoch_seconds[row])
        if _number(state, _PENDING) > 0.0 and _number(state, _SEEN) < now:
            return self._waiting(row, holdings, state)
        done = int(_number(state, _DONE))
        if done == len(self._flows) or self._flows[done].row_seconds > now:
            return None
        flow = self._flows[done]
        if flow.kind is FlowKind.DEPOSIT:
            settled = self._paid(row, flow.amount, self._till.paid_in(flow.amount), state)
        else:
            settled = self._asked(row, flow, holdings, state)
        return replace(settled, changes={**settled.changes, _DONE: done + 1.0})

    def _asked(self, row: int, flow: DueFlow, holdings: Holdings, state: RunState) -> DueSettlement:
        """A withdrawal on its row: what idle balances give, and what has to wait."""
        waits = _number(state, _PENDING)
        idle = self._idle(row, holdings, state) - waits
        takes_part = flow.kind is FlowKind.FAST_WITHDRAWAL or not self._can_free(row, holdings, state)
        paid = flow.amount if idle >= flow.amount else max(idle, 0.0) if takes_part else 0.0
        left = flow.amount - paid
        settled = self._paid(row, -paid, self._till.paid_out(paid, holdings), state) if paid > 0.0 else _nothing_paid()
        seen = {_SEEN: float(self._rows.epoch_seconds[row])}
        if left > 0.0 and not self._can_free(row, holdings, state):
            return self._refused(settled, row, left, state, seen)
        return replace(settled, changes={**settled.changes, **seen, _PENDING: waits + left})

    def _waiting(self, row: int, holdings: Holdings, state: RunState) -> DueSettlement:
        """A withdrawal that waits: paid once all of it is there, or nothing more can be freed."""
        pending, cash = _number(state, _PENDING), self._till.cash(holdings)
        seen = {_SEEN: float(self._rows.epoch_seconds[row])}
        is_covered = cash >= pending * (1.0 - RESIDUE)
        if not is_covered and self._can_free(row, holdings, state):
            return replace(_nothing_paid(), changes=seen)
        paid = min(pending, cash)
        settled = self._paid(row, -paid, self._till.paid_out(paid, holdings), state) if paid > 0.0 else _nothing_paid()
        if not is_covered:
            return self._refused(settled, row, pending - paid, state, {**seen, _PENDING: 0.0})
        return replace(settled, changes={**settled.changes, **seen, _PENDING: 0.0})

    def _paid(self, row: int, amount: float, deltas: Deltas, state: RunState) -> DueSettlement:
        """A flow and all that it moves: capital paid in so far, reference equity, history."""
        price = float(self._rows.columns["usd_per_share_class"][row])
        before = self._equity_usd(row, state) / price
        after = before + amount
        changes = {
            "deposited_usd": _number(state, "deposited_usd") + amount * price,
            "deposited_share_class": _number(state, "deposited_share_class") + amount,
            "reference_equity": after if after > RESIDUE * abs(amount) else 0.0,
            **booked(state, float(self._rows.epoch_seconds[row]), amount, before),
        }
        return DueSettlement(DeltaType.CAPITAL_FLOW, deltas, changes)

    def _refused(
        self, settled: DueSettlement, row: int, unpaid: float, state: RunState, changes: StateChanges
    ) -> DueSettlement:
        """The same settlement with what is not paid, on record."""
        instant = self._rows.texts[row]
        refusal = SettlementError(
            f"a withdrawal at {instant} is paid in part: {unpaid!r} of it is more than is held or can be freed; "
            "ask for less",
            timestamp=instant,
            unpaid=unpaid,
        )
        total = {_UNPAID: _number(state, _UNPAID) + unpaid}
        return replace(settled, changes={**settled.changes, **changes, **total}, refusal=refusal)

    def _idle(self, row: int, holdings: Holdings, state: RunState) -> float:
        """Cash that no position needs: what the gas reserve leaves; none of the margin of an open position."""
        cash = self._till.cash(holdings)
        if not self._till.is_open(state):
            return cash
        if "gas_reserve_usd" not in self._rows.columns:
            return 0.0
        columns = self._rows.columns
        return max(cash - float(columns["gas_reserve_usd"][row] / columns["usd_per_share_class"][row]), 0.0)

    def _can_free(self, row: int, holdings: Holdings, state: RunState) -> bool:
        """Whether unwinding can bring more cash than there is."""
        if not self._till.can_unwind or not self._till.is_open(state):
            return False
        if self._till.token is None:  # all cash is margin, which closing positions frees
            return True
        cash_usd = self._till.cash(holdings) * float(self._rows.columns["usd_per_share_class"][row])
        return self._equity_usd(row, state) - cash_usd > self._till.least_usd


def _nothing_paid() -> DueSettlement:
    return DueSettlement(DeltaType.CAPITAL_FLOW, (), {}, asks_again=True)


def _number(state: RunState, name: str) -> float:
    return float(state.values[name])
