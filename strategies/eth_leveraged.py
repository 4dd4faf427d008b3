"""eth_leveraged: stake ETH with flash-loan leverage, collateral and debt both in ETH."""

from strategies import dust
from strategies.leverage import rules as leverage
from strategies.rules import ModeSpec, features

MODE = ModeSpec(
    mode="eth_leveraged",
    modules=(leverage, dust),
    rules=leverage.RULES,
    quantity_parts=("wallet_quantity", "staked_quantity", "supplied_quantity", "debt_quantity"),
    value_parts=("wallet_value_usd", "staked_value_usd", "supplied_value_usd", "debt_value_usd"),
    features=features(lending=True, borrowing=True, staking=True),
    breaches=("ltv_breach", "health_breach", "leverage_breach"),
    liquidations=("health_liquidation_due",),
    entry_operations=("atomic_entry",),
    exit_operations=("atomic_deleverage_one_swap",),
)
