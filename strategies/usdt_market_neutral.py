"""usdt_market_neutral: stake ETH with flash-loan leverage, short the net ETH on three exchanges."""

from strategies import dust
from strategies.hedged import rules as hedged
from strategies.rules import ModeSpec, features

MODE = ModeSpec(
    mode="usdt_market_neutral",
    modules=(hedged, dust),
    rules=hedged.RULES,
    quantity_parts=("wallet_quantity", "exchange_quantity", "staked_quantity", "supplied_quantity", "debt_quantity"),
    value_parts=("wallet_value_usd", "exchange_value_usd", "staked_value_usd", "supplied_value_usd", "debt_value_usd"),
    staked_parts=("wallet_quantity", "exchange_quantity", "staked_before", "supplied_before", "debt_before"),
    features=features(perps=True, lending=True, borrowing=True, staking=True, hedged=True),
    breaches=(
        "margin_breach",
        "delta_breach",
        "ltv_breach",
        "health_breach",
        "leverage_breach",
        "venue_leverage_breach",
    ),
    warnings=("near_margin_limit", "near_health_limit"),
    liquidations=("margin_liquidation_due", "health_liquidation_due"),
    entry_operations=("transfer", "atomic_entry"),
    exit_operations=("atomic_deleverage_one_swap", "transfer"),
    operations_per_venue=("transfer",),
)
