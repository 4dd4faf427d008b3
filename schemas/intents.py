"""What a strategy wants done, before prices and expected changes are attached."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.operations import OperationType, OrderSide, StrategyIntent


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """One instruction to one venue, as the strategy states it.

    amount: > 0, in the unit of the source token (underlying for withdraw, borrow and repay; LST units for unstake;
    base units for trades). ``closes_all`` says that the whole scaled balance goes, so that no residue stays.
    atomic_group: label of the group that the order is a member of; its gas item is carried by the last member, so that
    paying it cannot change which token the others debit.
    limit_price: quote per base of an order that was triggered before the row; it fills there, without slippage.
    stop_fraction, target_fraction: distance from the executed price at which the position is to be closed.
    """

    operation: OperationType
    venue: str
    amount: float
    source_venue: str
    target_venue: str
    source_token: str
    target_token: str
    strategy_intent: StrategyIntent
    pair: str | None = None
    side: OrderSide | None = None
    closes_all: bool = False
    atomic_group: str | None = None
    sequence_in_group: int | None = None
    flash_fee_bps: float | None = None
    gas_cost_type: str | None = None
    limit_price: float | None = None
    stop_fraction: float | None = None
    target_fraction: float | None = None


def transfer(source: str, target: str, token: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Move a token between the wallet and an exchange, one to one."""
    return OrderIntent(OperationType.TRANSFER, "wallet", amount, source, target, token, token, intent)


def spot_trade(venue: str, base_asset: str, side: OrderSide, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Buy or sell ``amount`` base units against USDT."""
    tokens = ("USDT", base_asset) if side.direction > 0 else (base_asset, "USDT")
    return OrderIntent(
        OperationType.SPOT_TRADE, venue, amount, venue, venue, *tokens, intent, pair=f"{base_asset}USDT", side=side
    )


def perp_trade(venue: str, base_asset: str, side: OrderSide, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Buy or sell ``amount`` base units of the perpetual."""
    perp = f"{base_asset}-PERP"
    return OrderIntent(
        OperationType.PERP_TRADE, venue, amount, venue, venue, "USDT", perp, intent, pair=f"{base_asset}USDT", side=side
    )


def supply(token: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Supply ``amount`` underlying from the wallet to Aave."""
    return OrderIntent(OperationType.SUPPLY, "aave_v3", amount, "wallet", "aave_v3", token, f"a{token}", intent)


def withdraw(token: str, amount: float, intent: StrategyIntent, *, closes_all: bool = False) -> OrderIntent:
    """Withdraw ``amount`` underlying from Aave to the wallet."""
    return OrderIntent(
        OperationType.WITHDRAW,
        "aave_v3",
        amount,
        "aave_v3",
        "wallet",
        f"a{token}",
        token,
        intent,
        closes_all=closes_all,
    )


def stake(lst: str, protocol: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Stake ``amount`` ETH (WETH first) at a protocol for its token."""
    return OrderIntent(OperationType.STAKE, protocol, amount, "wallet", protocol, "ETH", lst, intent)


def unstake(lst: str, protocol: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Put ``amount`` units of a staking token into the withdrawal queue of its protocol for a claim on ETH."""
    return OrderIntent(OperationType.UNSTAKE, protocol, amount, protocol, protocol, lst, "ETH", intent)


def swap(lst: str, protocol: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Sell ``amount`` units of a staking token for WETH on the DEX."""
    return OrderIntent(OperationType.SWAP, "uniswap", amount, protocol, "wallet", lst, "WETH", intent)


def sell_dust(token: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Sell ``amount`` units of a reward token in the wallet for WETH on the DEX."""
    return OrderIntent(OperationType.SWAP, "uniswap", amount, "wallet", "wallet", token, "WETH", intent)


def borrow(token: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Borrow ``amount`` underlying from Aave to the wallet."""
    return OrderIntent(OperationType.BORROW, "aave_v3", amount, "aave_v3", "wallet", f"debt{token}", token, intent)


def repay(token: str, amount: float, intent: StrategyIntent, *, closes_all: bool = False) -> OrderIntent:
    """Repay ``amount`` underlying from the wallet to Aave."""
    return OrderIntent(
        OperationType.REPAY,
        "aave_v3",
        amount,
        "wallet",
        "aave_v3",
        token,
        f"debt{token}",
        intent,
        closes_all=closes_all,
    )


def flash_borrow(token: str, amount: float, intent: StrategyIntent) -> OrderIntent:
    """Borrow ``amount`` for the length of one transaction, at Morpho through the atomic middleware."""
    return OrderIntent(OperationType.FLASH_BORROW, "instadapp", amount, "morpho", "wallet", token, token, intent)


def flash_repay(token: str, amount: float, fee_bps: float, intent: StrategyIntent) -> OrderIntent:
    """Give back a flash loan of ``amount`` and its fee."""
    return OrderIntent(
        OperationType.FLASH_REPAY, "instadapp", amount, "wallet", "morpho", token, token, intent, flash_fee_bps=fee_bps
    )


def atomic_group(label: str, gas_item: str, members: Sequence[OrderIntent]) -> list[OrderIntent]:
    """The members as one group that succeeds or fails as one; the last carries the group's gas."""
    last = len(members) - 1
    return [
        replace(member, atomic_group=label, sequence_in_group=place, gas_cost_type=gas_item if place == last else None)
        for place, member in enumerate(members)
    ]
