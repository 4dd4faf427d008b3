"""The keys of a mode file: ``configs/modes/{mode}.yaml`` (domain section 10)."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.models.config_base import (
    FOR_PEOPLE,
    MUST_AGREE,
    ConfigModel,
    DataColumn,
    ModeId,
    SetOf,
    ShareClassName,
    TokenName,
    VenueName,
)
from schemas.models.config_blocks import (
    ComponentConfig,
    EventLoggerConfig,
    MlConfig,
    StrategyConfig,
    VenueUse,
)
from schemas.units import Fraction, NonNegativeFloat

NO_REWARDS: Final = "base_only"
"""``rewards_mode`` in which nothing is paid beside the yield."""

FamilyName = Literal["lending", "basis", "staking", "leverage", "hedged", "ml"]
"""Families of modes: each has its rules, and what else it fixes, in ``strategies/<family>``."""

Text = Annotated[str, Field(min_length=1)]
LstType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$", max_length=32)]


class ModeSettings(ConfigModel):
    """Every key of a mode file, each checked by itself; ``ModeConfig`` adds the rules between keys."""

    mode: ModeId
    """The name of the file."""
    family: FamilyName | None = None
    """Whose rules it follows. Where it is written, what follows from it need not be; else the switches below say it."""
    description: Annotated[Text, FOR_PEOPLE]
    """What the mode does, one sentence."""
    thesis: Annotated[Text, FOR_PEOPLE]
    """Why it should earn, one line."""
    holds: Annotated[Text, FOR_PEOPLE]
    """What it holds, as in domain 3.1."""
    data_type: Annotated[Literal["defi", "cefi"], FOR_PEOPLE]
    """Where its data comes from: protocols or exchanges."""
    share_class: ShareClassName
    """Currency of capital, equity and P&L."""
    margin_currency: TokenName | None = None
    """Currency of perpetual margin; null without perpetuals."""
    clock_step_seconds: Literal[300, 3_600]
    """Seconds between rows."""
    lending_enabled: bool = False
    """Supplies to a lending protocol."""
    staking_enabled: bool = False
    """Holds a liquid staking token."""
    basis_trade_enabled: bool = False
    """Holds spot against perpetuals."""
    borrowing_enabled: bool = False
    """Takes loans."""
    leverage_enabled: bool = False
    """Loops stake and loan."""
    lst_type: LstType | None = None
    """Which LST it holds, in lower case."""
    lending_protocol: VenueName | None = None
    """Where it lends and borrows."""
    staking_protocol: Annotated[VenueName | None, MUST_AGREE] = None
    """Who issues the LST; follows from lst_type."""
    rewards_mode: Literal["base_only", "base_eigen", "base_eigen_seasonal"] = "base_only"
    """Which staking rewards are paid beside the yield: none, weekly EIGEN, or EIGEN and ETHFI (ruling 25)."""
    margin_ratio_target: Fraction | None = None
    """Margin over perpetual notional to which a hedged mode restores it; an entry that would start below is refused."""
    max_ltv: Fraction | None = None
    """Risk limit: cap of target_ltv; required when borrowing is enabled."""
    stake_allocation_percentage: Fraction | None = None
    """Share of equity that a hedged mode stakes (a fraction, despite its name)."""
    max_underlying_move: NonNegativeFloat | None = None
    """Risk limit: move of the price against the perpetuals after which the margin ratio must still be above
    margin_levels.exit; an entry that would not survive it is refused."""
    dust_delta: Fraction = 0.002
    """Share of equity below which dust is kept (domain 3.0)."""
    target_apy: NonNegativeFloat
    """Fraction; above 1 the loader warns."""
    max_drawdown: Fraction
    """Risk limit: largest fall from a peak; above .5 the loader warns."""
    data_requirements: Annotated[SetOf[DataColumn], Field(min_length=1)]
    """Market columns checked before a run starts."""
    fill_rules: dict[str, str] = Field(default_factory=dict)
    """``{column}.{venue}`` to the venue whose value stands in, or ``mean_of_other_venues`` (ruling 5)."""
    venues: Annotated[dict[str, VenueUse], Field(min_length=1)]
    """Every venue in use, with its kind and what is held there."""
    strategy_config: StrategyConfig
    """What the strategy decides by."""
    ml_config: MlConfig | None = None
    """ML modes only."""
    component_config: ComponentConfig
    """One block for each component."""
    event_logger: EventLoggerConfig = EventLoggerConfig()
    """The event logger."""

    @property
    def pays_rewards(self) -> bool:
        """Whether staking pays more than its yield."""
        return self.rewards_mode != NO_REWARDS

    @property
    def hedge_allocation(self) -> dict[str, float]:
        """Share of equity by exchange, in file order; empty without exchanges."""
        return self.component_config.strategy_manager.position_calculation.hedge_allocation

    @property
    def enabled_venues(self) -> tuple[str, ...]:
        """Venues in use, in file order."""
        return tuple(name for name, use in self.venues.items() if use.enabled)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Position keys in file order, canonical spelling."""
        return self.component_config.position_monitor.position_subscriptions
