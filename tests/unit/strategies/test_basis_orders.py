"""Orders of a spot-perpetual book, held against a ledger that executes them by itself.

The ledger knows only what an exchange does: fill at the mid price with slippage, take the fee, realise the profit of a
closed perpetual. What the orders leave in it is the claim: an entry spends its cash, an exit leaves nothing,
loans are repaid to zero, levelling moves equity to the allocation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.costs import CostModel, Slippage
from dataflow.maths.perps import average_entry, realised_pnl
from dataflow.maths.sizing import BasisMarket
from schemas.intents import OrderIntent
from schemas.operations import OperationType, OrderSide, StrategyIntent
from strategies.basis.orders import BasisBook, VenueBook

VENUES: Final = ("binance", "bybit", "okx")
ALLOCATION: Final = (0.4, 0.3, 0.3)
COSTS: Final = CostModel(
    taker_fee={(product, venue): fee for product, fee in (("spot", 0.001), ("perp", 0.0005)) for venue in VENUES},  # type: ignore[misc]  # literals widen in a comprehension
    slippage_by_pair={
        (product, venue, "BTCUSDT"): Slippage(buckets, (50_000.0, 500_000.0))  # type: ignore[misc]  # as above
        for product, buckets in (("spot", (5.0, 7.0, 13.0)), ("perp", (3.0, 4.0, 8.0)))
        for venue in VENUES
    },
    gas_units={},
    gas_charged=False,
)
INTENT: Final = StrategyIntent.EXIT_PARTIAL

prices = st.floats(1_000.0, 500_000.0)
premiums = st.tuples(*[st.floats(-0.1, 0.1)] * 3)
cashes = st.floats(1_000.0, 5e6)


@dataclass
class Account:
    """One exchange, as its ledger sees it."""

    market: BasisMarket
    coins: float = 0.0
    perp: float = 0.0
    entry: float = 0.0
    usdt: float = 0.0

    def equity(self) -> float:
        """USDT, coins and unrealised profit at mid."""
        return self.usdt + self.coins * self.market.spot_price + self.perp * (self.market.perp_mark - self.entry)

    def trade(self, intent: OrderIntent) -> None:
        """Fill a trade as a taker."""
        assert intent.side is not None
        assert intent.amount > 0.0
        venue, costs = self.market.venue, self.market.costs
        slip_spot, slip_perp = self.market.slippages(intent.amount)
        signed = intent.side.direction * intent.amount
        if intent.operation is OperationType.SPOT_TRADE:
            price = self.market.spot_price * (1.0 + intent.side.direction * slip_spot)
            self.coins += signed
            self.usdt -= signed * price + intent.amount * price * costs.fee("spot", venue)
        else:
            price = self.market.perp_mark * (1.0 + intent.side.direction * slip_perp)
            self.usdt += realised_pnl(self.perp, self.entry, signed, price)
            self.usdt -= intent.amount * price * costs.fee("perp", venue)
            self.entry = average_entry(self.perp, self.entry, signed, price)
            self.perp += signed


@dataclass
class Ledger:
    """The wallet and the exchanges."""

    accounts: dict[str, Account]
    wallet: float

    def do(self, intents: Sequence[OrderIntent]) -> None:
        """Execute orders one by one; a spot purchase or a transfer may not overdraw."""
        for intent in intents:
            if intent.operation is not OperationType.TRANSFER:
                self.accounts[intent.venue].trade(intent)
                if intent.side is OrderSide.BUY:
                    self._refuse_overdraft(intent, self.accounts[intent.venue].usdt)
                continue
            self._add(intent.source_venue, -intent.amount)
            self._refuse_overdraft(intent, self._usdt(intent.source_venue))
            self._add(intent.target_venue, intent.amount)

    def equity(self) -> float:
        """Wallet and exchanges."""
        return self.wallet + sum(account.equity() for account in self.accounts.values())

    def book(self) -> BasisBook:
        """The book as the strategy sees it."""
        return BasisBook(
            "BTC",
            tuple(
                VenueBook(a.market, a.coins, a.perp, a.entry, a.usdt, a.equity(), share)
                for a, share in zip(self.accounts.values(), ALLOCATION, strict=True)
            ),
        )

    def at_prices(self, spot: float, premium: Sequence[float]) -> "Ledger":
        """The same holdings at other prices."""
        moved = {
            venue: replace(a, market=replace(a.market, spot_price=spot, perp_mark=spot * (1.0 + p)))
            for (venue, a), p in zip(self.accounts.items(), premium, strict=True)
        }
        return Ledger(moved, self.wallet)

    def _usdt(self, place: str) -> float:
        return self.wallet if place == "wallet" else self.accounts[place].usdt

    def _add(self, place: str, amount: float) -> None:
        if place == "wallet":
            self.wallet += amount
        else:
            self.accounts[place].usdt += amount

    def _refuse_overdraft(self, intent: OrderIntent, left: float) -> None:
        assert left >= -1e-9 * max(intent.amount * self._price(intent), 1.0), f"{intent} overdraws: {left!r} is left"

    def _price(self, intent: OrderIntent) -> float:
        return 1.0 if intent.pair is None else self.accounts[intent.venue].market.spot_price


def empty_ledger(cash: float, spot: float, premium: Sequence[float] = (0.0, 0.0, 0.0)) -> Ledger:
    """Everything in the wallet."""
    markets = (
        BasisMarket(venue, "BTCUSDT", spot, spot * (1.0 + p), COSTS) for venue, p in zip(VENUES, premium, strict=True)
    )
    return Ledger({market.venue: Account(market) for market in markets}, cash)


def entered_ledger(cash: float, spot: float, premium: Sequence[float] = (0.0, 0.0, 0.0)) -> Ledger:
    """A book opened with all of the cash."""
    ledger = empty_ledger(cash, spot, premium)
    ledger.do(ledger.book().enter(cash))
    return ledger


def operations(intents: Sequence[OrderIntent]) -> list[OperationType]:
    """Kinds of the orders in their sequence, repetitions folded."""
    kinds = [intent.operation for intent in intents]
    return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] is not kind]


@given(cash=cashes, spot=prices, premium=premiums)
def test_an_entry_spends_the_cash_and_no_more(cash: float, spot: float, premium: tuple[float, ...]) -> None:
    ledger = entered_ledger(cash, spot, premium)
    assert ledger.wallet == pytest.approx(0.0, abs=1e-9 * cash)
    for account, share in zip(ledger.accounts.values(), ALLOCATION, strict=True):
        assert account.perp == -account.coins
        # Never below zero; what is left is at most the step of slippage to a dearer bucket.
        assert -1e-9 * cash <= account.usdt <= 0.002 * share * cash


@given(cash=st.floats(1_000.0, 100_000.0), spot=prices)
def test_an_entry_within_one_bucket_leaves_nothing(cash: float, spot: float) -> None:
    for account in entered_ledger(cash, spot).accounts.values():
        assert account.usdt == pytest.approx(0.0, abs=1e-9 * cash)


def test_the_worked_example_has_nine_orders_in_sequence() -> None:
    intents = empty_ledger(100_000.0, 67_000.0).book().enter(100_000.0)
    assert operations(intents) == [OperationType.TRANSFER, OperationType.SPOT_TRADE, OperationType.PERP_TRADE]
    assert [intent.amount for intent in intents[:3]] == pytest.approx([40_000.0, 30_000.0, 30_000.0])
    assert len(intents) == 9
    assert all(intent.atomic_group is None for intent in intents)
    assert [intent.side for intent in intents[3:]] == [OrderSide.BUY] * 3 + [OrderSide.SHORT] * 3


def test_an_entry_uses_what_lies_at_the_venues() -> None:
    ledger = empty_ledger(900.0, 100.0)
    ledger.accounts["okx"].usdt = 500.0
    ledger.do(ledger.book().enter(900.0))
    assert ledger.accounts["okx"].usdt == pytest.approx(0.0, abs=1e-6)
    assert ledger.accounts["okx"].coins * 100.0 == pytest.approx(0.3 * 900.0 + 500.0, rel=0.01)


@given(cash=cashes, spot=prices, move=st.floats(0.3, 3.0), premium=premiums)
def test_leaving_brings_everything_home(cash: float, spot: float, move: float, premium: tuple[float, ...]) -> None:
    ledger = entered_ledger(cash, spot).at_prices(spot * move, premium)
    equity = ledger.equity()
    ledger.do(ledger.book().leave(StrategyIntent.EXIT_FULL))
    for account in ledger.accounts.values():
        assert (account.coins, account.perp) == (0.0, 0.0)
        assert account.usdt == pytest.approx(0.0, abs=1e-9 * cash * max(move, 1.0))
    assert 0.98 * equity - 0.01 * cash * move <= ledger.wallet <= equity


@pytest.mark.parametrize(
    ("coins", "perp"),
    [(1.0, 0.0), (0.0, 1.0), (1.0, 0.5), (0.5, 1.0)],
    ids=["no-short", "no-coins", "half-a-short", "half-the-coins"],
)
def test_leaving_a_book_that_a_refused_order_left_unhedged_brings_everything_home(coins: float, perp: float) -> None:
    """A risk exit comes before the rule that hedges again, so it meets books whose coins and short differ."""
    ledger = entered_ledger(100_000.0, 60_000.0).at_prices(90_000.0, (0.0, 0.0, 0.0))
    account = ledger.accounts["okx"]
    account.usdt += (1.0 - coins) * account.coins * 60_000.0
    account.coins, account.perp = coins * account.coins, perp * account.perp
    ledger.do(ledger.book().leave(StrategyIntent.EXIT_FULL))
    assert (account.coins, account.perp) == (0.0, 0.0)
    assert account.usdt == pytest.approx(0.0, abs=1e-4)


def test_leaving_closes_perpetuals_before_coins_and_transfers_last() -> None:
    intents = entered_ledger(100_000.0, 60_000.0).book().leave(StrategyIntent.EXIT_FULL)
    assert operations(intents) == [OperationType.PERP_TRADE, OperationType.SPOT_TRADE, OperationType.TRANSFER]
    assert {intent.target_venue for intent in intents[-3:]} == {"wallet"}


@given(cash=cashes, spot=prices, share=st.floats(0.01, 0.99))
def test_closing_a_share_keeps_the_rest_hedged(cash: float, spot: float, share: float) -> None:
    ledger = entered_ledger(cash, spot)
    before = {venue: account.coins for venue, account in ledger.accounts.items()}
    ledger.do(ledger.book().close_share(share, INTENT))
    for venue, account in ledger.accounts.items():
        assert account.coins == pytest.approx((1.0 - share) * before[venue], rel=1e-9)
        assert account.perp == pytest.approx(-account.coins, rel=1e-9)


@given(
    cash=cashes,
    spot=prices,
    move=st.floats(0.5, 1.5),
    loans=st.tuples(*[st.floats(0.0, 0.2)] * 3),
)
def test_loans_are_repaid_to_zero_and_the_book_stays_hedged(
    cash: float, spot: float, move: float, loans: tuple[float, ...]
) -> None:
    ledger = entered_ledger(cash, spot).at_prices(spot * move, (0.0, 0.0, 0.0))
    owed = {}
    for account, share in zip(ledger.accounts.values(), loans, strict=True):
        account.usdt -= share * account.coins * account.market.spot_price
        owed[account.market.venue] = account.usdt
    ledger.do(ledger.book().repay_loans(INTENT))
    for venue, account in ledger.accounts.items():
        if owed[venue] < 0.0:
            # Sized for the dearer bucket where two disagree, so a little may be left over; never owed.
            assert -1e-9 * cash <= account.usdt <= 0.002 * cash
        else:
            assert account.usdt == owed[venue]
        assert account.perp == pytest.approx(-account.coins, rel=1e-9)


def test_venues_that_owe_nothing_are_left_alone() -> None:
    ledger = entered_ledger(100_000.0, 60_000.0)
    ledger.accounts["binance"].usdt = 5.0
    ledger.accounts["bybit"].usdt = -100.0
    ledger.accounts["okx"].usdt = 0.0
    intents = ledger.book().repay_loans(INTENT)
    assert {intent.venue for intent in intents} == {"bybit"}
    assert operations(intents) == [OperationType.PERP_TRADE, OperationType.SPOT_TRADE]


@given(gaps=st.tuples(*[st.floats(-0.5, 0.5)] * 3))
def test_hedging_again_trades_each_perpetual_to_minus_its_coins(gaps: tuple[float, ...]) -> None:
    ledger = entered_ledger(100_000.0, 60_000.0)
    for account, gap in zip(ledger.accounts.values(), gaps, strict=True):
        account.perp += gap
    ledger.do(ledger.book().hedge_again(INTENT))
    for account in ledger.accounts.values():
        assert account.perp == pytest.approx(-account.coins, rel=1e-9, abs=1e-12)


@given(cash=cashes, spot=prices, idle=st.tuples(*[st.floats(0.0, 0.1)] * 3), wallet=st.floats(0.0, 0.2))
def test_each_venue_invests_its_own_idle_cash_and_its_part_of_the_wallet(
    cash: float, spot: float, idle: tuple[float, ...], wallet: float
) -> None:
    ledger = entered_ledger(cash, spot)
    for account, share in zip(ledger.accounts.values(), idle, strict=True):
        account.usdt += share * cash
    ledger.wallet = wallet * cash
    intents = ledger.book().invest_idle(wallet * cash, level_venues=False)
    assert all(intent.source_venue == "wallet" for intent in intents if intent.pair is None), "no venue gives another"
    ledger.do(intents)
    for account in ledger.accounts.values():
        assert -1e-9 * cash <= account.usdt <= 0.003 * cash
        assert account.perp == pytest.approx(-account.coins, rel=1e-9)


@given(cash=st.floats(10_000.0, 1e6), spot=prices, extra=st.floats(0.1, 0.6), at=st.integers(0, 2))
def test_levelling_moves_equity_to_the_allocation(cash: float, spot: float, extra: float, at: int) -> None:
    ledger = entered_ledger(cash, spot)
    rich = list(ledger.accounts.values())[at]
    rich.entry += extra * spot  # an unrealised profit, so that coins must be sold to share it
    ledger.do(ledger.book().invest_idle(0.0, level_venues=True))
    total = ledger.equity() - ledger.wallet
    for account, share in zip(ledger.accounts.values(), ALLOCATION, strict=True):
        assert account.equity() / total == pytest.approx(share, abs=0.01)
        assert account.perp == pytest.approx(-account.coins, rel=1e-9)


def test_levelling_makes_no_order_of_rounding() -> None:
    """A venue that gives all of its USDT keeps some 1e-12 of it by rounding, of which no coin is bought."""
    ledger = entered_ledger(100_000.0, 60_000.0)
    ledger.accounts["bybit"].entry += 20_000.0
    intents = ledger.book().invest_idle(0.0, level_venues=True)
    assert all(intent.amount * ledger._price(intent) > 1e-3 for intent in intents), intents
