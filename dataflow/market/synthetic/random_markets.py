"""Markets made in memory from a seed, as violent as the bounds of the market frame allow.

They move as no real one does: prices that triple and halve, perpetuals far off their spot, funding that flips sign,
gas that spikes and fades. In a few hundred hours every rule of a strategy has a reason to fire, and idle balances
come free again and again as the gas reserve shrinks. For simulations and tests; nothing here is history.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from zlib import crc32

import numpy as np

from dataflow.market.market import (
    CANDLE_COLUMNS,
    DUST_PRICE,
    PREDICTION_COLUMNS,
    REWARD_FEED,
    Market,
    MarketRequest,
    Provenance,
    RewardPayout,
)
from schemas.units import INSTANT_DTYPE, SECONDS_PER_DAY, Column, Instants

FIRST_INSTANT: Final = np.datetime64("2024-01-01T00:00:00", "s")
SETTLEMENT_ROWS: Final = 8
"""Rows from one funding settlement to the next."""

_START_PRICE_USD: Final = {"BTC": 60_000.0, "ETH": 3_000.0}
_FALLING_GAS: Final = 300.0
"""Times its final level that gas stands at when a market begins."""

_GAS_GWEI_MAX: Final = 20_000.0

_HOURS_PER_DAY: Final = 24

_CALM_JUMP: Final = 1.08
"""Largest jump of a price in the calm rows."""

_COMES_WITH: Final[Mapping[str, tuple[str, ...]]] = {
    "funding_rate": ("funding_rate", "funding_settled"),
    "ohlcv": CANDLE_COLUMNS,
    "prediction": PREDICTION_COLUMNS,
    REWARD_FEED: (DUST_PRICE,),
}
"""What is asked for to the columns that it brings."""

Generator = np.random.Generator


def random_market(request: MarketRequest, seed: int, rows: int, *, calm_rows: int = 0) -> Market:
    """A market of ``rows`` rows after the look-back, with the columns that a mode asks for.

    calm_rows: rows of the run in which a price jumps by some per cent, not by factors. Each column has a stream of its
    own, so a mode that asks for one more leaves the others as they were.
    """
    total = rows + request.look_back_rows
    calm = request.look_back_rows + calm_rows
    columns = {name: _read_only(column) for name, column in _columns(request, seed, total, calm).items()}
    labels = {
        "liquidity_index": request.supplied,
        "variable_borrow_index": request.borrowed,
        DUST_PRICE: request.reward_tokens,
    }
    return Market(
        instants=_instants(total, request.step_seconds),
        first_row=request.look_back_rows,
        columns=columns,
        axes={name: labels.get(name, request.venues) for name, column in columns.items() if column.ndim == 2},
        provenance=Provenance(f"random-{seed}", "", "0" * 64, synthetic=True, fills={}, coverage={}, warnings=()),
        payouts=_payouts(request.reward_tokens, seed, rows),
    )


def _columns(request: MarketRequest, seed: int, rows: int, calm: int) -> dict[str, Column]:
    def stream(name: str) -> Generator:
        return np.random.default_rng([seed, crc32(name.encode())])

    base = request.base_asset or "ETH"
    jump = 1.5 if "prediction" in request.columns else 4.0
    reference = _prices(stream(f"{base} price"), rows, _START_PRICE_USD[base], jump, calm)
    eth_price = reference if base == "ETH" else _prices(stream("ETH price"), rows, _START_PRICE_USD["ETH"], 1.5, calm)
    spot = _spot(stream("spot"), reference, len(request.venues))
    settled = _settled(rows, len(request.venues))
    oracle = _grown(stream("oracle"), rows, 1.5e-3)
    made: Mapping[str, Callable[[], Column]] = {
        "reference_price": lambda: reference,
        "eth_price": lambda: eth_price,
        "btc_price": lambda: _prices(stream("BTC price"), rows, _START_PRICE_USD["BTC"], 1.5, calm),
        "spot_price": lambda: spot,
        "perp_mark": lambda: _perp_marks(stream("premium"), spot),
        "funding_settled": lambda: settled,
        "funding_rate": lambda: _funding(stream("funding"), settled),
        "gas_price_gwei": lambda: _gas(stream("gas"), rows),
        "liquidity_index": partial(_indexes, stream("supply"), rows, len(request.supplied), 2e-3),
        "variable_borrow_index": partial(_indexes, stream("borrow"), rows, len(request.borrowed), 2.5e-3),
        "lst_oracle_ratio": lambda: oracle,
        "lst_market_ratio": lambda: oracle * _peg(stream("peg"), rows),
        DUST_PRICE: lambda: _dust_prices(stream("dust"), rows, len(request.reward_tokens)),
    }
    if "prediction" in request.columns:
        made = {**made, **_predicted(stream, reference, len(request.venues))}
    wanted = dict.fromkeys(name for column in request.columns for name in _COMES_WITH.get(column, (column,)))
    return {name: np.asfortranarray(made[name]()) for name in wanted}


def _predicted(stream: Callable[[str], Generator], reference: Column, venues: int) -> dict[str, Callable[[], Column]]:
    """What a mode that trades on predictions reads: one mark at every venue, its candles, and predictions."""
    marks = np.tile(reference[:, None], (1, venues))
    rows = len(reference)
    return {
        "perp_mark": lambda: marks,
        "candle_high": lambda: _candle_extreme(stream("high"), marks, 1.0),
        "candle_low": lambda: _candle_extreme(stream("low"), marks, -1.0),
        "signal": lambda: np.repeat(stream("signal").choice([-1.0, 0.0, 1.0, 2.0], rows // 5 + 1), 5)[:rows],
        "confidence": lambda: stream("confidence").uniform(0.5, 1.0, rows),
        "predicted_sd": lambda: stream("sd").uniform(0.0, 0.05, rows),
    }


def _candle_extreme(rng: Generator, marks: Column, sign: float) -> Column:
    """High (sign 1) or low (-1) of the candle that closes at each row; one in ten misses the jump after it."""
    before = np.concatenate([marks[:1], marks[:-1]])
    reached = np.maximum(before, marks) if sign > 0.0 else np.minimum(before, marks)
    body = np.where(rng.random((len(marks), 1)) < 0.1, before, reached)
    wick = np.tile(rng.exponential(0.004, (len(marks), 1)), (1, marks.shape[1]))
    return np.asarray(body * np.exp(sign * wick), dtype=np.float64)


def _prices(rng: Generator, rows: int, first: float, jump: float, calm: int) -> Column:
    """A price that jumps up or down by up to a factor every few days, and wanders between two bounds."""
    jumps = rng.uniform(-np.log(jump), np.log(jump), rows) * (rng.random(rows) < 0.02)
    jumps[:calm] *= np.log(_CALM_JUMP) / np.log(jump)
    path = np.log(first) + np.cumsum(rng.normal(0.0, 0.01, rows) + jumps)
    low, high = np.log(first) - 3.0, np.log(first) + 3.0
    reflected: Column = np.abs((path - low) % (2.0 * (high - low)) - (high - low))
    return np.asarray(np.exp(low + reflected), dtype=np.float64)


def _spot(rng: Generator, reference: Column, venues: int) -> Column:
    """Spot of each venue around the reference; the first venue is the reference."""
    spot = reference[:, None] * np.exp(rng.normal(0.0, 0.002, (len(reference), venues)))
    spot[:, :1] = reference[:, None]
    return spot


def _perp_marks(rng: Generator, spot: Column) -> Column:
    """Marks within a fifth of spot, which they leave in jumps and come back to slowly."""
    jumps = rng.uniform(-0.18, 0.18, spot.shape) * (rng.random(spot.shape) < 0.02)
    noise = rng.normal(0.0, 0.003, spot.shape)
    premium = np.zeros(spot.shape)
    for row in range(1, len(spot)):
        premium[row] = np.clip(0.98 * premium[row - 1] + noise[row] + jumps[row], -0.2, 0.2)
    return spot * (1.0 + premium)


def _settled(rows: int, venues: int) -> Column:
    """1 at the rows where all venues settle."""
    flags = (np.arange(rows) % SETTLEMENT_ROWS == 0).astype(np.float64)
    return np.tile(flags[:, None], (1, venues))


def _funding(rng: Generator, settled: Column) -> Column:
    """Rates up to 1 % a settlement, in regimes of two days that are mostly positive."""
    rows = len(settled)
    regime = np.repeat(rng.normal(0.0015, 0.002, rows // 48 + 1), 48)[:rows, None]
    return np.clip(rng.normal(regime, 0.003, settled.shape), -0.01, 0.01) * settled


def _gas(rng: Generator, rows: int) -> Column:
    """Gas that fades over the run towards 10 gwei, noisily, and for some hours stands thirty times higher."""
    fading = 10.0 * np.exp(np.linspace(np.log(_FALLING_GAS), 0.0, rows))
    spikes = np.repeat(rng.random(rows // 6 + 1) < 0.1, 6)[:rows]
    return np.minimum(fading * rng.lognormal(0.0, 0.4, rows) * np.where(spikes, 30.0, 1.0), _GAS_GWEI_MAX)


def _grown(rng: Generator, rows: int, mean_step: float) -> Column:
    """A ratio that never falls, from 1 on, and rests on most rows."""
    steps = rng.exponential(mean_step, rows) * (rng.random(rows) < 0.3)
    return np.asarray(np.cumprod(1.0 + steps), dtype=np.float64)


def _indexes(rng: Generator, rows: int, tokens: int, mean_step: float) -> Column:
    return np.stack([_grown(rng, rows, mean_step) for _ in range(tokens)], axis=1)


def _peg(rng: Generator, rows: int) -> Column:
    """Market over oracle price of a staking token: near one, for a day now and then up to 5 % below."""
    gaps = np.repeat(rng.uniform(0.0, 0.05, rows // 24 + 1) * (rng.random(rows // 24 + 1) < 0.2), 24)[:rows]
    return 1.0 - gaps + rng.normal(0.0, 5e-4, rows)


def _dust_prices(rng: Generator, rows: int, tokens: int) -> Column:
    """Prices of reward tokens in ETH, each a wild walk of its own."""
    return 1e-3 * np.exp(np.cumsum(rng.normal(0.0, 0.03, (rows, tokens)), axis=0))


def _payouts(tokens: tuple[str, ...], seed: int, rows: int) -> tuple[RewardPayout, ...]:
    """A payout of every token every two days or so, for the days before it; some at one instant, some in no window."""
    rng = np.random.default_rng([seed, crc32(b"payouts")])
    first = int(FIRST_INSTANT.astype(np.int64))
    payouts = []
    for day in range(2, rows // _HOURS_PER_DAY + 2, 2):
        paid = first + (day + int(rng.integers(0, 2))) * SECONDS_PER_DAY
        days = int(rng.integers(0, 3))
        period = (paid - days * SECONDS_PER_DAY, paid)
        payouts += [RewardPayout(token, paid, *period, float(rng.uniform(0.0, 1.0))) for token in tokens]
    return tuple(payouts)


def _instants(rows: int, step_seconds: int) -> Instants:
    instants = (FIRST_INSTANT + np.arange(rows) * np.timedelta64(step_seconds, "s")).astype(INSTANT_DTYPE)
    instants.flags.writeable = False
    return instants


def _read_only(values: Column) -> Column:
    values.flags.writeable = False
    return values
