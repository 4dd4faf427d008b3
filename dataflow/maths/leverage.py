"""Leverage on an ETH staking token: the loan for a target, the repayment to come back, at once or in a loop."""

import math
from dataclasses import dataclass

import numpy as np

from schemas.units import Column, frozen


@dataclass(frozen=True, slots=True)
class LoopTerms:
    """How leverage is taken on and off without a flash loan.

    stop_usd: a loan below it is not worth another round, > 0. ltv_limit: loan-to-value that a withdrawal may leave on
    the way out, below the liquidation threshold.
    """

    stop_usd: float
    ltv_limit: float


def entry_loan(equity: float, target_ltv: float, flash_fee: float) -> float:
    """Flash loan that takes own ETH to the target loan-to-value in one transaction.

        F = E x ltv / (1 - ltv + fee);   staked S = E + F;   debt B = F (1 + fee);   B / S = ltv

    equity: ETH, >= 0. target_ltv: fraction, < 1. flash_fee: fraction of the loan. Returns ETH. Source: [domain] 4.7.

    >>> round(entry_loan(100.0, 0.65, 0.0), 6)
    185.714286
    """
    return equity * target_ltv / (1.0 - target_ltv + flash_fee)


def increase_loan(collateral: float, debt: float, target_ltv: float, flash_fee: float) -> float:
    """Flash loan that raises the loan-to-value of an open position to the target.

        (B + F (1 + fee)) / (S + F) = ltv

    collateral, debt: ETH. Returns ETH, >= 0. Source: [domain] 4.7.

    >>> round(increase_loan(100.0, 50.0, 0.65, 0.0), 6)
    42.857143
    """
    return max((target_ltv * collateral - debt) / (1.0 + flash_fee - target_ltv), 0.0)


def repayment(collateral: float, debt: float, target_ltv: float, exit_cost: float) -> float:
    """Debt to repay, out of sold collateral, so that the loan-to-value falls to the target.

        x = (B - ltv S) / (1 - ltv / (1 - cost));   collateral sold = x / (1 - cost)

    collateral, debt: ETH. exit_cost: share of the oracle value lost in the sale. Returns ETH, >= 0, at most the debt.
    Source: [domain] ruling 19.

    >>> round(repayment(100.0, 80.0, 0.65, 0.0), 6)
    42.857143
    """
    share_kept = 1.0 - target_ltv / (1.0 - exit_cost)
    return min(max((debt - target_ltv * collateral) / share_kept, 0.0), debt)


def loop_loans(collateral: float, debt: float, target_ltv: float, least: float) -> list[float]:
    """Loans of the sequential loop: each borrows up to the target and is staked and supplied before the next.

        room_1 = ltv S - B;   room_k+1 = ltv room_k

    The sum without end is the flash loan of :func:`increase_loan` without its fee; the loop leaves out what comes
    after the first room below ``least``, at most ``least / (1 - ltv)``.

    collateral, debt, least: ETH, ``least`` > 0; target_ltv < 1. Returns ETH, falling. Source: [domain] 3.2, 4.7.

    >>> loop_loans(100.0, 0.0, 0.5, 10.0)
    [50.0, 25.0, 12.5]
    """
    loans: list[float] = []
    while (room := target_ltv * collateral - debt) >= least:
        loans.append(room)
        collateral, debt = collateral + room, debt + room
    return loans


def loop_rounds(own_usd: Column, target_ltv: float, stop_usd: float) -> Column:
    """Loans that the loop takes for own capital of a size: the largest k with ltv^k x own >= stop.

    Shape: (rows,). own_usd: USD. Returns a count, >= 0.

    >>> loop_rounds(np.array([100.0, 15.0]), 0.5, 10.0).tolist()
    [3.0, 0.0]
    """
    if target_ltv == 0.0:
        return frozen(np.zeros_like(own_usd))
    # A count that rounding puts one too low would only leave a round's gas less in the wallet.
    rounds = np.log(np.maximum(own_usd / stop_usd, 1.0)) / -math.log(target_ltv)
    return frozen(np.floor(rounds + 1e-9))


def unwind_rounds(target_ltv: float, ltv_limit: float, exit_cost: float) -> int:
    """Withdrawals that repay all debt of a position at the target, each down to the limit, the last of the rest.

    exit_cost: share of the oracle value lost in each sale, below ``1 - ltv_limit``.

    >>> unwind_rounds(0.65, 0.93, 0.0)
    4
    """
    collateral, debt, rounds = 1.0, target_ltv, 1
    while debt > 0.0:
        sold = min(collateral - debt / ltv_limit, debt / (1.0 - exit_cost))
        collateral, debt = collateral - sold, debt - sold * (1.0 - exit_cost)
        debt = debt if debt > 1e-12 else 0.0
        rounds += 1
    return rounds
