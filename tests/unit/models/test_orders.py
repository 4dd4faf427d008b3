"""An order that exists is one that can be sent: every rule of domain 5.1 has a case that breaks it.

Accepted spellings first (the user's examples, legacy synonyms, the dict shorthand of expected deltas), then the table
of refusals with the code each gets, then laws over all sides and levels.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import OrderFormatError, OrderValidationError
from schemas.instruments import VenueKind
from schemas.models import ExpectedDelta, OperationType, Order, parse_order
from schemas.operations import (
    CEX_TRADES,
    DEFI_OPERATIONS,
    REQUIRED_FIELDS,
    ExecutionMode,
    OrderSide,
    OrderType,
    StrategyIntent,
)
from tests.support.catalogue import CATALOGUE

A_USDT, WALLET_USDT = "aave:aToken:aUSDT", "wallet:BaseToken:USDT"
BTC_PERP = "binance:PerpPosition:BTC-PERP"
prices = st.floats(min_value=1e-6, max_value=1e9, allow_nan=False)
sides = st.sampled_from(list(OrderSide))


def supply(**changes: object) -> dict[str, object]:
    """Return a supply of 100 USDT at an index of 1, with ``changes``."""
    return {
        "operation_id": "supply_001",
        "operation": "supply",
        "venue": "aave_v3",
        "amount": 100.0,
        "source_venue": "wallet",
        "target_venue": "aave_v3",
        "source_token": "USDT",
        "target_token": "aUSDT",
        "expected_deltas": {A_USDT: 100.0, WALLET_USDT: -100.0},
        "operation_details": {"aave_supply_index": 1.0, "health_factor_before": 999.0},
        **changes,
    }


def short_perp(**changes: object) -> dict[str, object]:
    """Return a sale of 0.5 BTC perpetual, with ``changes``."""
    return {
        "operation_id": "perp_001",
        "operation": "perp_trade",
        "venue": "binance",
        "amount": 0.5,
        "source_venue": "binance",
        "target_venue": "binance",
        "source_token": "USDT",
        "target_token": "BTC-PERP",
        "pair": "BTC/USDT",
        "side": "SELL",
        "price": 60_000.0,
        "expected_deltas": {BTC_PERP: -0.5},
        **changes,
    }


def without(raw: dict[str, object], *fields: str) -> dict[str, object]:
    """Return the raw order without some fields."""
    return {name: value for name, value in raw.items() if name not in fields}


class TestAccepted:
    """Spellings that are read, and what is stored."""

    def test_defaults_are_those_of_the_specification(self) -> None:
        order = parse_order(supply())
        assert (order.order_type, order.execution_mode) == (OrderType.MARKET, ExecutionMode.SEQUENTIAL)
        assert (order.timestamp_group, order.priority, order.strategy_intent) == ("default", 0, None)

    def test_dict_shorthand_becomes_full_deltas(self) -> None:
        first, second = parse_order(supply()).expected_deltas
        assert first == ExpectedDelta(
            position_key=A_USDT,
            delta_amount=100.0,
            token="aUSDT",
            venue="aave_v3",
            operation_type=OperationType.SUPPLY,
        )
        assert (second.token, second.venue, second.delta_amount) == ("USDT", "wallet", -100.0)

    def test_deltas_may_leave_out_what_the_key_and_the_order_say(self) -> None:
        short = parse_order(supply(expected_deltas=[{"position_key": A_USDT, "delta_amount": 100.0}]))
        assert short.expected_deltas == (ExpectedDelta.of(A_USDT, 100.0, OperationType.SUPPLY),)

    def test_old_keys_are_stored_in_the_canonical_spelling(self) -> None:
        order = parse_order(short_perp(expected_deltas={"binance:Perp:BTC-PERP": -0.5}))
        assert order.expected_deltas[0].position_key == BTC_PERP

    @pytest.mark.parametrize("pair", ["BTC/USDT", "BTC-USDT", "BTCUSDT"])
    def test_pairs_are_stored_without_separator(self, pair: str) -> None:
        assert parse_order(short_perp(pair=pair)).pair == "BTCUSDT"

    def test_token_in_and_out_fold_into_source_and_target(self) -> None:
        raw = without(supply(), "source_token", "target_token")
        order = parse_order({**raw, "token_in": "USDT", "token_out": "aUSDT"})
        assert (order.source_token, order.target_token) == ("USDT", "aUSDT")
        assert "token_in" not in order.model_dump()

    def test_token_folds_into_both(self) -> None:
        raw = without(supply(), "source_token", "target_token")
        order = parse_order({**raw, "token": "USDT"})
        assert (order.source_token, order.target_token) == ("USDT", "USDT")

    def test_token_fills_only_what_is_absent(self) -> None:
        assert parse_order(supply(token="USDT")).target_token == "aUSDT"

    def test_the_input_is_left_as_it_was(self) -> None:
        raw = supply(token="USDT")
        parse_order(raw)
        assert raw["token"] == "USDT"
        assert isinstance(raw["expected_deltas"], dict)

    def test_members_of_a_group_may_be_bookkeeping_without_deltas(self) -> None:
        raw = supply(operation="flash_borrow", venue="instadapp", source_venue="morpho", target_venue="wallet")
        group = {"atomic_group_id": "g", "sequence_in_group": 0, "execution_mode": "atomic", "expected_deltas": []}
        assert parse_order({**raw, **group}).is_atomic()

    def test_json_there_and_back_is_the_identity(self) -> None:
        order = parse_order(short_perp(strategy_intent="entry_full", take_profit=50_000.0, stop_loss=61_000.0))
        assert order.strategy_intent is StrategyIntent.ENTRY_FULL
        assert parse_order(order.model_dump_json()) == order


class TestHelpers:
    """What an order says of itself."""

    @pytest.mark.parametrize(
        ("side", "direction"),
        [
            pytest.param("BUY", 1, id="buy-adds"),
            pytest.param("LONG", 1, id="long-adds"),
            pytest.param("SELL", -1, id="sell-takes"),
            pytest.param("SHORT", -1, id="short-takes"),
        ],
    )
    def test_sides_have_a_direction(self, side: str, direction: int) -> None:
        order = parse_order(short_perp(side=side))
        assert (order.direction, order.signed_amount) == (direction, direction * 0.5)

    def test_trades_know_their_venue(self) -> None:
        order = parse_order(short_perp())
        assert order.is_cex_trade()
        assert not order.is_defi_operation()
        assert not order.is_atomic()
        assert order.get_venue_type(CATALOGUE) is VenueKind.CEX

    def test_a_supply_is_on_chain(self) -> None:
        order = parse_order(supply())
        assert order.is_defi_operation()
        assert not order.is_wallet_transfer()
        assert order.get_venue_type(CATALOGUE) is VenueKind.DEFI

    @pytest.mark.parametrize(("source", "expected"), [("wallet", True), ("bybit", False)])
    def test_only_transfers_that_touch_the_wallet_are_wallet_transfers(self, source: str, expected: bool) -> None:
        raw = supply(operation="transfer", venue="wallet", source_venue=source, target_venue="binance")
        assert parse_order({**raw, "target_token": "USDT"}).is_wallet_transfer() is expected

    def test_every_operation_is_a_trade_or_a_transfer_or_on_chain(self) -> None:
        assert CEX_TRADES | DEFI_OPERATIONS | {OperationType.TRANSFER} == set(OperationType)
        assert not CEX_TRADES & DEFI_OPERATIONS


FORMAT, RULE = OrderFormatError, OrderValidationError
REFUSED = [
    pytest.param(supply(amount="100"), FORMAT, id="amount-as-text"),
    pytest.param(supply(amount=True), FORMAT, id="amount-as-bool"),
    pytest.param(supply(operation="lend"), FORMAT, id="unknown-operation"),
    pytest.param(supply(colour="red"), FORMAT, id="unknown-field"),
    pytest.param(supply(priority="high"), FORMAT, id="priority-as-text"),
    pytest.param(supply(expected_deltas="none"), FORMAT, id="deltas-as-text"),
    pytest.param(supply(expected_deltas=[{"delta_amount": 1.0}]), FORMAT, id="delta-without-key"),
    pytest.param(supply(amount=0.0), RULE, id="zero-amount"),
    pytest.param(supply(amount=-1.0), RULE, id="negative-amount"),
    pytest.param(supply(amount=float("nan")), RULE, id="amount-not-a-number"),
    pytest.param(supply(amount=float("inf")), RULE, id="infinite-amount"),
    pytest.param(supply(operation_id=""), RULE, id="empty-id"),
    pytest.param(supply(venue="Kraken!"), RULE, id="no-venue-id"),
    pytest.param(supply(expected_deltas={}), RULE, id="no-deltas"),
    pytest.param(supply(expected_deltas={"aave:aUSDT": 1.0}), RULE, id="malformed-key"),
    pytest.param(supply(expected_deltas={A_USDT: float("nan")}), RULE, id="delta-not-a-number"),
    pytest.param(
        supply(expected_deltas=[{"position_key": A_USDT, "delta_amount": 1.0, "token": "USDT"}]),
        RULE,
        id="token-is-not-that-of-the-key",
    ),
    pytest.param(
        supply(expected_deltas=[{"position_key": A_USDT, "delta_amount": 1.0}] * 2), RULE, id="key-given-twice"
    ),
    pytest.param(supply(pair="BTCUSDT", side="BUY"), RULE, id="pair-on-a-supply"),
    pytest.param(supply(stop_loss=1.0), RULE, id="stop-on-a-supply"),
    pytest.param(supply(token_in="ETH"), RULE, id="synonym-contradicts"),
    pytest.param(supply(token="ETH"), RULE, id="token-contradicts-both"),
    pytest.param(supply(execution_mode="atomic"), RULE, id="atomic-without-group"),
    pytest.param(supply(atomic_group_id="g"), RULE, id="group-without-sequence"),
    pytest.param(supply(sequence_in_group=0), RULE, id="sequence-without-group"),
    pytest.param(supply(atomic_group_id="g", sequence_in_group=-1), RULE, id="negative-sequence"),
    pytest.param(supply(slippage_tolerance=1.5), RULE, id="slippage-above-one"),
    pytest.param(supply(operation_details={"index": float("nan")}), RULE, id="detail-not-a-number"),
    pytest.param(without(short_perp(), "pair"), RULE, id="trade-without-pair"),
    pytest.param(without(short_perp(), "side"), RULE, id="trade-without-side"),
    pytest.param(short_perp(price=0.0), RULE, id="zero-price"),
    pytest.param(without(short_perp(order_type="limit"), "price"), RULE, id="limit-without-price"),
]


class TestRefused:
    """Form is EXEC-003, rules are EXEC-004."""

    @pytest.mark.parametrize(("raw", "error"), REFUSED)
    def test_invalid_orders_are_refused(self, raw: dict[str, object], error: type[Exception]) -> None:
        with pytest.raises(error):
            parse_order(raw)

    @pytest.mark.parametrize("operation", list(OperationType))
    def test_every_required_field_is_required(self, operation: OperationType) -> None:
        raw = short_perp() if operation in CEX_TRADES else supply()
        for field in REQUIRED_FIELDS[operation]:
            with pytest.raises((OrderFormatError, OrderValidationError)) as caught:
                parse_order(without({**raw, "operation": operation}, field))
            assert field in caught.value.message

    def test_text_that_is_not_json_is_a_format_error(self) -> None:
        with pytest.raises(OrderFormatError):
            parse_order("{")

    def test_form_precedes_rules(self) -> None:
        with pytest.raises(OrderFormatError):
            parse_order(supply(amount=-1.0, colour="red"))

    def test_all_faults_are_named_at_once(self) -> None:
        with pytest.raises(OrderValidationError) as caught:
            parse_order(supply(amount=-1.0, venue="Kraken!"))
        assert "amount" in caught.value.message
        assert "venue" in caught.value.message

    def test_an_order_cannot_be_changed(self) -> None:
        order = parse_order(supply())
        with pytest.raises(ValidationError):
            order.amount = 1.0  # type: ignore[misc]  # what is tested


class TestLevels:
    """Take profit lies in the direction of the trade, stop loss against it."""

    @given(side=sides, levels=st.lists(prices, min_size=3, max_size=3, unique=True))
    def test_levels_in_the_order_of_the_side_are_accepted_and_reversed_refused(
        self, side: OrderSide, levels: list[float]
    ) -> None:
        stop, price, profit = sorted(levels, reverse=side.direction < 0)
        order = parse_order(short_perp(side=side, price=price, take_profit=profit, stop_loss=stop))
        assert order.take_profit == profit
        with pytest.raises(OrderValidationError):
            parse_order(short_perp(side=side, price=price, take_profit=stop, stop_loss=profit))

    @given(side=sides, price=prices)
    def test_a_level_at_the_price_is_refused(self, side: OrderSide, price: float) -> None:
        with pytest.raises(OrderValidationError):
            parse_order(short_perp(side=side, price=price, stop_loss=price))

    def test_levels_are_compared_with_each_other_when_there_is_no_price(self) -> None:
        raw = without(short_perp(), "price")
        assert parse_order({**raw, "take_profit": 50_000.0, "stop_loss": 61_000.0}).price is None
        with pytest.raises(OrderValidationError):
            parse_order({**raw, "take_profit": 61_000.0, "stop_loss": 50_000.0})


@pytest.mark.parametrize("raw", [supply(amount=0.0), "supply", None], ids=["rule", "text", "nothing"])
def test_model_validation_refuses_as_parsing_does(raw: object) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate(raw)
