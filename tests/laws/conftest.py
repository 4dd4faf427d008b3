"""Violent runs that several laws look at, made once a session."""

from collections.abc import Callable
from functools import cache
from itertools import count

import pytest

from schemas.models.orders import Order
from schemas.operations import OperationType
from tests.support.markets import violent_market
from tests.support.runs import MemoryRun, prepared, run_in_memory, run_with_refusals

SEEDS = (1, 3, 5)
"""Seeds of the fixed violent markets."""

ROWS = 450
"""Rows of a violent run: long enough for every rule to fire over a few seeds."""

ViolentRun = Callable[[str, int], MemoryRun]


@pytest.fixture(scope="session")
def violent_run(tmp_path_factory: pytest.TempPathFactory) -> ViolentRun:
    """A function from mode and seed to the run over that violent market."""

    @cache
    def run(mode: str, seed: int) -> MemoryRun:
        return run_in_memory(prepared(mode), violent_market(mode, seed, ROWS), tmp_path_factory.mktemp("violent"))

    return run


@pytest.fixture(scope="session")
def unhedged_run(tmp_path_factory: pytest.TempPathFactory) -> MemoryRun:
    """A btc_basis run in which OKX refuses the first short, so that coins stay unhedged until the next row."""
    numbers = count()

    def is_first_short(order: Order, timestamp: str) -> bool:
        return order.operation is OperationType.PERP_TRADE and order.venue == "okx" and next(numbers) == 0

    market = violent_market("btc_basis", 0, ROWS)
    return run_with_refusals(prepared("btc_basis"), market, tmp_path_factory.mktemp("unhedged"), is_first_short)
