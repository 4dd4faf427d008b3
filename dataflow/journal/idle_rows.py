"""Rows without a decision: counted as they pass, written when their chunk is.

At the detail ``every-step`` each row has its lines. ``on-change`` leaves out rows where no balance, no limit and no
risk level changed; ``operations`` leaves out all but the last row of a run. What funding paid is always on record.
The few other events of such rows, health and limits that began or ceased to be crossed, are single events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataflow.graph.state import PositionGroups
from dataflow.journal.balances import UPDATER
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.errors import HEALTH_ROWS, ErrorEvents
from dataflow.journal.event_fields import Columns
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.funding import funding_deltas, is_funded
from dataflow.journal.idle_lines import BEFORE_DECISION, LINES_OF_A_ROW, IdleLines, Numbers
from dataflow.journal.sequencer import Sequencer
from schemas.models.results import EventDetail
from schemas.operations import DeltaType
from schemas.units import Column, Instants

Flags = npt.NDArray[np.bool_]

_FUNDED = f"{DeltaType.FUNDING.value} applied"


def rows_with_lines(
    detail: EventDetail, *, settled: Numbers, edges: Numbers, level: Column, level_before: float, is_last: bool
) -> Flags:
    """Which rows without a decision have their five lines at a detail.

    Shape:  (rows,) each. settled, edges: 1 where a balance changed, and where a limit began or ceased to be crossed.
            level, level_before: risk level of each row, and of the row before the first.
    """
    if detail == "every-step":
        return np.ones(len(level), dtype=np.bool_)
    chosen = np.zeros(len(level), dtype=np.bool_)
    if detail == "on-change":
        before = np.concatenate([[level_before], level[:-1]])
        chosen = (settled > 0) | (edges > 0) | (level != before)
    chosen[-1] |= is_last
    return chosen


@dataclass(frozen=True, slots=True)
class _Counted:
    """Rows that took their numbers, (rows,) each: whether they have lines, and funding; the others are chosen rows.

    first, edges: number of the first line, and 1 where the event of a limit stands between, of rows with lines.
    first_funded: number of the first line of what funding paid, of rows with funding.
    """

    has_lines: Flags
    first: Numbers
    edges: Numbers
    is_funded: Flags
    first_funded: Numbers


class IdleRows:
    """Counts the rows of a chunk that have no decision, and writes their lines."""

    def __init__(
        self,
        sequencer: Sequencer,
        components: ComponentLogs,
        watch: BreakWatch,
        errors: ErrorEvents,
        groups: PositionGroups,
        detail: EventDetail,
    ) -> None:
        self._sequencer, self._components, self._watch, self._errors = sequencer, components, watch, errors
        self._groups, self._detail = groups, detail
        self._counted: list[_Counted] = []

    def count(
        self, texts: Sequence[str], columns: Columns, *, first_row: int, level_before: float, is_last: bool
    ) -> None:
        """Take the numbers of rows, and make the few events among them that are not in bulk.

        first_row: its number in the run. level_before: risk level of the row before it. is_last: of the run.
        """
        rows = len(texts)
        health = ((np.arange(first_row, first_row + rows) % HEALTH_ROWS) == 0).astype(np.int64)
        settled = is_funded(columns, rows)
        breach = columns["breach_detected"] > 0.0
        before = np.concatenate([[self._errors.is_breached], breach[:-1]])
        edges = (breach != before).astype(np.int64)
        self._watch.rows(texts, columns, breach)
        has_lines = rows_with_lines(
            self._detail,
            settled=settled,
            edges=edges,
            level=columns["risk_level"],
            level_before=level_before,
            is_last=is_last,
        )
        counts = LINES_OF_A_ROW * has_lines + health + 2 * settled + edges
        counts[-1] += is_last
        ends = np.add.accumulate(counts)
        ends += self._sequencer.take(int(ends[-1]))
        starts = ends - counts
        for row in np.flatnonzero(health).tolist():
            self._errors.health_at(texts[row], int(starts[row]))
        is_settled = settled > 0
        self._log_funding(texts, columns, is_settled)
        position = starts + health + 2 * settled
        breaches = position + BEFORE_DECISION * has_lines
        for row in np.flatnonzero(edges).tolist():
            self._errors.breach(texts[row], self._watch.limits.notes(columns, row)[1], order=int(breaches[row]))
        if is_last:
            self._errors.health_at(texts[-1], int(ends[-1]) - 1)
        funded = (starts + health)[is_settled]
        self._counted.append(_Counted(has_lines, position[has_lines], edges[has_lines], is_settled, funded))

    def _log_funding(self, texts: Sequence[str], columns: Columns, is_settled: Flags) -> None:
        """One record of the component a settlement; the events of idle rows are written in bulk."""
        if self._components.is_silent or not np.any(is_settled):
            return
        keys = self._groups.margin_keys
        flows = columns["funding_flow"][is_settled].tolist()
        for row, paid in zip(np.flatnonzero(is_settled).tolist(), flows, strict=True):
            deltas = funding_deltas(keys, paid)
            self._components.info(UPDATER, _FUNDED, texts[row], deltas=dict(deltas))

    def write(self, lines: IdleLines, instants: Instants, columns: Columns, idle: Flags) -> None:
        """Write the lines; ``instants`` and ``columns`` are all rows of the chunk, ``idle`` marks those counted."""
        if not self._counted:
            return
        rows = np.flatnonzero(idle)
        funded = rows[np.concatenate([counted.is_funded for counted in self._counted])]
        if len(funded):
            first = np.concatenate([counted.first_funded for counted in self._counted])
            lines.write_funding(instants[funded], _rows(columns, funded), first)
        written = rows[np.concatenate([counted.has_lines for counted in self._counted])]
        if len(written):
            first = np.concatenate([counted.first for counted in self._counted])
            edges = np.concatenate([counted.edges for counted in self._counted])
            lines.write_rows(instants[written], _rows(columns, written), first, edges)

    def clear(self) -> None:
        """Forget the rows of a chunk that has been written."""
        self._counted.clear()


def _rows(columns: Columns, rows: Numbers) -> dict[str, Column]:
    return {name: column[rows] for name, column in columns.items()}
