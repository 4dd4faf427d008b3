"""Ray, wad and per-cent arithmetic on non-negative integers, with the rounding as an argument.

A ray is a number times 1e27 (indexes and rates), a wad times 1e18 (health factor), a per cent times 1e4 (basis points).
Version 3.0.2 rounds half up everywhere; 3.6 chooses the direction that favours the protocol, operation by operation.
Source: WadRayMath.sol, PercentageMath.sol, MathUtils.mulDivCeil of both versions.
"""

from enum import Enum
from typing import Final

from dataflow.maths.lending.reverts import Fault, revert_error

RAY: Final = 10**27
WAD: Final = 10**18
RAYS_PER_WAD: Final = 10**9
PERCENT: Final = 10_000
"""One hundred per cent in basis points: PERCENTAGE_FACTOR."""

MAX_UINT256: Final = 2**256 - 1
"""As an amount: everything. As a health factor: no debt."""


class Rounding(Enum):
    """Direction of a division."""

    FLOOR = "floor"
    HALF_UP = "half_up"
    CEIL = "ceil"


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Quotient of two non-negative integers, rounded.

    >>> [divide(7, 2, rounding) for rounding in Rounding]
    [3, 4, 4]

    Errors: AaveRevertError where the contracts divide by zero or leave 256 bits.
    """
    if denominator == 0:
        raise revert_error(Fault.DIVISION_BY_ZERO.value[0])
    if numerator > MAX_UINT256:
        raise revert_error(Fault.ARITHMETIC.value[0])
    if rounding is Rounding.HALF_UP:
        return (numerator + denominator // 2) // denominator
    if rounding is Rounding.CEIL:
        return -(-numerator // denominator)
    return numerator // denominator


def minus(left: int, right: int) -> int:
    """Difference that must not fall below zero, as the compiler checks it.

    >>> minus(3, 1)
    2
    """
    if right > left:
        raise revert_error(Fault.ARITHMETIC.value[0])
    return left - right


def ray_mul(left: int, right: int, rounding: Rounding = Rounding.HALF_UP) -> int:
    """Product of which one factor is a ray.

    >>> ray_mul(10, RAY + RAY // 4)
    13
    """
    return divide(left * right, RAY, rounding)


def ray_div(left: int, right: int, rounding: Rounding = Rounding.HALF_UP) -> int:
    """Quotient by a ray, or the ray of a ratio.

    >>> ray_div(13, RAY + RAY // 4, Rounding.CEIL)
    11
    """
    return divide(left * RAY, right, rounding)


def wad_div(left: int, right: int) -> int:
    """Ratio as a wad, half up.

    >>> wad_div(1, 2) == WAD // 2
    True
    """
    return divide(left * WAD, right, Rounding.HALF_UP)


def percent_mul(value: int, basis_points: int, rounding: Rounding = Rounding.HALF_UP) -> int:
    """Share of a value.

    >>> percent_mul(1_001, 5, Rounding.CEIL)
    1
    """
    return divide(value * basis_points, PERCENT, rounding)


def percent_div(value: int, basis_points: int, rounding: Rounding = Rounding.HALF_UP) -> int:
    """Value of which the argument is the share.

    >>> percent_div(80, 8_000)
    100
    """
    return divide(value * PERCENT, basis_points, rounding)
