"""What a hedged staking mode is to the engine: staked with or without leverage, and short on every exchange."""

from schemas.models.config_mode import ModeSettings
from strategies import dust
from strategies.families import Family
from strategies.hedged import rules
from strategies.rules import ModeSpec, features


def _spec_of(mode: ModeSettings) -> ModeSpec:
    levered = mode.leverage_enabled
    pool = ("supplied", "debt") if levered else ()
    debt_breaches = ("ltv_breach", "health_breach", "leverage_breach") if levered else ()
    held = ("wallet", "exchange", "staked", *pool)
    return ModeSpec(
        mode=mode.mode,
        modules=(rules, dust),
        rules=rules.RULES,
        quantity_parts=tuple(f"{part}_quantity" for part in held),
        value_parts=tuple(f"{part}_value_usd" for part in held),
        staked_parts=("wallet_quantity", "exchange_quantity", *(f"{part}_before" for part in ("staked", *pool))),
        features=features(perps=True, lending=levered, borrowing=levered, staking=True, hedged=True),
        breaches=("margin_breach", "delta_breach", *debt_breaches, "venue_leverage_breach"),
        warnings=("near_margin_limit", *(("near_health_limit",) if levered else ())),
        liquidations=("margin_liquidation_due", *(("health_liquidation_due",) if levered else ())),
        entry_operations=("transfer", "atomic_entry" if levered else "stake"),  # the coins that were bought, staked
        exit_operations=("atomic_deleverage_one_swap" if levered else "swap", "transfer"),
        operations_per_venue=("transfer",),
    )


FAMILY = Family("hedged", rules.RULES, _spec_of)
