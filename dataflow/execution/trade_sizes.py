"""What an exchange takes in one order: trades of a decision in lots, larger ones as equal parts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from schemas.instruments import perp_key
from schemas.intents import OrderIntent
from schemas.operations import OperationType
from schemas.snapshot import MarketSnapshot
from schemas.trade_rules import TradeRuleBook, TradeRules


def order_value_usd(order: OrderIntent, snapshot: MarketSnapshot) -> float:
    """Size of an order in USD, >= 0: base units at mid, other amounts at the price of their token."""
    if order.pair is not None:
        series = "perp_mark" if order.target_token.endswith("-PERP") else "spot_price"
        return order.amount * snapshot.value_of(series, order.venue) * snapshot.price(snapshot.quote_token)
    is_of_source = order.source_token in snapshot.prices  # else a receipt: the amount is of what it is a claim on
    return order.amount * snapshot.price(order.source_token if is_of_source else order.target_token)


def within_trade_sizes(
    orders: Sequence[OrderIntent],
    snapshot: MarketSnapshot,
    largest_usd: Mapping[str, float],
    rules: TradeRuleBook,
    held: Mapping[str, float],
) -> list[OrderIntent]:
    """The orders, each trade cut down to lots and, where it is larger than its exchange takes, in parts.

    What is below the least size is left out; what is ordered is sent as it is. The parts are as few as needed and
    equal, but for a lot. largest_usd: exchange to the largest order value, USD. held: position key to units.
    Source: [domain] section 2, trade sizes.
    """
    parts: list[OrderIntent] = []
    for order in orders:
        if order.pair is None:
            parts.append(order)
            continue
        own, value_usd = rules.of(order.operation, order.venue, order.pair), order_value_usd(order, snapshot)
        price_usd = value_usd / order.amount
        price = price_usd / snapshot.price(snapshot.quote_token)
        amount = own.cut(order.amount, price, closes=_closes(order, held))
        if amount > 0.0:
            level = None if order.limit_price is None else own.at_tick(order.limit_price)
            most = largest_usd.get(order.venue, math.inf)
            sizes = (
                _parts(amount, value_usd, most) if own.step == 0.0 else _parts_in_lots(amount, most / price_usd, own)
            )
            parts.extend(replace(order, amount=size, limit_price=level) for size in sizes)
    return parts


def _parts(amount: float, value_usd: float, largest_usd: float) -> list[float]:
    """Equal parts of an amount."""
    count = max(math.ceil(value_usd / largest_usd), 1)
    return [amount] if count == 1 else [amount / count] * count


def _parts_in_lots(amount: float, largest: float, rules: TradeRules) -> list[float]:
    """Parts of an amount, each of whole lots and none above the largest, that differ by at most a lot."""
    lots = rules.lots(amount)
    count = 1 if math.isinf(largest) else math.ceil(lots / max(rules.lots(largest), 1))
    small, larger = divmod(lots, count)
    return [rules.of_lots(small + (place < larger)) for place in range(count)]


def _closes(order: OrderIntent, held: Mapping[str, float]) -> bool:
    """Whether a trade makes a perpetual smaller."""
    if order.operation is not OperationType.PERP_TRADE or order.side is None:
        return False
    units = held.get(perp_key(order.venue, order.target_token.removesuffix("-PERP")), 0.0)
    return units * order.side.direction < 0.0
