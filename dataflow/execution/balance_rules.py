"""What a balance may be after a unit: a rule says how far below zero, and for whom; the lowest floor of all holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from schemas.errors import NegativePositionError
from schemas.holdings import Holdings
from schemas.instruments import PositionKey, PositionType, cex_key, perp_key
from schemas.snapshot import MarketSnapshot

_ROUNDING: Final = 1e-9
"""Balance below zero, in units of the key, that rounding can leave."""


class BalanceRule(Protocol):
    """Lets some balances be negative."""

    def floor(self, key: PositionKey, holdings: Holdings, snapshot: MarketSnapshot) -> float:
        """Lowest balance of a key that the rule allows, in its unit, <= 0; 0 where it has nothing to say."""
        ...


@dataclass(frozen=True)
class ShortPerpetuals:
    """A perpetual may be short of any size: what it may not be is a matter of margin."""

    def floor(self, key: PositionKey, holdings: Holdings, snapshot: MarketSnapshot) -> float:  # noqa: ARG002 - of the protocol
        """No floor for a perpetual."""
        return float("-inf") if key.position_type is PositionType.PERP else 0.0


@dataclass(frozen=True)
class AnyBalance:
    """Every balance may be negative: the scenario that allows it."""

    def floor(self, key: PositionKey, holdings: Holdings, snapshot: MarketSnapshot) -> float:  # noqa: ARG002 - of the protocol
        """No floor."""
        return float("-inf")


@dataclass(frozen=True)
class MarginLoans:
    """Quote at an exchange may be owed as far as coins and unrealised profit back it. [domain] ruling 8.

    quote: token of the loan. collateral_factor: exchange to the share of its coins' value that backs a loan.
    """

    quote: str
    collateral_factor: Mapping[str, float]

    def floor(self, key: PositionKey, holdings: Holdings, snapshot: MarketSnapshot) -> float:
        """Minus what backs a loan at the key's exchange."""
        base = snapshot.base_asset
        if key.token != self.quote or base is None or key.venue not in self.collateral_factor:
            return 0.0
        backing, coins = 0.0, holdings.units.get(cex_key(key.venue, base), 0.0)
        if coins > 0.0:
            backing += self.collateral_factor[key.venue] * coins * snapshot.value_of("spot_price", key.venue)
        perp = perp_key(key.venue, base)
        units = holdings.units.get(perp, 0.0)
        if units != 0.0:
            profit = units * (snapshot.value_of("perp_mark", key.venue) - holdings.entry_price[perp])
            backing += max(profit, 0.0)
        return min(0.0, -backing)


def refuse_negative(rules: Sequence[BalanceRule], holdings: Holdings, snapshot: MarketSnapshot, timestamp: str) -> None:
    """Raise NegativePositionError (POS-004) for the first balance that no rule lets be as low as it is."""
    for key, units in holdings.units.items():
        if units >= -_ROUNDING:
            continue
        parsed = PositionKey.parse(key)
        floor = min((rule.floor(parsed, holdings, snapshot) for rule in rules), default=0.0)
        if units < floor - _ROUNDING:
            raise NegativePositionError(
                f"{key} is {units!r} at {timestamp}, below {floor!r}; the books are wrong",
                position_key=key,
                units=units,
                floor=floor,
            )
