"""Predictions from a seed, right as often as asked: for the synthetic set, and for data that has none.

No model is behind them. A signal holds for a day of rows and names the direction of the move over that day with the
chosen probability, so it looks ahead on purpose; what the engine reads at a row is only the signal. The expected
deviation is that of the moves before the row. [domain] 9.7.
"""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from dataflow.market.history.data_set import open_data_set
from dataflow.market.history.readers import read_series
from dataflow.market.series import Seconds, candle_series
from dataflow.market.synthetic.prices import SeriesTable
from dataflow.market.synthetic.processes import stream
from schemas.errors import ConfigValidationError, DataSourceUnavailableError
from schemas.units import INSTANT_DTYPE, Column

HIT_RATE: Final = 0.55
"""Of the predictions in the synthetic set: better than a coin by little, as a model that is worth running is."""

ROWS_PER_SIGNAL: Final = 288
"""A day of rows: the move of an hour does not pay for the trades."""

_NEUTRAL_SHARE: Final = 0.1
_CONFIDENCE: Final = (0.55, 1.0)
"""Bounds of the confidence, which is uniform and says nothing about being right."""

_DEVIATION_ROWS: Final = 2_016
"""Moves, a week of them, whose deviation is the predicted one; the first rows use what there is."""
_FIRST_DEVIATION: Final = 0.02
"""Where there is no move before the row."""


def make_predictions(
    seconds: Seconds, prices: Column, *, last_close: float, seed: int, hit_rate: float = HIT_RATE
) -> SeriesTable:
    """Predictions at each instant.

    prices: opens of the candles at the instants; last_close ends the move of the last signal. hit_rate: share of
    directions that are right, 0 to 1; without a move, either is. Returns columns timestamp,
    signal (words), confidence and sd (fractions of one, rounded).
    Raises ConfigValidationError (CONFIG-003) for a hit rate outside 0 to 1.

    >>> seconds, prices = np.arange(24) * 300, np.linspace(100.0, 110.0, 24)
    >>> table = make_predictions(seconds, prices, last_close=111.0, seed=1, hit_rate=1.0)
    >>> sorted(set(table["signal"].tolist()))
    ['long']
    """
    if not 0.0 <= hit_rate <= 1.0:
        raise ConfigValidationError(f"hit rate {hit_rate} is not between 0 and 1", option="--hit-rate", value=hit_rate)
    rows = len(seconds)
    blocks = -(-rows // ROWS_PER_SIGNAL)
    starts = ROWS_PER_SIGNAL * np.arange(blocks)
    ends = np.append(prices, last_close)[np.minimum(starts + ROWS_PER_SIGNAL, rows)]
    move = ends - prices[starts]
    coin = np.where(stream(seed, "predictions/coin").random(blocks) < 0.5, 1.0, -1.0)
    is_right = stream(seed, "predictions/hit").random(blocks) < hit_rate
    direction = np.where(move == 0.0, coin, np.sign(move)) * np.where(is_right, 1.0, -1.0)
    word = np.where(direction > 0.0, "long", "short")
    neutral = stream(seed, "predictions/neutral").random(blocks) < _NEUTRAL_SHARE
    word = np.where(neutral, "neutral", word)
    confidence = stream(seed, "predictions/confidence").uniform(*_CONFIDENCE, blocks)
    return {
        "timestamp": seconds,
        "signal": np.repeat(word, ROWS_PER_SIGNAL)[:rows],
        "confidence": np.round(np.repeat(confidence, ROWS_PER_SIGNAL)[:rows], 4),
        "sd": np.round(np.minimum(_deviation(prices), 1.0), 6),
    }


def _deviation(prices: Column) -> Column:
    """Deviation of the move that a signal is about, from the moves of single rows that are complete at each row."""
    squares = np.concatenate([[0.0], np.cumsum(np.diff(np.log(prices)) ** 2)])
    rows = np.arange(len(prices))
    first = np.maximum(rows - _DEVIATION_ROWS, 0)
    count = rows - first
    mean = (squares - squares[first]) / np.maximum(count, 1)
    deviation: Column = np.where(count > 0, np.sqrt(mean * ROWS_PER_SIGNAL), _FIRST_DEVIATION)
    return deviation


def write_predictions(path: Path, table: SeriesTable) -> Path:
    """Write predictions as CSV; return the path.

    Raises DataSourceUnavailableError (DATA-003) where it cannot be written.
    """
    instants = pa.array(np.char.add(np.datetime_as_string(table["timestamp"].astype(INSTANT_DTYPE)), "Z"))
    columns = {"timestamp": instants, **{name: pa.array(table[name]) for name in ("signal", "confidence", "sd")}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrow_csv.write_csv(pa.table(columns), path, arrow_csv.WriteOptions(quoting_style="none"))
    except OSError as error:
        raise DataSourceUnavailableError(
            f"{path} cannot be written ({error.strerror}): name another file", file=str(path)
        ) from error
    return path


def predict_data_set(data_set: Path, path: Path, *, seed: int, hit_rate: float) -> tuple[Path, int]:
    """Write predictions for the 5-minute BTC candles of a data set; return the file and its number of rows.

    Raises the DATA errors of the reader, and those of `make_predictions` and `write_predictions`.
    """
    bars = read_series(open_data_set(data_set), candle_series("spot", "binance", "BTC", 300), ("open", "close"))
    close = float(bars.values["close"][-1])
    table = make_predictions(bars.seconds, bars.values["open"], last_close=close, seed=seed, hit_rate=hit_rate)
    return write_predictions(path, table), len(bars.seconds)
