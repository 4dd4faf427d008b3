"""What an entry would start with is held against the limits when a configuration is loaded; each limit bites."""

from functools import cache
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.config.files import load_report, load_run_config
from schemas.models.config import RunConfig
from schemas.models.config_entry import (
    leverage_at_entry,
    margin_ratio_after_move,
    margin_ratio_at_entry,
    notional_over_margin,
)

LEVERED: Final = "eth_leveraged"
HEDGED: Final = "usdt_market_neutral_no_leverage"
BOTH: Final = "usdt_market_neutral"
ML: Final = "ml_btc_directional_usdt_margin"
COINS: Final = "ml_btc_directional_btc_margin"
LIMITS: Final = "component_config.risk_monitor.risk_limits"
STAKE: Final = "stake_allocation_percentage"
HIGH_LTV: Final = ("max_ltv=0.86", "strategy_config.target_ltv=0.85")


def _config(mode: str, *overrides: str) -> RunConfig:
    return load_run_config(mode, overrides=list(overrides)).config


_config_cached = cache(_config)


def _faults(mode: str, *overrides: str) -> list[tuple[str, str]]:
    return [(fault.key, fault.message) for fault in load_report(mode, overrides=list(overrides)).faults]


CASES: Final = {
    "spread-move": (
        LEVERED,
        [f"{LIMITS}.max_stake_spread_move=0.32"],
        "strategy_config.target_ltv",
        "it must be below 0.6460",
    ),
    "underlying-move-hedged": (
        HEDGED,
        ["max_underlying_move=0.7"],
        "max_underlying_move",
        "stake_allocation_percentage must be below 0.4902",
    ),
    "underlying-move-ml": (
        ML,
        ["max_underlying_move=0.75"],
        "max_underlying_move",
        "ml_config.max_position_size must be below 0.9091",
    ),
    "underlying-move-basis": ("btc_basis", ["max_underlying_move=4.0"], "max_underlying_move", "allow a smaller move"),
    "margin-target-hedged": (
        HEDGED,
        [f"{STAKE}=0.7", "max_underlying_move=0.1"],
        "margin_ratio_target",
        "may be at most 0.6667",
    ),
    "margin-target-ml": (
        ML,
        ["margin_ratio_target=0.5", "ml_config.max_position_size=2.5"],
        "margin_ratio_target",
        "2.0",
    ),
    "margin-target-coins": (
        COINS,
        ["margin_ratio_target=0.5", "ml_config.max_position_size=2.0"],
        "margin_ratio_target",
        "at most 1.9",
    ),
    "margin-target-basis": ("btc_basis", ["margin_ratio_target=0.96"], "margin_ratio_target", "coins count at 0.95"),
    "class-leverage": (
        LEVERED,
        [*HIGH_LTV, "share_class:max_leverage=3"],
        "strategy_config.target_ltv",
        "at most 0.6667",
    ),
    "class-leverage-hedged": (
        BOTH,
        [*HIGH_LTV, "share_class:max_leverage=3"],
        "strategy_config.target_ltv",
        "at most 0.8000",
    ),
    "class-leverage-ml": (
        COINS,
        ["ml_config.max_position_size=3.5", "margin_ratio_target=0.1"],
        "ml_config.max_position_size",
        "at most 3",
    ),
    "venue-leverage-hedged": (
        HEDGED,
        [f"{STAKE}=0.6", "venue:okx.max_leverage=1.2"],
        STAKE,
        "at most 0.5455",
    ),
    "venue-leverage-ml": (
        ML,
        ["ml_config.max_position_size=2.5", "venue:bybit.max_leverage=2", "margin_ratio_target=0.1"],
        "ml_config.max_position_size",
        "at most 2",
    ),
    "class-without-hedging": ("btc_basis", ["share_class:allows_hedging=false"], "margin_currency", "allows_hedging"),
    "gas-limit": (
        LEVERED,
        ["venue:instadapp.max_gas_limit=1200000"],
        "gas_units.atomic_entry",
        "max_gas_limit 1200000",
    ),
    "slippage-tolerance": (
        LEVERED,
        ["venue:uniswap.slippage_tolerance_bps=40"],
        "slippage_bps.swap.ETHFIETH",
        "revert",
    ),
    "order-types": ("btc_basis", ["venues.okx.order_types=[limit]"], "venues.okx.order_types", "add market"),
}


@pytest.mark.parametrize(("mode", "overrides", "key", "remedy"), CASES.values(), ids=CASES)
def test_an_entry_that_would_break_a_limit_is_refused_and_the_largest_legal_value_named(
    mode: str, overrides: list[str], key: str, remedy: str
) -> None:
    faults = _faults(mode, *overrides)
    assert [fault for fault, _ in faults] == [key]
    assert remedy in faults[0][1]


@pytest.mark.parametrize("mode", [LEVERED, BOTH])
def test_the_shipped_classes_allow_an_ltv_of_85_percent(mode: str) -> None:
    assert _faults(mode, *HIGH_LTV) == []


@given(target=st.floats(0.05, 3.0))
def test_the_named_allocation_is_the_largest_legal_one(target: float) -> None:
    """For hedged modes: margin over notional at entry is (1 - staked) / staked."""
    config = _config_cached(HEDGED)
    largest = 1.0 / (1.0 + target)
    for share, is_legal in ((largest * 0.999, True), (largest * 1.001, False)):
        mode = config.mode.model_copy(update={"stake_allocation_percentage": share})
        start = margin_ratio_at_entry(config.model_copy(update={"mode": mode}), "okx")
        assert start is not None
        assert (start >= target) == is_legal


@pytest.mark.parametrize(
    ("mode", "start", "after"),
    [
        ("btc_basis", 0.95, 0.95 - 0.2 / 1.2),
        (HEDGED, 1.0, 0.8 / 1.2),
        (ML, 1.0, 0.8 / 1.2),
        (COINS, 0.95, 0.95 - 0.2 / 0.8),
    ],
)
def test_margin_is_counted_before_and_after_a_move_as_the_risk_stage_counts_it(
    mode: str, start: float, after: float
) -> None:
    config = _config(mode)
    assert margin_ratio_at_entry(config, "okx") == pytest.approx(start)
    assert margin_ratio_after_move(config, "okx", 0.2) == pytest.approx(after)


def test_modes_without_perpetuals_have_no_margin() -> None:
    assert notional_over_margin(_config(LEVERED).mode) is None
    assert margin_ratio_at_entry(_config(LEVERED), "okx") is None


def test_leverage_at_entry_is_assets_over_equity() -> None:
    assert leverage_at_entry(_config("pure_lending_usdt").mode) == 1.0
    assert leverage_at_entry(_config(LEVERED).mode) == pytest.approx(1.0 / 0.35)
    assert leverage_at_entry(_config(BOTH).mode) == pytest.approx(0.5 / 0.35 + 0.5)
