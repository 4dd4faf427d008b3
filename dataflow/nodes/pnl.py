"""P&L stage: where every change of equity came from, in share-class units, cumulative since the start.

Each part is a step (this row) and a running total. Quantities are those held just before the row, so that the sum of
the parts telescopes to the change of equity exactly; trading costs enter as the executor books them.
"""

import numpy as np
from hamilton.function_modifiers import config, group, inject, resolve_from_config, source, tag

from schemas.units import SECONDS_PER_DAY, Column, frozen, running_sum, sum_columns, sum_parts

_DAYS_PER_MONTH = 30.4375
_TOLERANCE_FLOOR = 1e-6


@tag(stage="pnl", unit="share_class")
def supply_yield_step(
    a_token_units: Column,
    liquidity_index_step: Column,
    supplied_yield_price_usd: Column,
    usd_per_share_class: Column,
    row_is_new: Column,
) -> Column:
    """Interest accrued on supplied reserves since the row before.

        yield = scaled units x growth of the index x price

    Shape:  (rows,).
    Units:  share class.
    Sign:   >= 0.
    Source: [domain] 4.5.

    >>> one = np.array([[1.0]])
    >>> supply_yield_step(100.0 * one, 0.01 * one, one, np.ones(1), np.ones(1)).tolist()
    [1.0]
    """
    accrued = sum_columns(a_token_units * liquidity_index_step * supplied_yield_price_usd)
    return frozen(accrued / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class", carry="supply_yield_before")
def supply_yield(supply_yield_step: Column, supply_yield_before: float) -> Column:
    """Interest accrued on supplied reserves since the start.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> supply_yield(np.array([1.0, 2.0]), 10.0).tolist()
    [11.0, 13.0]
    """
    return running_sum(supply_yield_step, supply_yield_before)


@tag(stage="pnl", unit="share_class")
@config.when(lending=False)
def staking_yield_oracle_step__held(
    lst_units: Column,
    lst_oracle_ratio_step: Column,
    eth_price: Column,
    usd_per_share_class: Column,
    row_is_new: Column,
) -> Column:
    """Staking yield since the row before: growth of the oracle ratio on the staking tokens held.

    Shape:  (rows,).
    Units:  share class.
    Sign:   >= 0.
    Source: [domain] 4.5.

    >>> one = np.ones(1)
    >>> staking_yield_oracle_step__held(np.array([[2.0]]), 0.25 * one, one, one, one).tolist()
    [0.5]
    """
    grown = sum_columns(lst_units) * lst_oracle_ratio_step * eth_price
    return frozen(grown / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class")
@config.when(lending=True)
def staking_yield_oracle_step__supplied(
    lst_units: Column,
    a_token_units: Column,
    liquidity_index: Column,
    lst_oracle_ratio_step: Column,
    eth_price: Column,
    usd_per_share_class: Column,
    row_is_new: Column,
) -> Column:
    """Staking yield since the row before, on the staking tokens held and on those supplied as collateral.

        yield = (LST units + scaled units x index) x growth of the ratio x price

    Shape:  (rows,).
    Units:  share class.
    Sign:   >= 0.
    Source: [domain] 4.5.

    >>> one, cell = np.ones(1), np.ones((1, 1))
    >>> staking_yield_oracle_step__supplied(2.0 * cell, 3.0 * cell, cell, 0.25 * one, one, one, one).tolist()
    [1.25]
    """
    staked = sum_columns(lst_units) + sum_columns(a_token_units * liquidity_index)
    return frozen(staked * lst_oracle_ratio_step * eth_price / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class", carry="staking_yield_oracle_before")
def staking_yield_oracle(staking_yield_oracle_step: Column, staking_yield_oracle_before: float) -> Column:
    """Staking yield since the start.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> staking_yield_oracle(np.array([1.0, 2.0]), 10.0).tolist()
    [11.0, 13.0]
    """
    return running_sum(staking_yield_oracle_step, staking_yield_oracle_before)


@tag(stage="pnl", unit="share_class")
def borrow_cost_step(
    debt_units: Column,
    variable_borrow_index_step: Column,
    borrowed_price_usd: Column,
    usd_per_share_class: Column,
    row_is_new: Column,
) -> Column:
    """Interest accrued on debt since the row before.

        cost = - scaled units x growth of the index x price

    Shape:  (rows,).
    Units:  share class.
    Sign:   <= 0.
    Source: [domain] 4.5.

    >>> one = np.array([[1.0]])
    >>> borrow_cost_step(100.0 * one, 0.25 * one, one, np.ones(1), np.ones(1)).tolist()
    [-25.0]
    """
    accrued = sum_columns(debt_units * variable_borrow_index_step * borrowed_price_usd)
    return frozen(0.0 - accrued / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class", carry="borrow_cost_before")
def borrow_cost(borrow_cost_step: Column, borrow_cost_before: float) -> Column:
    """Interest accrued on debt since the start.

    Shape:  (rows,).
    Units:  share class.
    Sign:   <= 0.
    Source: [domain] 4.5.

    >>> borrow_cost(np.array([-1.0, -2.0]), -10.0).tolist()
    [-11.0, -13.0]
    """
    return running_sum(borrow_cost_step, borrow_cost_before)


@tag(stage="pnl", unit="share_class")
@config.when(coin_margin=False)
def funding_pnl_step(funding_flow: Column, usd_per_share_class: Column) -> Column:
    """Funding received at the row, summed over venues.

    Shape:  (rows,).
    Units:  share class.
    Sign:   > 0 is received.
    Source: [domain] 4.3.

    >>> funding_pnl_step(np.array([[0.5, 0.25]]), np.ones(1)).tolist()
    [0.75]
    """
    return frozen(sum_columns(funding_flow) / usd_per_share_class)


@tag(stage="pnl", unit="share_class")
@config.when(coin_margin=True)
def funding_pnl_step__coins(funding_flow: Column) -> Column:
    """Funding received at the row in coins, which are the share class.

    Shape:  (rows,).
    Units:  share class.
    Sign:   > 0 is received.
    Source: [domain] ruling 27.

    >>> funding_pnl_step__coins(np.array([[0.5, 0.25]])).tolist()
    [0.75]
    """
    return sum_columns(funding_flow)


@tag(stage="pnl", unit="share_class", carry="funding_pnl_before")
def funding_pnl(funding_pnl_step: Column, funding_pnl_before: float) -> Column:
    """Funding received since the start.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> funding_pnl(np.array([1.0, 2.0]), 10.0).tolist()
    [11.0, 13.0]
    """
    return running_sum(funding_pnl_step, funding_pnl_before)


@tag(stage="pnl", unit="asset_unit", axis="assets")
def staked_before(
    lst_units: Column, lst_oracle_ratio_before: Column, lst_tokens: tuple[str, ...], assets: tuple[str, ...]
) -> Column:
    """ETH in the staking tokens, at the ratio of the row before, in the column of ETH.

    Shape:  (rows, assets).
    Units:  ETH.
    Source: [domain] 4.5.

    >>> staked_before(np.array([[2.0]]), np.array([1.5]), ("weETH",), ("ETH", "USDT")).tolist()
    [[3.0, 0.0]]
    """
    return _in_eth(sum_columns(lst_units) * lst_oracle_ratio_before, assets)


@tag(stage="pnl", unit="asset_unit", axis="assets")
def supplied_before(
    a_token_units: Column, liquidity_index_before: Column, lst_oracle_ratio_before: Column, assets: tuple[str, ...]
) -> Column:
    """ETH in the collateral, at index and ratio of the row before, in the column of ETH.

    Shape:  (rows, assets).
    Units:  ETH.
    Source: [domain] 4.5.

    >>> supplied_before(np.array([[2.0]]), np.array([[2.0]]), np.array([1.5]), ("ETH",)).tolist()
    [[6.0]]
    """
    return _in_eth(sum_columns(a_token_units * liquidity_index_before) * lst_oracle_ratio_before, assets)


@tag(stage="pnl", unit="asset_unit", axis="assets")
def debt_before(debt_units: Column, variable_borrow_index_before: Column, assets: tuple[str, ...]) -> Column:
    """ETH owed, at the index of the row before, in the column of ETH.

    Shape:  (rows, assets).
    Units:  ETH.
    Sign:   <= 0.
    Source: [domain] 4.5.

    >>> debt_before(np.array([[2.0]]), np.array([[1.5]]), ("ETH",)).tolist()
    [[-3.0]]
    """
    return _in_eth(0.0 - sum_columns(debt_units * variable_borrow_index_before), assets)


def _in_eth(amounts: Column, assets: tuple[str, ...]) -> Column:
    totals = np.zeros((len(amounts), len(assets)), order="F")
    totals[:, assets.index("ETH")] = amounts
    return frozen(totals)


@tag(stage="pnl", unit="asset_unit", axis="assets")
@resolve_from_config(decorate_with=lambda staked_parts: inject(parts=group(*map(source, staked_parts))))
def quantity_before(parts: list[Column]) -> Column:
    """Net delta units of each asset, at the indexes and ratios of the row before.

    Shape:  (rows, assets).
    Units:  units of the asset.
    Source: [domain] 4.5, quantities of the row before.

    >>> quantity_before([np.array([[1.0]]), np.array([[-0.5]])]).tolist()
    [[0.5]]
    """
    return sum_parts(parts)


@tag(stage="pnl", unit="share_class")
@config.when(hedged=True)
def delta_pnl_step__staked(
    quantity_before: Column,
    delta_asset: str,
    assets: tuple[str, ...],
    reference_price_step: Column,
    usd_per_share_class: Column,
    row_is_new: Column,
) -> Column:
    """Profit of the net delta from the move of the reference price since the row before, staked ETH included.

    Shape:  (rows,).
    Units:  share class.
    Sign:   a net long gains when the price rises; 0 for a hedged book.
    Source: [domain] 4.5 and ruling 23.

    >>> one = np.ones(1)
    >>> delta_pnl_step__staked(np.array([[0.5]]), "ETH", ("ETH",), 10.0 * one, one, one).tolist()
    [5.0]
    """
    net = quantity_before[:, assets.index(delta_asset)]
    return frozen(net * reference_price_step / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class")
@config.when(hedged=False, directional=False)
def delta_pnl_step__coins(
    spot_units: Column,
    perp_units: Column,
    reference_price_step: Column,
    usd_per_share_class: Column,
    row_is_new: Column,
) -> Column:
    """Profit of the net delta from the move of the reference price since the row before.

        profit = (spot units + perpetual units) x change of reference price

    Shape:  (rows,).
    Units:  share class.
    Sign:   a net long gains when the price rises; 0 for a hedged book.
    Source: [domain] ruling 23.

    >>> spot, perp, moved = np.array([[0.5]]), np.array([[-0.25]]), np.array([10.0])
    >>> delta_pnl_step__coins(spot, perp, moved, np.ones(1), np.ones(1)).tolist()
    [2.5]
    """
    net = sum_columns(spot_units) + sum_columns(perp_units)
    return frozen(net * reference_price_step / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class")
@config.when(directional=True, coin_margin=False)
def delta_pnl_step__usdt_margin(
    perp_units: Column, perp_mark_step: Column, usd_per_share_class: Column, row_is_new: Column
) -> Column:
    """Profit of the perpetuals from the move of their marks since the row before.

    Where a stop or target was touched on the way, the executor takes back the move beyond its level.

    Shape:  (rows,).
    Units:  share class.
    Sign:   a long gains when the mark rises.
    Source: [domain] 4.5, ML modes at mark.

    >>> one, cell = np.ones(1), np.ones((1, 1))
    >>> delta_pnl_step__usdt_margin(-0.5 * cell, 10.0 * cell, one, one).tolist()
    [-5.0]
    """
    return frozen(sum_columns(perp_units * perp_mark_step) / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class")
@config.when(directional=True, coin_margin=True)
def delta_pnl_step__coin_margin(
    perp_units: Column, perp_entry_price: Column, inverse_mark_fall: Column, row_is_new: Column
) -> Column:
    """Change of the perpetuals' unrealised profit in coins since the row before.

        profit = units x entry x (1 / mark before - 1 / mark)

    Where a stop or target was touched on the way, the executor takes back the move beyond its level.

    Shape:  (rows,).
    Units:  share class.
    Sign:   a long gains when the mark rises.
    Source: [domain] 4.5 and ruling 27.

    >>> one, cell = np.ones(1), np.ones((1, 1))
    >>> delta_pnl_step__coin_margin(2.0 * cell, 100.0 * cell, 0.002 * cell, one).tolist()
    [0.4]
    """
    return frozen(sum_columns(perp_units * perp_entry_price * inverse_mark_fall) * row_is_new)


@tag(stage="pnl", unit="share_class", carry="delta_pnl_before")
def delta_pnl(delta_pnl_step: Column, delta_pnl_before: float) -> Column:
    """Profit of the net delta since the start.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> delta_pnl(np.array([1.0, 2.0]), 10.0).tolist()
    [11.0, 13.0]
    """
    return running_sum(delta_pnl_step, delta_pnl_before)


@tag(stage="pnl", unit="share_class")
def basis_pnl_step(
    spot_units: Column,
    perp_units: Column,
    spot_premium_step: Column,
    perp_premium_step: Column,
    usd_per_share_class: Column,
    row_is_new: Column,
) -> Column:
    """Profit from prices moving against the reference: perpetual basis and spread between venues.

        profit = sum perp x change(mark - reference) + sum spot x change(venue spot - reference)

    Shape:  (rows,).
    Units:  share class.
    Sign:   a short gains when the basis falls.
    Source: [domain] ruling 23.

    >>> one = np.array([[1.0]])
    >>> basis_pnl_step(0.5 * one, -0.5 * one, 2.0 * one, -4.0 * one, np.ones(1), np.ones(1)).tolist()
    [3.0]
    """
    moved = sum_columns(perp_units * perp_premium_step) + sum_columns(spot_units * spot_premium_step)
    return frozen(moved / usd_per_share_class * row_is_new)


@tag(stage="pnl", unit="share_class", carry="basis_pnl_before")
def basis_pnl(basis_pnl_step: Column, basis_pnl_before: float) -> Column:
    """Profit from basis and venue spreads since the start.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> basis_pnl(np.array([1.0, 2.0]), 10.0).tolist()
    [11.0, 13.0]
    """
    return running_sum(basis_pnl_step, basis_pnl_before)


@tag(stage="pnl", unit="share_class")
def transaction_costs(transaction_costs_before: float, row_is_new: Column) -> Column:
    """Fees, gas and slippage paid since the start, as the executor booked them.

    Shape:  (rows,); constant inside a window, since nothing is traded there.
    Units:  share class.
    Sign:   <= 0, unless fills were better than the market.
    Source: [domain] 4.5 and ruling 23.

    >>> transaction_costs(-2.5, np.ones(2)).tolist()
    [-2.5, -2.5]
    """
    return frozen(np.full(len(row_is_new), transaction_costs_before))


@tag(stage="pnl", unit="share_class")
def staking_yield_rewards(staking_yield_rewards_before: float, row_is_new: Column) -> Column:
    """Rewards paid since the start, at their value on the day, as the settlements book them.

    Shape:  (rows,).
    Units:  share class.
    Sign:   >= 0.
    Source: [domain] 4.5 and ruling 25; ``rewards_mode: base_only`` pays none.

    >>> staking_yield_rewards(2.5, np.ones(2)).tolist()
    [2.5, 2.5]
    """
    return frozen(np.full(len(row_is_new), staking_yield_rewards_before))


@tag(stage="pnl", unit="share_class")
@config.when(rewards=False)
def dust_pnl__none(dust_pnl_before: float, row_is_new: Column) -> Column:
    """Price moves of rewards: a run without rewards has none.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> dust_pnl__none(0.0, np.ones(2)).tolist()
    [0.0, 0.0]
    """
    return frozen(np.full(len(row_is_new), dust_pnl_before))


@tag(stage="pnl", unit="share_class")
def dust_pnl_step(dust_units: Column, dust_price_step: Column, row_is_new: Column) -> Column:
    """Price move since the row before of the reward tokens held over it.

    Shape:  (rows,).
    Units:  token x share class/token -> share class.
    Sign:   > 0 where they became dearer.
    Source: [domain] 4.5.

    >>> dust_pnl_step(np.array([[2.0, 0.0]]), np.array([[0.5, np.nan]]), np.ones(1)).tolist()
    [1.0]
    """
    held = dust_units * row_is_new[:, None]
    return sum_columns(np.where(held == 0.0, 0.0, held * dust_price_step))


@tag(stage="pnl", unit="share_class", carry="dust_pnl_before")
@config.when(rewards=True)
def dust_pnl__held(dust_pnl_step: Column, dust_pnl_before: float) -> Column:
    """Price moves of rewards between receipt and sale since the start.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> dust_pnl__held(np.array([1.0, -0.25]), 2.0).tolist()
    [3.0, 2.75]
    """
    return running_sum(dust_pnl_step, dust_pnl_before)


@tag(stage="pnl", unit="share_class")
@resolve_from_config(decorate_with=lambda attribution_types: inject(parts=group(*map(source, attribution_types))))
def attributed_pnl(parts: list[Column]) -> Column:
    """Sum of the P&L parts of the mode.

    Shape:  (rows,).
    Units:  share class.

    >>> attributed_pnl([np.array([3.0]), np.array([-1.0])]).tolist()
    [2.0]
    """
    return sum_parts(parts)


@tag(stage="pnl", unit="share_class", record="total_pnl_share_class")
def total_pnl_share_class(equity_share_class: Column, deposited_share_class: float) -> Column:
    """Equity less everything paid in, in share-class units: the balance-based truth.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> total_pnl_share_class(np.array([105.0]), 100.0).tolist()
    [5.0]
    """
    return frozen(equity_share_class - deposited_share_class)


@tag(stage="pnl", unit="usd", record="total_pnl_usd")
def total_pnl_usd(equity_usd: Column, deposited_usd: float) -> Column:
    """Equity less everything paid in, in USD.

    Shape:  (rows,).
    Units:  USD.
    Source: [domain] 4.5.

    >>> total_pnl_usd(np.array([105.0]), 100.0).tolist()
    [5.0]
    """
    return frozen(equity_usd - deposited_usd)


@tag(stage="pnl", unit="share_class", record="unexplained")
def unexplained_pnl(total_pnl_share_class: Column, attributed_pnl: Column) -> Column:
    """What the parts leave unexplained; rounding of the order of 1e-12 of capital.

    Shape:  (rows,).
    Units:  share class.
    Source: [domain] 4.5.

    >>> unexplained_pnl(np.array([5.0]), np.array([4.5])).tolist()
    [0.5]
    """
    return frozen(total_pnl_share_class - attributed_pnl)


@tag(stage="pnl", unit="flag", record="reconciled")
def is_reconciled(
    unexplained_pnl: Column,
    initial_capital: float,
    pnl_tolerance: float,
    epoch_seconds: Column,
    run_start_seconds: float,
) -> Column:
    """1 where the unexplained P&L is within its tolerance, which grows with the time since the start; else 0.

        tolerance = initial capital x max(2 % x months / 12, 1e-6)

    Shape:  (rows,).
    Source: [domain] 4.5, months of 30.4375 days.

    >>> is_reconciled(np.array([1e-5, 1.0]), 100.0, 0.02, np.zeros(2), 0.0).tolist()
    [1.0, 0.0]
    """
    months = (epoch_seconds - run_start_seconds) / (SECONDS_PER_DAY * _DAYS_PER_MONTH)
    allowed = initial_capital * np.maximum(pnl_tolerance * months / 12.0, _TOLERANCE_FLOOR)
    return frozen((np.abs(unexplained_pnl) <= allowed).astype(np.float64))
