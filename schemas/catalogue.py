"""What each token is: the facts by which balances are ordered, grouped and priced."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class TokenKind(StrEnum):
    """What a token is. The order of the members is that of balances on every axis of tokens."""

    STABLE = "stable"
    COIN = "coin"
    WRAPPED = "wrapped"
    LST = "lst"
    REWARD = "reward"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, and the coin that it is a claim on, itself where it is none."""

    name: str
    kind: TokenKind
    claim_on: str

    @property
    def rank(self) -> tuple[int, str]:
        """Place among tokens: by kind, then by name."""
        return tuple(TokenKind).index(self.kind), self.name


def _table(*rows: tuple[str, TokenKind, str | None]) -> Mapping[str, Token]:
    return MappingProxyType({name: Token(name, kind, claim_on or name) for name, kind, claim_on in rows})


TOKENS: Final = _table(
    ("USDT", TokenKind.STABLE, None),
    ("BTC", TokenKind.COIN, None),
    ("ETH", TokenKind.COIN, None),
    ("WETH", TokenKind.WRAPPED, "ETH"),
    ("weETH", TokenKind.LST, "ETH"),
    ("wstETH", TokenKind.LST, "ETH"),
    ("stETH", TokenKind.LST, "ETH"),
    ("EIGEN", TokenKind.REWARD, None),
    ("ETHFI", TokenKind.REWARD, None),
    ("KING", TokenKind.REWARD, None),
)
"""Every token, by name."""
