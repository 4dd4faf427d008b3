"""Market stage: what the prices, indexes and rates of the run imply, before any position is looked at.

Every node here depends on market columns and parameters alone, so the engine computes it once a run and slices it.
"""

from collections.abc import Mapping

import numpy as np
from hamilton.function_modifiers import config, group, inject, resolve_from_config, source, tag

from dataflow.maths.costs import GWEI, CostModel
from schemas.instruments import LST_VENUES
from schemas.units import Column, column, frozen, step_of


@tag(stage="market", unit="usd_per_token", axis="tokens", injects="labelled")
@resolve_from_config(decorate_with=lambda price_columns: inject(known_prices=group(*map(source, price_columns))))
def token_price_usd(
    known_prices: list[Column],
    priced: tuple[str, ...],
    stable_price_usd: Column,
    stable_tokens: tuple[str, ...],
    tokens: tuple[str, ...],
    claim_of: Mapping[str, str],
) -> Column:
    """Price of each token of the run: the one place where a token gets its price.

    A stablecoin has its own series, else it is worth 1; a coin its reference price; a wrapped coin is worth the coin;
    a staking token the coin at the protocol's oracle ratio, never at a market price. What only a DEX prices, a reward,
    has ``dust_price_usd``.

    known_prices: by the labels of ``priced``: the price of a coin, or the oracle ratio of a staking token. claim_of:
    token to the coin that it is a claim on, itself where it is none.

    Shape:  (rows, tokens).
    Units:  USD per token.
    Sign:   > 0.
    Source: [domain] 4.2, rulings 1 and 7.

    >>> tokens, claim_of = ("USDT", "ETH", "WETH", "weETH"), dict.fromkeys(("ETH", "WETH", "weETH"), "ETH")
    >>> known = [np.array([3_000.0]), np.array([1.05])]
    >>> token_price_usd(known, ("ETH", "weETH"), np.array([[0.97]]), ("USDT",), tokens, claim_of).tolist()
    [[0.97, 3000.0, 3000.0, 3150.0]]
    """
    known = dict(zip(priced, known_prices, strict=True))

    def price(token: str) -> Column:
        if token in stable_tokens:
            return column(stable_price_usd, stable_tokens, token)
        coin = known[claim_of[token]]
        return coin * known[token] if token in known and claim_of[token] != token else coin

    return _stacked([price(token) for token in tokens])


@tag(stage="market", unit="usd")
def usd_per_share_class(token_price_usd: Column, tokens: tuple[str, ...], share_class: str) -> Column:
    """Price of one share-class unit, which is a token.

    Shape:  (rows,).
    Units:  USD per share-class unit.
    Source: [domain] ruling 1.

    >>> usd_per_share_class(np.array([[1.0, 3_000.0]]), ("USDT", "ETH"), "ETH").tolist()
    [3000.0]
    """
    return column(token_price_usd, tokens, share_class)


@tag(stage="market", unit="usd")
def delta_price_usd(
    token_price_usd: Column, tokens: tuple[str, ...], stable_tokens: tuple[str, ...], delta_asset: str
) -> Column:
    """Price of the tracked asset; a stablecoin carries no price risk, so 0.

    Shape:  (rows,).
    Units:  USD per unit of delta.
    Source: [domain] 4.2 and ruling 1, USDT contributes 0.

    >>> prices, tokens = np.array([[1.0, 3_000.0]]), ("USDT", "ETH")
    >>> [delta_price_usd(prices, tokens, ("USDT",), token).tolist() for token in tokens]
    [[0.0], [3000.0]]
    """
    price = column(token_price_usd, tokens, delta_asset)
    return frozen(np.zeros_like(price)) if delta_asset in stable_tokens else price


def _stacked(columns: list[Column]) -> Column:
    """Columns side by side, each contiguous."""
    return frozen(np.asfortranarray(np.stack(columns, axis=1)))


@tag(stage="market", unit="usd_per_token", axis="wallet_tokens")
def wallet_price_usd(token_price_usd: Column, tokens: tuple[str, ...], wallet_tokens: tuple[str, ...]) -> Column:
    """Price of each token the wallet may hold.

    Shape:  (rows, wallet tokens).
    Units:  USD per token.
    Source: [domain] rulings 1 and 7.

    >>> wallet_price_usd(np.array([[1.0, 3_000.0]]), ("USDT", "WETH"), ("WETH",)).tolist()
    [[3000.0]]
    """
    return _stacked([column(token_price_usd, tokens, token) for token in wallet_tokens])


@tag(stage="market", unit="asset_units_per_token", axis="supplied_tokens")
@config.when(staking=False)
def supplied_ratio__plain(supplied_tokens: tuple[str, ...], eth_price: Column) -> Column:
    """Asset units in one underlying token: 1 where no reserve is a staking token.

    Shape:  (rows, supplied tokens).
    Units:  asset units per token.

    >>> supplied_ratio__plain(("USDT",), np.array([3_000.0])).tolist()
    [[1.0]]
    """
    return _stacked([np.ones_like(eth_price) for _ in supplied_tokens])


@tag(stage="market", unit="asset_units_per_token", axis="supplied_tokens")
@config.when(staking=True)
def supplied_ratio__staking(supplied_tokens: tuple[str, ...], lst_oracle_ratio: Column) -> Column:
    """Asset units in one underlying token: the oracle ratio of a staking token, else 1.

    Shape:  (rows, supplied tokens).
    Units:  asset units per token.
    Source: [domain] 4.2; an oracle ratio, never a market price.

    >>> supplied_ratio__staking(("weETH", "WETH"), np.array([1.05])).tolist()
    [[1.05, 1.0]]
    """
    ones = np.ones_like(lst_oracle_ratio)
    return _stacked([lst_oracle_ratio if token in LST_VENUES else ones for token in supplied_tokens])


@tag(stage="market", unit="usd_per_token", axis="supplied_tokens")
def supplied_price_usd(token_price_usd: Column, tokens: tuple[str, ...], supplied_tokens: tuple[str, ...]) -> Column:
    """Price of the underlying of each supplied reserve.

    Shape:  (rows, supplied tokens).
    Units:  USD per underlying token.
    Source: [domain] ruling 1.

    >>> supplied_price_usd(np.array([[2_000.0, 2_100.0]]), ("WETH", "weETH"), ("weETH",)).tolist()
    [[2100.0]]
    """
    return _stacked([column(token_price_usd, tokens, token) for token in supplied_tokens])


@tag(stage="market", unit="usd_per_token", axis="supplied_tokens")
def supplied_yield_price_usd(
    token_price_usd: Column,
    tokens: tuple[str, ...],
    claim_of: Mapping[str, str],
    supplied_tokens: tuple[str, ...],
    supplied_ratio: Column,
) -> Column:
    """Price at which growth of the supply index counts: the ratio of the row before at the price of the row.

    With it, index growth and ratio growth add up to the whole growth exactly.

    Shape:  (rows, supplied tokens).
    Units:  USD per underlying token.
    Source: [domain] 4.5.

    >>> price, ratio = np.array([[100.0, 100.0], [200.0, 220.0]]), np.array([[1.0], [1.1]])
    >>> supplied_yield_price_usd(price, ("ETH", "weETH"), {"weETH": "ETH"}, ("weETH",), ratio).tolist()
    [[100.0], [200.0]]
    """
    before = np.concatenate([supplied_ratio[:1], supplied_ratio[:-1]])
    return frozen(_stacked([column(token_price_usd, tokens, claim_of[token]) for token in supplied_tokens]) * before)


@tag(stage="market", unit="eth_per_lst")
def lst_oracle_ratio_step(lst_oracle_ratio: Column) -> Column:
    """Growth of the staking token's oracle ratio since the row before.

    Shape:  (rows,).
    Units:  ETH per LST.
    Sign:   >= 0; the ratio never falls but by rounding.
    Source: [domain] 4.5.

    >>> lst_oracle_ratio_step(np.array([1.0, 1.25])).tolist()
    [0.0, 0.25]
    """
    return step_of(lst_oracle_ratio)


@tag(stage="market", unit="usd_per_token", axis="borrowed_tokens")
def borrowed_price_usd(token_price_usd: Column, tokens: tuple[str, ...], borrowed_tokens: tuple[str, ...]) -> Column:
    """Price of each borrowed token.

    Shape:  (rows, borrowed tokens).
    Units:  USD per token.
    Source: [domain] ruling 1.

    >>> borrowed_price_usd(np.array([[1.0, 3_000.0]]), ("USDT", "WETH"), ("WETH",)).tolist()
    [[3000.0]]
    """
    return _stacked([column(token_price_usd, tokens, token) for token in borrowed_tokens])


@tag(stage="market", unit="underlying_per_scaled_unit", axis="borrowed_tokens")
def variable_borrow_index_step(variable_borrow_index: Column) -> Column:
    """Growth of the borrow index since the row before.

    Shape:  (rows, borrowed tokens).
    Units:  underlying per scaled unit.
    Sign:   >= 0.
    Source: [domain] 4.1.

    >>> variable_borrow_index_step(np.array([[1.0], [1.5]])).tolist()
    [[0.0], [0.5]]
    """
    return step_of(variable_borrow_index)


@tag(stage="market", unit="underlying_per_scaled_unit", axis="supplied_tokens")
def liquidity_index_step(liquidity_index: Column) -> Column:
    """Growth of the supply index since the row before.

    Shape:  (rows, supplied tokens).
    Units:  underlying per scaled unit.
    Sign:   >= 0, the index never falls.
    Source: [domain] 4.1.

    >>> liquidity_index_step(np.array([[1.0], [1.25]])).tolist()
    [[0.0], [0.25]]
    """
    return step_of(liquidity_index)


@tag(stage="market", unit="usd_per_base")
def reference_price_step(reference_price: Column) -> Column:
    """Change of the reference price (Binance spot) since the row before.

    Shape:  (rows,).
    Units:  USD per base unit.
    Source: [domain] ruling 23.

    >>> reference_price_step(np.array([100.0, 90.0])).tolist()
    [0.0, -10.0]
    """
    return step_of(reference_price)


@tag(stage="market", unit="usd_per_base", axis="venues")
def spot_premium_step(spot_price: Column, reference_price: Column) -> Column:
    """Change of each venue's spot price over the reference price since the row before.

    Shape:  (rows, venues).
    Units:  USD per base unit.
    Sign:   > 0 where the venue became dearer than the reference.
    Source: [domain] ruling 23.

    >>> spot_premium_step(np.array([[100.0], [103.0]]), np.array([100.0, 101.0])).tolist()
    [[0.0], [2.0]]
    """
    return step_of(spot_price - reference_price[:, None])


@tag(stage="market", unit="usd_per_base", axis="venues")
def perp_premium_step(perp_mark: Column, reference_price: Column) -> Column:
    """Change of the basis, perpetual less reference spot, since the row before.

    Shape:  (rows, venues).
    Units:  USD per base unit.
    Sign:   > 0 where the perpetual became dearer; a short loses it.
    Source: [domain] ruling 23.

    >>> perp_premium_step(np.array([[100.0], [103.0]]), np.array([100.0, 101.0])).tolist()
    [[0.0], [2.0]]
    """
    return step_of(perp_mark - reference_price[:, None])


@tag(stage="market", unit="usd_per_token", axis="dust_tokens")
def dust_price_usd(dust_price_eth: Column, eth_price: Column) -> Column:
    """Price of each reward token: its DEX open in ETH at the price of ETH; NaN where the DEX has no price.

    Shape:  (rows, reward tokens).
    Units:  ETH/token x USD/ETH -> USD per token.
    Source: [domain] ruling 25.

    >>> dust_price_usd(np.array([[0.001]]), np.array([3_000.0])).tolist()
    [[3.0]]
    """
    return frozen(dust_price_eth * eth_price[:, None])


@tag(stage="market", unit="share_class_per_token", axis="dust_tokens")
def dust_price_step(dust_price_usd: Column, usd_per_share_class: Column) -> Column:
    """Change of each reward token's price in share-class units since the row before; NaN where either is unknown.

    Shape:  (rows, reward tokens).
    Units:  share class per token.
    Source: [domain] 4.5.

    >>> dust_price_step(np.array([[3.0], [4.0]]), np.array([2.0, 2.0])).tolist()
    [[0.0], [0.5]]
    """
    return step_of(dust_price_usd / usd_per_share_class[:, None])


@tag(stage="market", unit="usd_per_gas_unit")
def gas_unit_usd(gas_price_gwei: Column, eth_price: Column, costs: CostModel) -> Column:
    """Cost of one unit of gas; 0 where the run charges no gas.

    Shape:  (rows,).
    Units:  USD per gas unit = gwei x 1e-9 x USD per ETH.
    Source: [domain] 4.6.

    >>> gas_unit_usd(np.array([10.0]), np.array([3_000.0]), CostModel.free()).tolist()
    [0.0]
    """
    if not costs.gas_charged:
        return frozen(np.zeros_like(eth_price))
    return frozen(gas_price_gwei * GWEI * eth_price)


@tag(stage="market", unit="usd")
@config.when(loop=False)
def entry_gas_usd__once(gas_unit_usd: Column, entry_gas_units: float) -> Column:
    """Gas of one full entry at the row's price.

    Shape:  (rows,).
    Units:  USD.
    Source: [domain] ruling 12.

    >>> entry_gas_usd__once(np.array([1e-5]), 300_000.0).round(6).tolist()
    [3.0]
    """
    return frozen(gas_unit_usd * entry_gas_units)


@tag(stage="market", unit="usd")
@config.when(loop=False)
def gas_reserve_usd__once(
    gas_unit_usd: Column, entry_gas_units: float, exit_gas_units: float, gas_reserve_multiple: float
) -> Column:
    """What an entry leaves in the wallet for later gas.

        reserve = multiple x (gas of one entry + gas of one full exit)

    Shape:  (rows,).
    Units:  USD.
    Source: [domain] ruling 12.

    >>> gas_reserve_usd__once(np.array([1e-5]), 300_000.0, 200_000.0, 3.0).round(6).tolist()
    [15.0]
    """
    return frozen(gas_unit_usd * ((entry_gas_units + exit_gas_units) * gas_reserve_multiple))


def _before(levels: Column) -> Column:
    """Levels of the row before; the first row's own."""
    return frozen(np.concatenate([levels[:1], levels[:-1]]))


@tag(stage="market", unit="eth_per_lst")
def lst_oracle_ratio_before(lst_oracle_ratio: Column) -> Column:
    """Oracle ratio of the row before.

    Shape:  (rows,).
    Units:  ETH per LST.
    Source: [domain] 4.5.

    >>> lst_oracle_ratio_before(np.array([1.0, 1.5])).tolist()
    [1.0, 1.0]
    """
    return _before(lst_oracle_ratio)


@tag(stage="market", unit="underlying_per_scaled_unit", axis="supplied_tokens")
def liquidity_index_before(liquidity_index: Column) -> Column:
    """Supply index of the row before.

    Shape:  (rows, supplied tokens).
    Units:  underlying per scaled unit.
    Source: [domain] 4.5.

    >>> liquidity_index_before(np.array([[1.0], [1.5]])).tolist()
    [[1.0], [1.0]]
    """
    return _before(liquidity_index)


@tag(stage="market", unit="underlying_per_scaled_unit", axis="borrowed_tokens")
def variable_borrow_index_before(variable_borrow_index: Column) -> Column:
    """Borrow index of the row before.

    Shape:  (rows, borrowed tokens).
    Units:  underlying per scaled unit.
    Source: [domain] 4.5.

    >>> variable_borrow_index_before(np.array([[1.0], [1.5]])).tolist()
    [[1.0], [1.0]]
    """
    return _before(variable_borrow_index)


@tag(stage="market", unit="usdt_per_base", axis="venues")
def perp_mark_before(perp_mark: Column) -> Column:
    """Mark of the row before: the open of the candle that closes at the row.

    Shape:  (rows, venues).
    Units:  USDT per base unit.
    Source: [domain] ruling 26.

    >>> perp_mark_before(np.array([[100.0], [110.0]])).tolist()
    [[100.0], [100.0]]
    """
    return _before(perp_mark)


@tag(stage="market", unit="usdt_per_base", axis="venues")
def perp_mark_step(perp_mark: Column) -> Column:
    """Change of each mark since the row before.

    Shape:  (rows, venues).
    Units:  USDT per base unit.
    Source: [domain] 4.5, perpetuals at mark in ML modes.

    >>> perp_mark_step(np.array([[100.0], [110.0]])).tolist()
    [[0.0], [10.0]]
    """
    return step_of(perp_mark)


@tag(stage="market", unit="base_per_usdt", axis="venues")
def inverse_mark_fall(perp_mark: Column) -> Column:
    """Fall of what one USDT buys since the row before, which is what a coin-margined position earns on.

        fall = 1 / mark before - 1 / mark

    Shape:  (rows, venues).
    Units:  base units per USDT.
    Sign:   > 0 where the mark rose.
    Source: [domain] ruling 27.

    >>> inverse_mark_fall(np.array([[100.0], [125.0]])).round(6).tolist()
    [[0.0], [0.002]]
    """
    return step_of(-1.0 / perp_mark)
