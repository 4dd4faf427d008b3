"""Payouts of staking rewards, from their series: what one staked ETH is paid, for which days and when.

Source: [domain] ruling 25.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from dataflow.market.history.readers import line_of_row
from dataflow.market.market import RewardPayout
from dataflow.market.series import REWARD_PERIOD, REWARD_SERIES, Series, instant_text
from schemas.errors import DataValidationError
from schemas.units import Column

_EIGEN: Final = "EIGEN"


def reward_payouts(series: Mapping[str, Series], tokens: tuple[str, ...]) -> tuple[RewardPayout, ...]:
    """Every payout of the tokens, by instant and then by token.

    Raises DataValidationError (DATA-002) for a period that ends before it begins or after it is paid, and for a reward
    on no staked ETH.
    """
    payouts = [payout for token in tokens for payout in _payouts_of(series[REWARD_SERIES[token][0]], token)]
    return tuple(sorted(payouts, key=lambda payout: (payout.paid_at, tokens.index(payout.token))))


def _payouts_of(one: Series, token: str) -> list[RewardPayout]:
    first, last = (one.values[name].astype(np.int64) for name in REWARD_PERIOD)
    _refuse_rows(one, last < first, REWARD_PERIOD[1], "is before period_start: exchange them")
    _refuse_rows(one, last > one.seconds, REWARD_PERIOD[1], "is after the payout: a reward is paid for days that were")
    per_eth = _per_eth(one, token)
    return [
        RewardPayout(token, int(paid), int(start), int(end), float(rate))
        for paid, start, end, rate in zip(one.seconds, first, last, per_eth, strict=True)
    ]


def _per_eth(one: Series, token: str) -> Column:
    """Tokens for one ETH staked over the whole period."""
    if token != _EIGEN:
        return one.values["ethfi_per_eeth_distributed"]
    staked = one.values["eth_restaked"] + one.values["eth_not_restaked"]
    _refuse_rows(one, staked <= 0.0, "eth_restaked", "and eth_not_restaked are 0: on what was the reward earned?")
    return np.asarray(one.values["eigen_earned"] / staked, dtype=np.float64)


def _refuse_rows(one: Series, wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], column: str, fact: str) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    line, instant = line_of_row(one.path, row), instant_text(one.seconds[row])
    raise DataValidationError(
        f"{one.path.name} line {line}: {column} of the payout at {instant} {fact}",
        file=one.path.name,
        column=column,
        row=line,
        instant=instant,
    )
