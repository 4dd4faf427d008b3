"""What a year of each mode costs, and what a decision and a quiet row cost against the least they could."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
from pydantic import BaseModel

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.engine.prepared import BacktestOutcome, PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.journal.sequencer import Envelope
from dataflow.market.market import Market
from dataflow.services.backtest import BacktestRequest, load_run_market
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.models.events import (
    ExecutionDeltaEvent,
    OperationExecutionEvent,
    ReconciliationEvent,
    TightLoopExecutionEvent,
)
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.port import OrderPort
from schemas.units import SECONDS_PER_HOUR
from tests.benchmarks.float_loop import FloatLoop
from tests.benchmarks.hand_book import Settings
from tests.benchmarks.markets import Turnover, basis_market
from tests.benchmarks.runs import CAPITAL, CORRELATION_ID, PID, basis_backtest, run_engine
from tests.benchmarks.sections import YEAR_OF_HOURS, Line, thousands
from tests.benchmarks.timing import Measure, interleaved, timed
from tests.support.desk import Through
from tests.support.modes import MODES

_YEAR: Final = {"start": "2024-01-01T00:00Z", "end": "2024-12-30T23:00Z"}
_WALL_CLOCK: Final = "2024-01-01T00:00:00.000000"
_VALIDATIONS: Final = 200
"""Validations that are timed together: one takes microseconds."""


def every_mode() -> Iterator[Line]:
    """A year of hours of each mode, or of 5-minute bars: rows a second, windows, decisions and orders."""
    for mode in MODES:
        backtest = Backtest(load_run_config(mode).config)
        market = load_run_market(BacktestRequest(mode=mode, **_YEAR), backtest)
        found: list[BacktestOutcome] = []
        measure = timed(partial(_run, backtest, market, found))
        seconds = sorted(measure() for _ in range(3))[1]
        rows, counts = len(market.instants) - market.first_row, found[-1].counts
        bars = "hours" if backtest.config.mode.clock_step_seconds == SECONDS_PER_HOUR else "5-minute bars"
        yield Line(
            mode,
            None,
            None,
            f"{rows:,} {bars}, {1e3 * seconds:.0f} ms ({thousands(rows, seconds)}), {counts.windows} windows, "
            f"{sum(counts.decisions.values())} decisions, {counts.orders} orders",
        )


def _run(backtest: Backtest, market: Market, found: list[BacktestOutcome]) -> None:
    request = RunRequest(backtest.config.initial_capital, 7, simulated_venues())
    envelope = Envelope(CORRELATION_ID, PID, lambda: _WALL_CLOCK)
    found.append(PreparedBacktest(backtest, market).run(request, Recording(envelope)))


def cost_of_a_decision() -> Iterator[Line]:
    """What decisions cost an order, with all their events, and what a row without one costs."""
    turnovers: tuple[Turnover, ...] = ("round_trips", "rebalances")
    busy, quiet = basis_backtest(), Backtest(load_run_config("btc_basis", overrides=_ENTER_AND_HOLD).config)
    market = basis_market(YEAR_OF_HOURS, SECONDS_PER_HOUR, "rebalances")
    messages = messages_of_an_order(quiet, market)
    for turnover in turnovers:
        yield _order_of_a_decision(busy, quiet, basis_market(YEAR_OF_HOURS, SECONDS_PER_HOUR, turnover), messages)
    yield _quiet_row(quiet, market, Settings.of(busy))


def _order_of_a_decision(
    busy: Backtest, quiet: Backtest, market: Market, messages: list[tuple[type[BaseModel], Mapping[str, Any]]]
) -> Line:
    """What a year with decisions takes longer than one without, an order, against validation of its messages alone."""
    outcomes = [run_engine(each, market).counts for each in (busy, quiet)]
    decisions = sum(outcomes[0].decisions.values()) - sum(outcomes[1].decisions.values())
    orders = outcomes[0].orders - outcomes[1].orders

    def validated() -> None:
        for _ in range(_VALIDATIONS):
            for model, values in messages:
                model.model_validate(values)

    decided = interleaved(_with_logs(busy, market), _with_logs(quiet, market), turns=5)
    alone = interleaved(timed(validated), timed(validated), turns=5).seconds[0] / _VALIDATIONS
    each = (decided.seconds[0] - decided.seconds[1]) / orders
    return Line(
        f"an order of a decision of {orders / decisions:.1f}, with its share of the decision and all events",
        each / alone,
        15.0,
        f"{1e6 * each:.0f} us; validation of one order, one handshake and four events {1e6 * alone:.0f} us",
    )


def _quiet_row(backtest: Backtest, market: Market, settings: Settings) -> Line:
    """A row on which nothing is decided: what ten years without a decision take longer than one."""
    years = 10
    long = basis_market(years * YEAR_OF_HOURS, SECONDS_PER_HOUR, "rebalances")
    runs = interleaved(
        lambda: run_engine(backtest, long).engine_seconds, lambda: run_engine(backtest, market).engine_seconds, turns=5
    )
    ours = (runs.seconds[0] - runs.seconds[1]) / (len(long.instants) - len(market.instants))
    loop = timed(lambda: FloatLoop(market, settings, CAPITAL).run())
    floats = interleaved(loop, loop, turns=3).seconds[0] / len(market.instants)
    details = f"{1e6 * ours:.2f} us, plain-Python float loop {1e6 * floats:.1f} us"
    return Line("a quiet row", ours / floats, 0.1, details)


_ENTER_AND_HOLD: Final = ("scenario:decisions=entry_only",)


def _with_logs(backtest: Backtest, market: Market) -> Measure:
    def measure() -> float:
        with TemporaryDirectory() as logs:
            return timed(lambda: run_engine(backtest, market, logs=Path(logs)))()

    return measure


class _Recorder(Through):
    """A port that keeps the first order and its answer."""

    kept: tuple[Order, ExecutionHandshake] | None = None

    def execute(self, order: Order) -> ExecutionHandshake:
        """Pass an order on."""
        handshake = super().execute(order)
        self.kept = self.kept or (order, handshake)
        return handshake


def messages_of_an_order(backtest: Backtest, market: Market) -> list[tuple[type[BaseModel], Mapping[str, Any]]]:
    """The six messages of the first order of a run: models, and the values that they validate."""
    recorders: list[_Recorder] = []

    def wrap(port: OrderPort, world: SimulatedWorld, _clock: SimulatedClock) -> OrderPort:
        recorders.append(_Recorder(port, world))
        return recorders[0]

    with TemporaryDirectory() as logs:
        run_engine(backtest, market, logs=Path(logs), venues=simulated_venues(wrap))
        events = [
            (model, orjson.loads((Path(logs) / "events" / model.file_name).read_bytes().partition(b"\n")[0]))
            for model in (OperationExecutionEvent, ExecutionDeltaEvent, ReconciliationEvent, TightLoopExecutionEvent)
        ]
    assert recorders[0].kept is not None
    order, handshake = recorders[0].kept
    return [(Order, order.model_dump()), (ExecutionHandshake, handshake.model_dump()), *events]
