"""The shocks of a run's scenario: over its market, and, for venues that are away, over its fault plan."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflow.graph.state import RunState
from dataflow.market.market import Market, MarketRequest
from dataflow.market.stress import Stressed, begins_at, look_back_from, stressed
from dataflow.venues.faults.plan import FaultKind, FaultPlan, FaultRule, FaultTarget
from schemas.errors import ConfigValidationError
from schemas.models.config import RunConfig
from schemas.models.config_scenario import OutageShock, Shock
from schemas.units import SECONDS_PER_HOUR

_OUTAGE: Final = "venue_outage"


@dataclass(frozen=True)
class ShockedRun:
    """A run's market and fault plan under its shocks.

    shocks: each in one line, with the instant of its first row. begins: first row of the first of them, None without.
    warnings: what the reader of a summary must know.
    """

    market: Market
    plan: FaultPlan | None
    shocks: tuple[str, ...] = ()
    begins: np.datetime64 | None = None
    warnings: tuple[str, ...] = ()


def run_start_of(state: RunState) -> np.datetime64:
    """First row of the run that a state belongs to."""
    return np.datetime64(int(float(state.values["run_start_seconds"])), "s")


def look_back_rows(config: RunConfig, wanted: MarketRequest, start: np.datetime64, state: RunState | None) -> int:
    """Rows before ``start`` that a partition must load."""
    if state is None:
        return wanted.look_back_rows
    first = look_back_from(config.scenario.shocks, run_start_of(state), wanted.step_seconds)
    if first is None:
        return wanted.look_back_rows
    return max(wanted.look_back_rows, int((start - first).astype(np.int64)) // wanted.step_seconds)


def shocked(
    config: RunConfig, market: Market, plan: FaultPlan | None, *, state: RunState | None, is_final: bool
) -> ShockedRun:
    """Put the shocks of the scenario over the market and the plan.

    Raises ConfigValidationError (CONFIG-003) for a shock that begins after the last row of the run.
    """
    present = config.scenario.shocks.present()
    if not present:
        return ShockedRun(market, plan)
    run_start = market.instants[market.first_row] if state is None else run_start_of(state)
    if is_final:
        _refuse_late(config, market, run_start)
    after = stressed(market, config.scenario.shocks, base_asset=config.base_asset, run_start=run_start)
    outage = config.scenario.shocks.venue_outage
    return ShockedRun(
        after.market,
        plan if outage is None else _with_outage(plan, outage, after, run_start, config.mode.clock_step_seconds),
        tuple(_line(kind, shock, after) for kind, shock in present.items()),
        min(after.begins.values()),
        tuple(_warnings(config, after)),
    )


def _refuse_late(config: RunConfig, market: Market, run_start: np.datetime64) -> None:
    last = market.instants[-1]
    for kind, shock in config.scenario.shocks.present().items():
        begins = begins_at(shock, run_start, config.mode.clock_step_seconds)
        if begins > last:
            raise ConfigValidationError(
                f"shocks.{kind} begins at {begins}, after the last row {last}: "
                f"run longer, or --set scenario:shocks.{kind}.starts_after_hours=H with a smaller H",
                key=f"shocks.{kind}",
                value=str(begins),
            )


def _with_outage(
    plan: FaultPlan | None, outage: OutageShock, after: Stressed, run_start: np.datetime64, step_seconds: int
) -> FaultPlan:
    """The plan, with the venues away for every order and group of the window."""
    first = int((after.begins[_OUTAGE] - run_start).astype(np.int64)) // step_seconds
    last = first + int(-(-outage.hours * SECONDS_PER_HOUR // step_seconds)) - 1
    away = tuple(
        FaultRule(
            kind=FaultKind.VENUE_OUTAGE,
            probability=1.0,
            at=target,
            venues=outage.venues,
            from_row=max(first, 0),
            to_row=max(last, 0),
        )
        for target in (FaultTarget.ORDER, FaultTarget.GROUP)
        if last >= 0
    )
    name = _OUTAGE if plan is None else f"{plan.name}+{_OUTAGE}"
    rules = () if plan is None else plan.rules
    return FaultPlan(name=name, description="Faults of a scenario.", rules=(*away, *rules))


def _line(kind: str, shock: Shock, after: Stressed) -> str:
    written = shock.model_dump(exclude={"starts_after_hours", "starts_at"}, exclude_none=True, exclude_defaults=True)
    facts = ", ".join(f"{name} {_shown(value)}" for name, value in written.items())
    return f"{kind} from {after.begins[kind]}: {facts}"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def _warnings(config: RunConfig, after: Stressed) -> Iterator[str]:
    for kind in after.idle:
        yield f"shock {kind} changes nothing that {config.mode.mode} reads"
    if config.scenario.shocks.lst_depeg is not None and config.mode.staking_enabled:
        yield "staked ETH is valued at the oracle: a depeg costs only what is sold while it lasts"
    outage = config.scenario.shocks.venue_outage
    if outage is not None and not set(outage.venues) & set(config.venues):
        yield f"shock {_OUTAGE} is at venues that {config.mode.mode} does not use: {', '.join(outage.venues)}"
