"""The loop over loaded rows: it finds the next row that needs a step and commits the rows before it in bulk.

Nothing is traded inside a window, so only cash flows move a position there. Rows before the first that a rule, a
liquidation or a settlement asks for are idle: they are committed as the window has them.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dataflow.engine.carry import Carry
from dataflow.engine.chunk_writer import ChunkWriter
from dataflow.engine.counts import RunCounts
from dataflow.engine.interrupts import LetThrough, held_interrupts
from dataflow.engine.observer import Observer
from dataflow.engine.step import Step, Stepped, may_liquidate
from dataflow.engine.windows import WindowPolicy
from dataflow.graph.state import RunState
from dataflow.journal.event_fields import Columns
from dataflow.journal.recorder import Journal
from schemas.errors import CriticalEngineError, DecisionFrameError, MissingPriceError, PlatformError
from schemas.units import Column
from strategies.families import OUTSIDE_PACKAGE


class WindowLoop:
    """One run of one mode over rows that are already loaded."""

    def __init__(
        self,
        observer: Observer,
        carry: Carry,
        step: Step,
        journal: Journal,
        writer: ChunkWriter,
        windows: WindowPolicy,
        counts: RunCounts,
    ) -> None:
        self._observer, self._carry, self._step = observer, carry, step
        self._journal, self._writer, self._windows, self._counts = journal, writer, windows, counts
        self._market = observer.market

    @property
    def records_seconds(self) -> float:
        """Seconds spent on checking and writing."""
        return self._writer.seconds

    def run(
        self, state: RunState | None = None, *, is_final: bool = True, progress: Callable[[int], None] | None = None
    ) -> RunState:
        """Process every row of the market from ``state`` on, None at the start, and give the state after the last.

        is_final: whether the run ends with it. Whatever happens, what was committed is written; an error is recorded
        before it leaves. Ctrl-C waits for the end of a window.
        """
        with held_interrupts() as let_interrupts_through:
            return self._run(state or self._carry.initial(), is_final, progress or _unseen, let_interrupts_through)

    def _run(
        self, state: RunState, is_final: bool, progress: Callable[[int], None], let_through: LetThrough
    ) -> RunState:
        self._journal.resume(state.order, is_breached=bool(state.values["breach_before"]))
        row, rows = 0, len(self._market)
        last = rows - 1 if is_final else rows
        try:
            while row < rows:
                row, state = self._window(row, last, state)
                progress(row)
                let_through()
                self._writer.flush_if_due()
            self._writer.flush()
        except (Exception, KeyboardInterrupt) as error:
            stopped = self._cause_of(error)
            self._writer.stop(stopped, self._market.texts[min(row, rows - 1)])
            raise stopped from error
        return state.moved(order=self._journal.sequencer.next_order)

    def _window(self, row: int, last: int, state: RunState) -> tuple[int, RunState]:
        """Process the next rows, up to and with the first that is not idle; the row after them, and the state then.

        last: row with which the run ends.
        """
        self._counts.windows += 1
        end = self._step.next_row(row, min(len(self._market), row + self._windows.next_rows()), state)
        if end == row:
            return self._stepped(row, self._step.step(row, state, is_last=row == last))
        columns = self._observer.window(row, end, state)
        acts = np.flatnonzero((columns["decision"] > 0.0) | may_liquidate(columns))
        acting = int(acts[0]) if len(acts) else end - row
        if acting:
            idle = columns if acting == end - row else {name: column[:acting] for name, column in columns.items()}
            state = self._commit_idle(row, row + acting, last, idle, state)
        if not len(acts):
            self._windows.idle(acting)
            return end, state
        self._windows.event(acting + 1)
        row += acting
        return self._stepped(row, self._step.act(row, row_of(columns, acting), state, is_last=row == last))

    def _stepped(self, row: int, stepped: Stepped) -> tuple[int, RunState]:
        self._writer.add(stepped.columns, idle=False)
        return row + 1, stepped.state

    def _commit_idle(self, start: int, end: int, last: int, columns: Columns, state: RunState) -> RunState:
        after = self._carry.over(start, end, columns, state)
        self._journal.idle_rows.count(
            self._market.texts[start:end],
            columns,
            first_row=state.row,
            level_before=float(state.values["risk_level_before"]),
            is_last=end == last + 1,
        )
        self._writer.add(columns, idle=True)
        return after.moved(row=state.row + end - start, order=self._journal.sequencer.next_order)

    def _cause_of(self, error: BaseException) -> PlatformError:
        """Why the run stops: a column that its frame refuses comes before anything that followed from it.

        A missing price says so itself: the columns that its frame would refuse follow from it.
        """
        if not isinstance(error, KeyboardInterrupt | MissingPriceError):
            seen = self._observer.last_seen
            refused = self._writer.refusal(seen.start, seen.end, seen.columns)
            if refused is not None:
                return refused
        return as_platform_error(error)


def as_platform_error(error: BaseException) -> PlatformError:
    """The error itself where it has a code.

    A stop by the user, or a fault of ours, as ENGINE-004; a fault inside a strategy that is not ours as STRAT-001.
    """
    if isinstance(error, PlatformError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CriticalEngineError("interrupted; the logs hold what was done, run again for results")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        module = sys.modules.get(f"{OUTSIDE_PACKAGE}.{Path(frame.filename).stem}")
        if module is not None and module.__file__ == frame.filename:
            return DecisionFrameError(
                f"strategy module {frame.filename}, line {frame.lineno}, in {frame.name}: "
                f"{type(error).__name__}: {error}",
                file=frame.filename,
                line=frame.lineno,
                node=frame.name,
            )
    return CriticalEngineError(f"{type(error).__name__}: {error}; this is a fault of the program, please report it")


def row_of(columns: Columns, row: int) -> dict[str, Column]:
    """One row of every column, keeping the first axis."""
    return {name: column[row : row + 1] for name, column in columns.items()}


def _unseen(_row: int) -> None:
    """Progress that nobody watches."""
