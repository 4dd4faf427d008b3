"""Markets made in memory, without a data set on disk: quiet ones by hand, violent ones from a seed.

A violent market moves as no real one does: prices that triple and halve, perpetuals far off their spot, funding that
flips sign, gas that spikes. In a few hundred hours every rule of a strategy has had a reason to fire.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
from hypothesis import strategies as st

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.market.market import Market, Provenance
from schemas.units import Column, Instants

FIRST_INSTANT: Final = np.datetime64("2024-01-01T00:00:00", "s")
LOOK_BACK_ROWS: Final = 73
"""Rows before the first of the run: as many as the longest look-back of a mode needs."""

BASIS_MODES: Final = ("btc_basis", "eth_basis")
LENDING_MODES: Final = ("pure_lending_usdt", "pure_lending_eth")
MODES: Final = (*LENDING_MODES, *BASIS_MODES)

VENUES: Final = ("binance", "bybit", "okx")
_SETTLEMENT_HOURS: Final = 8
_START_PRICE: Final = {"btc_basis": 60_000.0, "eth_basis": 3_000.0}

Generator = np.random.Generator


def market_of(mode: str, columns: Mapping[str, Column], *, look_back_rows: int = LOOK_BACK_ROWS) -> Market:
    """A market of hourly rows; the first ``look_back_rows`` of them come before the run."""
    rows = len(next(iter(columns.values())))
    return Market(
        instants=_hours(rows),
        first_row=look_back_rows,
        columns={name: _read_only(column) for name, column in columns.items()},
        axes=_axes(mode, columns),
        provenance=Provenance("in memory", "", "0" * 64, synthetic=True, fills={}, coverage={}, warnings=()),
    )


def quiet_market(mode: str, rows: int, **changes: Column) -> Market:
    """Constant prices, no gas, a funding rate of 1 bp, an index that grows 1e-6 a row; ``changes`` replace columns."""
    total = rows + LOOK_BACK_ROWS
    return market_of(mode, {**_quiet_columns(mode, total), **changes})


def violent_market(mode: str, seed: int, rows: int) -> Market:
    """A market of ``rows`` rows after the look-back, as violent as the bounds of the market frame allow."""
    rng = np.random.default_rng(seed)
    total = rows + LOOK_BACK_ROWS
    if mode in LENDING_MODES:
        return market_of(mode, _violent_lending(rng, total))
    return market_of(mode, _violent_basis(rng, total, _START_PRICE[mode]))


def violent_markets(mode: str, *, rows_max: int) -> st.SearchStrategy[Market]:
    """Violent markets of any seed, from one row up."""
    return st.builds(violent_market, st.just(mode), st.integers(0, 2**32 - 1), st.integers(1, rows_max))


def partition(market: Market, start: int, end: int) -> Market:
    """Rows ``start`` to before ``end`` of the run (0 is its first row), with the look-back that a partition loads."""
    first = max(market.first_row + start - LOOK_BACK_ROWS, 0)
    rows = slice(first, market.first_row + end)
    return replace(
        market,
        instants=market.instants[rows],
        first_row=market.first_row + start - first,
        columns={name: column[rows] for name, column in market.columns.items()},
    )


def changed_after(market: Market, row: int, other: Market) -> Market:
    """The market up to and including row ``row`` of the run, then the rows of another one of the same length."""
    split = market.first_row + row + 1
    spliced = {}
    for name, column in market.columns.items():
        later = other.columns[name][split:]
        if name == "liquidity_index":  # an index never falls, so the other one goes on where this one stands
            later = later * (column[split - 1] / other.columns[name][split - 1])
        spliced[name] = _read_only(np.asfortranarray(np.concatenate([column[:split], later])))
    return replace(market, columns=spliced)


@cache
def _requirements(mode: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    request = Backtest(load_run_config(mode).config).market_request()
    return request.venues, request.supplied


def _axes(mode: str, columns: Mapping[str, Column]) -> dict[str, tuple[str, ...]]:
    venues, supplied = _requirements(mode)
    labels = {"liquidity_index": supplied}
    return {name: labels.get(name, venues) for name, column in columns.items() if column.ndim == 2}


def _settled(rows: int) -> Column:
    """1 at the rows where all venues settle."""
    flags = (np.arange(rows) % _SETTLEMENT_HOURS == 0).astype(np.float64)
    return np.asfortranarray(np.tile(flags[:, None], (1, len(VENUES))))


def _quiet_columns(mode: str, rows: int) -> dict[str, Column]:
    common = {"eth_price": np.full(rows, 3_000.0), "gas_price_gwei": np.zeros(rows)}
    if mode in LENDING_MODES:
        return {**common, "liquidity_index": (1.0 + 1e-6 * np.arange(rows))[:, None]}
    price, settled = _START_PRICE[mode], _settled(rows)
    by_venue = np.full((rows, len(VENUES)), price, order="F")
    return {
        **common,
        "reference_price": np.full(rows, price),
        "spot_price": by_venue,
        "perp_mark": by_venue.copy(order="F"),
        "funding_settled": settled,
        "funding_rate": 1e-4 * settled,
    }


def _violent_prices(rng: Generator, rows: int, first: float, jump: float) -> Column:
    """A price that jumps up or down by up to a factor every few days, and wanders between."""
    jumps = rng.uniform(-np.log(jump), np.log(jump), rows) * (rng.random(rows) < 0.02)
    path = np.log(first) + np.cumsum(rng.normal(0.0, 0.01, rows) + jumps)
    low, high = np.log(first) - 3.0, np.log(first) + 3.0
    reflected = np.abs((path - low) % (2.0 * (high - low)) - (high - low))  # stays between the two bounds
    prices: Column = np.exp(low + reflected)
    return prices


def _violent_gas(rng: Generator, rows: int, spike: float) -> Column:
    """Gas around 10 gwei, and for some hours ``spike`` times that."""
    calm = rng.lognormal(np.log(10.0), 0.5, rows)
    spikes = np.repeat(rng.random(rows // 6 + 1) < 0.25, 6)[:rows]
    return np.where(spikes, spike * calm, calm)


def _violent_lending(rng: Generator, rows: int) -> dict[str, Column]:
    grown = rng.exponential(1e-4, rows) * (rng.random(rows) < 0.3)
    index = np.cumprod(1.0 + grown, dtype=np.float64)[:, None]
    return {
        "eth_price": _violent_prices(rng, rows, 3_000.0, 1.5),
        "gas_price_gwei": _violent_gas(rng, rows, 300.0),
        "liquidity_index": index,
    }


def _violent_basis(rng: Generator, rows: int, first: float) -> dict[str, Column]:
    shape = (rows, len(VENUES))
    reference = _violent_prices(rng, rows, first, 4.0)
    spot = reference[:, None] * np.exp(rng.normal(0.0, 0.002, shape))
    spot[:, 0] = reference
    jumps = rng.uniform(-0.18, 0.18, shape) * (rng.random(shape) < 0.02)
    premium = np.zeros(shape)
    for row in range(1, rows):
        premium[row] = np.clip(0.98 * premium[row - 1] + rng.normal(0.0, 0.003, len(VENUES)) + jumps[row], -0.2, 0.2)
    settled = _settled(rows)
    regime = np.repeat(rng.normal(0.0015, 0.002, rows // 48 + 1), 48)[:rows, None]
    rates = np.clip(rng.normal(regime, 0.003, shape), -0.01, 0.01)
    return {
        "eth_price": reference if first < 10_000.0 else _violent_prices(rng, rows, 3_000.0, 1.5),
        "gas_price_gwei": _violent_gas(rng, rows, 50.0),
        "reference_price": reference,
        "spot_price": np.asfortranarray(spot),
        "perp_mark": np.asfortranarray(spot * (1.0 + premium)),
        "funding_settled": settled,
        "funding_rate": np.asfortranarray(rates * settled),
    }


def _read_only(values: Column) -> Column:
    values.flags.writeable = False
    return values


def _hours(rows: int) -> Instants:
    instants = FIRST_INSTANT + np.arange(rows).astype("timedelta64[h]")
    instants.flags.writeable = False
    return instants
