"""The way of a run's columns into its results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dataflow.engine.backtest import Backtest
from dataflow.graph.column_facts import ColumnFacts
from dataflow.records.store.results import ResultsStore
from schemas.units import Column, Instants


@dataclass(frozen=True)
class StoredColumns:
    """The column sink of a run whose results are stored: each stage goes to its file, with what its columns mean."""

    store: ResultsStore
    axes: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, ColumnFacts]

    @classmethod
    def of(cls, backtest: Backtest, store: ResultsStore) -> Self:
        """Axes and meaning as the graph of the mode has them."""
        return cls(store, backtest.column_axes(), backtest.column_metadata())

    def __call__(self, stage: str, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Write the columns of one stage of a chunk."""
        self.store.add_columns(stage, instants, columns, self.axes, metadata=self.metadata)
