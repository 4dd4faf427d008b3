"""Aave v3 in float64: scaled units, indexes, health factor.

Keys of aTokens and debt hold scaled units, which do not move while nothing is traded; an index turns them into the
underlying. Within a millionth of the exact integer model beside it (law 10), which a caller needs where roundings,
reverts or rates after an action matter.
"""

from collections.abc import Sequence

from schemas.units import NOT_APPLICABLE


def supply_index(liquidity_index: float) -> float:
    """Scaled units minted per unit of underlying: the reciprocal of the on-chain liquidity index.

    The user's formula "aToken delta = amount x supply index" holds with this factor. Source: [domain] 4.1.

    >>> round(100_000 * supply_index(1.066714), 1)
    93745.8
    """
    return 1.0 / liquidity_index


def borrow_index(variable_borrow_index: float) -> float:
    """Scaled debt units minted per unit borrowed: the reciprocal of the on-chain variable borrow index.

    >>> borrow_index(1.25)
    0.8
    """
    return 1.0 / variable_borrow_index


def underlying_of(scaled_units: float, index: float) -> float:
    """Underlying of a scaled balance: what the holder sees.

    scaled_units: scaled units, >= 0. index: liquidity index (deposits) or variable borrow index (debt), >= 1.

    >>> underlying_of(80.0, 1.25)
    100.0
    """
    return scaled_units * index


def health_factor(collateral_usd: Sequence[float], liquidation_thresholds: Sequence[float], debt_usd: float) -> float:
    """Collateral weighted by its liquidation thresholds over debt; below 1 the position may be liquidated.

    Values in USD, thresholds as fractions of one. 999 without debt. Source: [domain] 4.4.

    >>> round(health_factor([100.0], [0.95], 65.0), 4)
    1.4615
    """
    if debt_usd == 0.0:
        return NOT_APPLICABLE
    weighted = sum(value * threshold for value, threshold in zip(collateral_usd, liquidation_thresholds, strict=True))
    return weighted / debt_usd
