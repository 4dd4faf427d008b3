"""The configuration of one run: a mode, its venues, its share class and a scenario (domain section 10).

``ModeConfig`` and ``RunConfig`` cannot exist with a broken rule: both raise one ``ValidationError`` that holds every
fault at the location of its key. ``dataflow.config.files`` turns those into faults with file and line.
"""

import hashlib
from functools import cached_property
from typing import Final

from pydantic import model_validator

from schemas.instruments import PositionKey, PositionType, VenueKind
from schemas.models.config_base import (
    DEFAULT_CAPITAL,
    AttributionType,
    ModeName,
    broken_rules,
    in_canonical_order,
    raise_broken_rules,
)
from schemas.models.config_facts import borrowed_token, facts_of, supplied_token
from schemas.models.config_run import RUN_RULES, ModeConfig, RunSettings, missing_venue_message, unjudged
from schemas.models.config_scenario import ScenarioConfig
from schemas.models.config_venues import ShareClassConfig, VenueConfig

__all__ = [
    "RUN_RULES",
    "ModeConfig",
    "ModeName",
    "RunConfig",
    "RunSettings",
    "ScenarioConfig",
    "ShareClassConfig",
    "VenueConfig",
    "missing_venue_message",
]


class RunConfig(RunSettings):
    """The complete configuration of one run."""

    @model_validator(mode="after")
    def _rules(self) -> "RunConfig":
        """Refuse files that contradict each other."""
        raise_broken_rules("RunConfig", broken_rules(self, RUN_RULES, unjudged(self.mode.venues, self.catalogue)))
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
        """What the pairs of the run are quoted in: the quote of its exchanges, else of the first of the catalogue."""
        exchanges = self.cex_venues or self.catalogue.venues_of_kind(VenueKind.CEX)
        quotes = (self.catalogue.venues[venue].quote for venue in exchanges)
        return next((quote for quote in quotes if quote is not None), self.mode.share_class)

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
        tokens, specified = self.supplied_tokens, supplied_token(self.mode, self.catalogue)
        return specified if specified in tokens else next(iter(tokens), None)

    @property
    def borrowed_token(self) -> str | None:
        """The token that the mode borrows; None without debt. A mode of one's own may borrow another one."""
        tokens, specified = self.borrowed_tokens, borrowed_token(self.mode, self.catalogue)
        return specified if specified in tokens else next(iter(tokens), None)

    @property
    def lst(self) -> str | None:
        """The LST whose ratio the run reads, held or supplied; None without one."""
        return self.catalogue.lst_of(self.mode.lst_type or "")

    @property
    def loops_leverage(self) -> bool:
        """Whether leverage is taken on and off in a sequential loop instead of a flash loan."""
        return self.mode.leverage_enabled and self.mode.strategy_config.leverage_route == "loop"

    @property
    def claim(self) -> str | None:
        """Key of what the withdrawal queue owes; None where staked ETH does not leave through one."""
        if self.lst is None or self.mode.strategy_config.unstake_route != "queue":
            return None
        prefix = self.catalogue.venues[self.catalogue.issuers[self.lst]].prefix
        return str(PositionKey(prefix, PositionType.BASE_TOKEN, self.catalogue.asset_of(self.lst)))

    @property
    def unstaking_period_days(self) -> float:
        """Days from unstake to claim at the protocol of the LST (ruling 10)."""
        days = None if self.lst is None else self.venues[self.catalogue.issuers[self.lst]].unstaking_period_days
        return 0.0 if days is None else days

    @property
    def attribution_types(self) -> tuple[AttributionType, ...]:
        """Parts of the P&L in the order in which they are summed, whatever the order of the file."""
        listed = self.mode.component_config.pnl_monitor.attribution_types
        return tuple(part for part in AttributionType if part in listed)

    @property
    def reward_tokens(self) -> tuple[str, ...]:
        """Tokens in which staking rewards are paid; () where the mode or the scenario pays none (ruling 25)."""
        return self.catalogue.rewards_of(self.lst, self.mode.rewards_mode) if self.scenario.rewards else ()

    @cached_property
    def position_keys(self) -> tuple[str, ...]:
        """Every subscribed key that the options of the run let move, in canonical order: the key axis of a run.

        Wallet BaseToken; exchange USDT by venue; exchange base asset by venue; other BaseToken; PerpPosition by
        venue; aToken; debtToken; LST. Within each, venues stand in the order of ``cex_venues`` and tokens in that of
        their kinds (``TokenKind``), whatever the order of the file.
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
        catalogue = self.catalogue
        name = catalogue.venue_of(key)
        venue = catalogue.venues[name]
        if venue.venue_type is VenueKind.CEX:
            return name in self.hedge_allocation and key.underlying in (venue.quote, self.base_asset)
        if key.token in catalogue.reward_tokens:
            return venue.venue_type is VenueKind.WALLET and key.token in self.reward_tokens
        if venue.issues and key.position_type is PositionType.BASE_TOKEN:
            return str(key) == self.claim
        return key.underlying not in catalogue.issuers or key.underlying == self.lst

    def _key_rank(self, key: PositionKey) -> tuple[int, str, tuple[int, str]]:
        """Class of a key, then its venue, then its token."""
        return self._class_rank(key), key.prefix, self.catalogue.rank_of(key.underlying)

    def _class_rank(self, key: PositionKey) -> int:
        if key.position_type is not PositionType.BASE_TOKEN:
            return _RANK_OF_TYPE[key.position_type]
        venue = self.catalogue.venues[self.catalogue.venue_of(key)]
        if venue.venue_type is VenueKind.WALLET:
            return 0
        if key.token == venue.quote:
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
