"""Marks of the tests that `make test` leaves to a target of their own."""

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet


def all_but_first(mark: str, values: Iterable[object], kept: int = 1) -> list[ParameterSet]:
    """Parameters of a long test: the first few stay in `make test` as its smoke, the others bear a mark.

    >>> [(one.values, [mark.name for mark in one.marks]) for one in all_but_first("soak", [7, 8])]
    [((7,), []), ((8,), ['soak'])]
    """
    own = getattr(pytest.mark, mark)
    return [pytest.param(value, marks=() if place < kept else own) for place, value in enumerate(values)]
