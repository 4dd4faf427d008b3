"""What a basis mode is to the engine: coins and perpetuals of one asset on every exchange."""

from schemas.models.config_mode import ModeSettings
from strategies.basis import rules
from strategies.families import Family
from strategies.rules import ModeSpec, features


def _spec_of(mode: ModeSettings) -> ModeSpec:
    return ModeSpec(
        mode=mode.mode,
        modules=(rules,),
        rules=rules.RULES,
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


FAMILY = Family("basis", rules.RULES, _spec_of)
