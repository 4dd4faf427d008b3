"""Orders of a directional book: close at levels that were touched, close at the mark, open in one direction.

[domain] 3.2, rulings 26 and 27.
"""

from dataclasses import dataclass, replace

from dataflow.maths.costs import CostModel
from dataflow.maths.perps import realised_pnl
from schemas.intents import OrderIntent, perp_trade
from schemas.operations import OrderSide, StrategyIntent


@dataclass(frozen=True, slots=True)
class DirectionalVenue:
    """One exchange: marks in USDT per coin, units held (short < 0), their entry price, share of the book.

    mark_before: open of the candle that has just closed. stopped, taken: what that candle did to the position.
    """

    venue: str
    mark: float
    mark_before: float
    units: float
    entry_price: float
    allocation: float
    stopped: bool
    taken: bool

    @property
    def is_kept(self) -> bool:
        """Whether a position is left after stop and target."""
        return self.units != 0.0 and not (self.stopped or self.taken)

    def exit_price(self, stop_fraction: float, target_fraction: float) -> float:
        """Price at which the touched level filled: the level, or the open where that was already beyond it.

        >>> venue = DirectionalVenue("okx", 95.0, 97.0, 1.0, 100.0, 1.0, True, False)
        >>> venue.exit_price(0.02, 0.02), replace(venue, mark_before=99.0).exit_price(0.02, 0.02)
        (97.0, 98.0)
        """
        direction = 1.0 if self.units > 0.0 else -1.0
        away = -stop_fraction if self.stopped else target_fraction
        level = self.entry_price * (1.0 + direction * away)
        is_below = self.stopped == (direction > 0.0)
        return min(self.mark_before, level) if is_below else max(self.mark_before, level)


@dataclass(frozen=True, slots=True)
class DirectionalBook:
    """The whole book at one row.

    equity_usd: with every position at its mark. withdrawal_usd: what of it waits to be paid out. margin_token: USDT, or
    the base asset. reference_price: USD a coin.
    stop_fraction, target_fraction: distance of the levels of what is held from its entry.
    """

    base_asset: str
    margin_token: str
    reference_price: float
    equity_usd: float
    withdrawal_usd: float
    stop_fraction: float
    target_fraction: float
    costs: CostModel
    venues: tuple[DirectionalVenue, ...]

    def close_at_levels(self) -> list[OrderIntent]:
        """Close each position whose stop or target was touched, at the price at which it was."""
        return [
            replace(self._closing(venue, 1.0, StrategyIntent.EXIT_FULL), limit_price=self._level_of(venue))
            for venue in self.venues
            if venue.stopped or venue.taken
        ]

    @property
    def withdrawn_share(self) -> float:
        """Share of the book that a withdrawal takes away, at most all of it."""
        return min(self.withdrawal_usd / self.equity_usd, 1.0) if self.equity_usd > 0.0 else 1.0

    def close(self, share: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Close a share (fraction of one) of every position that is left, at the mark."""
        return [self._closing(venue, share, intent) for venue in self.venues if venue.is_kept]

    def turn(self, direction: float, size: float, *, stop_fraction: float, target_fraction: float) -> list[OrderIntent]:
        """Close what is left and open ``size`` times the equity that then remains in one direction (1, -1)."""
        side = OrderSide.LONG if direction > 0.0 else OrderSide.SHORT
        quantity = max(self.equity_after_closing() - self.withdrawal_usd, 0.0) * size / self.reference_price
        opened = [
            replace(
                perp_trade(venue.venue, self.base_asset, side, venue.allocation * quantity, StrategyIntent.ENTRY_FULL),
                stop_fraction=stop_fraction,
                target_fraction=target_fraction,
            )
            for venue in self.venues
            if venue.allocation * quantity > 0.0
        ]
        return self.close(1.0, StrategyIntent.EXIT_FULL) + opened

    def equity_after_closing(self) -> float:
        """Equity once everything is closed, levels at their price and the rest at the mark less slippage; USD."""
        return self.equity_usd + sum(self._closing_gain(venue) for venue in self.venues if venue.units != 0.0)

    def _closing_gain(self, venue: DirectionalVenue) -> float:
        """Change of equity by closing one position instead of holding it at its mark, fee included; USD."""
        pair, closes = f"{self.base_asset}USDT", -1 if venue.units > 0.0 else 1
        if venue.is_kept:
            mid = venue.mark
            price = self.costs.executed_price(
                "perp", venue.venue, pair, direction=closes, mid_price=mid, amount=abs(venue.units)
            )
        else:
            mid = price = self._level_of(venue)
        realised = realised_pnl(venue.units, venue.entry_price, -venue.units, price)
        fee = abs(venue.units) * price * self.costs.fee("perp", venue.venue)
        held = venue.units * (venue.mark - venue.entry_price)
        if self.margin_token == "USDT":
            return realised - fee - held
        return ((realised - fee) / mid - held / venue.mark) * self.reference_price

    def _level_of(self, venue: DirectionalVenue) -> float:
        return venue.exit_price(self.stop_fraction, self.target_fraction)

    def _closing(self, venue: DirectionalVenue, share: float, intent: StrategyIntent) -> OrderIntent:
        side = OrderSide.SHORT if venue.units > 0.0 else OrderSide.LONG
        return perp_trade(venue.venue, self.base_asset, side, share * abs(venue.units), intent)
