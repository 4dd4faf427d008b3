"""What a venue behind the port can do: its operations and features, declared once, shown in ``docs/venues.md``.

A conformance case is skipped only because a capability it needs is not declared here; an order for an operation that
is not declared is refused with VEN-001.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from schemas.operations import OperationType


class Feature(StrEnum):
    """What a venue may or may not have beside its operations; the value is how the page names it."""

    SINGLE_ORDERS = "orders outside a group"
    LOOK_UP = "look-up by operation id"
    IDEMPOTENCE = "idempotent operation id"
    BALANCES = "reported balances"
    ATOMIC_GROUPS = "atomic groups"
    FLASH_LOANS = "flash loans"
    FEE_IN_QUOTE = "fee in the quote asset"
    GAS = "gas from the wallet"
    REALISED_PROFIT = "realised profit of perpetuals"


@dataclass(frozen=True)
class Capabilities:
    """Operations and features of one venue."""

    operations: frozenset[OperationType]
    features: frozenset[Feature]


_EVERY: Final = (Feature.LOOK_UP, Feature.IDEMPOTENCE, Feature.BALANCES)


def _venue(operations: Iterable[OperationType], *features: Feature) -> Capabilities:
    return Capabilities(frozenset(operations), frozenset((*_EVERY, *features)))


_EXCHANGE: Final = _venue(
    (OperationType.SPOT_TRADE, OperationType.PERP_TRADE),
    Feature.SINGLE_ORDERS,
    Feature.FEE_IN_QUOTE,
    Feature.REALISED_PROFIT,
)
_ON_CHAIN: Final = (Feature.SINGLE_ORDERS, Feature.ATOMIC_GROUPS, Feature.GAS)
_STAKING: Final = _venue((OperationType.STAKE, OperationType.UNSTAKE), *_ON_CHAIN)
_FLASH: Final = _venue(
    (OperationType.FLASH_BORROW, OperationType.FLASH_REPAY), Feature.ATOMIC_GROUPS, Feature.FLASH_LOANS, Feature.GAS
)

SIMULATED: Final[Mapping[str, Capabilities]] = MappingProxyType(
    {
        "binance": _EXCHANGE,
        "bybit": _EXCHANGE,
        "okx": _EXCHANGE,
        "wallet": _venue((OperationType.TRANSFER,), Feature.SINGLE_ORDERS, Feature.GAS),
        "aave_v3": _venue(
            (OperationType.SUPPLY, OperationType.WITHDRAW, OperationType.BORROW, OperationType.REPAY), *_ON_CHAIN
        ),
        "etherfi": _STAKING,
        "lido": _STAKING,
        "uniswap": _venue((OperationType.SWAP,), *_ON_CHAIN),
        "instadapp": _FLASH,
        "morpho": _FLASH,
    }
)
"""Venue id to what its simulation can do."""
