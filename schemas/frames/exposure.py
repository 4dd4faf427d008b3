"""The exposure stage. A fault is EXP-001."""

from pandera.typing import Series

from schemas.frames.fields import INDEX_MAX, UNITS_MAX, USD_MAX, StageFrame, column, columns


class ExposureFrame(StageFrame):
    """What the units are worth, and how much of each asset the book is long or short."""

    wallet_quantity: Series[float] | None = columns("wallet_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Asset units in the wallet."""
    wallet_value_usd: Series[float] | None = columns("wallet_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of the wallet."""
    supplied_quantity: Series[float] | None = columns("supplied_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Underlying supplied."""
    supplied_value_usd: Series[float] | None = columns("supplied_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value supplied."""
    spot_value_usd: Series[float] | None = columns("spot_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of the coins at each exchange."""
    perp_unrealised_pnl_usd: Series[float] | None = columns("perp_unrealised_pnl_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Unrealised profit of each perpetual."""
    perp_notional_usd: Series[float] | None = columns("perp_notional_usd", "usd", ge=0.0, le=USD_MAX)
    """Notional of each perpetual."""
    venue_equity_usd: Series[float] | None = columns("venue_equity_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Equity at each exchange."""
    exchange_quantity: Series[float] | None = columns("exchange_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Asset units at the exchanges, perpetuals included."""
    exchange_value_usd: Series[float] | None = columns("exchange_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value at the exchanges."""
    asset_quantity: Series[float] | None = columns("asset_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Net delta units (USDT: balance)."""
    asset_value_usd: Series[float] | None = columns("asset_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of each asset."""
    asset_share: Series[float] | None = columns("asset_share", "fraction", ge=-1.0, le=1.0)
    """Signed share of the gross value."""
    equity_usd: Series[float] | None = column("usd", ge=-USD_MAX, le=USD_MAX)
    """Equity."""
    equity_share_class: Series[float] | None = column("share_class", ge=-USD_MAX, le=USD_MAX)
    """Equity in share-class units."""
    net_delta_units: Series[float] | None = column("asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Net delta of the tracked asset."""
    net_delta_usd: Series[float] | None = column("usd", ge=-USD_MAX, le=USD_MAX)
    """Net delta in USD."""
    long_leg_units: Series[float] | None = column("base", ge=-UNITS_MAX, le=UNITS_MAX)
    """Coins held long."""
    net_delta_fraction: Series[float] | None = column("fraction", ge=0.0, le=INDEX_MAX)
    """Unhedged share of the long leg."""
    collateral_value_usd: Series[float] | None = columns("collateral_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of the coins that margin perpetuals."""
    margined_quantity: Series[float] | None = columns("margined_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Delta of perpetuals, and USDT margin."""
    margined_value_usd: Series[float] | None = columns("margined_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Margin and unrealised profit."""
    debt_quantity: Series[float] | None = columns("debt_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Asset units owed; <= 0."""
    debt_value_usd: Series[float] | None = columns("debt_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value owed; <= 0."""
    staked_quantity: Series[float] | None = columns("staked_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """ETH in staking tokens."""
    claim_quantity: Series[float] | None = columns("claim_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """ETH that the withdrawal queue owes."""
    claim_value_usd: Series[float] | None = columns("claim_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of what the withdrawal queue owes."""
    restaked_eth: Series[float] | None = column("eth", ge=-1e-6, le=UNITS_MAX)
    """ETH on which rewards are paid."""
    dust_token_value_usd: Series[float] | None = columns("dust_token_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of each reward token."""
    dust_quantity: Series[float] | None = columns("dust_quantity", "asset_unit", ge=-UNITS_MAX, le=UNITS_MAX)
    """Reward tokens by asset."""
    dust_value_usd: Series[float] | None = columns("dust_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of reward tokens by asset."""
    staked_value_usd: Series[float] | None = columns("staked_value_usd", "usd", ge=-USD_MAX, le=USD_MAX)
    """Value of staking tokens."""
