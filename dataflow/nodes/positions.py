"""Positions stage: units held at each row of a window.

Nothing is traded inside a window, so units change only by settlements. Units are native: scaled units for aTokens,
base units for perpetuals (short < 0). Inputs named ``held_*`` are the state at the end of the row before.
"""

import numpy as np
from hamilton.function_modifiers import config, tag

from schemas.units import Column, frozen, running_sum, sum_columns


def _constant(held: Column, row_is_new: Column) -> Column:
    """The same units at every row of the window."""
    units = np.empty((len(row_is_new), len(held)), order="F")
    units[:] = held
    return frozen(units)


@tag(stage="positions", unit="token", axis="wallet_tokens", group="wallet")
def wallet_units(held_wallet: Column, row_is_new: Column) -> Column:
    """Tokens in the wallet.

    Shape:  (rows, wallet tokens).
    Units:  token.
    Sign:   >= 0.

    >>> wallet_units(np.array([5.0]), np.ones(2)).tolist()
    [[5.0], [5.0]]
    """
    return _constant(held_wallet, row_is_new)


@tag(stage="positions", unit="scaled_unit", axis="supplied_tokens", group="a_token")
def a_token_units(held_a_token: Column, row_is_new: Column) -> Column:
    """Scaled units of each aToken: they do not change while nothing is supplied or withdrawn.

    Shape:  (rows, supplied tokens).
    Units:  scaled units; underlying = scaled x liquidity index.
    Sign:   >= 0.
    Source: [domain] 4.1.

    >>> a_token_units(np.array([90.0]), np.ones(1)).tolist()
    [[90.0]]
    """
    return _constant(held_a_token, row_is_new)


@tag(stage="positions", unit="scaled_unit", axis="borrowed_tokens", group="debt")
def debt_units(held_debt: Column, row_is_new: Column) -> Column:
    """Scaled units of each debt: stored positive, valued negatively.

    Shape:  (rows, borrowed tokens).
    Units:  scaled units; underlying = scaled x variable borrow index.
    Sign:   >= 0.
    Source: [domain] 4.1.

    >>> debt_units(np.array([90.0]), np.ones(1)).tolist()
    [[90.0]]
    """
    return _constant(held_debt, row_is_new)


@tag(stage="positions", unit="lst", axis="lst_tokens", group="lst")
def lst_units(held_lst: Column, row_is_new: Column) -> Column:
    """Liquid staking tokens held outside the lending pool.

    Shape:  (rows, staking tokens).
    Units:  LST units; the ETH in one grows with the oracle ratio.
    Sign:   >= 0.

    >>> lst_units(np.array([2.0]), np.ones(1)).tolist()
    [[2.0]]
    """
    return _constant(held_lst, row_is_new)


@tag(stage="positions", unit="eth", axis="claim_tokens", group="claim")
def claim_units(held_claim: Column, row_is_new: Column) -> Column:
    """ETH that the withdrawal queue owes; it earns nothing and moves to the wallet when its delay is over.

    Shape:  (rows, claims).
    Units:  ETH.
    Sign:   >= 0.
    Source: [domain] ruling 10.

    >>> claim_units(np.array([2.0]), np.ones(1)).tolist()
    [[2.0]]
    """
    return _constant(held_claim, row_is_new)


@tag(stage="positions", unit="token", axis="dust_tokens", group="dust")
def dust_units(held_dust: Column, row_is_new: Column) -> Column:
    """Reward tokens in the wallet that are not sold yet.

    Shape:  (rows, reward tokens).
    Units:  token.
    Sign:   >= 0.
    Source: [domain] 4.8 and ruling 25.

    >>> dust_units(np.array([2.0]), np.ones(1)).tolist()
    [[2.0]]
    """
    return _constant(held_dust, row_is_new)


@tag(stage="positions", unit="base", axis="venues", group="spot")
@config.when(coin_margin=False)
def spot_units(held_spot: Column, row_is_new: Column) -> Column:
    """Coins of the base asset at each exchange.

    Shape:  (rows, venues).
    Units:  base units.
    Sign:   >= 0.

    >>> spot_units(np.array([0.5]), np.ones(1)).tolist()
    [[0.5]]
    """
    return _constant(held_spot, row_is_new)


@tag(stage="positions", unit="base", axis="venues", group="spot", carry="held_spot")
@config.when(coin_margin=True)
def spot_units__margin(held_spot: Column, funding_flow: Column) -> Column:
    """Coins that margin perpetuals at each exchange, funding included as it settles.

    Shape:  (rows, venues).
    Units:  base units.
    Source: [domain] ruling 27.

    >>> spot_units__margin(np.array([1.0]), np.array([[0.0], [0.5]])).tolist()
    [[1.0], [1.5]]
    """
    return running_sum(funding_flow, held_spot)


@tag(stage="positions", unit="base", axis="venues", group="perp")
def perp_units(held_perp: Column, row_is_new: Column) -> Column:
    """Perpetual position at each exchange.

    Shape:  (rows, venues).
    Units:  base units.
    Sign:   short < 0.

    >>> perp_units(np.array([-0.5]), np.ones(1)).tolist()
    [[-0.5]]
    """
    return _constant(held_perp, row_is_new)


@tag(stage="positions", unit="usdt_per_base", axis="venues")
def perp_entry_price(held_perp_entry: Column, row_is_new: Column) -> Column:
    """Average entry price of each perpetual; 0 where flat.

    Shape:  (rows, venues).
    Units:  USDT per base unit.
    Source: [domain] 4.2.

    >>> perp_entry_price(np.array([60_000.0]), np.ones(1)).tolist()
    [[60000.0]]
    """
    return _constant(held_perp_entry, row_is_new)


@tag(stage="positions", unit="margin_token", axis="venues")
@config.when(directional=False)
def funding_flow(perp_units: Column, perp_mark: Column, funding_rate: Column, row_is_new: Column) -> Column:
    """Funding credited at each settlement on the position held just before it.

        flow = -units x mark x rate

    Shape:  (rows, venues); 0 on rows without a settlement.
    Units:  base x USDT/base x fraction -> USDT.
    Sign:   > 0 is received. A positive rate is paid by longs, so a short receives.
    Scope:  linear perpetuals.
    Source: [domain] 4.3 and ruling 5.

    >>> funding_flow(np.array([[-2.0]]), np.array([[3_000.0]]), np.array([[0.0001]]), np.ones(1)).round(6).tolist()
    [[0.6]]
    """
    # Adding 0.0 turns the -0.0 of a flat position into 0.0, which the event log prints.
    return frozen(-perp_units * perp_mark * funding_rate * row_is_new[:, None] + 0.0)


@tag(stage="positions", unit="margin_token", axis="venues")
@config.when(directional=True, coin_margin=False)
def funding_flow__usdt_margin(
    perp_units: Column, perp_mark: Column, funding_rate: Column, level_touched: Column, row_is_new: Column
) -> Column:
    """Funding credited at each settlement on the position that its stop and its target left.

        flow = -units x mark x rate

    Shape:  (rows, venues); 0 on rows without a settlement, and where the position was closed before it.
    Units:  base x USDT/base x fraction -> USDT.
    Sign:   > 0 is received. A positive rate is paid by longs.
    Source: [domain] 4.3 and ruling 26.

    >>> cell = np.ones((1, 1))
    >>> funding_flow__usdt_margin(2.0 * cell, 100.0 * cell, 0.01 * cell, 0.0 * cell, np.ones(1)).tolist()
    [[-2.0]]
    """
    survives = (1.0 - level_touched) * row_is_new[:, None]
    return frozen(-perp_units * perp_mark * funding_rate * survives + 0.0)


@tag(stage="positions", unit="margin_token", axis="venues")
@config.when(directional=True, coin_margin=True)
def funding_flow__coin_margin(
    perp_units: Column, funding_rate: Column, level_touched: Column, row_is_new: Column
) -> Column:
    """Funding in coins, converted at the mark of the settlement, on the position that stop and target left.

        flow = -units x rate

    Shape:  (rows, venues); 0 on rows without a settlement, and where the position was closed before it.
    Units:  base x fraction -> base units.
    Sign:   > 0 is received. A positive rate is paid by longs.
    Source: [domain] ruling 27.

    >>> cell = np.ones((1, 1))
    >>> funding_flow__coin_margin(-2.0 * cell, 0.01 * cell, 0.0 * cell, np.ones(1)).tolist()
    [[0.02]]
    """
    survives = (1.0 - level_touched) * row_is_new[:, None]
    return frozen(-perp_units * funding_rate * survives + 0.0)


@tag(stage="positions", unit="usdt", axis="venues", group="quote", carry="held_quote")
def quote_units(held_quote: Column, funding_flow: Column) -> Column:
    """USDT at each exchange, funding included as it settles.

    Shape:  (rows, venues).
    Units:  USDT.
    Sign:   < 0 is a margin loan against spot and unrealised profit.
    Source: [domain] ruling 8.

    >>> quote_units(np.array([10.0]), np.array([[0.0], [0.5]])).tolist()
    [[10.0], [10.5]]
    """
    return running_sum(funding_flow, held_quote)


@tag(stage="positions", unit="flag")
def has_supplied(a_token_units: Column) -> Column:
    """1 where anything is supplied, else 0.

    Shape:  (rows,).

    >>> has_supplied(np.array([[0.0], [5.0]])).tolist()
    [0.0, 1.0]
    """
    return frozen((sum_columns(a_token_units) > 0.0).astype(np.float64))
