"""The synthetic default data set: two years of plausible hours, made from a seed, labelled synthetic.

Same names, columns and units as a real data set; OKX spot is absent as it is there, so fill rules work the same. The
statistics are those of `calibration.md` and tested against it. No value depends on a later one: a longer set begins
with the shorter one.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as arrow_parquet

from dataflow.market.history.data_set import MANIFEST_FILE
from dataflow.market.series import REWARD_PERIOD, candle_series, instant_text, prediction_series
from dataflow.market.synthetic.bars import BAR_SECONDS, bar_series
from dataflow.market.synthetic.perps import perp_series
from dataflow.market.synthetic.predictions import make_predictions
from dataflow.market.synthetic.prices import SeriesTable, spot_paths, spot_series
from dataflow.market.synthetic.rates import HOURS_PER_DAY, rate_series
from dataflow.market.synthetic.rewards import reward_series
from schemas.errors import DataSourceUnavailableError
from schemas.units import INSTANT_DTYPE, SECONDS_PER_DAY, SECONDS_PER_HOUR

GENERATOR_VERSION: Final = 3
"""Raised whenever the numbers of a seed change; part of the name of the cache."""

DEFAULT_SEED: Final = 7
DEFAULT_START: Final = "2024-01-01"
DEFAULT_DAYS: Final = 731

CACHE_VARIABLE: Final = "BASIS_CACHE_DIR"
_INSTANT_COLUMNS: Final = ("timestamp", "block_timestamp")

Progress = Callable[[int, int], None]
"""Called with the number of files written and the number of all files."""


def synthetic_series(seed: int, start: str, days: int) -> dict[str, SeriesTable]:
    """Generate every series of the set by name: `days` whole days of hours from midnight of `start`."""
    first = int(np.datetime64(start, "D").astype(np.int64)) * SECONDS_PER_DAY
    hours = first + SECONDS_PER_HOUR * np.arange(days * HOURS_PER_DAY, dtype=np.int64)
    paths = spot_paths(seed, hours)
    spot = spot_series(seed, hours, paths)
    bars = bar_series(seed, spot[candle_series("spot", "binance", "BTC", SECONDS_PER_HOUR)])
    opens = np.asarray(bars["open"], dtype=np.float64)
    return (
        spot
        | perp_series(seed, hours, paths)
        | rate_series(seed, hours, paths["ETH"].price[:-1])
        | reward_series(seed, hours)
        | {
            candle_series("spot", "binance", "BTC", BAR_SECONDS): bars,
            prediction_series("BTC", BAR_SECONDS): make_predictions(
                np.asarray(bars["timestamp"], dtype=np.int64), opens, last_close=float(bars["close"][-1]), seed=seed
            ),
        }
    )


def write_synthetic(
    directory: Path,
    *,
    seed: int = DEFAULT_SEED,
    start: str = DEFAULT_START,
    days: int = DEFAULT_DAYS,
    progress: Progress | None = None,
) -> Path:
    """Write the set as Parquet files and `data_set.json` into a directory, made when absent; return the directory.

    Raises DataSourceUnavailableError (DATA-003) when the directory cannot be written.
    """
    tables = synthetic_series(seed, start, days)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for done, (name, table) in enumerate(tables.items(), start=1):
            arrow_parquet.write_table(_arrow_table(table), directory / f"{name}.parquet", use_dictionary=False)
            if progress is not None:
                progress(done, len(tables))
        manifest = {
            "name": f"synthetic-{seed}",
            "synthetic": True,
            "seed": seed,
            "generator_version": GENERATOR_VERSION,
            "start": instant_text(int(np.datetime64(start, "s").astype(np.int64))),
            "days": days,
        }
        (directory / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(directory, error) from error
    return directory


def _arrow_table(table: SeriesTable) -> pa.Table:
    columns = {
        name: pa.array(values.astype(INSTANT_DTYPE)).cast(pa.timestamp("s", tz="UTC"))
        if name in _INSTANT_COLUMNS
        else pa.array((values // SECONDS_PER_DAY).astype(np.int32)).cast(pa.date32())
        if name in REWARD_PERIOD
        else pa.array(values)
        for name, values in table.items()
    }
    return pa.table(columns)


def _unwritable(directory: Path, error: OSError) -> DataSourceUnavailableError:
    return DataSourceUnavailableError(
        f"the synthetic data set cannot be written to {directory} ({error.strerror}): "
        f"free space, correct the permissions or set {CACHE_VARIABLE}",
        data_set=str(directory),
    )


def cache_directory() -> Path:
    """Where synthetic sets are kept: BASIS_CACHE_DIR, else `basis-strategy` under XDG_CACHE_HOME or ~/.cache."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "basis-strategy"


def synthetic_data_set(
    cache_dir: Path | None = None, seed: int = DEFAULT_SEED, progress: Progress | None = None
) -> Path:
    """Return the directory of the default set of a seed, made on first use.

    The set is written beside its final place and renamed, so a directory of that name is always complete, also when
    two processes make it at once. Raises DataSourceUnavailableError (DATA-003) when the cache cannot be written.
    """
    root = (cache_dir if cache_dir is not None else cache_directory()) / "synthetic"
    final = root / f"seed-{seed}-v{GENERATOR_VERSION}"
    if (final / MANIFEST_FILE).is_file():
        return final
    try:
        root.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=root))
    except OSError as error:
        raise _unwritable(root, error) from error
    try:
        write_synthetic(work, seed=seed, progress=progress)
        work.chmod(0o755)
        _move_into_place(work, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def _move_into_place(work: Path, final: Path) -> None:
    """Rename; when another process was first, its equal set stays."""
    try:
        work.rename(final)
    except OSError as error:
        if not (final / MANIFEST_FILE).is_file():
            raise _unwritable(final, error) from error
