"""What money cost and earned: funding by venue, and the rates that pool and staking paid."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from dataflow.maths.returns import trailing_rate
from dataflow.records.report.charts import (
    GREEN,
    INK,
    OLIVE,
    ROSE,
    TEAL,
    Level,
    Panel,
    Series,
    Shape,
    TimeChart,
    coloured,
    moving,
)
from dataflow.records.report.run_files import RunFiles
from schemas.units import BPS, SECONDS_PER_DAY, Column, Instants

_RATE_DAYS: Final = 7.0
"""Rates are shown over a week: daily indexes step."""

_RUN_DAYS_MIN: Final = 14.0
_SETTLEMENT_COLUMNS: Final = "funding_settled"


def funding_chart(run: RunFiles) -> TimeChart | None:
    """Funding rate at each settlement, and what funding paid; None for a mode without perpetuals."""
    panels = [*_rates(run), *_received(run)]
    note = "A positive rate is paid by longs to shorts; each point is one settlement."
    return TimeChart("funding", "Funding", note, tuple(panels)) if panels else None


def _rates(run: RunFiles) -> Iterator[Panel]:
    rates = run.by_label("funding_rate")
    rows = _settlements(run)
    if not rates or not len(rows):
        return
    series = coloured({venue: values[rows] / BPS for venue, values in rates.items()})
    yield from moving(Panel("Funding rate per settlement, bps", run.instants[rows], series, (), ",.6~f", ".3f", 200))
    if run.has("funding_trailing_apr"):
        trailing = Series("last 24 hours, by allocation", run.column("funding_trailing_apr")[rows], INK)
        strategy = run.config.mode.strategy_config
        thresholds = {"enter above": strategy.funding_enter_apr, "leave below": strategy.funding_leave_apr}
        levels = tuple(Level(rate, f"{name} {100.0 * rate:g} %", is_limit=False) for name, rate in _told(thresholds))
        yield from moving(Panel("Funding a year", run.instants[rows], (trailing,), levels, ",.4~%", ".3%", 200))


def _told(thresholds: dict[str, float]) -> list[tuple[str, float]]:
    """Thresholds to draw: one line where both are the same."""
    if len(set(thresholds.values())) == 1:
        return [("enter above, leave below", next(iter(thresholds.values())))]
    return list(thresholds.items())


def _settlements(run: RunFiles) -> np.ndarray:
    """Rows at which any venue settles."""
    settled = run.by_label(_SETTLEMENT_COLUMNS) or run.by_label("funding_rate")
    happens = [values != 0.0 for values in settled.values()]
    return np.flatnonzero(np.any(happens, axis=0)) if happens else np.array([], dtype=np.int64)


def _received(run: RunFiles) -> Iterator[Panel]:
    flows = {venue: np.cumsum(values) for venue, values in run.by_label("funding_flow").items()}
    unit = run.config.mode.margin_currency or run.summary.share_class
    yield from moving(
        Panel(f"Funding received by exchange since the start, {unit}", run.instants, coloured(flows, Shape.STEP))
    )


def yield_chart(run: RunFiles) -> TimeChart | None:
    """Rates of the lending pool and of staking; None for a mode that does neither, or a run too short for a rate."""
    days = (run.instants[-1] - run.instants[0]).astype(np.int64) / SECONDS_PER_DAY
    if days < _RUN_DAYS_MIN:
        return None
    panels = [*_pool_rates(run), *_peg(run)]
    note = f"Growth of each index over the last {_RATE_DAYS:g} days, as a simple yearly rate."
    return TimeChart("rates", "Lending and staking rates", note, tuple(panels)) if panels else None


def _pool_rates(run: RunFiles) -> Iterator[Panel]:
    supplied = {f"supply {token}": (index, GREEN) for token, index in run.by_label("liquidity_index").items()}
    borrowed = {f"borrow {token}": (index, ROSE) for token, index in run.by_label("variable_borrow_index").items()}
    staked = {"staking": (run.column("lst_oracle_ratio"), TEAL)} if run.has("lst_oracle_ratio") else {}
    series = tuple(
        Series(name, _rate(run.instants, index), colour)
        for name, (index, colour) in {**supplied, **staked, **borrowed}.items()
    )
    yield from moving(Panel("Yearly rate", run.instants, series, (), ".4~%", ".3%", 200))


def _rate(instants: Instants, index: Column) -> Column:
    return trailing_rate(instants, index, _RATE_DAYS)


def _peg(run: RunFiles) -> Iterator[Panel]:
    if run.has("lst_oracle_ratio") and run.has("lst_market_ratio"):
        gap = run.column("lst_market_ratio") / run.column("lst_oracle_ratio") - 1.0
        series = Series("market over oracle", gap, OLIVE, Shape.FILLED)
        yield from moving(
            Panel("Staking token: market over oracle price", run.instants, (series,), (), ".4~%", ".3%", 120)
        )
