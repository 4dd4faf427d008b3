"""Exposure stage: what the held units are worth, and how much of each asset the book is long or short.

An asset is what a price move acts on: ETH and WETH are one asset, a perpetual is delta of its base asset. Each kind
of holding contributes one ``*_quantity`` and one ``*_value_usd`` matrix; the mode's configuration names the
contributions that exist in its graph.
"""

import numpy as np
from hamilton.function_modifiers import config, group, inject, resolve_from_config, source, tag

from schemas.instruments import asset_of
from schemas.units import NOT_APPLICABLE, Column, frozen, sum_columns, sum_parts


def _by_asset(amounts: Column, tokens: tuple[str, ...], assets: tuple[str, ...]) -> Column:
    """Amounts (rows, tokens) summed into the assets their tokens belong to (rows, assets)."""
    totals = np.zeros((len(amounts), len(assets)), order="F")
    for position, token in enumerate(tokens):
        totals[:, assets.index(asset_of(token))] += amounts[:, position]
    return frozen(totals)


@tag(stage="exposure", unit="asset_unit", axis="assets")
def wallet_quantity(wallet_units: Column, wallet_tokens: tuple[str, ...], assets: tuple[str, ...]) -> Column:
    """Asset units in the wallet.

    Shape:  (rows, assets).
    Units:  units of the asset.
    Sign:   >= 0.

    >>> wallet_quantity(np.array([[1.0, 2.0]]), ("ETH", "WETH"), ("ETH",)).tolist()
    [[3.0]]
    """
    return _by_asset(wallet_units, wallet_tokens, assets)


@tag(stage="exposure", unit="usd", axis="assets")
def wallet_value_usd(
    wallet_units: Column, wallet_price_usd: Column, wallet_tokens: tuple[str, ...], assets: tuple[str, ...]
) -> Column:
    """Value of the wallet by asset.

    Shape:  (rows, assets).
    Units:  token x USD/token -> USD.
    Sign:   >= 0.

    >>> wallet_value_usd(np.array([[2.0]]), np.array([[3_000.0]]), ("ETH",), ("ETH",)).tolist()
    [[6000.0]]
    """
    return _by_asset(wallet_units * wallet_price_usd, wallet_tokens, assets)


@tag(stage="exposure", unit="asset_unit", axis="assets")
def supplied_quantity(
    a_token_units: Column,
    liquidity_index: Column,
    supplied_ratio: Column,
    supplied_tokens: tuple[str, ...],
    assets: tuple[str, ...],
) -> Column:
    """Asset units supplied to the lending pool.

        quantity = scaled units x liquidity index x asset units per token

    Shape:  (rows, assets).
    Units:  scaled unit x underlying/scaled unit x asset/underlying -> units of the asset.
    Sign:   >= 0.
    Source: [domain] 4.1 and 4.2.

    >>> supplied_quantity(np.array([[100.0]]), np.array([[1.05]]), np.ones((1, 1)), ("USDT",), ("USDT",)).tolist()
    [[105.0]]
    """
    return _by_asset(a_token_units * liquidity_index * supplied_ratio, supplied_tokens, assets)


@tag(stage="exposure", unit="usd", axis="assets")
def supplied_value_usd(
    a_token_units: Column,
    liquidity_index: Column,
    supplied_price_usd: Column,
    supplied_tokens: tuple[str, ...],
    assets: tuple[str, ...],
) -> Column:
    """Value of what is supplied to the lending pool, by asset.

    Shape:  (rows, assets).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 4.2.

    >>> supplied_value_usd(np.array([[2.0]]), np.array([[1.5]]), np.array([[10.0]]), ("WETH",), ("ETH",)).tolist()
    [[30.0]]
    """
    return _by_asset(a_token_units * liquidity_index * supplied_price_usd, supplied_tokens, assets)


@tag(stage="exposure", unit="asset_unit", axis="assets")
def debt_quantity(
    debt_units: Column, variable_borrow_index: Column, borrowed_tokens: tuple[str, ...], assets: tuple[str, ...]
) -> Column:
    """Asset units owed to the lending pool.

        quantity = - scaled units x variable borrow index

    Shape:  (rows, assets).
    Units:  units of the asset.
    Sign:   <= 0.
    Source: [domain] 4.2.

    >>> debt_quantity(np.array([[10.0]]), np.array([[1.5]]), ("WETH",), ("ETH",)).tolist()
    [[-15.0]]
    """
    return _by_asset(-(debt_units * variable_borrow_index), borrowed_tokens, assets)


@tag(stage="exposure", unit="usd", axis="assets")
def debt_value_usd(
    debt_units: Column,
    variable_borrow_index: Column,
    borrowed_price_usd: Column,
    borrowed_tokens: tuple[str, ...],
    assets: tuple[str, ...],
) -> Column:
    """Value owed to the lending pool, by asset.

    Shape:  (rows, assets).
    Units:  USD.
    Sign:   <= 0.
    Source: [domain] 4.2.

    >>> debt_value_usd(np.array([[10.0]]), np.array([[1.5]]), np.array([[2.0]]), ("WETH",), ("ETH",)).tolist()
    [[-30.0]]
    """
    return _by_asset(-(debt_units * variable_borrow_index * borrowed_price_usd), borrowed_tokens, assets)


@tag(stage="exposure", unit="asset_unit", axis="assets")
def staked_quantity(
    lst_units: Column, lst_oracle_ratio: Column, lst_tokens: tuple[str, ...], assets: tuple[str, ...]
) -> Column:
    """ETH in the staking tokens held outside the lending pool, at the oracle ratio.

    Shape:  (rows, assets).
    Units:  LST x ETH/LST -> ETH.
    Sign:   >= 0.
    Source: [domain] 4.2.

    >>> staked_quantity(np.array([[2.0]]), np.array([1.5]), ("weETH",), ("ETH",)).tolist()
    [[3.0]]
    """
    return _by_asset(lst_units * lst_oracle_ratio[:, None], lst_tokens, assets)


@tag(stage="exposure", unit="usd", axis="assets")
def staked_value_usd(
    lst_units: Column, lst_oracle_ratio: Column, eth_price: Column, lst_tokens: tuple[str, ...], assets: tuple[str, ...]
) -> Column:
    """Value of the staking tokens held outside the lending pool, at the oracle ratio.

    Shape:  (rows, assets).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 4.2; the market ratio counts only when they are sold.

    >>> staked_value_usd(np.array([[2.0]]), np.array([1.5]), np.array([10.0]), ("weETH",), ("ETH",)).tolist()
    [[30.0]]
    """
    return _by_asset(lst_units * lst_oracle_ratio[:, None] * eth_price[:, None], lst_tokens, assets)


@tag(stage="exposure", unit="asset_unit", axis="assets")
def claim_quantity(claim_units: Column, claim_tokens: tuple[str, ...], assets: tuple[str, ...]) -> Column:
    """ETH that the withdrawal queue owes: as much price risk as ETH in the wallet.

    Shape:  (rows, assets).
    Units:  ETH.
    Sign:   >= 0.
    Source: [domain] ruling 10.

    >>> claim_quantity(np.array([[2.0]]), ("ETH",), ("USDT", "ETH")).tolist()
    [[0.0, 2.0]]
    """
    return _by_asset(claim_units, claim_tokens, assets)


@tag(stage="exposure", unit="usd", axis="assets")
def claim_value_usd(
    claim_units: Column, eth_price: Column, claim_tokens: tuple[str, ...], assets: tuple[str, ...]
) -> Column:
    """Value of what the withdrawal queue owes: the oracle fixed its ETH when it was unstaked.

    Shape:  (rows, assets).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] ruling 10.

    >>> claim_value_usd(np.array([[2.0]]), np.array([10.0]), ("ETH",), ("ETH",)).tolist()
    [[20.0]]
    """
    return _by_asset(claim_units * eth_price[:, None], claim_tokens, assets)


@tag(stage="exposure", unit="eth")
@config.when(lending=False)
def restaked_eth__held(lst_units: Column, lst_oracle_ratio: Column) -> Column:
    """ETH in the staking token, on which its protocol pays rewards.

    Shape:  (rows,).
    Units:  LST x ETH/LST -> ETH.
    Sign:   >= 0.
    Source: [domain] ruling 25.

    >>> restaked_eth__held(np.array([[2.0]]), np.array([1.5])).tolist()
    [3.0]
    """
    return frozen(sum_columns(lst_units) * lst_oracle_ratio)


@tag(stage="exposure", unit="eth")
@config.when(lending=True)
def restaked_eth__supplied(
    lst_units: Column, a_token_units: Column, liquidity_index: Column, lst_oracle_ratio: Column
) -> Column:
    """ETH in the staking token, held or supplied as collateral, on which its protocol pays rewards.

    Shape:  (rows,).
    Units:  LST x ETH/LST -> ETH.
    Sign:   >= 0; what is owed does not count against it.
    Source: [domain] ruling 25.

    >>> cell = np.ones((1, 1))
    >>> restaked_eth__supplied(2.0 * cell, 3.0 * cell, cell, np.array([1.5])).tolist()
    [7.5]
    """
    return frozen((sum_columns(lst_units) + sum_columns(a_token_units * liquidity_index)) * lst_oracle_ratio)


@tag(stage="exposure", unit="usd", axis="dust_tokens")
def dust_token_value_usd(dust_units: Column, dust_price_usd: Column) -> Column:
    """Value of each reward token in the wallet; 0 without any, whether it has a price or not.

    Shape:  (rows, reward tokens).
    Units:  USD.
    Sign:   >= 0.
    Source: [domain] 4.9.

    >>> dust_token_value_usd(np.array([[2.0, 0.0]]), np.array([[3.0, np.nan]])).tolist()
    [[6.0, 0.0]]
    """
    return frozen(np.where(dust_units == 0.0, 0.0, dust_units * dust_price_usd))


@tag(stage="exposure", unit="asset_unit", axis="assets")
def dust_quantity(dust_units: Column, dust_tokens: tuple[str, ...], assets: tuple[str, ...]) -> Column:
    """Reward tokens by asset: each is one of its own.

    Shape:  (rows, assets).
    Units:  units of the asset.
    Sign:   >= 0.

    >>> dust_quantity(np.array([[2.0]]), ("EIGEN",), ("ETH", "EIGEN")).tolist()
    [[0.0, 2.0]]
    """
    return _by_asset(dust_units, dust_tokens, assets)


@tag(stage="exposure", unit="usd", axis="assets")
def dust_value_usd(dust_token_value_usd: Column, dust_tokens: tuple[str, ...], assets: tuple[str, ...]) -> Column:
    """Value of the reward tokens by asset.

    Shape:  (rows, assets).
    Units:  USD.
    Sign:   >= 0.

    >>> dust_value_usd(np.array([[6.0]]), ("EIGEN",), ("ETH", "EIGEN")).tolist()
    [[0.0, 6.0]]
    """
    return _by_asset(dust_token_value_usd, dust_tokens, assets)


@tag(stage="exposure", unit="usd", axis="venues")
def spot_value_usd(spot_units: Column, spot_price: Column) -> Column:
    """Value of the coins at each exchange, at that exchange's own price.

    Shape:  (rows, venues).
    Units:  base x USDT/base -> USD.
    Sign:   >= 0.
    Source: [domain] ruling 1.

    >>> spot_value_usd(np.array([[0.5]]), np.array([[60_000.0]])).tolist()
    [[30000.0]]
    """
    return frozen(spot_units * spot_price)


@tag(stage="exposure", unit="usd", axis="venues")
@config.when(coin_margin=False)
def perp_unrealised_pnl_usd(perp_units: Column, perp_mark: Column, perp_entry_price: Column) -> Column:
    """Unrealised profit of each perpetual.

        profit = units x (mark - average entry)

    Shape:  (rows, venues).
    Units:  base x USDT/base -> USD.
    Sign:   a short gains when the mark falls.
    Source: [domain] 4.2.

    >>> perp_unrealised_pnl_usd(np.array([[-0.5]]), np.array([[59_000.0]]), np.array([[60_000.0]])).tolist()
    [[500.0]]
    """
    return frozen(perp_units * (perp_mark - perp_entry_price))


@tag(stage="exposure", unit="usd", axis="venues")
@config.when(coin_margin=True)
def perp_unrealised_pnl_usd__coins(
    perp_units: Column, perp_mark: Column, perp_entry_price: Column, reference_price: Column
) -> Column:
    """Unrealised profit of each perpetual in coins, at the price of the coin.

        profit = units x (mark - average entry) / mark x reference price

    Shape:  (rows, venues).
    Units:  base x USD/base -> USD.
    Sign:   a short gains when the mark falls.
    Source: [domain] ruling 27.

    >>> cell = np.ones((1, 1))
    >>> perp_unrealised_pnl_usd__coins(0.5 * cell, 125.0 * cell, 100.0 * cell, np.array([125.0])).tolist()
    [[12.5]]
    """
    coins = perp_units * (perp_mark - perp_entry_price) / perp_mark
    return frozen(coins * reference_price[:, None])


@tag(stage="exposure", unit="usd", axis="venues")
def perp_notional_usd(perp_units: Column, perp_mark: Column) -> Column:
    """Size of each perpetual at its mark.

    Shape:  (rows, venues).
    Units:  USD.
    Sign:   >= 0, long or short.
    Source: [domain] 4.2.

    >>> perp_notional_usd(np.array([[-0.5]]), np.array([[60_000.0]])).tolist()
    [[30000.0]]
    """
    return frozen(np.abs(perp_units) * perp_mark)


@tag(stage="exposure", unit="usd", axis="venues")
def venue_equity_usd(quote_units: Column, spot_value_usd: Column, perp_unrealised_pnl_usd: Column) -> Column:
    """Equity at each exchange: USDT, coins and unrealised profit.

    Shape:  (rows, venues).
    Units:  USD.

    >>> venue_equity_usd(np.array([[10.0]]), np.array([[100.0]]), np.array([[-5.0]])).tolist()
    [[105.0]]
    """
    return frozen(quote_units + spot_value_usd + perp_unrealised_pnl_usd)


@tag(stage="exposure", unit="asset_unit", axis="assets")
def exchange_quantity(
    quote_units: Column, spot_units: Column, perp_units: Column, base_asset: str, assets: tuple[str, ...]
) -> Column:
    """Units at the exchanges by asset: coins plus perpetuals of the base asset, and USDT.

    Shape:  (rows, assets).
    Units:  units of the asset.
    Sign:   a short perpetual counts negative.
    Source: [domain] 4.2.

    >>> exchange_quantity(np.array([[7.0]]), np.array([[0.5]]), np.array([[-0.5]]), "BTC", ("BTC", "USDT")).tolist()
    [[0.0, 7.0]]
    """
    totals = np.zeros((len(quote_units), len(assets)), order="F")
    totals[:, assets.index(base_asset)] = sum_columns(spot_units) + sum_columns(perp_units)
    totals[:, assets.index("USDT")] = sum_columns(quote_units)
    return frozen(totals)


@tag(stage="exposure", unit="usd", axis="assets")
def exchange_value_usd(
    quote_units: Column,
    spot_value_usd: Column,
    perp_unrealised_pnl_usd: Column,
    base_asset: str,
    assets: tuple[str, ...],
) -> Column:
    """Value at the exchanges by asset: coins and unrealised profit of the base asset, and USDT.

    Shape:  (rows, assets).
    Units:  USD.
    Source: [domain] 4.2.

    >>> value, profit = np.array([[30_000.0]]), np.array([[-500.0]])
    >>> exchange_value_usd(np.array([[7.0]]), value, profit, "BTC", ("BTC", "USDT")).tolist()
    [[29500.0, 7.0]]
    """
    totals = np.zeros((len(quote_units), len(assets)), order="F")
    totals[:, assets.index(base_asset)] = sum_columns(spot_value_usd) + sum_columns(perp_unrealised_pnl_usd)
    totals[:, assets.index("USDT")] = sum_columns(quote_units)
    return frozen(totals)


@tag(stage="exposure", unit="asset_unit", axis="assets", record="quantity")
@resolve_from_config(decorate_with=lambda quantity_parts: inject(parts=group(*map(source, quantity_parts))))
def asset_quantity(parts: list[Column]) -> Column:
    """Net delta units of each asset over all holdings (USDT: the balance).

    Shape:  (rows, assets).
    Units:  units of the asset.
    Source: [domain] ruling 30.

    >>> asset_quantity([np.array([[1.0]]), np.array([[2.0]])]).tolist()
    [[3.0]]
    """
    return sum_parts(parts)


@tag(stage="exposure", unit="usd", axis="assets", record="usd_value")
@resolve_from_config(decorate_with=lambda value_parts: inject(parts=group(*map(source, value_parts))))
def asset_value_usd(parts: list[Column]) -> Column:
    """Value of each asset over all holdings, debt negative, perpetuals at unrealised profit.

    Shape:  (rows, assets).
    Units:  USD.
    Source: [domain] 4.2.

    >>> asset_value_usd([np.array([[10.0]]), np.array([[-4.0]])]).tolist()
    [[6.0]]
    """
    return sum_parts(parts)


@tag(stage="exposure", unit="fraction", axis="assets", record="percentage")
def asset_share(asset_value_usd: Column) -> Column:
    """Share of each asset in the gross value; 0 for an empty book.

    Shape:  (rows, assets).
    Units:  fraction of one.
    Source: [domain] 4.2.

    >>> asset_share(np.array([[30.0, -10.0]])).tolist()
    [[0.75, -0.25]]
    """
    gross = sum_columns(np.abs(asset_value_usd))
    return frozen(asset_value_usd / np.where(gross > 0.0, gross, 1.0)[:, None])


@tag(stage="exposure", unit="usd", record="total_value_usd")
def equity_usd(asset_value_usd: Column) -> Column:
    """Equity of the book.

    Shape:  (rows,).
    Units:  USD.
    Source: [domain] 4.2 and ruling 30.

    >>> equity_usd(np.array([[30.0, -10.0]])).tolist()
    [20.0]
    """
    return sum_columns(asset_value_usd)


@tag(stage="exposure", unit="share_class", record="share_class_value", carry_on_execution="reference_equity")
def equity_share_class(equity_usd: Column, usd_per_share_class: Column) -> Column:
    """Equity of the book in share-class units.

    Shape:  (rows,).
    Units:  USD / (USD per share-class unit).
    Source: [domain] 4.2.

    >>> equity_share_class(np.array([6_000.0]), np.array([3_000.0])).tolist()
    [2.0]
    """
    return frozen(equity_usd / usd_per_share_class)


@tag(stage="exposure", unit="asset_unit")
def net_delta_units(asset_quantity: Column, delta_asset: str, assets: tuple[str, ...]) -> Column:
    """Units of the tracked asset that a price move acts on.

    Shape:  (rows,).
    Units:  units of the tracked asset.
    Sign:   long > 0.
    Source: [domain] 4.2.

    >>> net_delta_units(np.array([[0.25, 7.0]]), "BTC", ("BTC", "USDT")).tolist()
    [0.25]
    """
    return frozen(asset_quantity[:, assets.index(delta_asset)].copy())


@tag(stage="exposure", unit="usd", record="net_delta_usd")
def net_delta_usd(net_delta_units: Column, delta_price_usd: Column) -> Column:
    """Net delta of the tracked asset at the reference price; 0 for USDT.

    Shape:  (rows,).
    Units:  USD.
    Sign:   long > 0.
    Source: [domain] 4.2.

    >>> net_delta_usd(np.array([0.25]), np.array([60_000.0])).tolist()
    [15000.0]
    """
    return frozen(net_delta_units * delta_price_usd)


@tag(stage="exposure", unit="base", carry_on_entry="entry_quantity")
@config.when(hedged=True)
def long_leg_units__staked(net_delta_units: Column, perp_units: Column) -> Column:
    """ETH held long net of debt: everything but the perpetuals.

    Shape:  (rows,).
    Units:  ETH.
    Sign:   >= 0.
    Source: [domain] ruling 16.

    >>> long_leg_units__staked(np.array([0.25]), np.array([[-1.0, -0.75]])).tolist()
    [2.0]
    """
    return frozen(net_delta_units - sum_columns(perp_units))


@tag(stage="exposure", unit="base", carry_on_entry="entry_quantity")
@config.when(hedged=False, directional=False)
def long_leg_units__coins(spot_units: Column) -> Column:
    """Coins held long, over all venues.

    Shape:  (rows,).
    Units:  base units.
    Sign:   >= 0.
    Source: [domain] ruling 16.

    >>> long_leg_units__coins(np.array([[0.5, 0.25]])).tolist()
    [0.75]
    """
    return sum_columns(spot_units)


@tag(stage="exposure", unit="fraction", record="net_delta_fraction")
@config.when(directional=False)
def net_delta_fraction(net_delta_units: Column, long_leg_units: Column, entry_quantity: float) -> Column:
    """Unhedged share of the long leg: one number for alert, trade, risk and summary.

        fraction = |net delta| / max(long leg, quantity at the last entry)

    Shape:  (rows,).
    Units:  fraction of one.
    Sign:   >= 0; 0 for an empty book.
    Source: [domain] ruling 16.

    >>> net_delta_fraction(np.array([-0.01]), np.array([0.5]), 0.4).tolist()
    [0.02]
    """
    leg = np.maximum(long_leg_units, entry_quantity)
    return frozen(np.abs(net_delta_units) / np.where(leg > 0.0, leg, 1.0))


@tag(stage="exposure", unit="fraction", record="net_delta_fraction")
@config.when(directional=True)
def net_delta_fraction__directional(net_delta_usd: Column, equity_usd: Column, max_position_size: float) -> Column:
    """Exposure over equity beyond what an entry may take: a directional book is measured against its target.

        fraction = max(|net delta| / equity - target size, 0)

    Shape:  (rows,).
    Units:  fraction of equity; at most 999, which it is without equity.
    Sign:   >= 0; 0 for an empty book.
    Source: [domain] 4.4, directional books against their target.

    >>> net_delta_fraction__directional(np.array([-105.0, 50.0]), np.array([100.0, 100.0]), 1.0).round(6).tolist()
    [0.05, 0.0]
    """
    size, has_equity = np.abs(net_delta_usd), equity_usd > 0.0
    taken = np.where(has_equity, size / np.where(has_equity, equity_usd, 1.0), NOT_APPLICABLE * (size > 0.0))
    return frozen(np.minimum(np.maximum(taken - max_position_size, 0.0), NOT_APPLICABLE))


@tag(stage="exposure", unit="usd", axis="venues")
def collateral_value_usd(spot_units: Column, reference_price: Column) -> Column:
    """Value of the coins that margin perpetuals, at the price of the share class: a coin is worth a coin.

    Shape:  (rows, venues).
    Units:  base x USD/base -> USD.
    Source: [domain] rulings 1 and 27.

    >>> collateral_value_usd(np.array([[0.5]]), np.array([60_000.0])).tolist()
    [[30000.0]]
    """
    return frozen(spot_units * reference_price[:, None])


@tag(stage="exposure", unit="asset_unit", axis="assets")
@config.when(directional=True, coin_margin=False)
def margined_quantity__usdt(
    perp_units: Column, quote_units: Column, base_asset: str, assets: tuple[str, ...]
) -> Column:
    """Delta of the perpetuals in the base asset, and the USDT that margins them.

    Shape:  (rows, assets).
    Units:  units of the asset.
    Sign:   a short perpetual counts negative.
    Source: [domain] 4.2 and ruling 30.

    >>> margined_quantity__usdt(np.array([[-0.5]]), np.array([[7.0]]), "BTC", ("BTC", "USDT")).tolist()
    [[-0.5, 7.0]]
    """
    totals = np.zeros((len(perp_units), len(assets)), order="F")
    totals[:, assets.index(base_asset)] = sum_columns(perp_units)
    totals[:, assets.index("USDT")] = sum_columns(quote_units)
    return frozen(totals)


@tag(stage="exposure", unit="asset_unit", axis="assets")
@config.when(directional=True, coin_margin=True)
def margined_quantity__coins(perp_units: Column, base_asset: str, assets: tuple[str, ...]) -> Column:
    """Delta of the perpetuals alone: the coins that margin them are the share class, which no price moves.

    Shape:  (rows, assets).
    Units:  units of the asset.
    Sign:   a short perpetual counts negative.
    Source: [domain] rulings 27 and 30.

    >>> margined_quantity__coins(np.array([[-0.5]]), "BTC", ("BTC",)).tolist()
    [[-0.5]]
    """
    totals = np.zeros((len(perp_units), len(assets)), order="F")
    totals[:, assets.index(base_asset)] = sum_columns(perp_units)
    return frozen(totals)


@tag(stage="exposure", unit="usd", axis="assets")
@config.when(directional=True, coin_margin=False)
def margined_value_usd__usdt(
    quote_units: Column, perp_unrealised_pnl_usd: Column, base_asset: str, assets: tuple[str, ...]
) -> Column:
    """Value at the exchanges by asset: unrealised profit in the base asset, and USDT.

    Shape:  (rows, assets).
    Units:  USD.
    Source: [domain] 4.2.

    >>> margined_value_usd__usdt(np.array([[7.0]]), np.array([[-2.0]]), "BTC", ("BTC", "USDT")).tolist()
    [[-2.0, 7.0]]
    """
    totals = np.zeros((len(quote_units), len(assets)), order="F")
    totals[:, assets.index(base_asset)] = sum_columns(perp_unrealised_pnl_usd)
    totals[:, assets.index("USDT")] = sum_columns(quote_units)
    return frozen(totals)


@tag(stage="exposure", unit="usd", axis="assets")
@config.when(directional=True, coin_margin=True)
def margined_value_usd__coins(
    collateral_value_usd: Column, perp_unrealised_pnl_usd: Column, base_asset: str, assets: tuple[str, ...]
) -> Column:
    """Value at the exchanges: coins and unrealised profit, both in the base asset.

    Shape:  (rows, assets).
    Units:  USD.
    Source: [domain] ruling 27.

    >>> margined_value_usd__coins(np.array([[7.0]]), np.array([[-2.0]]), "BTC", ("BTC",)).tolist()
    [[5.0]]
    """
    totals = np.zeros((len(collateral_value_usd), len(assets)), order="F")
    totals[:, assets.index(base_asset)] = sum_columns(collateral_value_usd) + sum_columns(perp_unrealised_pnl_usd)
    return frozen(totals)
