"""The files of one run, each valid by itself, and the rules between them (domain section 10).

What a mode says of venues, tokens and positions is held against the catalogue here: a mode file by itself knows none.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from typing import Final

from pydantic import model_validator

from schemas.errors import InvalidPositionKeyError
from schemas.instruments import PositionKey, VenueKind
from schemas.models.catalogue import Catalogue, unknown_token
from schemas.models.config_base import (
    ConfigModel,
    FaultKind,
    Location,
    Rule,
    RuleFault,
    broken_rules,
    raise_broken_rules,
)
from schemas.models.config_entry import ENTRY_RULES
from schemas.models.config_facts import emitted_keys, facts_of, family_of
from schemas.models.config_mode import ModeSettings
from schemas.models.config_rules import ALLOCATION, FEATURES, HEALTH_FACTOR_FLOOR, MODE_RULES
from schemas.models.config_rules import FACTS as MODE_FACT_KEYS
from schemas.models.config_scenario import ScenarioConfig
from schemas.models.config_venues import ShareClassConfig, VenueConfig
from schemas.operations import OperationType
from schemas.spelling import close_match

SUBSCRIPTIONS: Final = ("component_config", "position_monitor", "position_subscriptions")
FACTS: Final = "catalogue.facts"
"""Which balances exist and where: what the rules of a mode against the catalogue read beside keys of the mode."""


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
    catalogue: Catalogue
    """Every token, network and venue that there is."""
    share_class: ShareClassConfig
    scenario: ScenarioConfig

    @cached_property
    def venues(self) -> dict[str, VenueConfig]:
        """Venues of the mode by venue id, in the order of the mode file."""
        known = self.catalogue.venues
        return {name: known[name] for name in self.mode.venues if name in known}


def unjudged(names: Iterable[str], catalogue: Catalogue) -> tuple[str, ...]:
    """What cannot be read where a venue has no file, or one of another name: no rule on balances would say more."""
    return () if all(_is_itself(catalogue.venues.get(name), name) for name in names) else (FACTS,)


def _is_itself(venue: VenueConfig | None, name: str) -> bool:
    return venue is not None and venue.venue == name


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
            key = ("catalogue", "venues", name, "venue")
            yield RuleFault(key, f"the file of {name} says venue {venue.venue}", FaultKind.VENUE)
        use = run.mode.venues[name]
        if venue.venue_type != use.venue_type:
            message = f"venue_type {use.venue_type} differs from {venue.venue_type} in the venue's file"
            yield RuleFault(("mode", "venues", name, "venue_type"), message, FaultKind.VENUE)


def _class_file(run: RunSettings) -> Iterator[RuleFault]:
    """Check that mode and share class name each other."""
    if run.mode.share_class != run.share_class.share_class:
        message = f"share_class {run.mode.share_class} differs from {run.share_class.share_class} in its file"
        yield RuleFault(("mode", "share_class"), message)


def _class_of_family(run: RunSettings) -> Iterator[RuleFault]:
    """Check that the family can have its capital in the share class."""
    family, name = family_of(run.mode), run.share_class.share_class
    is_stable = run.share_class.type == "stable"
    if family in ("basis", "hedged") and not is_stable:
        yield RuleFault(("mode", "share_class"), f"family {family} has its capital in a stablecoin, not in {name}")
    if family in ("staking", "leverage") and is_stable:
        yield RuleFault(("mode", "share_class"), f"family {family} has its capital in what it stakes, not in {name}")
    if family == "ml" and not is_stable and name != facts_of(run.mode).traded_asset:
        yield RuleFault(("mode", "share_class"), f"margin is a stablecoin or the coin that is traded, not {name}")


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
    protocol = run.catalogue.issuers.get(run.catalogue.lst_of(run.mode.lst_type or "") or "", "")
    queued = run.mode.strategy_config.unstake_route == "queue"
    if queued and protocol in run.catalogue.venues and run.catalogue.venues[protocol].unstaking_period_days is None:
        message = "unstake_route queue needs unstaking_period_days, the days from unstake to claim"
        yield RuleFault(("catalogue", "venues", protocol, "unstaking_period_days"), message, FaultKind.MISSING)


def _emode_ltv(run: RunSettings) -> Iterator[RuleFault]:
    """Check target_ltv <= liquidation threshold of the venue's e-mode / 1.1."""
    target = run.mode.strategy_config.target_ltv
    protocol = run.catalogue.venues.get(run.mode.lending_protocol or "")
    if target is None or not run.mode.leverage_enabled or protocol is None or protocol.emode is None:
        return
    bound = protocol.emode.liquidation_threshold / HEALTH_FACTOR_FLOOR
    if target > bound:
        message = f"target_ltv {target:g} is above the e-mode liquidation threshold / 1.1 = {bound:.4f}"
        yield RuleFault(("mode", "strategy_config", "target_ltv"), message)


def _lst_venue(run: RunSettings) -> Iterator[RuleFault]:
    """Check that a protocol issues the LST, and that it is the staking protocol and an enabled venue."""
    mode, catalogue = run.mode, run.catalogue
    if mode.lst_type is None:
        return
    lst = catalogue.lst_of(mode.lst_type)
    if lst is None:
        known = [token.lower() for token in catalogue.issuers]
        yield RuleFault(("mode", "lst_type"), f"no protocol issues {mode.lst_type}{_instead(mode.lst_type, known)}")
        return
    protocol = catalogue.issuers[lst]
    if protocol not in mode.enabled_venues:
        message = f"{mode.lst_type} needs the venue {protocol} among the enabled venues"
        yield RuleFault(("mode", "lst_type"), message)
    if mode.staking_protocol is not None and mode.staking_protocol != protocol:
        message = f"{mode.lst_type} is issued by {protocol}, not {mode.staking_protocol}"
        yield RuleFault(("mode", "staking_protocol"), message)


def _rewards(run: RunSettings) -> Iterator[RuleFault]:
    """Check that rewards come from a protocol that pays them."""
    mode = run.mode
    pays = [token.lower() for token in run.catalogue.issuers if run.catalogue.rewards_of(token, mode.rewards_mode)]
    if mode.pays_rewards and (not mode.staking_enabled or mode.lst_type not in pays):
        message = f"{mode.rewards_mode} rewards {' or '.join(pays) or 'nothing'}: set lst_type so, or base_only"
        yield RuleFault(("mode", "rewards_mode"), message)


def _lending_venue(run: RunSettings) -> Iterator[RuleFault]:
    """Check that the lending protocol lends, and is an enabled venue."""
    protocol, lenders = run.mode.lending_protocol, run.catalogue.venues_able(OperationType.SUPPLY)
    if protocol is None:
        return
    if protocol not in lenders:
        message = f"{protocol} is no lending protocol{_instead(protocol, lenders)}"
        yield RuleFault(("mode", "lending_protocol"), message)
    elif protocol not in run.mode.enabled_venues:
        yield RuleFault(("mode", "lending_protocol"), f"{protocol} is not among the enabled venues")


def _allocation(run: RunSettings) -> Iterator[RuleFault]:
    """Check that the allocation names enabled exchanges."""
    exchanges = run.catalogue.venues_of_kind(VenueKind.CEX)
    for venue in run.mode.hedge_allocation:
        key = ("mode", *ALLOCATION, venue)
        if venue not in exchanges:
            yield RuleFault(key, f"{venue} is not an exchange; exchanges: {', '.join(exchanges)}")
        elif venue not in run.mode.enabled_venues:
            yield RuleFault(key, f"{venue} has an allocation but is not among the enabled venues")


def _tokens(run: RunSettings) -> Iterator[RuleFault]:
    """Check that the tokens that a mode names exist."""
    named: list[tuple[Location, str | None]] = [
        (("margin_currency",), run.mode.margin_currency),
        (("strategy_config", "delta_tracking_asset"), run.mode.strategy_config.delta_tracking_asset),
    ]
    for key, token in named:
        if token is not None and token not in run.catalogue.tokens:
            yield RuleFault(("mode", *key), unknown_token(token, run.catalogue))


def _keys(run: RunSettings) -> Iterator[RuleFault]:
    """Check that every balance that a mode names can exist."""
    places: list[tuple[Location, tuple[str, ...]]] = [(SUBSCRIPTIONS, run.mode.subscriptions)]
    places += [(("venues", name, "instruments"), use.instruments) for name, use in run.mode.venues.items()]
    for where, keys in places:
        for index, key in enumerate(keys):
            try:
                run.catalogue.key(key)
            except InvalidPositionKeyError as error:
                yield RuleFault(("mode", *where, index), error.message)


def _venue_of(key: str, catalogue: Catalogue) -> str | None:
    """Venue of a key; None where the catalogue has none, which is a fault of its own."""
    return catalogue.venue_of_prefix.get(PositionKey.parse(key).prefix)


def _subscribed(run: RunSettings) -> Iterator[RuleFault]:
    """Check that all a strategy can move is subscribed, once, at enabled venues."""
    mode, subscribed = run.mode, run.mode.subscriptions
    for key in emitted_keys(mode, run.catalogue):
        if key not in subscribed:
            message = f"{mode.mode} can move {key}, which is not subscribed: add it"
            yield RuleFault(("mode", *SUBSCRIPTIONS), message)
    for index, key in enumerate(subscribed):
        venue = _venue_of(key, run.catalogue)
        if key in subscribed[:index]:
            yield RuleFault(("mode", *SUBSCRIPTIONS, index), f"{key} is subscribed twice")
        elif venue is not None and venue not in mode.enabled_venues:
            message = f"{key} is subscribed but {venue} is not among the enabled venues"
            yield RuleFault(("mode", *SUBSCRIPTIONS, index), message)


def _instruments(run: RunSettings) -> Iterator[RuleFault]:
    """Check that the instruments of a venue are its own and subscribed."""
    mode = run.mode
    emitted = emitted_keys(mode, run.catalogue)  # those are reported where the subscriptions stand
    for name, use in mode.venues.items():
        for index, key in enumerate(use.instruments):
            where, venue = ("mode", "venues", name, "instruments", index), _venue_of(key, run.catalogue)
            if venue is not None and venue != name:
                yield RuleFault(where, f"{key} is held at {venue}, not at {name}")
            elif use.enabled and key not in mode.subscriptions and key not in emitted:
                yield RuleFault(where, f"{key} is traded here but not subscribed")


def _instead(name: str, known: Collection[str]) -> str:
    """What could have been meant, else what there is."""
    return close_match(name, known) or f"; known are {', '.join(known)}"


def _mode_rule(check: Callable[[RunSettings], Iterator[RuleFault]], *reads: str | tuple[str, ...]) -> Rule[RunSettings]:
    """Bind a check of a mode against the catalogue to the keys that it reads."""
    keys = (key if isinstance(key, str) else ".".join(key) for key in reads)
    return Rule((FACTS, *(f"mode.{key}" for key in keys)), check)


RUN_RULES: Final[tuple[Rule[RunSettings], ...]] = (
    Rule(("mode.venues",), _venue_files),
    Rule(("mode.venues", "catalogue.venues"), _venue_kinds),
    Rule(("mode.share_class", "share_class"), _class_file),
    Rule(("mode", "share_class"), _class_of_family),
    Rule(("mode.leverage_enabled", "mode.staking_enabled", "mode.basis_trade_enabled", "share_class"), _class_features),
    Rule(
        ("mode.strategy_config.target_ltv", "mode.leverage_enabled", "mode.lending_protocol", "catalogue.venues"),
        _emode_ltv,
    ),
    Rule((*(f"mode.{key}" for key in MODE_FACT_KEYS), "share_class"), _class_hedging),
    *ENTRY_RULES,
    _mode_rule(_lst_venue, "lst_type", "staking_protocol", "venues"),
    _mode_rule(_rewards, "rewards_mode", "staking_enabled", "lst_type"),
    _mode_rule(_lending_venue, "lending_protocol", "venues"),
    _mode_rule(_allocation, "venues", ALLOCATION),
    _mode_rule(_tokens, "margin_currency", "strategy_config.delta_tracking_asset"),
    _mode_rule(_keys, "venues", "component_config.position_monitor"),
    _mode_rule(_subscribed, *FEATURES, "venues", ALLOCATION, SUBSCRIPTIONS),
    _mode_rule(_instruments, *FEATURES, "venues", ALLOCATION, SUBSCRIPTIONS),
    Rule(("mode.strategy_config.unstake_route", "mode.lst_type", "catalogue.venues"), _unstaking_period),
)
"""Every rule between the files of a run."""


def unknown_names(scenario: ScenarioConfig, catalogue: Catalogue) -> Iterator[RuleFault]:
    """Yield a fault for every venue and token of a scenario that the catalogue lacks."""
    for kind, shock in scenario.shocks.present().items():
        for field, known in (("venues", catalogue.venues), ("tokens", catalogue.tokens), ("assets", catalogue.tokens)):
            for index, name in enumerate(getattr(shock, field, ())):
                if name not in known:
                    key = ("shocks", kind, field, index)
                    yield RuleFault(key, f"not in the catalogue: {name}{_instead(name, known)}")
