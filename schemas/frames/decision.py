"""The decision stage. A fault is STRAT-001."""

import pandera.pandas as pa
from pandera.typing import Series

from schemas.frames.fields import INDEX_MAX, UNITS_MAX, USD_MAX, StageFrame, column, columns, flag
from schemas.signals import SIGNAL_CODES


class DecisionFrame(StageFrame):
    """The facts that the rules decide on, and the rule that applies."""

    equity_deviation: Series[float] | None = column("fraction", ge=-INDEX_MAX, le=INDEX_MAX)
    """Change of equity since the last decision."""
    is_first_row: Series[float] | None = flag()
    """1 on the first row of the run."""
    cooldown_over: Series[float] | None = flag()
    """1 where an entry is allowed after a risk exit."""
    entry_survives: Series[float] | None = flag()
    """1 where loan and margin of an entry would survive the moves that the configuration names."""
    was_liquidated: Series[float] | None = flag()
    """1 on the row of a liquidation."""
    deployable_usd: Series[float] | None = column("usd", ge=-USD_MAX, le=USD_MAX)
    """Idle wallet balance after gas and reserve."""
    deployable_idle_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """The part of it that a rebalance moves."""
    queued_eth: Series[float] | None = column("eth", ge=-1e-6, le=UNITS_MAX)
    """ETH that the withdrawal queue owes."""
    loop_gas_units: Series[float] | None = column("gas_unit", ge=0.0, le=UNITS_MAX)
    """Gas of the rounds of an entry by the loop."""
    entry_gas_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """Gas of one full entry by the loop."""
    gas_reserve_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """What an entry by the loop leaves in the wallet."""
    dust_is_due: Series[float] | None = flag()
    """1 where reward tokens are worth their sale."""
    idle_is_due: Series[float] | None = flag()
    """1 where idle balance or equity change passes the threshold."""
    has_position: Series[float] | None = flag()
    """1 where anything is staked or shorted."""
    is_flat: Series[float] | None = flag()
    """1 where nothing is held at the exchanges."""
    tradable_spot_units: Series[float] | None = columns("tradable_spot_units", "base", ge=-1e-6, le=UNITS_MAX)
    """Coins at each exchange in whole lots, 0 below its least size; the rest is dust."""
    venue_share_gap: Series[float] | None = column("fraction", ge=0.0, le=INDEX_MAX)
    """Distance of venue equity from its allocation."""
    scaling_order_usd: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """Size of an equity rebalance."""
    margin_loan_fraction: Series[float] | None = column("fraction", ge=0.0, le=USD_MAX)
    """Largest margin loan over venue equity."""
    entry_is_due: Series[float] | None = flag()
    """1 where funding pays for an entry."""
    funding_exit_is_due: Series[float] | None = flag()
    """1 where funding asks for an exit."""
    exit_is_unfinished: Series[float] | None = flag()
    """1 where an exit has left something behind."""
    scaling_rule: Series[float] | None = column("rule", ge=0.0, le=99.0)
    """Code of the equity rebalance that is due."""
    decision: Series[float] | None = column("rule", ge=0.0, le=99.0)
    """Code of the rule that applies; 0 to hold."""
    band_sd: Series[float] | None = column("fraction", ge=0.0, le=INDEX_MAX)
    """Predicted deviation between its floor and its cap."""
    target_direction: Series[float] | None = pa.Field(isin=sorted(SIGNAL_CODES.values()), metadata={"unit": "signal"})
    """What the prediction asks for; 2 to keep what is held."""
    kept_direction: Series[float] | None = column("sign", ge=-1.0, le=1.0)
    """Direction of what stop and target left: 1, -1, or 0 when flat."""
    staked_eth: Series[float] | None = column("eth", ge=-1e-6, le=UNITS_MAX)
    """ETH in staking tokens and collateral."""
    ltv_gap: Series[float] | None = column("fraction", ge=-INDEX_MAX, le=INDEX_MAX)
    """Loan-to-value less its target."""
    has_staked: Series[float] | None = flag()
    """1 where any staking token is held."""
    idle_usdt: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """USDT of the wallet after gas, reserve and a withdrawal that waits."""
    deployable_usdt: Series[float] | None = column("usd", ge=-USD_MAX, le=USD_MAX)
    """USDT that an entry could use: wallet after gas and reserve, and exchanges."""
    usdt_at_exchanges: Series[float] | None = column("usd", ge=0.0, le=USD_MAX)
    """USDT at the exchanges, margin loans aside."""
    idle_eth_is_due: Series[float] | None = flag()
    """1 where it is to be staked."""
    idle_eth_usd: Series[float] | None = column("usd", ge=-1.0, le=USD_MAX)
    """ETH that lies unstaked in wallet and desk."""
    health_is_low: Series[float] | None = flag()
    """1 where the health factor is under its limit."""
