"""Decision stage: the facts that every strategy's rules share. The rules themselves are in ``strategies``."""

import numpy as np
from hamilton.function_modifiers import tag

from schemas.units import Column, frozen


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
