"""What is held: the balance of every position key, and the average entry price of each perpetual."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.errors import PositionUpdateError


@dataclass(frozen=True, slots=True)
class Holdings:
    """Balances in the unit of their keys (scaled units for aTokens and debt, short perpetuals < 0).

    entry_price: perpetual key to quote per base, 0 where flat. Never changed in place: each change is a new value.
    """

    units: Mapping[str, float]
    entry_price: Mapping[str, float]

    def applied(self, deltas: Iterable[tuple[str, float]]) -> "Holdings":
        """The balances after the changes, added one by one in the order given.

        Raises :class:`PositionUpdateError` (POS-001) for a key that is not kept; nothing is applied then.

        >>> Holdings({"a": 1.0}, {}).applied([("a", 0.5)]).units["a"]
        1.5
        """
        units = dict(self.units)
        for key, change in deltas:
            if key not in units:
                raise PositionUpdateError(
                    f"a change of {change!r} to {key} cannot be applied: the key is not subscribed; "
                    "add it to position_subscriptions of the mode",
                    position_key=key,
                    delta_amount=change,
                )
            units[key] = units[key] + change
        return Holdings(units, self.entry_price)

    def entered(self, key: str, entry_price: float) -> "Holdings":
        """The same balances with another average entry price of one perpetual."""
        return Holdings(self.units, {**self.entry_price, key: entry_price})
