"""What a staking mode is to the engine: a staking token, held."""

from schemas.models.config_mode import ModeSettings
from strategies import dust
from strategies.families import Family
from strategies.rules import ModeSpec, features
from strategies.staking import rules


def _spec_of(mode: ModeSettings) -> ModeSpec:
    return ModeSpec(
        mode=mode.mode,
        modules=(rules, dust),
        rules=rules.RULES,
        quantity_parts=("wallet_quantity", "staked_quantity"),
        value_parts=("wallet_value_usd", "staked_value_usd"),
        features=features(staking=True),
        entry_operations=("stake",),
        exit_operations=("swap",),
    )


FAMILY = Family("staking", rules.RULES, _spec_of)
