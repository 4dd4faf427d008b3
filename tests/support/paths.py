"""A market given by a few paths: one number a row for what moves, one number for what stands still.

For examples that are checked by hand: whatever the mode, its columns follow from these paths alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from dataflow.engine.backtest import Backtest
from dataflow.market.market import Market, MarketRequest, Provenance
from schemas.units import Column, Instants

Path = float | Sequence[float]
"""A constant, or one value for every row of the run."""

FIRST_INSTANT: Final = np.datetime64("2024-01-01T00:00:00", "s")


@dataclass(frozen=True)
class Paths:
    """What the rows of a run see; rows before the first see what the first does.

    price: USD of the coin at every exchange, ETH and BTC alike. perp: a perpetual's mark, that of the coin where None.
    funding: row to the rate that every exchange settles at it, negative rows before the run; no other row settles.
    supply_index, borrow_index: of every reserve. oracle, market_ratio: ETH per staking token, the market as the oracle
    where None. gas: gwei. signal: 1 long, -1 short, 0 neutral, 2 hold; sd: its predicted deviation.
    """

    rows: int
    price: Path = 2_000.0
    perp: Path | None = None
    funding: Mapping[int, float] = field(default_factory=dict)
    supply_index: Path = 1.0
    borrow_index: Path = 1.0
    oracle: Path = 1.0
    market_ratio: Path | None = None
    gas: Path = 10.0
    signal: Path = 1.0
    confidence: Path = 0.9
    sd: Path = 0.05

    def of(self, name: str) -> Column:
        """One path, a value a row of the run."""
        defaults = {"perp": self.price, "market_ratio": self.oracle}
        path = getattr(self, name)
        return np.broadcast_to(np.asarray(defaults[name] if path is None else path, dtype=np.float64), (self.rows,))

    def still(self) -> "Paths":
        """The same first row for ever, and nothing settles."""
        moving = ("price", "perp", "supply_index", "borrow_index", "oracle", "market_ratio", "gas", "signal")
        first: dict[str, Any] = {name: float(self.of(name)[0]) for name in moving}
        return replace(self, funding={}, **first)

    def settled(self) -> Column:
        """Funding rate at each row of the run, 0 where none settles."""
        return np.array([self.funding.get(row, 0.0) for row in range(self.rows)])

    def market(self, backtest: Backtest) -> Market:
        """The market that a backtest asks for, its look-back included."""
        request = backtest.market_request()
        before = request.look_back_rows
        columns = {name: column for each in request.columns for name, column in self._columns(each, request).items()}
        instants = FIRST_INSTANT + request.step_seconds * np.arange(-before, self.rows)
        return Market(
            instants=_read_only(instants),
            first_row=before,
            columns={name: _read_only(column) for name, column in columns.items()},
            axes={},
            provenance=Provenance("paths", "", "0" * 64, synthetic=True, fills={}, coverage={}, warnings=()),
        )

    def _columns(self, column: str, request: MarketRequest) -> dict[str, Column]:
        """The market columns behind one that is asked for."""

        def whole(name: str) -> Column:
            path = self.of(name)
            return np.concatenate([np.full(request.look_back_rows, path[0]), path])

        def along(labels: Sequence[str], values: Column) -> Column:
            return np.asfortranarray(np.tile(values[:, None], (1, len(labels))))

        rows = range(-request.look_back_rows, self.rows)
        marks = whole("perp")
        previous = np.concatenate([marks[:1], marks[:-1]])
        made: Mapping[str, Callable[[], dict[str, Column]]] = {
            "spot_price": lambda: {"spot_price": along(request.venues, whole("price"))},
            "perp_mark": lambda: {"perp_mark": along(request.venues, marks)},
            "funding_rate": lambda: {
                "funding_rate": along(request.venues, np.array([self.funding.get(row, 0.0) for row in rows])),
                "funding_settled": along(request.venues, np.array([float(row in self.funding) for row in rows])),
            },
            "liquidity_index": lambda: {"liquidity_index": along(request.supplied, whole("supply_index"))},
            "variable_borrow_index": lambda: {"variable_borrow_index": along(request.borrowed, whole("borrow_index"))},
            "lst_oracle_ratio": lambda: {"lst_oracle_ratio": whole("oracle")},
            "lst_market_ratio": lambda: {"lst_market_ratio": whole("market_ratio")},
            "gas_price_gwei": lambda: {"gas_price_gwei": whole("gas")},
            "ohlcv": lambda: {
                "candle_high": along(request.venues, np.maximum(previous, marks)),
                "candle_low": along(request.venues, np.minimum(previous, marks)),
            },
            "prediction": lambda: {
                "signal": whole("signal"),
                "confidence": whole("confidence"),
                "predicted_sd": whole("sd"),
            },
        }
        return made[column]() if column in made else {column: whole("price")}


def _read_only(values: Column | Instants) -> np.ndarray:
    values.flags.writeable = False
    return values
