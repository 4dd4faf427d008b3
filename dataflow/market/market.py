"""What a run reads from a data set: the request, the aligned columns and where they came from.

No reader and no pandas here, so that every layer may name these types.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from schemas.units import Column, Instants

MARKET_COLUMNS: Final = (
    "spot_price",
    "perp_mark",
    "funding_rate",
    "funding_settled",
    "reference_price",
    "eth_price",
    "btc_price",
    "liquidity_index",
    "variable_borrow_index",
    "lst_oracle_ratio",
    "lst_market_ratio",
    "gas_price_gwei",
)
"""Every column that a market of any clock can hold; `funding_settled` always comes with `funding_rate`."""

SIGNAL_FEEDS: Final = ("ohlcv", "prediction")
REWARD_FEED: Final = "staking_rewards"
FEEDS: Final = (*SIGNAL_FEEDS, REWARD_FEED)
"""What a mode asks for beside columns.

`ohlcv` gives `candle_high` and `candle_low`, the extremes of the perpetual's candle that closes at the row,
`prediction` gives `signal`, `confidence` and `predicted_sd`, and `staking_rewards` gives `dust_price_eth`, what a
reward token fetches on the DEX, and the payouts.
"""

DUST_PRICE: Final = "dust_price_eth"
STABLE_PRICE: Final = "stable_price_usd"
"""USD a unit of each stablecoin that the data set has a series of; any other is worth 1."""

REFERENCE_COLUMNS: Final = ("reference_price", "eth_price", "btc_price")
REFERENCE_QUOTE: Final = "USDT"
"""What the series of reference prices are quoted in."""

CANDLE_COLUMNS: Final = ("candle_high", "candle_low")
PREDICTION_COLUMNS: Final = ("signal", "confidence", "predicted_sd")

FEED_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "funding_rate": ("funding_rate", "funding_settled"),
    "ohlcv": CANDLE_COLUMNS,
    "prediction": PREDICTION_COLUMNS,
    REWARD_FEED: (DUST_PRICE,),
}
"""What gives other columns than the one of its name."""

DATA_COLUMNS: Final = frozenset(
    {*MARKET_COLUMNS, STABLE_PRICE, *(name for given in FEED_COLUMNS.values() for name in given)}
)
"""Every column that can come from a data set."""


def columns_given(requested: Iterable[str]) -> frozenset[str]:
    """The columns of a market for which these columns and feeds were asked.

    >>> sorted(columns_given(["eth_price", "funding_rate"]))
    ['eth_price', 'funding_rate', 'funding_settled']
    """
    return frozenset(column for name in requested for column in FEED_COLUMNS.get(name, (name,)))


def requirement_of(column: str) -> str:
    """What a mode asks for to get a column.

    >>> requirement_of("candle_low"), requirement_of("eth_price")
    ('ohlcv', 'eth_price')
    """
    return next((name for name, given in FEED_COLUMNS.items() if column in given), column)


SPOT_SUFFIX: Final = "_spot"
"""A fill rule `perp_mark.VENUE: OTHER_spot` gives the spot candles of a venue for a perpetual's (domain ruling 26)."""

MEAN_OF_OTHER_VENUES: Final = "mean_of_other_venues"
"""Fill rule for a missing funding settlement: the mean of the requested venues that have one at that instant."""


@dataclass(frozen=True)
class MarketRequest:
    """The columns a run needs, on which clock, for which assets and venues.

    `venues` labels the second axis of `spot_price`, `perp_mark` and `funding_rate`; `supplied` that of
    `liquidity_index`; `borrowed` that of `variable_borrow_index` (underlying tokens: USDT, WETH, weETH, wstETH).
    `reward_tokens` labels the second axis of `dust_price_eth`: the tokens whose payouts are read.
    `stable_tokens` are stablecoins whose price is read where the data set has it; the reference prices are then in USD.
    `files` maps a series to a file outside the data set, in place of the data set's own.
    `start` and `end` are both rows of the run; None means the first or last instant that the data covers.
    `fill_rules` maps `column.venue` to `mean_of_other_venues` (funding) or the name of a venue (prices).
    A gap of a column in `required_when_used` is NaN, counted and warned about, instead of an error: its reader must
    refuse the NaN on the row that needs it (domain ruling 4).
    """

    columns: tuple[str, ...]
    base_asset: str | None = None
    venues: tuple[str, ...] = ()
    supplied: tuple[str, ...] = ()
    borrowed: tuple[str, ...] = ()
    lst: str | None = None
    fill_rules: Mapping[str, str] = field(default_factory=dict)
    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    step_seconds: int = 3_600
    look_back_rows: int = 0
    required_when_used: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    reward_tokens: tuple[str, ...] = ()
    stable_tokens: tuple[str, ...] = ()


class SeriesCoverage(NamedTuple):
    """First and last instant (ISO-8601, UTC) and the number of rows of one series that was read."""

    first: str
    last: str
    rows: int


@dataclass(frozen=True)
class Provenance:
    """Where the numbers came from.

    `digest` is the SHA-256 over the names and bytes of the files read; `fills` counts filled rows by
    `column.venue=rule` and clipped falls by `series.column=clipped`; `coverage` is per series read.
    """

    name: str
    path: str
    digest: str
    synthetic: bool
    fills: Mapping[str, int]
    coverage: Mapping[str, SeriesCoverage]
    warnings: tuple[str, ...]


class RewardPayout(NamedTuple):
    """One reward of a staking protocol.

    `paid_at`, `first_day`, `last_day` are epoch seconds (the days at which they begin); `per_eth` is tokens for one ETH
    staked over the whole period.
    """

    token: str
    paid_at: int
    first_day: int
    last_day: int
    per_eth: float


@dataclass(frozen=True)
class Market:
    """Aligned, validated, read-only market history.

    `instants` has shape (rows,), look-back rows included; the run begins at row `first_row`. One-dimensional columns
    have shape (rows,), two-dimensional ones (rows, n) with contiguous columns labelled by `axes`.
    """

    instants: Instants
    first_row: int
    columns: Mapping[str, Column]
    axes: Mapping[str, tuple[str, ...]]
    provenance: Provenance
    payouts: tuple[RewardPayout, ...] = ()
    """Every payout of the requested reward tokens, by instant, those outside the rows of the run included."""
