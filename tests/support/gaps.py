"""Gaps: what takes a book to a liquidation before any rule of a strategy can act."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from dataflow.market.market import Market, MarketRequest
from dataflow.market.synthetic.random_markets import random_market

PRICES: Final = frozenset({"reference_price", "eth_price", "spot_price", "perp_mark", "candle_high", "candle_low"})


def with_gap(market: Market, row: int, factor: float, columns: Collection[str] = PRICES) -> Market:
    """The market with columns (prices, if none are named) ``factor`` times higher from a row of the run on.

    The candle that closes at the row is the last of the old level: nothing of the gap happens inside it.
    """
    changed = {}
    for name, column in market.columns.items():
        if name in columns:
            level = np.ones(len(column))
            level[market.first_row + row + name.startswith("candle_") :] = factor
            scaled = column * (level if column.ndim == 1 else level[:, None])
            scaled.flags.writeable = False
            changed[name] = scaled
    return replace(market, columns={**market.columns, **changed})


def flat_market(request: MarketRequest, rows: int, **levels: float) -> Market:
    """A market in which nothing moves: every column at 1, or at the level named; no funding settles and gas is free."""
    market = random_market(request, 0, rows)
    values = {"gas_price_gwei": 0.0, "funding_rate": 0.0, "funding_settled": 0.0, **levels}
    columns = {}
    for name, column in market.columns.items():
        columns[name] = np.full(column.shape, values.get(name, 1.0), order="F")
        columns[name].flags.writeable = False
    return replace(market, columns=columns)
