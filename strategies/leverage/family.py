"""What a levered staking mode is to the engine: a staking token as collateral of a loan in its asset."""

from schemas.models.config_mode import ModeSettings
from strategies import dust
from strategies.families import Family
from strategies.leverage import rules
from strategies.rules import ModeSpec, features


def _spec_of(mode: ModeSettings) -> ModeSpec:
    return ModeSpec(
        mode=mode.mode,
        modules=(rules, dust),
        rules=rules.RULES,
        quantity_parts=("wallet_quantity", "staked_quantity", "supplied_quantity", "debt_quantity"),
        value_parts=("wallet_value_usd", "staked_value_usd", "supplied_value_usd", "debt_value_usd"),
        features=features(lending=True, borrowing=True, staking=True),
        breaches=("ltv_breach", "health_breach", "leverage_breach"),
        liquidations=("health_liquidation_due",),
        entry_operations=("atomic_entry",),
        exit_operations=("atomic_deleverage_one_swap",),
    )


FAMILY = Family("leverage", rules.RULES, _spec_of)
