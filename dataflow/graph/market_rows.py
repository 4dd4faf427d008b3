"""The market of a run as the engine sees it: columns of the run's rows, and one row as a snapshot."""

from collections.abc import Mapping, Sequence
from typing import overload

import numpy as np

from dataflow.graph.build import Graph
from dataflow.graph.executors import Executor
from dataflow.graph.inputs import Parameters
from dataflow.market.market import STABLE_PRICE, Market
from schemas.instruments import PositionKey
from schemas.snapshot import MarketSnapshot
from schemas.units import Column, Instants, frozen


class InstantTexts(Sequence[str]):
    """Instants as the events write them, each spelled when it is asked for: most rows of a run never are."""

    def __init__(self, instants: Instants) -> None:
        self._instants = instants

    def __len__(self) -> int:
        return len(self._instants)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "InstantTexts": ...
    def __getitem__(self, place: int | slice) -> "str | InstantTexts":
        if isinstance(place, slice):
            return InstantTexts(self._instants[place])
        return str(self._instants[place])


def _stable_prices(market: Market, tokens: tuple[str, ...]) -> Column:
    """USD a unit of each stablecoin: by its series, 1 where the data has none. Shape: (rows, tokens)."""
    prices = np.ones((len(market.instants), len(tokens)), order="F")
    for place, token in enumerate(market.axes.get(STABLE_PRICE, ())):
        prices[:, tokens.index(token)] = market.columns[STABLE_PRICE][:, place]
    return frozen(prices)


class MarketRows:
    """Market columns and the market stage's nodes, from the first row of the run on.

    The nodes are computed once, look-back rows included, which are then cut off.
    """

    def __init__(
        self, market: Market, graph: Graph, executor: Executor, parameters: Parameters, lst: str | None = None
    ) -> None:
        first = market.first_row
        self.instants: Instants = market.instants[first:]
        self.texts = InstantTexts(self.instants)
        self.raw_names = tuple(name for name in market.columns if name in graph.inputs and name != STABLE_PRICE)
        names = [node.name for node in graph.in_stages(("market",))]
        stable = _stable_prices(market, parameters.axes["stable_tokens"])
        known = {**parameters.inputs, STABLE_PRICE: stable, **{name: market.columns[name] for name in self.raw_names}}
        values = executor.evaluate(names, known)
        self.columns: dict[str, Column] = {}
        for name in (*self.raw_names, *names):
            column = values[name]
            assert isinstance(column, np.ndarray), f"market node {name} is a column"
            self.columns[name] = column[first:]
        self.epoch_seconds = self.instants.astype(np.int64).astype(np.float64)
        self._axes = parameters.axes
        self._lst = lst
        self._base_asset = str(parameters.inputs["base_asset"]) or None
        self._quote_token = str(parameters.inputs["quote_token"])
        self._margin_token = str(parameters.inputs["margin_token"])

    def __len__(self) -> int:
        return len(self.instants)

    def between(self, start: int, end: int) -> dict[str, Column]:
        """Every column of the rows from ``start`` to before ``end``."""
        return {name: column[start:end] for name, column in self.columns.items()}

    def repeated(self, row: int, times: int) -> dict[str, Column]:
        """Every column of one row, as often as there are books to value at it."""
        rows = np.full(times, row)
        return {name: frozen(column[rows]) for name, column in self.columns.items()}

    def in_share_class(self, row: int, usd: float) -> float:
        """USD at the price of a row, share-class units."""
        return usd / float(self.columns["usd_per_share_class"][row])

    def snapshot(self, row: int) -> MarketSnapshot:
        """What is known at one row."""
        return MarketSnapshot(
            timestamp=self.texts[row],
            prices=self.prices(row),
            gas_unit_usd=self._scalar("gas_unit_usd", row),
            base_asset=self._base_asset,
            spot_price=self._coin_prices(row),
            perp_mark=self._labelled("perp_mark", "venues", row),
            liquidity_index=self._labelled("liquidity_index", "supplied_tokens", row),
            variable_borrow_index=self._labelled("variable_borrow_index", "borrowed_tokens", row),
            lst_oracle_ratio=self._of_lst("lst_oracle_ratio", row),
            lst_market_ratio=self._of_lst("lst_market_ratio", row),
            dust_price_eth=self._labelled("dust_price_eth", "dust_tokens", row),
            quote_token=self._quote_token,
            margin_token=self._margin_token,
        )

    def prices(self, row: int) -> dict[str, float]:
        """USD a unit of each token; NaN for a reward that the DEX does not price."""
        rewards = self._labelled("dust_price_usd", "dust_tokens", row)
        return {**self._labelled("token_price_usd", "tokens", row), **rewards}

    def key_prices(self, row: int, groups: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
        """USD a unit of each position key; the mark for a perpetual."""
        prices = self.prices(row)
        quote, growth = prices[self._quote_token], {"a_token": "liquidity_index", "debt": "variable_borrow_index"}
        found: dict[str, float] = {}
        for kind, keys in groups.items():
            if kind in ("spot", "perp"):
                coins = self._coin_prices(row) if kind == "spot" else self._labelled("perp_mark", "venues", row)
                found.update(zip(keys, (price * quote for price in coins.values()), strict=True))
                continue
            units = [prices[PositionKey.parse(key).underlying] for key in keys]
            if kind in growth:
                indexes = self.columns[growth[kind]][row].tolist()
                units = [index * price for index, price in zip(indexes, units, strict=True)]
            found.update(zip(keys, units, strict=True))
        return found

    def _coin_prices(self, row: int) -> dict[str, float]:
        """Price of the base asset at each exchange; that of the share class where coins are nothing but margin."""
        if self._margin_token == self._quote_token:
            return self._labelled("spot_price", "venues", row)
        return dict.fromkeys(self._axes["venues"], float(self.columns["reference_price"][row]))

    def _scalar(self, name: str, row: int) -> float:
        """One value of a column; NaN where the mode does not read it, so that no use of it goes unnoticed."""
        return float(self.columns[name][row]) if name in self.columns else float("nan")

    def _of_lst(self, name: str, row: int) -> dict[str, float]:
        return {self._lst: float(self.columns[name][row])} if name in self.columns and self._lst else {}

    def _labelled(self, name: str, axis: str, row: int) -> dict[str, float]:
        if name not in self.columns:
            return {}
        return dict(zip(self._axes[axis], self.columns[name][row].tolist(), strict=True))
