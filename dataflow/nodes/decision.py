"""Decision stage: the facts that every strategy's rules share. The rules themselves are in ``strategies``."""

import numpy as np
from hamilton.function_modifiers import config, tag

from dataflow.maths.leverage import LoopTerms, loop_rounds
from schemas.operations import OperationType
from schemas.trade_rules import NO_RULES, TradeRuleBook
from schemas.units import Column, frozen, sum_columns


@tag(stage="decision", unit="fraction")
def equity_deviation(equity_share_class: Column, reference_equity: float) -> Column:
    """Change of equity since the last executed decision or capital flow; 0 before the first.

    Shape:  (rows,).
    Units:  fraction of the reference equity.
    Sign:   > 0 after a gain.
    Source: [domain] 3.0 and ruling 14.

    >>> equity_deviation(np.array([102.0]), 100.0).round(6).tolist()
    [0.02]
    """
    if reference_equity == 0.0:
        return frozen(np.zeros_like(equity_share_class))
    return frozen(equity_share_class / reference_equity - 1.0)


@tag(stage="decision", unit="base", axis="venues")
def tradable_spot_units(
    spot_units: Column, spot_price: Column, venues: tuple[str, ...], base_asset: str, trade_rules: TradeRuleBook
) -> Column:
    """Coins at the exchanges that can be sold there: whole lots, and none where they are below the least size.

    What is left of ``spot_units`` is dust, which counts as nothing. Without trade rules everything can be sold.

    Shape:  (rows, venues).
    Units:  base asset.
    Sign:   >= 0 where coins are.

    >>> from schemas.trade_rules import TradeRules
    >>> rules = TradeRuleBook({(OperationType.SPOT_TRADE, "okx", "BTCUSDT"): TradeRules(0.001, 0.001, 10.0)})
    >>> tradable_spot_units(np.array([[0.0125], [0.0009]]), np.full((2, 1), 6e4), ("okx",), "BTC", rules).tolist()
    [[0.012], [0.0]]
    """
    own = [trade_rules.of(OperationType.SPOT_TRADE, venue, f"{base_asset}USDT") for venue in venues]
    if all(rules is NO_RULES for rules in own):
        return spot_units
    cut = np.array(
        [
            [rules.cut(units, price) for rules, units, price in zip(own, held, prices, strict=True)]
            for held, prices in zip(spot_units.tolist(), spot_price.tolist(), strict=True)
        ]
    )
    return frozen(cut.reshape(spot_units.shape))


@tag(stage="decision", unit="flag")
def is_first_row(row_number: Column) -> Column:
    """1 on the first row of the run, else 0.

    Shape:  (rows,).

    >>> is_first_row(np.array([0.0, 1.0])).tolist()
    [1.0, 0.0]
    """
    return frozen((row_number == 0.0).astype(np.float64))


@tag(stage="decision", unit="flag")
def cooldown_over(epoch_seconds: Column, last_risk_exit_seconds: float, reentry_cooldown_seconds: float) -> Column:
    """1 where an entry is allowed again after a risk exit.

    Shape:  (rows,).
    Source: [domain] ruling 15.

    >>> cooldown_over(np.array([100.0, 200.0]), 0.0, 150.0).tolist()
    [0.0, 1.0]
    """
    return frozen((epoch_seconds - last_risk_exit_seconds >= reentry_cooldown_seconds).astype(np.float64))


@tag(stage="decision", unit="gas_unit")
def loop_gas_units(
    equity_usd: Column,
    levered_share: float,
    target_ltv: float,
    leverage_loop: LoopTerms,
    loop_round_gas_units: float,
) -> Column:
    """Gas of the rounds that a full entry by the sequential loop takes at the row's equity.

    Shape:  (rows,).
    Units:  gas units.
    Source: [domain] 3.2 and 4.6.

    >>> loop_gas_units(np.array([100.0]), 1.0, 0.5, LoopTerms(10.0, 0.93), 700_000.0).tolist()
    [2100000.0]
    """
    rounds = loop_rounds(equity_usd * levered_share, target_ltv, leverage_loop.stop_usd)
    return frozen(rounds * loop_round_gas_units)


@tag(stage="decision", unit="usd")
@config.when(loop=True)
def entry_gas_usd__loop(gas_unit_usd: Column, entry_gas_units: float, loop_gas_units: Column) -> Column:
    """Gas of one full entry by the sequential loop, each of its operations a transaction of its own.

    Shape:  (rows,).
    Units:  USD.
    Source: [domain] ruling 12.

    >>> entry_gas_usd__loop(np.array([1e-5]), 400_000.0, np.array([2_100_000.0])).round(6).tolist()
    [25.0]
    """
    return frozen(gas_unit_usd * (entry_gas_units + loop_gas_units))


@tag(stage="decision", unit="usd")
@config.when(loop=True)
def gas_reserve_usd__loop(
    gas_unit_usd: Column,
    entry_gas_units: float,
    loop_gas_units: Column,
    exit_gas_units: float,
    gas_reserve_multiple: float,
) -> Column:
    """What an entry by the sequential loop leaves in the wallet for later gas.

        reserve = multiple x (gas of one entry + gas of one full exit)

    Shape:  (rows,).
    Units:  USD.
    Source: [domain] ruling 12.

    >>> gas_reserve_usd__loop(np.array([1e-5]), 400_000.0, np.array([2_100_000.0]), 1_500_000.0, 3.0).round(6).tolist()
    [120.0]
    """
    return frozen(gas_unit_usd * ((entry_gas_units + loop_gas_units + exit_gas_units) * gas_reserve_multiple))


@tag(stage="decision", unit="usd")
def deployable_usd(
    wallet_units: Column,
    wallet_price_usd: Column,
    entry_gas_usd: Column,
    gas_reserve_usd: Column,
    usd_per_share_class: Column,
    withdrawal_pending: float,
) -> Column:
    """What the wallet could invest now, after gas, the reserve for later and a withdrawal that waits.

    Shape:  (rows,).
    Units:  USD.
    Sign:   < 0 where the wallet is short of its reserve.
    Source: [domain] ruling 12.

    >>> one = np.ones(1)
    >>> deployable_usd(np.array([[100.0]]), np.array([[1.0]]), 2.0 * one, 10.0 * one, one, 8.0).tolist()
    [80.0]
    """
    deployable = sum_columns(wallet_units * wallet_price_usd) - entry_gas_usd - gas_reserve_usd
    return frozen(deployable - withdrawal_pending * usd_per_share_class if withdrawal_pending else deployable)


@tag(stage="orders", unit="usd")
def withdrawal_shortfall_usd(
    wallet_units: Column,
    wallet_price_usd: Column,
    gas_unit_usd: Column,
    gas_reserve_usd: Column,
    usd_per_share_class: Column,
    cash_tokens: Column,
    exit_gas_units: float,
    min_trade_usd: float,
    withdrawal_pending: float,
) -> float:
    """USD that unwinding must bring to the wallet so that it can pay a withdrawal and keep its gas reserve.

    Columns are those of the decision's row alone. cash_tokens: (wallet tokens,), 1 for the share class.
    Source: [domain] 3.0 and ruling 12.

    >>> one, cell = np.ones(1), np.ones((1, 1))
    >>> withdrawal_shortfall_usd(5.0 * cell, cell, 0.01 * one, 3.0 * one, one, one, 100.0, 10.0, 50.0)
    49.0
    """
    cash = float(sum_columns(wallet_units * wallet_price_usd * cash_tokens)[0])
    kept = float(gas_reserve_usd[0]) + exit_gas_units * float(gas_unit_usd[0])
    return max(withdrawal_pending * float(usd_per_share_class[0]) + kept - cash, min_trade_usd)


@tag(stage="decision", unit="flag")
def idle_is_due(
    deployable_usd: Column, equity_usd: Column, equity_deviation: Column, position_deviation_threshold: float
) -> Column:
    """1 where idle balance, or the change of equity since the last decision, passes the rebalance threshold.

    Shape:  (rows,).
    Source: [domain] 3.2.

    >>> idle_is_due(np.array([3.0, 1.0]), np.array([100.0, 100.0]), np.zeros(2), 0.02).tolist()
    [1.0, 0.0]
    """
    is_large = deployable_usd > position_deviation_threshold * equity_usd
    has_moved = np.abs(equity_deviation) > position_deviation_threshold
    return frozen((is_large | has_moved).astype(np.float64))
