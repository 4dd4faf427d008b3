"""usdt_market_neutral_no_leverage: stake ETH, short it on three exchanges, no leverage."""

from strategies import dust
from strategies.hedged import rules as hedged
from strategies.rules import ModeSpec, features

MODE = ModeSpec(
    mode="usdt_market_neutral_no_leverage",
    modules=(hedged, dust),
    rules=hedged.RULES,
    quantity_parts=("wallet_quantity", "exchange_quantity", "staked_quantity"),
    value_parts=("wallet_value_usd", "exchange_value_usd", "staked_value_usd"),
    staked_parts=("wallet_quantity", "exchange_quantity", "staked_before"),
    features=features(perps=True, staking=True, hedged=True),
    breaches=("margin_breach", "delta_breach", "venue_leverage_breach"),
    warnings=("near_margin_limit",),
    liquidations=("margin_liquidation_due",),
    entry_operations=("transfer", "stake"),
    exit_operations=("swap", "transfer"),
    operations_per_venue=("transfer",),
)
