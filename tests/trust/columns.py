"""The columns of the matrix: eight instruments and ten modes, each with its closed form written by hand."""

from dataclasses import replace
from typing import Final

from schemas.intents import (
    OrderIntent,
    atomic_group,
    borrow,
    flash_borrow,
    flash_repay,
    perp_trade,
    repay,
    spot_trade,
    stake,
    supply,
    swap,
    transfer,
    unstake,
    withdraw,
)
from schemas.operations import OrderSide, StrategyIntent
from tests.support.paths import Paths
from tests.trust.subjects import MOVING, ROWS, ClosedForm, Instrument, Mode, Subject, Trait

_ENTER, _EXIT = StrategyIntent.ENTRY_FULL, StrategyIntent.EXIT_FULL
_USDT, _ETH, _BTC = 100_000.0, 100.0, 2.0
_LTV: Final = 0.65
_COINS, _STAKED, _LENT, _OWED = 10.0, 50.0, 50_000.0, 20.0
_LOAN: Final = _STAKED * _LTV / (1.0 - _LTV)
_RATIO: Final = float(MOVING.of("oracle")[0])


def growth(paths: Paths, name: str, row: int) -> float:
    """Last value of a path over that of a row."""
    path = paths.of(name)
    return float(path[-1] / path[row])


def change(paths: Paths, name: str, row: int) -> float:
    """Last value of a path less that of a row."""
    path = paths.of(name)
    return float(path[-1] - path[row])


def funding(paths: Paths, row: int) -> float:
    """USDT that one coin short has received since a row."""
    return float(sum(paths.of("perp")[at] * rate for at, rate in paths.funding.items() if at > row))


def supplied(amount: float) -> ClosedForm:
    """Interest on a deposit."""
    return lambda paths, row: amount * (growth(paths, "supply_index", row) - 1.0)


def owed(amount: float) -> ClosedForm:
    """Interest on a loan, < 0."""
    return lambda paths, row: -amount * (growth(paths, "borrow_index", row) - 1.0)


def staked(amount: float) -> ClosedForm:
    """Yield on staked ETH."""
    return lambda paths, row: amount * (growth(paths, "oracle", row) - 1.0)


def collateral(amount: float) -> ClosedForm:
    """Yield on staked ETH that is supplied: ratio and index multiply."""
    return lambda paths, row: amount * (growth(paths, "oracle", row) * growth(paths, "supply_index", row) - 1.0)


def total(*forms: ClosedForm) -> ClosedForm:
    """The sum of closed forms."""
    return lambda paths, row: sum(form(paths, row) for form in forms)


def levered(equity: float) -> ClosedForm:
    """Yield of collateral less interest, of an equity levered to the target."""
    return total(collateral(equity / (1.0 - _LTV)), owed(equity * _LTV / (1.0 - _LTV)))


def short(coins: float) -> ClosedForm:
    """Mark to market and funding of a short perpetual, USDT."""
    return lambda paths, row: coins * (funding(paths, row) - change(paths, "perp", row))


def basis(capital: float) -> ClosedForm:
    """Coins for all of the capital, and as much short."""

    def profit(paths: Paths, row: int) -> float:
        coins = capital / float(paths.of("price")[row])
        return coins * change(paths, "price", row) + short(coins)(paths, row)

    return profit


def hedged(capital: float, yielding: ClosedForm) -> ClosedForm:
    """Half of the capital in ETH that yields, and as much short."""

    def profit(paths: Paths, row: int) -> float:
        first, last = float(paths.of("price")[row]), float(paths.of("price")[-1])
        eth = 0.5 * capital / first
        return (eth + eth * yielding(paths, row)) * last - eth * first + short(eth)(paths, row)

    return profit


def hedged_yield(capital: float, yielding: ClosedForm) -> ClosedForm:
    """Yield of the ETH of a hedged mode where its price stands still, USD."""
    return lambda paths, row: 0.5 * capital * yielding(paths, row)


def directional(paths: Paths, row: int) -> float:
    """Capital over price in long perpetuals, margined in USDT."""
    return -short(_USDT / float(paths.of("price")[row]))(paths, row)


def directional_in_coins(paths: Paths, row: int) -> float:
    """The capital itself in long perpetuals, margined in coins; funding is converted as it is paid."""
    marks = paths.of("perp")
    paid = sum(rate for at, rate in paths.funding.items() if at > row)
    return float(_BTC * (marks[-1] - marks[row]) / marks[-1] - _BTC * paid)


def _flash_entry(equity: float, loan: float) -> list[OrderIntent]:
    members = [
        flash_borrow("WETH", loan, _ENTER),
        stake("weETH", "etherfi", equity + loan, _ENTER),
        supply("weETH", (equity + loan) / _RATIO, _ENTER),
        borrow("WETH", loan, _ENTER),
        flash_repay("WETH", loan, 0.0, _ENTER),
    ]
    return atomic_group("trust", "atomic_entry", members)


def _flash_exit(paths: Paths, row: int) -> list[OrderIntent]:
    loan = _LOAN * _debt_grown(paths, row)
    tokens = (_STAKED + _LOAN) / _RATIO
    members = [
        flash_borrow("WETH", loan, _EXIT),
        repay("WETH", loan, _EXIT, closes_all=True),
        withdraw("weETH", tokens, _EXIT, closes_all=True),
        swap("weETH", "etherfi", tokens, _EXIT),
        flash_repay("WETH", loan, 0.0, _EXIT),
    ]
    return atomic_group("trust_exit", "atomic_deleverage_one_swap", members)


def _repay_all(paths: Paths, row: int) -> list[OrderIntent]:
    return [repay("WETH", _OWED * _debt_grown(paths, row), _EXIT, closes_all=True)]


def _debt_grown(paths: Paths, row: int) -> float:
    """Growth of a loan between the first row and another."""
    return float(paths.of("borrow_index")[row] / paths.of("borrow_index")[0])


INSTRUMENTS: Final[tuple[Instrument, ...]] = (
    Instrument(
        "spot",
        books="btc_basis",
        profit=lambda paths, row: _COINS * change(paths, "price", row),
        traits=frozenset({Trait.EXIT}),
        prepare=[transfer("wallet", "binance", "USDT", _LENT, _ENTER)],
        open=[spot_trade("binance", "BTC", OrderSide.BUY, _COINS, _ENTER)],
        close=lambda _paths, _row: [spot_trade("binance", "BTC", OrderSide.SELL, _COINS, _EXIT)],
    ),
    Instrument(
        "perp",
        books="btc_basis",
        profit=short(_COINS),
        traits=frozenset({Trait.EXIT, Trait.PERP}),
        prepare=[transfer("wallet", "okx", "USDT", _LENT, _ENTER)],
        open=[perp_trade("okx", "BTC", OrderSide.SHORT, _COINS, _ENTER)],
        close=lambda _paths, _row: [perp_trade("okx", "BTC", OrderSide.LONG, _COINS, _EXIT)],
    ),
    Instrument(
        "aToken",
        books="pure_lending_usdt",
        profit=supplied(_LENT),
        traits=frozenset({Trait.EXIT, Trait.INDEX}),
        yields={("supply_yield",): supplied(_LENT)},
        open=[supply("USDT", _LENT, _ENTER)],
        close=lambda _paths, _row: [withdraw("USDT", _LENT, _EXIT, closes_all=True)],
    ),
    Instrument(
        "debt",
        books="eth_leveraged",
        profit=total(collateral(_STAKED), owed(_OWED)),
        traits=frozenset({Trait.EXIT, Trait.DEBT, Trait.INDEX}),
        yields={("borrow_cost",): owed(_OWED)},
        prepare=[stake("weETH", "etherfi", _STAKED, _ENTER), supply("weETH", _STAKED / _RATIO, _ENTER)],
        open=[borrow("WETH", _OWED, _ENTER)],
        close=_repay_all,
    ),
    Instrument(
        "LST",
        books="eth_leveraged",
        profit=staked(_STAKED),
        traits=frozenset({Trait.EXIT, Trait.INDEX}),
        yields={("staking_yield_oracle",): staked(_STAKED)},
        open=[stake("weETH", "etherfi", _STAKED, _ENTER)],
        close=lambda _paths, _row: [swap("weETH", "etherfi", _STAKED / _RATIO, _EXIT)],
    ),
    Instrument(
        "claim",
        books="eth_staking_only",
        options=("strategy_config.unstake_route=queue", "venue:etherfi.unstaking_period_days=0.375"),
        profit=lambda _paths, _row: 0.0,
        traits=frozenset({Trait.EXIT, Trait.INDEX}),
        yields={("staking_yield_oracle",): lambda _paths, _row: 0.0},
        prepare=[stake("weETH", "etherfi", _STAKED, _ENTER)],
        open=[unstake("weETH", "etherfi", _STAKED / _RATIO, _EXIT)],
        close=lambda _paths, _row: [stake("weETH", "etherfi", _STAKED, _ENTER)],
        wait=10,
    ),
    Instrument(
        "flash group",
        books="eth_leveraged",
        profit=levered(_STAKED),
        traits=frozenset({Trait.EXIT, Trait.DEBT, Trait.INDEX}),
        yields={
            ("supply_yield", "staking_yield_oracle"): collateral(_STAKED + _LOAN),
            ("borrow_cost",): owed(_LOAN),
        },
        open=_flash_entry(_STAKED, _LOAN),
        close=_flash_exit,
    ),
    Instrument(
        "transfer",
        books="btc_basis",
        profit=lambda _paths, _row: 0.0,
        traits=frozenset({Trait.EXIT}),
        open=[transfer("wallet", "okx", "USDT", _LENT, _ENTER)],
        close=lambda _paths, _row: [transfer("okx", "wallet", "USDT", _LENT, _EXIT)],
    ),
)

_FLAT: Final = MOVING.still()
_FUNDING_FLIPS: Final = replace(_FLAT, funding={-16: 1e-4, -8: 1e-4, 0: 1e-4, 4: -1e-3})
_PRICE_SOARS: Final = replace(_FLAT, perp=None, price=[2_000.0] * 3 + [3_600.0] * (ROWS - 3))
_SIGNAL_ENDS: Final = replace(_FLAT, signal=[1.0] * 3 + [0.0] * (ROWS - 3))
_DEBT_GROWS: Final = replace(_FLAT, borrow_index=[1.0] * 3 + [1.35] * (ROWS - 3))

MODES: Final[tuple[Mode, ...]] = (
    Mode(
        "pure_lending_usdt",
        supplied(_USDT),
        frozenset({Trait.INDEX}),
        yields={("supply_yield",): supplied(_USDT)},
    ),
    Mode(
        "pure_lending_eth",
        supplied(_ETH),
        frozenset({Trait.INDEX}),
        yields={("supply_yield",): supplied(_ETH)},
    ),
    Mode("btc_basis", basis(_USDT), frozenset({Trait.EXIT, Trait.PERP}), leaves=_FUNDING_FLIPS),
    Mode("eth_basis", basis(_USDT), frozenset({Trait.EXIT, Trait.PERP}), leaves=_FUNDING_FLIPS),
    Mode(
        "eth_staking_only",
        staked(_ETH),
        frozenset({Trait.INDEX}),
        yields={("staking_yield_oracle",): staked(_ETH)},
    ),
    Mode(
        "eth_leveraged",
        levered(_ETH),
        frozenset({Trait.DEBT, Trait.INDEX}),
        yields={
            ("supply_yield", "staking_yield_oracle"): collateral(_ETH / (1.0 - _LTV)),
            ("borrow_cost",): owed(_ETH * _LTV / (1.0 - _LTV)),
        },
        repays=_DEBT_GROWS,
    ),
    Mode(
        "usdt_market_neutral_no_leverage",
        hedged(_USDT, staked(1.0)),
        frozenset({Trait.EXIT, Trait.INDEX, Trait.PERP}),
        yields={("staking_yield_oracle",): hedged_yield(_USDT, staked(1.0))},
        leaves=_PRICE_SOARS,
    ),
    Mode(
        "usdt_market_neutral",
        hedged(_USDT, levered(1.0)),
        frozenset({Trait.EXIT, Trait.DEBT, Trait.INDEX, Trait.PERP}),
        yields={
            ("supply_yield", "staking_yield_oracle", "borrow_cost"): hedged_yield(_USDT, levered(1.0)),
        },
        leaves=_PRICE_SOARS,
        repays=_DEBT_GROWS,
    ),
    Mode("ml_btc_directional_usdt_margin", directional, frozenset({Trait.EXIT, Trait.PERP}), leaves=_SIGNAL_ENDS),
    Mode(
        "ml_btc_directional_btc_margin", directional_in_coins, frozenset({Trait.EXIT, Trait.PERP}), leaves=_SIGNAL_ENDS
    ),
)

SUBJECTS: Final[tuple[Subject, ...]] = (*INSTRUMENTS, *MODES)
