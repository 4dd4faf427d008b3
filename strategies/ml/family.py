"""What a directional mode is to the engine: perpetuals that follow a prediction, margined in dollars or in the coin."""

from schemas.models.config_mode import ModeSettings
from strategies.families import Family
from strategies.ml import rules
from strategies.rules import ModeSpec, features


def _spec_of(mode: ModeSettings) -> ModeSpec:
    is_coin_margined = mode.margin_currency == mode.strategy_config.delta_tracking_asset
    return ModeSpec(
        mode=mode.mode,
        modules=(rules,),
        rules=rules.RULES,
        quantity_parts=("margined_quantity",),
        value_parts=("margined_value_usd",),
        features=features(perps=True, directional=True, coin_margin=is_coin_margined),
        breaches=("margin_breach", "delta_breach", "leverage_breach", "venue_leverage_breach"),
        warnings=("near_margin_limit",),
        liquidations=("margin_liquidation_due",),
        entry_operations=(),
        exit_operations=(),
    )


FAMILY = Family("ml", rules.RULES, _spec_of)
