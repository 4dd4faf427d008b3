"""The file of ``--flows``: deposits and withdrawals of a run, checked as a whole before the first row.

CSV with a header: ``timestamp`` (ISO-8601, UTC assumed), ``amount`` (share-class units; > 0 is paid in, < 0 out) and,
for withdrawals, ``speed`` (``slow``, the default, or ``fast``). Lines may stand in any order.
"""

import csv
import hashlib
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dataflow.market.market import Market
from dataflow.records.log.instants import parse_instant
from dataflow.settlement.capital_flows import schedule
from schemas.errors import ConfigValidationError
from schemas.flows import CapitalFlow, DueFlow, FlowSpeed

_REQUIRED: Final = ("timestamp", "amount")
_COLUMNS: Final = (*_REQUIRED, "speed")


@dataclass(frozen=True)
class FlowsFile:
    """What is due at which row of the run, and the SHA-256 of the file; None without one."""

    due: tuple[DueFlow, ...] = ()
    digest: str | None = None


@dataclass(frozen=True)
class _Fault:
    """One fault: line of the file (1 is the header), column, value as written, what is wrong and right."""

    line: int
    field: str
    value: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line} {self.field} {self.value!r}: {self.message}"


@dataclass(frozen=True)
class _Window:
    """Epoch seconds of the rows, both included, and whether the run begins and ends with them."""

    first: int
    last: int
    is_first: bool
    is_final: bool

    def refuses(self, row_seconds: int) -> str | None:
        """Why the run has no such row; None where it has, or another partition does."""
        if self.is_first and row_seconds < self.first:
            return f"is before the first row of the run, {np.datetime64(self.first, 's')}; add it to --capital"
        if self.is_final and row_seconds > self.last:
            return f"is after the last row of the run, {np.datetime64(self.last, 's')}; remove it or run longer"
        return None


def read_flows(path: Path | None, market: Market, step_seconds: int, *, is_first: bool, is_final: bool) -> FlowsFile:
    """Read a file of flows for the rows of a market.

    is_first, is_final: whether the run begins, and ends, with this market; a partition leaves the flows of the others
    to them. Raises ConfigValidationError (CONFIG-003) that names every fault with line, column and value.
    """
    if path is None:
        return FlowsFile()
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigValidationError(
            f"--flows {path} cannot be read: {reason}; name a CSV file", file=str(path)
        ) from error
    rows = market.instants[market.first_row :].astype(np.int64)
    window = _Window(int(rows[0]), int(rows[-1]), is_first, is_final)
    flows: list[CapitalFlow] = []
    faults: list[_Fault] = []
    for found in _lines(text, window, step_seconds):
        (flows if isinstance(found, CapitalFlow) else faults).append(found)  # type: ignore[arg-type]  # told apart
    if faults:
        first = faults[0]
        raise ConfigValidationError(
            f"{path.name}: {'; '.join(map(str, faults))}",
            file=path.name,
            row=first.line,
            field=first.field,
            value=first.value,
            faults=len(faults),
        )
    return FlowsFile(schedule(flows, step_seconds), hashlib.sha256(content).hexdigest())


def _lines(text: str, window: _Window, step_seconds: int) -> Iterator[CapitalFlow | _Fault]:
    """Each line as a flow, or its faults."""
    reader = csv.DictReader(io.StringIO(text), restkey="", strict=True)
    header = reader.fieldnames or []
    for name in _REQUIRED:
        if name not in header:
            yield _Fault(1, name, ",".join(header), f"a column is missing; the header is {','.join(_COLUMNS)}")
    for name in header:
        if name not in _COLUMNS:
            yield _Fault(1, name, name, f"unknown column; columns are {', '.join(_COLUMNS)}")
    if not set(_REQUIRED) <= set(header):
        return
    try:
        for row in reader:
            yield from _flow(reader.line_num, row, window, step_seconds)
    except csv.Error as error:
        yield _Fault(reader.line_num, "line", "", f"is not CSV: {error}")


def _flow(
    line: int, row: Mapping[str, str | list[str] | None], window: _Window, step_seconds: int
) -> Iterator[CapitalFlow | _Fault]:
    """The flow of a line, or everything that is wrong with it."""
    faults: list[_Fault] = []
    cells = {name: cell.strip() if isinstance(cell := row.get(name), str) else "" for name in _COLUMNS}
    if isinstance(extra := row.get(""), list):
        faults.append(_Fault(line, "line", ",".join(extra), "more cells than the header has"))
    seconds, amount = _instant(cells["timestamp"]), _amount(cells["amount"])
    if seconds is None:
        faults.append(_Fault(line, "timestamp", cells["timestamp"], "is not an instant; write 2024-05-12T00:00:00Z"))
    elif (why := window.refuses(-(-seconds // step_seconds) * step_seconds)) is not None:
        faults.append(_Fault(line, "timestamp", cells["timestamp"], why))
    if amount is None:
        message = "is not an amount; write a number in the share class, > 0 to pay in, < 0 to pay out"
        faults.append(_Fault(line, "amount", cells["amount"], message))
    if cells["speed"] not in ("", *FlowSpeed):
        faults.append(_Fault(line, "speed", cells["speed"], "is neither fast nor slow; leave it empty for slow"))
    elif cells["speed"] and amount is not None and amount > 0.0:
        faults.append(_Fault(line, "speed", cells["speed"], "a deposit has no speed; leave it empty"))
    if faults or seconds is None or amount is None:
        yield from faults
        return
    yield CapitalFlow(seconds, amount, FlowSpeed(cells["speed"] or FlowSpeed.SLOW))


def _instant(text: str) -> int | None:
    """Epoch seconds, rounded up."""
    try:
        return math.ceil(parse_instant(text).timestamp())
    except ValueError:
        return None


def _amount(text: str) -> float | None:
    """A finite number other than 0."""
    try:
        amount = float(text)
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount != 0.0 else None
