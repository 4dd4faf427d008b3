"""What a lending mode is to the engine: one token supplied."""

from schemas.models.config_mode import ModeSettings
from strategies.families import Family
from strategies.lending import rules
from strategies.rules import ModeSpec, features


def _spec_of(mode: ModeSettings) -> ModeSpec:
    return ModeSpec(
        mode=mode.mode,
        modules=(rules,),
        rules=rules.RULES,
        quantity_parts=("wallet_quantity", "supplied_quantity"),
        value_parts=("wallet_value_usd", "supplied_value_usd"),
        features=features(lending=True),
        entry_operations=("supply",),
        exit_operations=("withdraw",),
    )


FAMILY = Family("lending", rules.RULES, _spec_of)
