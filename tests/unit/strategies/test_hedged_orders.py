"""Orders of a hedged book that an earlier failure has left in disorder: idle ETH, USDT at exchanges, uneven margin."""

from dataclasses import replace

import pytest

from dataflow.maths.costs import CostModel
from schemas.intents import OrderIntent
from schemas.operations import OperationType, OrderSide, StrategyIntent
from schemas.trade_rules import TradeRuleBook
from strategies.hedged.orders import HedgedBook, MarginVenue

PRICE, ORACLE = 2_000.0, 1.05
INTENT = StrategyIntent.EXIT_FULL
ALLOCATION = {"binance": 0.4, "bybit": 0.3, "okx": 0.3}


def venue(name: str, quote: float, perp: float) -> MarginVenue:
    return MarginVenue(name, PRICE, PRICE, quote, perp, PRICE if perp else 0.0, ALLOCATION[name])


def book(*, staked: float = 10.0, wallet: float = 0.0, desk: float = 0.0, quote: float = 20_000.0) -> HedgedBook:
    """A book that is hedged whatever lies where: the shorts are all the ETH there is, margin is by allocation."""
    eth = staked + wallet + desk
    return HedgedBook(
        trade_rules=TradeRuleBook(),
        venues=tuple(venue(name, share * quote, -share * eth) for name, share in ALLOCATION.items()),
        spot_venue="binance",
        lst="weETH",
        lst_units=staked / ORACLE,
        wallet_eth=wallet,
        desk_eth=desk,
        oracle_ratio=ORACLE,
        market_ratio=ORACLE,
        eth_price=PRICE,
        gas_unit_usd=0.0,
        stake_share=0.5,
        margin_target=0.5,
        leverage=None,
        costs=CostModel.free(),
    )


def amount(orders: list[OrderIntent], operation: OperationType, *, venue: str | None = None) -> float:
    """Sum of the amounts of one operation, at one venue or all."""
    return sum(o.amount for o in orders if o.operation is operation and venue in (None, o.venue))


def test_leaving_sells_staked_waiting_and_stranded_eth() -> None:
    orders = book(staked=10.0, wallet=1.0, desk=2.0).leave(INTENT)
    assert amount(orders, OperationType.SWAP) == pytest.approx(10.0 / ORACLE)
    assert amount(orders, OperationType.SPOT_TRADE) == pytest.approx(13.0)
    assert amount(orders, OperationType.PERP_TRADE) == pytest.approx(13.0)
    to_desk = [o for o in orders if o.operation is OperationType.TRANSFER and o.target_venue == "binance"]
    assert [o.amount for o in to_desk] == [pytest.approx(11.0)], "what lies at the desk need not travel"
    home = [o for o in orders if o.operation is OperationType.TRANSFER and o.target_venue == "wallet"]
    assert sum(o.amount for o in home) == pytest.approx(20_000.0 + 13.0 * PRICE)


def test_leaving_with_nothing_but_stranded_eth_sells_it() -> None:
    orders = book(staked=0.0, desk=2.0).leave(INTENT)
    assert amount(orders, OperationType.SPOT_TRADE) == 2.0
    assert amount(orders, OperationType.SWAP) == 0.0


def test_entering_uses_what_already_lies_at_the_exchanges() -> None:
    parked = replace(book(staked=0.0, quote=0.0), venues=tuple(venue(n, 10_000.0, 0.0) for n in ALLOCATION))
    orders = parked.enter(60_000.0, INTENT)
    moved = [o for o in orders if o.operation is OperationType.TRANSFER and o.source_token == "USDT"]
    assert {o.target_venue for o in moved} == {"binance"}
    sources = {
        source: sum(o.amount for o in moved if o.source_venue == source) for source in ("wallet", "bybit", "okx")
    }
    assert sources == pytest.approx({"wallet": 30_000.0, "bybit": 1_000.0, "okx": 1_000.0})
    assert amount(orders, OperationType.SPOT_TRADE) == pytest.approx(15.0)


def test_entering_moves_what_lies_at_the_wrong_exchange() -> None:
    uneven = replace(
        book(staked=0.0, quote=0.0),
        venues=(venue("binance", 0.0, 0.0), venue("bybit", 0.0, 0.0), venue("okx", 60_000.0, 0.0)),
    )
    orders = uneven.enter(60_000.0, INTENT)
    moves = [
        (o.source_venue, o.amount) for o in orders if o.source_token == "USDT" and o.target_venue != o.source_venue
    ]
    assert {source for source, _ in moves} == {"okx"}
    assert sum(moved for _, moved in moves) == pytest.approx(51_000.0)


def test_idle_eth_is_staked_and_the_shorts_stay() -> None:
    orders = book(wallet=1.0, desk=2.0).stake_idle(0.4, INTENT)
    assert [(o.operation, o.amount) for o in orders] == [(OperationType.TRANSFER, 2.0), (OperationType.STAKE, 3.0)]


def test_gas_money_is_not_idle() -> None:
    assert book(wallet=0.0009).idle_eth == 0.0


def test_restoring_margin_sells_idle_eth_before_it_unstakes() -> None:
    poor = book(staked=10.0, wallet=2.0, quote=1_000.0)
    orders = poor.restore_margin(0.4, 20_000.0, INTENT)
    sold = amount(orders, OperationType.SPOT_TRADE)
    assert sold == pytest.approx(12.0 - 0.5 * 20_000.0 / PRICE)
    assert amount(orders, OperationType.SWAP) * ORACLE == pytest.approx(sold - 2.0)
    assert amount(orders, OperationType.PERP_TRADE) == pytest.approx(sold)


def test_investing_excess_margin_counts_idle_eth_and_leaves_the_target() -> None:
    rich = book(staked=1.0, quote=30_000.0)
    orders = replace(rich, stake_share=0.9).invest_excess(32_000.0, INTENT)
    bought = amount(orders, OperationType.SPOT_TRADE)
    assert 1.0 < bought < 0.9 * 32_000.0 / PRICE - 1.0, "less than equity asks for"
    for exchange in rich.venues[1:]:
        left = exchange.quote_units - sum(o.amount for o in orders if o.source_venue == exchange.venue and not o.pair)
        short = abs(exchange.perp_units) + amount(orders, OperationType.PERP_TRADE, venue=exchange.venue)
        assert left >= 0.5 * short * PRICE
    with_idle = replace(rich, desk_eth=0.5).invest_excess(20_000.0, INTENT)
    assert amount(with_idle, OperationType.SPOT_TRADE) == pytest.approx(5.0 - 1.0 - 0.5)


def test_hedging_again_brings_margin_to_an_exchange_that_has_too_little() -> None:
    uneven = replace(
        book(), venues=(venue("binance", 20_000.0, -4.0), venue("bybit", 100.0, -3.0), venue("okx", 5_000.0, -3.0))
    )
    orders = uneven.hedge_again(1.0, 0.4, INTENT)
    assert [o.target_venue for o in orders if o.operation is OperationType.TRANSFER] == ["bybit", "okx"]
    assert {o.side for o in orders if o.operation is OperationType.PERP_TRADE} == {OrderSide.SHORT}
    assert book().hedge_again(1.0, 0.4, INTENT)[0].operation is OperationType.PERP_TRADE, "not where margin is there"
