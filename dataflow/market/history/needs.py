"""Which series a request needs, column by column, with the fill rules applied to absent series."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dataflow.market.history.data_set import DataSet
from dataflow.market.market import (
    CANDLE_COLUMNS,
    DUST_PRICE,
    FEEDS,
    MARKET_COLUMNS,
    MEAN_OF_OTHER_VENUES,
    PREDICTION_COLUMNS,
    REWARD_FEED,
    SIGNAL_FEEDS,
    SPOT_SUFFIX,
    STABLE_PRICE,
    MarketRequest,
)
from dataflow.market.series import (
    INTERVAL_NAMES,
    PREDICTION_RULES,
    REWARD_SERIES,
    STABLE_VALUE,
    candle_series,
    dex_series,
    prediction_series,
    stable_series,
)
from schemas.errors import ConfigValidationError

REFERENCE_VENUE: Final = "binance"
"""Spot of this venue is the reference price of an asset (domain ruling 1)."""

GAS_SERIES: Final = "gas_prices_1h"

PAYOUTS: Final = "payouts"
"""What the payouts of a reward are needed for; they are no column."""

LENDING_COLUMNS: Final = ("liquidity_index", "variable_borrow_index")
VENUE_COLUMNS: Final[Mapping[str, str]] = {"spot_price": "spot", "perp_mark": "perp"}
"""Columns with one candle series a venue, and the product that the series is of."""


@dataclass(frozen=True)
class SeriesNeed:
    """One column of one series, for one column (and label on its axis) of the market.

    `label` is "" for one-dimensional columns. `is_optional` needs do not limit the window that the data covers.
    `rule` is the fill rule for what is missing. Under a price rule, `substitute` is the series whose rows stand in
    where `series` has none; `is_proxy` says that `series` itself stands in for a venue without a series.
    """

    column: str
    label: str
    series: str
    value: str
    is_optional: bool = False
    rule: str = ""
    substitute: str = ""
    is_proxy: bool = False

    @property
    def purpose(self) -> str:
        """`column` or `column.label`."""
        return f"{self.column}.{self.label}" if self.label else self.column


def series_needs(request: MarketRequest, data_set: DataSet) -> tuple[SeriesNeed, ...]:
    """Every series a request needs, in the order of its columns; then those of stablecoins that the data set has.

    Raises ConfigValidationError (CONFIG-003) for an unknown column, clock or fill rule, or an absent label.
    """
    _check_request(request)
    stable = (
        SeriesNeed(STABLE_PRICE, token, stable_series(token), STABLE_VALUE)
        for token in request.stable_tokens
        if stable_series(token) in data_set
    )
    return (*(need for column in request.columns for need in _needs_of_column(column, request, data_set)), *stable)


def wanted_columns(needs: Sequence[SeriesNeed]) -> dict[str, dict[str, str]]:
    """Columns to read by series, each with the first purpose that needs it; substitutes included."""
    wanted: dict[str, dict[str, str]] = {}
    for need in needs:
        for name in filter(None, (need.series, need.substitute)):
            wanted.setdefault(name, {}).setdefault(need.value, need.purpose)
    return wanted


def _check_request(request: MarketRequest) -> None:
    if not request.columns:
        raise ConfigValidationError("a request without columns: name at least one", field="columns")
    for column in request.columns:
        if column not in MARKET_COLUMNS + FEEDS:
            raise ConfigValidationError(
                f"no market column {column}: use one of {', '.join(MARKET_COLUMNS + FEEDS)}",
                field="columns",
                value=column,
            )
    if request.step_seconds not in INTERVAL_NAMES:
        names = ", ".join(map(str, INTERVAL_NAMES))
        raise ConfigValidationError(
            f"no clock of {request.step_seconds} s: use one of {names} s",
            field="step_seconds",
            value=request.step_seconds,
        )
    for key, rule in request.fill_rules.items():
        column, _, venue = key.partition(".")
        is_known = rule == MEAN_OF_OTHER_VENUES if column == "funding_rate" else column in VENUE_COLUMNS and rule
        if not venue or not is_known:
            raise ConfigValidationError(
                f"unknown fill rule {key}: {rule}; use `funding_rate.VENUE: {MEAN_OF_OTHER_VENUES}` or "
                "`spot_price.VENUE: OTHER_VENUE`",
                field=f"fill_rules.{key}",
                value=rule,
            )


def _needs_of_column(column: str, request: MarketRequest, data_set: DataSet) -> Iterator[SeriesNeed]:
    if column in VENUE_COLUMNS:
        for venue in _labels(request.venues, column, "venues"):
            yield _venue_need(column, venue, request, data_set)
    elif column == "funding_rate":
        asset = _base_asset(request, column)
        for venue in _labels(request.venues, column, "venues"):
            rule = request.fill_rules.get(f"funding_rate.{venue}", "")
            yield SeriesNeed(column, venue, f"funding_{venue}_{asset.lower()}usdt", "funding_rate", rule=rule)
    elif column in LENDING_COLUMNS:
        tokens, field = (
            (request.supplied, "supplied") if column == "liquidity_index" else (request.borrowed, "borrowed")
        )
        for token in _labels(tokens, column, field):
            yield SeriesNeed(column, token, f"aave_v3_{token.lower()}_rates_1d", column)
    elif column in SIGNAL_FEEDS:
        yield from _signal_needs(column, request, data_set)
    elif column == REWARD_FEED:
        yield from _reward_needs(column, request, data_set)
    elif column.startswith("lst_"):
        yield from _lst_needs(column, request)
    elif column == "gas_price_gwei":
        yield SeriesNeed(column, "", GAS_SERIES, "gas_price_avg_gwei", is_optional=column in request.required_when_used)
    elif column != "funding_settled":  # comes with funding_rate
        asset = {"eth_price": "ETH", "btc_price": "BTC"}.get(column) or _base_asset(request, column)
        yield SeriesNeed(column, "", candle_series("spot", REFERENCE_VENUE, asset, request.step_seconds), "open")


def _venue_need(column: str, venue: str, request: MarketRequest, data_set: DataSet) -> SeriesNeed:
    asset = _base_asset(request, column)
    own = candle_series(VENUE_COLUMNS[column], venue, asset, request.step_seconds)
    rule = request.fill_rules.get(f"{column}.{venue}", "")
    if not rule:
        return SeriesNeed(column, venue, own, "open")
    product = "spot" if rule.endswith(SPOT_SUFFIX) else VENUE_COLUMNS[column]
    other = candle_series(product, rule.removesuffix(SPOT_SUFFIX), asset, request.step_seconds)
    if own in data_set:
        return SeriesNeed(column, venue, own, "open", rule=rule, substitute=other)
    return SeriesNeed(column, venue, other, "open", rule=rule, is_proxy=True)


def _signal_needs(column: str, request: MarketRequest, data_set: DataSet) -> Iterator[SeriesNeed]:
    """What modes that trade on predictions read: extremes of the perpetual's candles, and the predictions."""
    if column == "prediction":
        series = prediction_series(_base_asset(request, column), request.step_seconds)
        for name, value in zip(PREDICTION_COLUMNS, PREDICTION_RULES, strict=True):
            yield SeriesNeed(name, "", series, value)
        return
    for name in CANDLE_COLUMNS:
        for venue in _labels(request.venues, column, "venues"):
            need = _venue_need("perp_mark", venue, request, data_set)
            yield replace(need, column=name, value=name.removeprefix("candle_"))


def _reward_needs(column: str, request: MarketRequest, data_set: DataSet) -> Iterator[SeriesNeed]:
    """Payouts of each reward token, and its DEX price, which a data set without it owes only where one is paid."""
    for token in _labels(request.reward_tokens, column, "reward_tokens"):
        series, rules = REWARD_SERIES[token]
        for value in rules:
            yield SeriesNeed(PAYOUTS, token, series, value, is_optional=True)
        if dex_series(token) in data_set:
            yield SeriesNeed(DUST_PRICE, token, dex_series(token), "open", is_optional=True)


def _lst_needs(column: str, request: MarketRequest) -> Iterator[SeriesNeed]:
    if request.lst is None:
        raise ConfigValidationError(f"{column} needs the name of a liquid staking token", field="lst")
    token = request.lst.lower()
    yield SeriesNeed(column, "", f"lst_{token}_oracle_1d", "eth_per_lst")
    if column == "lst_market_ratio":
        yield SeriesNeed(column, "", f"lst_{token}_market_1h", "market_eth_per_lst_median24h", is_optional=True)


def _base_asset(request: MarketRequest, column: str) -> str:
    if request.base_asset is None:
        raise ConfigValidationError(f"{column} needs a base asset", field="base_asset")
    return request.base_asset


def _labels(labels: tuple[str, ...], column: str, field: str) -> tuple[str, ...]:
    if not labels:
        raise ConfigValidationError(f"{column} needs at least one of {field}", field=field)
    return labels
