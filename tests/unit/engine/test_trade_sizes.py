"""An order that is larger than its exchange takes goes out in parts; an exchange refuses one that does not."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.execution.trade_sizes import order_value_usd, within_trade_sizes
from schemas.errors import ErrorCode
from schemas.intents import perp_trade, spot_trade, transfer
from schemas.operations import OperationType, OrderSide, StrategyIntent
from schemas.snapshot import MarketSnapshot
from schemas.trade_rules import TradeRuleBook, TradeRules
from tests.support.desk import SNAPSHOT, Desk
from tests.support.markets import quiet_market
from tests.support.prices import token_prices
from tests.support.runs import prepared, run_in_memory

ENTRY = StrategyIntent.ENTRY_FULL
MARKET = MarketSnapshot("2024-05-12T00:00:00", token_prices(3_000.0), 0.0, "BTC", {"okx": 50_000.0}, {"okx": 51_000.0})
LARGEST = {"okx": 1e6}
NONE = TradeRuleBook()
LOTS = TradeRules(step=0.00001, amount_min=0.00002, notional_min=5.0, tick=0.5)
RULES = TradeRuleBook(
    dict.fromkeys(
        [(operation, "okx", "BTCUSDT") for operation in (OperationType.SPOT_TRADE, OperationType.PERP_TRADE)], LOTS
    )
)


@given(quantity=st.floats(1e-6, 1e4))
def test_the_parts_are_equal_small_enough_and_the_whole(quantity: float) -> None:
    for order in (
        spot_trade("okx", "BTC", OrderSide.BUY, quantity, ENTRY),
        perp_trade("okx", "BTC", OrderSide.SHORT, quantity, ENTRY),
    ):
        parts = within_trade_sizes([order], MARKET, LARGEST, NONE, {})
        assert len({part.amount for part in parts}) == 1
        assert sum(part.amount for part in parts) == pytest.approx(quantity, rel=1e-12)
        assert order_value_usd(parts[0], MARKET) <= LARGEST["okx"] * (1.0 + 1e-12)
        assert len(parts) == 1 or order_value_usd(order, MARKET) > (len(parts) - 1) * LARGEST["okx"]


@given(quantity=st.floats(1e-6, 1e4))
def test_with_lots_the_parts_are_whole_lots_small_enough_and_all_but_less_than_a_lot(quantity: float) -> None:
    parts = within_trade_sizes([spot_trade("okx", "BTC", OrderSide.BUY, quantity, ENTRY)], MARKET, LARGEST, RULES, {})
    assert all(LOTS.cut(part.amount, 50_000.0) == part.amount for part in parts)
    assert all(order_value_usd(part, MARKET) <= LARGEST["okx"] * (1.0 + 1e-12) for part in parts)
    left = quantity - sum(part.amount for part in parts)
    assert -1e-9 * quantity <= left < LOTS.step * (1.0 + 1e-6) or (not parts and quantity * 50_000.0 < 5.0 + 0.5)


@given(amount=st.floats(1e-6, 1e6), step=st.sampled_from([1e-8, 1e-5, 0.001, 0.01, 0.25, 1.0]))
def test_what_is_cut_to_lots_stays_as_it_is_when_cut_again(amount: float, step: float) -> None:
    rules = TradeRules(step=step)
    cut = rules.cut(amount, 1.0)
    assert rules.cut(cut, 1.0) == cut
    assert cut <= amount * (1.0 + 1e-9)
    assert amount - cut < step * (1.0 + 1e-6)


@pytest.mark.parametrize(("held", "sent"), [(-0.00007, 1), (0.0, 0), (0.00007, 0)])
def test_closing_a_perpetual_is_free_of_the_least_value(held: float, sent: int) -> None:
    order = perp_trade("okx", "BTC", OrderSide.LONG, 0.00007, ENTRY)
    assert len(within_trade_sizes([order], MARKET, LARGEST, RULES, {"okx:PerpPosition:BTC-PERP": held})) == sent


def test_a_level_is_a_price_on_a_tick() -> None:
    order = replace(perp_trade("okx", "BTC", OrderSide.LONG, 0.1, ENTRY), limit_price=50_000.3)
    assert within_trade_sizes([order], MARKET, {}, RULES, {})[0].limit_price == 50_000.5


def test_an_exchange_refuses_what_is_not_in_its_lots(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"binance:BaseToken:USDT": 5e6, "binance:BaseToken:BTC": 0.0})
    desk.world.trade_rules = TradeRuleBook({(OperationType.SPOT_TRADE, "binance", "BTCUSDT"): LOTS})
    desk.process([spot_trade("binance", "BTC", OrderSide.BUY, 0.123456, ENTRY)])
    (operation,) = desk.events("operation_executions")
    assert (operation["status"], operation["error_code"]) == ("failed", ErrorCode.EXEC_ORDER_VALIDATION_FAILED.value)


def test_what_is_no_trade_or_has_no_limit_is_left_as_it_is() -> None:
    orders = [transfer("wallet", "okx", "USDT", 5e6, ENTRY), spot_trade("okx", "BTC", OrderSide.BUY, 100.0, ENTRY)]
    assert within_trade_sizes(orders, MARKET, {}, NONE, {}) == orders
    assert within_trade_sizes(orders[:1], MARKET, LARGEST, NONE, {}) == orders[:1]


def test_an_exchange_refuses_an_order_that_is_too_large(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"binance:BaseToken:USDT": 5e6, "binance:BaseToken:BTC": 0.0})
    desk.world.largest_trade_usd = {"binance": 1e6}
    desk.process([spot_trade("binance", "BTC", OrderSide.BUY, 1.001e6 / SNAPSHOT.spot_price["binance"], ENTRY)])
    (operation,) = desk.events("operation_executions")
    assert (operation["status"], operation["error_code"]) == ("failed", ErrorCode.EXEC_ORDER_VALIDATION_FAILED.value)
    assert "in parts" in str(operation["error_message"])


def test_a_large_book_is_opened_in_parts_and_is_as_hedged_as_a_small_one(tmp_path: Path) -> None:
    run = run_in_memory(prepared("btc_basis"), quiet_market("btc_basis", 9), tmp_path, capital=1e7)
    trades = [event for event in run.events("operation_executions") if event["operation_type"] != "transfer"]
    assert {event["status"] for event in trades} == {"confirmed"}
    assert len(trades) == 2 * (4 + 3 + 3), "4, 3 and 3 million"
    assert run.column("net_delta_fraction")[-1] < 1e-9
    assert abs(run.column("unexplained_pnl")).max() <= 1e-9 * 1e7
