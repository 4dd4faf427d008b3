"""What an exchange takes in one order: larger trades of a decision go out as equal parts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from schemas.intents import OrderIntent
from schemas.snapshot import MarketSnapshot


def order_value_usd(order: OrderIntent, snapshot: MarketSnapshot) -> float:
    """Size of an order in USD, >= 0: base units at mid, other amounts at the price of their token."""
    if order.pair is not None:
        series = "perp_mark" if order.target_token.endswith("-PERP") else "spot_price"
        return order.amount * snapshot.value_of(series, order.venue) * snapshot.price(snapshot.quote_token)
    is_of_source = order.source_token in snapshot.prices  # else a receipt: the amount is of what it is a claim on
    return order.amount * snapshot.price(order.source_token if is_of_source else order.target_token)


def within_trade_sizes(
    orders: Sequence[OrderIntent], snapshot: MarketSnapshot, largest_usd: Mapping[str, float]
) -> list[OrderIntent]:
    """The orders, each trade that is larger than its exchange takes in as few equal parts as it needs.

    largest_usd: exchange to the largest order value, USD. Source: [domain] section 2, trade sizes.
    """
    parts: list[OrderIntent] = []
    for order in orders:
        largest = largest_usd.get(order.venue)
        if order.pair is None or largest is None:
            parts.append(order)
            continue
        count = max(math.ceil(order_value_usd(order, snapshot) / largest), 1)
        parts.extend([order if count == 1 else replace(order, amount=order.amount / count)] * count)
    return parts
