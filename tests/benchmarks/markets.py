"""Markets made in memory for the benchmarks: a seeded walk around a wave, and funding that forces the decisions."""

from typing import Final, Literal

import numpy as np

from dataflow.market.market import Market, Provenance
from schemas.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Column, Instants, frozen

VENUES: Final = ("binance", "bybit", "okx")

Turnover = Literal["rebalances", "round_trips"]
"""``rebalances``: one venue pays funding, so its margin loan is repaid about 100 times a year, two orders each.
``round_trips``: funding changes its sign 100 times a year, so the book opens and closes, nine orders each."""

_START: Final = np.datetime64("2024-01-01T00:00:00", "s")
_SETTLEMENT_SECONDS: Final = 8 * SECONDS_PER_HOUR
_SETTLEMENTS_PER_SIGN: Final = 11
_SEED: Final = 7


def basis_market(rows: int, step_seconds: int, turnover: Turnover) -> Market:
    """Market of the ``btc_basis`` mode, the same numbers on every call.

    rows: of the run, without look-back. step_seconds: of the clock; divides eight hours.
    """
    random = np.random.default_rng(_SEED)
    instants = _START + np.arange(rows) * np.timedelta64(step_seconds, "s")
    reference = _reference_price(instants, random)
    rate, settled = _funding(rows, _SETTLEMENT_SECONDS // step_seconds, turnover, random)
    spot = reference[:, None] * np.exp(1e-4 * random.standard_normal((rows, len(VENUES))))
    spot[:, 0] = reference
    columns = {
        "spot_price": np.asfortranarray(spot),
        "perp_mark": np.asfortranarray(reference[:, None] * np.exp(2e-4 + 1e-4 * random.standard_normal(spot.shape))),
        "funding_rate": rate,
        "funding_settled": settled,
        "reference_price": reference,
        "eth_price": 0.05 * reference,
        "gas_price_gwei": 20.0 * np.exp(0.3 * random.standard_normal(rows)),
    }
    axes = dict.fromkeys(("spot_price", "perp_mark", "funding_rate", "funding_settled"), VENUES)
    made = Provenance("benchmark", "", "", synthetic=True, fills={}, coverage={}, warnings=())
    return Market(instants, 0, {name: frozen(column) for name, column in columns.items()}, axes, made)


def _reference_price(instants: Instants, random: np.random.Generator) -> Column:
    """Waves of a quarter and of three days with a little noise: never far enough for a margin exit."""
    days = (instants - instants[0]).astype(np.float64) / SECONDS_PER_DAY
    wave = 0.15 * np.sin(2 * np.pi * days / 90) + 0.02 * np.sin(2 * np.pi * days / 3.3)
    price: Column = 60_000.0 * np.exp(wave + 1e-4 * random.standard_normal(len(instants)))
    return price


def _funding(
    rows: int, rows_per_settlement: int, turnover: Turnover, random: np.random.Generator
) -> tuple[Column, Column]:
    """Rates and settlement flags (rows, venues), every eight hours."""
    settled = np.zeros((rows, len(VENUES)), order="F")
    settled[::rows_per_settlement] = 1.0
    count = len(settled[::rows_per_settlement])
    if turnover == "rebalances":
        level = np.tile([2e-4, 2e-4, -1e-4], (count, 1))
    else:
        sign = 1.0 - 2.0 * (np.arange(count) // _SETTLEMENTS_PER_SIGN % 2)
        level = sign[:, None] * np.array([2e-4, 2e-4, 1e-4])
    rate = np.zeros_like(settled)
    rate[::rows_per_settlement] = level * np.exp(0.2 * random.standard_normal(level.shape))
    return rate, settled
