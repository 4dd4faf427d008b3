"""Settlements at known instants: changes of balances that no order causes and no column carries.

A window ends before the next row at which one is due, so rows between two of them cost nothing. The row itself is
valued with what was held before it, then settled, then valued again for the decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from dataflow.graph.market_rows import MarketRows
from dataflow.graph.state import RunState
from dataflow.journal.event_fields import Columns
from dataflow.market.market import RewardPayout
from dataflow.market.series import dex_series
from dataflow.maths.deltas import Deltas, unstake_claim_deltas
from schemas.errors import MissingPriceError, PlatformError
from schemas.holdings import Holdings
from schemas.instruments import wallet_key
from schemas.operations import DeltaType
from schemas.units import SECONDS_PER_DAY, Column

StateChanges = Mapping[str, float | Column]
"""Values of the state by name."""


@dataclass(frozen=True, slots=True)
class DueSettlement:
    """What is settled at one row, and the values of the state that change with it beside the balances.

    Without deltas nothing moves and nothing is recorded: a reward for days on which nothing was staked. refusal: why
    not all of it was settled, None where it was. asks_again: whether rules must look at the row again all the same.
    """

    delta_type: DeltaType
    deltas: Deltas
    changes: StateChanges
    refusal: PlatformError | None = None
    asks_again: bool = False


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


_PAID, _DAYS, _DAY_ETH, _REWARDS = "rewards_paid", "reward_days", "reward_day_eth", "staking_yield_rewards_before"


class StakingRewards:
    """Rewards of the staking protocol, each paid at its instant for the ETH staked on the days of its period.

        amount = tokens per ETH x mean over the days of the period of ETH in the staking token

    The ETH of a day is what was held when it began, before any decision of that row, 0 before entry. The state carries
    one number a day and how many payouts are done. Source: [domain] ruling 25.
    """

    def __init__(self, rows: MarketRows, payouts: Sequence[RewardPayout], tokens: tuple[str, ...]) -> None:
        self._rows, self._payouts, self._tokens = rows, payouts, tokens
        instants = np.array([payout.paid_at for payout in payouts], dtype=np.float64)
        self._before_run = int(np.searchsorted(instants, rows.epoch_seconds[0]))
        self._due_rows = np.searchsorted(rows.epoch_seconds, instants)
        self._day_rows = np.flatnonzero(rows.epoch_seconds % SECONDS_PER_DAY == 0.0)

    def initial(self) -> StateChanges:
        """No days yet; what was paid before the run is not paid."""
        return {_PAID: float(self._before_run), _DAYS: np.zeros(0), _DAY_ETH: np.zeros(0)}

    def next_row(self, start: int, end: int, state: RunState) -> int:
        """The row of the next payout."""
        paid = self._paid(state)
        return end if paid == len(self._payouts) else min(max(int(self._due_rows[paid]), start), end)

    def passed(self, start: int, end: int, columns: Columns, state: RunState) -> StateChanges:
        """Add the days that begin in the rows.

        Raises :class:`MissingPriceError` (DATA-005) where a reward token is held that has no price.
        """
        self._refuse_unpriced(start, columns)
        first, last = np.searchsorted(self._day_rows, [start, end])
        if first == last:
            return _NOTHING
        days = self._day_rows[first:last]
        return {
            _DAYS: np.concatenate([_vector(state, _DAYS), self._rows.epoch_seconds[days]]),
            _DAY_ETH: np.concatenate([_vector(state, _DAY_ETH), columns["restaked_eth"][days - start]]),
        }

    def due(self, row: int, holdings: Holdings, state: RunState) -> DueSettlement | None:  # noqa: ARG002 - of the protocol
        """The next payout, where its instant has come."""
        paid = self._paid(state)
        if paid == len(self._payouts) or self._due_rows[paid] > row:
            return None
        payout = self._payouts[paid]
        done: dict[str, float | Column] = {_PAID: float(paid + 1)}
        amount = payout.per_eth * self._mean_eth(payout, state)
        if amount == 0.0:
            return DueSettlement(DeltaType.SEASONAL_REWARDS, (), done)
        value = amount * self._price_usd(payout.token, row) / float(self._rows.columns["usd_per_share_class"][row])
        done[_REWARDS] = _number(state, _REWARDS) + value
        return DueSettlement(DeltaType.SEASONAL_REWARDS, ((wallet_key(payout.token), amount),), done)

    def traded(self, row: int, before: Holdings, after: Holdings, state: RunState) -> StateChanges:  # noqa: ARG002 - of the protocol
        """A trade counts from the next day on."""
        return _NOTHING

    @staticmethod
    def _paid(state: RunState) -> int:
        return int(_number(state, _PAID))

    def _mean_eth(self, payout: RewardPayout, state: RunState) -> float:
        """Mean ETH staked over the days of the period, first and last included."""
        days, eth = _vector(state, _DAYS), _vector(state, _DAY_ETH)
        inside = (days >= payout.first_day) & (days <= payout.last_day)
        total: float = sum(eth[inside].tolist())
        return total / ((payout.last_day - payout.first_day) // SECONDS_PER_DAY + 1)

    def _price_usd(self, token: str, row: int) -> float:
        price = float(self._rows.columns["dust_price_usd"][row, self._tokens.index(token)])
        if np.isnan(price):
            raise _unpriced(token, self._rows.texts[row], "is paid")
        return price

    def _refuse_unpriced(self, start: int, columns: Columns) -> None:
        unpriced = np.isnan(columns["dust_token_value_usd"])
        if unpriced.any():
            row, token = (int(place) for place in np.argwhere(unpriced)[0])
            raise _unpriced(self._tokens[token], self._rows.texts[start + row], "is held")


def _unpriced(token: str, timestamp: str, what: str) -> MissingPriceError:
    return MissingPriceError(
        f"{token} {what} at {timestamp} and {dex_series(token)} has no price of the 24 h before; complete the series, "
        "choose another window, or set rewards_mode to base_only",
        series=dex_series(token),
        token=token,
        timestamp=timestamp,
    )


def _number(state: RunState, name: str) -> float:
    number = state.values[name]
    assert isinstance(number, float), f"{name} is carried as a number"
    return number


def _vector(state: RunState, name: str) -> Column:
    vector = state.values[name]
    assert isinstance(vector, np.ndarray), f"{name} is carried as a vector"
    return vector
