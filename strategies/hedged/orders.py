"""Orders of a hedged staking book: ETH is bought, staked (with or without leverage) and shorted; USDT is margin.

Entry: fund the exchanges, buy ETH, bring it to the wallet, stake it, short what was staked. Exit is the reverse.
[domain] 3.2, rulings 12, 16, 18.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import RESIDUE
from dataflow.maths.perps import realised_pnl
from schemas.instruments import LST_VENUES
from schemas.intents import OrderIntent, perp_trade, spot_trade, stake, swap, transfer
from schemas.operations import OperationType, OrderSide, StrategyIntent
from schemas.trade_rules import TradeRuleBook
from strategies.leverage.orders import LeverageBook

_PAIR = "ETHUSDT"

GAS_MONEY_ETH: Final = 1e-3
"""ETH that may lie in the wallet without a purpose: what its last transaction did not need."""


@dataclass(frozen=True, slots=True)
class MarginVenue:
    """One exchange: prices in USDT per ETH, USDT held, the short (ETH, < 0), its entry price, share of the margin."""

    venue: str
    spot_price: float
    perp_mark: float
    quote_units: float
    perp_units: float
    perp_entry_price: float
    allocation: float

    @property
    def unrealised(self) -> float:
        """Unrealised profit of the short, USDT."""
        return self.perp_units * (self.perp_mark - self.perp_entry_price)

    @property
    def notional(self) -> float:
        """Size of the short at its mark, USDT."""
        return abs(self.perp_units) * self.perp_mark


@dataclass(frozen=True, slots=True)
class HedgedBook:
    """The whole book at one row.

    spot_venue: the desk, where ETH is bought and sold. lst_units: staking tokens held outside the pool. wallet_eth: ETH
    and WETH in the wallet. desk_eth: ETH at the desk, where it stays if its way to the wallet fails. leverage: the
    position at the pool, None in the mode without leverage. gas_unit_usd: USD a gas unit. stake_share: share of equity
    in ETH. margin_target: margin ratio that investing leaves at every exchange. trade_rules: lots and least
    sizes.
    """

    venues: tuple[MarginVenue, ...]
    spot_venue: str
    lst: str
    lst_units: float
    wallet_eth: float
    desk_eth: float
    oracle_ratio: float
    market_ratio: float
    eth_price: float
    gas_unit_usd: float
    stake_share: float
    margin_target: float
    leverage: LeverageBook | None
    costs: CostModel
    trade_rules: TradeRuleBook

    @property
    def idle_eth(self) -> float:
        """ETH that is not staked: what a failed transfer or stake has left; 0 where only gas money is there."""
        idle = self.wallet_eth + self.desk_eth
        return idle if idle > GAS_MONEY_ETH else 0.0

    @property
    def staked_eth(self) -> float:
        """ETH staked, net of debt."""
        if self.leverage is None:
            return self.lst_units * self.oracle_ratio
        return self.leverage.collateral_eth - self.leverage.debt_eth

    @property
    def is_left_over(self) -> bool:
        """Whether nothing is held but ETH outside, which an exit could not sell or an entry could not stake."""
        is_staked = self.lst_units > 0.0 or (self.leverage is not None and self.leverage.collateral_lst > 0.0)
        return not is_staked and all(venue.perp_units == 0.0 for venue in self.venues)

    @property
    def desk(self) -> MarginVenue:
        """The exchange where ETH is bought and sold."""
        return next(venue for venue in self.venues if venue.venue == self.spot_venue)

    def enter(self, cash: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Open the book with ``cash`` USDT, of which the exchanges hold what an earlier attempt has sent there."""
        staking = self._buy_and_stake(self.stake_share * cash, intent)
        if not staking:
            return []
        margins = [venue.allocation * (1.0 - self.stake_share) * cash for venue in self.venues]
        wanted = self._with_desk(margins, self.stake_share * cash)
        held = [max(venue.quote_units, 0.0) for venue in self.venues]
        missing = [max(want - has, 0.0) for want, has in zip(wanted, held, strict=True)]
        surplus = [max(has - want, 0.0) for want, has in zip(wanted, held, strict=True)]
        from_wallet = 1.0 - sum(surplus) / sum(missing) if sum(missing) > sum(surplus) else 0.0
        transfers = [
            transfer("wallet", venue.venue, "USDT", from_wallet * amount, intent)
            for venue, amount in zip(self.venues, missing, strict=True)
            if from_wallet * amount > 0.0
        ]
        return transfers + self._moves(surplus, missing, intent) + staking

    def leave(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Close every short, unstake everything, sell the ETH and bring the USDT home."""
        quote = [self._quote_after_closing(venue, abs(venue.perp_units)) for venue in self.venues]
        closing = self._trade_shorts([-venue.perp_units for venue in self.venues], intent)
        selling, proceeds = self._unstake_and_sell(1.0, self.wallet_eth, intent)
        quote = self._with_desk(quote, proceeds)
        least = RESIDUE * max(abs(amount) for amount in quote)
        home = [
            transfer(venue.venue, "wallet", "USDT", amount, intent)
            for venue, amount in zip(self.venues, quote, strict=True)
            if amount > least
        ]
        return closing + selling + home

    def invest_idle(self, cash: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Add ``cash`` USDT of the wallet to the book in the proportions of an entry."""
        staking = self._buy_and_stake(self.stake_share * cash, intent)
        if not staking:
            return []
        margins = [venue.allocation * (1.0 - self.stake_share) * cash for venue in self.venues]
        return [
            transfer("wallet", venue.venue, "USDT", amount, intent)
            for venue, amount in zip(self.venues, self._with_desk(margins, self.stake_share * cash), strict=True)
        ] + staking

    def free(self, cash: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Close the share of every leg that brings at least so much USDT home, or everything.

        What a whole exit loses a unit bounds what a slice does, so the slice always suffices; gas and margin loans do
        not shrink with the share.
        """
        whole = sum(self._freed(1.0, self._unstake_and_sell(1.0, 0.0, intent)[1]))
        fixed = self._exit_gas_usd() + sum(max(-venue.quote_units, 0.0) for venue in self.venues)
        if cash >= whole:
            return self.leave(intent)
        share = (cash + fixed) / (whole + fixed)
        selling, sold = self._unstake_and_sell(share, 0.0, intent)
        freed = self._freed(share, sold)
        given = [max(amount, 0.0) for amount in freed]
        scale = sum(freed) / sum(given)
        home = [
            transfer(venue.venue, "wallet", "USDT", amount * scale, intent)
            for venue, amount in zip(self.venues, given, strict=True)
            if amount > RESIDUE * max(given)
        ]
        return self._trade_shorts([-share * venue.perp_units for venue in self.venues], intent) + selling + home

    def _freed(self, share: float, sold: float) -> list[float]:
        """USDT of each venue beyond the margin that it keeps; sold: USDT that the ETH of the share brings."""
        freed = [
            self._quote_after_closing(venue, share * abs(venue.perp_units))
            - (1.0 - share) * max(venue.quote_units, 0.0)
            for venue in self.venues
        ]
        return self._with_desk(freed, sold)

    def _exit_gas_usd(self) -> float:
        """Gas that selling any share of the stake costs, USD: it does not shrink with the share."""
        items = ("swap" if self.leverage is None else "atomic_deleverage_one_swap", "transfer")
        return sum(self._gas_eth(item) for item in items) * self.eth_price

    def hedge_again(self, net_delta: float, level: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Trade the shorts by allocation until the net delta (ETH) is 0, with margin for them where it is needed.

        level: margin ratio that each exchange is to keep.
        """
        changes = [-net_delta * venue.allocation for venue in self.venues]
        units = [units + change for units, change in zip(self._units(), changes, strict=True)]
        return self._equalise_below(level, units, intent) + self._trade_shorts(changes, intent)

    def restore_margin(self, level: float, equity_usd: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Equalise the margin ratios; where that is not enough, turn ETH and as much short into margin.

        level: margin ratio that must be reached. Source: [domain] ruling 18.
        """
        held = self.staked_eth + self.idle_eth
        excess = held - self.stake_share * equity_usd / self.eth_price
        if self._common_ratio() >= level or excess <= RESIDUE * held:
            return self._equalise([venue.quote_units for venue in self.venues], self._units(), intent)
        idle = self.idle_eth
        share = min(max(excess - idle, 0.0) / self.staked_eth, 1.0) if self.staked_eth > 0.0 else 0.0
        closes = [(idle + share * self.staked_eth) * venue.allocation for venue in self.venues]
        selling, proceeds = self._unstake_and_sell(share, self.wallet_eth if idle > 0.0 else 0.0, intent)
        quote = [self._quote_after_closing(v, amount) for v, amount in zip(self.venues, closes, strict=True)]
        quote = self._with_desk(quote, proceeds)
        units = [units + amount for units, amount in zip(self._units(), closes, strict=True)]
        return self._trade_shorts(closes, intent) + selling + self._equalise(quote, units, intent)

    def invest_excess(self, equity_usd: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Turn margin beyond need into staked ETH and as much short. Source: [domain] ruling 18, the other sign."""
        missing = self.stake_share * equity_usd / self.eth_price - self.staked_eth - self.idle_eth
        wanted = max(missing, 0.0) * self.eth_price
        free = {venue.venue: self._free_quote(venue, wanted) for venue in self.venues}
        cash = min(wanted, sum(free.values()))
        gap = max(cash - free.pop(self.spot_venue), 0.0)
        available = sum(free.values())
        moves = [
            transfer(venue, self.spot_venue, "USDT", gap * amount / available, intent)
            for venue, amount in free.items()
            if gap > 0.0 and amount > 0.0
        ]
        return moves + self._buy_and_stake(cash, intent)

    def cash_in(self, received: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Turn WETH that came into the wallet into margin: to the desk, and sold there; none where gas takes it all."""
        moved = received - self._gas_eth("transfer")
        if moved <= 0.0:
            return []
        desk = self.spot_venue
        return [
            transfer("wallet", desk, "WETH", moved, intent),
            spot_trade(desk, "ETH", OrderSide.SELL, moved, intent),
        ]

    def stake_idle(self, level: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Bring to the wallet and stake the ETH that a failed transfer or stake has left; the shorts hedge it already.

        level: margin ratio that each exchange is to keep, since ETH at the desk is margin until it leaves.
        Source: [domain] ruling 29, the rest is left to the next decision.
        """
        desk = self.spot_venue
        moved: list[OrderIntent] = []
        if self.desk_eth > 0.0:
            moved = self._equalise_below(level, self._units(), intent)
            moved.append(transfer(desk, "wallet", "ETH", self.desk_eth, intent))
        staked = self._stakeable(self.idle_eth - (self._gas_eth("transfer") if moved else 0.0))
        return moved + self._stake(staked, intent) if staked > 0.0 else []

    # -- pieces

    def _stakeable(self, eth: float) -> float:
        """What the gas of staking leaves of ETH in the wallet; <= 0 where it would not pay."""
        return eth - (self._gas_eth("stake") if self.leverage is None else self.leverage.entry_gas_eth(eth))

    def _stake(self, staked: float, intent: StrategyIntent) -> list[OrderIntent]:
        if self.leverage is not None:
            return self.leverage.enter(staked, intent)
        return [stake(self.lst, LST_VENUES[self.lst], staked, intent)]

    def _buy_and_stake(self, cash: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Buy ETH with USDT at the desk, stake all of it that gas leaves, and short what was staked."""
        bought = self._bought(cash)
        staked = self._stakeable(bought - self._gas_eth("transfer"))
        if staked <= 0.0:
            return []
        desk = self.spot_venue
        return [
            spot_trade(desk, "ETH", OrderSide.BUY, bought, intent),
            transfer(desk, "wallet", "ETH", bought, intent),
            *self._stake(staked, intent),
            *self._trade_shorts([-staked * venue.allocation for venue in self.venues], intent),
        ]

    def _bought(self, cash: float) -> float:
        """ETH that an amount of USDT buys at the desk, price, slippage and fee paid."""
        price, fee, slippage = self.desk.spot_price, self.costs.fee("spot", self.desk.venue), 0.0
        while True:
            quantity = cash / (price * (1.0 + slippage) * (1.0 + fee))
            found = self.costs.slippage("spot", self.desk.venue, _PAIR, quantity * price)
            if found <= slippage:
                return self._sellable(quantity)
            slippage = found

    def _sellable(self, quantity: float) -> float:
        """What of a quantity of ETH the desk trades: whole lots; 0 where it is too small."""
        rules = self.trade_rules.of(OperationType.SPOT_TRADE, self.desk.venue, _PAIR)
        return rules.cut(quantity, self.desk.spot_price)

    def _free_quote(self, venue: MarginVenue, cash: float) -> float:
        """USDT of a venue that buying ETH for at most ``cash`` may use: margin and fee of its new short stay."""
        added = venue.allocation * cash / self.desk.spot_price * venue.perp_mark
        margin = self.margin_target * (venue.notional + added) - min(venue.unrealised, 0.0)
        return max(venue.quote_units - margin - added * self.costs.fee("perp", venue.venue), 0.0)

    def _unstake_and_sell(self, share: float, idle: float, intent: StrategyIntent) -> tuple[list[OrderIntent], float]:
        """Sell a share of what is staked for WETH, bring it to the desk and sell it; orders and USDT received.

        idle: ETH of the wallet that goes with it; what lies at the desk is sold in any case.
        """
        if self.staked_eth <= 0.0 or share == 0.0:
            received, gas, unstaking = 0.0, 0.0, []
        elif self.leverage is None:
            sold = share * self.lst_units
            slippage = self.costs.slippage(
                "swap", "uniswap", f"ETH{self.lst}", sold * self.market_ratio * self.eth_price
            )
            received, gas = sold * self.market_ratio * (1.0 - slippage), self._gas_eth("swap")
            unstaking = [swap(self.lst, LST_VENUES[self.lst], sold, intent)]
        else:
            received, gas = self.leverage.slice_proceeds(share), 0.0
            unstaking = self.leverage.leave_share(share, intent)
        moved = max(received + idle - gas - self._gas_eth("transfer"), 0.0)
        sold, desk = self._sellable(moved + self.desk_eth), self.spot_venue
        if sold <= 0.0:
            return unstaking, 0.0
        price = self.costs.executed_price(
            "spot", desk, _PAIR, direction=-1, mid_price=self.desk.spot_price, amount=sold
        )
        coming = [transfer("wallet", desk, "WETH", moved, intent)] if moved > 0.0 else []
        orders = [*unstaking, *coming, spot_trade(desk, "ETH", OrderSide.SELL, sold, intent)]
        return orders, sold * price * (1.0 - self.costs.fee("spot", desk))

    def _trade_shorts(self, changes: Sequence[float], intent: StrategyIntent) -> list[OrderIntent]:
        """Trade each perpetual by a signed amount of ETH."""
        least = RESIDUE * max((abs(change) for change in changes), default=0.0)
        return [
            perp_trade(v.venue, "ETH", OrderSide.LONG if change > 0.0 else OrderSide.SHORT, abs(change), intent)
            for v, change in zip(self.venues, changes, strict=True)
            if abs(change) > least
        ]

    def _quote_after_closing(self, venue: MarginVenue, quantity: float) -> float:
        """USDT of a venue after closing so much of its short."""
        rules = self.trade_rules.of(OperationType.PERP_TRADE, venue.venue, _PAIR)
        quantity = rules.cut(quantity, venue.perp_mark, closes=True)
        price = self.costs.executed_price(
            "perp", venue.venue, _PAIR, direction=1, mid_price=venue.perp_mark, amount=quantity
        )
        realised = realised_pnl(venue.perp_units, venue.perp_entry_price, quantity, price)
        return venue.quote_units + realised - quantity * price * self.costs.fee("perp", venue.venue)

    def _with_desk(self, amounts: Sequence[float], extra: float) -> list[float]:
        """Amounts by venue, that of the desk with something more."""
        return [
            amount + extra if venue.venue == self.spot_venue else amount
            for venue, amount in zip(self.venues, amounts, strict=True)
        ]

    def _units(self) -> list[float]:
        return [venue.perp_units for venue in self.venues]

    def _common_ratio(self) -> float:
        """Margin ratio that all exchanges would have if USDT moved freely."""
        notional = sum(venue.notional for venue in self.venues)
        margin = sum(venue.quote_units + venue.unrealised for venue in self.venues)
        return margin / notional if notional > 0.0 else 0.0

    def _equalise_below(self, level: float, units: Sequence[float], intent: StrategyIntent) -> list[OrderIntent]:
        """Equalise the margin ratios where USDT and profit of one exchange would be below a ratio."""
        is_short_of_margin = any(
            v.quote_units + u * (v.perp_mark - v.perp_entry_price) < level * abs(u) * v.perp_mark
            for v, u in zip(self.venues, units, strict=True)
        )
        return self._equalise([v.quote_units for v in self.venues], units, intent) if is_short_of_margin else []

    def _equalise(self, quote: Sequence[float], units: Sequence[float], intent: StrategyIntent) -> list[OrderIntent]:
        """Move USDT between the exchanges so that their margin ratios are equal."""
        notionals = [abs(u) * v.perp_mark for v, u in zip(self.venues, units, strict=True)]
        profits = [u * (v.perp_mark - v.perp_entry_price) for v, u in zip(self.venues, units, strict=True)]
        whole = sum(notionals)
        if whole == 0.0:
            return []
        ratio = (sum(quote) + sum(profits)) / whole
        gaps = [q - (ratio * n - p) for q, n, p in zip(quote, notionals, profits, strict=True)]
        given = [min(max(gap, 0.0), max(q, 0.0)) for gap, q in zip(gaps, quote, strict=True)]
        return self._moves(given, [max(-gap, 0.0) for gap in gaps], intent, least=RESIDUE * max(map(abs, quote)))

    def _moves(
        self, given: Sequence[float], wanted: Sequence[float], intent: StrategyIntent, *, least: float = 0.0
    ) -> list[OrderIntent]:
        """Transfers that carry what is given to the exchanges that want it, in proportion to their want."""
        all_wanted = sum(wanted)
        return [
            transfer(source.venue, target.venue, "USDT", amount * want / all_wanted, intent)
            for source, amount in zip(self.venues, given, strict=True)
            for target, want in zip(self.venues, wanted, strict=True)
            if amount > least and want > least
        ]

    def _gas_eth(self, item: str) -> float:
        return self.costs.gas_usd(item, self.gas_unit_usd) / self.eth_price
