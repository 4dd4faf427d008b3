"""The market at one instant, as orders are priced and venues answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.errors import MissingPriceError
from schemas.instruments import DUST_TOKENS


@dataclass(frozen=True)
class MarketSnapshot:
    """Prices, indexes and gas known at ``timestamp`` (ISO-8601 UTC without offset).

    prices: token to USD a unit, NaN where a reward has no price on the DEX. spot_price, perp_mark: venue to quote per
    base unit. liquidity_index, variable_borrow_index: underlying token to the on-chain index. lst_oracle_ratio,
    lst_market_ratio: LST to ETH per LST. dust_price_eth: reward token to ETH per token on the DEX, NaN where it has no
    price. gas_unit_usd: USD per gas unit, 0 where the run charges none; NaN in modes that read no gas. quote_token:
    what pairs are quoted in. margin_token: what perpetuals are margined in, the quote or their base asset.
    """

    timestamp: str
    prices: Mapping[str, float]
    gas_unit_usd: float
    base_asset: str | None = None
    spot_price: Mapping[str, float] = field(default_factory=dict)
    perp_mark: Mapping[str, float] = field(default_factory=dict)
    liquidity_index: Mapping[str, float] = field(default_factory=dict)
    variable_borrow_index: Mapping[str, float] = field(default_factory=dict)
    lst_oracle_ratio: Mapping[str, float] = field(default_factory=dict)
    lst_market_ratio: Mapping[str, float] = field(default_factory=dict)
    dust_price_eth: Mapping[str, float] = field(default_factory=dict)
    quote_token: str = "USDT"
    margin_token: str = "USDT"

    @property
    def eth_price(self) -> float:
        """USD an ETH, in which networks charge gas; MissingPriceError (DATA-005) where the mode does not read it."""
        return self.price("ETH")

    def price(self, token: str) -> float:
        """USD a unit of a token; MissingPriceError (DATA-005) where it has no price.

        >>> MarketSnapshot("2024-05-12T00:00:00", {"USDT": 1.0, "WETH": 3_000.0}, 0.0).price("WETH")
        3000.0
        """
        price = self.prices.get(token, math.nan)
        if math.isnan(price):
            raise MissingPriceError(
                f"{token} has no price at {self.timestamp}; the mode must list it in data_requirements",
                token=token,
                timestamp=self.timestamp,
            )
        return price

    def price_at(self, venue: str, token: str) -> float:
        """USD a unit of a token at an exchange: of the base asset its own spot price, of any other the one price."""
        if token != self.base_asset:
            return self.price(token)
        return self.value_of("spot_price", venue) * self.price(self.quote_token)

    def margin_units(self, quoted: float, price: float) -> float:
        """An amount of the quote in the token that margins perpetuals, converted at ``price`` where that is a coin.

        >>> MarketSnapshot("2024-05-12T00:00:00", {}, 0.0, margin_token="BTC").margin_units(100.0, 50_000.0)
        0.002
        """
        return quoted if self.margin_token == self.quote_token else quoted / price

    def dex_market(self, token: str) -> tuple[float, str]:
        """ETH per token at which the DEX takes a staking or reward token, and the pair under which it slips.

        Raises MissingPriceError (DATA-005) where it has no price.
        """
        if token in DUST_TOKENS:
            return self.value_of("dust_price_eth", token), f"{token}ETH"
        return self.value_of("lst_market_ratio", token), f"ETH{token}"

    def value_of(self, series: str, label: str) -> float:
        """One value of a series; MissingPriceError (DATA-005) where the snapshot has none."""
        values: Mapping[str, float] = getattr(self, series)
        if label not in values:
            raise MissingPriceError(
                f"no {series} of {label} at {self.timestamp}; the mode must list it in data_requirements",
                series=series,
                label=label,
                timestamp=self.timestamp,
            )
        return values[label]
