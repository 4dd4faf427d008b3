"""The results directory of a complete run, each column and event read when it is asked for."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataflow.records.log.reading import EventRecord, read_events
from dataflow.records.store.parquet_stages import INSTANT_COLUMN
from dataflow.records.store.results import CONFIG_FILE, DATA_FILE, MANIFEST_FILE, SUMMARY_FILE, load_record
from schemas.errors import LogDirectoryError, LogSerialisationError
from schemas.models.config import RunConfig
from schemas.models.results import DataProvenance, Manifest, RunSummary
from schemas.units import INSTANT_DTYPE, NOT_APPLICABLE, Column, Instants


class RunFiles:
    """What a complete run left. Shapes: every column is (rows,)."""

    def __init__(self, directory: Path) -> None:
        """Read the records and the columns' names.

        Raises LogDirectoryError (LOG-003) where the directory is not that of a complete run.
        """
        self.directory = directory
        self.summary = load_record(RunSummary, directory / SUMMARY_FILE)
        self.manifest = load_record(Manifest, directory / MANIFEST_FILE)
        self.config = load_record(RunConfig, directory / CONFIG_FILE)
        self.data = load_record(DataProvenance, directory / DATA_FILE)
        self._stages = {path: _opened(path) for path in sorted(directory.glob("*.parquet"))}
        if not self._stages:
            raise LogDirectoryError("no columns of a run here; run the backtest again", path=str(directory))
        self._path_of = {name: path for path, file in self._stages.items() for name in file.schema_arrow.names}
        self._read: dict[str, Column] = {}

    @cached_property
    def instants(self) -> Instants:
        """Instant of each row."""
        instants: Instants = self._values(INSTANT_COLUMN).astype(INSTANT_DTYPE)
        return instants

    def has(self, name: str) -> bool:
        """Whether the run recorded a column, by its own name or with labels."""
        return name in self._path_of or any(True for _ in self._labels(name))

    def column(self, name: str) -> Column:
        """A column that the run recorded; LogDirectoryError (LOG-003) where it did not."""
        if name not in self._read:
            if name not in self._path_of:
                raise LogDirectoryError(
                    f"the run recorded no column {name}; run the backtest again", path=str(self.directory)
                )
            self._read[name] = self._values(name)
        return self._read[name]

    def by_label(self, name: str) -> Mapping[str, Column]:
        """The columns ``name.label`` by label, in the recorded order; none where the mode has no such column."""
        return {label: self.column(f"{name}.{label}") for label in self._labels(name)}

    def names_ending(self, suffix: str) -> tuple[str, ...]:
        """Names, without labels, of the columns that end in ``suffix`` and have labels, in the recorded order."""
        names = (each.partition(".")[0] for each in self._path_of if "." in each)
        return tuple(dict.fromkeys(name for name in names if name.endswith(suffix)))

    def existing(self, name: str) -> Column:
        """A ratio, NaN where it does not exist."""
        return without_absent(self.column(name))

    def events(self, name: str) -> Iterator[EventRecord]:
        """Events of one type in the order of the log; raises as ``read_events``."""
        return read_events(self.directory, name)

    def _labels(self, name: str) -> Iterator[str]:
        prefix = f"{name}."
        return (each.removeprefix(prefix) for each in self._path_of if each.startswith(prefix))

    def _values(self, name: str) -> np.ndarray:
        path = self._path_of[name]
        try:
            values: np.ndarray = self._stages[path].read(columns=[name]).column(name).to_numpy()
        except (pa.ArrowException, OSError) as error:
            raise _damage(path, error) from error
        return values


def without_absent(values: Column) -> Column:
    """A ratio with NaN in place of the number that says it does not exist."""
    return np.where(values == NOT_APPLICABLE, np.nan, values)


def number(event: EventRecord, name: str) -> float:
    """A number of an event, 0 where it does not apply."""
    value = event[name]
    return float(value) if isinstance(value, int | float) else 0.0


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damage(path, error) from error


def _damage(path: Path, error: Exception) -> LogSerialisationError:
    return LogSerialisationError(f"{path.name} is damaged: {error}; run the backtest again", file=str(path))
