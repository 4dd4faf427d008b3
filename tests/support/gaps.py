"""Price gaps: what takes a market to a liquidation before any rule of a strategy can act."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from dataflow.market.market import Market

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
