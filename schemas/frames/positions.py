"""The positions stage. A fault is POS-003."""

from pandera.typing import Series

from schemas.frames.fields import PRICE_MAX, UNITS_MAX, USD_MAX, StageFrame, column, columns, flag


class PositionsFrame(StageFrame):
    """Units held at each row."""

    wallet_units: Series[float] | None = columns("wallet_units", "token", ge=-UNITS_MAX, le=UNITS_MAX)
    """Tokens in the wallet."""
    quote_units: Series[float] | None = columns("quote_units", "usdt", ge=-UNITS_MAX, le=UNITS_MAX)
    """USDT at each exchange; < 0 is a margin loan."""
    spot_units: Series[float] | None = columns("spot_units", "base", ge=-1e-6, le=UNITS_MAX)
    """Coins at each exchange."""
    perp_units: Series[float] | None = columns("perp_units", "base", ge=-UNITS_MAX, le=UNITS_MAX)
    """Perpetual; short < 0."""
    perp_entry_price: Series[float] | None = columns("perp_entry_price", "usdt_per_base", ge=0.0, le=PRICE_MAX)
    """Average entry price; 0 where flat."""
    funding_flow: Series[float] | None = columns("funding_flow", "margin_token", ge=-USD_MAX, le=USD_MAX)
    """Funding credited; > 0 is received."""
    a_token_units: Series[float] | None = columns("a_token_units", "scaled_unit", ge=-1e-6, le=UNITS_MAX)
    """Scaled units supplied."""
    debt_units: Series[float] | None = columns("debt_units", "scaled_unit", ge=-1e-6, le=UNITS_MAX)
    """Scaled units owed."""
    lst_units: Series[float] | None = columns("lst_units", "lst", ge=-1e-6, le=UNITS_MAX)
    """Staking tokens held outside the pool."""
    claim_units: Series[float] | None = columns("claim_units", "eth", ge=-1e-6, le=UNITS_MAX)
    """ETH that the withdrawal queue owes."""
    dust_units: Series[float] | None = columns("dust_units", "token", ge=-1e-6, le=UNITS_MAX)
    """Reward tokens in the wallet."""
    held_sd: Series[float] | None = column("fraction", ge=0.0, le=1e3)
    """Deviation predicted at the last entry."""
    stop_touched: Series[float] | None = columns("stop_touched", "flag", ge=0.0, le=1.0)
    """1 where the closed candle touched the stop."""
    target_touched: Series[float] | None = columns("target_touched", "flag", ge=0.0, le=1.0)
    """1 where it touched the target and not the stop."""
    level_touched: Series[float] | None = columns("level_touched", "flag", ge=0.0, le=1.0)
    """1 where it touched either."""
    has_supplied: Series[float] | None = flag()
    """1 where anything is supplied."""
