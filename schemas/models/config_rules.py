"""Rules between the keys of a mode file (end of domain section 10); those between files are in ``config_run``.

Every rule says which keys it reads (``config_base.Rule``), so that it can be skipped when one of them is itself at
fault. The facts that the rules compare with are those of domain 3.1.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from schemas.models.config_base import (
    DataColumn,
    FaultKind,
    RiskType,
    Rule,
    RuleFault,
)
from schemas.models.config_facts import facts_of, required_columns, switches_of
from schemas.models.config_mode import ModeSettings

ALLOCATION_SUM_TOLERANCE: Final = 0.01
"""Distance from 1 that a sum of hedge_allocation may have (domain section 10)."""

HEALTH_FACTOR_FLOOR: Final = 1.1
"""target_ltv may not exceed the liquidation threshold over this, or the mode would deleverage at once (domain 3.2)."""

ALLOCATION = ("component_config", "strategy_manager", "position_calculation", "hedge_allocation")
_ATTRIBUTION = ("component_config", "pnl_monitor", "attribution_types")
_LIMITS = ("component_config", "risk_monitor", "risk_limits")
_REPORTING_CURRENCY = ("component_config", "pnl_monitor", "reporting_currency")
_RISK_TYPES = ("component_config", "risk_monitor", "enabled_risk_types")
_SETTLEMENT = ("component_config", "settlement")
_SEASONAL_REWARDS = (*_SETTLEMENT, "seasonal_rewards_enabled")
_STRATEGY_TYPE = ("component_config", "strategy_manager", "strategy_type")
_MARGIN_LEVELS = ("strategy_config", "margin_levels")
_MARGIN_LOAN = ("strategy_config", "margin_loan_limit")
_NET_DELTA_TRADE = ("strategy_config", "net_delta_trade")
_TARGET_LTV = ("strategy_config", "target_ltv")
_LTV_DRIFT = ("strategy_config", "ltv_drift_tolerance")
_FUNDING_ENTER = ("strategy_config", "funding_enter_apr")
_FUNDING_LEAVE = ("strategy_config", "funding_leave_apr")


def _leverage(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that leverage comes with borrowing."""
    if mode.leverage_enabled and not mode.borrowing_enabled:
        yield RuleFault(("leverage_enabled",), "leverage needs borrowing: set borrowing_enabled to true")


def _borrowing(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that borrowing is capped."""
    if mode.borrowing_enabled and mode.max_ltv is None:
        yield RuleFault(("max_ltv",), "borrowing needs max_ltv", FaultKind.MISSING)


def _staking(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that staking says what it holds."""
    if mode.staking_enabled and mode.lst_type is None:
        yield RuleFault(("lst_type",), "staking needs lst_type: weeth or wsteth", FaultKind.MISSING)


def _rewards(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that rewards are settled."""
    if mode.pays_rewards and not mode.component_config.settlement.seasonal_rewards_enabled:
        message = f"rewards_mode {mode.rewards_mode} pays rewards: set seasonal_rewards_enabled to true"
        yield RuleFault(_SEASONAL_REWARDS, message)


def _perpetuals(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that a mode that trades perpetuals settles them: funding and realised P&L cannot be switched off."""
    settlement = mode.component_config.settlement
    if facts_of(mode).traded_asset is None:
        return
    for name, enabled in (
        ("funding_enabled", settlement.funding_enabled),
        ("margin_pnl_enabled", settlement.margin_pnl_enabled),
    ):
        if not enabled:
            yield RuleFault((*_SETTLEMENT, name), f"{mode.mode} trades perpetuals: set {name} to true")


def _lending(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that lending and borrowing say where."""
    if (mode.lending_enabled or mode.borrowing_enabled) and mode.lending_protocol is None:
        yield RuleFault(("lending_protocol",), "lending and borrowing need lending_protocol", FaultKind.MISSING)


def _allocation(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that the allocation exists where the mode trades at exchanges, and sums to one."""
    allocation = mode.hedge_allocation
    if not allocation:
        if mode.basis_trade_enabled or facts_of(mode).traded_asset is not None:
            yield RuleFault(ALLOCATION, f"{mode.mode} needs hedge_allocation", FaultKind.MISSING)
        return
    total = sum(allocation.values())
    if abs(total - 1.0) > ALLOCATION_SUM_TOLERANCE + 1e-12:
        yield RuleFault(ALLOCATION, f"hedge_allocation sums to {total:.6g}; it must be 1 within 0.01")


def _target_ltv(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check target_ltv <= min(max_ltv, liquidation threshold / 1.1)."""
    target = mode.strategy_config.target_ltv
    if target is None:
        if mode.leverage_enabled:
            yield RuleFault(_TARGET_LTV, "leverage needs target_ltv", FaultKind.MISSING)
        return
    if mode.max_ltv is not None and target > mode.max_ltv:
        yield RuleFault(_TARGET_LTV, f"target_ltv {target:g} is above max_ltv {mode.max_ltv:g}")
    threshold = mode.component_config.risk_monitor.risk_limits.liquidation_threshold
    if threshold is not None and target > threshold / HEALTH_FACTOR_FLOOR:
        bound = threshold / HEALTH_FACTOR_FLOOR
        yield RuleFault(_TARGET_LTV, f"target_ltv {target:g} is above liquidation_threshold / 1.1 = {bound:.4f}")


def _risk_types(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that the risks of the mode are measured."""
    enabled = mode.component_config.risk_monitor.enabled_risk_types
    for risk in facts_of(mode).risk_types:
        if risk not in enabled:
            yield RuleFault(_RISK_TYPES, f"{mode.mode} must measure {risk}: add it")


def _risk_limits(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that every limit of an enabled risk is written: a risk limit has no default."""
    limits, strategy = mode.component_config.risk_monitor.risk_limits, mode.strategy_config
    enabled = mode.component_config.risk_monitor.enabled_risk_types
    needed: list[tuple[tuple[str, ...], object]] = []
    if RiskType.CEX_MARGIN_RATIO in enabled:
        needed.append((_MARGIN_LEVELS, strategy.margin_levels))
        needed.append((_MARGIN_LOAN, strategy.margin_loan_limit))
    if RiskType.DELTA_RISK in enabled:
        needed.append(((*_LIMITS, "delta_tolerance"), limits.delta_tolerance))
        needed.append((_NET_DELTA_TRADE, strategy.net_delta_trade))
    if RiskType.LTV_RISK in enabled and mode.borrowing_enabled:
        needed.append((_LTV_DRIFT, strategy.ltv_drift_tolerance))
    if RiskType.LIQUIDATION_RISK in enabled and mode.borrowing_enabled:
        needed.append(((*_LIMITS, "liquidation_threshold"), limits.liquidation_threshold))
    if (RiskType.LIQUIDATION_RISK in enabled and mode.borrowing_enabled) or facts_of(mode).traded_asset is None:
        needed.append(((*_LIMITS, "health_factor_min"), limits.health_factor_min))
    if mode.staking_enabled:
        needed.append(((*_LIMITS, "max_stake_spread_move"), limits.max_stake_spread_move))
    for key, value in needed:
        if value is None:
            yield RuleFault(key, f"a risk limit has no default: write {key[-1]}", FaultKind.MISSING)


def _delta_thresholds(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that the alert comes before the trade."""
    alert = mode.component_config.risk_monitor.risk_limits.delta_tolerance
    trade = mode.strategy_config.net_delta_trade
    if alert is not None and trade is not None and alert > trade:
        yield RuleFault((*_LIMITS, "delta_tolerance"), f"the alert {alert:g} is above net_delta_trade {trade:g}")


def _margin_order(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check excess > warning > reduce > exit > liquidation."""
    levels = mode.strategy_config.margin_levels
    if levels is None:
        return
    names = ("excess", "warning", "reduce", "exit", "liquidation")
    written = [(name, value) for name in names if (value := getattr(levels, name)) is not None]
    for (upper, high), (lower, low) in pairwise(written):
        if low >= high:
            key = (*_MARGIN_LEVELS, lower)
            yield RuleFault(key, f"{lower} {low:g} must be below {upper} {high:g}")


def _funding(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that the leave level is not above the enter level."""
    enter, leave = mode.strategy_config.funding_enter_apr, mode.strategy_config.funding_leave_apr
    if leave > enter:
        message = f"funding_leave_apr {leave:g} is above funding_enter_apr {enter:g}: the mode would leave as it enters"
        yield RuleFault(_FUNDING_LEAVE, message)


def _ml(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that ML modes, and only they, have ml_config, a 5-minute clock and an open band."""
    is_ml = facts_of(mode).is_ml
    if is_ml and mode.ml_config is None:
        yield RuleFault(("ml_config",), f"{mode.mode} needs ml_config", FaultKind.MISSING)
    if not is_ml and mode.ml_config is not None:
        yield RuleFault(("ml_config",), f"{mode.mode} uses no predictions: remove ml_config")
    step = 300 if is_ml else 3_600
    if mode.clock_step_seconds != step:
        yield RuleFault(("clock_step_seconds",), f"{mode.mode} runs on rows of {step} seconds")
    if mode.ml_config is not None and mode.ml_config.sd_floor_bps >= mode.ml_config.sd_cap_bps:
        yield RuleFault(("ml_config", "sd_cap_bps"), "sd_cap_bps must be above sd_floor_bps, or the band is constant")


def _hedged_staking(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that hedged modes say which share they stake."""
    if facts_of(mode).is_hedged_staking and mode.stake_allocation_percentage is None:
        key = ("stake_allocation_percentage",)
        yield RuleFault(key, f"{mode.mode} needs stake_allocation_percentage", FaultKind.MISSING)


def _family(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that what a mode says of itself is what its family says; without one, that some family says it."""
    if mode.family is None:
        if mode.staking_enabled and mode.lending_enabled and not (mode.borrowing_enabled or mode.leverage_enabled):
            yield RuleFault(
                ("lending_enabled",), "a mode that stakes lends only as collateral of a loan: borrow, or do not lend"
            )
        return
    family = mode.family
    fixed: dict[str, object] = {**switches_of(family, levered=mode.leverage_enabled)}
    if family in ("basis", "hedged", "ml"):
        fixed["margin_currency"] = mode.share_class
    for key, implied in fixed.items():
        written = getattr(mode, key)
        if written != implied:
            message = f"{key} {_text(written)} is written, but a mode of family {family} has {_text(implied)}"
            yield RuleFault((key,), f"{message}: remove the line, or name another family")


def _text(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _strategy_type(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that the strategy is the mode's own."""
    strategy_type = mode.component_config.strategy_manager.strategy_type
    if strategy_type != mode.mode:
        yield RuleFault(_STRATEGY_TYPE, f"strategy_type {strategy_type} is not the mode {mode.mode}")


def _reporting_currency(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that P&L is reported in the share class."""
    currency = mode.component_config.pnl_monitor.reporting_currency
    if currency != mode.share_class:
        yield RuleFault(_REPORTING_CURRENCY, f"P&L is reported in share class {mode.share_class}, not {currency}")


def _attribution(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that the attribution can be complete."""
    for part in facts_of(mode).attribution_types:
        if part not in mode.component_config.pnl_monitor.attribution_types:
            yield RuleFault(_ATTRIBUTION, f"{mode.mode} earns or pays {part}: add it")


def _data(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that every column the mode reads is required."""
    for column in required_columns(mode):
        if column not in mode.data_requirements:
            yield RuleFault(("data_requirements",), f"{mode.mode} reads {column}: add it")


def _fill_rules(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that a fill rule names a required column per venue, an enabled exchange, and a usable source."""
    per_venue = (DataColumn.SPOT_PRICE, DataColumn.PERP_MARK, DataColumn.FUNDING_RATE)
    for name, rule in mode.fill_rules.items():
        key = ("fill_rules", name)
        column, _, venue = name.partition(".")
        if column not in per_venue or column not in mode.data_requirements:
            wanted = ", ".join(each for each in per_venue if each in mode.data_requirements) or "none here"
            yield RuleFault(key, f"{column!r} is not a required column with one series a venue ({wanted})")
        if venue not in mode.enabled_venues:
            yield RuleFault(key, f"{venue!r} is not an enabled venue; write column.venue")
        is_mean = rule == "mean_of_other_venues"
        if is_mean and column != DataColumn.FUNDING_RATE:
            yield RuleFault(key, "mean_of_other_venues fills funding_rate only; name a venue")
        if column == DataColumn.PERP_MARK and rule.removesuffix("_spot") in mode.enabled_venues and rule != venue:
            continue  # the spot candles of a venue stand in for its perpetual (ruling 26)
        if not is_mean and (rule not in mode.enabled_venues or rule == venue):
            yield RuleFault(key, f"{rule!r} is neither mean_of_other_venues nor another enabled venue")


def _order_types(mode: ModeSettings) -> Iterator[RuleFault]:
    """Check that an exchange that says which orders it gets says market orders, as all but directional modes send."""
    if facts_of(mode).is_ml:
        return
    for venue, use in mode.venues.items():
        if use.order_types and "market" not in use.order_types:
            yield RuleFault(("venues", venue, "order_types"), f"{mode.mode} sends market orders: add market")


def _rule(check: Callable[[ModeSettings], Iterator[RuleFault]], *reads: str | tuple[str, ...]) -> Rule[ModeSettings]:
    """Bind a check to the keys that it reads."""
    return Rule(tuple(key if isinstance(key, str) else ".".join(key) for key in reads), check)


FACTS: Final = (
    "mode",
    "family",
    "margin_currency",
    "lending_enabled",
    "staking_enabled",
    "borrowing_enabled",
    "data_requirements",
    "strategy_config.delta_tracking_asset",
)
"""What the facts of a mode follow from."""

FEATURES: Final = (
    *FACTS,
    "share_class",
    "basis_trade_enabled",
    "leverage_enabled",
    "lst_type",
    "strategy_config.unstake_route",
    "rewards_mode",
)

MODE_RULES: Final[tuple[Rule[ModeSettings], ...]] = (
    _rule(_leverage, "leverage_enabled", "borrowing_enabled"),
    _rule(_borrowing, "borrowing_enabled", "max_ltv"),
    _rule(_staking, "staking_enabled", "lst_type"),
    _rule(_rewards, "rewards_mode", _SEASONAL_REWARDS),
    _rule(_perpetuals, *FACTS, _SETTLEMENT),
    _rule(_lending, "lending_enabled", "borrowing_enabled", "lending_protocol"),
    _rule(_allocation, *FACTS, "basis_trade_enabled", ALLOCATION),
    _rule(_target_ltv, "leverage_enabled", "max_ltv", _TARGET_LTV, (*_LIMITS, "liquidation_threshold")),
    _rule(_risk_types, *FACTS, _RISK_TYPES),
    _rule(
        _risk_limits,
        *FACTS,
        _RISK_TYPES,
        _LIMITS,
        _MARGIN_LEVELS,
        _MARGIN_LOAN,
        _NET_DELTA_TRADE,
        _LTV_DRIFT,
    ),
    _rule(_delta_thresholds, (*_LIMITS, "delta_tolerance"), _NET_DELTA_TRADE),
    _rule(_margin_order, _MARGIN_LEVELS),
    _rule(_funding, _FUNDING_ENTER, _FUNDING_LEAVE),
    _rule(_ml, *FACTS, "ml_config", "clock_step_seconds"),
    _rule(_hedged_staking, *FACTS, "stake_allocation_percentage"),
    _rule(_family, *FEATURES),
    _rule(_strategy_type, "mode", _STRATEGY_TYPE),
    _rule(_reporting_currency, "share_class", _REPORTING_CURRENCY),
    _rule(_attribution, *FACTS, _ATTRIBUTION),
    _rule(_data, *FEATURES, "data_requirements"),
    _rule(_fill_rules, "fill_rules", "data_requirements", "venues"),
    _rule(_order_types, *FACTS, "venues"),
)
"""Every rule inside a mode file."""
