"""From where each token of a run has its price: its own series, its peg, or what it is a claim on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.catalogue import TOKENS, TokenKind
from schemas.errors import MissingPriceError
from schemas.instruments import PositionKey
from schemas.models.config import RunConfig
from schemas.models.config_base import DataColumn

_COIN_COLUMNS: Final[Mapping[str, DataColumn]] = {"ETH": DataColumn.ETH_PRICE, "BTC": DataColumn.BTC_PRICE}
"""Coin to the market column of its reference price in every mode; a traded coin has ``reference_price`` beside."""


@dataclass(frozen=True)
class PriceSources:
    """How the tokens of a run are priced.

    tokens: the axis of prices. stable_tokens: those among them that are stablecoins. columns: coin to the market column
    of its price, staking token to that of its oracle ratio. claim_of: token to the coin that it is a claim on.
    """

    tokens: tuple[str, ...]
    stable_tokens: tuple[str, ...]
    columns: Mapping[str, str]
    claim_of: Mapping[str, str]


def price_sources(config: RunConfig) -> PriceSources:
    """The tokens of a run and the columns that price them; rewards aside, which only a DEX prices.

    Raises MissingPriceError (DATA-005) for a token that the mode can hold and no column of it prices.
    """
    columns = _columns(config)
    held = {PositionKey.parse(key).underlying for key in config.position_keys} - set(config.reward_tokens)
    used = {*held, config.mode.share_class, config.mode.strategy_config.delta_tracking_asset, config.quote_token}
    named = {*used, *(TOKENS[token].claim_on for token in used), *columns}
    tokens = tuple(sorted(named, key=lambda token: TOKENS[token].rank))
    stable = tuple(token for token in tokens if TOKENS[token].kind is TokenKind.STABLE)
    claim_of = {token: TOKENS[token].claim_on for token in tokens}
    for token in tokens:
        if token not in stable and (claim_of[token] not in columns or not _is_priced(token, columns)):
            raise _unpriced(token, config)
    return PriceSources(tokens, stable, columns, claim_of)


def _columns(config: RunConfig) -> dict[str, str]:
    asked, base, lst = config.mode.data_requirements, config.base_asset, config.lst
    columns = {coin: column.value for coin, column in _COIN_COLUMNS.items() if column in asked}
    if base is not None and base not in columns and DataColumn.REFERENCE_PRICE in asked:
        columns[base] = DataColumn.REFERENCE_PRICE.value
    if lst is not None and DataColumn.LST_ORACLE_RATIO in asked:
        columns[lst] = DataColumn.LST_ORACLE_RATIO.value
    return columns


def _is_priced(token: str, columns: Mapping[str, str]) -> bool:
    return TOKENS[token].kind is TokenKind.WRAPPED or token in columns


def _unpriced(token: str, config: RunConfig) -> MissingPriceError:
    coin = TOKENS[token].claim_on
    wanted = [] if coin not in _COIN_COLUMNS else [_COIN_COLUMNS[coin].value]
    if TOKENS[token].kind is TokenKind.LST:
        wanted.append(DataColumn.LST_ORACLE_RATIO.value)
    remedy = f"add {' and '.join(wanted)} to data_requirements" if wanted else "no market column prices it"
    return MissingPriceError(f"{config.mode.mode} uses {token}, which has no price: {remedy}", token=token)
