"""Orders of a spot-perpetual book: open, close, scale, repay, hedge.

Orders go out as transfers, then spot, then perpetuals when opening, and the other way round when closing, so that a
venue never carries an unhedged short without its collateral. [domain] 3.0 and ruling 11.
"""

from dataclasses import dataclass

from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import RESIDUE
from dataflow.maths.perps import realised_pnl
from dataflow.maths.sizing import BasisMarket, entry_quantity, unwind_quantity
from schemas.intents import OrderIntent, perp_trade, spot_trade, transfer
from schemas.operations import OperationType, OrderSide, StrategyIntent
from schemas.trade_rules import NO_RULES, TradeRuleBook, TradeRules
from schemas.units import Column


@dataclass(frozen=True, slots=True)
class VenueBook:
    """One venue: its market and what is held there. Base units, short < 0; USDT; share of the allocation."""

    market: BasisMarket
    spot_units: float
    perp_units: float
    perp_entry_price: float
    quote_units: float
    equity_usd: float
    allocation: float
    spot_rules: TradeRules = NO_RULES
    perp_rules: TradeRules = NO_RULES

    def opening(self, quantity: float) -> float:
        """What of a quantity can be bought and shorted, the same of both; 0 where either is too small."""
        spot = self.spot_rules.cut(quantity, self.market.spot_price)
        return min(spot, self.perp_rules.cut(quantity, self.market.perp_mark))

    def quote_after_closing(self, short_quantity: float, coins: float) -> float:
        """USDT after closing so much of the perpetual and selling so many coins: profit, proceeds, less fees."""
        costs, venue, pair = self.market.costs, self.market.venue, self.market.pair
        short_quantity = self.perp_rules.cut(short_quantity, self.market.perp_mark, closes=True)
        coins = self.spot_rules.cut(coins, self.market.spot_price)
        closes = 1 if self.perp_units < 0.0 else -1
        bought_back = costs.executed_price(
            "perp", venue, pair, direction=closes, mid_price=self.market.perp_mark, amount=short_quantity
        )
        sold = costs.executed_price("spot", venue, pair, direction=-1, mid_price=self.market.spot_price, amount=coins)
        realised = realised_pnl(self.perp_units, self.perp_entry_price, closes * short_quantity, bought_back)
        perp_fee = short_quantity * bought_back * costs.fee("perp", venue)
        return self.quote_units + realised - perp_fee + coins * sold * (1.0 - costs.fee("spot", venue))


@dataclass(frozen=True, slots=True)
class BasisBook:
    """The whole book over its venues."""

    base_asset: str
    venues: tuple[VenueBook, ...]

    @classmethod
    def of_row(  # one argument a column of the row
        cls,
        *,
        venues: tuple[str, ...],
        base_asset: str,
        costs: CostModel,
        trade_rules: TradeRuleBook,
        spot_price: Column,
        perp_mark: Column,
        spot_units: Column,
        perp_units: Column,
        perp_entry_price: Column,
        quote_units: Column,
        venue_equity_usd: Column,
        hedge_allocation: Column,
    ) -> "BasisBook":
        """The book from the vectors (venues,) of one row."""
        pair = f"{base_asset}USDT"
        return cls(
            base_asset,
            tuple(
                VenueBook(
                    BasisMarket(venue, pair, float(spot_price[at]), float(perp_mark[at]), costs),
                    float(spot_units[at]),
                    float(perp_units[at]),
                    float(perp_entry_price[at]),
                    float(quote_units[at]),
                    float(venue_equity_usd[at]),
                    float(hedge_allocation[at]),
                    trade_rules.of(OperationType.SPOT_TRADE, venue, pair),
                    trade_rules.of(OperationType.PERP_TRADE, venue, pair),
                )
                for at, venue in enumerate(venues)
            ),
        )

    def enter(self, cash: float) -> list[OrderIntent]:
        """Open the book with ``cash`` USDT of the wallet and what already lies at the venues."""
        intent = StrategyIntent.ENTRY_FULL
        sent = [venue.allocation * cash for venue in self.venues]
        transfers = self._fund(sent, intent)
        return transfers + self._open([v.quote_units + s for v, s in zip(self.venues, sent, strict=True)], intent)

    def invest_idle(self, cash: float, *, level_venues: bool) -> list[OrderIntent]:
        """Each venue invests its own USDT and its part of ``cash`` from the wallet.

        With ``level_venues`` the venues above their share of equity first free the excess and send it to those below.
        """
        intent = StrategyIntent.ENTRY_PARTIAL
        sent = [venue.allocation * cash for venue in self.venues]
        closed, moves, quote = self._level(intent) if level_venues else ([], [], [v.quote_units for v in self.venues])
        transfers = self._fund(sent, intent)
        opened = self._open([q + s for q, s in zip(quote, sent, strict=True)], intent)
        return closed + transfers + moves + opened

    def leave(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Close everything and bring the USDT home."""
        closing = self.close_share(1.0, intent)
        left = [venue.quote_after_closing(abs(venue.perp_units), venue.spot_units) for venue in self.venues]
        home = [
            transfer(venue.market.venue, "wallet", "USDT", amount, intent)
            for venue, amount in zip(self.venues, left, strict=True)
            if amount > residue(left)
        ]
        return closing + home

    def free(self, cash: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Close the share of the book that brings at least so much USDT home, margin loans repaid, or everything.

        What a whole exit loses a unit bounds what a slice does, so the slice always suffices.
        """
        whole, owed = sum(self._proceeds(1.0)), sum(max(-venue.quote_units, 0.0) for venue in self.venues)
        if cash >= whole:
            return self.leave(intent)
        share = (cash + owed) / (whole + owed)
        proceeds = self._proceeds(share)
        given = [max(amount, 0.0) for amount in proceeds]
        scale = sum(proceeds) / sum(given)
        home = [
            transfer(venue.market.venue, "wallet", "USDT", amount * scale, intent)
            for venue, amount in zip(self.venues, given, strict=True)
            if amount > residue(given)
        ]
        return self.close_share(share, intent) + home

    def _proceeds(self, share: float) -> list[float]:
        """USDT of each venue that closing a share of the book leaves beyond the other share of its USDT."""
        return [
            v.quote_after_closing(share * abs(v.perp_units), share * v.spot_units)
            - (1.0 - share) * max(v.quote_units, 0.0)
            for v in self.venues
        ]

    def close_share(self, share: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Close a share (fraction of one) of the perpetual and of the coins on every venue."""
        perps = [
            perp_trade(v.market.venue, self.base_asset, _closing(v.perp_units), share * abs(v.perp_units), intent)
            for v in self.venues
            if v.perp_units != 0.0
        ]
        coins = [
            spot_trade(v.market.venue, self.base_asset, OrderSide.SELL, share * v.spot_units, intent)
            for v in self.venues
            if v.spot_units > 0.0
        ]
        return perps + coins

    def repay_loans(self, intent: StrategyIntent) -> list[OrderIntent]:
        """On each venue that owes USDT, sell coins and close as much of the short until it owes nothing."""
        quantities = [
            min(unwind_quantity(-v.quote_units, v.perp_entry_price, v.market), v.spot_units)
            if v.quote_units < 0.0
            else 0.0
            for v in self.venues
        ]
        return self._close(quantities, intent)

    def hedge_again(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Trade each perpetual back to minus the coins held."""
        gaps = [(v.market.venue, -v.spot_units - v.perp_units) for v in self.venues]
        return [
            perp_trade(venue, self.base_asset, OrderSide.LONG if gap > 0.0 else OrderSide.SHORT, abs(gap), intent)
            for venue, gap in gaps
            if gap != 0.0
        ]

    def _fund(self, amounts: list[float], intent: StrategyIntent) -> list[OrderIntent]:
        return [
            transfer("wallet", venue.market.venue, "USDT", amount, intent)
            for venue, amount in zip(self.venues, amounts, strict=True)
            if amount > residue(amounts)
        ]

    def _open(self, cash: list[float], intent: StrategyIntent) -> list[OrderIntent]:
        affordable = [
            (venue.market.venue, venue.opening(entry_quantity(amount, venue.market)))
            for venue, amount in zip(self.venues, cash, strict=True)
            if amount > residue(cash)
        ]
        sized = [(venue, quantity) for venue, quantity in affordable if quantity > 0.0]
        coins = [spot_trade(venue, self.base_asset, OrderSide.BUY, quantity, intent) for venue, quantity in sized]
        perps = [perp_trade(venue, self.base_asset, OrderSide.SHORT, quantity, intent) for venue, quantity in sized]
        return coins + perps

    def _close(self, quantities: list[float], intent: StrategyIntent) -> list[OrderIntent]:
        sized = [(v, quantity) for v, quantity in zip(self.venues, quantities, strict=True) if quantity > 0.0]
        held = [(v, min(quantity, abs(v.perp_units))) for v, quantity in sized if v.perp_units != 0.0]
        perps = [perp_trade(v.market.venue, self.base_asset, _closing(v.perp_units), q, intent) for v, q in held]
        coins = [spot_trade(v.market.venue, self.base_asset, OrderSide.SELL, q, intent) for v, q in sized]
        return perps + coins

    def _level(self, intent: StrategyIntent) -> tuple[list[OrderIntent], list[OrderIntent], list[float]]:
        """Closes, transfers and the USDT of each venue after them, so that equity follows the allocation."""
        total = sum(venue.equity_usd for venue in self.venues)
        excess = [venue.equity_usd - venue.allocation * total for venue in self.venues]
        wanted = [max(-gap, 0.0) for gap in excess]
        given, quantities, quote = [], [], []
        for venue, gap in zip(self.venues, excess, strict=True):
            missing = max(gap - max(venue.quote_units, 0.0), 0.0)
            quantity = min(unwind_quantity(missing, venue.perp_entry_price, venue.market), venue.spot_units)
            after = venue.quote_after_closing(quantity, quantity) if quantity > 0.0 else venue.quote_units
            given.append(min(max(gap, 0.0), max(after, 0.0)))
            quantities.append(quantity)
            quote.append(after)
        moves = self._moves(given, wanted, intent)
        for move in moves:
            quote[self._at(move.source_venue)] -= move.amount
            quote[self._at(move.target_venue)] += move.amount
        return self._close(quantities, intent), moves, quote

    def _moves(self, given: list[float], wanted: list[float], intent: StrategyIntent) -> list[OrderIntent]:
        """Transfers that carry what is given to the venues that want it, in proportion to their want."""
        all_wanted, least = sum(wanted), residue([*given, *wanted])
        return [
            transfer(source.market.venue, target.market.venue, "USDT", amount * want / all_wanted, intent)
            for source, amount in zip(self.venues, given, strict=True)
            for target, want in zip(self.venues, wanted, strict=True)
            if amount > least and want > least
        ]

    def _at(self, venue: str) -> int:
        return next(at for at, book in enumerate(self.venues) if book.market.venue == venue)


def residue(amounts: list[float]) -> float:
    """What rounding can leave of the largest of some amounts: no order is made of it. [domain] ruling 8.

    >>> residue([5_000.0, -2e-12])
    5e-06
    """
    return RESIDUE * max((abs(amount) for amount in amounts), default=0.0)


def _closing(units: float) -> OrderSide:
    return OrderSide.LONG if units < 0.0 else OrderSide.SHORT
