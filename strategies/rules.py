"""What a mode is to the engine: its rules of decision and the pieces of its graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from schemas.decisions import DecisionRule


@dataclass(frozen=True, slots=True)
class ModeSpec:
    """A mode: its name, its strategy modules and which contributions its graph sums.

    quantity_parts, value_parts: exposure nodes summed into ``asset_quantity`` and ``asset_value_usd``.
    staked_parts: quantity nodes that make up the hedged ETH of a hedged mode, at the ratios of the row before.
    entry_operations, exit_operations: operations of one full entry and one full exit that pay gas; with
    ``gas_per_venue`` each is done once a venue.
    """

    mode: str
    modules: tuple[ModuleType, ...]
    rules: tuple[DecisionRule, ...]
    quantity_parts: tuple[str, ...]
    value_parts: tuple[str, ...]
    features: Mapping[str, bool]
    entry_operations: tuple[str, ...]
    exit_operations: tuple[str, ...]
    staked_parts: tuple[str, ...] = ("wallet_quantity",)
    gas_per_venue: bool = False


def features(
    *,
    perps: bool = False,
    lending: bool = False,
    borrowing: bool = False,
    staking: bool = False,
    hedged: bool = False,
    directional: bool = False,
    coin_margin: bool = False,
) -> dict[str, bool]:
    """Which kinds of holdings a mode's graph has.

    ``hedged`` shorts perpetuals against staked ETH. ``directional`` holds nothing but perpetuals and their margin,
    which is the base asset itself with ``coin_margin``, else USDT.
    """
    return {
        "perps": perps,
        "lending": lending,
        "borrowing": borrowing,
        "staking": staking,
        "hedged": hedged,
        "directional": directional,
        "coin_margin": coin_margin,
    }
