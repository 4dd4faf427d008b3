"""What is carried from row to row, window to window and partition to partition.

Everything path-dependent is here: units held, entry prices, running totals, reference equity, counters. It is plain
numbers, so that it can be written as JSON and read back to the bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
import orjson

from schemas.errors import StateInconsistentError
from schemas.holdings import Holdings
from schemas.units import Column, frozen

GROUPS: Final = ("wallet", "quote", "spot", "perp", "a_token", "debt", "lst", "claim", "dust")
"""Kinds of balances, in the order in which the position keys of a mode are listed."""

NEVER: Final = -1e18
"""Epoch seconds of something that has not happened."""


@dataclass(frozen=True)
class RunState:
    """State after a row.

    values: graph input to float or vector, as the ``carry`` tags of the nodes name them. row: rows done. order: next
    event number. operations: operations numbered so far.
    """

    values: Mapping[str, float | Column]
    row: int = 0
    order: int = 0
    operations: int = 0

    def with_values(self, changes: Mapping[str, float | Column]) -> "RunState":
        """The same state with some values replaced."""
        return replace(self, values={**self.values, **changes})

    def moved(self, *, row: int | None = None, order: int | None = None, operations: int | None = None) -> "RunState":
        """The same state with counters replaced."""
        return replace(
            self,
            row=self.row if row is None else row,
            order=self.order if order is None else order,
            operations=self.operations if operations is None else operations,
        )

    def to_json(self) -> bytes:
        """The state as JSON; floats keep every bit."""
        return orjson.dumps(
            asdict(self),
            option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_json(cls, text: bytes) -> "RunState":
        """The state that :meth:`to_json` wrote; StateInconsistentError (ENGINE-003) for anything else."""
        try:
            raw = orjson.loads(text)
            values = {
                name: np.array(value, dtype=np.float64) if isinstance(value, list) else float(value)
                for name, value in raw["values"].items()
            }
            return cls(values, raw["row"], raw["order"], raw["operations"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise StateInconsistentError(
                f"a carried state cannot be read ({error}); run the partition before it again"
            ) from error


@dataclass(frozen=True)
class PositionGroups:
    """Position keys by kind of balance, in the order of the columns of each kind."""

    keys: Mapping[str, tuple[str, ...]]

    @property
    def margin_keys(self) -> tuple[str, ...]:
        """Keys that perpetuals are margined in, and funding is paid in, venue by venue."""
        return self.keys.get("quote") or self.keys["spot"]

    def all_keys(self) -> tuple[str, ...]:
        """Every key of the mode, in recording order."""
        return tuple(key for group in GROUPS for key in self.keys.get(group, ()))

    def holdings(self, values: Mapping[str, float | Column]) -> Holdings:
        """Balances by key, from the carried vectors."""
        units: dict[str, float] = {}
        for group in GROUPS:
            keys = self.keys.get(group, ())
            if keys:
                units.update(zip(keys, _vector(values, f"held_{group}").tolist(), strict=True))
        perps = self.keys.get("perp", ())
        entries = dict(zip(perps, _vector(values, "held_perp_entry").tolist(), strict=True)) if perps else {}
        return Holdings(units, entries)

    def values(self, holdings: Holdings) -> dict[str, float | Column]:
        """Carried vectors, from balances by key."""
        vectors: dict[str, float | Column] = {
            f"held_{group}": np.array([holdings.units[key] for key in keys])
            for group in GROUPS
            if (keys := self.keys.get(group, ()))
        }
        if perps := self.keys.get("perp", ()):
            vectors["held_perp_entry"] = np.array([holdings.entry_price[key] for key in perps])
        return vectors

    def columns(self, books: Sequence[Holdings]) -> dict[str, Column]:
        """Units and entry prices of books as the positions stage gives them, a row each."""
        columns = {
            f"{group}_units": np.array([[held.units[key] for key in keys] for held in books])
            for group in GROUPS
            if (keys := self.keys.get(group, ()))
        }
        if perps := self.keys.get("perp", ()):
            columns["perp_entry_price"] = np.array([[held.entry_price[key] for key in perps] for held in books])
        return {name: frozen(column) for name, column in columns.items()}

    def empty(self) -> dict[str, float | Column]:
        """Carried vectors of an empty book."""
        keys = self.all_keys()
        return self.values(Holdings(dict.fromkeys(keys, 0.0), dict.fromkeys(self.keys.get("perp", ()), 0.0)))


def _vector(values: Mapping[str, float | Column], name: str) -> Column:
    vector = values[name]
    assert isinstance(vector, np.ndarray), f"{name} is carried as a vector"
    return vector
