"""Configuration of tokens and networks: ``configs/tokens.yaml`` and ``configs/networks/{network}.yaml``."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, model_validator

from schemas.models.config_base import (
    FOR_PEOPLE,
    ConfigModel,
    FaultKind,
    Rule,
    RuleFault,
    TokenName,
    VenueName,
    broken_rules,
    raise_broken_rules,
)

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
"""Address of a contract on an EVM chain."""


class TokenKind(StrEnum):
    """What a token is. The order of the members is that of balances on every axis of tokens."""

    STABLECOIN = "stablecoin"
    COIN = "coin"
    WRAPPED = "wrapped"
    STAKED = "staked"
    REWARD = "reward"


class TokenPrice(StrEnum):
    """Where the price of a token comes from."""

    PEG = "peg"
    """1 USD, unless a price series says otherwise."""
    SERIES = "series"
    """Its own price series."""
    CLAIM = "claim"
    """The price of the token that it is a claim on."""
    ORACLE_RATIO = "oracle_ratio"
    """The price of the token that it is a claim on, times the oracle ratio of its protocol."""
    DEX = "dex"
    """What a DEX pays for it."""


PRICES_OF_KIND: Final = {
    TokenKind.STABLECOIN: (TokenPrice.PEG,),
    TokenKind.COIN: (TokenPrice.SERIES,),
    TokenKind.WRAPPED: (TokenPrice.CLAIM,),
    TokenKind.STAKED: (TokenPrice.ORACLE_RATIO,),
    TokenKind.REWARD: (TokenPrice.DEX,),
}
"""How a token of each kind can be priced."""

_CLAIMS: Final = (TokenKind.WRAPPED, TokenKind.STAKED)


class TokenConfig(ConfigModel):
    """One token."""

    kind: TokenKind
    """stablecoin, coin, wrapped (one for one), staked (at a protocol's ratio) or reward (paid to stakers, to be sold).
    """
    decimals: Annotated[int, Field(ge=0, le=36)]
    """Decimal places of its smallest unit."""
    claim_on: TokenName | None = None
    """What a wrapped or staked token is a claim on."""
    price: TokenPrice
    """Where its price comes from."""

    @model_validator(mode="after")
    def _rules(self) -> "TokenConfig":
        """Refuse a token that contradicts itself."""
        raise_broken_rules("TokenConfig", broken_rules(self, TOKEN_RULES))
        return self


def _claim(token: TokenConfig) -> Iterator[RuleFault]:
    """Check that wrapped and staked tokens, and only they, say what they are a claim on."""
    if token.kind in _CLAIMS and token.claim_on is None:
        yield RuleFault(("claim_on",), f"a {token.kind} token needs the token that it is a claim on", FaultKind.MISSING)
    if token.kind not in _CLAIMS and token.claim_on is not None:
        yield RuleFault(("claim_on",), f"a {token.kind} token is a claim on nothing: remove it")


def _price(token: TokenConfig) -> Iterator[RuleFault]:
    """Check that the kind of token can be priced so."""
    if token.price not in (prices := PRICES_OF_KIND[token.kind]):
        yield RuleFault(("price",), f"a {token.kind} token is priced by {' or '.join(prices)}, not by {token.price}")


TOKEN_RULES: Final[tuple[Rule[TokenConfig], ...]] = (
    Rule(("kind", "claim_on"), _claim),
    Rule(("kind", "price"), _price),
)


class TokenFile(ConfigModel):
    """The tokens of one file, ``tokens.yaml``."""

    tokens: dict[TokenName, TokenConfig]
    """By name."""


class NetworkConfig(ConfigModel):
    """One chain: ``configs/networks/{network}.yaml``."""

    network: VenueName
    """Name of the chain and of the file."""
    chain_id: Annotated[int, Field(gt=0), FOR_PEOPLE]
    """Number of the chain, which every transaction carries."""
    gas_token: TokenName
    """What gas is paid in."""
    contracts: Annotated[dict[str, Address], FOR_PEOPLE] = Field(default_factory=dict)
    """Addresses of protocols, by name."""
    tokens: dict[TokenName, Address] = Field(default_factory=dict)
    """Addresses of tokens."""
