"""The other on-chain venues: the wallet, staking protocols, the DEX and the flash lender."""

from dataflow.maths.deltas import Deltas, wallet_debit
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import ErrorCode
from schemas.instruments import LST_VENUES, cex_key, claim_key, lst_key, wallet_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType
from schemas.units import BPS


class SimulatedWallet:
    """Transfers to and from exchanges, within the row, one to one, gas on the wallet's side; between exchanges free."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Move a token between the wallet and an exchange, or between exchanges."""
        world, token = self._world, order.source_token
        from_wallet, to_wallet = order.source_venue == "wallet", order.target_venue == "wallet"
        source = (
            wallet_debit(token, order.amount, world.books.units)
            if from_wallet
            else ((cex_key(order.source_venue, token), -order.amount),)
        )
        received = "ETH" if order.target_token == "WETH" and not to_wallet else order.target_token
        target = wallet_key(received) if to_wallet else cex_key(order.target_venue, received)
        deltas: Deltas = (*source, (target, order.amount))
        if not from_wallet and (call := world.margin_call(order.source_venue, source)):
            return world.refused(order, ErrorCode.EXEC_ORDER_FAILED, call)
        if from_wallet or to_wallet:
            return world.on_chain(order, "transfer", deltas, {})
        if missing := world.shortfall(deltas):
            return world.refused(order, ErrorCode.EXEC_ORDER_FAILED, missing)
        return world.confirmed(order, deltas, {})


class SimulatedStaking:
    """A staking protocol: stake and unstake at the oracle ratio; an unstaked claim waits at the protocol."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Mint LST for ETH or WETH, or burn LST for a claim on ETH. [domain] ruling 10."""
        world = self._world
        stakes = order.operation is OperationType.STAKE
        lst = order.target_token if stakes else order.source_token
        ratio = world.snapshot.value_of("lst_oracle_ratio", lst)
        if stakes:
            deltas: Deltas = (
                (lst_key(lst), order.amount / ratio),
                *wallet_debit(order.source_token, order.amount, world.books.units),
            )
        else:
            deltas = ((lst_key(lst), -order.amount), (claim_key(lst), order.amount * ratio))
        return world.on_chain(order, order.operation.value, deltas, {"lst_oracle_ratio": ratio})


class SimulatedDex:
    """A DEX: a staking or reward token for WETH at the market ratio less slippage."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Swap a token that is held for WETH in the wallet."""
        world, token = self._world, order.source_token
        ratio, pair = world.snapshot.dex_market(token)
        slippage = world.costs.slippage("swap", order.venue, pair, order.amount * ratio * world.snapshot.eth_price)
        received = order.amount * ratio * (1.0 - slippage)
        source = lst_key(token) if token in LST_VENUES else wallet_key(token)
        deltas: Deltas = ((source, -order.amount), (wallet_key(order.target_token), received))
        details = {"market_ratio": ratio, "slippage_bps": slippage / BPS}
        return world.on_chain(order, order.operation.value, deltas, details)


class SimulatedFlashLender:
    """A lender for the length of one transaction; its fee is what the order says."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def execute(self, order: Order) -> ExecutionHandshake:
        """Lend, or take back the loan and its fee; never outside an atomic group."""
        world = self._world
        if order.atomic_group_id is None:
            message = "A flash loan lives for one transaction: put it into an atomic group"
            return world.refused(order, ErrorCode.EXEC_ORDER_VALIDATION_FAILED, message)
        if order.operation is OperationType.FLASH_BORROW:
            deltas: Deltas = ((wallet_key(order.target_token), order.amount),)
        else:
            owed = order.amount * (1.0 + (order.flash_fee_bps or 0.0) * BPS)
            deltas = wallet_debit(order.source_token, owed, world.books.units)
        return world.on_chain(order, order.operation.value, deltas, {})
