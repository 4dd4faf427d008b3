"""The risk stage. A fault is RISK-006."""

from pandera.typing import Series

from schemas.frames.fields import INDEX_MAX, PRICE_MAX, USD_MAX, StageFrame, column, columns, flag
from schemas.units import NOT_APPLICABLE


class RiskFrame(StageFrame):
    """How far each limit is, and which are crossed; 999 stands for a ratio that does not exist."""

    margin_ratio: Series[float] | None = columns("margin_ratio", "fraction", ge=-INDEX_MAX, le=PRICE_MAX)
    """Margin balance over notional."""
    worst_margin_ratio: Series[float] | None = column("fraction", ge=-INDEX_MAX, le=PRICE_MAX)
    """Lowest margin ratio."""
    margin_usage: Series[float] | None = column("fraction", ge=0.0, le=1.0)
    """Share of the margin in use."""
    health_factor: Series[float] | None = column("ratio", ge=0.0, le=NOT_APPLICABLE)
    """Collateral at its thresholds over debt."""
    ltv: Series[float] | None = column("fraction", ge=0.0, le=NOT_APPLICABLE)
    """Debt over collateral."""
    liquidation_threshold: Series[float] | None = column("fraction", ge=0.0, le=NOT_APPLICABLE)
    """Loan-to-value at which the collateral may be liquidated."""
    risk_score: Series[float] | None = column("fraction", ge=0.0, le=1.0)
    """Closeness to a forced sale."""
    risk_level: Series[float] | None = column("level", ge=0.0, le=3.0)
    """0 low, 1 medium, 2 high, 3 critical."""
    margin_breach: Series[float] | None = flag()
    """Margin ratio under the reducing level."""
    delta_breach: Series[float] | None = flag()
    """Net delta over its tolerance."""
    ltv_breach: Series[float] | None = flag()
    """Loan-to-value above the most that the mode may hold."""
    health_breach: Series[float] | None = flag()
    """Health factor under its limit."""
    near_margin_limit: Series[float] | None = flag()
    """Margin ratio under its warning level."""
    near_health_limit: Series[float] | None = flag()
    """Health factor within a fifth of its limit."""
    margin_ratio_after_move: Series[float] | None = column("fraction", ge=-INDEX_MAX, le=PRICE_MAX)
    """Worst margin ratio after a move of the price."""
    leverage: Series[float] | None = column("ratio", ge=0.0, le=NOT_APPLICABLE)
    """Assets, or notional, over equity."""
    leverage_breach: Series[float] | None = flag()
    """More over equity than the share class allows."""
    venue_leverage_breach: Series[float] | None = flag()
    """More notional over margin than an exchange allows."""
    breach_detected: Series[float] | None = flag()
    """Any enabled limit crossed."""
    risk_warning: Series[float] | None = flag()
    """A limit is near."""
    margin_liquidation_due: Series[float] | None = flag()
    """An exchange closes the perpetuals of the account."""
    health_liquidation_due: Series[float] | None = flag()
    """A liquidator may repay the debt."""
    liquidation_due: Series[float] | None = flag()
    """A venue may liquidate."""
    liquidation_price: Series[float] | None = columns("liquidation_price", "usdt_per_base", ge=0.0, le=USD_MAX)
    """Mark at which an exchange liquidates; 0 where none does."""
    liquidation_cost_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """What being liquidated now would cost."""
    liquidatable_debt_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """Debt that one liquidation would repay now."""
    seizable_collateral_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """Collateral that it would take."""
    ltv_after_liquidation: Series[float] | None = column("fraction", ge=0.0, le=NOT_APPLICABLE)
    """Debt over collateral that it would leave."""
    collateral_fall_to_liquidation: Series[float] | None = column("fraction", ge=-NOT_APPLICABLE, le=1.0)
    """Fall of the collateral that makes it liquidatable; < 0 where it is."""
    debt_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """All that is owed."""
