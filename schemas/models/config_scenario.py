"""Scenarios: switches over a run, and shocks over the market that it reads (architecture, section 8).

A shock is one block a kind, so that scenarios combine kind by kind and ``--set scenario:shocks.lst_depeg.depth=0.1``
reaches every number. Each begins at a time after the run's first row, or at an instant.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas.models.config_base import ConfigModel, SetOf, TokenName, VenueName
from schemas.units import FUNDING_RATE_MAX, SECONDS_PER_HOUR

Hours = Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)]


def _instant(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"is not an instant: {text!r}; write 2024-05-12 or 2024-05-12T00:00Z") from error
    return text


class Shock(ConfigModel):
    """When a shock begins: on the first row at or after its instant."""

    starts_after_hours: Annotated[float, Field(ge=0.0, le=1e6, allow_inf_nan=False)] = 168.0
    """Hours between the first row of the run and the shock."""
    starts_at: Annotated[str, AfterValidator(_instant)] | None = None
    """Instant of the shock, ISO-8601, UTC assumed; in place of ``starts_after_hours``."""

    @model_validator(mode="after")
    def _one_start(self) -> "Shock":
        if self.starts_at is not None and "starts_after_hours" in self.model_fields_set:
            raise ValueError("starts_at and starts_after_hours are both written: keep one")
        return self

    def start_seconds(self, run_start_seconds: int) -> float:
        """Epoch seconds of its beginning, for a run whose first row is at the epoch seconds given.

        >>> LstDepeg(depth=0.05, starts_after_hours=2.0).start_seconds(3_600)
        10800.0
        """
        if self.starts_at is None:
            return run_start_seconds + self.starts_after_hours * SECONDS_PER_HOUR
        instant = datetime.fromisoformat(self.starts_at)
        return instant.replace(tzinfo=instant.tzinfo or UTC).timestamp()


class LstDepeg(Shock):
    """The staking token sells below what it is worth on the market; its oracle ratio stays."""

    depth: Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)]
    """Fraction of the market ratio that is lost at first."""
    half_life_hours: Hours | None = None
    """Hours in which the gap halves; null: it stays."""


class FundingShock(Shock):
    """Funding settles at one rate for a while, whatever the market says."""

    funding_rate: Annotated[float, Field(ge=-FUNDING_RATE_MAX, le=FUNDING_RATE_MAX, allow_inf_nan=False)]
    """Per settlement; > 0: longs pay shorts."""
    hours: Hours
    """How long."""
    venues: SetOf[VenueName] = ()
    """Exchanges; empty: all."""


class LendingRateShock(Shock):
    """Lending accrues at fixed rates for a while; afterwards the indexes grow as before, from where they are."""

    borrow_apr: Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)] | None = None
    """A year, compounded continuously; null: as in the data."""
    supply_apr: Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)] | None = None
    """A year, compounded continuously; null: as in the data."""
    hours: Hours
    """How long."""
    tokens: SetOf[TokenName] = ()
    """Underlying tokens of the reserves; empty: all."""

    @model_validator(mode="after")
    def _some_rate(self) -> "LendingRateShock":
        if self.borrow_apr is None and self.supply_apr is None:
            raise ValueError("changes no rate: write borrow_apr, supply_apr or both")
        return self


class GasShock(Shock):
    """Gas costs a multiple for a while."""

    multiple: Annotated[float, Field(gt=0.0, le=1_000.0, allow_inf_nan=False)]
    """Of the gas price in the data."""
    hours: Hours
    """How long."""


class PriceGap(Shock):
    """Every price of an asset jumps at once, at all venues, spot and perpetual, and stays there."""

    size: Annotated[float, Field(gt=-1.0, le=10.0, allow_inf_nan=False)]
    """Fraction of the price; -0.3 is a fall of 30 %."""
    assets: SetOf[TokenName] = ()
    """Assets that jump; empty: all."""


class OutageShock(Shock):
    """Venues take no orders for a while; positions there go on, look-ups are answered."""

    venues: SetOf[VenueName]
    """Which."""
    hours: Hours
    """How long."""

    @model_validator(mode="after")
    def _some_venue(self) -> "OutageShock":
        if not self.venues:
            raise ValueError("names no venue: write venues: [name]")
        return self


class Shocks(ConfigModel):
    """At most one shock of each kind; null: none."""

    lst_depeg: LstDepeg | None = None
    """Market price of the staking token."""
    funding: FundingShock | None = None
    """Funding rates."""
    lending_rates: LendingRateShock | None = None
    """Rates at the lending pool."""
    gas: GasShock | None = None
    """Gas price."""
    price_gap: PriceGap | None = None
    """Prices of assets."""
    venue_outage: OutageShock | None = None
    """Venues."""

    def present(self) -> dict[str, Shock]:
        """The shocks there are, by kind."""
        found = {kind: getattr(self, kind) for kind in type(self).model_fields}
        return {kind: shock for kind, shock in found.items() if shock is not None}


class ScenarioConfig(ConfigModel):
    """Switches over a run, and shocks over its market: ``configs/scenarios/{name}.yaml``.

    The defaults are the run as configured.
    """

    name: str = "base"
    """Name of the scenario and of the file."""
    description: str = ""
    """What it is."""
    fees: bool = True
    """Charge venue fees."""
    slippage: bool = True
    """Fill away from mid."""
    gas: bool = True
    """Charge gas."""
    gas_reserve: bool = True
    """Leave gas money in the wallet on entry."""
    rewards: bool = True
    """Pay staking rewards."""
    liquidation: bool = True
    """Liquidate a position that breaches its threshold."""
    trade_rules: bool = False
    """Trade in the lots, least sizes and ticks of the exchanges."""
    decisions: Literal["strategy", "entry_only"] = "strategy"
    """``entry_only``: entry_full on the first row whatever any signal says, hold on every later row (ruling 33)."""
    allow_negative_balances: bool = False
    """Let a balance go below zero instead of POS-004."""
    shocks: Shocks = Shocks()
    """What happens to the market."""
