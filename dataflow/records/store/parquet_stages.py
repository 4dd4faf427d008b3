"""The recorded columns of a run: one Parquet file a stage, ``instant`` first, two-dimensional columns spread by label.

Row groups have a fixed number of rows, whatever the windows in which the columns arrive: the file does not depend on
them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import LogSerialisationError
from schemas.units import INSTANT_DTYPE, Column, Instants

ROWS_PER_GROUP: Final = 65_536
INSTANT_COLUMN: Final = "instant"

ColumnMetadata = Mapping[str, Mapping[str, str]]
"""Column name (without label) to what is said of it: ``unit``, ``sign``, ``description``."""


class StageFile:
    """The Parquet file of one stage, written as columns arrive."""

    def __init__(self, path: Path, metadata: ColumnMetadata) -> None:
        self.path = path
        self.rows = 0
        self._metadata = metadata
        self._writer: pq.ParquetWriter | None = None
        self._waiting: dict[str, list[np.ndarray]] = {}
        self._waiting_rows = 0

    def add(self, instants: Instants, columns: Mapping[str, Column], axes: Mapping[str, tuple[str, ...]]) -> None:
        """Append rows: the same columns on each call, each (rows,) or (rows, labels of its axis).

        Raises ``LogSerialisationError`` (LOG-004), naming stage and column, on another set of columns or a wrong shape.
        """
        flat = dict(self._flatten(instants, columns, axes))
        if self._waiting and flat.keys() != self._waiting.keys():
            changed = ", ".join(sorted(flat.keys() ^ self._waiting.keys()))
            raise self._fault(changed, "the columns of a stage must not change within a run")
        for name, values in flat.items():
            self._waiting.setdefault(name, []).append(values.copy())
        self.rows += len(instants)
        self._waiting_rows += len(instants)
        if self._waiting_rows >= ROWS_PER_GROUP:
            self._write_groups(keep_rest=True)

    def close(self) -> None:
        """Write the rows that wait and the footer of the file; safe to call twice."""
        if self._waiting_rows:
            self._write_groups(keep_rest=False)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def discard(self) -> None:
        """Let go of the file, whose content no longer matters, also when the disk refuses the footer."""
        self._waiting, self._waiting_rows = {}, 0
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except (OSError, pa.ArrowException):
            writer.is_open = False  # or its finaliser would try, and fail, again

    def _flatten(
        self, instants: Instants, columns: Mapping[str, Column], axes: Mapping[str, tuple[str, ...]]
    ) -> Iterator[tuple[str, np.ndarray]]:
        yield INSTANT_COLUMN, instants.astype(INSTANT_DTYPE)
        for name, values in columns.items():
            if values.shape == instants.shape:
                yield name, values
                continue
            labels = axes.get(name)
            if labels is None or values.shape != (len(instants), len(labels)):
                raise self._fault(name, f"shape {values.shape} does not fit {len(instants)} rows and labels {labels}")
            for place, label in enumerate(labels):
                yield f"{name}.{label}", values[:, place]

    def _write_groups(self, *, keep_rest: bool) -> None:
        columns = {name: np.concatenate(parts) for name, parts in self._waiting.items()}
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, self._schema(columns), compression="zstd", version="2.6")
        start = 0
        while (left := self._waiting_rows - start) >= (ROWS_PER_GROUP if keep_rest else 1):
            rows = slice(start, start + min(left, ROWS_PER_GROUP))
            table = pa.Table.from_arrays(
                [pa.array(values[rows]) for values in columns.values()], schema=self._writer.schema
            )
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
            start = rows.stop
        self._waiting = {name: [values[start:]] for name, values in columns.items()}
        self._waiting_rows -= start

    def _schema(self, columns: Mapping[str, np.ndarray]) -> pa.Schema:
        fields = []
        for name, values in columns.items():
            said = self._metadata.get(name) or self._metadata.get(name.split(".", 1)[0], {})
            fields.append(pa.field(name, pa.from_numpy_dtype(values.dtype), nullable=False, metadata=dict(said)))
        return pa.schema(fields, metadata={"stage": self.path.stem})

    def _fault(self, column: str, what: str) -> LogSerialisationError:
        return LogSerialisationError(f"cannot record {self.path.stem}: {what}", stage=self.path.stem, column=column)
