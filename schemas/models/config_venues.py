"""Configuration of venues, share classes and scenarios (domain section 10)."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schemas.instruments import VenueKind
from schemas.models.config_base import (
    BOUNDS,
    FOR_PEOPLE,
    MUST_AGREE,
    ConfigModel,
    FaultKind,
    ListOrder,
    ModeId,
    PrefixName,
    Rule,
    RuleFault,
    SetOf,
    ShareClassName,
    TokenName,
    broken_rules,
    raise_broken_rules,
)
from schemas.operations import OperationType
from schemas.units import Fraction, NonNegativeFloat, PositiveFloat

SlippageBuckets = Annotated[
    tuple[
        Annotated[float, Field(ge=0.0, le=1_000.0)],
        Annotated[float, Field(ge=0.0, le=1_000.0)],
        Annotated[float, Field(ge=0.0, le=1_000.0)],
    ],
    ListOrder.SEQUENCE,
]
"""Slippage in basis points of an order whose notional is in the first, second or last bucket."""

ON_CHAIN_OPERATIONS: Final = frozenset(
    {
        OperationType.SUPPLY,
        OperationType.WITHDRAW,
        OperationType.BORROW,
        OperationType.REPAY,
        OperationType.STAKE,
        OperationType.UNSTAKE,
        OperationType.SWAP,
        OperationType.TRANSFER,
    }
)
"""Operations that pay gas of their own (flash operations pay the gas of their atomic group)."""


class GasItem(StrEnum):
    """What gas is paid for, domain 4.6: the on-chain operations, whole atomic groups, and one-off set-up."""

    SUPPLY = "supply"
    WITHDRAW = "withdraw"
    BORROW = "borrow"
    REPAY = "repay"
    STAKE = "stake"
    UNSTAKE = "unstake"
    SWAP = "swap"
    TRANSFER = "transfer"
    KING_UNWRAP = "king_unwrap"
    ATOMIC_ENTRY = "atomic_entry"
    ATOMIC_DELEVERAGE_ONE_SWAP = "atomic_deleverage_one_swap"
    ATOMIC_DELEVERAGE_TWO_SWAPS = "atomic_deleverage_two_swaps"
    APPROVAL = "approval"
    SET_EMODE = "set_emode"


class FeeSchedule(ConfigModel):
    """Trading fees of one product, as fractions of notional. Negative is a rebate to makers."""

    maker: Annotated[float, Field(ge=-0.01, le=0.05, allow_inf_nan=False), FOR_PEOPLE]
    """Fee of an order that rested in the book; no order rests."""
    taker: Annotated[float, Field(ge=0.0, le=0.05, allow_inf_nan=False)]
    """Fee of an order that took liquidity; market orders pay this one."""


class VenueFees(ConfigModel):
    """Fees by product (ruling 13)."""

    spot: FeeSchedule | None = None
    """Spot trades."""
    perp: FeeSchedule | None = None
    """Perpetuals."""


class SlippageTable(ConfigModel):
    """Slippage by pair and notional bucket (domain 4.6), in basis points of the mid price."""

    bucket_bounds_usd: Annotated[tuple[PositiveFloat, PositiveFloat], ListOrder.SEQUENCE]
    """Upper notional of the first and the second bucket; above the second the last figure applies."""
    spot: dict[str, SlippageBuckets] = Field(default_factory=dict)
    """Spot pairs, spelt like BTCUSDT."""
    perp: dict[str, SlippageBuckets] = Field(default_factory=dict)
    """Perpetual pairs, spelt like BTCUSDT."""
    swap: dict[str, SlippageBuckets] = Field(default_factory=dict)
    """On-chain pairs, spelt like ETHweETH."""


class PairRules(ConfigModel):
    """What an exchange takes as amount and price of an order in one pair."""

    step: PositiveFloat
    """Lot, base units: amounts are multiples of it."""
    amount_min: PositiveFloat
    """Least amount, base units."""
    notional_min: NonNegativeFloat
    """Least value of an order, quote units; closing a perpetual is free of it."""
    tick: PositiveFloat
    """Prices are multiples of it, quote per base."""


class VenueTradeRules(ConfigModel):
    """Rules of an exchange by product and pair; a scenario or `--trade-rules` switches them on."""

    spot: dict[str, PairRules] = Field(default_factory=dict)
    """Spot pairs, spelt like BTCUSDT."""
    perp: dict[str, PairRules] = Field(default_factory=dict)
    """Perpetual pairs, spelt like BTCUSDT; amounts in base units, not in contracts."""


class RiskParameters(ConfigModel):
    """Aave parameters of one collateral or of an e-mode category; fractions."""

    ltv: Fraction
    """Largest debt over collateral value at which borrowing is allowed."""
    liquidation_threshold: Fraction
    """Debt over collateral value at which a position may be liquidated."""
    liquidation_bonus: Fraction
    """Extra collateral a liquidator receives, per unit repaid."""


class ReserveParameters(RiskParameters):
    """One reserve of a lending market."""

    borrowable: bool = False
    """Whether it can be owed."""


class Products(ConfigModel):
    """What an exchange trades, by base asset; every pair is against the exchange's ``quote``."""

    spot: SetOf[TokenName] = ()
    """Coins that are bought, sold and held."""
    perp: SetOf[TokenName] = ()
    """Base assets of perpetuals."""


class VenueConfig(ConfigModel):
    """One venue: ``configs/venues/{venue}.yaml``. Absent blocks mean that the venue does not do that."""

    venue: str
    """Venue id of domain section 2; the name of the file."""
    venue_type: VenueKind
    """cex, defi, infrastructure or wallet."""
    description: str = ""
    """What it is."""
    supported_operations: Annotated[SetOf[OperationType], BOUNDS]
    """Operations that may be routed here."""
    key_prefix: PrefixName | None = None
    """First part of the position keys of what is held here; null: the venue id."""
    key_aliases: SetOf[PrefixName] = ()
    """Old prefixes of position keys, still read."""
    quote: TokenName | None = None
    """Currency of an exchange's prices and margin."""
    products: Products | None = None
    """What an exchange trades."""
    funding_interval_hours: Annotated[PositiveFloat | None, FOR_PEOPLE] = None
    """Hours between two funding settlements of its perpetuals; a run takes them from the data."""
    issues: SetOf[TokenName] = ()
    """Liquid staking tokens that a staking protocol issues."""
    rewards: dict[str, SetOf[TokenName]] = Field(default_factory=dict)
    """``rewards_mode`` of a mode to the tokens that are paid to its stakers beside the yield."""
    fees: VenueFees | None = None
    """Trading fees by product."""
    slippage_bps: SlippageTable | None = None
    """Slippage by product, pair and bucket."""
    gas_units: dict[GasItem, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    """Gas used by each on-chain item; cost in ETH = units x gwei x 1e-9."""
    min_trade_size_usd: NonNegativeFloat | None = None
    """Smallest order value, USD; the strategies leave smaller ones out, as they do below `min_trade_usd`."""
    max_trade_size_usd: PositiveFloat | None = None
    """Largest order value, USD; larger trades go out in equal parts."""
    max_leverage: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] | None = None
    """Largest notional over margin that the venue allows: an entry above it is refused, a later breach is RISK-001."""
    collateral_factor: Fraction | None = None
    """Share of a coin's value that counts as margin (domain 3.2)."""
    liquidation_fee: Fraction | None = None
    """Charged on the notional of a liquidated perpetual (ruling 21)."""
    maintenance_margin_rate: Fraction | None = None
    """In the liquidation price (ruling 21)."""
    network: Annotated[str | None, FOR_PEOPLE] = None
    """Chain of an on-chain venue."""
    reserves: dict[str, ReserveParameters] = Field(default_factory=dict)
    """Lending reserves by underlying token."""
    emode: RiskParameters | None = None
    """ETH-correlated e-mode category."""
    contract_version: Literal["3.0.2", "3.6"] = "3.6"
    """Version of the lending contracts: their roundings, checks and names of reverts."""
    close_factor: Fraction | None = None
    """Share of the debt one liquidation may repay (ruling 22)."""
    close_factor_full_below_health_factor: PositiveFloat | None = None
    """Health factor at or below which the whole debt may be repaid (ruling 22)."""
    flash_loan_fee_bps: NonNegativeFloat | None = None
    """Fee of a flash loan, basis points of the loan."""
    min_stake_amount: Annotated[NonNegativeFloat | None, FOR_PEOPLE] = None
    """Smallest stake that the protocol takes, ETH."""
    unstaking_period_days: NonNegativeFloat | None = None
    """Days from unstake to claim (ruling 10)."""
    slippage_tolerance_bps: Annotated[NonNegativeFloat | None, BOUNDS] = None
    """Slippage above which a swap reverts: no bucket of the venue may be above it."""
    max_gas_limit: Annotated[Annotated[int, Field(gt=0)] | None, BOUNDS] = None
    """Gas limit of one transaction: no gas item of the venue may be above it."""
    trade_rules: VenueTradeRules | None = None
    """Lots, least sizes and ticks; none: any amount."""
    protocols: Annotated[SetOf[str], FOR_PEOPLE] = ()
    """Protocols that an atomic middleware or an aggregator reaches."""

    @property
    def prefix(self) -> str:
        """First part of the position keys of what is held here."""
        return self.key_prefix or self.venue

    @model_validator(mode="after")
    def _rules(self) -> "VenueConfig":
        """Refuse a venue that breaks a rule of its kind."""
        raise_broken_rules("VenueConfig", broken_rules(self, VENUE_RULES))
        return self


_CEX_KEYS: Final = (
    "quote",
    "products",
    "fees",
    "slippage_bps",
    "max_leverage",
    "collateral_factor",
    "liquidation_fee",
)


def _cex_blocks(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that an exchange has all that a simulated fill and a margin call read."""
    if venue.venue_type is not VenueKind.CEX:
        return
    for name in _CEX_KEYS:
        if getattr(venue, name) is None:
            message = f"an exchange needs {name}: without it neither fills nor margin can be computed"
            yield RuleFault((name,), message, FaultKind.MISSING)


def _product_blocks(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that a traded product has its fee schedule and its slippage."""
    products = {OperationType.SPOT_TRADE: "spot", OperationType.PERP_TRADE: "perp"}
    for operation, product in products.items():
        if operation not in venue.supported_operations:
            continue
        if venue.fees is not None and getattr(venue.fees, product) is None:
            yield RuleFault(("fees", product), f"{operation} is supported but has no fees", FaultKind.MISSING)
        if venue.slippage_bps is not None and not getattr(venue.slippage_bps, product):
            message = f"{operation} is supported but no pair has slippage"
            yield RuleFault(("slippage_bps", product), message, FaultKind.MISSING)
        if venue.products is not None and not getattr(venue.products, product):
            message = f"{operation} is supported but no base asset is traded"
            yield RuleFault(("products", product), message, FaultKind.MISSING)
    trades_perps = OperationType.PERP_TRADE in venue.supported_operations
    if trades_perps and venue.funding_interval_hours is None:
        message = "perpetuals need funding_interval_hours, the hours between two settlements"
        yield RuleFault(("funding_interval_hours",), message, FaultKind.MISSING)


def _staking_blocks(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that a staking protocol says what it issues."""
    if OperationType.STAKE in venue.supported_operations and not venue.issues:
        yield RuleFault(("issues",), "stake needs the liquid staking tokens that are issued", FaultKind.MISSING)


def _slippage_shape(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that buckets ascend and that a larger order never slips less."""
    table = venue.slippage_bps
    if table is None:
        return
    if table.bucket_bounds_usd[0] >= table.bucket_bounds_usd[1]:
        message = f"bucket bounds must ascend: write {_ascending(table.bucket_bounds_usd)}"
        yield RuleFault(("slippage_bps", "bucket_bounds_usd"), message)
    for product, pairs in (("spot", table.spot), ("perp", table.perp), ("swap", table.swap)):
        for pair, buckets in pairs.items():
            if list(buckets) != sorted(buckets):
                message = f"slippage must not fall as the notional grows: write {_ascending(buckets)}"
                yield RuleFault(("slippage_bps", product, pair), message)


def _ascending(numbers: tuple[float, ...]) -> str:
    listed = ", ".join(f"{number:.12g}" for number in sorted(numbers))
    return f"[{listed}]"


def _trade_sizes(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that the smallest trade is not above the largest."""
    low, high = venue.min_trade_size_usd, venue.max_trade_size_usd
    if low is not None and high is not None and low > high:
        yield RuleFault(("min_trade_size_usd",), f"{low:g} is above max_trade_size_usd {high:g}")


def _gas_of_operations(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that each on-chain operation has its gas; exchanges pay none (ruling 9)."""
    if venue.venue_type is VenueKind.CEX:
        return
    for operation in venue.supported_operations:
        if operation in ON_CHAIN_OPERATIONS and GasItem(operation.value) not in venue.gas_units:
            yield RuleFault(("gas_units", operation.value), f"{operation} needs its gas units", FaultKind.MISSING)


def _gas_limit(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that no transaction needs more gas than the venue's limit of one."""
    for item, units in venue.gas_units.items():
        if venue.max_gas_limit is not None and units > venue.max_gas_limit:
            yield RuleFault(("gas_units", item.value), f"{units} is above max_gas_limit {venue.max_gas_limit}")


def _slippage_tolerance(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that no swap slips more than what makes it revert."""
    table, tolerance = venue.slippage_bps, venue.slippage_tolerance_bps
    if table is None or tolerance is None:
        return
    for pair, buckets in table.swap.items():
        if max(buckets) > tolerance:
            message = f"{max(buckets):g} is above slippage_tolerance_bps {tolerance:g}: the swap would always revert"
            yield RuleFault(("slippage_bps", "swap", pair), message)


def _lending_blocks(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that a lending venue has reserves, and a borrowing one says how much a liquidation closes."""
    if OperationType.SUPPLY in venue.supported_operations and not venue.reserves:
        yield RuleFault(("reserves",), "supply needs the risk parameters of each reserve", FaultKind.MISSING)
    if OperationType.BORROW in venue.supported_operations and venue.close_factor is None:
        yield RuleFault(("close_factor",), "borrow needs the close factor of a liquidation", FaultKind.MISSING)


def _reserve_order(venue: VenueConfig) -> Iterator[RuleFault]:
    """Check that LTV is below the liquidation threshold, and a liquidation at the threshold can pay its bonus."""
    named: list[tuple[tuple[str, ...], RiskParameters]] = [
        (("reserves", token), parameters) for token, parameters in venue.reserves.items()
    ]
    if venue.emode is not None:
        named.append((("emode",), venue.emode))
    for key, parameters in named:
        threshold = parameters.liquidation_threshold
        if parameters.ltv > threshold:
            yield RuleFault((*key, "ltv"), f"{parameters.ltv:g} is above liquidation_threshold {threshold:g}")
        if threshold * (1.0 + parameters.liquidation_bonus) > 1.0:
            message = "liquidation_threshold x (1 + bonus) is above 1: the collateral could not pay the liquidator"
            yield RuleFault((*key, "liquidation_bonus"), message)


VENUE_RULES: Final[tuple[Rule[VenueConfig], ...]] = (
    Rule(("venue_type", *_CEX_KEYS), _cex_blocks),
    Rule(
        ("supported_operations", "fees", "slippage_bps", "products", "funding_interval_hours"),
        _product_blocks,
    ),
    Rule(("supported_operations", "issues"), _staking_blocks),
    Rule(("slippage_bps",), _slippage_shape),
    Rule(("min_trade_size_usd", "max_trade_size_usd"), _trade_sizes),
    Rule(("venue_type", "supported_operations", "gas_units"), _gas_of_operations),
    Rule(("gas_units", "max_gas_limit"), _gas_limit),
    Rule(("slippage_bps", "slippage_tolerance_bps"), _slippage_tolerance),
    Rule(("supported_operations", "reserves", "close_factor"), _lending_blocks),
    Rule(("reserves", "emode"), _reserve_order),
)


class ApyRange(ConfigModel):
    """Target APY from min to max, fractions."""

    min: NonNegativeFloat
    """Lower end."""
    max: NonNegativeFloat
    """Upper end."""


class ShareClassConfig(ConfigModel):
    """One share class: ``configs/share_classes/{class}.yaml``."""

    share_class: ShareClassName
    """Name of the class and of the file."""
    type: Annotated[Literal["stable", "directional"], BOUNDS]
    """Stable or directional."""
    description: str
    """What it is."""
    quote_currency: Annotated[Literal["USDT", "ETH", "BTC"], MUST_AGREE]
    """Currency its equity is quoted in."""
    decimal_places: Annotated[Annotated[int, Field(ge=0, le=18)], FOR_PEOPLE]
    """Decimals of the currency; a backtest never rounds by it (ruling 9)."""
    risk_level: Annotated[Literal["low", "medium", "high"], FOR_PEOPLE]
    """How much risk the class takes."""
    market_neutral: Annotated[bool, FOR_PEOPLE]
    """Modes hold no price risk."""
    allows_hedging: Annotated[bool, BOUNDS]
    """Modes may hold perpetuals against coins."""
    supported_strategies: Annotated[SetOf[ModeId], FOR_PEOPLE] = ()
    """Modes of this class; what a mode may do follows from its family."""
    leverage_supported: Annotated[bool, BOUNDS]
    """Modes may lever."""
    staking_supported: Annotated[bool, BOUNDS]
    """Modes may stake."""
    basis_trading_supported: Annotated[bool, BOUNDS]
    """Modes may trade the basis."""
    max_leverage: Annotated[float, Field(ge=1.0, allow_inf_nan=False)]
    """Risk limit: the most that a mode may hold over its equity, what loans pay for and the notional of a
    directional position included: an entry above it is refused, a later breach is RISK-001."""
    target_apy_range: Annotated[ApyRange, FOR_PEOPLE]
    """What the class aims at."""
    max_drawdown: Fraction
    """Risk limit of the class: a run whose equity falls further than this fraction from its highest says so."""

    @model_validator(mode="after")
    def _rules(self) -> "ShareClassConfig":
        """Refuse a class with an empty range."""
        raise_broken_rules("ShareClassConfig", broken_rules(self, SHARE_CLASS_RULES))
        return self


def _quote_currency(config: ShareClassConfig) -> Iterator[RuleFault]:
    """Check that equity is quoted in the class itself."""
    if config.quote_currency != config.share_class:
        yield RuleFault(("quote_currency",), f"equity of share class {config.share_class} is quoted in it")


def _apy_range(config: ShareClassConfig) -> Iterator[RuleFault]:
    """Check that the range is not empty."""
    if config.target_apy_range.min >= config.target_apy_range.max:
        yield RuleFault(("target_apy_range", "min"), "min must be below max")


SHARE_CLASS_RULES: Final[tuple[Rule[ShareClassConfig], ...]] = (
    Rule(("share_class", "quote_currency"), _quote_currency),
    Rule(("target_apy_range",), _apy_range),
)
