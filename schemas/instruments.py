"""Venues, position types, tokens, and the position key ``venue:PositionType:TOKEN``.

A key names one balance and its unit (domain specification, section 2):

    BaseToken      token units, not negative (except a venue's margin loan in USDT)
    aToken         scaled units of an Aave deposit: underlying divided by the liquidity index at the deposit
    debtToken      scaled units of an Aave loan, stored positive and valued negatively
    LST            units of a liquid staking token
    PerpPosition   base-asset units of a perpetual, signed: short < 0

Old spellings are accepted by :meth:`PositionKey.parse` and never written.
"""

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


class VenueKind(StrEnum):
    """What a venue is, hence which interface serves it."""

    CEX = "cex"
    DEFI = "defi"
    INFRASTRUCTURE = "infrastructure"
    WALLET = "wallet"
    PRICE_SOURCE = "price_source"


VENUES: Final[Mapping[str, VenueKind]] = MappingProxyType(
    {
        "binance": VenueKind.CEX,
        "bybit": VenueKind.CEX,
        "okx": VenueKind.CEX,
        "aave_v3": VenueKind.DEFI,
        "morpho": VenueKind.DEFI,
        "etherfi": VenueKind.DEFI,
        "lido": VenueKind.DEFI,
        "instadapp": VenueKind.INFRASTRUCTURE,
        "uniswap": VenueKind.INFRASTRUCTURE,
        "curve": VenueKind.PRICE_SOURCE,
        "wallet": VenueKind.WALLET,
        "alchemy": VenueKind.INFRASTRUCTURE,
        "ml_inference_api": VenueKind.INFRASTRUCTURE,
    }
)
"""Venue id to kind."""

CEX_VENUES: Final = tuple(venue for venue, kind in VENUES.items() if kind is VenueKind.CEX)

LST_VENUES: Final[Mapping[str, str]] = MappingProxyType({"weETH": "etherfi", "wstETH": "lido", "stETH": "lido"})
"""Liquid staking token to the protocol that issues it."""

DUST_TOKENS: Final = ("EIGEN", "ETHFI", "KING")
"""Reward tokens: outside every share class, to be sold."""

_AAVE_PREFIX: Final = "aave"
_VENUE_OF_PREFIX: Final = {_AAVE_PREFIX: "aave_v3"}
_PREFIX_ALIASES: Final = {"aave_v3": _AAVE_PREFIX, "alchemy": "wallet"}
_TYPE_ALIASES: Final = {"Perp": PositionType.PERP}
_TOKEN_ALIASES: Final = {"aETH": "aWETH", "debtETH": "debtWETH"}

_A_TOKENS: Final = frozenset({"aUSDT", "aWETH", "aweETH", "awstETH"})
_DEBT_TOKENS: Final = frozenset({"debtUSDT", "debtWETH"})
_PERPS: Final = frozenset({"BTC-PERP", "ETH-PERP"})
_WALLET_TOKENS: Final = frozenset({"USDT", "BTC", "ETH", "WETH", "EIGEN", "ETHFI", "KING"})
_CEX_TOKENS: Final = frozenset({"USDT", "BTC", "ETH", "EIGEN", "ETHFI"})
_UNSTAKED_TOKENS: Final = frozenset({"ETH"})

_CEX_ROOM: Final = {PositionType.BASE_TOKEN: _CEX_TOKENS, PositionType.PERP: _PERPS}
_TOKENS: Final[Mapping[str, Mapping[PositionType, frozenset[str]]]] = MappingProxyType(
    {
        **dict.fromkeys(CEX_VENUES, _CEX_ROOM),
        "wallet": {PositionType.BASE_TOKEN: _WALLET_TOKENS},
        _AAVE_PREFIX: {PositionType.A_TOKEN: _A_TOKENS, PositionType.DEBT_TOKEN: _DEBT_TOKENS},
        "etherfi": {PositionType.LST: frozenset({"weETH"}), PositionType.BASE_TOKEN: _UNSTAKED_TOKENS},
        "lido": {PositionType.LST: frozenset({"wstETH", "stETH"}), PositionType.BASE_TOKEN: _UNSTAKED_TOKENS},
    }
)
"""Prefix and position type to the tokens that can be held there."""


@dataclass(frozen=True, slots=True)
class PositionKey:
    """One balance: the prefix of its venue, its type and its token.

    Raises :class:`InvalidPositionKeyError` (POS-002) for a balance that cannot exist, such as a perpetual in a wallet.
    """

    prefix: str
    position_type: PositionType
    token: str

    def __post_init__(self) -> None:
        held = _TOKENS.get(self.prefix, {}).get(self.position_type, frozenset())
        if self.token not in held:
            raise InvalidPositionKeyError(
                f"no such balance {str(self)!r}; {_hint(self.prefix, self.position_type)}", position_key=str(self)
            )

    def __str__(self) -> str:
        return f"{self.prefix}:{self.position_type}:{self.token}"

    @classmethod
    def parse(cls, text: str) -> "PositionKey":
        """Return the key that a text spells, old spellings included.

        Raises :class:`InvalidPositionKeyError` (POS-002) for any other text.

        >>> str(PositionKey.parse("binance:Perp:BTCUSDT"))
        'binance:PerpPosition:BTC-PERP'
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
        if self.position_type is PositionType.A_TOKEN:
            return self.token.removeprefix("a")
        if self.position_type is PositionType.DEBT_TOKEN:
            return self.token.removeprefix("debt")
        return self.token.removesuffix("-PERP")


def _hint(prefix: str, position_type: str) -> str:
    """Say what would have been allowed in place of a refused key."""
    if prefix not in _TOKENS:
        return f"venues of keys are {', '.join(sorted(_TOKENS))}"
    types = _TOKENS[prefix]
    if position_type not in types:
        return f"{prefix} holds {', '.join(types)}"
    return f"{prefix}:{position_type} holds {', '.join(sorted(types[PositionType(position_type)]))}"


@lru_cache(maxsize=1024)
def _parse(text: str) -> PositionKey:
    parts = text.split(":")
    if len(parts) != 3 or not all(parts):
        raise InvalidPositionKeyError(
            f"{text!r} is not a position key; write venue:PositionType:TOKEN", position_key=text
        )
    prefix, type_text, token = parts
    prefix = _PREFIX_ALIASES.get(prefix, prefix)
    token = _TOKEN_ALIASES.get(token, token)
    try:
        position_type = _TYPE_ALIASES.get(type_text) or PositionType(type_text)
    except ValueError:
        raise InvalidPositionKeyError(
            f"unknown position type {type_text!r} in {text!r}; {_hint(prefix, type_text)}", position_key=text
        ) from None
    if position_type is PositionType.PERP and not token.endswith("-PERP"):
        token = f"{normalise_pair(token).removesuffix('USDT')}-PERP"
    elif prefix == LST_VENUES.get(token) and position_type in (PositionType.BASE_TOKEN, PositionType.A_TOKEN):
        position_type = PositionType.LST
    elif prefix == _AAVE_PREFIX and position_type is PositionType.BASE_TOKEN:
        position_type = PositionType.DEBT_TOKEN if token in _DEBT_TOKENS else PositionType.A_TOKEN
    return PositionKey(prefix, position_type, token)


@lru_cache(maxsize=1024)
def canonical_key(text: str) -> str:
    """Return the one spelling of a key; cached, so it costs a look-up when the key has been seen.

    >>> canonical_key("aave_v3:aToken:aETH")
    'aave:aToken:aWETH'
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
    return str(PositionKey(venue, PositionType.PERP, f"{token}-PERP"))


@cache
def a_token_key(token: str) -> str:
    """Key of an Aave deposit, by its underlying token."""
    return str(PositionKey(_AAVE_PREFIX, PositionType.A_TOKEN, f"a{token}"))


@cache
def debt_key(token: str) -> str:
    """Key of an Aave loan, by its underlying token."""
    return str(PositionKey(_AAVE_PREFIX, PositionType.DEBT_TOKEN, f"debt{token}"))


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
