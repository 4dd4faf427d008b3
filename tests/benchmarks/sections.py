"""The measurements, one function a section of the report; each asserts equal results before it takes a time."""

import gc
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Final
from unittest.mock import patch

import numpy as np
import orjson

from dataflow.engine.backtest import Backtest, EngineOptions
from dataflow.engine.statistics import RunStatistics
from dataflow.graph.validation import validate_stage
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.event_fields import exposure_columns, position_columns
from dataflow.journal.sequencer import Draft
from dataflow.market.market import Market
from dataflow.maths.returns import FlowHistory
from dataflow.records.log.bulk_lines import BulkEncoder, FieldValue
from dataflow.records.log.event_csv import export_events
from dataflow.records.log.event_log import DomainEventLogger
from dataflow.records.log.hash_chain import HashChain
from dataflow.records.log.reading import event_name
from dataflow.records.store.parquet_stages import StageFile
from schemas.models.events import DomainEvent, ExposureSnapshot, PositionSnapshot
from schemas.units import SECONDS_PER_HOUR, Column
from tests.benchmarks.float_loop import FloatLoop
from tests.benchmarks.hand_book import Settings
from tests.benchmarks.markets import Turnover, basis_market
from tests.benchmarks.numpy_loop import numpy_loop
from tests.benchmarks.runs import (
    CAPITAL,
    CORRELATION_ID,
    PID,
    Collected,
    assert_floats_agree,
    assert_numpy_agrees,
    basis_backtest,
    run_engine,
    run_with_parquet,
)
from tests.benchmarks.timing import Measure, interleaved, least_seconds, median_seconds, timed

YEAR_OF_HOURS: Final = 8_760
YEAR_OF_MINUTES: Final = 525_600
SECONDS_PER_MINUTE: Final = 60

_ROOT: Final = Path(__file__).resolve().parents[2]
_BARE_IMPORTS: Final = "import pandas, hamilton.driver, pandera.pandas"


@dataclass(frozen=True)
class Line:
    """One line of the report: what, its ratio and target (None where it has none), and what is said beside."""

    what: str
    ratio: float | None
    target: float | None
    note: str


def thousands(rows: int, seconds: float) -> str:
    """Rows a second, in thousands."""
    return f"{rows / seconds / 1e3:,.0f}k rows/s"


def _engine_seconds(backtest: Backtest, market: Market) -> float:
    """Engine alone: no validation, no event, no file."""
    return run_engine(backtest, market).engine_seconds


# -- plan against NumPy


def plan_against_numpy() -> Iterator[Line]:
    """The plan executor's engine against the hand-written NumPy loop, on hours and on minutes."""
    cases: tuple[tuple[str, int, int, Turnover, int], ...] = (
        ("year of hours", YEAR_OF_HOURS, SECONDS_PER_HOUR, "rebalances", 9),
        ("year of hours", YEAR_OF_HOURS, SECONDS_PER_HOUR, "round_trips", 5),
        ("year of minutes", YEAR_OF_MINUTES, SECONDS_PER_MINUTE, "rebalances", 5),
        ("year of minutes", YEAR_OF_MINUTES, SECONDS_PER_MINUTE, "round_trips", 3),
    )
    for name, rows, step, turnover, turns in cases:
        backtest, market = basis_backtest(), basis_market(rows, step, turnover)
        settings = Settings.of(backtest)
        found = assert_numpy_agrees(backtest, market)
        pairs = interleaved(
            partial(_engine_seconds, backtest, market), timed(partial(numpy_loop, market, settings, CAPITAL)), turns
        )
        ours, by_hand = pairs.seconds
        yield Line(
            f"{name}, {found.decisions} decisions, {found.orders} orders",
            pairs.ratio,
            4.0 if turnover == "rebalances" else None,
            f"plan {1e3 * ours:.1f} ms ({thousands(rows, ours)}), NumPy {1e3 * by_hand:.1f} ms "
            f"({thousands(rows, by_hand)}); {found.columns} columns equal to the bit",
        )


# -- engine and event log against floats


def records_against_floats() -> Iterator[Line]:
    """Engine, validation, event log and component logs against the plain-Python loop, on hours."""
    turnovers: tuple[Turnover, ...] = ("rebalances", "round_trips")
    for turnover in turnovers:
        backtest, market = basis_backtest(), basis_market(YEAR_OF_HOURS, SECONDS_PER_HOUR, turnover)
        settings = Settings.of(backtest)
        found = assert_floats_agree(backtest, market)
        pairs = interleaved(
            _with_records(backtest, market),
            partial(_float_seconds, market, settings),
            turns=5,
        )
        ours, by_hand = pairs.seconds
        yield Line(
            f"year of hours, {found.decisions} decisions, {found.orders} orders",
            pairs.ratio,
            25.0,
            f"engine with all logs {1e3 * ours:.0f} ms, floats {1e3 * by_hand:.0f} ms",
        )


def _with_records(backtest: Backtest, market: Market) -> Measure:
    def measure() -> float:
        with tempfile.TemporaryDirectory() as logs:
            return timed(lambda: run_engine(backtest, market, logs=Path(logs)))()

    return measure


def _float_seconds(market: Market, settings: Settings) -> float:
    loop = FloatLoop(market, settings, CAPITAL)
    return timed(loop.run)()


# -- where the time goes


def parts_of_a_run() -> Iterator[Line]:
    """Each part of a year of hours by itself."""
    backtest, market = basis_backtest(), basis_market(YEAR_OF_HOURS, SECONDS_PER_HOUR, "rebalances")
    collected = Collected()
    run_engine(backtest, market, collected=collected)
    columns = collected.columns()
    engine = median_seconds(lambda: _engine_seconds(backtest, market))
    yield _part("graph of the mode", median_seconds(basis_backtest, 3))
    yield _part("engine", engine)
    yield _part("validation of every stage", median_seconds(lambda: _validate(backtest, market, columns)))
    with tempfile.TemporaryDirectory() as directory:
        logs, out = Path(directory) / "logs", Path(directory) / "out"
        out.mkdir()
        with_logs = run_engine(backtest, market, logs=logs)
        silent = run_engine(backtest, market)
        yield _part("event and component logs", with_logs.records_seconds - silent.records_seconds)
        yield _part("Parquet", median_seconds(lambda: _write_parquet(backtest, market, columns, out), 3))
        yield _part("export of the twelve event types as CSV", median_seconds(lambda: export_events(logs, out), 1))
    yield _part("summary", median_seconds(lambda: _summarise(market, columns)))


def _part(what: str, seconds: float) -> Line:
    return Line(what, None, None, f"{1e3 * seconds:.1f} ms")


def _validate(backtest: Backtest, market: Market, columns: Mapping[str, Column]) -> None:
    axes = backtest.column_axes()
    for stage, chosen in backtest.stages_of(columns).items():
        validate_stage(stage, chosen, axes, market.instants)


def _write_parquet(backtest: Backtest, market: Market, columns: Mapping[str, Column], out: Path) -> None:
    for stage, chosen in backtest.stages_of(columns).items():
        file = StageFile(out / f"{stage}.parquet", {})
        file.add(market.instants, chosen, backtest.column_axes())
        file.close()


def _summarise(market: Market, columns: Mapping[str, Column]) -> None:
    statistics = RunStatistics()
    statistics.add(market.instants, columns)
    start = float(market.instants[0].astype(np.int64))
    statistics.returns(FlowHistory(np.array([start]), np.array([CAPITAL]), np.zeros(1)))
    statistics.extremes()


# -- ten years


def ten_years_against_one() -> Iterator[Line]:
    """Engine time and memory of ten years of hours against one year."""
    backtest = basis_backtest()
    one, ten = (basis_market(years * YEAR_OF_HOURS, SECONDS_PER_HOUR, "rebalances") for years in (1, 10))
    pairs = interleaved(partial(_engine_seconds, backtest, ten), partial(_engine_seconds, backtest, one), turns=3)
    long, short = pairs.seconds
    yield Line("engine time, ten years of hours", pairs.ratio, 11.0, f"{long:.2f} s against {short:.2f} s")
    with_logs = interleaved(_with_records(backtest, ten), _with_records(backtest, one), turns=1)
    long, short = with_logs.seconds
    yield Line("the same with all logs", with_logs.ratio, 11.0, f"{long:.2f} s against {short:.2f} s")
    of_ten, of_one = _peak_megabytes(backtest, ten), _peak_megabytes(backtest, one)
    yield Line(
        "peak memory of the run", of_ten / of_one, None, f"{of_ten:.0f} MB against {of_one:.0f} MB, market apart"
    )


def _peak_megabytes(backtest: Backtest, market: Market) -> float:
    """Most memory that a run with logs held at once beyond its market, MB."""
    with tempfile.TemporaryDirectory() as logs:
        gc.collect()
        tracemalloc.start()
        run_engine(backtest, market, logs=Path(logs))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak / 1e6


# -- the command line


def command_line() -> Iterator[Line]:
    """The whole process of ``basis backtest`` against the bare imports of pandas, Hamilton and Pandera.

    The target is that of a year of real history against the imports as a shell has them. For information: the same
    against imports that leave Hamilton's extensions out, as our own do, and two synthetic years of a thousand orders.
    """
    basis = Path(sys.executable).with_name("basis")
    if find_spec("dataflow.cli.main") is None or not basis.is_file():
        yield Line("basis backtest", None, 3.0, "skipped: the command line is not installed")
        return
    real = _ROOT.parent / "shared" / "data"
    if real.is_dir():
        yield _whole_process("a year of real history", _command(basis, str(real)), {}, 3.0)
        yield _whole_process("the same, bare imports without extensions", _command(basis, str(real)), _LEAN, None)
    else:
        yield Line("a year of real history", None, 3.0, f"skipped: no data set at {real}")
    yield _whole_process("two synthetic years", _command(basis, "synthetic"), _LEAN, None)


_OPERATION_US: Final = 300.0
"""What the records of an operation may take, microseconds."""

_LEAN: Final = {"HAMILTON_AUTOLOAD_EXTENSIONS": "0"}


def _whole_process(what: str, command: list[str], imported_with: Mapping[str, str], target: float | None) -> Line:
    with tempfile.TemporaryDirectory() as directory:
        where = ["--logs", f"{directory}/logs", "--results", f"{directory}/results"]
        pairs = interleaved(
            timed(partial(_process, [*command, *where], {})),
            timed(partial(_process, [sys.executable, "-c", _BARE_IMPORTS], imported_with)),
            turns=5,
        )
    ours, imports = pairs.seconds
    return Line(what, pairs.ratio, target, f"{ours:.2f} s, bare imports {imports:.2f} s")


def _command(basis: Path, data: str) -> list[str]:
    """A backtest of which everything is written."""
    window = [] if data == "synthetic" else ["--start", "2024-05-12T00:00Z", "--end", "2025-03-31T00:00Z"]
    return [str(basis), "backtest", "btc_basis", "--data", data, *window, "--no-progress", "--json"]


def _process(command: list[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd=_ROOT, env={**os.environ, **environment})


# -- records


def records_by_line() -> Iterator[Line]:
    """Bulk lines, hashes included, against orjson of the same dictionaries; what operations cost."""
    backtest, market = basis_backtest(), basis_market(YEAR_OF_HOURS, SECONDS_PER_HOUR, "rebalances")
    collected = Collected()
    run_engine(backtest, market, collected=collected)
    columns = collected.columns()
    for event_class, fields in _bulk_fields(backtest, columns).items():
        write = partial(_hashed_lines, event_class, market, fields)
        lines = _bulk_lines(event_class, market, fields)
        prepared = [orjson.loads(line) for line in lines]
        assert _orjson_lines(prepared) == lines
        pairs = interleaved(timed(write), timed(partial(_orjson_lines, prepared)), turns=9)
        ours, by_hand = (1e6 * seconds / len(lines) for seconds in pairs.seconds)
        yield Line(
            f"{event_class.__name__} in bulk, hashed",
            pairs.ratio,
            2.0,
            f"{ours:.2f} us a line, orjson {by_hand:.2f} us",
        )
    yield _operation_line(backtest)
    yield _operations_detail()


def _bulk_fields(
    backtest: Backtest, columns: Mapping[str, Column]
) -> dict[type[DomainEvent], Mapping[str, FieldValue]]:
    return {
        PositionSnapshot: {
            "positions": position_columns(columns, backtest.parameters.groups),
            "total_value_usd": columns["equity_usd"],
            "position_type": "simulated",
            "trigger_source": "position_refresh",
        },
        ExposureSnapshot: {
            "net_delta_usd": columns["net_delta_usd"],
            "asset_exposures": exposure_columns(columns, backtest.parameters.axes["assets"]),
            "total_value_usd": columns["equity_usd"],
            "share_class_value": columns["equity_share_class"],
        },
    }


def _bulk_lines(event_class: type[DomainEvent], market: Market, fields: Mapping[str, FieldValue]) -> list[bytes]:
    return (
        BulkEncoder(CORRELATION_ID, PID)
        .encode(
            event_class,
            order=np.arange(len(market.instants)),
            timestamps=market.instants,
            real_utc_time="2024-01-01T00:00:00.000000",
            fields=fields,
        )
        .lines
    )


def _hashed_lines(event_class: type[DomainEvent], market: Market, fields: Mapping[str, FieldValue]) -> None:
    """The lines as the log makes them: encoded, put together, and taken into the hash chain."""
    lines = _bulk_lines(event_class, market, fields)
    with tempfile.TemporaryDirectory() as directory:
        chain = HashChain(Path(directory), write=os.write)
        chain.take(event_name(event_class), np.arange(len(lines)), lines, b"".join(lines))
        chain.close()


def _orjson_lines(prepared: list[dict[str, object]]) -> list[bytes]:
    return [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in prepared]


def _operation_line(backtest: Backtest) -> Line:
    """What the records of a year of entries and exits take: every event and component record of their rows again."""
    market = basis_market(YEAR_OF_HOURS, SECONDS_PER_HOUR, "round_trips")
    drafts: list[Draft] = []
    said: list[tuple[str, str, str, dict[str, object]]] = []

    def said_by(_logs: ComponentLogs, component: str, message: str, timestamp: str, **extras: object) -> None:
        said.append((component, message, timestamp, extras))

    def drafted(draft: Draft) -> DomainEvent:
        drafts.append(draft)
        return draft.event_class(**draft.fields)

    with (
        tempfile.TemporaryDirectory() as logs,
        patch.object(Draft, "event", drafted),
        patch.object(ComponentLogs, "info", said_by),
    ):
        operations = run_engine(backtest, market, logs=Path(logs)).counts.orders

    def recorded() -> None:
        with (
            tempfile.TemporaryDirectory() as again,
            DomainEventLogger(Path(again), CORRELATION_ID, PID) as log,
            ComponentLogs.open(Path(again), CORRELATION_ID, PID) as components,
        ):
            for component, message, timestamp, extras in said:
                components.info(component, message, timestamp, **extras)
            for event in sorted((draft.event() for draft in drafts), key=attrgetter("order")):
                log.log(event)

    each = 1e6 * least_seconds(recorded, 15) / operations
    events, records = len(drafts) / operations, len(said) / operations
    note = f"{each:.0f} us: {events:.1f} events through their models and {records:.1f} component records"
    return Line(f"records of an operation, of {_OPERATION_US:.0f} us", each / _OPERATION_US, 1.0, note)


def _operations_detail() -> Line:
    """A year of minutes, engine and Parquet, with an event log of the operations against none."""
    backtest = Backtest(basis_backtest().config, EngineOptions(events="operations"))
    market = basis_market(YEAR_OF_MINUTES, SECONDS_PER_MINUTE, "rebalances")
    with_log = _with_parquet(backtest, market, has_log=True)
    pairs = interleaved(with_log, _with_parquet(backtest, market, has_log=False), turns=3)
    ours, without = pairs.seconds
    note = f"{ours:.2f} s, engine and Parquet {without:.2f} s"
    return Line("year of minutes, --events operations", pairs.ratio, 1.3, note)


def _with_parquet(backtest: Backtest, market: Market, *, has_log: bool) -> Measure:
    def measure() -> float:
        with tempfile.TemporaryDirectory() as directory:
            return timed(lambda: run_with_parquet(backtest, market, Path(directory), has_log=has_log))()

    return measure
