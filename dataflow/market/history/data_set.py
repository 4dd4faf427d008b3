"""A data set: a directory of series files (`.csv`, `.csv.gz` or `.parquet`) and an optional `data_set.json`."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dataflow.market.series import PREDICTIONS_PREFIX
from schemas.errors import DataSourceUnavailableError, DataValidationError

MANIFEST_FILE: Final = "data_set.json"
SUFFIXES: Final = (".parquet", ".csv.gz", ".csv")


@dataclass(frozen=True)
class DataSet:
    """The series files of a directory; `files` maps the name of a series to every file that holds it."""

    path: Path
    name: str
    synthetic: bool
    files: Mapping[str, tuple[Path, ...]]

    def __contains__(self, series: object) -> bool:
        return series in self.files

    def file_of(self, series: str, needed_by: str = "") -> Path:
        """Return the one file of a series.

        Raises DataSourceUnavailableError (DATA-003) when there is none, DataValidationError (DATA-002) when there are
        several.
        """
        paths = self.files.get(series, ())
        if not paths:
            raise DataSourceUnavailableError(
                self._missing_message(series, needed_by), series=series, needed_by=needed_by, data_set=str(self.path)
            )
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise DataValidationError(
                f"series {series} is in more than one file ({names}): keep one of them",
                series=series,
                file=paths[0].name,
            )
        return paths[0]

    def _missing_message(self, series: str, needed_by: str) -> str:
        close = difflib.get_close_matches(series, self.files, n=1, cutoff=0.9)
        hint = f" (did you mean {close[0]}?)" if close else ""
        listing = ", ".join(sorted(self.files)) or "no series file"
        purpose = f", needed by {needed_by}," if needed_by else ""
        fix = "add it or name another data set"
        if series.startswith(PREDICTIONS_PREFIX):
            fix = "write one with `basis data predictions`, or name a file of your own in ml_config.predictions_file"
        where = f"{series}{{.csv,.csv.gz,.parquet}}{purpose} in {self.path}"
        return f"no file {where}{hint}; {fix}; the directory has: {listing}"


def open_data_set(path: Path) -> DataSet:
    """List the series of a data-set directory; reads no series.

    Raises DataSourceUnavailableError (DATA-003) when the directory is absent or unreadable and DataValidationError
    (DATA-002) when its `data_set.json` is not a JSON object.
    """
    if not path.is_dir():
        fact = "is not a directory" if path.exists() else "does not exist"
        raise DataSourceUnavailableError(
            f"data set {path} {fact}: name a directory of series files or `synthetic`", data_set=str(path)
        )
    files: dict[str, tuple[Path, ...]] = {}
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise DataSourceUnavailableError(
            f"data set {path} cannot be listed ({error.strerror}): check its permissions", data_set=str(path)
        ) from error
    for entry in entries:
        suffix = next((suffix for suffix in SUFFIXES if entry.name.endswith(suffix)), None)
        if suffix is not None and not entry.name.startswith("."):
            name = entry.name.removesuffix(suffix)
            files[name] = (*files.get(name, ()), entry)
    name, synthetic = _read_manifest(path)
    return DataSet(path, name, synthetic, files)


def with_files(data_set: DataSet, files: Mapping[str, Path]) -> DataSet:
    """The same data set with files from elsewhere in place of its own.

    Raises DataSourceUnavailableError (DATA-003) where one of them does not exist.
    """
    for series, path in files.items():
        if not path.is_file():
            raise DataSourceUnavailableError(
                f"{path}, named for {series}, is not a file: correct the path", series=series, file=str(path)
            )
    return replace(data_set, files={**data_set.files, **{series: (path,) for series, path in files.items()}})


def _read_manifest(path: Path) -> tuple[str, bool]:
    """Return the name of the data set and whether it is synthetic."""
    manifest = path / MANIFEST_FILE
    if not manifest.is_file():
        return path.resolve().name, False
    try:
        content = json.loads(manifest.read_bytes())
    except (OSError, ValueError) as error:
        raise DataValidationError(
            f"{MANIFEST_FILE} is not JSON ({error}): write it again", file=MANIFEST_FILE
        ) from error
    if not isinstance(content, dict):
        raise DataValidationError(f"{MANIFEST_FILE} is not a JSON object: write it again", file=MANIFEST_FILE)
    return str(content.get("name", path.resolve().name)), content.get("synthetic") is True
