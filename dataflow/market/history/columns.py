"""From validated series to the columns of a market: one builder a kind of column, fills counted, gaps named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from dataflow.market.history.alignment import exact_values, last_known_values, missing_settlements
from dataflow.market.history.needs import LENDING_COLUMNS, VENUE_COLUMNS, SeriesNeed
from dataflow.market.market import (
    CANDLE_COLUMNS,
    DUST_PRICE,
    MEAN_OF_OTHER_VENUES,
    PREDICTION_COLUMNS,
    REFERENCE_COLUMNS,
    REFERENCE_QUOTE,
    REWARD_FEED,
    STABLE_PRICE,
    MarketRequest,
)
from dataflow.market.series import Seconds, Series, instant_text
from schemas.errors import DataValidationError
from schemas.units import BPS, SECONDS_PER_DAY, SECONDS_PER_HOUR, Column

Rows = npt.NDArray[np.bool_]
"""One flag a row of the clock."""

DAILY_AGE_SECONDS_MAX: Final = 2 * SECONDS_PER_DAY
GAS_AGE_SECONDS_MAX: Final = 6 * SECONDS_PER_HOUR
LST_MARKET_AGE_SECONDS_MAX: Final = SECONDS_PER_DAY
DEX_AGE_SECONDS_MAX: Final = SECONDS_PER_DAY
STABLE_AGE_SECONDS_MAX: Final = 6 * SECONDS_PER_HOUR
LST_MARKET_DISCOUNT: Final = 10 * BPS
"""Below the oracle ratio where the market of a liquid staking token has no fresh price (domain ruling 4)."""

_DECLARE_FILL: Final = "declare a fill rule for it, complete the series or choose another window"
_COMPLETE: Final = "complete the series or choose another window"


@dataclass(frozen=True)
class Gap:
    """Rows of the clock at which a series has no value."""

    series: str
    purpose: str
    rows: Rows
    remedy: str


@dataclass(frozen=True)
class BuiltColumn:
    """A column on the clock: NaN at its gaps; `filled` flags the rows that each fill rule gave."""

    name: str
    labels: tuple[str, ...]
    values: Column
    gaps: tuple[Gap, ...] = ()
    filled: Mapping[str, Rows] = field(default_factory=dict)

    def fill_counts(self, dropped: int) -> dict[str, int]:
        """Count the filled rows by rule, the first `dropped` rows left out; rules that filled nothing are absent."""
        counts = {rule: int(np.count_nonzero(rows[dropped:])) for rule, rows in self.filled.items()}
        return {rule: count for rule, count in counts.items() if count}


def build_columns(
    request: MarketRequest, needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds
) -> list[BuiltColumn]:
    """Build every requested column on the clock, and the prices of stablecoins that have a series.

    `funding_settled` follows `funding_rate`.

    Raises DataValidationError (DATA-002) for a settlement that is not on a row of the clock.
    """
    built = _requested(request, needs, series, clock)
    stable = [need for need in needs if need.column == STABLE_PRICE]
    if not stable:
        return built
    prices = _stable_prices(stable, series, clock)
    return [*(_in_usd(column, prices) for column in built), prices]


def _requested(
    request: MarketRequest, needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds
) -> list[BuiltColumn]:
    built: list[BuiltColumn] = []
    for name in dict.fromkeys(request.columns):
        own = [need for need in needs if need.column == name]
        if name in VENUE_COLUMNS:
            built.append(_venue_prices(name, own, series, clock))
        elif name == "ohlcv":
            built.extend(
                _closed_candles(extreme, needs, series, clock, request.step_seconds) for extreme in CANDLE_COLUMNS
            )
        elif name == "prediction":
            age = request.step_seconds - 1
            built.extend(_as_of(need, series, clock, age) for need in needs if need.column in PREDICTION_COLUMNS)
        elif name == REWARD_FEED:
            built.append(_dust_prices(needs, series, clock, request.reward_tokens))
        elif name == "funding_rate":
            built.extend(_funding(own, series, clock))
        elif name in LENDING_COLUMNS:
            built.append(_lending_indexes(name, own, series, clock))
        elif name == "lst_market_ratio":
            built.append(_lst_market(own, series, clock))
        elif name == "lst_oracle_ratio":
            built.append(_as_of(own[0], series, clock, DAILY_AGE_SECONDS_MAX))
        elif name == "gas_price_gwei":
            built.append(_as_of(own[0], series, clock, GAS_AGE_SECONDS_MAX))
        elif name != "funding_settled":
            built.append(_reference_price(own[0], series, clock))
    return built


def _two_dimensional(columns: Sequence[Column]) -> Column:
    """Stack columns side by side, each contiguous."""
    return np.asfortranarray(np.column_stack(columns))


def _gap(need: SeriesNeed, rows: Rows, remedy: str) -> tuple[Gap, ...]:
    return (Gap(need.series, need.purpose, rows, remedy),) if rows.any() else ()


def _reference_price(need: SeriesNeed, series: Mapping[str, Series], clock: Seconds) -> BuiltColumn:
    one = series[need.series]
    values = exact_values(one.seconds, one.values[need.value], clock)
    return BuiltColumn(need.column, (), values, _gap(need, np.isnan(values), _COMPLETE))


def _stable_prices(needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds) -> BuiltColumn:
    """Price of each stablecoin that has a series, not older than six hours."""
    built = [_as_of(need, series, clock, STABLE_AGE_SECONDS_MAX) for need in needs]
    gaps = tuple(gap for one in built for gap in one.gaps)
    labels = tuple(need.label for need in needs)
    return BuiltColumn(STABLE_PRICE, labels, _two_dimensional([one.values for one in built]), gaps)


def _in_usd(built: BuiltColumn, stable: BuiltColumn) -> BuiltColumn:
    """A reference price, which is quoted in a stablecoin, in USD; any other column as it is."""
    if built.name not in REFERENCE_COLUMNS or REFERENCE_QUOTE not in stable.labels:
        return built
    return replace(built, values=built.values * stable.values[:, stable.labels.index(REFERENCE_QUOTE)])


def _venue_prices(name: str, needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds) -> BuiltColumn:
    """Open of the candle labelled with each row, per venue; a price rule gives the candle of another venue."""
    columns: list[Column] = []
    gaps: list[Gap] = []
    filled: dict[str, Rows] = {}
    for need in needs:
        one = series[need.series]
        values = exact_values(one.seconds, one.values[need.value], clock)
        is_filled = np.full(len(clock), need.is_proxy)
        if need.substitute:
            other = series[need.substitute]
            is_filled = np.isnan(values)
            values = np.where(is_filled, exact_values(other.seconds, other.values[need.value], clock), values)
        is_missing = np.isnan(values)
        if need.rule:
            filled[f"{need.purpose}={need.rule}"] = is_filled & ~is_missing
        gaps += _gap(need, is_missing, _DECLARE_FILL)
        columns.append(values)
    return BuiltColumn(name, tuple(need.label for need in needs), _two_dimensional(columns), tuple(gaps), filled)


def _closed_candles(
    name: str, needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds, step_seconds: int
) -> BuiltColumn:
    """An extreme of the candle that closes at each row, per venue: what happens from the row on is not in it.

    Where the data begins no candle has closed: the open of the row itself stands in, counted.
    """
    own = [need for need in needs if need.column == name]
    closed = [_closed_candle(need, series, clock, step_seconds) for need in own]
    gaps = tuple(gap for column in closed for gap in column.gaps)
    filled = {rule: rows for column in closed for rule, rows in column.filled.items()}
    labels = tuple(need.label for need in own)
    return BuiltColumn(name, labels, _two_dimensional([column.values for column in closed]), gaps, filled)


def _closed_candle(need: SeriesNeed, series: Mapping[str, Series], clock: Seconds, step_seconds: int) -> BuiltColumn:
    one = series[need.series]
    values = exact_values(one.seconds + step_seconds, one.values[need.value], clock)
    opens, first = exact_values(one.seconds, one.values["open"], clock), int(one.seconds[0])
    if need.substitute:
        other = series[need.substitute]
        values = _either(values, exact_values(other.seconds + step_seconds, other.values[need.value], clock))
        opens = _either(opens, exact_values(other.seconds, other.values["open"], clock))
        first = min(first, int(other.seconds[0]))
    begins = np.isnan(values) & (clock <= first)
    values = np.where(begins, opens, values)
    gaps = _gap(need, np.isnan(values), _COMPLETE)
    return BuiltColumn(need.column, (), values, gaps, {f"{need.purpose}=no_candle_before": begins})


def _either(first: Column, second: Column) -> Column:
    """The first where it has a value, else the second."""
    return np.where(np.isnan(first), second, first)


def _as_of(need: SeriesNeed, series: Mapping[str, Series], clock: Seconds, age_seconds_max: int) -> BuiltColumn:
    one = series[need.series]
    values = last_known_values(one.seconds, one.values[need.value], clock, age_seconds_max)
    return BuiltColumn(need.column, (), values, _gap(need, np.isnan(values), _COMPLETE))


def _lending_indexes(
    name: str, needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds
) -> BuiltColumn:
    """Step functions of the daily indexes, per token."""
    steps = [_as_of(need, series, clock, DAILY_AGE_SECONDS_MAX) for need in needs]
    gaps = tuple(gap for step in steps for gap in step.gaps)
    return BuiltColumn(name, tuple(need.label for need in needs), _two_dimensional([s.values for s in steps]), gaps)


def _lst_market(needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds) -> BuiltColumn:
    """Market ratio not older than 24 h, else the oracle ratio less 10 bps, counted."""
    oracle_need, market_need = needs
    oracle = _as_of(oracle_need, series, clock, DAILY_AGE_SECONDS_MAX)
    market = _as_of(market_need, series, clock, LST_MARKET_AGE_SECONDS_MAX)
    is_filled = np.isnan(market.values)
    values = np.where(is_filled, oracle.values * (1.0 - LST_MARKET_DISCOUNT), market.values)
    gaps = _gap(oracle_need, np.isnan(values), _COMPLETE)
    return BuiltColumn(market_need.column, (), values, gaps, {f"{market_need.column}=oracle_less_10_bps": is_filled})


def _dust_prices(
    needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds, tokens: tuple[str, ...]
) -> BuiltColumn:
    """DEX price of each reward token in ETH, not older than 24 h, NaN elsewhere: who holds the token must refuse it."""
    own = {need.label: need for need in needs if need.column == DUST_PRICE}
    missing = np.full(len(clock), np.nan)
    built = {token: _as_of(need, series, clock, DEX_AGE_SECONDS_MAX) for token, need in own.items()}
    values = [built[token].values if token in built else missing for token in tokens]
    gaps = tuple(gap for column in built.values() for gap in column.gaps)
    return BuiltColumn(DUST_PRICE, tokens, _two_dimensional(values), gaps)


def _funding(needs: Sequence[SeriesNeed], series: Mapping[str, Series], clock: Seconds) -> tuple[BuiltColumn, ...]:
    """Settled rate on the rows that settle, 0.0 elsewhere, and the flag of those rows, per venue.

    A missing point of a venue's declared grid is the mean of the other venues that settle at that instant, where the
    rule says so; it is never used to fill another venue.
    """
    placed = {need.label: _placed_settlements(series[need.series], need, clock) for need in needs}
    rates: list[Column] = []
    flags: list[Column] = []
    gaps: list[Gap] = []
    filled: dict[str, Rows] = {}
    for need in needs:
        own = placed[need.label]
        is_missing = _rows_of(missing_settlements(series[need.series].seconds), clock)
        is_filled = np.zeros(len(clock), dtype=np.bool_)
        if need.rule == MEAN_OF_OTHER_VENUES:
            mean = _mean_of_present([placed[other.label] for other in needs if other is not need], len(clock))
            is_filled = is_missing & ~np.isnan(mean)
            own = np.where(is_filled, mean, own)
            filled[f"{need.purpose}={need.rule}"] = is_filled
        gaps += _gap(need, is_missing & ~is_filled, _DECLARE_FILL)
        is_settled = ~np.isnan(own)
        rates.append(np.where(is_settled, own, 0.0))
        flags.append(is_settled.astype(np.float64))
    labels = tuple(need.label for need in needs)
    return (
        BuiltColumn("funding_rate", labels, _two_dimensional(rates), tuple(gaps), filled),
        BuiltColumn("funding_settled", labels, _two_dimensional(flags)),
    )


def _placed_settlements(one: Series, need: SeriesNeed, clock: Seconds) -> Column:
    """Rate at the row of each settlement, NaN on the other rows."""
    is_inside = (one.seconds >= clock[0]) & (one.seconds <= clock[-1])
    seconds = one.seconds[is_inside]
    at = np.searchsorted(clock, seconds)
    off_clock = clock[at] != seconds
    if off_clock.any():
        instant = instant_text(seconds[np.argmax(off_clock)])
        raise DataValidationError(
            f"{one.path.name}: the settlement at {instant} is not on a row of the clock: use a finer clock",
            file=one.path.name,
            column=need.value,
            instant=instant,
        )
    placed = np.full(len(clock), np.nan)
    placed[at] = one.values[need.value][is_inside]
    return placed


def _rows_of(seconds: Seconds, clock: Seconds) -> Rows:
    """Flag the rows of the clock at the given instants."""
    rows: Rows = np.isin(clock, seconds, assume_unique=True)
    return rows


def _mean_of_present(columns: Sequence[Column], rows: int) -> Column:
    """Mean over the columns that have a value, NaN on rows where none has; summed in the order of the columns."""
    total, count = np.zeros(rows), np.zeros(rows)
    for column in columns:
        is_present = ~np.isnan(column)
        total += np.where(is_present, column, 0.0)
        count += is_present
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
