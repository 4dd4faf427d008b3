"""The market stage. A fault is DATA-002."""

import pandera.pandas as pa
from pandera.typing import Series

from schemas.frames.fields import (
    GAS_PRICE_GWEI_MAX,
    INDEX_MAX,
    PRICE_MAX,
    USD_MAX,
    StageFrame,
    column,
    columns,
    flag,
)
from schemas.signals import SIGNAL_CODES
from schemas.units import FUNDING_RATE_MAX, HOURS_PER_YEAR, NOT_APPLICABLE


class MarketFrame(StageFrame):
    """What was read from the data set, and what it implies before any position is looked at."""

    spot_price: Series[float] | None = columns(
        "spot_price", "usdt_per_base", ge=1e-9, le=PRICE_MAX, description="Open of each venue's spot candle."
    )
    perp_mark: Series[float] | None = columns(
        "perp_mark", "usdt_per_base", ge=1e-9, le=PRICE_MAX, description="Open of each venue's perpetual candle."
    )
    funding_rate: Series[float] | None = columns(
        "funding_rate",
        "fraction_per_settlement",
        ge=-FUNDING_RATE_MAX,
        le=FUNDING_RATE_MAX,
        description="Settled rate; 0 on rows without a settlement. > 0: longs pay shorts.",
    )
    funding_settled: Series[float] | None = columns(
        "funding_settled", "flag", ge=0.0, le=1.0, description="1 on rows where the venue settles."
    )
    reference_price: Series[float] | None = column(
        "usd_per_base", ge=1e-9, le=PRICE_MAX, description="Binance spot open of the base asset."
    )
    eth_price: Series[float] | None = column(
        "usd_per_eth", ge=1e-9, le=PRICE_MAX, description="Binance spot open of ETH."
    )
    liquidity_index: Series[float] | None = columns(
        "liquidity_index",
        "underlying_per_scaled_unit",
        ge=1.0,
        le=INDEX_MAX,
        description="On-chain supply index over 1e27.",
    )
    gas_price_gwei: Series[float] | None = column(
        "gwei", ge=0.0, le=GAS_PRICE_GWEI_MAX, description="Average gas price."
    )
    stable_price_usd: Series[float] | None = columns(
        "stable_price_usd", "usd_per_token", ge=1e-3, le=10.0, description="Price of each stablecoin in use."
    )
    token_price_usd: Series[float] | None = columns("token_price_usd", "usd_per_token", ge=1e-9, le=PRICE_MAX)
    """Price of each token of the run."""
    usd_per_share_class: Series[float] | None = column("usd", ge=1e-9, le=PRICE_MAX)
    """Price of a share-class unit."""
    delta_price_usd: Series[float] | None = column("usd", ge=0.0, le=PRICE_MAX)
    """Price of the tracked asset; 0 for a stablecoin."""
    wallet_price_usd: Series[float] | None = columns("wallet_price_usd", "usd_per_token", ge=1e-9, le=PRICE_MAX)
    """Price of each wallet token."""
    supplied_price_usd: Series[float] | None = columns("supplied_price_usd", "usd_per_token", ge=1e-9, le=PRICE_MAX)
    """Price of each supplied token."""
    liquidity_index_step: Series[float] | None = columns(
        "liquidity_index_step", "underlying_per_scaled_unit", ge=0.0, le=INDEX_MAX
    )
    """Growth of the index; never negative."""
    reference_price_step: Series[float] | None = column("usd_per_base", ge=-PRICE_MAX, le=PRICE_MAX)
    """Change of the reference price."""
    spot_premium_step: Series[float] | None = columns("spot_premium_step", "usd_per_base", ge=-PRICE_MAX, le=PRICE_MAX)
    """Change of spot over reference."""
    perp_premium_step: Series[float] | None = columns("perp_premium_step", "usd_per_base", ge=-PRICE_MAX, le=PRICE_MAX)
    """Change of perpetual over reference."""
    gas_unit_usd: Series[float] | None = column("usd_per_gas_unit", ge=0.0, le=1.0)
    """Cost of one unit of gas."""
    entry_gas_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """Gas of one full entry."""
    gas_reserve_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """What an entry leaves in the wallet."""
    funding_settles: Series[float] | None = flag()
    """1 where any venue settles."""
    funding_interval_hours: Series[float] | None = columns("funding_interval_hours", "hours", ge=0.0, le=HOURS_PER_YEAR)
    """Hours between each venue's last two settlements."""
    funding_trailing_apr: Series[float] | None = column(
        "fraction_per_year", ge=-FUNDING_RATE_MAX * HOURS_PER_YEAR, le=FUNDING_RATE_MAX * HOURS_PER_YEAR
    )
    """Funding of the last day, a year."""
    funding_known: Series[float] | None = flag()
    """1 once the trailing rate is known."""
    variable_borrow_index: Series[float] | None = columns(
        "variable_borrow_index",
        "underlying_per_scaled_unit",
        ge=1.0,
        le=INDEX_MAX,
        description="On-chain variable borrow index over 1e27.",
    )
    lst_oracle_ratio: Series[float] | None = column(
        "eth_per_lst", ge=0.5, le=INDEX_MAX, description="ETH in one staking token by the protocol's oracle."
    )
    lst_market_ratio: Series[float] | None = column(
        "eth_per_lst", ge=1e-3, le=INDEX_MAX, description="ETH that one staking token fetches on the market."
    )
    ltv_after_spread_move: Series[float] | None = column("fraction", ge=0.0, le=NOT_APPLICABLE)
    """LTV of an entry after a fall of the LST's market price."""
    supplied_ratio: Series[float] | None = columns("supplied_ratio", "asset_units_per_token", ge=0.5, le=INDEX_MAX)
    """Asset units in one supplied token."""
    supplied_yield_price_usd: Series[float] | None = columns(
        "supplied_yield_price_usd", "usd_per_token", ge=1e-9, le=PRICE_MAX
    )
    """Price at which index growth counts."""
    lst_oracle_ratio_step: Series[float] | None = column("eth_per_lst", ge=0.0, le=INDEX_MAX)
    """Growth of the oracle ratio; never negative."""
    borrowed_price_usd: Series[float] | None = columns("borrowed_price_usd", "usd_per_token", ge=1e-9, le=PRICE_MAX)
    """Price of each borrowed token."""
    variable_borrow_index_step: Series[float] | None = columns(
        "variable_borrow_index_step", "underlying_per_scaled_unit", ge=0.0, le=INDEX_MAX
    )
    """Growth of the borrow index; never negative."""
    lst_oracle_ratio_before: Series[float] | None = column("eth_per_lst", ge=0.5, le=INDEX_MAX)
    """Oracle ratio of the row before."""
    liquidity_index_before: Series[float] | None = columns(
        "liquidity_index_before", "underlying_per_scaled_unit", ge=1.0, le=INDEX_MAX
    )
    """Supply index of the row before."""
    candle_high: Series[float] | None = columns(
        "candle_high",
        "usdt_per_base",
        ge=1e-9,
        le=PRICE_MAX,
        description="High of the perpetual's candle that closes at the row.",
    )
    candle_low: Series[float] | None = columns(
        "candle_low",
        "usdt_per_base",
        ge=1e-9,
        le=PRICE_MAX,
        description="Low of the perpetual's candle that closes at the row.",
    )
    signal: Series[float] | None = pa.Field(
        isin=sorted(SIGNAL_CODES.values()),
        metadata={"unit": "signal"},
        description="Predicted direction: 1 long, -1 short, 0 neutral, 2 hold.",
    )
    confidence: Series[float] | None = column("fraction", ge=0.0, le=1.0, description="Confidence of the prediction.")
    predicted_sd: Series[float] | None = column(
        "fraction", ge=0.0, le=1.0, description="Predicted standard deviation of the price."
    )
    perp_mark_before: Series[float] | None = columns("perp_mark_before", "usdt_per_base", ge=1e-9, le=PRICE_MAX)
    """Mark of the row before."""
    perp_mark_step: Series[float] | None = columns("perp_mark_step", "usdt_per_base", ge=-PRICE_MAX, le=PRICE_MAX)
    """Change of the mark."""
    inverse_mark_fall: Series[float] | None = columns("inverse_mark_fall", "base_per_usdt", ge=-1e9, le=1e9)
    """Fall of what one USDT buys."""
    dust_price_eth: Series[float] | None = columns(
        "dust_price_eth",
        "eth_per_token",
        ge=1e-12,
        le=PRICE_MAX,
        may_be_missing=True,
        description="Last open of each reward token's DEX candles; missing where there is none of the 24 h before.",
    )
    """DEX price of each reward token."""
    dust_price_usd: Series[float] | None = columns(
        "dust_price_usd", "usd_per_token", ge=1e-9, le=PRICE_MAX, may_be_missing=True
    )
    """Price of each reward token; missing where the DEX has none."""
    dust_price_step: Series[float] | None = columns(
        "dust_price_step", "share_class_per_token", ge=-PRICE_MAX, le=PRICE_MAX, may_be_missing=True
    )
    """Change of a reward token's price; missing where either price is."""
    variable_borrow_index_before: Series[float] | None = columns(
        "variable_borrow_index_before", "underlying_per_scaled_unit", ge=1.0, le=INDEX_MAX
    )
    """Borrow index of the row before."""
