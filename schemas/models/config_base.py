"""What every configuration model is built on: the frozen base, the names a file may use, and rules as data.

A rule looks at several keys at once, so Pydantic cannot place its fault by itself. Here a rule names the keys it
reads and yields faults that carry the key they belong to; the loader can then run every rule whose keys are sound
even when other keys of the file are broken, and so report all faults of a file in one pass.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

TokenName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$", max_length=32)]
"""Name of a token of ``configs/tokens.yaml``; receipts such as aUSDT are parts of position keys, not tokens."""

VenueName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""Venue id: the name of its file in ``configs/venues``."""

PrefixName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""First part of a position key."""

ShareClassName = Literal["USDT", "ETH", "BTC"]
SHARE_CLASSES: Final[tuple[ShareClassName, ...]] = get_args(ShareClassName)
DEFAULT_CAPITAL: Final[dict[ShareClassName, float]] = {"USDT": 100_000.0, "ETH": 100.0, "BTC": 2.0}
"""Capital in share-class units where a mode names none (ruling 32)."""


class ListOrder(StrEnum):
    """Whether the order of a list in a file says anything; that of a mapping never does."""

    SET = "set"
    SEQUENCE = "sequence"


ItemT = TypeVar("ItemT")

SetOf = Annotated[tuple[ItemT, ...], ListOrder.SET]
"""A list in any order: two files that differ in it alone are one configuration."""


class ConfigModel(BaseModel):
    """A frozen model that refuses unknown keys and silent conversions (a number is never read from text)."""

    # Built when first used: most models are read as part of another one only.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


@dataclass(frozen=True)
class Purpose:
    """Why a key is there although no value of it changes a run; ``meaning`` says so in the reference page."""

    meaning: str


FOR_PEOPLE: Final = Purpose("For people: nothing acts on it.")
MUST_AGREE: Final = Purpose("Says what other keys say: a rule refuses what disagrees.")
BOUNDS: Final = Purpose("A rule refuses what is beyond it.")

ModeId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""Name of a mode: that of its file, and of its strategy module where it has one."""


class ModeName(StrEnum):
    """The ten modes of domain section 3, which fixes what each of them must measure and attribute."""

    PURE_LENDING_USDT = "pure_lending_usdt"
    PURE_LENDING_ETH = "pure_lending_eth"
    BTC_BASIS = "btc_basis"
    ETH_BASIS = "eth_basis"
    ETH_STAKING_ONLY = "eth_staking_only"
    ETH_LEVERAGED = "eth_leveraged"
    USDT_MARKET_NEUTRAL_NO_LEVERAGE = "usdt_market_neutral_no_leverage"
    USDT_MARKET_NEUTRAL = "usdt_market_neutral"
    ML_BTC_DIRECTIONAL_USDT_MARGIN = "ml_btc_directional_usdt_margin"
    ML_BTC_DIRECTIONAL_BTC_MARGIN = "ml_btc_directional_btc_margin"


class RiskType(StrEnum):
    """Risk types of domain 3.1."""

    CEX_MARGIN_RATIO = "cex_margin_ratio"
    DELTA_RISK = "delta_risk"
    LTV_RISK = "ltv_risk"
    LIQUIDATION_RISK = "liquidation_risk"


class AttributionType(StrEnum):
    """Parts into which P&L is attributed, domain 4.5, in the order in which they are summed."""

    STAKING_YIELD_ORACLE = "staking_yield_oracle"
    STAKING_YIELD_REWARDS = "staking_yield_rewards"
    FUNDING_PNL = "funding_pnl"
    DELTA_PNL = "delta_pnl"
    BASIS_PNL = "basis_pnl"
    NET_DELTA_PNL = "net_delta_pnl"
    DUST_PNL = "dust_pnl"
    SUPPLY_YIELD = "supply_yield"
    BORROW_COST = "borrow_cost"
    TRANSACTION_COSTS = "transaction_costs"


class DataColumn(StrEnum):
    """Market columns and feeds a mode may require; the market reader delivers them under these names."""

    SPOT_PRICE = "spot_price"
    PERP_MARK = "perp_mark"
    FUNDING_RATE = "funding_rate"
    REFERENCE_PRICE = "reference_price"
    ETH_PRICE = "eth_price"
    BTC_PRICE = "btc_price"
    LIQUIDITY_INDEX = "liquidity_index"
    VARIABLE_BORROW_INDEX = "variable_borrow_index"
    LST_ORACLE_RATIO = "lst_oracle_ratio"
    LST_MARKET_RATIO = "lst_market_ratio"
    GAS_PRICE_GWEI = "gas_price_gwei"
    STAKING_REWARDS = "staking_rewards"
    OHLCV = "ohlcv"
    PREDICTION = "prediction"


class FaultKind(StrEnum):
    """Why a key is at fault; the loader gives each kind its error code."""

    RULE = "config_rule"
    MISSING = "config_missing"
    VENUE = "config_venue"


Location = tuple[str | int, ...]
"""Path of a key from the top of its file: ``("venues", "okx", "instruments", 0)``."""


@dataclass(frozen=True)
class RuleFault:
    """One broken rule: the key where it shows, and in one line what is wrong and what would be right."""

    key: Location
    message: str
    kind: FaultKind = FaultKind.RULE


SubjectT = TypeVar("SubjectT", contravariant=True)
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True)
class Rule(Generic[SubjectT]):
    """A check and the dotted keys it reads."""

    reads: tuple[str, ...]
    check: Callable[[SubjectT], Iterable[RuleFault]]


def broken_rules(
    subject: SubjectT, rules: Iterable[Rule[SubjectT]], unreadable: Collection[str] = ()
) -> Iterator[RuleFault]:
    """Yield the faults of every rule of which no key is unreadable.

    ``unreadable`` are dotted keys that did not validate; a rule that reads one of them, a part of one or a parent of
    one is skipped, because its answer would rest on a value nobody wrote.
    """
    for rule in rules:
        if not any(_overlap(key, other) for key in rule.reads for other in unreadable):
            yield from rule.check(subject)


def raise_broken_rules(title: str, faults: Iterable[RuleFault]) -> None:
    """Raise one ``ValidationError`` that holds every fault at its own location; nothing when there is none."""
    errors = [
        InitErrorDetails(
            type=PydanticCustomError("config_rule", "{fault}", {"fault": fault.message, "kind": fault.kind.value}),
            loc=fault.key,
            input=None,
        )
        for fault in faults
    ]
    if errors:
        raise ValidationError.from_exception_data(title, errors)


def in_canonical_order(model: ModelT) -> ModelT:
    """Return the model with its sets and mappings sorted: equal for two files that differ in their order alone."""
    ordered = {
        name: _ordered(getattr(model, name), is_set=ListOrder.SET in info.metadata)
        for name, info in type(model).model_fields.items()
    }
    return model.model_copy(update=ordered)


def _ordered(value: object, *, is_set: bool) -> object:
    if isinstance(value, BaseModel):
        return in_canonical_order(value)
    if isinstance(value, dict):
        return {key: _ordered(value[key], is_set=False) for key in sorted(value)}
    return tuple(sorted(value)) if is_set and isinstance(value, tuple) else value


def _overlap(key: str, other: str) -> bool:
    """Whether one dotted key is the other or lies inside it."""
    return key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.")
