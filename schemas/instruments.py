"""Position types, kinds of venues, and the position key ``venue:PositionType:TOKEN``.

A key names one balance and its unit (domain specification, section 2):

    BaseToken      token units, not negative (except a venue's margin loan in USDT)
    aToken         scaled units of an Aave deposit: underlying divided by the liquidity index at the deposit
    debtToken      scaled units of an Aave loan, stored positive and valued negatively
    LST            units of a liquid staking token
    PerpPosition   base-asset units of a perpetual, signed: short < 0

A key is syntax. Which venues and tokens there are, what can be held where, and old spellings are facts of the catalogue
(``schemas.models.catalogue``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final

from schemas.catalogue import TOKENS
from schemas.errors import InvalidPositionKeyError


class PositionType(StrEnum):
    """Middle part of a key: class, unit and sign of the balance."""

    BASE_TOKEN = "BaseToken"
    A_TOKEN = "aToken"
    DEBT_TOKEN = "debtToken"
    LST = "LST"
    PERP = "PerpPosition"

    def token_of(self, underlying: str) -> str:
        """Last part of the key of a balance of this type, by the token that it is a claim on.

        >>> PositionType.A_TOKEN.token_of("WETH"), PositionType.PERP.token_of("BTC"), PositionType.LST.token_of("weETH")
        ('aWETH', 'BTC-PERP', 'weETH')
        """
        before, after = _AROUND.get(self, ("", ""))
        return f"{before}{underlying}{after}"

    def underlying_of(self, token: str) -> str:
        """The token that a balance of this type is a claim on, by the last part of its key."""
        before, after = _AROUND.get(self, ("", ""))
        return token.removeprefix(before).removesuffix(after)


class VenueKind(StrEnum):
    """What a venue is, hence which interface serves it."""

    CEX = "cex"
    DEFI = "defi"
    INFRASTRUCTURE = "infrastructure"
    WALLET = "wallet"
    PRICE_SOURCE = "price_source"


LST_VENUES: Final[Mapping[str, str]] = MappingProxyType({"weETH": "etherfi", "wstETH": "lido", "stETH": "lido"})
"""Liquid staking token to the protocol that issues it."""

DUST_TOKENS: Final = ("EIGEN", "ETHFI", "KING")
"""Reward tokens: outside every share class, to be sold."""

_AAVE_PREFIX: Final = "aave"
_VENUE_OF_PREFIX: Final = {_AAVE_PREFIX: "aave_v3"}

PERP_SUFFIX: Final = "-PERP"
"""What the token of a perpetual's key ends with, after its base asset."""

_AROUND: Final = {
    PositionType.A_TOKEN: ("a", ""),
    PositionType.DEBT_TOKEN: ("debt", ""),
    PositionType.PERP: ("", PERP_SUFFIX),
}
"""What a position type writes before and after the underlying token."""

_TYPE_ALIASES: Final = {"Perp": PositionType.PERP}

_TOKEN: Final = re.compile(r"[A-Za-z0-9]+")
_FORM: Final = re.compile(r"(?P<prefix>[a-z][a-z0-9_]*):(?P<type>[A-Za-z]+):(?P<token>[A-Za-z0-9][A-Za-z0-9/-]*)")


@dataclass(frozen=True, slots=True)
class PositionKey:
    """One balance: the prefix of its venue, its type and its token.

    This is form only; whether such a balance can exist is asked of the catalogue.
    Raises :class:`InvalidPositionKeyError` (POS-002) for a token that is not spelt as its type demands.
    """

    prefix: str
    position_type: PositionType
    token: str

    def __post_init__(self) -> None:
        spelt = self.position_type.token_of(self.underlying)
        if self.token != spelt or _TOKEN.fullmatch(self.underlying) is None:
            raise InvalidPositionKeyError(
                f"{str(self)!r} is not a position key; a token of {self.position_type} is spelt like "
                f"{self.position_type.token_of('TOKEN')}",
                position_key=str(self),
            )

    def __str__(self) -> str:
        return f"{self.prefix}:{self.position_type}:{self.token}"

    @classmethod
    def parse(cls, text: str) -> "PositionKey":
        """Return the key that a text spells.

        Raises :class:`InvalidPositionKeyError` (POS-002) for a text that has not the form of a key. Old names of
        venues and tokens are read by the catalogue, which knows today's.

        >>> str(PositionKey.parse("okx:Perp:BTC-PERP"))
        'okx:PerpPosition:BTC-PERP'
        """
        return _parse(text)

    @property
    def venue(self) -> str:
        """Venue id; differs from the prefix for Aave only."""
        return _VENUE_OF_PREFIX.get(self.prefix, self.prefix)

    @property
    def underlying(self) -> str:
        """The token that the balance is a claim on.

        >>> [PositionKey.parse(f"aave:{key}").underlying for key in ("aToken:aweETH", "debtToken:debtWETH")]
        ['weETH', 'WETH']
        """
        return self.position_type.underlying_of(self.token)


def key_parts(text: str) -> tuple[str, PositionType, str]:
    """Return the three parts of a text that has the form of a key.

    Raises :class:`InvalidPositionKeyError` (POS-002) for any other text.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise InvalidPositionKeyError(
            f"{text!r} is not a position key; write venue:PositionType:TOKEN", position_key=text
        )
    try:
        position_type = _TYPE_ALIASES.get(form["type"]) or PositionType(form["type"])
    except ValueError:
        raise InvalidPositionKeyError(
            f"unknown position type {form['type']!r} in {text!r}; types are {', '.join(PositionType)}",
            position_key=text,
        ) from None
    return form["prefix"], position_type, form["token"]


@lru_cache(maxsize=1024)
def _parse(text: str) -> PositionKey:
    return PositionKey(*key_parts(text))


@lru_cache(maxsize=1024)
def canonical_key(text: str) -> str:
    """Return the one spelling of a key; cached, so it costs a look-up when the key has been seen.

    >>> canonical_key("okx:Perp:BTC-PERP")
    'okx:PerpPosition:BTC-PERP'
    """
    return str(_parse(text))


def venue_of(key_text: str) -> str:
    """Venue id of the balance that a key names.

    >>> venue_of("aave:aToken:aUSDT")
    'aave_v3'
    """
    return _parse(key_text).venue


@cache
def wallet_key(token: str) -> str:
    """Key of a token in the wallet."""
    return str(PositionKey("wallet", PositionType.BASE_TOKEN, token))


@cache
def cex_key(venue: str, token: str) -> str:
    """Key of a spot balance at an exchange."""
    return str(PositionKey(venue, PositionType.BASE_TOKEN, token))


@cache
def perp_key(venue: str, token: str) -> str:
    """Key of a perpetual at an exchange, by its base asset.

    >>> perp_key("okx", "ETH")
    'okx:PerpPosition:ETH-PERP'
    """
    return str(PositionKey(venue, PositionType.PERP, PositionType.PERP.token_of(token)))


@cache
def a_token_key(token: str) -> str:
    """Key of an Aave deposit, by its underlying token."""
    return str(PositionKey(_AAVE_PREFIX, PositionType.A_TOKEN, PositionType.A_TOKEN.token_of(token)))


@cache
def debt_key(token: str) -> str:
    """Key of an Aave loan, by its underlying token."""
    return str(PositionKey(_AAVE_PREFIX, PositionType.DEBT_TOKEN, PositionType.DEBT_TOKEN.token_of(token)))


@cache
def lst_key(lst_token: str) -> str:
    """Key of a liquid staking token, at the protocol that issues it.

    >>> lst_key("wstETH")
    'lido:LST:wstETH'
    """
    return str(PositionKey(LST_VENUES.get(lst_token, "etherfi"), PositionType.LST, lst_token))


@cache
def claim_key(lst_token: str) -> str:
    """Key of the ETH that the withdrawal queue of a staking token's protocol owes.

    >>> claim_key("weETH")
    'etherfi:BaseToken:ETH'
    """
    return str(PositionKey(LST_VENUES[lst_token], PositionType.BASE_TOKEN, "ETH"))


def normalise_pair(text: str) -> str:
    """Return the stored spelling of a trading pair.

    >>> normalise_pair("BTC/USDT"), normalise_pair("ETH-USDT"), normalise_pair("BTCUSDT")
    ('BTCUSDT', 'ETHUSDT', 'BTCUSDT')
    """
    return text.replace("/", "").replace("-", "")


def asset_of(token: str) -> str:
    """Return the asset whose price moves a token: ETH for its wrapped and staked forms, else the token itself.

    >>> asset_of("WETH"), asset_of("weETH"), asset_of("USDT")
    ('ETH', 'ETH', 'USDT')
    """
    return TOKENS[token].claim_on if token in TOKENS else token
