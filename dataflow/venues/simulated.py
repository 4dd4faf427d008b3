"""Simulated venues: they fill at the snapshot's prices, with the run's cost model, against the run's balances.

They compute what changed on their own, from the order alone, so that comparing it with the expected deltas proves
something. Balances are a copy of the engine's, labelled simulated in every record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import Deltas, snapped, wallet_debit
from dataflow.maths.lending import supply_index
from dataflow.venues.port import Router
from schemas.errors import ErrorCode, JsonScalar
from schemas.holdings import Holdings
from schemas.instruments import CEX_VENUES, a_token_key, cex_key, perp_key, wallet_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus, OperationType
from schemas.port import OrderPort
from schemas.snapshot import MarketSnapshot
from schemas.units import BPS

_ROUNDING = 1e-9
"""Share of a flow by which a balance may fall short through rounding. [domain] ruling 8."""


@dataclass
class SimulatedWorld:
    """What all simulated venues share: the market and the balances at the instant of the order being executed."""

    costs: CostModel
    allow_negative_balances: bool
    snapshot: MarketSnapshot
    holdings: Holdings

    def confirmed(
        self, order: Order, deltas: Deltas, details: Mapping[str, JsonScalar], fee: tuple[float, str]
    ) -> ExecutionHandshake:
        """A full fill at the snapshot's instant."""
        instant = datetime.fromisoformat(self.snapshot.timestamp).replace(tzinfo=UTC)
        return ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.CONFIRMED,
            actual_deltas=dict(snapped(deltas, self.holdings.units)),
            execution_details={"executed_amount": order.amount, **details},
            fee_amount=fee[0],
            fee_currency=fee[1],
            submitted_at=instant,
            executed_at=instant,
            simulated=True,
        )

    def refused(self, order: Order, code: ErrorCode, message: str) -> ExecutionHandshake:
        """A failed order that changed nothing."""
        return ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.FAILED,
            error_code=code,
            error_message=message,
            submitted_at=datetime.fromisoformat(self.snapshot.timestamp).replace(tzinfo=UTC),
            simulated=True,
        )

    def shortfall(self, deltas: Deltas) -> str | None:
        """What the changes would overdraw, in words; None where the balances suffice."""
        if self.allow_negative_balances:
            return None
        for key, change in deltas:
            held = self.holdings.units.get(key, 0.0)
            if change < 0.0 and held + change < -_ROUNDING * abs(change):
                return f"Insufficient balance: {key} holds {held!r}, needs {-change!r}"
        return None

    def gas(self, operation: str, deltas: Deltas) -> tuple[float, str] | None:
        """Gas fee and its currency, paid from the wallet after the changes; None where the wallet cannot pay it.

        ETH (or WETH) where held, else USDT at the ETH price. [domain] ruling 12.
        """
        cost_usd = self.costs.gas_usd(operation, self.snapshot.gas_unit_usd)
        if cost_usd == 0.0:
            return 0.0, "USDT"
        after = self.holdings.applied(deltas).units
        in_eth = cost_usd / self.snapshot.eth_price
        held_eth = sum(max(after.get(wallet_key(token), 0.0), 0.0) for token in ("ETH", "WETH"))
        if held_eth >= in_eth:
            return in_eth, "ETH"
        if self.allow_negative_balances or after.get(wallet_key("USDT"), 0.0) >= cost_usd:
            return cost_usd, "USDT"
        return None


class SimulatedExchange:
    """A centralised exchange: spot and linear perpetuals, filled at once as taker."""

    def __init__(self, venue: str, world: SimulatedWorld) -> None:
        self._venue, self._world = venue, world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Fill a spot or perpetual order at the snapshot's price with slippage."""
        assert order.pair is not None
        base = order.pair.removesuffix("USDT")
        is_spot = order.operation is OperationType.SPOT_TRADE
        mid = self._world.snapshot.value_of("spot_price" if is_spot else "perp_mark", self._venue)
        slippage = self._world.costs.slippage(
            "spot" if is_spot else "perp", self._venue, order.pair, order.amount * mid
        )
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
            order, deltas, details, (value * self._world.costs.fee("spot" if is_spot else "perp", self._venue), "USDT")
        )


class SimulatedLending:
    """Aave v3: supply and withdraw at the snapshot's indexes."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Mint or burn scaled units for underlying of the wallet."""
        world = self._world
        is_supply = order.operation is OperationType.SUPPLY
        token = order.source_token if is_supply else order.target_token
        index = world.snapshot.value_of("liquidity_index", token)
        scaled = order.amount * supply_index(index)
        key = a_token_key(token)
        if is_supply:
            deltas: Deltas = ((key, scaled), *wallet_debit(token, order.amount, world.holdings.units))
        else:
            deltas = ((key, -scaled), (wallet_key(token), order.amount))
        if missing := world.shortfall(deltas):
            return world.refused(order, ErrorCode.EXEC_ORDER_FAILED, missing)
        fee = world.gas(order.operation.value, deltas)
        if fee is None:
            return world.refused(order, ErrorCode.EXEC_ORDER_VALIDATION_FAILED, "The wallet cannot pay the gas")
        details: dict[str, JsonScalar] = {
            "aave_supply_index": supply_index(index),
            "aave_liquidity_index": index,
            "gas_used": world.costs.gas_units.get(order.operation.value, 0.0),
        }
        return world.confirmed(order, deltas, details, fee)


class SimulatedWallet:
    """The wallet: transfers to and from exchanges, within the row, one to one, gas on the wallet's side."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Move a token between the wallet and an exchange, or between exchanges (free)."""
        world, token = self._world, order.source_token
        from_wallet, to_wallet = order.source_venue == "wallet", order.target_venue == "wallet"
        source = (
            wallet_debit(token, order.amount, world.holdings.units)
            if from_wallet
            else ((cex_key(order.source_venue, token), -order.amount),)
        )
        target = wallet_key(order.target_token) if to_wallet else cex_key(order.target_venue, order.target_token)
        deltas: Deltas = (*source, (target, order.amount))
        if missing := world.shortfall(deltas):
            return world.refused(order, ErrorCode.EXEC_ORDER_FAILED, missing)
        fee = world.gas("transfer", deltas) if from_wallet or to_wallet else (0.0, "USDT")
        if fee is None:
            return world.refused(order, ErrorCode.EXEC_ORDER_VALIDATION_FAILED, "The wallet cannot pay the gas")
        return world.confirmed(order, deltas, {"gas_used": world.costs.gas_units.get("transfer", 0.0)}, fee)


def simulated_router(world: SimulatedWorld, venues: tuple[str, ...]) -> Router:
    """A router over the simulated venues that a run names."""
    interfaces: dict[str, OrderPort] = {}
    for venue in venues:
        if venue in CEX_VENUES:
            interfaces[venue] = SimulatedExchange(venue, world)
        elif venue == "aave_v3":
            interfaces[venue] = SimulatedLending(world)
        elif venue == "wallet":
            interfaces[venue] = SimulatedWallet(world)
    return Router(interfaces)
