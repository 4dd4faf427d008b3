"""Decision stage: the facts that every strategy's rules share. The rules themselves are in ``strategies``."""

import numpy as np
from hamilton.function_modifiers import tag

from schemas.units import Column, frozen, sum_columns


@tag(stage="decision", unit="fraction")
def equity_deviation(equity_share_class: Column, reference_equity: float) -> Column:
    """Change of equity since the last executed decision or capital flow; 0 before the first.

    Shape:  (rows,).
    Units:  fraction of the reference equity.
    Sign:   > 0 after a gain.
    Source: [domain] 3.0 and ruling 14.

    >>> equity_deviation(np.array([102.0]), 100.0).round(6).tolist()
    [0.02]
    """
    if reference_equity == 0.0:
        return frozen(np.zeros_like(equity_share_class))
    return frozen(equity_share_class / reference_equity - 1.0)


@tag(stage="decision", unit="flag")
def is_first_row(row_number: Column) -> Column:
    """1 on the first row of the run, else 0.

    Shape:  (rows,).

    >>> is_first_row(np.array([0.0, 1.0])).tolist()
    [1.0, 0.0]
    """
    return frozen((row_number == 0.0).astype(np.float64))


@tag(stage="decision", unit="flag")
def cooldown_over(epoch_seconds: Column, last_risk_exit_seconds: float, reentry_cooldown_seconds: float) -> Column:
    """1 where an entry is allowed again after a risk exit.

    Shape:  (rows,).
    Source: [domain] ruling 15.

    >>> cooldown_over(np.array([100.0, 200.0]), 0.0, 150.0).tolist()
    [0.0, 1.0]
    """
    return frozen((epoch_seconds - last_risk_exit_seconds >= reentry_cooldown_seconds).astype(np.float64))


@tag(stage="decision", unit="usd")
def deployable_usd(
    wallet_units: Column, wallet_price_usd: Column, entry_gas_usd: Column, gas_reserve_usd: Column
) -> Column:
    """What the wallet could invest now, after the gas of doing so and the reserve for later.

    Shape:  (rows,).
    Units:  USD.
    Sign:   < 0 where the wallet is short of its reserve.
    Source: [domain] ruling 12.

    >>> deployable_usd(np.array([[100.0]]), np.array([[1.0]]), np.array([2.0]), np.array([10.0])).tolist()
    [88.0]
    """
    return frozen(sum_columns(wallet_units * wallet_price_usd) - entry_gas_usd - gas_reserve_usd)


@tag(stage="decision", unit="flag")
def idle_is_due(
    deployable_usd: Column, equity_usd: Column, equity_deviation: Column, position_deviation_threshold: float
) -> Column:
    """1 where idle balance, or the change of equity since the last decision, passes the rebalance threshold.

    Shape:  (rows,).
    Source: [domain] 3.2.

    >>> idle_is_due(np.array([3.0, 1.0]), np.array([100.0, 100.0]), np.zeros(2), 0.02).tolist()
    [1.0, 0.0]
    """
    is_large = deployable_usd > position_deviation_threshold * equity_usd
    has_moved = np.abs(equity_deviation) > position_deviation_threshold
    return frozen((is_large | has_moved).astype(np.float64))
