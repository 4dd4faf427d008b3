"""ML directional on BTC perpetuals, margined in BTC."""

from typing import Final

from strategies.ml import rules as ml
from strategies.rules import ModeSpec, features

MODE: Final = ModeSpec(
    mode="ml_btc_directional_btc_margin",
    modules=(ml,),
    rules=ml.RULES,
    quantity_parts=("margined_quantity",),
    value_parts=("margined_value_usd",),
    features=features(perps=True, directional=True, coin_margin=True),
    breaches=("margin_breach", "delta_breach", "leverage_breach", "venue_leverage_breach"),
    warnings=("near_margin_limit",),
    liquidations=("margin_liquidation_due",),
    entry_operations=(),
    exit_operations=(),
)
