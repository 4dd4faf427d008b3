"""Runs of the engine as the benchmarks need them, and the assertion that the references do the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.engine.prepared import BacktestOutcome, PreparedBacktest
from dataflow.engine.requests import ColumnSink, Recording, RunRequest
from dataflow.execution.venue_set import VenueSetup
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.sequencer import Envelope
from dataflow.market.market import Market
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.records.store.parquet_stages import StageFile
from dataflow.services.simulated_venues import simulated_venues
from schemas.units import Column, Instants
from tests.benchmarks.float_loop import FloatLoop
from tests.benchmarks.hand_book import Book, Settings
from tests.benchmarks.numpy_loop import numpy_loop

CAPITAL: Final = 100_000.0
CORRELATION_ID: Final = "b" * 32
PID: Final = 1

_WALL_CLOCK: Final = "2024-01-01T00:00:00.000000"
_RELATIVE, _ABSOLUTE = 1e-9, 1e-9 * CAPITAL
"""Routes of plain floats differ in the order of summation only: 1e-9 of the value, or of capital near zero."""


@dataclass
class Collected:
    """Every column that a run hands to its results."""

    pieces: dict[str, list[Column]] = field(default_factory=dict)

    def take(self, stage: str, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Keep the columns of one stage of a chunk."""
        for name, column in columns.items():
            self.pieces.setdefault(name, []).append(column)

    def columns(self) -> dict[str, Column]:
        """The columns over the whole run."""
        return {name: np.concatenate(parts) for name, parts in self.pieces.items()}


def basis_backtest() -> Backtest:
    """The ``btc_basis`` mode as shipped, costs included, on the plan executor."""
    return Backtest(load_run_config("btc_basis").config)


def run_engine(
    backtest: Backtest,
    market: Market,
    *,
    logs: Path | None = None,
    collected: Collected | None = None,
    venues: VenueSetup | None = None,
) -> BacktestOutcome:
    """One run; with ``logs`` it writes the twelve event files and the component logs there."""
    sink = collected.take if collected is not None else None
    if logs is None:
        return _run(backtest, market, None, None, sink, venues)
    with (
        DomainEventLogger(logs, CORRELATION_ID, PID) as log,
        ComponentLogs.open(logs, CORRELATION_ID, PID) as components,
    ):
        return _run(backtest, market, log, components, sink, venues)


def run_with_parquet(backtest: Backtest, market: Market, directory: Path, *, has_log: bool) -> BacktestOutcome:
    """One run whose columns go to Parquet files, with or without the event log."""
    stages: dict[str, StageFile] = {}
    axes = backtest.column_axes()

    def sink(stage: str, instants: Instants, columns: Mapping[str, Column]) -> None:
        stages.setdefault(stage, StageFile(directory / f"{stage}.parquet", {})).add(instants, columns, axes)

    try:
        if not has_log:
            return _run(backtest, market, None, None, sink)
        with DomainEventLogger(directory / "logs", CORRELATION_ID, PID) as log:
            return _run(backtest, market, log, None, sink)
    finally:
        for stage in stages.values():
            stage.close()


def _run(
    backtest: Backtest,
    market: Market,
    log: DomainEventLogger | None,
    components: ComponentLogs | None,
    sink: ColumnSink | None,
    venues: VenueSetup | None = None,
) -> BacktestOutcome:
    wall_clock = log.real_utc_time if log is not None else lambda: _WALL_CLOCK
    recording = Recording(Envelope(CORRELATION_ID, PID, wall_clock), log, components, sink)
    return PreparedBacktest(backtest, market).run(RunRequest(CAPITAL, 7, venues or simulated_venues()), recording)


@dataclass(frozen=True)
class Agreement:
    """What was found equal: columns compared, decisions and orders of the run."""

    columns: int
    decisions: int
    orders: int


def assert_numpy_agrees(backtest: Backtest, market: Market) -> Agreement:
    """Every column that the engine hands to the results is in the NumPy loop, equal to the bit; so is the book."""
    collected = Collected()
    outcome = run_engine(backtest, market, collected=collected)
    ours = collected.columns()
    theirs, decisions, book = numpy_loop(market, Settings.of(backtest), CAPITAL)
    for name, column in ours.items():
        np.testing.assert_array_equal(theirs[name], column, err_msg=name)
    assert decisions == _decisions(ours["decision"])
    _assert_same_book(book, outcome)
    return Agreement(len(ours), len(decisions), book.orders)


def assert_floats_agree(backtest: Backtest, market: Market) -> Agreement:
    """Every column of the engine is in the plain-Python loop within 1e-9; decisions are the same."""
    collected = Collected()
    outcome = run_engine(backtest, market, collected=collected)
    ours = collected.columns()
    loop = FloatLoop(market, Settings.of(backtest), CAPITAL)
    loop.run()
    theirs = {**market.columns, **loop.columns()}
    for name, column in ours.items():
        np.testing.assert_allclose(theirs[name], column, rtol=_RELATIVE, atol=_ABSOLUTE, err_msg=name)
    assert loop.decisions == _decisions(ours["decision"])
    assert loop.book.orders == outcome.counts.orders
    return Agreement(len(ours), len(loop.decisions), loop.book.orders)


def _decisions(column: Column) -> list[tuple[int, int]]:
    return [(int(row), int(column[row])) for row in np.flatnonzero(column)]


def _assert_same_book(book: Book, outcome: BacktestOutcome) -> None:
    assert book.orders == outcome.counts.orders
    assert outcome.counts.operations_failed == 0
    held = {name: np.asarray(value).tolist() for name, value in outcome.state.values.items()}
    assert held["held_wallet"] == [book.wallet]
    assert (held["held_quote"], held["held_spot"]) == (book.quote, book.spot)
    assert (held["held_perp"], held["held_perp_entry"]) == (book.perp, book.entry)
