"""What broke first: the earliest risk breach, liquidation, failed operation or error of a run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from dataflow.graph.risk_flags import RiskFlag, RiskFlags
from dataflow.journal.event_fields import Columns
from dataflow.maths.deltas import Deltas
from schemas.errors import ErrorCode, PlatformError
from schemas.models.results import BreakKind, FirstBreak
from schemas.operations import ExecutionStatus


class BreakWatch:
    """Keeps the first thing that goes wrong of those it is told, in the order in which they happened.

    limits: the flags of the mode's limits. watch_from: text of the instant from which a break counts.
    """

    def __init__(self, limits: RiskFlags | None = None, watch_from: str = "") -> None:
        self.first: FirstBreak | None = None
        self.limits, self._watch_from = limits or RiskFlags(), watch_from
        self._crossed: frozenset[str] = frozenset()

    @contextmanager
    def told_by_errors(self) -> Iterator[None]:
        """Let an error that stops the run say what broke before it."""
        try:
            yield
        except PlatformError as error:
            if self.first is not None and (self.first.kind, self.first.code) != (BreakKind.ERROR, error.code):
                error.context["first_break"] = self.first.sentence()
            raise

    def rows(self, texts: Sequence[str], columns: Columns, breached: npt.NDArray[np.bool_]) -> None:
        """Rows were assessed; ``breached`` flags those that cross any limit.

        A limit breaks where the row before kept it.
        """
        if self.first is not None:
            return
        for row in np.flatnonzero(breached).tolist():
            before = self._crossed if row == 0 or breached[row - 1] else frozenset()
            self._crossed = frozenset(self.limits.notes(columns, row)[1])
            if self._crossed - before and texts[row] >= self._watch_from:
                name = min(self._crossed - before)
                flag = self.limits.breach_of(name)
                value, limit = (None, None) if flag is None else (_bounded(flag, columns, row), flag.limit)
                self._keep(BreakKind.RISK_BREACH, name, texts[row], value=value, limit=limit)
                return
        if not breached[-1]:
            self._crossed = frozenset()

    def operation(self, timestamp: str, fields: Mapping[str, object]) -> None:
        """An operation was attempted; its event's fields say how it ended."""
        if fields["status"] is not ExecutionStatus.CONFIRMED:
            code = fields["error_code"]
            assert code is None or isinstance(code, ErrorCode)
            what = f"{fields['operation_type']} at {fields['venue']}"
            self._keep(BreakKind.OPERATION_FAILED, what, timestamp, code=code)

    def liquidation(self, timestamp: str, deltas: Deltas) -> None:
        """A position was liquidated."""
        self._keep(BreakKind.LIQUIDATION, ", ".join(key for key, _ in deltas), timestamp)

    def error(self, timestamp: str, error: PlatformError) -> None:
        """A component raised an error."""
        self._keep(BreakKind.ERROR, error.message, timestamp, code=error.code)

    def _keep(
        self,
        kind: BreakKind,
        what: str,
        timestamp: str,
        *,
        code: ErrorCode | None = None,
        value: float | None = None,
        limit: float | None = None,
    ) -> None:
        if self.first is None and timestamp >= self._watch_from:
            self.first = FirstBreak(kind=kind, what=what, at=timestamp, code=code, value=value, limit=limit)


def _bounded(flag: RiskFlag, columns: Columns, row: int) -> float | None:
    """What the flag compares with its limit, None where it compares no single column."""
    return None if flag.bounds is None else float(columns[flag.bounds][row])
