"""Liquidation: which rows a venue acts on, and what is expected to be left when it has.

A venue that liquidates does so on the book as it stands at a row, funding settled, before the strategy decides.
"""

import numpy as np
from hamilton.function_modifiers import config, tag

from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import Deltas
from dataflow.maths.liquidation import ClosedAccount, closed_account
from schemas.instruments import cex_key, perp_key
from schemas.units import Column, frozen


@tag(stage="risk", unit="flag", role="liquidation")
@config.when(perps=True, directional=False)
def liquidation_due__spot_or_staked(worst_margin_ratio: Column, margin_liquidation: float) -> Column:
    """1 where an exchange closes the perpetuals of the account.

    Shape:  (rows,).
    Source: [domain] rulings 17 and 21.

    >>> liquidation_due__spot_or_staked(np.array([0.05, 0.1]), 0.1).tolist()
    [1.0, 0.0]
    """
    return frozen((worst_margin_ratio < margin_liquidation).astype(np.float64))


@tag(stage="risk", unit="flag", role="liquidation")
@config.when(perps=True, directional=True)
def liquidation_due__directional(margin_ratio: Column, level_touched: Column, margin_liquidation: float) -> Column:
    """1 where an exchange closes a perpetual that neither its stop nor its target had closed before.

    Shape:  (rows,).
    Source: [domain] rulings 17, 21 and 26.

    >>> liquidation_due__directional(np.array([[0.05, 0.5]]), np.array([[1.0, 0.0]]), 0.1).tolist()
    [0.0]
    """
    is_due = (margin_ratio < margin_liquidation) & (level_touched == 0.0)
    return frozen(is_due.any(axis=1).astype(np.float64))


@tag(stage="decision", unit="flag")
def was_liquidated(epoch_seconds: Column, last_liquidation_seconds: float) -> Column:
    """1 on the row at which a venue liquidated, else 0.

    Shape:  (rows,).

    >>> was_liquidated(np.array([100.0, 200.0]), 100.0).tolist()
    [1.0, 0.0]
    """
    return frozen((epoch_seconds == last_liquidation_seconds).astype(np.float64))


@tag(stage="deltas")
@config.when(perps=True, directional=False)
def expected_liquidation__coins_and_usdt(
    liquidated_venue: str,
    venues: tuple[str, ...],
    base_asset: str,
    perp_units: Column,
    perp_mark: Column,
    perp_unrealised_pnl_usd: Column,
    perp_notional_usd: Column,
    quote_units: Column,
    spot_units: Column,
    spot_price: Column,
    collateral_factor: Column,
    costs: CostModel,
) -> Deltas:
    """Changes by which an exchange closes the perpetual of an account that holds coins and USDT.

    Columns are those of the row alone.
    Source: [domain] ruling 21.
    """
    at, coins = venues.index(liquidated_venue), cex_key(liquidated_venue, base_asset)
    left = closed_account(
        float(quote_units[0, at]),
        float(perp_unrealised_pnl_usd[0, at]),
        float(perp_notional_usd[0, at]) * costs.forced_close_fee(liquidated_venue),
        coins=float(spot_units[0, at]),
        coin_price=float(spot_price[0, at]),
        collateral_factor=float(collateral_factor[at]),
        sale_fee=costs.fee("spot", liquidated_venue),
    )
    margin = (cex_key(liquidated_venue, "USDT"), left.margin - float(quote_units[0, at]))
    sold = ((coins, left.coins - float(spot_units[0, at])),) if left.coins != spot_units[0, at] else ()
    return (_closed(liquidated_venue, base_asset, perp_units[0, at]), margin, *sold)


@tag(stage="deltas")
@config.when(perps=True, directional=True, coin_margin=False)
def expected_liquidation__usdt(
    liquidated_venue: str,
    venues: tuple[str, ...],
    base_asset: str,
    perp_units: Column,
    perp_unrealised_pnl_usd: Column,
    perp_notional_usd: Column,
    quote_units: Column,
    costs: CostModel,
) -> Deltas:
    """Changes by which an exchange closes the perpetual of an account that is margined in USDT.

    Columns are those of the row alone.
    Source: [domain] ruling 21.
    """
    at = venues.index(liquidated_venue)
    fee = float(perp_notional_usd[0, at]) * costs.forced_close_fee(liquidated_venue)
    left = closed_account(float(quote_units[0, at]), float(perp_unrealised_pnl_usd[0, at]), fee)
    margin = (cex_key(liquidated_venue, "USDT"), left.margin - float(quote_units[0, at]))
    return (_closed(liquidated_venue, base_asset, perp_units[0, at]), margin)


@tag(stage="deltas")
@config.when(perps=True, directional=True, coin_margin=True)
def expected_liquidation__coins(
    liquidated_venue: str,
    venues: tuple[str, ...],
    base_asset: str,
    perp_units: Column,
    perp_mark: Column,
    perp_unrealised_pnl_usd: Column,
    reference_price: Column,
    spot_units: Column,
    costs: CostModel,
) -> Deltas:
    """Changes by which an exchange closes the perpetual of an account that is margined in coins.

    Columns are those of the row alone.
    Source: [domain] rulings 21 and 27.
    """
    at = venues.index(liquidated_venue)
    held, fee = float(spot_units[0, at]), abs(float(perp_units[0, at])) * costs.forced_close_fee(liquidated_venue)
    left: ClosedAccount = closed_account(held, float(perp_unrealised_pnl_usd[0, at] / reference_price[0]), fee)
    margin = (cex_key(liquidated_venue, base_asset), left.margin - held)
    return (_closed(liquidated_venue, base_asset, perp_units[0, at]), margin)


def _closed(venue: str, base_asset: str, units: float) -> tuple[str, float]:
    return perp_key(venue, base_asset), -float(units)
