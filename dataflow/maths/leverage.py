"""Flash-loan leverage on an ETH staking token: the loan for a target, the repayment to come back."""


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
