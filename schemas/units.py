"""Scalar aliases, physical constants and the one definition of an instant and of a column.

Every number in the system is one of: a float64 column (nodes), a float (messages) or an integer of the lending
contracts (``dataflow.maths.lending``). The conversions between them live here and nowhere else.
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

Column = npt.NDArray[np.float64]
"""A read-only float64 array of shape (rows,) or (rows, n)."""

Instants = npt.NDArray[np.datetime64]
"""UTC instants, dtype ``datetime64[s]``, strictly ascending."""

INSTANT_DTYPE: Final = np.dtype("datetime64[s]")

Ratio = Annotated[float, Field(ge=-10.0, le=1_000.0, allow_inf_nan=False)]
"""A fraction of one (0.02 is 2 %)."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""A fraction of one between 0 and 1."""

PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]

BPS: Final = 1e-4
"""One basis point as a fraction."""

FUNDING_RATE_MAX: Final = 0.05
"""Per settlement; beyond it a rate is a per cent or a rate a year."""

SECONDS_PER_HOUR: Final = 3_600
SECONDS_PER_DAY: Final = 86_400
HOURS_PER_DAY: Final = 24.0
DAYS_PER_YEAR: Final = 365.25
"""Annualisation of returns (domain ruling 24); Aave's own year is 365 days, see ``dataflow.maths.lending``."""
HOURS_PER_YEAR: Final = HOURS_PER_DAY * DAYS_PER_YEAR

FUNDING_HOURS: Final = 8.0
"""Hours that a funding rate covers where nothing else is said: the interval of most exchanges."""
FUNDING_APR_MAX: Final = FUNDING_RATE_MAX * HOURS_PER_YEAR / FUNDING_HOURS
"""Of a threshold, a fraction a year; beyond it the rate is a per cent."""

NOT_APPLICABLE: Final = 999.0
"""Stands in events for a ratio that does not exist: health factor without debt, margin ratio without perpetuals."""


def frozen(values: npt.NDArray[np.float64]) -> Column:
    """The same array marked read-only, so that no consumer of a node can change what another one reads.

    >>> frozen(np.array([1.0])).flags.writeable
    False
    """
    values.setflags(write=False)
    return values


def column(values: Column, labels: Sequence[str], label: str) -> Column:
    """The column of one label of an axis: balances and prices are reached by name, never by position.

    Shape: values (rows, labels) -> (rows,), a view.

    >>> column(np.array([[5.0, 0.5]]), ("USDT", "ETH"), "ETH").tolist()
    [0.5]
    """
    assert label in labels, f"{label} is not among {labels}"
    return values[:, labels.index(label)]


def sum_columns(values: Column) -> Column:
    """Sum over the second axis as a left fold of columns: the same bits for every number of rows.

    Shape: (rows, n) -> (rows,). ``values.sum(axis=1)`` changes its order of summation with memory layout and row
    count, which would break window invariance.

    >>> sum_columns(np.array([[1.0, 2.0, 3.0], [0.5, 0.25, 0.125]])).tolist()
    [6.0, 0.875]
    """
    total = values[:, 0].copy()
    for position in range(1, values.shape[1]):
        total += values[:, position]
    return frozen(total)


def max_of_columns(values: Column) -> Column:
    """Largest value of each row: column by column, which is faster than along a short second axis.

    Shape: (rows, n) -> (rows,).

    >>> max_of_columns(np.array([[1.0, 3.0, 2.0]])).tolist()
    [3.0]
    """
    return frozen(reduce(np.maximum, values.T[1:], values[:, 0].copy()))


def min_of_columns(values: Column) -> Column:
    """Smallest value of each row, as :func:`max_of_columns`.

    >>> min_of_columns(np.array([[1.0, 3.0, 2.0]])).tolist()
    [1.0]
    """
    return frozen(reduce(np.minimum, values.T[1:], values[:, 0].copy()))


def sum_parts(parts: list[Column]) -> Column:
    """Left fold of contributions of one shape: the same bits for every number of rows.

    Shape: each (rows,) or (rows, n), unchanged.

    >>> sum_parts([np.array([1.0]), np.array([2.5])]).tolist()
    [3.5]
    """
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return frozen(total)


def any_of_parts(parts: list[Column]) -> Column:
    """1 where any of the flags is raised, else 0.

    Shape: each (rows,), and so the result.

    >>> any_of_parts([np.array([0.0, 1.0]), np.array([0.0, 0.0])]).tolist()
    [0.0, 1.0]
    """
    return frozen(reduce(np.maximum, parts))


def running_sum(flows: Column, start: float | Column) -> Column:
    """Balance after each flow, beginning with ``start`` before the first: exact across any split of the rows.

    The carried balance goes into the first flow and the sum is sequential, so that two windows chained give the
    same bits as one; ``start + cumsum(flows)`` does not.

    Shape: flows (rows,) with start a float, or flows (rows, n) with start (n,).

    >>> running_sum(np.array([1.0, 2.0]), 10.0).tolist()
    [11.0, 13.0]
    """
    seeded = flows.copy()
    seeded[0] += start
    return frozen(np.add.accumulate(seeded, axis=0))


def step_of(levels: Column) -> Column:
    """Change of each row against the row before; 0 at the first row.

    Shape: (rows,) or (rows, n), unchanged.

    >>> step_of(np.array([1.0, 1.5, 1.25])).tolist()
    [0.0, 0.5, -0.25]
    """
    change = np.zeros_like(levels)
    np.subtract(levels[1:], levels[:-1], out=change[1:])
    return frozen(change)


RAY_DECIMALS: Final = 27
"""Indexes and rates of the lending contracts are integers times 1e27."""


def to_wei(amount: float, decimals: int) -> int:
    """Whole units of a token as its smallest unit: the nearest integer to the decimal that the float prints as.

    amount: >= 0, finite. decimals: of the token, 6 for USDT, 18 for ETH.

    >>> to_wei(0.1, 18), to_wei(1_234.5678901, 6)
    (100000000000000000, 1234567890)
    """
    assert math.isfinite(amount), f"{amount} has no wei"
    assert amount >= 0.0, f"{amount} is no amount"
    significand, _, exponent = repr(float(amount)).partition("e")
    whole, _, places = significand.partition(".")
    shift = int(exponent or 0) - len(places) + decimals
    digits = int(whole + places)
    return digits * 10**shift if shift >= 0 else _nearest(digits, 10**-shift)


def _nearest(numerator: int, denominator: int) -> int:
    """Return the nearest integer to a ratio of non-negative integers, half to even."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


def from_wei(amount: int, decimals: int) -> float:
    """Smallest unit of a token as whole units, correctly rounded.

    >>> from_wei(1_500_000, 6)
    1.5
    """
    return amount / int(10**decimals)


def to_ray(factor: float) -> int:
    """Index or rate a year (a fraction of one) as a ray.

    >>> to_ray(1.25)
    1250000000000000000000000000
    """
    return to_wei(factor, RAY_DECIMALS)


def from_ray(factor: int) -> float:
    """Ray as an index or a rate a year.

    >>> from_ray(1_066_714_000_000_000_000_000_000_000)
    1.066714
    """
    return from_wei(factor, RAY_DECIMALS)


def exact_ray(amount: float) -> int:
    """Amount as a ray: the number that the float is, not the decimal that it prints as, so that twice is twice.

    amount: >= 0, finite. ``from_ray`` gives the same float back, from 1e-10 on.

    >>> exact_ray(0.1), exact_ray(1.5)
    (100000000000000005551115123, 1500000000000000000000000000)
    """
    assert math.isfinite(amount), f"{amount} has no ray"
    assert amount >= 0.0, f"{amount} is no amount"
    numerator, denominator = amount.as_integer_ratio()
    return _nearest(numerator * 10**RAY_DECIMALS, denominator)
