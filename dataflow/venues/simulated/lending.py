"""Aave v3: supply, withdraw, borrow and repay at the snapshot's indexes, in the contracts' own integers."""

from collections.abc import Callable, Mapping
from typing import Final

from dataflow.maths.deltas import RESIDUE, Deltas, wallet_debit
from dataflow.maths.lending import borrowing, supplying
from dataflow.maths.lending.pool import Pool
from dataflow.maths.lending.reverts import AaveRevertError
from dataflow.venues.simulated.pool import USER, asked_of, pool_at
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode
from schemas.instruments import LST_VENUES, a_token_key, debt_key, lst_key, wallet_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType
from schemas.units import exact_ray, from_ray

_PAYS_IN: Final = (OperationType.SUPPLY, OperationType.REPAY)
_IS_DEPOSIT: Final = (OperationType.SUPPLY, OperationType.WITHDRAW)

_ACTIONS: Final[Mapping[OperationType, Callable[[Pool, str, float], int]]] = {
    OperationType.SUPPLY: lambda pool, token, amount: supplying.supply(pool, USER, token, exact_ray(amount)),
    OperationType.WITHDRAW: lambda pool, token, amount: supplying.withdraw(
        pool, USER, token, asked_of(amount, pool.supplied(USER, token))
    ),
    OperationType.BORROW: lambda pool, token, amount: borrowing.borrow(pool, USER, token, exact_ray(amount)),
    OperationType.REPAY: lambda pool, token, amount: borrowing.repay(
        pool, USER, token, asked_of(amount, pool.owed(USER, token))
    ),
}
"""What the contracts do for each operation; each gives the underlying that moved, as a ray."""


class SimulatedLending:
    """The lending pool of the simulated world."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Mint or burn scaled units for the underlying; refused where the contracts would revert, by their reason."""
        world, is_deposit = self._world, order.operation in _IS_DEPOSIT
        token = order.source_token if order.operation in _PAYS_IN else order.target_token
        series = "liquidity_index" if is_deposit else "variable_borrow_index"
        index = world.snapshot.value_of(series, token)
        pool = pool_at(world.lending, world.snapshot, world.books, int(world.instant.timestamp()))
        before = _scaled(pool, token, is_deposit=is_deposit)
        try:
            paid = from_ray(_ACTIONS[order.operation](pool, token, order.amount))
        except AaveRevertError as error:
            return world.refused(order, ErrorCode.EXEC_ORDER_FAILED, error.revert)
        moved = order.amount if abs(paid - order.amount) <= RESIDUE * order.amount else paid
        minted = _scaled(pool, token, is_deposit=is_deposit) - before
        scaled = from_ray(minted) if minted > 0 else -from_ray(-minted)
        pays_in = order.operation in _PAYS_IN
        deltas: Deltas = (
            (a_token_key(token) if is_deposit else debt_key(token), scaled),
            *(self._paid(token, moved) if pays_in else ((_holder(token), moved),)),
        )
        details = {
            f"aave_{series}": index,
            "aave_supply_index" if is_deposit else "aave_borrow_index": 1.0 / index,
            "executed_amount": moved,
        }
        return world.on_chain(order, order.operation.value, deltas, details)

    def _paid(self, token: str, amount: float) -> Deltas:
        if token in LST_VENUES:
            return ((lst_key(token), -amount),)
        return wallet_debit(token, amount, self._world.books.units)


def _scaled(pool: Pool, token: str, *, is_deposit: bool) -> int:
    account = pool.account(USER)
    return (account.supplied if is_deposit else account.borrowed).get(token, 0)


def _holder(token: str) -> str:
    """Key that receives an underlying: the LST's own, else the wallet's."""
    return lst_key(token) if token in LST_VENUES else wallet_key(token)
