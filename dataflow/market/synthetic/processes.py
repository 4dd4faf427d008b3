"""Random processes of the synthetic data set: named streams, AR(1), bounded Student-t shocks, logistic map.

Every stream is a PCG64 generator of its own, seeded by the seed of the set and its name: adding a series, or making
the set longer, changes no value that was there before.
"""

import hashlib
from itertools import accumulate
from typing import Final

import numpy as np

from schemas.units import Column

SHOCK_MAX: Final = 10.0
"""Largest shock in standard deviations; the worst hour of the calibration history is 17 of ETH's (8.8 of BTC's)."""


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one named stream."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, key])))


def standard_ar1(generator: np.random.Generator, rows: int, persistence: float) -> Column:
    """Draw a stationary Gaussian AR(1) of mean 0 and variance 1; `persistence` is its lag-one autocorrelation.

    >>> x = standard_ar1(stream(1, "doctest"), 20_000, 0.5)
    >>> abs(float(np.corrcoef(x[1:], x[:-1])[0, 1]) - 0.5) < 0.05
    True
    """
    shocks = generator.standard_normal(rows)
    innovations = (np.sqrt(1.0 - persistence**2) * shocks[1:]).tolist()
    steps = accumulate(innovations, lambda level, shock: persistence * level + shock, initial=float(shocks[0]))
    return np.fromiter(steps, dtype=np.float64, count=rows)


def student_shocks(generator: np.random.Generator, rows: int, degrees: float) -> Column:
    """Draw Student-t shocks scaled to variance 1 and bounded at `SHOCK_MAX`; `degrees` of freedom above 2."""
    scaled = generator.standard_t(degrees, rows) / np.sqrt(degrees / (degrees - 2.0))
    shocks: Column = np.clip(scaled, -SHOCK_MAX, SHOCK_MAX)
    return shocks


def logistic(values: Column) -> Column:
    """Map the real line on (0, 1).

    >>> logistic(np.array([0.0])).tolist()
    [0.5]
    """
    mapped: Column = 1.0 / (1.0 + np.exp(-values))
    return mapped
