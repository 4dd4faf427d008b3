"""The references of the benchmarks do what the engine does, or their ratios would mean nothing."""

import pytest

from tests.benchmarks.markets import Turnover, basis_market
from tests.benchmarks.runs import assert_floats_agree, assert_numpy_agrees, basis_backtest

HOURS = 2_000


@pytest.mark.parametrize("turnover", ["rebalances", "round_trips"])
def test_numpy_loop_gives_every_column_to_the_bit(turnover: Turnover) -> None:
    agreement = assert_numpy_agrees(basis_backtest(), basis_market(HOURS, 3_600, turnover))
    assert agreement.decisions >= 20


@pytest.mark.parametrize("turnover", ["rebalances", "round_trips"])
def test_float_loop_gives_every_column_to_rounding(turnover: Turnover) -> None:
    agreement = assert_floats_agree(basis_backtest(), basis_market(HOURS, 3_600, turnover))
    assert agreement.decisions >= 20
