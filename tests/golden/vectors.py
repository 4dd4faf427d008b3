"""The golden vectors: states of the real Aave v3 contracts after every action of a scenario, and how to replay them.

A vector file is read into a pool built from its ``meta`` and the ``initial`` state of the scenario; then each action is
played at its time, and what the contracts said (result or revert) and left behind (every number) is compared.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dataflow.maths.lending.accounts import EModeCategory
from dataflow.maths.lending.borrowing import borrow, repay, repay_with_supply
from dataflow.maths.lending.fixed_point import MAX_UINT256
from dataflow.maths.lending.flash_loans import flash_borrow, flash_loan
from dataflow.maths.lending.interest_rates import RateStrategy
from dataflow.maths.lending.liquidation import LiquidationCall, liquidate
from dataflow.maths.lending.pool import Pool, PoolTerms
from dataflow.maths.lending.reserve import Reserve, ReserveTerms
from dataflow.maths.lending.reverts import AaveRevertError
from dataflow.maths.lending.rules import Rules
from dataflow.maths.lending.supplying import (
    mint_to_treasury,
    set_emode,
    supply,
    transfer_supply,
    use_as_collateral,
    withdraw,
)

Json = dict[str, Any]
"""A piece of the vector file."""

FILE_NAME = "aave_v3.json.gz"
REPLAY_SECONDS = "replay_seconds"
"""Property that the test of a replay records: steps and seconds."""

RESERVE_FIELDS = {
    "liquidityIndex": "liquidity_index",
    "liquidityRate": "liquidity_rate",
    "variableBorrowIndex": "variable_borrow_index",
    "variableBorrowRate": "variable_borrow_rate",
    "lastUpdate": "updated_at",
    "accruedToTreasuryScaled": "accrued_to_treasury",
    "scaledSupply": "scaled_supply",
    "scaledDebt": "scaled_debt",
    "cash": "cash",
    "virtual": "virtual_balance",
    "deficit": "deficit",
}
"""Names in the file and in ``Reserve``."""


def read_vectors(path: Path) -> Json:
    """Read a vector file; integers beyond 2^53 are text in it."""
    return cast("Json", json.loads(gzip.decompress(path.read_bytes()), object_hook=_with_integers))


def _with_integers(piece: Json) -> Json:
    return {key: _integer(value) for key, value in piece.items()}


def _integer(value: Any) -> Any:
    if isinstance(value, list):
        return [_integer(item) for item in value]
    return int(value) if isinstance(value, str) and value.isdigit() else value


@dataclass(frozen=True)
class Mismatch:
    """The first difference of a replay; ``what`` is a path into the state, ``result`` or ``revert``."""

    step: int
    what: str
    expected: object
    found: object


def replay(vectors: Json, scenario: Json, rules: Rules) -> Iterator[tuple[Json, Pool, Mismatch | None]]:
    """Play a scenario; after each step yield it, the pool and the first difference in it."""
    pool = opening_pool(vectors["meta"], scenario, rules)
    yield {"i": -1}, pool, _difference(-1, scenario["initial"]["reserves"], reserve_states(pool), "initial")
    for user, emode in scenario["setup"].get("emode", {}).items():
        set_emode(pool, user, emode)
    for step in scenario["steps"]:
        pool.now = step["t"]
        yield step, pool, _play(pool, step)


def first_mismatch(vectors: Json, scenario: Json, rules: Rules) -> Mismatch | None:
    """Play a scenario up to its first difference; None if there is none."""
    return next((mismatch for _, _, mismatch in replay(vectors, scenario, rules) if mismatch is not None), None)


def opening_pool(meta: Json, scenario: Json, rules: Rules) -> Pool:
    """Return the pool as it was before the first action of a scenario."""
    initial = scenario["initial"]["reserves"]
    in_emode = frozenset(entry["symbol"] for entry in meta["reserves"] if entry["emode"] == meta["emode"]["id"])
    category = EModeCategory(
        ltv_bps=meta["emode"]["ltv"],
        liquidation_threshold_bps=meta["emode"]["lt"],
        liquidation_bonus_bps=meta["emode"]["bonus"],
        collateral=in_emode,
        borrowable=in_emode,
    )
    terms = PoolTerms(
        rules=rules,
        categories={meta["emode"]["id"]: category},
        flash_premium_bps=meta["flash_bps"],
        flash_premium_to_protocol_bps=meta["flash_to_protocol_bps_of_premium_302"],
    )
    reserves = {
        entry["symbol"]: Reserve(
            terms=reserve_terms(entry),
            **{field: initial[entry["symbol"]][name] for name, field in RESERVE_FIELDS.items()},
        )
        for entry in meta["reserves"]
    }
    prices = {entry["symbol"]: entry["price_1e8"] for entry in meta["reserves"]}
    return Pool(terms=terms, reserves=reserves, prices=prices, now=scenario["start"])


def reserve_terms(entry: Json) -> ReserveTerms:
    """Parameters of one reserve from the file's ``meta``."""
    return ReserveTerms(
        symbol=entry["symbol"],
        decimals=entry["decimals"],
        strategy=RateStrategy(entry["optimal_usage_bps"], entry["base_bps"], entry["slope1_bps"], entry["slope2_bps"]),
        ltv_bps=entry["ltv"],
        liquidation_threshold_bps=entry["liq_threshold"],
        liquidation_bonus_bps=entry["liq_bonus"],
        reserve_factor_bps=entry["reserve_factor"],
        liquidation_protocol_fee_bps=entry["liq_protocol_fee"],
        supply_cap=entry["supply_cap"],
        borrow_cap=entry["borrow_cap"],
    )


def _play(pool: Pool, step: Json) -> Mismatch | None:
    action, index = step["action"], step["i"]
    result, revert = None, None
    try:
        result = ACTIONS[action["type"]](pool, action)
    except AaveRevertError as error:
        revert = error.revert
    if revert != step.get("chainError"):
        return Mismatch(index, "revert", step.get("chainError"), revert)
    if revert is None and result != step.get("result"):
        return Mismatch(index, "result", step.get("result"), result)
    state = step["state"]
    return (
        _difference(index, step["prices"], pool.prices, "prices")
        or _difference(index, state["reserves"], reserve_states(pool), "reserves")
        or _difference(index, state["users"], {user: user_state(pool, user) for user in state["users"]}, "users")
    )


def reserve_states(pool: Pool) -> Json:
    """Every reserve as the file has it."""
    return {symbol: _reserve_state(pool, symbol) for symbol in pool.reserves}


def _reserve_state(pool: Pool, symbol: str) -> Json:
    reserve = pool.reserves[symbol]
    stored = {name: getattr(reserve, field) for name, field in RESERVE_FIELDS.items()}
    if not pool.rules.has_virtual_balance:
        stored["virtual"] = reserve.cash  # the recorder's number for what a version without one can lend
    return stored | {"normalizedIncome": pool.income(symbol), "normalizedDebt": pool.debt_index(symbol)}


def user_state(pool: Pool, user: str) -> Json:
    """A user as the file has it; a reserve without balance and flag is left out."""
    data, account = pool.account_data(user), pool.account(user)
    balances = {
        symbol: {
            "aScaled": account.supplied.get(symbol, 0),
            "a": pool.supplied(user, symbol),
            "vScaled": account.borrowed.get(symbol, 0),
            "v": pool.owed(user, symbol),
            "collateral": symbol in account.collateral,
            "borrowing": symbol in account.borrowing,
        }
        for symbol in pool.reserves
    }
    return {
        "balances": {symbol: balance for symbol, balance in balances.items() if any(balance.values())},
        "emode": account.emode,
        "collateralBase": data.collateral_value,
        "debtBase": data.debt_value,
        "availableBorrowsBase": data.available_borrows,
        "liqThreshold": data.liquidation_threshold_bps,
        "ltv": data.ltv_bps,
        "healthFactor": data.health_factor,
    }


def _difference(step: int, expected: Json, found: Json, path: str) -> Mismatch | None:
    """Return the first leaf in which two trees differ; a key that only one of them has is a difference."""
    for key in expected.keys() | found.keys():
        left, right = expected.get(key), found.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            below = _difference(step, left, right, f"{path}.{key}")
            if below is not None:
                return below
        elif left != right or type(left) is not type(right):
            return Mismatch(step, f"{path}.{key}", left, right)
    return None


# The actions of the file


def _amount(value: int | str) -> int:
    return MAX_UINT256 if value == "max" else int(value)


def _set_price(pool: Pool, action: Json) -> None:
    pool.prices[action["asset"]] = action["amount"]


def _liquidate(pool: Pool, action: Json) -> list[int]:
    done = liquidate(
        pool,
        LiquidationCall(
            liquidator=action["user"],
            borrower=action["borrower"],
            debt=action["asset"],
            collateral=action["collateral"],
            debt_to_cover=_amount(action["amount"]),
        ),
    )
    return [done.debt, done.collateral, done.protocol_fee]


def _use_nothing(_: Pool, __: int) -> None:
    """Give a flash loan back at once."""


def _open_loop(pool: Pool, action: Json) -> Json:
    """Leverage the action's equity with a flash loan of WETH, staked, supplied, and either borrowed or kept as debt."""
    user, flash = action["user"], action["flash"]
    staked = (action["equity"] + flash) * 10**18 // action["lst_rate"]

    def stake_and_supply(inside: Pool, premium: int) -> None:
        supply(inside, user, "weETH", staked)
        if not action["as_debt"]:
            borrow(inside, user, "WETH", flash + premium)

    if action["as_debt"]:
        return {"lst": staked, "premium": flash_borrow(pool, user, "WETH", flash, stake_and_supply)}
    return {"lst": staked, "premium": flash_loan(pool, "WETH", flash, stake_and_supply)}


def _close_loop(pool: Pool, action: Json) -> Json:
    """Repay debt with a flash loan of WETH, which the withdrawn and sold collateral pays back."""
    user, done = action["user"], {}

    def repay_and_sell(inside: Pool, _: int) -> None:
        done["repaid"] = repay(inside, user, "WETH", action["debt"])
        done["lst"] = withdraw(inside, user, "weETH", _amount(action["collateral"]))

    premium = flash_loan(pool, "WETH", action["debt"], repay_and_sell)
    sold = done["lst"] * action["lst_rate"] // 10**18
    return done | {"weth": sold * (10_000 - action["sell_fee_bps"]) // 10_000, "premium": premium}


ACTIONS: dict[str, Callable[[Pool, Json], Any]] = {
    "wait": lambda _pool, _action: None,
    "price": _set_price,
    "supply": lambda pool, action: supply(pool, action["user"], action["asset"], _amount(action["amount"])),
    "withdraw": lambda pool, action: withdraw(pool, action["user"], action["asset"], _amount(action["amount"])),
    "borrow": lambda pool, action: borrow(pool, action["user"], action["asset"], _amount(action["amount"])),
    "repay": lambda pool, action: repay(pool, action["user"], action["asset"], _amount(action["amount"])),
    "repayWithATokens": lambda pool, action: repay_with_supply(
        pool, action["user"], action["asset"], _amount(action["amount"])
    ),
    "transferAToken": lambda pool, action: transfer_supply(
        pool, action["user"], action["to"], action["asset"], _amount(action["amount"])
    ),
    "setCollateral": lambda pool, action: use_as_collateral(pool, action["user"], action["asset"], action["use"]),
    "setUserEMode": lambda pool, action: set_emode(pool, action["user"], action["category"]),
    "mintToTreasury": lambda pool, action: mint_to_treasury(pool, action["asset"]),
    "flashLoanSimple": lambda pool, action: flash_loan(pool, action["asset"], _amount(action["amount"]), _use_nothing),
    "liquidate": _liquidate,
    "open": _open_loop,
    "close": _close_loop,
}
