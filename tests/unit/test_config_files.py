"""Configuration files: what ships is valid, and whatever is not gets a fault with the right file, line and key.

The table breaks one thing a row in a copy of the shipped files and states the file, the written line and the key of
the fault; nothing else may be reported. Lines are found by the text that stands on them, so the tests survive edits.
A sweep then deletes and garbles every key of every mode file: no input may raise anything but a configuration
error, and a garbled key is always among the faults.
"""

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.config import loader as config_loader
from dataflow.config.files import (
    CONFIG_ROOT,
    ConfigFault,
    check_paths,
    check_report,
    list_modes,
    list_scenarios,
    load_report,
    load_run_config,
)
from dataflow.config.old_spellings import IGNORED
from dataflow.config.yaml_lines import Document, compose_document, leaves, parse_scalar, read_document
from dataflow.reference.configuration import render_configuration_markdown
from schemas.errors import (
    ConfigValidationError,
    ErrorCode,
    InvalidModeError,
    MissingConfigKeyError,
    VenueConfigError,
)
from schemas.models.config_base import ModeName

SPINE = ("pure_lending_usdt", "pure_lending_eth", "btc_basis", "eth_basis")
EXCHANGES = ("binance", "bybit", "okx")
ALLOCATION = "component_config.strategy_manager.position_calculation.hedge_allocation"
REFERENCE = CONFIG_ROOT.parent / "docs" / "reference" / "configuration.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONFIG_ROOT, tmp_path / "configs"))


def edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / file
    text = path.read_text()
    assert text.count(old) >= 1, f"{old!r} is not in {file}"
    path.write_text(text.replace(old, new, 1))


def line_of(root: Path, file: str, needle: str) -> int:
    """Return the first line that has a text, counted from 1."""
    return next(n for n, line in enumerate((root / file).read_text().splitlines(), 1) if needle in line)


def where(root: Path, fault: ConfigFault) -> tuple[str, int, str, ErrorCode]:
    file = str(Path(fault.file).relative_to(root)) if Path(fault.file).is_absolute() else fault.file
    return file, fault.line, fault.key, fault.code


# What ships


@pytest.mark.parametrize("mode", SPINE)
def test_every_shipped_mode_loads_without_a_warning(mode: str) -> None:
    loaded = load_run_config(mode)
    assert loaded.config.mode.mode == mode
    assert loaded.warnings == ()


def test_every_shipped_file_is_valid() -> None:
    report = check_report()
    assert report.faults == report.warnings == ()
    assert len(report.files) == len(list(CONFIG_ROOT.rglob("*.yaml"))) >= 14


def test_the_ten_modes_are_listed_in_the_order_of_the_domain() -> None:
    assert list_modes() == tuple(mode.value for mode in ModeName)
    assert set(SPINE) < set(list_modes())
    assert "frictionless" in list_scenarios()


def test_basis_runs_trade_spot_and_perpetuals_at_three_exchanges() -> None:
    config = load_run_config("btc_basis").config
    assert (config.base_asset, config.cex_venues) == ("BTC", EXCHANGES)
    assert config.position_keys == (
        "wallet:BaseToken:USDT",
        *(f"{venue}:BaseToken:USDT" for venue in EXCHANGES),
        *(f"{venue}:BaseToken:BTC" for venue in EXCHANGES),
        *(f"{venue}:PerpPosition:BTC-PERP" for venue in EXCHANGES),
    )
    assert config.mode.fill_rules == {"spot_price.okx": "binance", "funding_rate.okx": "mean_of_other_venues"}


def test_lending_runs_name_the_supplied_token_and_no_exchange() -> None:
    config = load_run_config("pure_lending_eth").config
    assert (config.base_asset, config.cex_venues, config.supplied_tokens) == (None, (), ("WETH",))
    assert config.initial_capital == 100.0


@pytest.mark.parametrize(
    ("venue", "spot", "perp"),
    [
        ("binance", (0.001, 0.001), (0.0002, 0.0005)),
        ("bybit", (0.001, 0.001), (0.0002, 0.00055)),
        ("okx", (0.0008, 0.001), (0.0002, 0.0005)),
    ],
)
def test_fees_are_the_public_base_tier(venue: str, spot: tuple[float, float], perp: tuple[float, float]) -> None:
    fees = load_run_config("btc_basis").config.venues[venue].fees
    assert fees is not None
    assert fees.spot is not None
    assert fees.perp is not None
    assert ((fees.spot.maker, fees.spot.taker), (fees.perp.maker, fees.perp.taker)) == (spot, perp)


@pytest.mark.real_data
def test_reserves_and_slippage_are_those_of_the_data(real_data: Path) -> None:
    lender = load_run_config("pure_lending_usdt").config.venues["aave_v3"]
    given_parameters = json.loads((real_data / "aave_v3_risk_params.json").read_text())
    keys = ("ltv", "liquidation_threshold", "liquidation_bonus")
    for token, reserve in lender.reserves.items():
        assert {key: getattr(reserve, key) for key in keys} == {k: given_parameters["assets"][token][k] for k in keys}
    assert lender.emode is not None
    emode = given_parameters["emode_eth_correlated_assumed"]
    assert {key: getattr(lender.emode, key) for key in keys} == {key: emode[key] for key in keys}
    costs = json.loads((real_data / "execution_costs_assumption.json").read_text())["costs_bps"]
    table = load_run_config("btc_basis").config.venues["okx"].slippage_bps
    assert table is not None
    assert table.spot["ETHUSDT"] == table.spot["BTCUSDT"] == tuple(costs["eth_usdt"].values())
    assert table.perp["BTCUSDT"] == tuple(costs["btcusdt_perp"].values())


# One fault at a time


class Break(NamedTuple):
    """Replace ``old`` by ``new`` in a file; the fault stands on the line with ``on``, at ``key``, with ``code``."""

    file: str
    old: str
    new: str
    on: str
    key: str
    code: ErrorCode = ErrorCode.CONFIG_VALIDATION_FAILED
    reported_in: str | None = None


BASIS = "modes/btc_basis.yaml"
MISSING, VENUE = ErrorCode.CONFIG_KEY_MISSING, ErrorCode.CONFIG_VENUE_INVALID
MODE = ErrorCode.CONFIG_MODE_INVALID
EXECUTION = "component_config.execution_manager"
LIMITS = "component_config.risk_monitor.risk_limits"

BREAKS = {
    "unknown-key": Break(
        BASIS, "  funding_leave_", "  fundng_leave_", "fundng_leave", "strategy_config.fundng_leave_apr"
    ),
    "unknown-top-key": Break(BASIS, "target_apy:", "colour: red\ntarget_apy:", "colour", "colour"),
    "wrong-type": Break(BASIS, "target_apy: 0.08", "target_apy: much", "target_apy", "target_apy"),
    "number-as-text": Break(BASIS, "target_apy: 0.08", 'target_apy: "0.08"', "target_apy", "target_apy"),
    "not-finite": Break(BASIS, "target_apy: 0.08", "target_apy: .inf", "target_apy", "target_apy"),
    "required-key": Break(BASIS, "max_drawdown: 0.02 ", "# ", "mode:", "max_drawdown", MISSING),
    "no-default-limit": Break(
        BASIS, "delta_tolerance: 0.005", "{}", "risk_limits", f"{LIMITS}.delta_tolerance", MISSING
    ),
    "no-default-margin-level": Break(
        BASIS, ", exit: 0.20", "", "margin_levels", "strategy_config.margin_levels.exit", MISSING
    ),
    "bad-sum": Break(BASIS, "okx: 0.3}", "okx: 0.5}", "hedge_allocation", ALLOCATION),
    "missing-venue-file": Break(
        BASIS, "  alchemy:", "  balancer:\n    venue_type: defi\n  alchemy:", "balancer:", "venues.balancer", VENUE
    ),
    "venue-kind": Break(
        BASIS, "venue_type: wallet", "venue_type: defi", "defi", "venues.wallet.venue_type", VENUE
    ),
    "removed-use-flash-loan": Break(
        BASIS, "target_apy:", "use_flash_loan: true\ntarget_apy:", "use_flash_loan", "use_flash_loan"
    ),
    "removed-unwind-mode": Break(
        BASIS, "  funding_leave", "  unwind_mode: fast\n  funding_leave", "unwind_mode", "strategy_config.unwind_mode"
    ),
    "unequal-alias": Break(
        BASIS, "target_apy:", "funding_threshold: 0.03\ntarget_apy:", "threshold: 0.03", "funding_threshold"
    ),
    "unequal-old-block": Break(
        BASIS,
        "  execution_manager:",
        "  venue_manager:\n    max_retries: 5\n  execution_manager:",
        "max_retries",
        f"{EXECUTION}.max_retries",
    ),
    "duplicate-key": Break(BASIS, "holds:", "thesis: again\nholds:", "thesis: again", "thesis"),
    "not-subscribed": Break(
        "modes/pure_lending_usdt.yaml",
        'subscriptions: ["wallet:BaseToken:USDT", ',
        "subscriptions: [",
        "position_subscriptions",
        "component_config.position_monitor.position_subscriptions",
    ),
    "unknown-position-key": Break(
        BASIS,
        "      - okx:PerpPosition:BTC-PERP",
        "      - okx:PerpPosition:BTC-PERP\n      - okx:PerpPosition:DOGE",
        "DOGE",
        "component_config.position_monitor.position_subscriptions.10",
    ),
    "unknown-family": Break(BASIS, "family: basis", "family: basiss", "family:", "family", MODE),
    "other-file-name": Break("scenarios/frictionless.yaml", "name: frictionless", "name: x", "name:", "name"),
    "share-class-name": Break(BASIS, "share_class: USDT", "share_class: USDC", "share_class", "share_class"),
    "not-in-the-class": Break(
        "share_classes/USDT.yaml", "basis_trading_supported: true", "basis_trading_supported: false",
        "basis_trade_enabled", "basis_trade_enabled", reported_in=BASIS,
    ),
    "fill-rule": Break(
        BASIS, "spot_price.okx: binance", "spot_price.okx: kraken", "kraken", "fill_rules.spot_price.okx"
    ),
    "unread-column": Break(BASIS, ", gas_price_gwei]", "]", "data_requirements", "data_requirements"),
    "unknown-column": Break(BASIS, "gas_price_gwei]", "gas_price_gwei, moon]", "moon", "data_requirements.6"),
    "tag": Break(BASIS, "target_apy: 0.08", "target_apy: !!float 0.08", "target_apy", "target_apy"),
    "anchor": Break(BASIS, "share_class: USDT\nmargin_currency: USDT", "share_class: &a USDT\nmargin_currency: *a",
                    "margin_currency", "margin_currency"),
    "venue-unknown-key": Break("venues/okx.yaml", "max_leverage:", "max_levrage:", "max_levrage", "max_levrage", VENUE),
    "venue-fee-in-percent": Break("venues/okx.yaml", "0.0005}", "0.5}", "perp: {maker", "fees.perp.taker", VENUE),
    "venue-name": Break("venues/okx.yaml", "venue: okx", "venue: bybit", "venue:", "venue", VENUE),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_one_fault_is_reported_once_with_file_line_and_key(root: Path, name: str) -> None:
    broken = BREAKS[name]
    edit(root, broken.file, broken.old, broken.new)
    mode = "pure_lending_usdt" if "lending" in broken.file else "btc_basis"
    file = broken.reported_in or broken.file
    report = load_report(mode, scenarios=["frictionless"], root=root)
    found = {where(root, fault) for fault in report.faults}
    expected = {(file, line_of(root, file, broken.on), broken.key, broken.code)}
    if name == "venue-unknown-key":  # the misspelt key is also missing
        expected.add((file, 1, "max_leverage", VENUE))
    assert found == expected
    assert len(report.faults) == len(found)
    assert report.config is None


def test_all_faults_of_all_files_are_reported_at_once(root: Path) -> None:
    names = [
        "unknown-key", "wrong-type", "no-default-limit", "bad-sum", "missing-venue-file", "removed-use-flash-loan",
        "unequal-alias", "duplicate-key", "venue-fee-in-percent", "not-in-the-class",
    ]  # fmt: skip
    for name in names:
        edit(root, BREAKS[name].file, BREAKS[name].old, BREAKS[name].new)
    found = {where(root, fault)[::2] for fault in load_report("btc_basis", root=root).faults}
    assert found == {(BREAKS[name].reported_in or BREAKS[name].file, BREAKS[name].key) for name in names}


def test_a_hint_names_the_key_that_was_meant(root: Path) -> None:
    broken = BREAKS["unknown-key"]
    edit(root, broken.file, broken.old, broken.new)
    assert "funding_leave_apr" in check_paths([root / BASIS], root)[0].message


@pytest.mark.parametrize(
    "text",
    [
        "mode: [unclosed", "- a\n- b", "", "mode: \x01", "a: 1\n--- \nb: 2", "? [1, 2]\n: 3", "a: *nowhere",
        "a: &x [*x]", "a: !python/object:os.system x", "\tmode: x", "mode: btc_basis\n mode: x",
    ],
)  # fmt: skip
def test_text_that_is_no_mapping_is_a_fault_and_never_a_traceback(root: Path, text: str) -> None:
    (root / BASIS).write_text(text)
    faults = load_report("btc_basis", root=root).faults
    assert faults
    assert all(fault.file.endswith("btc_basis.yaml") and fault.line >= 1 for fault in faults)


def test_a_file_that_is_not_utf8_is_one_fault(root: Path) -> None:
    (root / BASIS).write_bytes(b"mode: \xff\xfe")
    assert [fault.line for fault in check_paths([root / BASIS], root)] == [1]


def test_a_missing_path_is_a_fault(root: Path) -> None:
    assert [fault.key for fault in check_paths([root / "modes" / "none.yaml"], root)] == [""]


def test_a_missing_share_class_file_is_a_fault_at_the_key_that_names_it(root: Path) -> None:
    (root / "share_classes" / "USDT.yaml").unlink()
    assert [fault.key for fault in load_report("btc_basis", root=root).faults] == ["share_class"]


def _locations(mode: str) -> list[tuple[str | int, ...]]:
    document = read_document(CONFIG_ROOT / "modes" / f"{mode}.yaml", mode)
    found = {location[:length] for location, _ in leaves(document.root) for length in range(1, len(location) + 1)}
    return sorted(found, key=str)


@pytest.mark.parametrize("mode", ["btc_basis", "pure_lending_eth"])
def test_no_deleted_or_garbled_key_escapes_as_anything_but_a_fault(
    root: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage: Callable[[Document, tuple[str | int, ...]], None]

    def remove(document: Document, location: tuple[str | int, ...]) -> None:
        document.remove(location)

    def garble(document: Document, location: tuple[str | int, ...]) -> None:
        document.put(location, [{"nonsense": -7}], document.mark(location))

    for location in _locations(mode):
        for garbage in (remove, garble):

            def broken(
                path: Path,
                name: str,
                act: Callable[[Document, tuple[str | int, ...]], None] = garbage,
                at: tuple[str | int, ...] = location,
            ) -> Document:
                document = read_document(path, name)
                if path.parent.name == "modes":
                    act(document, at)
                return document

            monkeypatch.setattr(config_loader, "read_document", broken)
            faults = load_report(mode, root=root).faults
            if garbage is garble:
                key = ".".join(str(part) for part in location)
                assert any(fault.key.startswith(key) for fault in faults), key


# Errors


def test_an_unknown_mode_is_config_001_and_names_the_nearest() -> None:
    with pytest.raises(InvalidModeError) as raised:
        load_run_config("btc_bassis")
    assert raised.value.code is ErrorCode.CONFIG_MODE_INVALID
    assert "btc_basis" in raised.value.message
    assert raised.value.context["mode"] == "btc_bassis"


@pytest.mark.parametrize("mode", ["eth_levered", "../modes/btc_basis", "", "btc_basis.yaml"])
def test_a_mode_without_a_file_is_config_001(mode: str) -> None:
    with pytest.raises(InvalidModeError):
        load_run_config(mode)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("no-default-limit", MissingConfigKeyError),
        ("missing-venue-file", VenueConfigError),
        ("bad-sum", ConfigValidationError),
        ("unknown-family", InvalidModeError),
    ],
)
def test_the_error_of_a_run_has_the_code_of_its_faults_and_names_each(
    root: Path, name: str, error: type[ConfigValidationError]
) -> None:
    broken = BREAKS[name]
    edit(root, broken.file, broken.old, broken.new)
    with pytest.raises(error) as raised:
        load_run_config("btc_basis", root=root)
    line = line_of(root, broken.file, broken.on)
    assert f"{broken.file}:{line} {broken.key}" in raised.value.one_line()
    assert "\n" not in raised.value.one_line()
    assert raised.value.context["line"] == line
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  our own bytes
    assert again.message == raised.value.message


# Old spellings


OLD_SPELLINGS = {
    "venue_manager": ("  execution_manager:", "  venue_manager:", "component_config.venue_manager"),
    "max_retries": ("max_retry_attempts:", "max_retries:", f"{EXECUTION}.max_retries"),
    "funding_threshold": ("  funding_enter_apr:", "  funding_threshold:", "strategy_config.funding_threshold"),
    "equal-duplicate": (
        "target_apy:",
        "position_deviation_threshold: 0.02\ntarget_apy:",
        "position_deviation_threshold",
    ),
    "delta_tracking_asset": (
        "    enabled_risk_types:",
        "    delta_tracking_asset: BTC\n    enabled_risk_types:",
        "component_config.risk_monitor.delta_tracking_asset",
    ),
    "hedge_allocation": (
        "target_apy:",
        "hedge_allocation: {binance: 0.4, bybit: 0.3, okx: 0.3}\ntarget_apy:",
        "hedge_allocation",
    ),
    "basis_spread_pnl": ("basis_pnl,", "basis_spread_pnl,", "component_config.pnl_monitor.attribution_types.2"),
    "health_factor": (
        "[cex_margin_ratio, delta_risk]",
        "[cex_margin_ratio, delta_risk, health_factor, liquidation_threshold]",
        "component_config.risk_monitor.enabled_risk_types.2",
    ),
    "time_throttle_interval": ("target_apy:", "time_throttle_interval: 60\ntarget_apy:", "time_throttle_interval"),
    "strategy_factory": (
        "  risk_monitor:",
        "  strategy_factory: {timeout: 30, max_retries: 3}\n  risk_monitor:",
        "component_config.strategy_factory",
    ),
    "cex_margin_ratio_min": (
        "      delta_tolerance:",
        "      cex_margin_ratio_min: 0.15\n      delta_tolerance:",
        f"{LIMITS}.cex_margin_ratio_min",
    ),
    "empty-target-ltv": ("target_apy:", "target_ltv: null\ntarget_apy:", "target_ltv"),
}


@pytest.mark.parametrize("key", IGNORED, ids=".".join)
def test_a_key_without_effect_says_so_and_changes_nothing(key: tuple[str, ...]) -> None:
    loaded = load_run_config("btc_basis", overrides=[f"{'.'.join(key)}=1"])
    (warning,) = loaded.warnings
    assert warning.key == ".".join(key)
    assert loaded.config == load_run_config("btc_basis").config


@pytest.mark.parametrize("name", OLD_SPELLINGS)
def test_an_old_spelling_loads_the_same_configuration_with_a_warning(root: Path, name: str) -> None:
    old, new, key = OLD_SPELLINGS[name]
    edit(root, BASIS, old, new)
    loaded = load_run_config("btc_basis", root=root)
    assert key in {warning.key for warning in loaded.warnings}
    if name != "health_factor":  # it adds a risk type
        assert loaded.config == load_run_config("btc_basis").config


def test_an_old_mode_file_with_venue_manager_and_max_retries_keeps_its_numbers(root: Path) -> None:
    edit(root, BASIS, "  execution_manager:", "  venue_manager:")
    edit(root, BASIS, "max_retry_attempts: 3", "max_retries: 7")
    loaded = load_run_config("btc_basis", root=root)
    assert loaded.config.mode.component_config.execution_manager.max_retry_attempts == 7
    lines = {warning.line for warning in loaded.warnings}
    assert lines == {line_of(root, BASIS, "venue_manager"), line_of(root, BASIS, "max_retries")}


def test_staking_pnl_stands_for_oracle_and_rewards(root: Path) -> None:
    edit(root, BASIS, "basis_pnl,", "basis_pnl, staking_pnl,")
    types = load_run_config("btc_basis", root=root).config.mode.component_config.pnl_monitor.attribution_types
    assert types[3:5] == ("staking_yield_oracle", "staking_yield_rewards")


def test_an_old_mode_name_is_known_by_its_new_one(root: Path) -> None:
    name = "usdt_market_neutral_no_leverage"
    assert load_run_config("usdt_eth_staking_hedged_simple", root=root).config.mode.mode == name
    edit(root, f"modes/{name}.yaml", f"mode: {name}", "mode: usdt_eth_staking_hedged_simple")
    report = load_report("usdt_eth_staking_hedged_simple", root=root)
    assert {warning.key for warning in report.warnings} == {"mode"}
    assert report.faults == ()


def test_an_old_mode_name_without_a_file_is_an_unknown_mode(root: Path) -> None:
    (root / "modes" / "usdt_market_neutral_no_leverage.yaml").unlink()
    with pytest.raises(InvalidModeError) as raised:
        load_run_config("usdt_eth_staking_hedged_simple", root=root)
    assert "btc_basis" in raised.value.message


@pytest.mark.parametrize(("key", "value"), [("target_apy", "8"), ("max_drawdown", "0.6")])
def test_a_target_that_looks_like_a_percentage_is_a_warning(root: Path, key: str, value: str) -> None:
    path = root / BASIS
    path.write_text(re.sub(rf"{key}: [0-9.]+", f"{key}: {value}", path.read_text()))
    assert [warning.key for warning in load_run_config("btc_basis", root=root).warnings] == [key]


# Overrides and scenarios


def test_an_override_wins_over_the_file() -> None:
    config = load_run_config("btc_basis", overrides=["strategy_config.funding_enter_apr=0.1"]).config
    assert config.mode.strategy_config.funding_enter_apr == 0.1


def test_a_later_override_wins_and_old_spellings_are_understood() -> None:
    loaded = load_run_config("btc_basis", overrides=["funding_threshold=1e-4", "funding_threshold=2e-4"])
    assert loaded.config.mode.strategy_config.funding_enter_apr == pytest.approx(2e-4 * 3 * 365.25)
    assert [warning.line for warning in loaded.warnings] == [1, 2]


@pytest.mark.parametrize(
    "old", ["funding_threshold", "strategy_config.funding_threshold", "strategy_config.funding_enter"]
)
def test_an_old_rate_per_settlement_of_eight_hours_keeps_its_meaning(old: str) -> None:
    loaded = load_run_config("btc_basis", overrides=[f"{old}=1e-4", "strategy_config.funding_leave=-1e-4"])
    strategy = loaded.config.mode.strategy_config
    assert (strategy.funding_enter_apr, strategy.funding_leave_apr) == pytest.approx((0.109575, -0.109575))
    enter, leave = (warning.message for warning in loaded.warnings)
    assert re.search(r"funding_enter_apr: write funding_enter_apr: 0\.109\d+ \(a yearly rate\)", enter)
    assert "funding_leave_apr: -0.109" in leave


def test_an_old_rate_and_a_new_one_are_compared_in_one_unit(root: Path) -> None:
    edit(root, BASIS, "  funding_enter_apr: 0.0", "  funding_enter_apr: 0.10957500000000001\n  funding_enter: 0.0001")
    assert not load_report("btc_basis", root=root).faults
    edit(root, BASIS, "  funding_enter_apr: 0.10957500000000001", "  funding_enter_apr: 0.0001")
    assert [fault.key for fault in load_report("btc_basis", root=root).faults] == ["strategy_config.funding_enter"]


def test_an_override_replaces_a_whole_block() -> None:
    overrides = [f"{ALLOCATION}={{binance: 0.5, bybit: 0.5}}", "fill_rules.spot_price.okx=bybit"]
    config = load_run_config("btc_basis", overrides=overrides).config
    assert config.hedge_allocation == {"binance": 0.5, "bybit": 0.5}
    assert config.mode.fill_rules["spot_price.okx"] == "bybit"


def test_overrides_reach_venues_share_class_and_scenario() -> None:
    overrides = ["venue:okx.fees.spot.taker=0", "share_class:max_leverage=2", "scenario:gas=false"]
    config = load_run_config("btc_basis", overrides=overrides).config
    fees = config.venues["okx"].fees
    assert fees is not None
    assert fees.spot is not None
    assert (fees.spot.taker, config.share_class.max_leverage, config.scenario.gas) == (0.0, 2.0, False)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("strategy_config.fundng_enter=0", "strategy_config.fundng_enter"),
        ("nowhere.at.all=1", "nowhere"),
        ("strategy_config.funding_enter_apr=lots", "strategy_config.funding_enter_apr"),
        ("strategy_config.funding_enter=lots", "strategy_config.funding_enter_apr"),
        ("target_apy.deeper=1", "target_apy.deeper"),
        ("no-equals-sign", "no-equals-sign"),
        ("=1", "=1"),
        ("a..b=1", "a..b=1"),
        ("target_apy=[1", "target_apy"),
        ("target_apy=1\nmode: x", "target_apy"),
        ("use_flash_loan=true", "use_flash_loan"),
        ("venue:kraken.max_leverage=2", "max_leverage"),
        ("venue:okx.max_levrage=2", "max_levrage"),
        ("scenario:fee=false", "fee"),
    ],
)
def test_a_bad_override_is_a_fault_that_names_its_key_and_number(text: str, key: str) -> None:
    faults = load_report("btc_basis", overrides=["target_apy=0.1", text]).faults
    assert [(fault.file, fault.line, fault.key) for fault in faults] == [("--set", 2, key)]


def test_frictionless_turns_every_cost_off_and_only_enters() -> None:
    scenario = load_run_config("btc_basis", scenarios=["frictionless"]).config.scenario
    switches = ("fees", "slippage", "gas", "gas_reserve", "rewards", "liquidation")
    assert not any(getattr(scenario, name) for name in switches)
    assert (scenario.decisions, scenario.allow_negative_balances) == ("entry_only", True)


def test_without_a_scenario_everything_is_charged() -> None:
    scenario = load_run_config("btc_basis").config.scenario
    assert (scenario.name, scenario.fees, scenario.decisions) == ("base", True, "strategy")


def test_later_scenarios_win_key_by_key(root: Path) -> None:
    (root / "scenarios" / "dear_gas.yaml").write_text("name: dear_gas\ngas: true\n")
    config = load_run_config("btc_basis", scenarios=["frictionless", "dear_gas"], root=root).config
    assert (config.scenario.gas, config.scenario.fees) == (True, False)
    assert config.scenario.name == "frictionless+dear_gas"
    other_way = load_run_config("btc_basis", scenarios=["dear_gas", "frictionless"], root=root).config
    assert other_way.scenario.gas is False


def test_scenarios_combine_shock_by_shock_and_an_override_reaches_each_number(root: Path) -> None:
    config = load_run_config(
        "btc_basis",
        scenarios=["depeg_5pct", "gas_spike", "depeg_20pct"],
        overrides=["scenario:shocks.gas.multiple=3", "scenario:shocks.lst_depeg.starts_at=2024-03-01"],
        root=root,
    ).config
    shocks = config.scenario.shocks
    assert set(shocks.present()) == {"lst_depeg", "gas"}
    assert shocks.lst_depeg is not None
    assert (shocks.lst_depeg.depth, shocks.lst_depeg.half_life_hours) == (0.20, None)
    assert shocks.lst_depeg.starts_at == "2024-03-01"
    assert shocks.gas is not None
    assert (shocks.gas.multiple, shocks.gas.hours) == (3.0, 72.0)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("depth: 0.08", "depth: 8", "shocks.lst_depeg.depth"),
        ("depth: 0.08", "dept: 0.08, depth: 0.08", "shocks.lst_depeg.dept"),
        ("size: -0.40", "size: -1.0", "shocks.price_gap.size"),
        ("multiple: 20", "multiple: 0", "shocks.gas.multiple"),
        ("hours: 12", "hours: -1", "shocks.venue_outage.hours"),
        ("[binance]", "[kraken]", "shocks.venue_outage.venues.0"),
        ("[binance]", "[]", "shocks.venue_outage"),
        ("funding_rate: -0.001", "funding_rate: -1", "shocks.funding.funding_rate"),
        ("size: -0.40", "size: -0.4, starts_at: soon", "shocks.price_gap.starts_at"),
        ("size: -0.40", "size: -0.4, starts_at: 2024-02-01, starts_after_hours: 5", "shocks.price_gap"),
    ],
)
def test_a_shock_that_makes_no_sense_is_a_fault_at_its_line(root: Path, old: str, new: str, key: str) -> None:
    edit(root, "scenarios/black_thursday.yaml", old, new)
    (fault,) = load_report("btc_basis", scenarios=["black_thursday"], root=root).faults
    where_written = line_of(root, "scenarios/black_thursday.yaml", f"  {key.split('.')[1]}:")
    assert where(root, fault)[:3] == ("scenarios/black_thursday.yaml", where_written, key)


def test_an_unknown_scenario_is_a_fault() -> None:
    faults = load_report("btc_basis", scenarios=["frictionles"]).faults
    assert [(fault.file, fault.key) for fault in faults] == [("--scenario", "frictionles")]
    assert "frictionless" in faults[0].message


# The reader


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives_its_shortest_spelling(number: float) -> None:
    assert parse_scalar(repr(number)) == number


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(), min_size=1, max_size=8))
def test_every_key_is_marked_with_the_line_it_stands_on(values: dict[str, int]) -> None:
    text = "# head\n" + "".join(f"{key}: {value}\n" for key, value in values.items())
    document = compose_document(text, "f")
    assert document.root == values
    assert [document.mark((key,)).line for key in values] == list(range(2, len(values) + 2))


# The reference page


def test_the_reference_page_is_what_the_code_says() -> None:
    assert REFERENCE.read_text() == render_configuration_markdown()


def test_every_key_of_the_reference_has_a_meaning() -> None:
    assert "|  |" not in render_configuration_markdown()


def test_loading_a_configuration_imports_no_pandas() -> None:
    script = (
        "import sys; from dataflow.config.files import load_run_config; load_run_config('btc_basis');"
        "print(sorted({'pandas', 'hamilton', 'dagster', 'pandera'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=CONFIG_ROOT.parent
    )
    assert done.stdout.strip() == "[]"
