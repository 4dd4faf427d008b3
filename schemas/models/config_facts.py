"""What domain section 3 fixes for each mode, and what follows from a mode's features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.instruments import (
    VENUES,
    VenueKind,
    a_token_key,
    cex_key,
    claim_key,
    debt_key,
    lst_key,
    perp_key,
    wallet_key,
)
from schemas.models.config_base import AttributionType, DataColumn, ModeName, RiskType, ShareClassName
from schemas.models.config_mode import ModeSettings

_CAPITAL_TOKENS: Final[Mapping[ShareClassName, tuple[str, ...]]] = {
    "USDT": ("USDT",),
    "ETH": ("ETH", "WETH"),
    "BTC": ("BTC",),
}
"""Wallet tokens of a share class; ETH and WETH are one asset with two keys (ruling 7)."""

LST_TOKENS: Final[Mapping[str, str]] = {"weeth": "weETH", "wsteth": "wstETH"}
"""``lst_type`` to token."""

BORROWED_TOKEN: Final = "WETH"
"""What the modes of domain section 3 borrow."""

_COSTS = AttributionType.TRANSACTION_COSTS
_STAKING = (AttributionType.STAKING_YIELD_ORACLE, AttributionType.STAKING_YIELD_REWARDS, AttributionType.DUST_PNL)
_LEVERAGE = (AttributionType.SUPPLY_YIELD, AttributionType.BORROW_COST)
_HEDGE = (AttributionType.FUNDING_PNL, AttributionType.DELTA_PNL, AttributionType.BASIS_PNL)
_DIRECTIONAL = (AttributionType.DELTA_PNL, AttributionType.FUNDING_PNL)
_CEX_RISKS = (RiskType.CEX_MARGIN_RATIO, RiskType.DELTA_RISK)
_DEBT_RISKS = (RiskType.LTV_RISK, RiskType.LIQUIDATION_RISK)


@dataclass(frozen=True)
class ModeFacts:
    """What domain 3.1 fixes for a mode: risk types, attribution, and what it trades at exchanges."""

    risk_types: tuple[RiskType, ...]
    attribution_types: tuple[AttributionType, ...]
    traded_asset: str | None = None
    is_ml: bool = False
    is_hedged_staking: bool = False


_LENDING = ModeFacts((), (AttributionType.SUPPLY_YIELD, _COSTS))
_ML = ModeFacts(_CEX_RISKS, (*_DIRECTIONAL, _COSTS), "BTC", is_ml=True)
MODE_FACTS: Final[Mapping[ModeName, ModeFacts]] = {
    ModeName.PURE_LENDING_USDT: _LENDING,
    ModeName.PURE_LENDING_ETH: _LENDING,
    ModeName.BTC_BASIS: ModeFacts(_CEX_RISKS, (*_HEDGE, _COSTS), "BTC"),
    ModeName.ETH_BASIS: ModeFacts(_CEX_RISKS, (*_HEDGE, _COSTS), "ETH"),
    ModeName.ETH_STAKING_ONLY: ModeFacts((), (*_STAKING, _COSTS)),
    ModeName.ETH_LEVERAGED: ModeFacts(_DEBT_RISKS, (*_STAKING, *_LEVERAGE, _COSTS)),
    ModeName.USDT_MARKET_NEUTRAL_NO_LEVERAGE: ModeFacts(
        _CEX_RISKS, (*_STAKING, *_HEDGE, _COSTS), "ETH", is_hedged_staking=True
    ),
    ModeName.USDT_MARKET_NEUTRAL: ModeFacts(
        (*_CEX_RISKS, *_DEBT_RISKS), (*_STAKING, *_LEVERAGE, *_HEDGE, _COSTS), "ETH", is_hedged_staking=True
    ),
    ModeName.ML_BTC_DIRECTIONAL_USDT_MARGIN: _ML,
    ModeName.ML_BTC_DIRECTIONAL_BTC_MARGIN: _ML,
}


def facts_of(mode: ModeSettings) -> ModeFacts:
    """What a mode must measure and attribute: as domain 3.1 says, or for a mode beyond it as its features say."""
    specified = MODE_FACTS.get(mode.mode)  # type: ignore[call-overload]  # the name of an enumeration is its text
    return specified if specified is not None else _facts_of_features(mode)


def _facts_of_features(mode: ModeSettings) -> ModeFacts:
    trades, predicts = mode.margin_currency is not None, DataColumn.PREDICTION in mode.data_requirements
    parts: list[AttributionType] = []
    if mode.staking_enabled:
        parts += _STAKING
    if mode.borrowing_enabled:
        parts += _LEVERAGE
    elif mode.lending_enabled:
        parts.append(AttributionType.SUPPLY_YIELD)
    if trades:
        parts += _DIRECTIONAL if predicts else _HEDGE
    return ModeFacts(
        (*(_CEX_RISKS if trades else ()), *(_DEBT_RISKS if mode.borrowing_enabled else ())),
        (*parts, _COSTS),
        mode.strategy_config.delta_tracking_asset if trades else None,
        is_ml=predicts,
        is_hedged_staking=trades and mode.staking_enabled,
    )


def required_columns(mode: ModeSettings) -> tuple[DataColumn, ...]:
    """Return the market columns without which the mode cannot be valued or charged gas."""
    facts = facts_of(mode)
    columns = [] if facts.is_ml else [DataColumn.ETH_PRICE, DataColumn.GAS_PRICE_GWEI]
    if facts.traded_asset is not None:
        columns += [DataColumn.PERP_MARK, DataColumn.FUNDING_RATE, DataColumn.REFERENCE_PRICE]
    if mode.basis_trade_enabled or facts.is_hedged_staking:
        columns.append(DataColumn.SPOT_PRICE)
    if mode.lending_enabled or mode.borrowing_enabled:
        columns.append(DataColumn.LIQUIDITY_INDEX)
    if mode.borrowing_enabled:
        columns.append(DataColumn.VARIABLE_BORROW_INDEX)
    if mode.staking_enabled:
        columns.append(DataColumn.LST_ORACLE_RATIO)
    if mode.reward_tokens:
        columns.append(DataColumn.STAKING_REWARDS)
    if facts.is_ml:
        columns += [DataColumn.OHLCV, DataColumn.PREDICTION]
    return tuple(columns)


def supplied_token(mode: ModeSettings) -> str | None:
    """Return the token that a mode supplies to its lending protocol: its LST with leverage, else its capital."""
    if mode.leverage_enabled:
        return None if mode.lst_type is None else LST_TOKENS[mode.lst_type]
    if not mode.lending_enabled:
        return None
    return "WETH" if mode.share_class == "ETH" else mode.share_class


def emitted_keys(mode: ModeSettings) -> tuple[str, ...]:
    """Return the position keys that the strategy of a mode can move, from its features (domain 3.2)."""
    facts = facts_of(mode)
    exchanges = [venue for venue in mode.hedge_allocation if VENUES.get(venue) is VenueKind.CEX]
    keys: list[str] = []
    if not facts.is_ml:
        keys += [wallet_key(token) for token in _CAPITAL_TOKENS[mode.share_class]]
    if facts.is_hedged_staking:
        keys += [wallet_key("ETH"), wallet_key("WETH")]
    if facts.traded_asset is not None:
        keys += [cex_key(venue, mode.share_class) for venue in exchanges]
        keys += [perp_key(venue, facts.traded_asset) for venue in exchanges]
    if mode.basis_trade_enabled and facts.traded_asset is not None:
        keys += [cex_key(venue, facts.traded_asset) for venue in exchanges]
    lst = LST_TOKENS[mode.lst_type] if mode.lst_type is not None else None
    if mode.staking_enabled and lst is not None:
        keys.append(lst_key(lst))
        if mode.strategy_config.unstake_route == "queue":
            keys.append(claim_key(lst))
        keys += [wallet_key(token) for token in mode.reward_tokens]
    if (supplied := supplied_token(mode)) is not None:
        keys.append(a_token_key(supplied))
    if mode.leverage_enabled and lst is not None:
        keys.append(debt_key(BORROWED_TOKEN))
    return tuple(dict.fromkeys(keys))
