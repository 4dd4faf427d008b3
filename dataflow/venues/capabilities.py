"""What a venue behind the port can do: its operations, as its file says, and the features that follow.

Shown in ``docs/venues.md``.

A conformance case is skipped only because a capability it needs is not declared here; an order for an operation that
is not declared is refused with VEN-001.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.instruments import VenueKind
from schemas.models.catalogue import Catalogue
from schemas.models.config_venues import VenueConfig
from schemas.operations import FLASH_OPERATIONS, OperationType


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
_EXCHANGE: Final = (Feature.SINGLE_ORDERS, Feature.FEE_IN_QUOTE, Feature.REALISED_PROFIT)
_WALLET: Final = (Feature.SINGLE_ORDERS, Feature.GAS)
_PROTOCOL: Final = (Feature.SINGLE_ORDERS, Feature.ATOMIC_GROUPS, Feature.GAS)
_LENDER: Final = (Feature.ATOMIC_GROUPS, Feature.FLASH_LOANS, Feature.GAS)


def _features(venue: VenueConfig) -> Iterator[Feature]:
    """What a simulated venue has, by its kind and what it does."""
    operations = frozenset(venue.supported_operations)
    yield from _EVERY
    if venue.venue_type is VenueKind.CEX:
        yield from _EXCHANGE
        return
    if operations & FLASH_OPERATIONS:
        yield from _LENDER
    if OperationType.TRANSFER in operations:
        yield from _WALLET
    elif operations - FLASH_OPERATIONS:
        yield from _PROTOCOL


def simulated_capabilities(catalogue: Catalogue) -> Mapping[str, Capabilities]:
    """Venue id to what its simulation can do: every venue at which something can be done."""
    return {
        name: Capabilities(frozenset(venue.supported_operations), frozenset(_features(venue)))
        for name, venue in catalogue.venues.items()
        if venue.supported_operations
    }
