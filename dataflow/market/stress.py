"""Shocks over a loaded market: the same columns, other values from an instant on (architecture, section 8).

Every value is a function of the data, the shock and the instant alone, so that windows, partitions and rows that come
later change nothing at or before a row. A shock begins on the first row at or after its instant.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dataflow.market.market import CANDLE_COLUMNS, MARKET_COLUMNS, Market
from dataflow.market.series import Seconds
from schemas.errors import DataGapError
from schemas.models.config_scenario import (
    FundingShock,
    GasShock,
    LendingRateShock,
    LstDepeg,
    PriceGap,
    Shock,
    Shocks,
)
from schemas.units import DAYS_PER_YEAR, INSTANT_DTYPE, SECONDS_PER_DAY, SECONDS_PER_HOUR, Column

_SECONDS_PER_YEAR: Final = DAYS_PER_YEAR * SECONDS_PER_DAY
_VENUE_PRICES: Final = ("spot_price", "perp_mark")
_ASSET_PRICES: Final = tuple(name for name in MARKET_COLUMNS if name.endswith("_price") and name not in _VENUE_PRICES)


@dataclass(frozen=True)
class Stressed:
    """A market under shocks.

    begins: kind of shock to the instant of its first row. idle: kinds that change no column of this market.
    """

    market: Market
    begins: Mapping[str, np.datetime64]
    idle: tuple[str, ...]


@dataclass(frozen=True)
class _Rows:
    """The clock of a market as a shock sees it: epoch seconds of the rows, and of its first row."""

    seconds: Seconds
    start: int

    def since(self, hours: float | None = None) -> "np.typing.NDArray[np.bool_]":
        """Rows from the shock on, for so many hours or for ever."""
        begun: np.typing.NDArray[np.bool_] = self.seconds >= self.start
        return begun if hours is None else begun & (self.seconds < self.start + hours * SECONDS_PER_HOUR)


Columns = dict[str, Column]


def begins_at(shock: Shock, run_start: np.datetime64, step_seconds: int) -> np.datetime64:
    """Instant of the first row that a shock touches.

    >>> begins_at(GasShock(multiple=2.0, hours=1.0, starts_after_hours=0.5), np.datetime64("2024-01-01"), 3_600)
    np.datetime64('2024-01-01T01:00:00')
    """
    start = shock.start_seconds(int(run_start.astype(INSTANT_DTYPE).astype(np.int64)))
    return np.datetime64(int(-(-start // step_seconds) * step_seconds), "s")


def look_back_from(shocks: Shocks, run_start: np.datetime64, step_seconds: int) -> np.datetime64 | None:
    """First row that a later partition of the run must load: indexes at fixed rates grow from where they were then."""
    rates = shocks.lending_rates
    return None if rates is None else max(begins_at(rates, run_start, step_seconds), run_start)


def stressed(market: Market, shocks: Shocks, *, base_asset: str | None, run_start: np.datetime64) -> Stressed:
    """Put the shocks of a scenario over a market; venue outages are the venues' business and not looked at.

    run_start: first row of the run, of which the market may be a later partition. Raises DataGapError (DATA-004) where
    fixed lending rates begin before the first row of the market.
    """
    if not shocks.present():
        return Stressed(market, {}, ())
    seconds = market.instants.astype(np.int64)
    step = int(seconds[1] - seconds[0]) if len(seconds) > 1 else SECONDS_PER_HOUR
    begins = {kind: begins_at(shock, run_start, step) for kind, shock in shocks.present().items()}
    columns: Columns = {}
    idle: list[str] = []
    for kind, shock in shocks.present().items():
        if kind == "venue_outage":
            continue
        changed = _changed(shock, market, _Rows(seconds, int(begins[kind].astype(np.int64))), base_asset, run_start)
        if not changed:
            idle.append(kind)
        columns |= {name: _read_only(values) for name, values in changed.items()}
    return Stressed(replace(market, columns={**market.columns, **columns}), begins, tuple(idle))


def _changed(shock: Shock, market: Market, rows: _Rows, base_asset: str | None, run_start: np.datetime64) -> Columns:
    match shock:
        case LstDepeg():
            return _each(market, ("lst_market_ratio",), lambda _, values: values * _gap_left(shock, rows))
        case GasShock():
            factor = np.where(rows.since(shock.hours), shock.multiple, 1.0)
            return _each(market, ("gas_price_gwei",), lambda _, values: values * factor)
        case FundingShock():
            return _each(market, ("funding_rate",), lambda _, values: _funding(values, shock, market, rows))
        case PriceGap():
            return _each(market, _gapped(shock, base_asset), lambda name, values: _moved(name, values, shock, rows))
        case LendingRateShock():
            aprs = {"liquidity_index": shock.supply_apr, "variable_borrow_index": shock.borrow_apr}
            written = {name: apr for name, apr in aprs.items() if apr is not None}
            anchor = replace(rows, start=max(rows.start, int(run_start.astype(INSTANT_DTYPE).astype(np.int64))))
            return _each(
                market, tuple(written), lambda name, index: _accrued(name, index, written[name], shock, market, anchor)
            )
        case _:
            raise AssertionError(f"no overlay for {type(shock).__name__}")


def _each(market: Market, names: tuple[str, ...], change: Callable[[str, Column], Column]) -> Columns:
    """The columns named that the market has, changed."""
    return {name: change(name, market.columns[name]) for name in names if name in market.columns}


def _gap_left(shock: LstDepeg, rows: _Rows) -> Column:
    """What is left of the market ratio: 1 before, 1 - depth at first, back by halves of the gap."""
    hours = np.maximum(rows.seconds - rows.start, 0) / SECONDS_PER_HOUR
    decay = 1.0 if shock.half_life_hours is None else np.exp2(-hours / shock.half_life_hours)
    return np.where(rows.since(), 1.0 - shock.depth * decay, 1.0)


def _funding(values: Column, shock: FundingShock, market: Market, rows: _Rows) -> Column:
    """The rate of the shock on the rows that settle; the grid of settlements stays."""
    hit = np.array([not shock.venues or venue in shock.venues for venue in market.axes["funding_rate"]])
    settles = market.columns["funding_settled"] > 0.0
    return np.asfortranarray(
        np.where(settles & rows.since(shock.hours)[:, None] & hit, shock.funding_rate, values),
    )


def _gapped(shock: PriceGap, base_asset: str | None) -> tuple[str, ...]:
    """Columns that hold a price of an asset that jumps."""
    names = tuple(f"{asset.lower()}_price" for asset in shock.assets) or _ASSET_PRICES
    is_traded = base_asset in shock.assets or not shock.assets
    return (*names, "reference_price", *_VENUE_PRICES, *CANDLE_COLUMNS) if is_traded else names


def _moved(name: str, values: Column, shock: PriceGap, rows: _Rows) -> Column:
    """Prices from the jump on; a candle column shows the candle before the row, which is moved from the next row on."""
    begun = rows.seconds > rows.start if name in CANDLE_COLUMNS else rows.since()
    factor = np.where(begun, 1.0 + shock.size, 1.0)
    return values * factor if values.ndim == 1 else np.asfortranarray(values * factor[:, None])


def _accrued(name: str, index: Column, apr: float, shock: LendingRateShock, market: Market, rows: _Rows) -> Column:
    """An index that grows at a fixed rate from the shock on, and after it as the data does.

    index(t) = data(start) exp(apr (t - start))     until the end of the shock
    index(t) = index(end) data(t) / data(end)       from then on
    """
    if rows.start > rows.seconds[-1]:
        return index
    begun = np.flatnonzero(rows.seconds == rows.start)
    if begun.size == 0:
        start = str(np.datetime64(rows.start, "s"))
        raise DataGapError(
            f"{name}: lending rates are fixed from {start} on, before the first row {market.instants[0]} that is "
            "loaded; start the shock later",
            column=name,
            instant=start,
        )
    first = int(begun[0])
    end = min(first + int(np.count_nonzero(rows.since(shock.hours))), len(index) - 1)
    grown = np.exp(apr * (rows.seconds[first : end + 1] - rows.start) / _SECONDS_PER_YEAR)
    result = index.copy(order="F")
    for at, token in enumerate(market.axes[name]):
        if not shock.tokens or token in shock.tokens:
            result[first : end + 1, at] = index[first, at] * grown
            result[end + 1 :, at] = result[end, at] * (index[end + 1 :, at] / index[end, at])
    return result


def _read_only(values: Column) -> Column:
    values.setflags(write=False)
    return values
