"""Configuration models: all ten modes of the domain can be written, and every rule refuses what breaks it.

The six modes that ship no file yet are built here from the domain's own table, so that the schema is shown to hold
for the whole domain. A broken rule must show at its own key: the table below breaks one rule a row and states the
key, and the test asserts that nothing else is reported. Laws (allocation sums, margin levels) are Hypothesis
properties. That messages read well is not asserted; keys and kinds are.
"""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dataflow.config.binding import bind, dotted
from dataflow.config.files import load_run_config
from dataflow.config.old_spellings import fold_position_keys
from dataflow.config.yaml_lines import Document
from schemas.models.config import (
    RUN_RULES,
    ModeConfig,
    ModeName,
    RunConfig,
    RunSettings,
    ScenarioConfig,
    ShareClassConfig,
    VenueConfig,
)
from schemas.models.config_base import DEFAULT_CAPITAL, AttributionType, RiskType, ShareClassName, broken_rules
from schemas.models.config_facts import ModeFacts, emitted_keys, facts_of, required_columns
from schemas.models.config_mode import ModeSettings
from schemas.models.config_rules import MODE_RULES
from tests.support.catalogue import CATALOGUE

Raw = dict[str, Any]

CEX = ("binance", "bybit", "okx")
ALLOCATION = {"binance": 0.4, "bybit": 0.3, "okx": 0.3}
LEVERAGED = (ModeName.ETH_LEVERAGED, ModeName.USDT_MARKET_NEUTRAL)
STAKING = (*LEVERAGED, ModeName.ETH_STAKING_ONLY, ModeName.USDT_MARKET_NEUTRAL_NO_LEVERAGE)
MARGIN_LEVELS = {"warning": 0.4, "reduce": 0.3, "exit": 0.2, "liquidation": 0.1}


_COSTS = AttributionType.TRANSACTION_COSTS
_STAKING = (AttributionType.STAKING_YIELD_ORACLE, AttributionType.STAKING_YIELD_REWARDS, AttributionType.DUST_PNL)
_LEVERAGE = (AttributionType.SUPPLY_YIELD, AttributionType.BORROW_COST)
_HEDGE = (AttributionType.FUNDING_PNL, AttributionType.DELTA_PNL, AttributionType.BASIS_PNL)
_DIRECTIONAL = (AttributionType.DELTA_PNL, AttributionType.FUNDING_PNL)
_CEX_RISKS = (RiskType.CEX_MARGIN_RATIO, RiskType.DELTA_RISK)
_DEBT_RISKS = (RiskType.LTV_RISK, RiskType.LIQUIDATION_RISK)

_LENDING = ModeFacts((), (AttributionType.SUPPLY_YIELD, _COSTS))
_ML = ModeFacts(_CEX_RISKS, (*_DIRECTIONAL, _COSTS), "BTC", is_ml=True)
SPECIFIED: Final[Mapping[ModeName, ModeFacts]] = {
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
"""What domain 3.1 says of each mode, written out: an oracle for what families and switches say."""

HOME: Final[Mapping[ModeName, ShareClassName]] = {
    **dict.fromkeys(ModeName, "USDT"),
    **dict.fromkeys((ModeName.PURE_LENDING_ETH, ModeName.ETH_STAKING_ONLY, ModeName.ETH_LEVERAGED), "ETH"),
    ModeName.ML_BTC_DIRECTIONAL_BTC_MARGIN: "BTC",
}
"""The share class of each mode, domain 3.1."""


def raw_mode(name: ModeName) -> Raw:
    """Return the smallest valid file of a mode, from the facts of domain section 3."""
    facts = SPECIFIED[name]
    share_class = HOME[name]
    levers, stakes = name in LEVERAGED, name in STAKING
    venues: Raw = {} if facts.is_ml else {"wallet": {"venue_type": "wallet"}}
    if facts.traded_asset:
        venues |= {venue: {"venue_type": "cex"} for venue in CEX}
    if levers or name.startswith("pure_lending"):
        venues["aave_v3"] = {"venue_type": "defi"}
    if stakes:
        venues["etherfi"] = {"venue_type": "defi"}
    raw: Raw = {
        "mode": name.value,
        "description": "d",
        "thesis": "t",
        "holds": "h",
        "data_type": "cefi",
        "share_class": share_class,
        "clock_step_seconds": 300 if facts.is_ml else 3600,
        "lending_enabled": levers or name.startswith("pure_lending"),
        "lending_protocol": "aave_v3" if levers or name.startswith("pure_lending") else None,
        "borrowing_enabled": levers,
        "leverage_enabled": levers,
        "staking_enabled": stakes,
        "basis_trade_enabled": name.endswith("_basis"),
        "target_apy": 0.08,
        "max_drawdown": 0.02,
        "data_requirements": ["prediction" if facts.is_ml else "eth_price"],
        "venues": venues,
        "strategy_config": {"delta_tracking_asset": facts.traded_asset or "ETH"},
        "component_config": {
            "position_monitor": {"position_subscriptions": ["wallet:BaseToken:USDT"]},
            "risk_monitor": {"enabled_risk_types": [each.value for each in facts.risk_types], "risk_limits": {}},
            "pnl_monitor": {
                "attribution_types": [each.value for each in facts.attribution_types],
                "reporting_currency": share_class,
            },
            "strategy_manager": {"strategy_type": name.value},
        },
    }
    limits = raw["component_config"]["risk_monitor"]["risk_limits"]
    if stakes:
        raw |= {"lst_type": "weeth", "staking_protocol": "etherfi"}
        limits["max_stake_spread_move"] = 0.0225
    if levers:
        raw["max_ltv"] = 0.75
        raw["strategy_config"] |= {"target_ltv": 0.65, "ltv_drift_tolerance": 0.02}
        limits |= {"liquidation_threshold": 0.95, "health_factor_min": 1.1}
    if facts.traded_asset:
        raw["strategy_config"] |= {
            "margin_levels": dict(MARGIN_LEVELS),
            "margin_loan_limit": 0.001,
            "net_delta_trade": 0.02,
        }
        limits["delta_tolerance"] = 0.005
        raw["margin_currency"] = share_class
        raw["component_config"]["settlement"] = {"funding_enabled": True, "margin_pnl_enabled": True}
        raw["component_config"]["strategy_manager"]["position_calculation"] = {"hedge_allocation": dict(ALLOCATION)}
    else:
        limits["health_factor_min"] = 1.1
    if facts.is_hedged_staking:
        raw["stake_allocation_percentage"] = 0.5
    if facts.is_ml:
        raw["ml_config"] = {
            "model_name": "btc_directional_model",
            "model_version": "1",
            "take_profit_sd": 2,
            "stop_loss_sd": 2,
        }
    draft = ModeSettings.model_validate_json(json.dumps(raw))
    raw["data_requirements"] = [column.value for column in required_columns(draft)]
    raw["component_config"]["position_monitor"]["position_subscriptions"] = list(emitted_keys(draft, CATALOGUE))
    return raw


def broken_keys(model: type[VenueConfig | ShareClassConfig | ScenarioConfig], raw: Raw) -> set[str]:
    """Return the dotted keys of the faults of a raw file; empty when it is valid."""
    try:
        model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        return {".".join(str(part) for part in each["loc"]) for each in error.errors()}
    return set()


def mode_faults(raw: Raw) -> set[str]:
    """Return the dotted keys of the faults of a raw mode, by itself and against the catalogue."""
    document = Document("x", root=copy.deepcopy(raw))
    fold_position_keys(document, CATALOGUE)
    bound = bind(document, ModeConfig, ModeSettings, MODE_RULES)
    parts: Raw = {"mode": bound.model, "catalogue": CATALOGUE}
    run = RunSettings.model_construct(None, **parts)
    unreadable = ["share_class", *(f"mode.{key}" for key in bound.unreadable)]
    between = {dotted(fault.key[1:]) for fault in broken_rules(run, RUN_RULES, unreadable)}
    return {fault.key for fault in bound.faults} | between


def put(raw: Raw, key: str, value: object) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        raw = raw[parent]
    raw[last] = value


def drop(raw: Raw, key: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        raw = raw[parent]
    del raw[last]


@pytest.mark.parametrize("name", ModeName)
def test_family_and_switches_say_of_a_mode_what_the_specification_says(name: ModeName) -> None:
    """So that a mode that the specification does not know is held to the same."""
    shipped = load_run_config(name).config.mode
    assert facts_of(shipped) == facts_of(shipped.model_copy(update={"family": None})) == SPECIFIED[name]


@pytest.mark.parametrize("name", ModeName)
def test_all_ten_modes_can_be_written(name: ModeName) -> None:
    assert mode_faults(raw_mode(name)) == set()


ALLOCATION_KEY = "component_config.strategy_manager.position_calculation.hedge_allocation"
SUBSCRIPTIONS = "component_config.position_monitor.position_subscriptions"
LIMITS = "component_config.risk_monitor.risk_limits"
RISK_TYPES = "component_config.risk_monitor.enabled_risk_types"
BASIS, LEVERED, HEDGED, ML = (
    ModeName.BTC_BASIS,
    ModeName.ETH_LEVERAGED,
    ModeName.USDT_MARKET_NEUTRAL,
    ModeName.ML_BTC_DIRECTIONAL_USDT_MARGIN,
)


STRATEGY_TYPE = "component_config.strategy_manager.strategy_type"
REPORTING = "component_config.pnl_monitor.reporting_currency"
ATTRIBUTION = "component_config.pnl_monitor.attribution_types"


def broken(claim: str, mode: ModeName, key: str, value: object, *fault_at: str) -> object:
    """One row: write ``value`` at ``key``; the fault shows there, or at ``fault_at``."""
    return pytest.param(mode, key, value, set(fault_at or (key,)), id=claim)


BROKEN = [
    broken("leverage-without-borrowing", LEVERED, "borrowing_enabled", False, "leverage_enabled"),
    broken("borrowing-without-cap", LEVERED, "max_ltv", None),
    broken("staking-without-lst", ModeName.ETH_STAKING_ONLY, "lst_type", None),
    broken("lending-nowhere", LEVERED, "lending_protocol", None),
    broken("weeth-of-lido", LEVERED, "staking_protocol", "lido"),
    broken("basis-without-allocation", BASIS, ALLOCATION_KEY, {}),
    broken("bad-sum", BASIS, f"{ALLOCATION_KEY}.okx", 0.5, ALLOCATION_KEY),
    broken(
        "allocation-to-a-disabled-venue",
        BASIS,
        "venues.okx.enabled",
        False,
        f"{ALLOCATION_KEY}.okx",
        f"{SUBSCRIPTIONS}.3",
        f"{SUBSCRIPTIONS}.6",
        f"{SUBSCRIPTIONS}.9",
    ),
    broken("funding-switched-off", BASIS, "component_config.settlement.funding_enabled", False),
    broken("profit-not-credited", HEDGED, "component_config.settlement.margin_pnl_enabled", False),
    broken("leverage-without-target", LEVERED, "strategy_config.target_ltv", None),
    broken("target-above-cap", LEVERED, "strategy_config.target_ltv", 0.8),
    broken(
        "target-above-threshold-over-1.1", HEDGED, f"{LIMITS}.liquidation_threshold", 0.7, "strategy_config.target_ltv"
    ),
    broken("unmeasured-risk", BASIS, RISK_TYPES, ["cex_margin_ratio"]),
    broken("no-default-delta-alert", BASIS, f"{LIMITS}.delta_tolerance", None),
    broken("no-default-delta-trade", BASIS, "strategy_config.net_delta_trade", None),
    broken("no-default-margin-levels", BASIS, "strategy_config.margin_levels", None),
    broken("no-default-margin-loan", BASIS, "strategy_config.margin_loan_limit", None),
    broken("no-default-ltv-drift", LEVERED, "strategy_config.ltv_drift_tolerance", None),
    broken("no-default-health-factor", LEVERED, f"{LIMITS}.health_factor_min", None),
    broken("no-default-liquidation", LEVERED, f"{LIMITS}.liquidation_threshold", None),
    broken("no-default-stake-spread", LEVERED, f"{LIMITS}.max_stake_spread_move", None),
    broken("alert-after-trade", BASIS, f"{LIMITS}.delta_tolerance", 0.03),
    broken("margin-order", BASIS, "strategy_config.margin_levels.exit", 0.35),
    broken("leave-above-enter", BASIS, "strategy_config.funding_leave_apr", 0.001),
    broken("ml-without-config", ML, "ml_config", None),
    broken("wrong-clock", BASIS, "clock_step_seconds", 300),
    broken("constant-band", ML, "ml_config.sd_cap_bps", 10),
    broken("hedged-without-share", HEDGED, "stake_allocation_percentage", None),
    broken("other-strategy", BASIS, STRATEGY_TYPE, "eth_basis"),
    broken("other-currency", BASIS, REPORTING, "ETH"),
    broken("attribution-hole", BASIS, ATTRIBUTION, ["delta_pnl", "basis_pnl", "transaction_costs"]),
    broken(
        "unread-gas",
        BASIS,
        "data_requirements",
        ["spot_price", "perp_mark", "funding_rate", "reference_price", "eth_price"],
    ),
    broken(
        "mean-of-prices", BASIS, "fill_rules", {"spot_price.okx": "mean_of_other_venues"}, "fill_rules.spot_price.okx"
    ),
    broken(
        "fill-of-no-venue", BASIS, "fill_rules", {"funding_rate.kraken": "binance"}, "fill_rules.funding_rate.kraken"
    ),
    broken("fill-by-itself", BASIS, "fill_rules", {"funding_rate.okx": "okx"}, "fill_rules.funding_rate.okx"),
    broken("fill-of-a-common-series", BASIS, "fill_rules", {"eth_price.okx": "binance"}, "fill_rules.eth_price.okx"),
    broken("foreign-instrument", BASIS, "venues.okx.instruments", ["bybit:BaseToken:BTC"], "venues.okx.instruments.0"),
    broken(
        "instrument-not-subscribed",
        BASIS,
        "venues.okx.instruments",
        ["okx:BaseToken:ETHFI"],
        "venues.okx.instruments.0",
    ),
    broken("emitted-not-subscribed", ModeName.PURE_LENDING_USDT, SUBSCRIPTIONS, ["wallet:BaseToken:USDT"]),
    broken(
        "subscribed-twice-by-alias",
        ModeName.PURE_LENDING_USDT,
        SUBSCRIPTIONS,
        ["wallet:BaseToken:USDT", "aave:aToken:aUSDT", "aave_v3:aToken:aUSDT"],
        f"{SUBSCRIPTIONS}.2",
    ),
    broken(
        "subscribed-without-venue",
        ModeName.PURE_LENDING_USDT,
        SUBSCRIPTIONS,
        ["wallet:BaseToken:USDT", "aave:aToken:aUSDT", "okx:BaseToken:USDT"],
        f"{SUBSCRIPTIONS}.2",
    ),
    broken("lending-without-venue", BASIS, "lending_protocol", "aave_v3"),
    broken("unknown-key", BASIS, "use_flash_loan", True),
    broken("a-text-is-no-number", BASIS, "target_apy", "0.08"),
]


@pytest.mark.parametrize(("mode", "key", "value", "fault_at"), BROKEN)
def test_a_broken_rule_shows_at_its_own_key_and_nowhere_else(
    mode: ModeName, key: str, value: object, fault_at: set[str]
) -> None:
    raw = raw_mode(mode)
    put(raw, key, value)
    assert mode_faults(raw) == fault_at


@pytest.mark.parametrize(
    ("mode", "key"),
    [
        (BASIS, "max_drawdown"),
        (BASIS, "strategy_config.margin_levels.liquidation"),
        (BASIS, LIMITS),
        (ML, "ml_config.stop_loss_sd"),
    ],
)
def test_a_risk_limit_has_no_default(mode: ModeName, key: str) -> None:
    raw = raw_mode(mode)
    drop(raw, key)
    assert mode_faults(raw) == {key}


def test_weeth_needs_etherfi_and_wsteth_needs_lido() -> None:
    raw = raw_mode(LEVERED)
    raw["lst_type"] = "wsteth"
    assert mode_faults(raw) == {"lst_type", "staking_protocol", SUBSCRIPTIONS}


def test_a_mode_of_another_share_class_is_refused() -> None:
    raw = raw_run(BASIS)
    raw["share_class"]["type"] = "directional"
    assert run_faults(raw) == {"mode.share_class"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("lending_enabled", True), ("staking_enabled", True), ("basis_trade_enabled", False), ("margin_currency", "ETH")],
)
def test_what_contradicts_the_family_is_refused_with_both_values(key: str, value: object) -> None:
    raw = raw_mode(BASIS) | {"family": "basis", key: value}
    with pytest.raises(ValidationError) as refused:
        ModeConfig.model_validate_json(json.dumps(raw))
    message = next(each["msg"] for each in refused.value.errors() if each["loc"] == (key,))
    written, implied = str(value).lower(), str(raw_mode(BASIS).get(key)).lower()
    assert f"{key} {written} is written".lower() in message.lower()
    assert f"family basis has {implied}" in message.lower()


def test_a_non_ml_mode_refuses_ml_config() -> None:
    raw = raw_mode(BASIS) | {"ml_config": raw_mode(ML)["ml_config"]}
    assert mode_faults(raw) == {"ml_config"}


def test_rules_read_only_the_keys_that_they_declare() -> None:
    for name in ModeName:
        whole = raw_mode(name)
        for rule in MODE_RULES:
            pruned = _pruned(whole, rule.reads)
            rule_faults = list(rule.check(_construct(pruned)))
            assert rule_faults == [], (name, rule.reads)


def _pruned(raw: Raw, keys: tuple[str, ...]) -> Raw:
    """Keep only the keys that are declared (and their parents)."""
    kept: Raw = {}
    for key in keys:
        source, target, parts = raw, kept, key.split(".")
        for part in parts[:-1]:
            source, target = source.get(part, {}), target.setdefault(part, {})
        if parts[-1] in source:
            target[parts[-1]] = copy.deepcopy(source[parts[-1]])
    return kept


def _construct(raw: Raw) -> ModeSettings:
    return bind(Document("x", root=raw), ModeSettings, ModeSettings, ()).model


@given(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
def test_an_allocation_is_accepted_exactly_when_it_sums_to_one_within_a_hundredth(weights: list[float]) -> None:
    raw = raw_mode(BASIS)
    put(raw, ALLOCATION_KEY, dict(zip(CEX, weights, strict=True)))
    distance = abs(sum(weights) - 1.0)
    if abs(distance - 0.01) > 1e-9:
        assert mode_faults(raw) == (set() if distance < 0.01 else {ALLOCATION_KEY})


@given(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
def test_normalised_weights_are_always_accepted(weights: list[float]) -> None:
    raw = raw_mode(BASIS)
    put(raw, ALLOCATION_KEY, {venue: each / sum(weights) for venue, each in zip(CEX, weights, strict=True)})
    assert mode_faults(raw) == set()


@given(st.permutations([0.4, 0.3, 0.2, 0.1]))
def test_margin_levels_are_accepted_in_descending_order_only(levels: list[float]) -> None:
    raw = raw_mode(BASIS)
    raw["strategy_config"]["margin_levels"] = dict(zip(MARGIN_LEVELS, levels, strict=True))
    assert (mode_faults(raw) == set()) == (levels == [0.4, 0.3, 0.2, 0.1])


def raw_cex() -> Raw:
    return {
        "venue": "okx",
        "venue_type": "cex",
        "supported_operations": ["spot_trade", "perp_trade"],
        "quote": "USDT",
        "products": {"spot": ["BTC"], "perp": ["BTC"]},
        "funding_interval_hours": 8,
        "fees": {"spot": {"maker": 0.0008, "taker": 0.001}, "perp": {"maker": 0.0002, "taker": 0.0005}},
        "slippage_bps": {
            "bucket_bounds_usd": [50_000, 500_000],
            "spot": {"BTCUSDT": [5, 7, 13]},
            "perp": {"BTCUSDT": [3, 4, 8]},
        },
        "max_leverage": 100,
        "collateral_factor": 0.95,
        "liquidation_fee": 0.005,
        "min_trade_size_usd": 10,
        "max_trade_size_usd": 1_000_000,
    }


def raw_lender() -> Raw:
    return {
        "venue": "aave_v3",
        "venue_type": "defi",
        "supported_operations": ["supply", "borrow"],
        "gas_units": {"supply": 250_000, "borrow": 300_000},
        "reserves": {"WETH": {"ltv": 0.805, "liquidation_threshold": 0.83, "liquidation_bonus": 0.05}},
        "emode": {"ltv": 0.93, "liquidation_threshold": 0.95, "liquidation_bonus": 0.01},
        "close_factor": 0.5,
    }


def raw_staking() -> Raw:
    return {
        "venue": "lido",
        "venue_type": "defi",
        "supported_operations": ["stake"],
        "gas_units": {"stake": 150_000},
        "issues": ["wstETH"],
    }


@pytest.mark.parametrize(
    ("build", "key", "value", "fault_at"),
    [
        pytest.param(raw_cex, "fees", None, "fees", id="exchange-without-fees"),
        pytest.param(raw_cex, "collateral_factor", None, "collateral_factor", id="exchange-without-collateral-factor"),
        pytest.param(raw_cex, "fees.perp", None, "fees.perp", id="perp-without-fees"),
        pytest.param(raw_cex, "quote", None, "quote", id="exchange-without-quote"),
        pytest.param(raw_cex, "products.perp", [], "products.perp", id="perps-of-nothing"),
        pytest.param(raw_cex, "funding_interval_hours", None, "funding_interval_hours", id="perps-without-interval"),
        pytest.param(raw_staking, "issues", [], "issues", id="staking-for-nothing"),
        pytest.param(raw_cex, "slippage_bps.spot", {}, "slippage_bps.spot", id="spot-without-slippage"),
        pytest.param(raw_cex, "slippage_bps.perp.BTCUSDT", [8, 4, 3], "slippage_bps.perp.BTCUSDT", id="falls"),
        pytest.param(raw_cex, "slippage_bps.bucket_bounds_usd", [2, 1], "slippage_bps.bucket_bounds_usd", id="bounds"),
        pytest.param(raw_cex, "min_trade_size_usd", 2e6, "min_trade_size_usd", id="sizes"),
        pytest.param(raw_cex, "fees.spot.taker", 10, "fees.spot.taker", id="fee-in-basis-points"),
        pytest.param(raw_lender, "gas_units", {"supply": 250_000}, "gas_units.borrow", id="operation-without-gas"),
        pytest.param(raw_lender, "reserves", {}, "reserves", id="supply-without-reserves"),
        pytest.param(raw_lender, "close_factor", None, "close_factor", id="borrow-without-close-factor"),
        pytest.param(raw_lender, "reserves.WETH.ltv", 0.9, "reserves.WETH.ltv", id="ltv-above-threshold"),
        pytest.param(raw_lender, "emode.liquidation_bonus", 0.1, "emode.liquidation_bonus", id="bonus-unpayable"),
    ],
)
def test_a_broken_venue_rule_shows_at_its_own_key(
    build: Callable[[], Raw], key: str, value: object, fault_at: str
) -> None:
    assert broken_keys(VenueConfig, build()) == set()
    raw = build()
    put(raw, key, value)
    assert broken_keys(VenueConfig, raw) == {fault_at}


def raw_class() -> Raw:
    return {
        "share_class": "BTC",
        "type": "directional",
        "description": "d",
        "quote_currency": "BTC",
        "decimal_places": 8,
        "risk_level": "high",
        "market_neutral": False,
        "allows_hedging": True,
        "supported_strategies": ["ml_btc_directional_btc_margin"],
        "leverage_supported": False,
        "staking_supported": False,
        "basis_trading_supported": False,
        "max_leverage": 3,
        "target_apy_range": {"min": 0.1, "max": 0.5},
        "max_drawdown": 0.3,
    }


@pytest.mark.parametrize(
    ("key", "value", "fault_at"),
    [
        ("target_apy_range.max", 0.1, "target_apy_range.min"),
        ("decimal_places", 19, "decimal_places"),
        ("max_leverage", 0.5, "max_leverage"),
    ],
)
def test_a_broken_share_class_rule_shows_at_its_own_key(key: str, value: object, fault_at: str) -> None:
    assert broken_keys(ShareClassConfig, raw_class()) == set()
    raw = raw_class()
    put(raw, key, value)
    assert broken_keys(ShareClassConfig, raw) == {fault_at}


def raw_run(name: ModeName) -> Raw:
    """Return a run of an ML mode with BTC capital, or of a leveraged mode, over the shipped catalogue."""
    mode = raw_mode(name)
    share = raw_class() | {
        "share_class": mode["share_class"],
        "quote_currency": mode["share_class"],
        "max_leverage": 7.0,
        "leverage_supported": True,
        "staking_supported": True,
    }
    share["type"] = "stable" if mode["share_class"] == "USDT" else "directional"
    share["basis_trading_supported"] = True
    return {"mode": mode, "catalogue": CATALOGUE.model_dump(mode="json"), "share_class": share, "scenario": {}}


@pytest.mark.parametrize("name", ModeName)
def test_every_mode_makes_a_run_whose_keys_are_its_subscriptions(name: ModeName) -> None:
    run = RunConfig.model_validate_json(json.dumps(raw_run(name)))
    assert sorted(run.position_keys) == sorted(run.mode.subscriptions)
    assert run.initial_capital == DEFAULT_CAPITAL[run.mode.share_class]
    assert run.cex_venues == (CEX if SPECIFIED[name].traded_asset else ())


def run_faults(raw: Raw) -> set[str]:
    try:
        RunConfig.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        return {".".join(str(part) for part in each["loc"]) for each in error.errors()}
    return set()


@pytest.mark.parametrize(
    ("name", "key", "value", "fault_at"),
    [
        pytest.param(BASIS, "mode.venues.okx.venue_type", "defi", "mode.venues.okx.venue_type", id="kind"),
        pytest.param(BASIS, "catalogue.venues.okx.venue", "bybit", "catalogue.venues.okx.venue", id="name"),
        pytest.param(BASIS, "share_class.basis_trading_supported", False, "mode.basis_trade_enabled", id="basis"),
        pytest.param(LEVERED, "share_class.staking_supported", False, "mode.staking_enabled", id="staking"),
        pytest.param(LEVERED, "share_class.leverage_supported", False, "mode.leverage_enabled", id="leverage"),
        pytest.param(
            LEVERED,
            "catalogue.venues.aave_v3.emode",
            {"ltv": 0.6, "liquidation_threshold": 0.7, "liquidation_bonus": 0.01},
            "mode.strategy_config.target_ltv",
            id="target-above-the-venue's-threshold",
        ),
    ],
)
def test_files_that_contradict_each_other_are_refused(name: ModeName, key: str, value: object, fault_at: str) -> None:
    raw = raw_run(name)
    put(raw, key, value)
    assert run_faults(raw) == {fault_at}


def test_a_venue_without_a_file_is_refused() -> None:
    raw = raw_run(BASIS)
    del raw["catalogue"]["venues"]["okx"]
    assert run_faults(raw) == {"mode.venues.okx"}


def test_a_share_class_of_another_name_is_refused() -> None:
    raw = raw_run(BASIS)
    raw["share_class"] = raw_run(LEVERED)["share_class"]
    assert run_faults(raw) == {"mode.share_class"}


def test_position_keys_stand_by_class_then_venue() -> None:
    run = RunConfig.model_validate_json(json.dumps(raw_run(HEDGED)))
    assert run.position_keys == (
        "wallet:BaseToken:USDT",
        "wallet:BaseToken:ETH",
        "wallet:BaseToken:WETH",
        *(f"{venue}:BaseToken:USDT" for venue in CEX),
        *(f"{venue}:PerpPosition:ETH-PERP" for venue in CEX),
        "aave:aToken:aweETH",
        "aave:debtToken:debtWETH",
        "etherfi:LST:weETH",
    )
    assert (run.supplied_tokens, run.borrowed_tokens, run.lst) == (("weETH",), ("WETH",), "weETH")


def test_position_keys_do_not_depend_on_the_order_of_the_subscriptions() -> None:
    raw = raw_run(BASIS)
    raw["mode"]["component_config"]["position_monitor"]["position_subscriptions"].reverse()
    written = RunConfig.model_validate_json(json.dumps(raw_run(BASIS)))
    assert RunConfig.model_validate_json(json.dumps(raw)).position_keys == written.position_keys


def test_the_digest_changes_with_any_value_and_with_nothing_else() -> None:
    first = RunConfig.model_validate_json(json.dumps(raw_run(BASIS)))
    again = RunConfig.model_validate_json(json.dumps(raw_run(BASIS)))
    raw = raw_run(BASIS)
    raw["catalogue"]["venues"]["okx"]["fees"]["spot"]["taker"] = 0.0011
    other = RunConfig.model_validate_json(json.dumps(raw))
    assert first.config_digest == again.config_digest != other.config_digest


def test_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        ScenarioConfig().fees = False  # type: ignore[misc]  # the claim is that it cannot be assigned
