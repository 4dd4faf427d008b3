"""The pnl stage. A fault is PNL-001."""

from pandera.typing import Series

from schemas.frames.fields import UNITS_MAX, USD_MAX, StageFrame, column, columns, flag


class PnlFrame(StageFrame):
    """Where every change of equity came from; share-class units, cumulative since the start, unless it says step."""

    supply_yield_step: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Interest accrued at the row."""
    supply_yield: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Interest accrued."""
    funding_pnl_step: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Funding at the row; > 0 is received."""
    funding_pnl: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Funding received."""
    delta_pnl_step: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Profit of the net delta at the row."""
    delta_pnl: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Profit of the net delta."""
    basis_pnl_step: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Profit of basis and spreads at the row."""
    basis_pnl: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Profit of basis and spreads."""
    attributed_pnl: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Sum of the parts."""
    total_pnl_share_class: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Equity less deposits."""
    unexplained_pnl: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Total less parts."""
    transaction_costs: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Fees, gas and slippage; <= 0 unless fills were better than the market."""
    total_pnl_usd: Series[float] | None = column("usd", ge=-USD_MAX, le=USD_MAX)
    """Equity less deposits, in USD."""
    is_reconciled: Series[float] | None = flag()
    """1 where the unexplained P&L is within its tolerance."""
    staking_yield_oracle_step: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Staking yield at the row."""
    staking_yield_oracle: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Staking yield."""
    borrow_cost_step: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Interest on debt at the row; <= 0."""
    borrow_cost: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Interest on debt; <= 0."""
    staking_yield_rewards: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Rewards paid, at their value on the day."""
    dust_pnl: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Price moves of rewards until they were sold."""
    dust_pnl_step: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Price move of reward tokens at the row."""
    staked_before: Series[float] | None = columns("staked_before", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """ETH in staking tokens at the ratio of the row before."""
    supplied_before: Series[float] | None = columns("supplied_before", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """ETH in collateral at index and ratio of the row before."""
    debt_before: Series[float] | None = columns("debt_before", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """ETH owed at the index of the row before."""
    quantity_before: Series[float] | None = columns("quantity_before", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Net delta units at indexes and ratios of the row before."""
