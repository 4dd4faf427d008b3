"""Runs over random markets under a storm of faults, with their event and component logs."""

from dataclasses import dataclass
from pathlib import Path

from dataflow.engine.backtest import Backtest
from dataflow.engine.prepared import PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.journal.component_logs import ComponentLogs
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.records.log.log_directory import LogDirectoryManager
from dataflow.services.fault_plans import fault_wrapper, load_fault_plan
from dataflow.services.simulated_venues import simulated_venues
from schemas.errors import ErrorCode, PlatformError
from tests.support.runs import CORRELATION_ID, PID, prepared


@dataclass(frozen=True)
class StormyRun:
    """What a storm left. code: what stopped the run, None where it came to its end."""

    log_dir: Path
    code: ErrorCode | None


def run_in_storm(
    mode: str, seed: int, base: Path, *, rows: int = 200, plan: str = "storm", backtest: Backtest | None = None
) -> StormyRun:
    """Run a mode over the random market of a seed with the faults of a plan; an expected stop is part of the answer.

    backtest: one of the mode that is not as shipped.
    """
    backtest, code = backtest or prepared(mode), None
    market = random_market(backtest.market_request(), seed, rows)
    log_dir = LogDirectoryManager.create_run_logs(CORRELATION_ID, PID, mode, mode, 1.0, base)
    wrap = fault_wrapper(load_fault_plan(plan), backtest, market, seed=seed)
    with (
        ComponentLogs.open(log_dir, CORRELATION_ID, PID) as components,
        DomainEventLogger(log_dir, CORRELATION_ID, PID) as log,
    ):
        try:
            venues = simulated_venues(wrap, live_policy=True)
            request = RunRequest(backtest.config.initial_capital, seed, venues)
            PreparedBacktest(backtest, market).run(request, Recording.into(log, components))
        except PlatformError as error:
            code = error.code
    return StormyRun(log_dir, code)
