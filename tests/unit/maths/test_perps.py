"""Linear perpetuals: fills conserve profit, whatever their order and size.

Between two fills at one mark nothing is made or lost, so realised plus unrealised profit after any sequence of fills is
what each fill made against the last mark. The sign tables are the specification (domain 4.2, 4.3, ruling 23).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.perps import average_entry, funding_payment, realised_pnl

prices = st.floats(1.0, 1e6)
changes = st.floats(-1e4, 1e4).filter(lambda change: abs(change) > 1e-6)
fills = st.lists(st.tuples(changes, prices), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("units", "change", "fill", "realised", "entry_after"),
    [
        pytest.param(0.0, -1.0, 100.0, 0.0, 100.0, id="open-short"),
        pytest.param(-1.0, -1.0, 120.0, 0.0, 110.0, id="add-to-short-averages"),
        pytest.param(-2.0, 1.0, 90.0, 10.0, 100.0, id="short-bought-back-lower-gains"),
        pytest.param(-2.0, 1.0, 110.0, -10.0, 100.0, id="short-bought-back-higher-loses"),
        pytest.param(-2.0, 2.0, 90.0, 20.0, 0.0, id="short-closed-is-flat"),
        pytest.param(2.0, -1.0, 110.0, 10.0, 100.0, id="long-sold-higher-gains"),
        pytest.param(-1.0, 3.0, 90.0, 10.0, 90.0, id="flip-closes-all-and-restarts-at-the-fill"),
        pytest.param(1.0, -3.0, 110.0, 10.0, 110.0, id="flip-of-a-long"),
    ],
)
def test_fill_table(units: float, change: float, fill: float, realised: float, entry_after: float) -> None:
    entry = 100.0 if units else 0.0
    assert realised_pnl(units, entry, change, fill) == pytest.approx(realised)
    assert average_entry(units, entry, change, fill) == pytest.approx(entry_after)


@given(sequence=fills, mark=prices)
def test_realised_and_unrealised_are_conserved_over_any_fills(sequence: list[tuple[float, float]], mark: float) -> None:
    units = entry = realised = by_fill = gross = 0.0
    for change, fill in sequence:
        realised += realised_pnl(units, entry, change, fill)
        entry = average_entry(units, entry, change, fill)
        units += change
        by_fill += change * (mark - fill)
        gross += abs(change) * max(mark, fill)
    unrealised = units * (mark - entry)
    assert realised + unrealised == pytest.approx(by_fill, abs=1e-9 * gross)


@given(units=changes, entry=prices, change=changes, fill=prices)
def test_an_entry_price_lies_between_the_old_one_and_the_fill(
    units: float, entry: float, change: float, fill: float
) -> None:
    after = average_entry(units, entry, change, fill)
    if units + change == 0.0:
        assert after == 0.0
    else:
        low, high = sorted((entry, fill))
        assert low * (1.0 - 1e-9) <= after <= high * (1.0 + 1e-9)


@given(units=changes, entry=prices, change=changes, fill=prices)
def test_long_and_short_of_one_size_realise_opposite_profits(
    units: float, entry: float, change: float, fill: float
) -> None:
    assert realised_pnl(units, entry, change, fill) == -realised_pnl(-units, entry, -change, fill)


@pytest.mark.parametrize(
    ("units", "rate", "expected"),
    [
        pytest.param(+2.0, +0.0001, -0.6, id="long-pays-positive-rate"),
        pytest.param(-2.0, +0.0001, +0.6, id="short-earns-positive-rate"),
        pytest.param(+2.0, -0.0001, +0.6, id="long-earns-negative-rate"),
        pytest.param(-2.0, -0.0001, -0.6, id="short-pays-negative-rate"),
        pytest.param(+0.0, +0.0001, 0.0, id="flat-pays-nothing"),
    ],
)
def test_funding_sign(units: float, rate: float, expected: float) -> None:
    assert funding_payment(units, 3_000.0, rate) == pytest.approx(expected)


@given(units=changes, mark=prices, rate=st.floats(-0.05, 0.05))
def test_funding_of_long_and_short_sums_to_zero(units: float, mark: float, rate: float) -> None:
    assert funding_payment(units, mark, rate) + funding_payment(-units, mark, rate) == 0.0
