"""The columns of a chunk on their way to the results: nothing unchecked is written."""

from collections.abc import Mapping

import numpy as np

from dataflow.engine.backtest import Backtest
from dataflow.engine.requests import ColumnSink
from dataflow.engine.statistics import RunStatistics
from dataflow.graph.validation import validate_operations, validate_stage
from dataflow.journal.recorder import Journal
from schemas.errors import AttributionError
from schemas.units import Column, Instants


class CheckedColumns:
    """The chunk sink of a backtest: frames, operations and attribution, then statistics, then the results."""

    def __init__(self, backtest: Backtest, journal: Journal, sink: ColumnSink | None) -> None:
        self._backtest, self._journal, self._sink = backtest, journal, sink
        self.statistics = RunStatistics()

    def check(self, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Hold columns against the frames of their stages; raises the error of the first stage that is at fault."""
        axes = self._backtest.column_axes()
        for stage, chosen in self._backtest.stages_of(columns).items():
            validate_stage(stage, chosen, axes, instants)

    def write(self, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Validate every stage of a chunk, then hand it on."""
        self.check(instants, columns)
        validate_operations(self._journal.pending)
        _refuse_unreconciled(instants, columns)
        self.statistics.add(instants, columns)
        if self._sink is not None:
            for stage, chosen in self._backtest.stages_of(columns).items():
                self._sink(stage, instants, chosen)


def _refuse_unreconciled(instants: Instants, columns: Mapping[str, Column]) -> None:
    """Raise AttributionError (PNL-004) at the first row whose P&L the attribution does not explain."""
    rows = np.flatnonzero(columns["is_reconciled"] == 0.0)
    if len(rows):
        row = int(rows[0])
        instant = str(instants[row])
        raise AttributionError(
            f"the attribution leaves {columns['unexplained_pnl'][row]!r} unexplained at {instant}, over its tolerance",
            timestamp=instant,
            unexplained_pnl=float(columns["unexplained_pnl"][row]),
        )
