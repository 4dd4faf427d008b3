"""What a stopped run left, read without the product's own readers, and what the whole run says must be in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson

from dataflow.records.audit.replay import ReplayReport, replay
from tests.support.runs import EVENT_NAMES, business_lines

Record = dict[str, object]


@dataclass(frozen=True)
class Tail:
    """Bytes of an event file after its last line's end."""

    file: str
    offset: int


@dataclass(frozen=True)
class Log:
    """The event files of one log directory."""

    log_dir: Path

    @cached_property
    def contents(self) -> Mapping[str, bytes]:
        """Bytes of every event file that is there, by event name."""
        paths = {name: self.log_dir / "events" / f"{name}.jsonl" for name in EVENT_NAMES}
        return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

    @cached_property
    def lines(self) -> Mapping[str, tuple[bytes, ...]]:
        """Whole lines of every event file."""
        return {
            name: tuple(line for line in content.splitlines(keepends=True) if line.endswith(b"\n"))
            for name, content in self.contents.items()
        }

    @property
    def tails(self) -> set[Tail]:
        """Every file that does not end with a line's end."""
        ends = {name: content.rfind(b"\n") + 1 for name, content in self.contents.items()}
        return {
            Tail(f"{name}.jsonl", ends[name]) for name, content in self.contents.items() if ends[name] < len(content)
        }

    @cached_property
    def records(self) -> Mapping[str, tuple[Record, ...]]:
        """Parsed lines."""
        return {name: tuple(map(orjson.loads, lines)) for name, lines in self.lines.items()}

    @cached_property
    def business(self) -> Mapping[str, tuple[bytes, ...]]:
        """Lines without what the wall clock and the process put into them."""
        return business_lines(self.lines)

    @property
    def last_order_without_gap(self) -> int:
        """The number before the first that no file holds; -1 where even 0 is missing."""
        orders = {order_of(record) for records in self.records.values() for record in records}
        return next(order for order in range(-1, len(orders) + 1) if order + 1 not in orders)

    @cached_property
    def report(self) -> ReplayReport:
        """What the product's replay says."""
        return replay(self.log_dir)


@dataclass(frozen=True)
class WholeRun:
    """The log of the run that nobody stopped: the truth about every moment of the others."""

    log: Log

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """First and last ``order`` of each operation, group and settlement.

        An operation or group reaches from its first execution event to its tight loop; a settlement, like each delta of
        an operation, from its delta to the position snapshot that follows.
        """
        records = self.log.records
        first: dict[object, int] = {}
        for operation in records["operation_executions"]:
            first.setdefault(operation["atomic_group_id"] or operation["operation_id"], order_of(operation))
        units = [(first[loop["operation_id"]], order_of(loop)) for loop in records["tight_loop"]]
        assert len(units) == len(first)
        snapshots = sorted(map(order_of, records["positions"]))
        deltas = sorted(map(order_of, records["execution_deltas"]))
        return (*units, *((delta, next(at for at in snapshots if at > delta)) for delta in deltas))

    def last_complete(self, order: int) -> int:
        """The last ``order``, not after the one given, at which no operation and no settlement is half done."""
        while any(first <= order < last for first, last in self.spans):
            order -= 1
        return order

    def positions_after(self, order: int) -> Mapping[str, float]:
        """Balances that are not 0 after an event, as the engine itself wrote them."""
        held: object = {}
        for snapshot in self.log.records["positions"]:
            if order_of(snapshot) <= order:
                held = snapshot["positions"]
        assert isinstance(held, dict)
        return open_positions(held)

    @property
    def last_order(self) -> int:
        """Number of the last event."""
        return max(order_of(record) for records in self.log.records.values() for record in records)


def order_of(record: Record) -> int:
    """The global number of an event."""
    order = record["order"]
    assert isinstance(order, int)
    return order


def open_positions(positions: Mapping[str, float]) -> dict[str, float]:
    """Balances that are not 0."""
    return {key: units for key, units in positions.items() if units != 0.0}


def assert_prefix(log: Log, whole: Log, said: str) -> None:
    """Demand that every file holds the first lines of the whole run's file, and nothing else but a torn tail."""
    for name, lines in log.business.items():
        assert lines == whole.business[name][: len(lines)], f"{said}: {name}"


def assert_component_logs_parse(log_dir: Path, said: str) -> None:
    """Demand that every line of every component log is JSON; only the last may be torn."""
    for path in log_dir.glob("*.log"):
        for line in _whole_lines(path):
            assert isinstance(orjson.loads(line), dict), f"{said}: {path.name}"


def assert_replays(log: Log, whole: WholeRun, said: str) -> None:
    """Demand that the replay ends at the last complete operation, with the balances of the whole run there."""
    report, expected = log.report, whole.last_complete(log.last_order_without_gap)
    assert report.complete_through == expected, said
    assert open_positions(report.final_positions) == whole.positions_after(expected), said
    assert report.left_out == report.events - 1 - expected, said


def log_directories(place: Path) -> list[Path]:
    """Directories of all runs below a logs directory that have event files."""
    return [path.parent for path in place.glob("*/*/events") if any(path.iterdir())]


def _whole_lines(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    return iter(content[: content.rfind(b"\n") + 1].splitlines())
