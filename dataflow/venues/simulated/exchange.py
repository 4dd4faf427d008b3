"""A centralised exchange: spot and linear perpetuals, filled at once as taker."""

from dataflow.maths.costs import Product
from dataflow.maths.deltas import Deltas
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode, JsonScalar
from schemas.instruments import cex_key, perp_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType
from schemas.units import BPS


class SimulatedExchange:
    """One exchange of the simulated world."""

    def __init__(self, venue: str, world: SimulatedWorld) -> None:
        self._venue, self._world = venue, world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Fill a spot or perpetual order at the snapshot's price with slippage."""
        assert order.pair is not None
        base = order.pair.removesuffix("USDT")
        is_spot = order.operation is OperationType.SPOT_TRADE
        product: Product = "spot" if is_spot else "perp"
        mid = self._world.snapshot.value_of("spot_price" if is_spot else "perp_mark", self._venue)
        slippage = self._world.costs.slippage(product, self._venue, order.pair, order.amount * mid)
        price = mid * (1.0 + order.direction * slippage)
        if is_spot:
            deltas: Deltas = (
                (cex_key(self._venue, base), order.signed_amount),
                (cex_key(self._venue, "USDT"), -order.signed_amount * price),
            )
            if missing := self._world.shortfall(deltas):
                return self._world.refused(order, ErrorCode.EXEC_ORDER_FAILED, missing)
        else:
            deltas = ((perp_key(self._venue, base), order.signed_amount),)
        value = order.amount * price
        details: dict[str, JsonScalar] = {
            "executed_price": price,
            "mid_price": mid,
            "executed_value": value,
            "slippage_bps": slippage / BPS,
        }
        return self._world.confirmed(
            order, deltas, details, (value * self._world.costs.fee(product, self._venue), "USDT")
        )
