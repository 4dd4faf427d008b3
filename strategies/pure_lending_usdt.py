"""pure_lending_usdt: Supply USDT to Aave and collect the interest."""

from strategies.lending import rules as lending
from strategies.rules import ModeSpec, features

MODE = ModeSpec(
    mode="pure_lending_usdt",
    modules=(lending,),
    rules=lending.RULES,
    quantity_parts=("wallet_quantity", "supplied_quantity"),
    value_parts=("wallet_value_usd", "supplied_value_usd"),
    features=features(lending=True),
    entry_operations=("supply",),
    exit_operations=("withdraw",),
)
