"""Funding is a rate per time: what settles hourly says what the same amounts settled every eight hours say."""

from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.nodes import funding
from schemas.units import HOURS_PER_YEAR, Column
from strategies.basis import rules as basis

ALLOCATION: Final = np.array([0.5, 0.25, 0.25])
ENTER, LEAVE = 0.10, 0.02
BINARY: Final = 2.0**-20
"""Rates are multiples of it, so that an eighth of one is a number and every sum is exact."""

intervals = st.sampled_from([1, 2, 4, 8])


def _eighths(rates: Column) -> Column:
    """Rates of eight hours, (settlements, venues), as one amount for each of their hours."""
    return np.repeat(rates / 8.0, 8, axis=0)


def _settled_every(hourly: Column, interval: int) -> tuple[Column, Column]:
    """One venue's hourly amounts, paid every ``interval`` hours: rates and flags by row; row 0 settles nothing."""
    rate, settled = np.zeros(len(hourly) + 1), np.zeros(len(hourly) + 1)
    rate[interval::interval] = hourly.reshape(-1, interval).sum(axis=1)
    settled[interval::interval] = 1.0
    return rate, settled


def _market(rates: Column, every: tuple[int, ...]) -> tuple[Column, Column]:
    """Rates and flags (rows, venues) of the same amounts where each venue settles at its own interval."""
    hourly = _eighths(rates)
    columns = [_settled_every(hourly[:, venue], interval) for venue, interval in enumerate(every)]
    return np.stack([rate for rate, _ in columns], axis=1), np.stack([flags for _, flags in columns], axis=1)


def _trailing(rate: Column, settled: Column, row_hours: float = 1.0) -> tuple[Column, Column]:
    """Trailing yearly rate, and whether it is known."""
    interval = funding.funding_interval_hours(settled, row_hours)
    known = funding.funding_known(settled, interval)
    return funding.funding_trailing_apr(rate, settled, interval, known, ALLOCATION, row_hours), known


def _is_in(rate: Column, settled: Column) -> Column:
    """Whether the rules of the basis modes hold a book at each row, of which only funding decides."""
    apr, known = _trailing(rate, settled)
    settles, always = funding.funding_settles(settled), np.ones(len(rate))
    enters = basis.entry_is_due(settles, known, apr, always, 500.0 * always, ENTER, 10.0)
    leaves = basis.funding_exit_is_due(settles, known, apr, LEAVE)
    states, is_in = [], 0.0
    for entry, leave in zip(enters, leaves, strict=True):
        is_in = 1.0 if entry else 0.0 if leave else is_in
        states.append(is_in)
    return np.array(states)


rates_of_eight_hours = st.lists(st.lists(st.integers(-400, 800), min_size=3, max_size=3), min_size=1, max_size=30).map(
    lambda rows: BINARY * np.array(rows, dtype=np.float64)
)
"""Of three venues, (settlements, venues): from about -40 to 80 % a year."""


@given(rates=rates_of_eight_hours, every=st.tuples(intervals, intervals, intervals))
def test_the_trailing_rate_does_not_depend_on_how_often_the_same_amounts_settle(
    rates: Column, every: tuple[int, int, int]
) -> None:
    """To the bit at the instants at which all have settled, whichever venue settles how often."""
    coarse, finer = _trailing(*_market(rates, (8, 8, 8))), _trailing(*_market(rates, every))
    for before, after in zip(coarse, finer, strict=True):
        assert after[::8].tolist() == before[::8].tolist()


@given(rates=rates_of_eight_hours, every=intervals)
def test_decisions_do_not_depend_on_how_often_the_same_amounts_settle(rates: Column, every: int) -> None:
    """In between the finer data may be acted on earlier; whoever settles every eight hours then does the same."""
    coarse, finer = _is_in(*_market(rates, (8, 8, 8))), _is_in(*_market(rates, (every, every, every)))
    assert finer[::8].tolist() == coarse[::8].tolist()


def test_finer_data_may_be_acted_on_between_two_coarse_settlements() -> None:
    """The one difference: an hourly venue shows a fall of funding hours before the eight-hour one settles."""
    rates = BINARY * np.repeat([[300.0], [300.0], [300.0], [-700.0]], 3, axis=1)
    coarse, hourly = _is_in(*_market(rates, (8, 8, 8))), _is_in(*_market(rates, (1, 1, 1)))
    assert coarse[24:33].tolist() == [1.0] * 8 + [0.0]
    assert hourly[24] == 1.0
    assert 24 + hourly[24:].argmin() < 32


@given(seed=st.integers(0, 2**32 - 1), interval=intervals, row_hours=st.sampled_from([1.0, 1 / 12]))
def test_trailing_rate_is_what_the_last_day_paid(seed: int, interval: int, row_hours: float) -> None:
    rows_of_day = round(24 / row_hours)
    settled = np.zeros((3 * rows_of_day, 3))
    settled[:: round(interval / row_hours)] = 1.0
    rate = np.random.default_rng(seed).normal(0.0, 1e-3, settled.shape) * settled
    apr, known = _trailing(rate, settled, row_hours)
    first = round((24 - interval) / row_hours)
    assert known.tolist() == [0.0] * first + [1.0] * (len(settled) - first)
    for row in range(first, len(settled)):
        paid = rate[max(row - rows_of_day + 1, 0) : row + 1].sum(axis=0) @ ALLOCATION
        assert apr[row] == pytest.approx(paid / 24.0 * HOURS_PER_YEAR, abs=1e-9)
    assert not apr[:first].any()


@given(
    flags=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=90),
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(0, 89),
)
def test_no_funding_column_looks_ahead(flags: list[tuple[bool, bool, bool]], seed: int, cut: int) -> None:
    settled = np.array(flags, dtype=np.float64)
    rate = np.random.default_rng(seed).normal(0.0, 1e-3, settled.shape) * settled
    until = min(cut + 1, len(settled))
    interval = funding.funding_interval_hours(settled, 1.0)
    assert interval[:until].tolist() == funding.funding_interval_hours(settled[:until], 1.0).tolist()
    for whole, part in zip(_trailing(rate, settled), _trailing(rate[:until], settled[:until]), strict=True):
        assert whole[:until].tolist() == part.tolist()


@given(rates=rates_of_eight_hours, every=st.tuples(intervals, intervals, intervals), cut=st.integers(1, 200))
def test_a_window_with_its_look_back_says_what_the_whole_says(
    rates: Column, every: tuple[int, int, int], cut: int
) -> None:
    rate, settled = _market(rates, every)
    start = min(cut, len(rate) - 1)
    for whole, part in zip(_trailing(rate, settled), _trailing(rate[start:], settled[start:]), strict=True):
        assert part[72:].tolist() == whole[start + 72 :].tolist()


def test_an_interval_that_changes_is_followed() -> None:
    """Every eight hours until 24:00, hourly from then on: rates are divided by the hours that they cover."""
    settled = np.zeros((49, 3))
    settled[8:25:8] = settled[25:] = 1.0
    interval = funding.funding_interval_hours(settled, 1.0)
    assert (interval[24, 0], interval[25, 0], interval[48, 0]) == (8.0, 1.0, 1.0)
    covered = np.where(np.arange(49) > 24, 1.0, 8.0)[:, None]
    apr, known = _trailing(1e-5 * covered * settled, settled)
    assert known[24:].all()
    assert apr[24:].tolist() == pytest.approx([1e-5 * HOURS_PER_YEAR] * 25)


def test_one_venue_without_a_rate_leaves_the_book_without_one() -> None:
    settled = np.zeros((49, 3))
    settled[::8, :2] = 1.0
    assert not funding.funding_known(settled, funding.funding_interval_hours(settled, 1.0)).any()


def test_a_row_settles_once_however_many_venues_do() -> None:
    settled = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert funding.funding_settles(settled).tolist() == [1, 0, 1]


def test_venues_count_by_their_allocation() -> None:
    settled = np.ones((3, 3))
    apr, _ = _trailing(np.tile([1e-4, 2e-4, -1e-4], (3, 1)), settled, row_hours=8.0)
    assert apr[2] == pytest.approx(0.75e-4 / 8.0 * HOURS_PER_YEAR)
