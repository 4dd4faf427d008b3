"""Quantities that a given amount of cash can open or must close."""

import math
from dataclasses import dataclass

from dataflow.maths.costs import CostModel


@dataclass(frozen=True, slots=True)
class BasisMarket:
    """Where a coin and its perpetual trade against each other: one venue, one pair, mid prices in USDT."""

    venue: str
    pair: str
    spot_price: float
    perp_mark: float
    costs: CostModel

    def slippages(self, quantity: float) -> tuple[float, float]:
        """Slippage of the spot and of the perpetual order of one quantity (base units), as fractions."""
        return (
            self.costs.slippage("spot", self.venue, self.pair, quantity * self.spot_price),
            self.costs.slippage("perp", self.venue, self.pair, quantity * self.perp_mark),
        )


def entry_quantity(cash: float, market: BasisMarket) -> float:
    """Coins to buy and short so that price, slippage and both fees use the cash up.

        quantity = cash / (S (1 + slip)(1 + fee_spot) + P (1 - slip) fee_perp)

    cash: USDT, >= 0. Returns base units. Slippage depends on size: buckets only rise until the quantity agrees with
    them, so the cash always suffices. Source: [domain] ruling 11.

    >>> entry_quantity(100.0, BasisMarket("okx", "BTCUSDT", 50.0, 50.0, CostModel.free()))
    2.0
    """
    spot_fee, perp_fee = market.costs.fee("spot", market.venue), market.costs.fee("perp", market.venue)
    slip_spot, slip_perp = market.slippages(0.0)
    while True:
        quantity = cash / (
            market.spot_price * (1.0 + slip_spot) * (1.0 + spot_fee) + market.perp_mark * (1.0 - slip_perp) * perp_fee
        )
        at_spot, at_perp = market.slippages(quantity)
        if at_spot <= slip_spot and at_perp <= slip_perp:
            return quantity
        slip_spot, slip_perp = max(slip_spot, at_spot), max(slip_perp, at_perp)


def unwind_quantity(cash: float, entry_price: float, market: BasisMarket) -> float:
    """Coins to sell, with the same amount of short to close, so that the venue's USDT rises by the cash.

        cash per unit = S (1 - slip)(1 - fee_spot) + (entry - P (1 + slip)) - P (1 + slip) fee_perp

    cash: USDT, >= 0. entry_price: average entry of the short. Returns base units, infinite where closing costs more
    than it frees, so the caller caps it at what is held. Source: [domain] ruling 8.

    >>> unwind_quantity(100.0, 60.0, BasisMarket("okx", "BTCUSDT", 50.0, 50.0, CostModel.free())).__round__(6)
    1.666667
    """
    spot_fee, perp_fee = market.costs.fee("spot", market.venue), market.costs.fee("perp", market.venue)
    slip_spot, slip_perp = market.slippages(0.0)
    while True:
        bought_back = market.perp_mark * (1.0 + slip_perp)
        per_unit = (
            market.spot_price * (1.0 - slip_spot) * (1.0 - spot_fee) + entry_price - bought_back * (1.0 + perp_fee)
        )
        if per_unit <= 0.0:
            return math.inf
        quantity = cash / per_unit
        at_spot, at_perp = market.slippages(quantity)
        if at_spot <= slip_spot and at_perp <= slip_perp:
            return quantity
        slip_spot, slip_perp = max(slip_spot, at_spot), max(slip_perp, at_perp)
