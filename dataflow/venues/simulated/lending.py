"""Aave v3: supply, withdraw, borrow and repay at the snapshot's indexes."""

from dataflow.maths.deltas import Deltas, wallet_debit
from dataflow.maths.lending import borrow_index, health_factor, supply_index, underlying_of
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode
from schemas.instruments import LST_VENUES, PositionKey, PositionType, a_token_key, debt_key, lst_key, wallet_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType

_HEALTH_FACTOR_MIN = 1.0
"""Below it the pool reverts a withdrawal or a loan."""


class SimulatedLending:
    """The lending pool of the simulated world."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Mint or burn scaled units for the underlying; reverts where a loan would be unsafe."""
        world = self._world
        is_deposit = order.operation in (OperationType.SUPPLY, OperationType.WITHDRAW)
        adds = order.operation in (OperationType.SUPPLY, OperationType.BORROW)
        token = (
            order.source_token if order.operation in (OperationType.SUPPLY, OperationType.REPAY) else order.target_token
        )
        series = "liquidity_index" if is_deposit else "variable_borrow_index"
        index = world.snapshot.value_of(series, token)
        scaled = order.amount * (supply_index(index) if is_deposit else borrow_index(index))
        key = a_token_key(token) if is_deposit else debt_key(token)
        pays_in = order.operation in (OperationType.SUPPLY, OperationType.REPAY)
        underlying: Deltas = self._paid(token, order.amount) if pays_in else ((_holder(token), order.amount),)
        deltas: Deltas = ((key, scaled if adds else -scaled), *underlying)
        if not pays_in and self._health_after(deltas) < _HEALTH_FACTOR_MIN:
            return world.refused(order, ErrorCode.EXEC_ORDER_FAILED, "HEALTH_FACTOR_LOWER_THAN_LIQUIDATION_THRESHOLD")
        details = {f"aave_{series}": index, "aave_supply_index" if is_deposit else "aave_borrow_index": 1.0 / index}
        return world.on_chain(order, order.operation.value, deltas, details)

    def _paid(self, token: str, amount: float) -> Deltas:
        if token in LST_VENUES:
            return ((lst_key(token), -amount),)
        return wallet_debit(token, amount, self._world.books.units)

    def _health_after(self, deltas: Deltas) -> float:
        """Health factor that the changes would leave; 999 without debt."""
        world, after = self._world, self._world.books.applied(deltas)
        debt, collateral, thresholds = 0.0, [], []
        for text, units in after.units.items():
            key = PositionKey.parse(text)
            if key.position_type is PositionType.DEBT_TOKEN and units > 0.0:
                index = world.snapshot.value_of("variable_borrow_index", key.underlying)
                debt += underlying_of(units, index) * self._price(key.underlying)
            elif key.position_type is PositionType.A_TOKEN and units > 0.0:
                index = world.snapshot.value_of("liquidity_index", key.underlying)
                collateral.append(underlying_of(units, index) * self._price(key.underlying))
                thresholds.append(world.reserve_thresholds.get(key.underlying, 0.0))
        return health_factor(collateral, thresholds, debt)

    def _price(self, token: str) -> float:
        """USD a unit at the oracle: an LST at its protocol ratio, never at a market price."""
        if token == "USDT":
            return 1.0
        ratio = self._world.snapshot.value_of("lst_oracle_ratio", token) if token in LST_VENUES else 1.0
        return ratio * self._world.snapshot.eth_price


def _holder(token: str) -> str:
    """Key that receives an underlying: the LST's own, else the wallet's."""
    return lst_key(token) if token in LST_VENUES else wallet_key(token)
