"""eth_basis: long spot ETH, short the ETH perpetual, on three exchanges; earns funding in USDT."""

from strategies.basis import rules as basis
from strategies.rules import ModeSpec, features

MODE = ModeSpec(
    mode="eth_basis",
    modules=(basis,),
    rules=basis.RULES,
    quantity_parts=("wallet_quantity", "exchange_quantity"),
    value_parts=("wallet_value_usd", "exchange_value_usd"),
    features=features(perps=True),
    breaches=("margin_breach", "delta_breach", "venue_leverage_breach"),
    warnings=("near_margin_limit",),
    liquidations=("margin_liquidation_due",),
    entry_operations=(),
    exit_operations=(),
    operations_per_venue=("transfer",),
)
