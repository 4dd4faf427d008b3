"""A centralised exchange: spot and linear perpetuals, filled at once as taker."""

import math
from typing import Final

from dataflow.maths.costs import Product
from dataflow.maths.deltas import Deltas
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode, JsonScalar
from schemas.instruments import cex_key, perp_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType, OrderType
from schemas.units import BPS

_ROUNDING: Final = 1e-9
"""What dividing an order into equal parts may add to each."""


class SimulatedExchange:
    """One exchange of the simulated world."""

    def __init__(self, venue: str, world: SimulatedWorld) -> None:
        self._venue, self._world = venue, world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Fill a spot or perpetual order at the snapshot's price with slippage, or on the terms arranged for it.

        The bucket of the slippage is that of the order, however little of it is filled: a partial fill costs its share.
        """
        assert order.pair is not None
        base = order.pair.removesuffix("USDT")
        is_spot = order.operation is OperationType.SPOT_TRADE
        product: Product = "spot" if is_spot else "perp"
        mid, slippage = self._quote(order, product)
        largest = self._world.largest_trade_usd.get(self._venue, math.inf)
        if order.amount * mid > largest * (1.0 + _ROUNDING):
            message = (
                f"{self._venue} takes at most {largest:g} USD an order, not {order.amount * mid:g}; send it in parts"
            )
            return self._world.refused(order, ErrorCode.EXEC_ORDER_VALIDATION_FAILED, message)
        rules = self._world.trade_rules.of(order.operation, self._venue, order.pair)
        closes = not is_spot and self._world.books.units[perp_key(self._venue, base)] * order.direction < 0.0
        if rules.cut(order.amount, mid, closes=closes) != order.amount:
            message = (
                f"{self._venue} takes no {order.amount!r} of {order.pair}: lots, least amount, least value: {rules}"
            )
            return self._world.refused(order, ErrorCode.EXEC_ORDER_VALIDATION_FAILED, message)
        terms = self._world.terms_of(order)
        price = mid * (1.0 + order.direction * slippage) * (1.0 + terms.price_shift)
        amount = order.amount * terms.share
        if rules.step > 0.0:
            amount = rules.of_lots(max(rules.lots(amount), 1))
        signed = order.direction * amount
        if is_spot:
            deltas: Deltas = (
                (cex_key(self._venue, base), signed),
                (cex_key(self._venue, "USDT"), -signed * price),
            )
            if missing := self._world.shortfall(deltas):
                return self._world.refused(order, ErrorCode.EXEC_ORDER_FAILED, missing)
        else:
            deltas = ((perp_key(self._venue, base), signed),)
            opens = self._world.books.units[perp_key(self._venue, base)] * signed >= 0.0
            if opens and (call := self._world.margin_call(self._venue, deltas, price)):
                return self._world.refused(order, ErrorCode.EXEC_ORDER_FAILED, call)
        value = amount * price
        details: dict[str, JsonScalar] = {
            "executed_amount": amount,
            "executed_price": price,
            "mid_price": mid,
            "executed_value": value,
            "slippage_bps": slippage / BPS,
        }
        fee, snapshot = value * self._world.costs.fee(product, self._venue), self._world.snapshot
        if is_spot:
            return self._world.confirmed(order, deltas, details, (fee, "USDT"))
        return self._world.confirmed(order, deltas, details, (snapshot.margin_units(fee, mid), snapshot.margin_token))

    def _quote(self, order: Order, product: Product) -> tuple[float, float]:
        """Mid price and slippage: a triggered order fills at its own price, any other at the snapshot's."""
        if order.order_type is OrderType.LIMIT and order.price is not None:
            return order.price, 0.0
        assert order.pair is not None
        mid = self._world.snapshot.value_of("spot_price" if product == "spot" else "perp_mark", self._venue)
        return mid, self._world.costs.slippage(product, self._venue, order.pair, order.amount * mid)
