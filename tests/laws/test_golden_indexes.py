"""Law 10, as far as this system goes now: scaled balances times the contracts' own indexes are their balances.

The vectors are the state of the real Aave v3 contracts, versions 3.0.2 and 3.6, after every action of six scenarios.
Version 3.0.2 rounds half up and 3.6 rounds towards the pool, so a balance may be one wei off the exact product, beside
what float64 cannot hold.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from dataflow.maths.lending import borrow_index, supply_index, underlying_of
from dataflow.nodes.exposure import supplied_quantity

RAY = 10**27
FLOAT = 4 * np.finfo(np.float64).eps
"""Three roundings: the balance, the index and their product."""

WEI = 1.0


class Balance(NamedTuple):
    """A scaled balance (wei), its growth since the start (index over a ray) and the balance that the contract shows."""

    where: str
    scaled: int
    growth: float
    shown: int


@pytest.fixture(scope="module")
def scenarios(golden_dir: Path) -> dict[str, Any]:
    with gzip.open(golden_dir / "aave_v3.json.gz", "rt") as file:
        recorded: dict[str, Any] = json.load(file)["scenarios"]
    return recorded


def balances(scenario: dict[str, Any], kind: str, index_name: str) -> Iterator[Balance]:
    """Every balance of a scenario: deposits (``a``, normalizedIncome) or loans (``v``, normalizedDebt)."""
    for step in scenario["steps"]:
        reserves = step["state"]["reserves"]
        for user, account in step["state"]["users"].items():
            for asset, held in account["balances"].items():
                index = int(reserves[asset][index_name]) / RAY
                where = f"step {step['i']} {user} {asset}"
                yield Balance(where, int(held[f"{kind}Scaled"]), index, int(held[kind]))


NAMES = ("random", "emode_flash_loop", "liquidation")
SCENARIOS = [f"{name}@{version}" for version in ("3.0.2", "3.6") for name in NAMES]
SIDES = [pytest.param("a", "normalizedIncome", id="deposits"), pytest.param("v", "normalizedDebt", id="loans")]


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(("kind", "index_name"), SIDES)
def test_scaled_times_index_is_the_balance_of_the_contract(
    scenarios: dict[str, Any], scenario: str, kind: str, index_name: str
) -> None:
    compared = [balance for balance in balances(scenarios[scenario], kind, index_name) if balance.scaled]
    assert len(compared) > 20
    assert any(balance.growth > 1.0 for balance in compared)
    for where, scaled, growth, shown in compared:
        assert abs(underlying_of(scaled, growth) - shown) <= WEI + FLOAT * shown, where


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_exposure_node_shows_the_balance_of_the_contract(scenarios: dict[str, Any], scenario: str) -> None:
    held = [balance for balance in balances(scenarios[scenario], "a", "normalizedIncome") if balance.scaled]
    units = np.array([[float(balance.scaled)] for balance in held])
    index = np.array([[balance.growth] for balance in held])
    shown = np.array([float(balance.shown) for balance in held])
    value = supplied_quantity(units, index, np.ones_like(index), ("WETH",), ("ETH",))[:, 0]
    assert np.all(np.abs(value - shown) <= WEI + FLOAT * shown)


ACTIONS = [
    pytest.param("supply", "aScaled", "normalizedIncome", supply_index, id="supply"),
    pytest.param("borrow", "vScaled", "normalizedDebt", borrow_index, id="borrow"),
]


@pytest.mark.parametrize("scenario", ["random@3.0.2", "random@3.6"])
@pytest.mark.parametrize(("action", "field", "index_name", "units_per_underlying"), ACTIONS)
def test_scaled_units_minted_are_the_amount_times_our_index(
    scenarios: dict[str, Any], scenario: str, action: str, field: str, index_name: str, units_per_underlying: Any
) -> None:
    compared = 0
    before = scenarios[scenario]["steps"][0]
    for step in scenarios[scenario]["steps"][1:]:
        did = step["action"]
        if step["ok"] and did["type"] == action:
            asset, user, amount = did["asset"], did.get("onBehalfOf", did["user"]), int(did["amount"])
            index = int(step["state"]["reserves"][asset][index_name]) / RAY
            minted = _scaled(step, user, asset, field) - _scaled(before, user, asset, field)
            expected = amount * units_per_underlying(index)
            balance = _scaled(step, user, asset, field)
            assert abs(minted - expected) <= WEI + FLOAT * max(expected, balance), step["i"]
            compared += 1
        before = step
    assert compared > 5


def _scaled(step: dict[str, Any], user: str, asset: str, field: str) -> int:
    held = step["state"]["users"][user]["balances"].get(asset)
    return 0 if held is None else int(held[field])
