"""Medians of interleaved pairs: ours and the reference take turns, so that a busy machine slows both."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from dataflow.engine.cycle_search import cycle_search_off

Measure = Callable[[], float]
"""Does the work once and returns the seconds that count."""


@dataclass(frozen=True)
class Pairs:
    """Seconds of ours and of the reference, one pair a turn."""

    ours: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median over the turns of ours over the reference."""
        return statistics.median(mine / other for mine, other in zip(self.ours, self.reference, strict=True))

    @property
    def seconds(self) -> tuple[float, float]:
        """Median seconds of ours and of the reference, for information."""
        return statistics.median(self.ours), statistics.median(self.reference)


def timed(work: Callable[[], object]) -> Measure:
    """The whole of ``work`` as a measure; ours and reference both without search for cycles, as a run is."""

    def measure() -> float:
        with cycle_search_off():
            started = time.perf_counter()
            work()
            return time.perf_counter() - started

    return measure


def interleaved(ours: Measure, reference: Measure, turns: int) -> Pairs:
    """Measure both ``turns`` times in turn, after one turn that does not count."""
    pairs = []
    for turn in range(turns + 1):
        gc.collect()
        mine = ours()
        gc.collect()
        other = reference()
        if turn:
            pairs.append((mine, other))
    return Pairs(tuple(mine for mine, _ in pairs), tuple(other for _, other in pairs))


def median_seconds(work: Callable[[], object], turns: int = 5) -> float:
    """Median seconds of a piece of work."""
    measure = timed(work)
    return statistics.median(measure() for _ in range(turns))


def least_seconds(work: Callable[[], object], turns: int = 5) -> float:
    """Least seconds of a piece of work: what a busy machine disturbs least."""
    measure = timed(work)
    return min(measure() for _ in range(turns))
