"""What a family of modes fixes, and what follows from the choices of a mode: domain section 3."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.instruments import PositionKey, PositionType, VenueKind, cex_key, perp_key, wallet_key
from schemas.models.catalogue import Catalogue
from schemas.models.config_base import AttributionType, DataColumn, RiskType
from schemas.models.config_mode import FamilyName, ModeSettings

_COSTS = AttributionType.TRANSACTION_COSTS
_STAKING = (AttributionType.STAKING_YIELD_ORACLE, AttributionType.STAKING_YIELD_REWARDS, AttributionType.DUST_PNL)
_LEVERAGE = (AttributionType.SUPPLY_YIELD, AttributionType.BORROW_COST)
_HEDGE = (AttributionType.FUNDING_PNL, AttributionType.DELTA_PNL, AttributionType.BASIS_PNL)
_DIRECTIONAL = (AttributionType.DELTA_PNL, AttributionType.FUNDING_PNL)
_CEX_RISKS = (RiskType.CEX_MARGIN_RATIO, RiskType.DELTA_RISK)
_DEBT_RISKS = (RiskType.LTV_RISK, RiskType.LIQUIDATION_RISK)


SWITCHES: Final = ("lending_enabled", "staking_enabled", "basis_trade_enabled", "borrowing_enabled", "leverage_enabled")
"""What kinds of holdings a mode may have, each a key of its file."""
_LEVERED: Final = ("lending_enabled", "staking_enabled", "borrowing_enabled", "leverage_enabled")
_SWITCHED_ON: Final[Mapping[FamilyName, tuple[str, ...]]] = {
    "lending": ("lending_enabled",),
    "basis": ("basis_trade_enabled",),
    "staking": ("staking_enabled",),
    "leverage": _LEVERED,
    "hedged": ("staking_enabled",),
    "ml": (),
}


def switches_of(family: FamilyName, *, levered: bool) -> dict[str, bool]:
    """The switches that a family fixes; a hedged mode may take leverage, which ``levered`` says.

    >>> [switch for switch, is_on in switches_of("basis", levered=False).items() if is_on]
    ['basis_trade_enabled']
    """
    on = _LEVERED if family == "hedged" and levered else _SWITCHED_ON[family]
    return {switch: switch in on for switch in SWITCHES}


@dataclass(frozen=True)
class ModeFacts:
    """What a mode must measure and attribute, and what it trades at exchanges."""

    risk_types: tuple[RiskType, ...]
    attribution_types: tuple[AttributionType, ...]
    traded_asset: str | None = None
    is_ml: bool = False
    is_hedged_staking: bool = False


def family_of(mode: ModeSettings) -> FamilyName:
    """The family of a mode: the one that it names, or for a mode that names none the one that its switches say."""
    if mode.family is not None:
        return mode.family
    if DataColumn.PREDICTION in mode.data_requirements:
        return "ml"
    if mode.margin_currency is not None:
        return "hedged" if mode.staking_enabled else "basis"
    if mode.staking_enabled:
        return "leverage" if mode.borrowing_enabled else "staking"
    return "lending"


def facts_of(mode: ModeSettings) -> ModeFacts:
    """What a mode must measure and attribute, from its family and whether it borrows."""
    family = family_of(mode)
    trades = family in ("basis", "hedged", "ml")
    parts: list[AttributionType] = []
    if mode.staking_enabled:
        parts += _STAKING
    if mode.borrowing_enabled:
        parts += _LEVERAGE
    elif mode.lending_enabled:
        parts.append(AttributionType.SUPPLY_YIELD)
    if trades:
        parts += _DIRECTIONAL if family == "ml" else _HEDGE
    return ModeFacts(
        (*(_CEX_RISKS if trades else ()), *(_DEBT_RISKS if mode.borrowing_enabled else ())),
        (*parts, _COSTS),
        mode.strategy_config.delta_tracking_asset if trades else None,
        is_ml=family == "ml",
        is_hedged_staking=family == "hedged",
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
        columns += [DataColumn.LST_ORACLE_RATIO, DataColumn.LST_MARKET_RATIO]
    if mode.pays_rewards:
        columns.append(DataColumn.STAKING_REWARDS)
    if facts.is_ml:
        columns += [DataColumn.OHLCV, DataColumn.PREDICTION]
    return tuple(columns)


def supplied_token(mode: ModeSettings, catalogue: Catalogue) -> str | None:
    """Return the token that a mode supplies to its lending protocol: its LST with leverage, else its capital."""
    if mode.leverage_enabled:
        return _reserve(mode, catalogue, catalogue.lst_of(mode.lst_type or ""))
    return _reserve(mode, catalogue, mode.share_class) if mode.lending_enabled else None


def borrowed_token(mode: ModeSettings, catalogue: Catalogue) -> str | None:
    """Return the token that a mode borrows: with leverage what its LST is a claim on."""
    lst = catalogue.lst_of(mode.lst_type or "") if mode.leverage_enabled else None
    return None if lst is None else _reserve(mode, catalogue, catalogue.asset_of(lst))


def _reserve(mode: ModeSettings, catalogue: Catalogue, token: str | None) -> str | None:
    """Return the form of a token that the lending protocol of a mode has a reserve of, WETH for ETH; None without."""
    venue = catalogue.venues.get(mode.lending_protocol or "")
    forms = () if token is None or venue is None else catalogue.forms_of(token)
    return next((form for form in forms if venue is not None and form in venue.reserves), None)


def emitted_keys(mode: ModeSettings, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the position keys that the strategy of a mode can move, from its features (domain 3.2)."""
    facts = facts_of(mode)
    exchanges = [venue for venue in mode.hedge_allocation if venue in catalogue.venues_of_kind(VenueKind.CEX)]
    lst = catalogue.lst_of(mode.lst_type or "")
    keys: list[str] = []
    if not facts.is_ml:
        keys += [wallet_key(token) for token in catalogue.forms_of(mode.share_class)]
    if facts.is_hedged_staking and lst is not None:
        keys += [wallet_key(token) for token in catalogue.forms_of(catalogue.asset_of(lst))]
    if facts.traded_asset is not None:
        keys += [cex_key(venue, mode.share_class) for venue in exchanges]
        keys += [perp_key(venue, facts.traded_asset) for venue in exchanges]
    if mode.basis_trade_enabled and facts.traded_asset is not None:
        keys += [cex_key(venue, facts.traded_asset) for venue in exchanges]
    if mode.staking_enabled and lst is not None:
        keys += _staked(mode, catalogue, lst)
    if (supplied := supplied_token(mode, catalogue)) is not None:
        keys.append(_receipt(mode, catalogue, PositionType.A_TOKEN, supplied))
    if (borrowed := borrowed_token(mode, catalogue)) is not None:
        keys.append(_receipt(mode, catalogue, PositionType.DEBT_TOKEN, borrowed))
    return tuple(dict.fromkeys(keys))


def _receipt(mode: ModeSettings, catalogue: Catalogue, receipt: PositionType, token: str) -> str:
    """Key of a deposit or loan of a reserve at the mode's lending protocol."""
    return str(PositionKey(catalogue.venues[mode.lending_protocol or ""].prefix, receipt, receipt.token_of(token)))


def _staked(mode: ModeSettings, catalogue: Catalogue, lst: str) -> list[str]:
    """Keys of a staking token, of the claim that its queue owes where it leaves through one, and of its rewards."""
    prefix = catalogue.venues[catalogue.issuers[lst]].prefix
    keys = [str(PositionKey(prefix, PositionType.LST, lst))]
    if mode.strategy_config.unstake_route == "queue":
        keys.append(str(PositionKey(prefix, PositionType.BASE_TOKEN, catalogue.asset_of(lst))))
    return [*keys, *(wallet_key(token) for token in catalogue.rewards_of(lst, mode.rewards_mode))]
