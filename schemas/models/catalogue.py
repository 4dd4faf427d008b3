"""The catalogue: which tokens, networks and venues there are, and what follows from that.

Built once from ``configs/tokens.yaml``, ``configs/networks`` and ``configs/venues`` by ``dataflow.config`` and handed
down as a part of ``RunConfig``; nothing here opens a file, and nothing outside names a venue or a token.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from schemas.errors import InvalidPositionKeyError
from schemas.instruments import PERP_SUFFIX, PositionKey, PositionType, VenueKind, key_parts, normalise_pair
from schemas.models.config_base import ConfigModel, FaultKind, Location, Rule, RuleFault
from schemas.models.config_tokens import NetworkConfig, TokenConfig, TokenKind
from schemas.models.config_venues import VenueConfig
from schemas.operations import OperationType


class Catalogue(ConfigModel):
    """Every token, network and venue by name. Two runs share none: each is handed its own."""

    tokens: dict[str, TokenConfig]
    """By name."""
    networks: dict[str, NetworkConfig]
    """By name."""
    venues: dict[str, VenueConfig]
    """By venue id."""

    def venues_of_kind(self, kind: VenueKind) -> tuple[str, ...]:
        """Venue ids of a kind, in the order of the catalogue."""
        return tuple(name for name, venue in self.venues.items() if venue.venue_type is kind)

    def venues_able(self, operation: OperationType) -> tuple[str, ...]:
        """Venue ids that can carry an operation out, in the order of the catalogue."""
        return tuple(name for name, venue in self.venues.items() if operation in venue.supported_operations)

    @cached_property
    def issuers(self) -> Mapping[str, str]:
        """Liquid staking token to the protocol that issues it."""
        return MappingProxyType({token: name for name, venue in self.venues.items() for token in venue.issues})

    @cached_property
    def reward_tokens(self) -> tuple[str, ...]:
        """Tokens that are paid to stakers: outside every share class, to be sold."""
        return tuple(name for name, token in self.tokens.items() if token.kind is TokenKind.REWARD)

    def asset_of(self, token: str) -> str:
        """The asset whose price moves a token: that which it is a claim on, else the token itself."""
        return (self.tokens[token].claim_on if token in self.tokens else None) or token

    def forms_of(self, token: str) -> tuple[str, ...]:
        """A token and its wrapped forms: one asset with several keys, as ETH and WETH are (ruling 7)."""
        wrapped = (
            name for name, each in self.tokens.items() if each.kind is TokenKind.WRAPPED and each.claim_on == token
        )
        return (token, *sorted(wrapped))

    def rank_of(self, token: str) -> tuple[int, str]:
        """Place among tokens: by kind, then by name."""
        return tuple(TokenKind).index(self.tokens[token].kind), token

    def lst_of(self, lst_type: str) -> str | None:
        """The liquid staking token that a mode's ``lst_type`` names in lower case; None where none issues it."""
        return next((token for token in self.issuers if token.lower() == lst_type), None)

    def rewards_of(self, lst: str | None, rewards_mode: str) -> tuple[str, ...]:
        """Tokens that are paid to the stakers of a token beside its yield; () where there are none."""
        protocol = self.issuers.get(lst or "")
        paid = () if protocol is None else self.venues[protocol].rewards.get(rewards_mode, ())
        return tuple(sorted(paid, key=self.rank_of))

    @cached_property
    def venue_of_prefix(self) -> Mapping[str, str]:
        """First part of a position key to the venue that holds the balance."""
        return MappingProxyType({venue.prefix: name for name, venue in self.venues.items() if self.held_at(venue)})

    def venue_of(self, key: PositionKey) -> str:
        """Venue id of the balance that a key names."""
        return self.venue_of_prefix[key.prefix]

    @cached_property
    def holdings(self) -> Mapping[str, Mapping[PositionType, frozenset[str]]]:
        """Prefix and position type to the tokens that can be held there."""
        return MappingProxyType({venue.prefix: held for venue in self.venues.values() if (held := self.held_at(venue))})

    def key(self, text: str) -> PositionKey:
        """Return the key that a text spells, old spellings included.

        Raises InvalidPositionKeyError (POS-002) for a balance that cannot exist, such as a perpetual in a wallet.
        """
        prefix, position_type, token = key_parts(text)
        prefix = self._prefix_aliases.get(prefix, prefix)
        if prefix in self.venue_of_prefix:
            position_type, token = self._today(self.venues[self.venue_of_prefix[prefix]], position_type, token)
        held = self.holdings.get(prefix, {})
        if token not in held.get(position_type, ()):
            raise InvalidPositionKeyError(
                f"no such balance {text!r}; {self._hint(prefix, position_type)}", position_key=text
            )
        return PositionKey(prefix, position_type, token)

    @cached_property
    def _prefix_aliases(self) -> Mapping[str, str]:
        return {alias: venue.prefix for venue in self.venues.values() for alias in venue.key_aliases}

    def _today(self, venue: VenueConfig, position_type: PositionType, token: str) -> tuple[PositionType, str]:
        """Type and token of a key at a venue in today's spelling."""
        if position_type is PositionType.PERP and not token.endswith(PERP_SUFFIX):
            base = normalise_pair(token).removesuffix(venue.quote or "")
            return position_type, f"{base}{PERP_SUFFIX}"
        if token in venue.issues:
            return PositionType.LST, token
        if not venue.reserves:
            return position_type, token
        for receipt in (PositionType.A_TOKEN, PositionType.DEBT_TOKEN):
            for reserve in venue.reserves:
                facts = self.tokens.get(reserve)
                native = facts.claim_on if facts is not None and facts.kind is TokenKind.WRAPPED else None
                names = (receipt.token_of(reserve), *([receipt.token_of(native)] if native else []))
                if token in names and position_type in (receipt, PositionType.BASE_TOKEN):
                    return receipt, names[0]
        return position_type, token

    def held_at(self, venue: VenueConfig) -> Mapping[PositionType, frozenset[str]]:
        """Position type to the tokens that a venue can hold."""
        held: dict[PositionType, frozenset[str]] = {}
        if venue.venue_type is VenueKind.WALLET:
            loose = (name for name, token in self.tokens.items() if token.kind is not TokenKind.STAKED)
            held[PositionType.BASE_TOKEN] = frozenset(loose)
        if venue.products is not None:
            coins = (*venue.products.spot, *((venue.quote,) if venue.quote else ()))
            held[PositionType.BASE_TOKEN] = frozenset(coins)
            held[PositionType.PERP] = frozenset(PositionType.PERP.token_of(base) for base in venue.products.perp)
        if venue.issues:
            held[PositionType.LST] = frozenset(venue.issues)
            held[PositionType.BASE_TOKEN] = frozenset(self.asset_of(token) for token in venue.issues)
        if venue.reserves:
            lent = {token for token, reserve in venue.reserves.items() if reserve.borrowable}
            held[PositionType.A_TOKEN] = frozenset(PositionType.A_TOKEN.token_of(token) for token in venue.reserves)
            held[PositionType.DEBT_TOKEN] = frozenset(PositionType.DEBT_TOKEN.token_of(token) for token in lent)
        return held

    def _hint(self, prefix: str, position_type: PositionType) -> str:
        """Say what would have been allowed in place of a refused key."""
        if prefix not in self.holdings:
            return f"venues of keys are {', '.join(sorted(self.holdings))}"
        held = self.holdings[prefix]
        if position_type not in held:
            return f"{prefix} holds {', '.join(held)}"
        return f"{prefix}:{position_type} holds {', '.join(sorted(held[position_type]))}"


def _tokens_of_tokens(catalogue: Catalogue) -> Iterator[RuleFault]:
    """Check that a claim is one on a token, and that claims come to an end."""
    for name, token in catalogue.tokens.items():
        if token.claim_on is None:
            continue
        key = ("tokens", name, "claim_on")
        if token.claim_on not in catalogue.tokens:
            yield RuleFault(key, unknown_token(token.claim_on, catalogue))
        elif catalogue.tokens[token.claim_on].claim_on is not None:
            yield RuleFault(key, f"{token.claim_on} is a claim itself: name the token at its end")


def _tokens_of_networks(catalogue: Catalogue) -> Iterator[RuleFault]:
    """Check that a network names known tokens."""
    for name, network in catalogue.networks.items():
        named: list[tuple[Location, str]] = [(("gas_token",), network.gas_token)]
        named += [(("tokens", token), token) for token in network.tokens]
        for key, token in named:
            if token not in catalogue.tokens:
                yield RuleFault(("networks", name, *key), unknown_token(token, catalogue))


def _names_of_venues(catalogue: Catalogue) -> Iterator[RuleFault]:
    """Check that a venue names known tokens and a known network."""
    for name, venue in catalogue.venues.items():
        for key, token in _tokens_named(venue):
            if token not in catalogue.tokens:
                yield RuleFault(("venues", name, *key), unknown_token(token, catalogue), FaultKind.VENUE)
        if venue.network is not None and venue.network not in catalogue.networks:
            message = f"no network {venue.network}; known are {', '.join(catalogue.networks)}"
            yield RuleFault(("venues", name, "network"), message, FaultKind.VENUE)


def _tokens_named(venue: VenueConfig) -> Iterator[tuple[Location, str]]:
    """Tokens that a venue's file names, each with its key."""
    if venue.quote is not None:
        yield ("quote",), venue.quote
    if venue.products is not None:
        yield from ((("products", "spot", index), token) for index, token in enumerate(venue.products.spot))
        yield from ((("products", "perp", index), token) for index, token in enumerate(venue.products.perp))
    yield from ((("issues", index), token) for index, token in enumerate(venue.issues))
    yield from (
        (("rewards", mode, index), token) for mode, paid in venue.rewards.items() for index, token in enumerate(paid)
    )
    yield from ((("reserves", token), token) for token in venue.reserves)


def _prefixes(catalogue: Catalogue) -> Iterator[RuleFault]:
    """Check that a position key belongs to one venue."""
    taken: dict[str, str] = {}
    for name, venue in catalogue.venues.items():
        first: Location = ("key_prefix",) if venue.key_prefix else ("venue",)
        where: list[tuple[Location, str]] = [(first, venue.prefix)]
        where += [(("key_aliases", index), alias) for index, alias in enumerate(venue.key_aliases)]
        if not catalogue.held_at(venue):
            continue
        for key, prefix in where:
            if (other := taken.setdefault(prefix, name)) != name:
                message = f"position keys {prefix}:... belong to {other} already: write another key_prefix"
                yield RuleFault(("venues", name, *key), message, FaultKind.VENUE)


def unknown_token(token: str, catalogue: Catalogue) -> str:
    """Say that a token is not in the catalogue."""
    return f"no token {token}; known are {', '.join(catalogue.tokens)}: add it to tokens.yaml"


CATALOGUE_RULES: Final[tuple[Rule[Catalogue], ...]] = (
    Rule(("tokens",), _tokens_of_tokens),
    Rule(("tokens", "networks"), _tokens_of_networks),
    Rule(("tokens", "networks", "venues"), _names_of_venues),
    Rule(("tokens", "venues"), _prefixes),
)
"""Every rule between tokens, networks and venues."""
