"""The configuration of one run: a mode, its venues, its share class and a scenario (domain section 10).

``ModeConfig`` and ``RunConfig`` cannot exist with a broken rule: both raise one ``ValidationError`` that holds every
fault at the location of its key. ``dataflow.config.files`` turns those into faults with file and line.
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from pydantic import model_validator

from schemas.catalogue import TOKENS
from schemas.instruments import DUST_TOKENS, LST_VENUES, VENUES, PositionKey, PositionType, VenueKind, claim_key
from schemas.models.config_base import (
    DEFAULT_CAPITAL,
    AttributionType,
    ConfigModel,
    FaultKind,
    ModeName,
    Rule,
    RuleFault,
    broken_rules,
    in_canonical_order,
    raise_broken_rules,
)
from schemas.models.config_entry import ENTRY_RULES
from schemas.models.config_facts import BORROWED_TOKEN, LST_TOKENS, facts_of, supplied_token
from schemas.models.config_mode import ModeSettings
from schemas.models.config_rules import HEALTH_FACTOR_FLOOR, MODE_RULES
from schemas.models.config_scenario import ScenarioConfig
from schemas.models.config_venues import ShareClassConfig, VenueConfig

__all__ = ["ModeConfig", "ModeName", "RunConfig", "ScenarioConfig", "ShareClassConfig", "VenueConfig"]


class ModeConfig(ModeSettings):
    """A mode file that breaks no rule."""

    @model_validator(mode="after")
    def _rules(self) -> "ModeConfig":
        """Refuse a mode whose keys contradict each other."""
        raise_broken_rules("ModeConfig", broken_rules(self, MODE_RULES))
        return self


class RunSettings(ConfigModel):
    """The files of one run, each valid by itself; ``RunConfig`` adds the rules between files."""

    mode: ModeConfig
    venues: dict[str, VenueConfig]
    """By venue id, in the order of the mode file."""
    share_class: ShareClassConfig
    scenario: ScenarioConfig


def missing_venue_message(name: str) -> str:
    """Say that a venue has no file."""
    return f"no venue file configs/venues/{name}.yaml"


def _venue_files(run: RunSettings) -> Iterator[RuleFault]:
    """Check that every venue has a file."""
    for name in run.mode.venues:
        if name not in run.venues:
            yield RuleFault(("mode", "venues", name), missing_venue_message(name), FaultKind.VENUE)


def _venue_kinds(run: RunSettings) -> Iterator[RuleFault]:
    """Check that a venue's file says the same as its name and its use."""
    for name, venue in run.venues.items():
        if venue.venue != name:
            yield RuleFault(("venues", name, "venue"), f"the file of {name} says venue {venue.venue}", FaultKind.VENUE)
        use = run.mode.venues[name]
        if venue.venue_type.value != use.venue_type:
            message = f"venue_type {use.venue_type} differs from {venue.venue_type} in the venue's file"
            yield RuleFault(("mode", "venues", name, "venue_type"), message, FaultKind.VENUE)


def _class_file(run: RunSettings) -> Iterator[RuleFault]:
    """Check that mode and share class name each other."""
    if run.mode.share_class != run.share_class.share_class:
        message = f"share_class {run.mode.share_class} differs from {run.share_class.share_class} in its file"
        yield RuleFault(("mode", "share_class"), message)
    if run.mode.mode in tuple(ModeName) and run.mode.mode not in run.share_class.supported_strategies:
        message = f"{run.mode.mode} is not in supported_strategies of share class {run.share_class.share_class}"
        yield RuleFault(("mode", "mode"), message)


def _class_features(run: RunSettings) -> Iterator[RuleFault]:
    """Check that the share class allows what the mode does."""
    pairs = (
        ("leverage_enabled", "leverage_supported"),
        ("staking_enabled", "staking_supported"),
        ("basis_trade_enabled", "basis_trading_supported"),
    )
    for feature, permission in pairs:
        if getattr(run.mode, feature) and not getattr(run.share_class, permission):
            name = run.share_class.share_class
            yield RuleFault(("mode", feature), f"share class {name} says {permission}: false")


def _class_hedging(run: RunSettings) -> Iterator[RuleFault]:
    """Check that the share class allows perpetuals against coins where the mode holds them."""
    facts, allowed = facts_of(run.mode), run.share_class
    if facts.traded_asset is not None and not facts.is_ml and not allowed.allows_hedging:
        message = f"{run.mode.mode} hedges coins, and share class {allowed.share_class} says allows_hedging: false"
        yield RuleFault(("mode", "margin_currency"), message)


def _unstaking_period(run: RunSettings) -> Iterator[RuleFault]:
    """Check that a withdrawal queue has a delay."""
    protocol = LST_VENUES[LST_TOKENS[run.mode.lst_type]] if run.mode.lst_type is not None else ""
    queued = run.mode.strategy_config.unstake_route == "queue"
    if queued and protocol in run.venues and run.venues[protocol].unstaking_period_days is None:
        message = "unstake_route queue needs unstaking_period_days, the days from unstake to claim"
        yield RuleFault(("venues", protocol, "unstaking_period_days"), message, FaultKind.MISSING)


def _emode_ltv(run: RunSettings) -> Iterator[RuleFault]:
    """Check target_ltv <= liquidation threshold of the venue's e-mode / 1.1."""
    target = run.mode.strategy_config.target_ltv
    protocol = run.venues.get(run.mode.lending_protocol or "")
    if target is None or not run.mode.leverage_enabled or protocol is None or protocol.emode is None:
        return
    bound = protocol.emode.liquidation_threshold / HEALTH_FACTOR_FLOOR
    if target > bound:
        message = f"target_ltv {target:g} is above the e-mode liquidation threshold / 1.1 = {bound:.4f}"
        yield RuleFault(("mode", "strategy_config", "target_ltv"), message)


RUN_RULES: Final[tuple[Rule[RunSettings], ...]] = (
    Rule(("mode.venues",), _venue_files),
    Rule(("mode.venues", "venues"), _venue_kinds),
    Rule(("mode.share_class", "mode.mode", "share_class"), _class_file),
    Rule(("mode.leverage_enabled", "mode.staking_enabled", "mode.basis_trade_enabled", "share_class"), _class_features),
    Rule(
        (
            "mode.mode",
            "mode.margin_currency",
            "mode.lending_enabled",
            "mode.staking_enabled",
            "mode.borrowing_enabled",
            "mode.data_requirements",
            "mode.strategy_config.delta_tracking_asset",
            "share_class",
        ),
        _class_hedging,
    ),
    Rule(
        ("mode.strategy_config.target_ltv", "mode.leverage_enabled", "mode.lending_protocol", "venues.aave_v3"),
        _emode_ltv,
    ),
    Rule(("mode.strategy_config.unstake_route", "mode.lst_type", "venues"), _unstaking_period),
    *ENTRY_RULES,
)
"""Every rule between the files of a run."""


class RunConfig(RunSettings):
    """The complete configuration of one run."""

    @model_validator(mode="after")
    def _rules(self) -> "RunConfig":
        """Refuse files that contradict each other."""
        raise_broken_rules("RunConfig", broken_rules(self, RUN_RULES))
        return self

    @property
    def base_asset(self) -> str | None:
        """What the mode trades at exchanges, BTC or ETH; None for modes without one."""
        return facts_of(self.mode).traded_asset

    @property
    def cex_venues(self) -> tuple[str, ...]:
        """Exchanges of hedge_allocation by name: the venue axis of every column; () without exchanges."""
        return tuple(self.hedge_allocation)

    @property
    def hedge_allocation(self) -> dict[str, float]:
        """Share of equity by exchange, in the order of the venue axis; {} without exchanges."""
        return dict(sorted(self.mode.hedge_allocation.items()))

    @property
    def spot_venue(self) -> str | None:
        """Exchange where a hedged mode buys and sells its coins: that of the largest share, the first by name."""
        shares = self.hedge_allocation
        return max(shares, key=lambda venue: shares[venue]) if shares else None

    @property
    def initial_capital(self) -> float:
        """Capital in share-class units: the mode's own, else that of ruling 32."""
        written = self.mode.strategy_config.initial_capital
        return DEFAULT_CAPITAL[self.mode.share_class] if written is None else written

    @property
    def quote_token(self) -> str:
        """What the pairs of the run are quoted in."""
        return "USDT"

    @property
    def supplied_tokens(self) -> tuple[str, ...]:
        """Underlying tokens of the subscribed aTokens, in canonical order."""
        return self._underlying(PositionType.A_TOKEN)

    @property
    def borrowed_tokens(self) -> tuple[str, ...]:
        """Underlying tokens of the subscribed debt, in canonical order."""
        return self._underlying(PositionType.DEBT_TOKEN)

    @property
    def supplied_token(self) -> str | None:
        """The token that the mode supplies to its lending protocol; None without one.

        A mode of one's own that supplies neither its capital nor its LST supplies the first of its aTokens.
        """
        tokens, specified = self.supplied_tokens, supplied_token(self.mode)
        return specified if specified in tokens else next(iter(tokens), None)

    @property
    def borrowed_token(self) -> str | None:
        """The token that the mode borrows; None without debt. A mode of one's own may borrow another than WETH."""
        tokens = self.borrowed_tokens
        return BORROWED_TOKEN if BORROWED_TOKEN in tokens else next(iter(tokens), None)

    @property
    def lst(self) -> str | None:
        """The LST whose ratio the run reads (weETH or wstETH), held or supplied; None without one."""
        names = {"weeth": "weETH", "wsteth": "wstETH", None: None}
        return names[self.mode.lst_type]

    @property
    def loops_leverage(self) -> bool:
        """Whether leverage is taken on and off in a sequential loop instead of a flash loan."""
        return self.mode.leverage_enabled and self.mode.strategy_config.leverage_route == "loop"

    @property
    def claim(self) -> str | None:
        """Key of what the withdrawal queue owes; None where staked ETH does not leave through one."""
        if self.lst is None or self.mode.strategy_config.unstake_route != "queue":
            return None
        return claim_key(self.lst)

    @property
    def unstaking_period_days(self) -> float:
        """Days from unstake to claim at the protocol of the LST (ruling 10)."""
        days = None if self.lst is None else self.venues[LST_VENUES[self.lst]].unstaking_period_days
        return 0.0 if days is None else days

    @property
    def attribution_types(self) -> tuple[AttributionType, ...]:
        """Parts of the P&L in the order in which they are summed, whatever the order of the file."""
        listed = self.mode.component_config.pnl_monitor.attribution_types
        return tuple(part for part in AttributionType if part in listed)

    @property
    def reward_tokens(self) -> tuple[str, ...]:
        """Tokens in which staking rewards are paid; () where the mode or the scenario pays none (ruling 25)."""
        return self.mode.reward_tokens if self.scenario.rewards else ()

    @cached_property
    def position_keys(self) -> tuple[str, ...]:
        """Every subscribed key that the options of the run let move, in canonical order: the key axis of a run.

        Wallet BaseToken; exchange USDT by venue; exchange base asset by venue; other BaseToken; PerpPosition by
        venue; aToken; debtToken; LST. Within each, venues stand in the order of ``cex_venues`` and tokens in that of
        their kinds (``schemas.catalogue``), whatever the order of the file.
        """
        keys = [PositionKey.parse(text) for text in self.mode.subscriptions]
        return tuple(str(key) for key in sorted(filter(self._is_in_play, keys), key=self._key_rank))

    @cached_property
    def canonical_json(self) -> bytes:
        """The configuration as compact JSON: fields in declared order, mappings and sets sorted."""
        return in_canonical_order(self).model_dump_json().encode()

    @cached_property
    def config_digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical_json).hexdigest()

    def _is_in_play(self, key: PositionKey) -> bool:
        """Whether a balance can move.

        What cannot: another LST than the run's, a claim without a queue, dust, and at exchanges what the mode neither
        trades nor posts, or an exchange without an allocation.
        """
        if VENUES[key.venue] is VenueKind.CEX:
            return key.prefix in self.hedge_allocation and key.underlying in ("USDT", self.base_asset)
        if key.token in DUST_TOKENS:
            return key.prefix == VenueKind.WALLET.value and key.token in self.reward_tokens
        if key.prefix in LST_VENUES.values() and key.position_type is PositionType.BASE_TOKEN:
            return str(key) == self.claim
        return key.underlying not in LST_VENUES or key.underlying == self.lst

    def _key_rank(self, key: PositionKey) -> tuple[int, str, tuple[int, str]]:
        """Class of a key, then its venue, then its token."""
        return self._class_rank(key), key.prefix, TOKENS[key.underlying].rank

    def _class_rank(self, key: PositionKey) -> int:
        if key.position_type is not PositionType.BASE_TOKEN:
            return _RANK_OF_TYPE[key.position_type]
        if key.prefix == VenueKind.WALLET.value:
            return 0
        if key.token == "USDT":
            return 1
        return 2 if key.token == self.base_asset else 3

    def _underlying(self, position_type: PositionType) -> tuple[str, ...]:
        keys = (PositionKey.parse(text) for text in self.position_keys)
        return tuple(key.underlying for key in keys if key.position_type is position_type)


_RANK_OF_TYPE: Final = {
    PositionType.PERP: 4,
    PositionType.A_TOKEN: 5,
    PositionType.DEBT_TOKEN: 6,
    PositionType.LST: 7,
}
