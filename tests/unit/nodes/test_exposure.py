"""Exposure nodes: one asset over its keys, perpetuals as delta and as profit, equity with everything in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.nodes import exposure
from schemas.units import Column

values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6).map(lambda row: np.array([row]))


def test_eth_and_weth_are_one_asset() -> None:
    units, prices = np.array([[1.0, 2.0]]), np.array([[3_000.0, 3_000.0]])
    assert exposure.wallet_quantity(units, ("ETH", "WETH"), ("ETH",)).tolist() == [[3.0]]
    assert exposure.wallet_value_usd(units, prices, ("ETH", "WETH"), ("ETH",)).tolist() == [[9_000.0]]


def test_a_supplied_token_is_its_underlying() -> None:
    scaled, index = np.array([[93_745.8]]), np.array([[1.066714]])
    assert exposure.supplied_quantity(scaled, index, np.ones((1, 1)), ("USDT",), ("USDT",))[0, 0] == pytest.approx(
        100_000.0, abs=1.0
    )


def test_a_perpetual_is_delta_of_its_asset_and_value_of_its_profit() -> None:
    one = np.ones((1, 1))
    quantity = exposure.exchange_quantity(7.0 * one, 0.5 * one, -0.75 * one, "BTC", ("BTC", "USDT"))
    assert quantity.tolist() == [[-0.25, 7.0]]
    profit = exposure.perp_unrealised_pnl_usd(-0.75 * one, 59_000.0 * one, 60_000.0 * one)
    value = exposure.exchange_value_usd(7.0 * one, 30_000.0 * one, profit, "BTC", ("BTC", "USDT"))
    assert value.tolist() == [[30_750.0, 7.0]]


@given(amounts=values)
def test_shares_of_the_gross_value_sum_to_one_in_size(amounts: Column) -> None:
    shares = exposure.asset_share(amounts)
    total = np.abs(shares).sum()
    assert total == pytest.approx(1.0) or not np.any(amounts)
    assert np.all(np.sign(shares) == np.sign(amounts)) or np.abs(amounts).max() / np.abs(amounts).sum() > 1.0 - 1e-12


def test_an_empty_book_has_no_shares() -> None:
    assert exposure.asset_share(np.zeros((1, 2))).tolist() == [[0.0, 0.0]]


@given(amounts=values)
def test_equity_is_a_left_fold_of_assets(amounts: Column) -> None:
    total = 0.0
    for value in amounts[0].tolist():
        total += value
    assert exposure.equity_usd(amounts)[0] == total


@pytest.mark.parametrize(
    ("net", "long_leg", "entry", "expected"),
    [
        pytest.param(-0.01, 0.5, 0.4, 0.02, id="of-the-long-leg"),
        pytest.param(-0.01, 0.1, 0.5, 0.02, id="at-least-the-entry-quantity"),
        pytest.param(0.0, 0.0, 0.0, 0.0, id="empty-book"),
        pytest.param(0.5, 0.5, 0.5, 1.0, id="no-hedge"),
    ],
)
def test_net_delta_fraction(net: float, long_leg: float, entry: float, expected: float) -> None:
    fraction = exposure.net_delta_fraction(np.array([net]), np.array([long_leg]), entry)
    assert fraction[0] == pytest.approx(expected)


def test_share_class_equity_is_usd_equity_at_the_price_of_the_share_class() -> None:
    assert exposure.equity_share_class(np.array([6_000.0]), np.array([3_000.0])).tolist() == [2.0]
