"""How close a run came to its limits: health factor, loan to value, margin ratios and net delta."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflow.records.log.reading import EventRecord
from dataflow.records.report.charts import GREEN, ROSE, Level, Panel, Series, Shape, TimeChart, coloured
from dataflow.records.report.run_files import RunFiles, number, without_absent
from dataflow.records.store.tables import ABSENT, Table, percent, ratio
from schemas.units import NOT_APPLICABLE, Column

_RATIO_SHOWN_MAX: Final = 3.0
"""A margin ratio beyond it is no risk; nearly closed positions would stretch the axis to thousands."""


@dataclass(frozen=True)
class Limit:
    """A limit of the configuration, the worst value of the run, and on which side of the limit it must stay."""

    name: str
    limit: float
    worst: float | None
    is_floor: bool
    is_ratio: bool = False

    @property
    def is_kept(self) -> bool | None:
        """Whether the worst value holds; None where the ratio never existed."""
        if self.worst is None:
            return None
        return self.worst >= self.limit if self.is_floor else self.worst <= self.limit

    def row(self) -> tuple[str, ...]:
        """What a table shows of it."""
        limit, worst = (
            (ratio(self.limit), ratio(self.worst)) if self.is_ratio else (percent(self.limit, 2), percent(self.worst))
        )
        kept = {None: ABSENT, True: "kept", False: "crossed"}[self.is_kept]
        return self.name, f"{'at least' if self.is_floor else 'at most'} {limit}", worst, kept


@dataclass(frozen=True)
class WorstRatios:
    """Worst risk ratios over all rows, before and after trading; None where one never existed."""

    margin_ratio: float | None
    health_factor: float | None
    ltv: float | None


def worst_ratios(run: RunFiles) -> WorstRatios:
    """The worst ratios of a run.

    The summary and the columns hold each row after trading. What led to a trade stands in the first risk assessment of
    its instant; the later ones are between the operations of one decision, where nothing is judged.
    """
    margins, health, ltvs = ([] if value is None else [value] for value in _after_trading(run))
    for event in _before_trading(run):
        usage, factor, ltv = (number(event, name) for name in ("margin_usage", "health_factor", "ltv_ratio"))
        margins += [1.0 - usage] if usage > 0.0 else []
        health += [factor] if factor != NOT_APPLICABLE else []
        ltvs += [ltv] if ltv > 0.0 else []
    return WorstRatios(min(margins, default=None), min(health, default=None), max(ltvs, default=None))


def _after_trading(run: RunFiles) -> tuple[float | None, float | None, float | None]:
    return run.summary.min_margin_ratio, run.summary.min_health_factor, run.summary.max_ltv


def _before_trading(run: RunFiles) -> Iterator[EventRecord]:
    instant = None
    for event in run.events("risk_assessments"):
        if event["timestamp"] != instant:
            instant = event["timestamp"]
            yield event


def limits_of(run: RunFiles) -> tuple[Limit, ...]:
    """Every limit that the configuration of a run sets, against the worst value of the run."""
    return tuple(_limits(run, worst_ratios(run)))


def _limits(run: RunFiles, worst: WorstRatios) -> Iterator[Limit]:
    mode = run.config.mode
    risk = mode.component_config.risk_monitor.risk_limits
    yield Limit("drawdown", mode.max_drawdown, run.summary.max_drawdown, is_floor=False)
    for name, level in margin_levels(run):
        yield Limit(f"margin ratio, {name}", level, worst.margin_ratio, is_floor=True)
    if risk.health_factor_min is not None:
        yield Limit("health factor", risk.health_factor_min, worst.health_factor, is_floor=True, is_ratio=True)
    for name, limit in _ltv_limits(run):
        yield Limit(f"loan to value, {name}", limit, worst.ltv, is_floor=False)
    for name, most in _delta_limits(run):
        yield Limit(f"net delta, {name}", most, run.summary.max_abs_net_delta_fraction, is_floor=False)


def margin_levels(run: RunFiles) -> Iterator[tuple[str, float]]:
    """Margin ratios that a position must stay above, highest first; none for a mode without perpetuals."""
    levels = run.config.mode.strategy_config.margin_levels
    if levels is not None:
        yield from (
            ("warning", levels.warning),
            ("reduce", levels.reduce),
            ("exit", levels.exit),
            ("liquidation", levels.liquidation),
        )


def _delta_limits(run: RunFiles) -> Iterator[tuple[str, float]]:
    mode = run.config.mode
    for name, most in (
        ("alert", mode.component_config.risk_monitor.risk_limits.delta_tolerance),
        ("trade", mode.strategy_config.net_delta_trade),
    ):
        if most is not None:
            yield name, most


def _ltv_limits(run: RunFiles) -> Iterator[tuple[str, float]]:
    mode = run.config.mode
    threshold = mode.component_config.risk_monitor.risk_limits.liquidation_threshold
    if mode.max_ltv is not None:
        yield "cap", mode.max_ltv
    if threshold is not None:
        yield "liquidation", threshold


def limits_table(run: RunFiles) -> Table:
    """Each limit, the worst value and whether it was kept."""
    note = "The worst value of all rows, before and after trading; net delta after it."
    return Table("Limits", ("limit", "must be", "worst", ""), tuple(limit.row() for limit in limits_of(run)), note)


def risk_chart(run: RunFiles) -> TimeChart | None:
    """Health factor, loan to value and margin ratios with their limits; None where nothing is owed or margined."""
    panels = [*_health(run), *_ltv(run), *_margin(run)]
    return TimeChart("risk", "Distance to the limits", "", tuple(panels)) if panels else None


def _exists(values: Column) -> bool:
    return bool(np.isfinite(values).any())


def _health(run: RunFiles) -> Iterator[Panel]:
    values = run.existing("health_factor")
    if _exists(values):
        floor = run.config.mode.component_config.risk_monitor.risk_limits.health_factor_min
        levels = [Level(1.0, "liquidation 1"), *([] if floor is None else [Level(floor, f"reduce debt {floor:g}")])]
        series = Series("health factor", values, GREEN)
        yield Panel("Health factor", run.instants, (series,), tuple(levels), ",.6~f", ".4f", 150)


def _ltv(run: RunFiles) -> Iterator[Panel]:
    values = run.existing("ltv")
    if _exists(np.where(values > 0.0, values, np.nan)):
        target = run.config.mode.strategy_config.target_ltv
        levels = [Level(limit, f"{name} {limit:.0%}") for name, limit in _ltv_limits(run)]
        levels += [] if target is None else [Level(target, f"target {target:.0%}", is_limit=False)]
        series = Series("loan to value", values, ROSE)
        yield Panel("Loan to value", run.instants, (series,), tuple(levels), ".4~%", ".3%", 150)


def _margin(run: RunFiles) -> Iterator[Panel]:
    ratios = {venue: _capped(without_absent(values)) for venue, values in run.by_label("margin_ratio").items()}
    held = {venue: values for venue, values in ratios.items() if _exists(values)}
    if held:
        levels = tuple(Level(level, f"{name} {level:.0%}") for name, level in margin_levels(run))
        yield Panel(
            "Margin ratio by exchange", run.instants, coloured(held), levels, ".4~%", ".2%", 240, from_zero=True
        )


def _capped(values: Column) -> Column:
    """Margin ratios without those too high to matter."""
    return np.where(values > _RATIO_SHOWN_MAX, np.nan, values)


def net_delta_panels(run: RunFiles) -> Iterator[Panel]:
    """Net delta in USD, and its share of the long leg with the limits of a hedged mode."""
    yield from _delta_usd(run)
    if run.has("net_delta_fraction"):
        levels = tuple(Level(most, f"{name} {most:.1%}") for name, most in _delta_limits(run))
        share = Series("net delta", run.column("net_delta_fraction"), ROSE)
        yield Panel("Net delta fraction", run.instants, (share,), levels, ".4~%", ".3%", 130, from_zero=True)


def _delta_usd(run: RunFiles) -> Iterator[Panel]:
    delta = Series("net delta", run.column("net_delta_usd"), GREEN, Shape.FILLED)
    asset = run.config.mode.strategy_config.delta_tracking_asset
    yield Panel(f"Net delta in {asset}, USD", run.instants, (delta,), height=130)
