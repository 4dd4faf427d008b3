"""eth_staking_only: stake ETH and hold the staking token."""

from strategies import dust
from strategies.rules import ModeSpec, features
from strategies.staking import rules as staking

MODE = ModeSpec(
    mode="eth_staking_only",
    modules=(staking, dust),
    rules=staking.RULES,
    quantity_parts=("wallet_quantity", "staked_quantity"),
    value_parts=("wallet_value_usd", "staked_value_usd"),
    features=features(staking=True),
    entry_operations=("stake",),
    exit_operations=("swap",),
)
