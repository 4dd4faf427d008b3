"""Stake half of the equity in ETH and short it on the exchanges: the rules that both hedged modes share.

The staking yield and the funding are earned, the price of ETH is not. [domain] 3.2, rulings 16 to 19.
"""

import numpy as np
from hamilton.function_modifiers import config, tag

from dataflow.maths.costs import CostModel
from dataflow.maths.leverage import LoopTerms
from schemas.decisions import HOLD, DecisionRule
from schemas.instruments import asset_of
from schemas.intents import OrderIntent
from schemas.operations import DecisionType, StrategyIntent
from schemas.trade_rules import TradeRuleBook
from schemas.units import NOT_APPLICABLE, Column, column, frozen, sum_columns, sum_parts
from strategies.dust import DustBook
from strategies.hedged.orders import GAS_MONEY_ETH, HedgedBook, MarginVenue
from strategies.leverage.orders import LeverageBook
from strategies.rules import first_that_applies

EXIT_MARGIN = DecisionRule(
    1, "margin_ratio_below_exit", DecisionType.EMERGENCY_EXIT, StrategyIntent.EXIT_FULL, is_risk_exit=True
)
EXIT_HEALTH = DecisionRule(
    2, "health_factor_below_minimum", DecisionType.EMERGENCY_EXIT, StrategyIntent.EXIT_FULL, is_risk_exit=True
)
FINISH_EXIT = DecisionRule(3, "exit_left_unfinished", DecisionType.EXIT, StrategyIntent.EXIT_FULL)
RESTORE_MARGIN = DecisionRule(4, "margin_ratio_below_warning", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
ADJUST_DELTA = DecisionRule(5, "net_delta_above_limit", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
SELL_DUST = DecisionRule(6, "dust_above_threshold", DecisionType.SELL_DUST, StrategyIntent.SELL_DUST)
WITHDRAWAL = DecisionRule(7, "withdrawal_pending", DecisionType.REBALANCE, StrategyIntent.EXIT_PARTIAL)
ENTRY = DecisionRule(8, "nothing_staked", DecisionType.ENTRY, StrategyIntent.ENTRY_FULL)
STAKE_IDLE = DecisionRule(9, "idle_eth_above_threshold", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL)
INVEST_EXCESS = DecisionRule(10, "margin_ratio_above_excess", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL)
ADD_IDLE = DecisionRule(
    11, "position_deviation_threshold_exceeded", DecisionType.REBALANCE, StrategyIntent.ENTRY_PARTIAL
)
RULES = (
    EXIT_MARGIN,
    EXIT_HEALTH,
    FINISH_EXIT,
    RESTORE_MARGIN,
    ADJUST_DELTA,
    SELL_DUST,
    WITHDRAWAL,
    ENTRY,
    STAKE_IDLE,
    INVEST_EXCESS,
    ADD_IDLE,
)
"""In order of priority: of those that apply at a row, the first decides."""


@tag(stage="decision", unit="flag")
@config.when(borrowing=False)
def has_position__tokens(lst_units: Column, perp_units: Column) -> Column:
    """1 where a staking token or a perpetual is held, else 0.

    Shape:  (rows,).

    >>> has_position__tokens(np.array([[0.0], [2.0]]), np.array([[0.0], [-2.0]])).tolist()
    [0.0, 1.0]
    """
    return frozen((sum_columns(lst_units) + sum_columns(np.abs(perp_units)) > 0.0).astype(np.float64))


@tag(stage="decision", unit="flag")
@config.when(borrowing=True)
def has_position__pool(lst_units: Column, a_token_units: Column, perp_units: Column) -> Column:
    """1 where a staking token, collateral or a perpetual is held, else 0.

    Shape:  (rows,).

    >>> has_position__pool(np.zeros((2, 1)), np.array([[0.0], [2.0]]), np.zeros((2, 1))).tolist()
    [0.0, 1.0]
    """
    held = sum_columns(lst_units) + sum_columns(a_token_units) + sum_columns(np.abs(perp_units))
    return frozen((held > 0.0).astype(np.float64))


@tag(stage="decision", unit="flag")
def is_flat(
    has_position: Column,
    long_leg_units: Column,
    spot_units: Column,
    tradable_spot_units: Column,
    eth_price: Column,
    gas_reserve_usd: Column,
) -> Column:
    """1 where nothing is held but ETH that no exchange trades, or in the wallet and not worth the gas of selling it.

    Shape:  (rows,).

    >>> one, none = np.ones(2), np.zeros((2, 1))
    >>> is_flat(np.array([0.0, 1.0]), np.array([0.005, 2.0]), none, none, 2_000.0 * one, 20.0 * one).tolist()
    [1.0, 0.0]
    """
    left = long_leg_units - sum_columns(spot_units - tradable_spot_units)
    is_dust = (left < GAS_MONEY_ETH) | (left * eth_price < gas_reserve_usd)
    return frozen((1.0 - has_position) * is_dust)


@tag(stage="decision", unit="usd")
def usdt_at_exchanges(quote_units: Column) -> Column:
    """USDT that lies at the exchanges, margin loans aside.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.

    >>> usdt_at_exchanges(np.array([[5.0, -1.0]])).tolist()
    [5.0]
    """
    return sum_columns(np.maximum(quote_units, 0.0))


@tag(stage="decision", unit="usd")
def idle_usdt(
    wallet_units: Column,
    wallet_tokens: tuple[str, ...],
    margin_token: str,
    entry_gas_usd: Column,
    gas_reserve_usd: Column,
    withdrawal_pending: float,
) -> Column:
    """USDT of the wallet that an entry could use now: what gas, the reserve and a withdrawal that waits leave.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] ruling 12.

    >>> units, tokens = np.array([[1.0, 100.0]]), ("ETH", "USDT")
    >>> idle_usdt(units, tokens, "USDT", np.array([2.0]), np.array([10.0]), 8.0).tolist()
    [80.0]
    """
    usdt = column(wallet_units, wallet_tokens, margin_token)
    return frozen(np.maximum(usdt - entry_gas_usd - gas_reserve_usd - withdrawal_pending, 0.0))


@tag(stage="decision", unit="usd")
def deployable_usdt(idle_usdt: Column, usdt_at_exchanges: Column) -> Column:
    """USDT that an entry could use now: what is idle in the wallet, and what lies at the exchanges.

    Shape:  (rows,).
    Units:  USD.
    Source: [domain] ruling 12.

    >>> deployable_usdt(np.array([88.0]), np.array([5.0])).tolist()
    [93.0]
    """
    return frozen(idle_usdt + usdt_at_exchanges)


def _wallet_eth(wallet_units: Column, wallet_tokens: tuple[str, ...]) -> Column:
    """ETH and WETH in the wallet. Shape: (rows,)."""
    return sum_parts(
        [column(wallet_units, wallet_tokens, token) for token in wallet_tokens if asset_of(token) == "ETH"]
    )


@tag(stage="decision", unit="usd")
def idle_eth_usd(
    wallet_units: Column,
    wallet_tokens: tuple[str, ...],
    tradable_spot_units: Column,
    venues: tuple[str, ...],
    spot_venue: str,
    eth_price: Column,
) -> Column:
    """ETH and WETH that lie unstaked in the wallet and at the desk, the exchange where ETH is bought.

    Shape:  (rows,).
    Units:  USD.
    Sign:   >= 0.

    >>> in_wallet, at_venues = np.array([[0.5, 100.0, 0.25]]), np.array([[0.0, 0.25]])
    >>> tokens, venues = ("WETH", "USDT", "ETH"), ("binance", "okx")
    >>> idle_eth_usd(in_wallet, tokens, at_venues, venues, "okx", np.array([3_000.0])).tolist()
    [3000.0]
    """
    return frozen(
        (_wallet_eth(wallet_units, wallet_tokens) + column(tradable_spot_units, venues, spot_venue)) * eth_price
    )


@tag(stage="decision", unit="flag")
def exit_is_unfinished(
    is_flat: Column, worst_margin_ratio: Column, usdt_at_exchanges: Column, cooldown_over: Column, min_trade_usd: float
) -> Column:
    """1 where a risk exit that met a failed order has left ETH or USDT behind, and no entry is allowed yet.

    Shape:  (rows,).
    Source: [domain] 3.0, a full exit ends in the wallet; ruling 29.

    >>> none, usdt = np.full(2, 999.0), np.array([50.0, 5.0])
    >>> exit_is_unfinished(np.ones(2), none, usdt, np.zeros(2), 10.0).tolist()
    [1.0, 0.0]
    """
    is_left = (is_flat == 0.0) | (usdt_at_exchanges > min_trade_usd)
    return frozen((is_left & (worst_margin_ratio >= NOT_APPLICABLE) & (cooldown_over == 0.0)).astype(np.float64))


@tag(stage="decision", unit="flag")
def idle_eth_is_due(
    idle_eth_usd: Column,
    worst_margin_ratio: Column,
    equity_usd: Column,
    entry_gas_usd: Column,
    position_deviation_threshold: float,
    min_trade_usd: float,
) -> Column:
    """1 where a hedged book has more ETH unstaked than the rebalance threshold and the gas of staking it.

    Shape:  (rows,).
    Source: [domain] 3.0 and ruling 29.

    >>> one = np.ones(1)
    >>> idle_eth_is_due(50.0 * one, one, 1_000.0 * one, 5.0 * one, 0.02, 10.0).tolist()
    [1.0]
    """
    least = np.maximum(position_deviation_threshold * equity_usd, np.maximum(entry_gas_usd, min_trade_usd))
    return frozen(((idle_eth_usd > least) & (worst_margin_ratio < NOT_APPLICABLE)).astype(np.float64))


@tag(stage="decision", unit="flag")
@config.when(borrowing=False)
def health_is_low__no_debt(health_factor: Column) -> Column:
    """0: a mode without debt has no health factor to fall.

    Shape:  (rows,).

    >>> health_is_low__no_debt(np.array([999.0])).tolist()
    [0.0]
    """
    return frozen(np.zeros_like(health_factor))


@tag(stage="decision", unit="flag")
@config.when(borrowing=True)
def health_is_low__debt(health_factor: Column, health_factor_min: float) -> Column:
    """1 where the health factor is under its limit.

    Shape:  (rows,).
    Source: [domain] 3.2.

    >>> health_is_low__debt(np.array([1.05]), 1.1).tolist()
    [1.0]
    """
    return frozen((health_factor < health_factor_min).astype(np.float64))


@tag(stage="decision", unit="rule", role="decision", record="decision")
def decision(
    is_flat: Column,
    worst_margin_ratio: Column,
    was_liquidated: Column,
    health_is_low: Column,
    exit_is_unfinished: Column,
    net_delta_fraction: Column,
    dust_is_due: Column,
    deployable_usdt: Column,
    idle_usdt: Column,
    idle_eth_is_due: Column,
    cooldown_over: Column,
    entry_survives: Column,
    is_first_row: Column,
    margin_exit: float,
    margin_warning: float,
    margin_excess: float,
    net_delta_trade: float,
    min_trade_usd: float,
    equity_usd: Column,
    position_deviation_threshold: float,
    withdrawal_pending: float,
    entry_only: bool,
) -> Column:
    """Code of the rule that applies at each row, 0 to hold; of those that apply, the first of ``RULES`` wins.

    Shape:  (rows,).
    Source: [domain] 3.0 and 3.2, rulings 16 to 18 and 33.

    >>> zero, one = np.zeros(1), np.ones(1)
    >>> args = (zero, 0.35 * one, zero, zero, zero, zero, zero, zero, zero, zero, one, one, zero)
    >>> decision(*args, 0.2, 0.4, 2.0, 0.02, 10.0, 100.0 * one, 0.02, 0.0, False).tolist()
    [4.0]
    """
    flat = is_flat > 0.0
    if entry_only:
        return frozen(np.where(flat & (is_first_row > 0.0), float(ENTRY.code), HOLD))
    may_add, has_short = entry_survives > 0.0, worst_margin_ratio < NOT_APPLICABLE
    idle_max = position_deviation_threshold * equity_usd
    applies = {
        EXIT_MARGIN: ~flat & ((worst_margin_ratio < margin_exit) | (was_liquidated > 0.0)),
        EXIT_HEALTH: ~flat & (health_is_low > 0.0),
        FINISH_EXIT: exit_is_unfinished > 0.0,
        RESTORE_MARGIN: ~flat & (worst_margin_ratio < margin_warning),
        ADJUST_DELTA: ~flat & (net_delta_fraction > net_delta_trade),
        SELL_DUST: dust_is_due > 0.0,
        WITHDRAWAL: ~flat & (withdrawal_pending > 0.0),
        ENTRY: flat & (deployable_usdt > min_trade_usd) & (cooldown_over > 0.0) & may_add,
        STAKE_IDLE: ~flat & (idle_eth_is_due > 0.0) & may_add,
        INVEST_EXCESS: ~flat & has_short & (worst_margin_ratio > margin_excess) & may_add,
        ADD_IDLE: ~flat & (idle_usdt > np.maximum(idle_max, min_trade_usd)) & may_add,
    }
    return first_that_applies(RULES, applies)


@tag(stage="orders", unit="book")
@config.when(borrowing=False)
def leverage_book__none() -> LeverageBook | None:
    """No position at a lending pool."""
    return None


@tag(stage="orders", unit="book")
@config.when(borrowing=True)
def leverage_book__pool(
    a_token_units: Column,
    liquidity_index: Column,
    debt_units: Column,
    variable_borrow_index: Column,
    lst_oracle_ratio: Column,
    lst_market_ratio: Column,
    eth_price: Column,
    gas_unit_usd: Column,
    supplied_tokens: tuple[str, ...],
    supplied_token: str,
    borrowed_tokens: tuple[str, ...],
    borrowed_token: str,
    target_ltv: float,
    leverage_loop: LoopTerms | None,
    costs: CostModel,
) -> LeverageBook | None:
    """The position at the lending pool at the decision's row. Columns are those of the row alone."""
    collateral = column(a_token_units * liquidity_index, supplied_tokens, supplied_token)
    debt = column(debt_units * variable_borrow_index, borrowed_tokens, borrowed_token)
    return LeverageBook(
        lst=supplied_token,
        collateral_lst=float(collateral[0]),
        debt_eth=float(debt[0]),
        oracle_ratio=float(lst_oracle_ratio[0]),
        market_ratio=float(lst_market_ratio[0]),
        eth_price=float(eth_price[0]),
        gas_unit_usd=float(gas_unit_usd[0]),
        target_ltv=target_ltv,
        loop=leverage_loop,
        costs=costs,
    )


@tag(stage="orders", unit="book")
def hedged_book(
    spot_price: Column,
    perp_mark: Column,
    quote_units: Column,
    tradable_spot_units: Column,
    perp_units: Column,
    perp_entry_price: Column,
    wallet_units: Column,
    wallet_tokens: tuple[str, ...],
    lst_units: Column,
    lst_oracle_ratio: Column,
    lst_market_ratio: Column,
    eth_price: Column,
    gas_unit_usd: Column,
    hedge_allocation: Column,
    venues: tuple[str, ...],
    spot_venue: str,
    lst_tokens: tuple[str, ...],
    lst: str,
    stake_share: float,
    margin_target: float,
    leverage_book: LeverageBook | None,
    costs: CostModel,
    trade_rules: TradeRuleBook,
) -> HedgedBook:
    """The book at the decision's row, as the order builder sees it. Columns are those of the row alone."""
    return HedgedBook(
        venues=tuple(
            MarginVenue(
                venue,
                float(spot_price[0, at]),
                float(perp_mark[0, at]),
                float(quote_units[0, at]),
                float(perp_units[0, at]),
                float(perp_entry_price[0, at]),
                float(hedge_allocation[at]),
            )
            for at, venue in enumerate(venues)
        ),
        spot_venue=spot_venue,
        lst=lst,
        lst_units=float(column(lst_units, lst_tokens, lst)[0]),
        wallet_eth=float(_wallet_eth(wallet_units, wallet_tokens)[0]),
        desk_eth=float(column(tradable_spot_units, venues, spot_venue)[0]),
        oracle_ratio=float(lst_oracle_ratio[0]),
        market_ratio=float(lst_market_ratio[0]),
        eth_price=float(eth_price[0]),
        gas_unit_usd=float(gas_unit_usd[0]),
        stake_share=stake_share,
        margin_target=margin_target,
        leverage=leverage_book,
        costs=costs,
        trade_rules=trade_rules,
    )


@tag(stage="orders", unit="intent")
def orders(
    decision_rule: DecisionRule,
    hedged_book: HedgedBook,
    dust_book: DustBook,
    deployable_usdt: Column,
    idle_usdt: Column,
    net_delta_units: Column,
    equity_usd: Column,
    wallet_units: Column,
    wallet_tokens: tuple[str, ...],
    margin_token: str,
    margin_warning: float,
    withdrawal_shortfall_usd: float,
) -> list[OrderIntent]:
    """What the rule asks for, in the order in which it must be done. Columns are those of the decision's row, (1,)."""
    intent = decision_rule.intent
    reserve_usd = column(wallet_units, wallet_tokens, margin_token)[0]  # USDT in the wallet is there for gas
    invested_usd = float(equity_usd[0] - reserve_usd)
    if decision_rule in (EXIT_MARGIN, EXIT_HEALTH, FINISH_EXIT):
        return hedged_book.leave(intent)
    if decision_rule is RESTORE_MARGIN:
        return hedged_book.restore_margin(margin_warning, invested_usd, intent)
    if decision_rule is ADJUST_DELTA and hedged_book.is_left_over:
        return hedged_book.leave(intent)
    if decision_rule is ADJUST_DELTA:
        return hedged_book.hedge_again(float(net_delta_units[0]), margin_warning, intent)
    if decision_rule is SELL_DUST:
        return dust_book.sale(intent) + hedged_book.cash_in(dust_book.proceeds_eth(), intent)
    if decision_rule is WITHDRAWAL:
        return hedged_book.free(withdrawal_shortfall_usd, intent)
    if decision_rule is ADD_IDLE:
        return hedged_book.invest_idle(float(idle_usdt[0]), intent)
    if decision_rule is ENTRY:
        return hedged_book.enter(max(float(deployable_usdt[0]), 0.0), intent)
    if decision_rule is STAKE_IDLE:
        return hedged_book.stake_idle(margin_warning, intent)
    return hedged_book.invest_excess(invested_usd, intent)
