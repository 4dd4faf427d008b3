"""Both ML modes by hand: entry, stop and target inside the bar, gap, reversal, funding; and a fair coin earns 0."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest

from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.engine.prepared import BacktestOutcome, PreparedBacktest
from dataflow.engine.requests import Recording, RunRequest
from dataflow.journal.sequencer import Envelope
from dataflow.market.history.data_set import open_data_set
from dataflow.market.history.readers import read_series
from dataflow.market.market import Market, Provenance
from dataflow.market.series import candle_series
from dataflow.market.synthetic.predictions import ROWS_PER_SIGNAL, make_predictions
from dataflow.services.backtest import SYNTHETIC, resolve_data_set
from dataflow.services.simulated_venues import simulated_venues
from schemas.signals import SIGNAL_CODES
from schemas.units import Column

USDT, BTC = "ml_btc_directional_usdt_margin", "ml_btc_directional_btc_margin"
CAPITAL: Final = {USDT: 100_000.0, BTC: 2.0}
WIDE: Final = ("ml_config.stop_loss_sd=1000", "ml_config.take_profit_sd=1000")
"""Levels so far away that no price touches them."""


@dataclass
class Path:
    """Marks and what else happens at each row; a candle reaches from one mark to the next unless it says more."""

    marks: list[float]
    signals: list[float]
    sd: float = 0.005
    confidence: float = 0.9
    confidences: list[float] | None = None
    rates: dict[int, float] = field(default_factory=dict)
    highs: dict[int, float] = field(default_factory=dict)
    lows: dict[int, float] = field(default_factory=dict)

    def market(self) -> Market:
        marks = np.array(self.marks)
        before = np.concatenate([marks[:1], marks[:-1]])
        high, low = np.maximum(before, marks), np.minimum(before, marks)
        for row, value in self.highs.items():
            high[row] = value
        for row, value in self.lows.items():
            low[row] = value
        rates = np.array([self.rates.get(row, 0.0) for row in range(len(marks))])
        columns = {
            "perp_mark": _by_venue(marks),
            "candle_high": _by_venue(high),
            "candle_low": _by_venue(low),
            "funding_rate": _by_venue(rates),
            "funding_settled": _by_venue((rates != 0.0).astype(np.float64)),
            "reference_price": marks,
            "signal": np.array(self.signals, dtype=np.float64),
            "confidence": np.array(self.confidences or [self.confidence] * len(marks)),
            "predicted_sd": np.full(len(marks), self.sd),
        }
        instants = np.datetime64("2024-05-01T00:00:00", "s") + 300 * np.arange(len(marks))
        provenance = Provenance("path", "", "0" * 64, synthetic=True, fills={}, coverage={}, warnings=())
        return Market(instants, 0, columns, {}, provenance)


def _by_venue(values: Column) -> Column:
    return np.asfortranarray(np.tile(values[:, None], (1, 3)))


def run(mode: str, path: Path, *overrides: str, costs: bool = False) -> tuple[BacktestOutcome, dict[str, Column]]:
    """The outcome, and every column of the run."""
    config = load_run_config(mode, overrides=overrides).config
    if not costs:
        scenario = config.scenario.model_copy(update={"fees": False, "slippage": False})
        config = config.model_copy(update={"scenario": scenario})
    columns: dict[str, Column] = {}
    envelope = Envelope("0" * 32, 1, lambda: "2024-05-01T00:00:00")
    outcome = PreparedBacktest(Backtest(config), path.market()).run(
        RunRequest(CAPITAL[mode], 7, simulated_venues()),
        Recording(envelope, sink=lambda _stage, _instants, chunk: columns.update(chunk)),
    )
    assert np.abs(columns["unexplained_pnl"]).max() <= 1e-9 * CAPITAL[mode]
    return outcome, columns


def final(columns: dict[str, Column]) -> float:
    return float(columns["equity_share_class"][-1])


@pytest.mark.parametrize("costs", [False, True])
@pytest.mark.parametrize("mode", [USDT, BTC])
def test_every_row_is_explained_through_stops_reversals_and_funding(mode: str, *, costs: bool) -> None:
    marks = [100.0, 100.5, 98.0, 98.5, 97.0, 99.5, 99.0, 99.4, 99.6]
    path = Path(marks, [1, 1, 1, -1, -1, -1, 1, 0, 2], rates={2: 0.01, 5: -0.01, 7: 0.02})
    outcome, columns = run(mode, path, costs=costs)
    assert sum(outcome.counts.decisions.values()) >= 5
    assert (columns["transaction_costs"][-1] < 0.0) == costs


def test_the_worked_example_of_the_page_usdt_margin() -> None:
    _, columns = run(USDT, Path([100.0, 98.0, 98.0], [1, 2, 2]))
    # Long 1,000 at 100, stop at 100 x (1 - 2 x 0.005) = 99, touched between 100 and 98.
    assert final(columns) == pytest.approx(99_000.0, abs=1e-6)
    assert columns["delta_pnl"][-1] == pytest.approx(-1_000.0, abs=1e-6)


def test_the_worked_example_of_the_page_btc_margin() -> None:
    _, columns = run(BTC, Path([100.0, 98.0, 98.0], [1, 2, 2]))
    assert final(columns) == pytest.approx(2.0 + 2.0 * (99.0 - 100.0) / 99.0, abs=1e-12)


def test_the_stop_comes_before_the_target_of_the_same_candle() -> None:
    _, columns = run(USDT, Path([100.0, 100.0, 100.0], [1, 2, 2], highs={1: 102.0}, lows={1: 98.0}))
    assert final(columns) == pytest.approx(99_000.0, abs=1e-6)


def test_a_gap_through_the_stop_fills_at_the_open() -> None:
    path = Path([100.0, 97.0, 97.5, 97.5], [1, 2, 2, 2], lows={1: 99.5}, highs={1: 100.5})
    _, columns = run(USDT, path)
    assert final(columns) == pytest.approx(97_000.0, abs=1e-6)


def test_funding_is_paid_by_what_the_stop_left() -> None:
    stopped = Path([100.0, 98.0, 98.0], [1, 2, 2], rates={1: 0.01})
    held = Path([100.0, 99.5, 99.5], [1, 2, 2], rates={1: 0.01})
    assert run(USDT, stopped)[1]["funding_pnl"][-1] == 0.0
    assert run(USDT, held)[1]["funding_pnl"][-1] == pytest.approx(-1_000.0 * 99.5 * 0.01)


def test_a_confidence_at_the_threshold_holds() -> None:
    assert run(USDT, Path([100.0, 101.0], [1, 1], confidence=0.70))[0].counts.orders == 0


def test_an_opposite_signal_reverses_and_a_neutral_one_closes() -> None:
    _, columns = run(USDT, Path([100.0, 100.2, 100.1, 100.1], [1, -1, 0, 2]))
    assert columns["perp_units"].sum(axis=1).round(6).tolist()[2:] == [0.0, 0.0]
    assert columns["perp_units"][1].sum() == pytest.approx(-100_200.0 / 100.2)


DAYS, SEEDS = 7, range(24)


@pytest.fixture(scope="module")
def bars() -> Column:
    """Opens of the 5-minute candles of the synthetic default."""
    data_set = open_data_set(resolve_data_set(SYNTHETIC, seed=7))
    return read_series(data_set, candle_series("spot", "binance", "BTC", 300), ("open",)).values["open"]


def standing(mode: str, bars: Column, hit_rate: float) -> float:
    """Mean return over fixed seeds in standard errors of it; a week of its own and new predictions for each seed."""
    rows, results = DAYS * ROWS_PER_SIGNAL, []
    for seed in SEEDS:
        marks = bars[seed * rows : (seed + 1) * rows]
        table = make_predictions(300 * np.arange(rows), marks, last_close=marks[-1], seed=seed, hit_rate=hit_rate)
        signals = [SIGNAL_CODES[word] for word in table["signal"].tolist()]
        path = Path(marks.tolist(), signals, confidences=table["confidence"].tolist())
        results.append(final(run(mode, path, *WIDE)[1]) / CAPITAL[mode] - 1.0)
    return float(np.mean(results) / (np.std(results, ddof=1) / np.sqrt(len(results))))


@pytest.mark.parametrize("mode", [USDT, BTC])
def test_predictions_that_are_right_half_of_the_time_earn_nothing_without_costs_and_levels(
    mode: str, bars: Column
) -> None:
    assert abs(standing(mode, bars, 0.5)) < 4.0


def test_predictions_that_are_mostly_right_earn(bars: Column) -> None:
    """So the same measure sees an edge where there is one."""
    assert standing(USDT, bars, 0.9) > 4.0
