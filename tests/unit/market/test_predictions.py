"""Predictions from a seed: right as often as asked, the same for the same seed, and refused when a file is wrong."""

from pathlib import Path

import numpy as np
import pytest

from dataflow.market.history.data_set import DataSet
from dataflow.market.history.readers import read_series
from dataflow.market.synthetic.predictions import ROWS_PER_SIGNAL, make_predictions, write_predictions
from dataflow.market.synthetic.prices import SeriesTable
from schemas.errors import ConfigValidationError, DataValidationError

DAYS = 2_000
ROWS = DAYS * ROWS_PER_SIGNAL
NAME = "predictions_btcusdt_5m"


def walk(rows: int = ROWS) -> np.ndarray:
    return 50_000.0 * np.exp(np.cumsum(np.random.default_rng(5).normal(0.0, 0.001, rows)))


def predicted(hit_rate: float, seed: int = 7, rows: int = ROWS) -> SeriesTable:
    prices = walk(rows)
    return make_predictions(300 * np.arange(rows), prices, last_close=prices[-1], seed=seed, hit_rate=hit_rate)


def read(path: Path) -> np.ndarray:
    return read_series(DataSet(path.parent, "set", synthetic=True, files={NAME: (path,)}), NAME, ("signal",)).values[
        "signal"
    ]


@pytest.mark.parametrize("hit_rate", [0.0, 0.5, 0.6, 1.0])
def test_directions_are_right_as_often_as_asked(hit_rate: float) -> None:
    prices, words = walk(), predicted(hit_rate)["signal"][::ROWS_PER_SIGNAL]
    move = np.append(prices[ROWS_PER_SIGNAL::ROWS_PER_SIGNAL], prices[-1]) - prices[::ROWS_PER_SIGNAL]
    spoken = words != "neutral"
    right = np.mean((words == np.where(move > 0.0, "long", "short"))[spoken])
    assert abs(right - hit_rate) <= 4.0 * np.sqrt(hit_rate * (1.0 - hit_rate) / spoken.sum())


def test_the_same_seed_gives_the_same_predictions_and_another_does_not() -> None:
    assert all(np.array_equal(column, predicted(0.5)[name]) for name, column in predicted(0.5).items())
    assert not np.array_equal(predicted(0.5)["signal"], predicted(0.5, seed=8)["signal"])


def test_the_deviation_looks_back_only() -> None:
    half = ROWS_PER_SIGNAL * 4
    assert np.array_equal(predicted(0.5, rows=half)["sd"], predicted(0.5, rows=2 * half)["sd"][:half])


def test_a_hit_rate_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigValidationError):
        predicted(1.5, rows=ROWS_PER_SIGNAL)


def test_a_written_file_reads_back_as_numbers(tmp_path: Path) -> None:
    table = predicted(0.5, rows=3 * ROWS_PER_SIGNAL)
    codes = {"long": 1.0, "short": -1.0, "neutral": 0.0}
    assert read(write_predictions(tmp_path / f"{NAME}.csv", table)).tolist() == [
        codes[word] for word in table["signal"]
    ]


def test_a_file_without_a_deviation_has_two_per_cent_in_every_row(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.csv"
    path.write_text("timestamp,signal,confidence\n2024-05-01T00:00:00Z,long,0.9\n2024-05-01T00:05:00Z,short,0.8\n")
    data_set = DataSet(path.parent, "set", synthetic=True, files={NAME: (path,)})
    values = read_series(data_set, NAME, ("signal", "confidence", "sd")).values
    assert values["sd"].tolist() == [0.02, 0.02]
    assert values["confidence"].tolist() == [0.9, 0.8]


def test_an_unknown_signal_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.csv"
    path.write_text(
        "timestamp,signal,confidence,sd\n2024-05-01T00:00:00Z,long,0.9,0.02\n2024-05-01T00:05:00Z,up,0.9,0.02\n"
    )
    with pytest.raises(DataValidationError, match="line 3: signal is 'up'"):
        read(path)
