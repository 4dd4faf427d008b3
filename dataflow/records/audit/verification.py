"""The proof of a run: the hash chain of its event log, the replay of its balances, and the counts that must agree.

The chain and, of the results, the digests of the manifest say that the files are those that the run wrote; the replay,
that what was written follows from itself; the counts, that nothing was left out in writing (domain section 6). Each is
looked at also where another has failed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dataflow.records.audit.chain_check import ChainReport, check_chain
from dataflow.records.audit.replay import ReplayReport, replay
from dataflow.records.log.append_file import part_paths
from dataflow.records.log.log_directory import METADATA_FILE, LogDirectoryManager
from dataflow.records.log.log_fault import LogFault
from dataflow.records.log.reading import (
    event_counts,
    events_directory,
    order_in,
    read_events,
    terminated_lines,
    torn_tails,
)
from dataflow.records.store.results import LOGS_DIRECTORY, MANIFEST_FILE, file_digests, load_manifest, load_summary
from schemas.errors import ErrorCode, LogSerialisationError
from schemas.models.events import (
    DomainEvent,
    ExecutionDeltaEvent,
    ExposureSnapshot,
    OperationExecutionEvent,
    PnLCalculation,
    RiskAssessment,
    StrategyDecision,
    TightLoopExecutionEvent,
)
from schemas.units import INSTANT_DTYPE, Instants


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found, chain first; ``replayed`` is None where a damaged line stopped the replay."""

    faults: tuple[LogFault, ...]
    chain: ChainReport
    replayed: ReplayReport | None

    @property
    def ok(self) -> bool:
        """Whether log and results are those that were written, whole, and the log proves itself."""
        return not self.faults


def verify(path: Path | str) -> Verification:
    """Verify the event log under ``path``, a results or a logs directory.

    Faults are LOG-004 (a line that is not the one that was written, or no event) and POS-005 (what does not follow).
    Raises ``LogDirectoryError`` (LOG-003) without an event log, or with a manifest, summary or metadata that cannot be
    read.
    """
    events_dir = events_directory(path)
    run_dir = events_dir.parent.parent if events_dir.parent.name == LOGS_DIRECTORY else None
    has_results = run_dir is not None and (run_dir / MANIFEST_FILE).is_file()
    manifest = load_manifest(run_dir) if run_dir is not None and has_results else None
    chain = check_chain(events_dir, None if manifest is None else manifest.event_log_seal)
    faults = [*chain.faults, *_torn(events_dir)]
    if run_dir is not None and manifest is not None:
        faults += _file_faults(run_dir, manifest.file_digests)
    replayed = None
    try:
        replayed = replay(events_dir)
        faults += replayed.faults
        faults += [*_count_faults(events_dir), *_detail_faults(events_dir)]
        if run_dir is not None and manifest is not None:
            faults += _summary_faults(events_dir, load_summary(run_dir).event_counts)
    except LogSerialisationError as error:
        faults.append(_damaged(error))
    return Verification(tuple(_with_line(fault, events_dir) for fault in faults), chain, replayed)


def _file_faults(run_dir: Path, stated: Mapping[str, str]) -> Iterator[LogFault]:
    """Files of the results that are not those that the run wrote."""
    found = file_digests(run_dir)
    for name, digest in stated.items():
        if found.get(name) != digest:
            what = "is not the file that the run wrote" if name in found else "is missing"
            yield LogFault(name, None, None, what, code=ErrorCode.LOG_SERIALISATION_FAILED)


def _torn(events_dir: Path) -> Iterator[LogFault]:
    for tail in torn_tails(events_dir):
        line, at = 1, 0
        for text in terminated_lines(tail.file):
            at += len(text)
            if at > tail.byte_offset:
                break
            line += 1
        what = f"torn at byte {tail.byte_offset}: the line was not written to its end"
        yield LogFault(tail.file.name, None, None, what, line, ErrorCode.LOG_SERIALISATION_FAILED)


def _damaged(error: LogSerialisationError) -> LogFault:
    file, line = Path(str(error.context["file"])).name, error.context["line"]
    assert isinstance(line, int), "the reader names the line"
    return LogFault(file, None, None, error.message, line, error.code)


def _with_line(fault: LogFault, events_dir: Path) -> LogFault:
    """The fault with the part and the line of its event, where only the ``order`` is known."""
    if fault.line is not None or fault.order is None:
        return fault
    needle = b'"order":%d,' % fault.order
    for part in part_paths(events_dir / fault.file):
        for number, line in enumerate(terminated_lines(part), start=1):
            if needle in line and order_in(line) == fault.order:
                return replace(fault, file=part.name, line=number)
    return fault


# -- counts


def _count_faults(events_dir: Path) -> Iterator[LogFault]:
    """Event types whose numbers must agree."""
    decisions, pnl = _orders(events_dir, StrategyDecision), _orders(events_dir, PnLCalculation)
    # A run that stopped in the middle of a decision has no P&L after it.
    stopped = len(decisions) and (not len(pnl) or decisions[-1] > pnl[-1])
    yield from _unequal(StrategyDecision, len(decisions) - bool(stopped), PnLCalculation, len(pnl))
    exposures, assessments = _orders(events_dir, ExposureSnapshot), _orders(events_dir, RiskAssessment)
    yield from _unequal(ExposureSnapshot, len(exposures), RiskAssessment, len(assessments))
    units, operations = set(), set()
    for operation in read_events(events_dir, OperationExecutionEvent):
        units.add(operation["atomic_group_id"] or operation["operation_id"])
        operations.add(operation["operation_id"])
    for loop in read_events(events_dir, TightLoopExecutionEvent):
        if loop["operation_id"] not in units:
            yield _orphan(TightLoopExecutionEvent, loop, "operation_id")
    for applied in read_events(events_dir, ExecutionDeltaEvent):
        if applied["source_operation_id"] is not None and applied["source_operation_id"] not in operations:
            yield _orphan(ExecutionDeltaEvent, applied, "source_operation_id")


def _orders(events_dir: Path, event_class: type[DomainEvent]) -> np.ndarray:
    orders = (record.get("order") for record in read_events(events_dir, event_class))
    return np.fromiter((order if isinstance(order, int) else -1 for order in orders), np.int64)


def _unequal(one: type[DomainEvent], ones: int, other: type[DomainEvent], others: int) -> Iterator[LogFault]:
    if ones != others:
        what = f"{ones} events, but {others} in {other.file_name}; there must be as many"
        yield LogFault(one.file_name, None, None, what)


def _orphan(event_class: type[DomainEvent], record: Mapping[str, object], field: str) -> LogFault:
    order = record["order"]
    return LogFault(
        event_class.file_name,
        order if isinstance(order, int) else None,
        str(record[field]),
        "no operation of this identifier is on record",
    )


def _detail_faults(events_dir: Path) -> Iterator[LogFault]:
    """Rows that have no decision on record though the detail of the log wants one."""
    decided = _instants(events_dir, StrategyDecision)
    if len(decided) == 0:
        return
    detail = _detail(events_dir.parent)
    if detail == "every-step":
        steps = np.diff(decided)
        for row in np.flatnonzero(steps != steps.min())[:1] if len(steps) else ():
            what = f"no row between {decided[row]} and {decided[row + 1]}, though the log has every step"
            yield LogFault(StrategyDecision.file_name, None, None, what)
        return
    wanted = ExecutionDeltaEvent if detail == "on-change" else OperationExecutionEvent
    changed = _instants(events_dir, wanted)
    # A row that stopped the run may have been settled and not decided.
    for instant in np.setdiff1d(changed[changed <= decided[-1]], decided)[:1]:
        what = f"no decision at {instant}, where {wanted.file_name} has an event"
        yield LogFault(StrategyDecision.file_name, None, None, what)


def _detail(log_dir: Path) -> str:
    if not (log_dir / METADATA_FILE).is_file():
        return "every-step"
    return LogDirectoryManager.read_run_metadata(log_dir).event_detail


def _instants(events_dir: Path, event_class: type[DomainEvent]) -> Instants:
    texts = [str(record["timestamp"]) for record in read_events(events_dir, event_class)]
    return np.array(texts, dtype=INSTANT_DTYPE)


def _summary_faults(events_dir: Path, stated: Mapping[str, int]) -> Iterator[LogFault]:
    """Event types of which the summary counts another number of events than there are."""
    for event, found in event_counts(events_dir).items():
        if found != stated.get(event):
            yield LogFault(f"{event}.jsonl", None, None, f"{found} events, the summary counts {stated.get(event)}")
