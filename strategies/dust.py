"""Selling reward tokens: the rule and the orders that all staking modes share. [domain] 4.9, rulings 25 and 30.

Dust is sold on the DEX for WETH, all of it at once, when it is worth more than a share of equity and its sale is worth
its gas. Modes without rewards have no dust and ask for none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hamilton.function_modifiers import config, tag

from dataflow.maths.costs import CostModel
from schemas.intents import OrderIntent, sell_dust
from schemas.operations import StrategyIntent
from schemas.units import Column, frozen, sum_columns

_DEX = "uniswap"


@dataclass(frozen=True, slots=True)
class DustBook:
    """The reward tokens at one row.

    tokens, units, prices_eth: one entry a token; a price is ETH per token on the DEX. eth_price: USD.
    """

    tokens: tuple[str, ...]
    units: tuple[float, ...]
    prices_eth: tuple[float, ...]
    eth_price: float
    gas_unit_usd: float
    costs: CostModel

    def sale(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Sell every token that is held for WETH."""
        return [sell_dust(token, units, intent) for token, units, _ in self._held()]

    def proceeds_eth(self) -> float:
        """WETH that the sale brings after slippage and its gas."""
        received = 0.0
        for token, units, price in self._held():
            value = units * price
            slippage = self.costs.slippage("swap", _DEX, f"{token}ETH", value * self.eth_price)
            received += value * (1.0 - slippage) - self.costs.gas_usd("swap", self.gas_unit_usd) / self.eth_price
        return received

    def _held(self) -> Sequence[tuple[str, float, float]]:
        return [each for each in zip(self.tokens, self.units, self.prices_eth, strict=True) if each[1] > 0.0]


@tag(stage="decision", unit="flag")
@config.when(rewards=False)
def dust_is_due__none(row_is_new: Column) -> Column:
    """0: a run without rewards has no dust.

    Shape:  (rows,).

    >>> dust_is_due__none(np.ones(2)).tolist()
    [0.0, 0.0]
    """
    return frozen(np.zeros(len(row_is_new)))


@tag(stage="decision", unit="flag")
@config.when(rewards=True)
def dust_is_due__held(
    dust_token_value_usd: Column,
    equity_usd: Column,
    gas_unit_usd: Column,
    costs: CostModel,
    dust_delta: float,
    dust_gas_multiple: float,
) -> Column:
    """1 where the reward tokens are worth more than the threshold, and so many times the gas of their sale.

        worth > dust_delta x equity   and   worth > dust_gas_multiple x gas of one swap a token held

    Shape:  (rows,).
    Source: [domain] 3.0 and 4.9.

    >>> worth, equity, gas = np.array([[3.0], [1.0]]), np.full(2, 1_000.0), np.zeros(2)
    >>> dust_is_due__held(worth, equity, gas, CostModel.free(), 0.002, 1.0).tolist()
    [1.0, 0.0]
    """
    worth = sum_columns(dust_token_value_usd)
    swaps = sum_columns((dust_token_value_usd > 0.0).astype(np.float64))
    gas_usd = swaps * costs.gas_usd("swap", 1.0) * gas_unit_usd
    is_due = (worth > dust_delta * equity_usd) & (worth > dust_gas_multiple * gas_usd)
    return frozen(is_due.astype(np.float64))


@tag(stage="orders", unit="book")
@config.when(rewards=False)
def dust_book__none(costs: CostModel) -> DustBook:
    """No reward tokens."""
    return DustBook((), (), (), 1.0, 0.0, costs)


@tag(stage="orders", unit="book")
@config.when(rewards=True)
def dust_book__held(
    dust_units: Column,
    dust_price_eth: Column,
    dust_tokens: tuple[str, ...],
    eth_price: Column,
    gas_unit_usd: Column,
    costs: CostModel,
) -> DustBook:
    """The reward tokens at the decision's row, as the order builder sees them. Columns are those of the row alone."""
    return DustBook(
        dust_tokens,
        tuple(dust_units[0].tolist()),
        tuple(dust_price_eth[0].tolist()),
        float(eth_price[0]),
        float(gas_unit_usd[0]),
        costs,
    )
