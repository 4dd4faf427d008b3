"""Blocks of a mode's configuration (domain section 10): strategy, ML, components, event logger, health.

A number that bounds a risk has no default. It is either required or, where only some modes carry the risk, ``None``
until written; ``config_rules`` then demands it from the modes that do.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.instruments import VenueKind
from schemas.models.config_base import (
    FOR_PEOPLE,
    MUST_AGREE,
    AttributionType,
    ConfigModel,
    ModeId,
    RiskType,
    SetOf,
    ShareClassName,
    TokenName,
)
from schemas.models.message import KeyText
from schemas.units import FUNDING_APR_MAX, Fraction, NonNegativeFloat, PositiveFloat

FundingApr = Annotated[float, Field(ge=-FUNDING_APR_MAX, le=FUNDING_APR_MAX, allow_inf_nan=False)]
"""A fraction of notional per year; beyond 5 % in 8 hours it is a unit error."""

Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
PositiveCount = Annotated[int, Field(gt=0)]

FsyncPolicy = Literal["never", "interval", "every"]
"""When the operating system is told to put what was written onto the disk."""


class MarginLevels(ConfigModel):
    """Margin ratios at which an exchange position is watched, reduced, closed, liquidated (ruling 17)."""

    warning: PositiveFloat
    """Below it: RISK-001, and hedged modes move margin (ruling 18)."""
    reduce: PositiveFloat
    """Below it: half of spot and perpetual is closed on every venue."""
    exit: PositiveFloat
    """Below it: the whole position is closed."""
    liquidation: PositiveFloat
    """Below it: the venue closes the perpetuals (ruling 21)."""
    excess: PositiveFloat | None = None
    """Above it a hedged mode takes margin back (ruling 18: 2.0)."""


class StrategyConfig(ConfigModel):
    """What the strategy of a mode decides by."""

    delta_tracking_asset: TokenName
    """Asset whose net delta is reported and, in hedged modes, held at zero."""
    position_deviation_threshold: Fraction = 0.02
    """Equity change since the last rebalance, in share class, that rescales all legs (domain 3.0)."""
    initial_capital: PositiveFloat | None = None
    """Share-class units; null: 100,000 USDT, 100 ETH or 2 BTC (ruling 32)."""
    min_trade_usd: NonNegativeFloat = 10.0
    """Orders of a rebalance at or below this value are not sent (ruling 14)."""
    gas_reserve_multiple: NonNegativeFloat = 3.0
    """Multiple of one entry's plus one full exit's gas that an entry leaves in the wallet (ruling 12)."""
    funding_enter_apr: FundingApr = 0.0
    """Enter above this yearly rate: funding of the last 24 hours, weighted by allocation (ruling 15)."""
    funding_leave_apr: FundingApr = 0.0
    """Leave below it (ruling 15)."""
    reentry_cooldown_hours: NonNegativeFloat = 24.0
    """No entry for so long after a risk exit (ruling 15)."""
    venue_share_tolerance: Fraction = 0.05
    """Distance of a venue's share of equity from hedge_allocation that moves money (ruling 14)."""
    net_delta_trade: Fraction | None = None
    """Risk limit: net-delta fraction above which the perpetual leg is traded back (ruling 16: 0.02)."""
    margin_levels: MarginLevels | None = None
    """Risk limits of modes that hold perpetuals."""
    margin_loan_limit: Fraction | None = None
    """Risk limit: share of a venue's equity that USDT may be below zero before spot is sold (ruling 8: 0.001)."""
    target_ltv: Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)] | None = None
    """Debt over collateral that a leveraged mode holds."""
    ltv_drift_tolerance: Fraction | None = None
    """Risk limit: absolute distance from target_ltv that acts (ruling 19: 0.02)."""
    leverage_route: Literal["flash", "loop"] = "flash"
    """How leverage is taken on and off: one atomic group around a flash loan, or a sequential loop of loans, or sales,
    each paying its own gas (domain 3.2)."""
    loop_stop_usd: PositiveFloat = 10_000.0
    """The loop stops before a loan below this value (domain 3.2)."""
    dust_gas_multiple: NonNegativeFloat = 1.0
    """Reward tokens are sold only when worth more than so many times the gas of their sale (domain 4.9)."""
    unstake_route: Literal["swap", "queue"] = "swap"
    """How staked ETH comes back where no risk presses: sold at the market ratio, or at the oracle ratio through the
    protocol's withdrawal queue after its delay (ruling 10)."""


class MlConfig(ConfigModel):
    """How an ML mode turns predictions into trades (domain 3.2)."""

    model_name: Annotated[str, FOR_PEOPLE]
    """Model that makes the predictions."""
    model_version: Annotated[str, FOR_PEOPLE]
    """Its version."""
    signal_threshold: Fraction = 0.7
    """A signal acts above this confidence."""
    max_position_size: PositiveFloat = 1.0
    """Notional over equity."""
    predictions_file: str | None = None
    """File of predictions outside the data set; null reads the data set's own."""
    take_profit_sd: PositiveFloat
    """Risk limit: distance of the target from entry, in predicted standard deviations."""
    stop_loss_sd: PositiveFloat
    """Risk limit: distance of the stop from entry, in predicted standard deviations."""
    sd_floor_bps: PositiveFloat = 10.0
    """Smallest predicted standard deviation that is used, in basis points."""
    sd_cap_bps: PositiveFloat = 1_000.0
    """1,000: a cap of 10 would equal the floor and make the band constant (domain 3.2)."""


class PositionMonitorConfig(ConfigModel):
    """The balances a mode may touch."""

    position_subscriptions: Annotated[SetOf[KeyText], Field(min_length=1)]
    """Every balance the mode may touch."""


class SettlementConfig(ConfigModel):
    """State changes that no order causes (domain 4.8)."""

    funding_enabled: Annotated[bool, MUST_AGREE] = False
    """Perpetuals pay and receive funding."""
    margin_pnl_enabled: Annotated[bool, MUST_AGREE] = False
    """Realised P&L of perpetuals is credited to the venue."""
    seasonal_rewards_enabled: Annotated[bool, MUST_AGREE] = False
    """Reward payouts are settled."""


class RiskLimits(ConfigModel):
    """Risk limits; none has a default, and ``config_rules`` says which mode must write which."""

    delta_tolerance: Fraction | None = None
    """Net-delta fraction above which RISK-001 is raised (ruling 16: 0.005)."""
    liquidation_threshold: Fraction | None = None
    """LTV at which debt may be liquidated; above it the position is closed at once."""
    health_factor_min: Annotated[float, Field(gt=1.0, allow_inf_nan=False)] | None = None
    """Health factor below which debt is reduced to target (domain 3.2: 1.1)."""
    max_stake_spread_move: Fraction | None = None
    """Fall of the LST's market price after which the LTV at target must still be below the liquidation threshold."""


class RiskMonitorConfig(ConfigModel):
    """Which risks are measured, and their limits."""

    enabled_risk_types: Annotated[SetOf[RiskType], MUST_AGREE] = ()
    """Risks that are measured."""
    risk_limits: RiskLimits
    """Required: write ``{}`` where a mode has none."""


class PnlMonitorConfig(ConfigModel):
    """Attribution and its tolerance."""

    attribution_types: Annotated[SetOf[AttributionType], Field(min_length=1)]
    """Parts of the P&L."""
    reconciliation_tolerance: Fraction = 0.02
    """Unexplained P&L over initial capital and year that raises PNL-004 (domain 4.5)."""
    reporting_currency: Annotated[ShareClassName, MUST_AGREE]
    """The share class."""


class PositionCalculationConfig(ConfigModel):
    """How equity becomes target positions."""

    hedge_allocation: dict[str, Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """Share of equity by exchange; sums to 1 within 0.01."""


class StrategyManagerConfig(ConfigModel):
    """The strategy and what it may do."""

    strategy_type: Annotated[ModeId, MUST_AGREE]
    """The mode itself."""
    position_calculation: PositionCalculationConfig = PositionCalculationConfig()
    """How equity becomes target positions."""


class ExecutionManagerConfig(ConfigModel):
    """The tight loop (was ``venue_manager``)."""

    max_retry_attempts: Annotated[int, Field(ge=0, le=100)] = 3
    """Repeats of an order that failed and may be retried."""
    tight_loop_timeout: Seconds = 120.0
    """Seconds for an order or a group, from its first attempt until it is reconciled; EXEC-005 beyond them."""
    retry_delay_seconds: NonNegativeFloat = 0.1
    """Wait before a repeat."""
    execution_timeout: Seconds = 30.0
    """Seconds until the outcome of an attempt at an order must be known; cancelled, or EXEC-002, beyond them."""
    validity_window: Seconds = 5.0
    """Seconds after sending beyond which a venue refuses an order."""
    void_margin: Seconds = 10.0
    """Seconds after the validity window from which on a look-up that finds no order may be believed."""
    reconciliation_timeout: Seconds = 10.0
    """Seconds for each comparison with the venues; EXEC-005 beyond them."""


class PositionUpdateHandlerConfig(ConfigModel):
    """Comparison of what happened with what was expected."""

    reconciliation_tolerance: Fraction = 0.01
    """Relative difference of a delta that counts as a mismatch."""


class ComponentConfig(ConfigModel):
    """One block for each component (names are those of domain section 1, in snake case)."""

    position_monitor: PositionMonitorConfig
    """Balances."""
    settlement: SettlementConfig = SettlementConfig()
    """Funding, rewards, realised P&L."""
    risk_monitor: RiskMonitorConfig
    """Risk."""
    pnl_monitor: PnlMonitorConfig
    """P&L."""
    strategy_manager: StrategyManagerConfig
    """Decisions."""
    execution_manager: ExecutionManagerConfig = ExecutionManagerConfig()
    """The tight loop."""
    position_update_handler: PositionUpdateHandlerConfig = PositionUpdateHandlerConfig()
    """Reconciliation."""


class EventLoggingSettings(ConfigModel):
    """How events are written."""

    buffer_size: PositiveCount = 100
    """Events that wait for each other before they are written (domain section 8)."""
    fsync: FsyncPolicy = "interval"
    """When the log is made durable: never, each 5 seconds and at the end, or each time that it is written."""


class LogRetentionPolicy(ConfigModel):
    """How large log files grow; how long runs stay is for ``basis runs prune`` to say."""

    max_file_size_mb: PositiveCount = 100
    """Size at which a file rotates."""


class EventLoggerConfig(ConfigModel):
    """The event logger."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """Least level of the component logs that is written; errors always are."""
    event_logging_settings: EventLoggingSettings = EventLoggingSettings()
    """How events are written."""
    log_retention_policy: LogRetentionPolicy = LogRetentionPolicy()
    """How large log files grow."""
    filters: SetOf[str] = ()
    """Components whose records are dropped, but for their errors."""


class VenueUse(ConfigModel):
    """How a mode uses one venue."""

    venue_type: Annotated[VenueKind, MUST_AGREE]
    """As in the venue's own file."""
    enabled: bool = True
    """Whether the mode uses it."""
    instruments: Annotated[SetOf[KeyText], MUST_AGREE] = ()
    """Position keys held there; each is subscribed."""
    order_types: Annotated[SetOf[Literal["market", "limit"]], MUST_AGREE] = ()
    """Orders that it sends there."""
