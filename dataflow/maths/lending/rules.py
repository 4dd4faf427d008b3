"""The versions of Aave v3 as values: every rounding, constant and procedure in which they differ.

The model takes a ``Rules`` and never asks for a version, so a test can change one rule and see the golden vectors
break. Roundings are named after what is rounded: ``supply_`` is the aToken, ``debt_`` the variable debt token.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from dataflow.maths.lending.fixed_point import WAD, Rounding
from dataflow.maths.lending.reverts import AaveRevertError, Fault, revert_error

BASE_CURRENCY_UNIT: Final = 10**8
"""One US dollar in the oracle's base currency."""


class InterestForm(Enum):
    """How a rate a year grows an index over some seconds."""

    LINEAR = "linear"
    """1 + r t / Y"""
    BINOMIAL = "binomial"
    """3.0.2: 1 + r t / Y + t (t-1) (r/Y)^2 / 2 + t (t-1) (t-2) (r/Y)^3 / 6, powers truncated first"""
    EXPONENTIAL = "exponential"
    """3.6: x = r t / Y; 1 + x + x (x/2 + x (x/6))"""


class ErrorNames(Enum):
    """Which of the two names of a fault the contracts use; the value is the position in ``Fault``."""

    STRINGS = 0
    CUSTOM_ERRORS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One version of the contracts."""

    version: str
    error_names: ErrorNames

    supply_interest: InterestForm = InterestForm.LINEAR
    debt_interest: InterestForm
    series_terms: int = 3
    """Terms of the debt series beyond the one, 1 to 3."""
    seconds_per_year: int = 365 * 86_400

    supply_mint: Rounding
    supply_burn: Rounding
    supply_transfer: Rounding
    supply_balance: Rounding
    debt_mint: Rounding
    debt_burn: Rounding
    debt_balance: Rounding
    debt_value: Rounding
    """Debt in the base currency; collateral is cut in every version."""
    collateral_needed: Rounding
    """Debt over the loan-to-value ratio, compared with the collateral."""
    available_borrows: Rounding
    debt_of_seized: Rounding
    """Debt that all of a collateral pays for, without the bonus."""
    flash_premium: Rounding

    accrues_on_index_step: bool
    """3.6 takes new interest from the step of the index, cut; 3.0.2 from two rounded totals."""
    averages_borrow_rate: bool
    """3.0.2 averages the variable and the (absent) stable rate, weighted in rays: one more rounding."""
    has_virtual_balance: bool
    """3.1 and later count what went through the pool; before, whatever the aToken holds, donations too."""
    pays_premium_to_suppliers: bool
    """3.0.2 adds the premium less the protocol's share to the liquidity index; 3.6 gives all of it to the treasury."""
    checks_scaled_amounts: bool
    """3.6 refuses amounts that are 0 after scaling and compares scaled balances."""
    checks_borrow_after: bool
    """3.6 checks the position after the borrow; 3.0.2 before it, with the new debt added by hand."""
    cuts_average_threshold: bool
    """3.0.2 cuts the average liquidation threshold to whole basis points before the health factor."""
    enables_received_collateral: bool
    """3.0.2 makes aTokens received by transfer collateral of a holder who had none of them."""
    checks_health_after_repaying_with_supply: bool
    has_emode_sets: bool
    """3.2 and later list collateral and borrowable reserves of a category; before, a reserve has one category."""
    burns_bad_debt: bool
    """3.3 and later: debt without collateral becomes the reserve's deficit; small positions close in full."""
    accrues_both_roles: bool
    """3.6 takes both caches of a liquidation before it accrues: one reserve in both roles pays the treasury twice."""

    close_factor_bps: int = 5_000
    close_factor_health: int = 95 * WAD // 100
    """Health factor (wad) above which only ``close_factor_bps`` of the debt can be repaid."""
    small_position: int = 2_000 * BASE_CURRENCY_UNIT
    """Collateral or debt below it is closed in full (where bad debt is burnt)."""
    smallest_rest: int = 1_000 * BASE_CURRENCY_UNIT
    """What a liquidation must leave of debt and of collateral, unless it leaves nothing of one of them."""

    def error(self, fault: Fault) -> AaveRevertError:
        """Return the error of a fault, under the name this version has for it.

        >>> AAVE_V3_6.error(Fault.RESERVE_PAUSED).revert, AAVE_V3_0_2.error(Fault.RESERVE_PAUSED).revert
        ('ReservePaused', 'RESERVE_PAUSED')
        """
        return revert_error(fault.value[self.error_names.value])

    def require(self, condition: bool, fault: Fault) -> None:
        """Revert with the fault unless the condition holds."""
        if not condition:
            raise self.error(fault)


AAVE_V3_0_2: Final = Rules(
    version="3.0.2",
    error_names=ErrorNames.STRINGS,
    debt_interest=InterestForm.BINOMIAL,
    supply_mint=Rounding.HALF_UP,
    supply_burn=Rounding.HALF_UP,
    supply_transfer=Rounding.HALF_UP,
    supply_balance=Rounding.HALF_UP,
    debt_mint=Rounding.HALF_UP,
    debt_burn=Rounding.HALF_UP,
    debt_balance=Rounding.HALF_UP,
    debt_value=Rounding.FLOOR,
    collateral_needed=Rounding.HALF_UP,
    available_borrows=Rounding.HALF_UP,
    debt_of_seized=Rounding.HALF_UP,
    flash_premium=Rounding.HALF_UP,
    accrues_on_index_step=False,
    averages_borrow_rate=True,
    has_virtual_balance=False,
    pays_premium_to_suppliers=True,
    checks_scaled_amounts=False,
    checks_borrow_after=False,
    cuts_average_threshold=True,
    enables_received_collateral=True,
    checks_health_after_repaying_with_supply=False,
    has_emode_sets=False,
    burns_bad_debt=False,
    accrues_both_roles=False,
)
"""Source: @aave/core-v3 1.19.3."""

AAVE_V3_6: Final = Rules(
    version="3.6",
    error_names=ErrorNames.CUSTOM_ERRORS,
    debt_interest=InterestForm.EXPONENTIAL,
    supply_mint=Rounding.FLOOR,
    supply_burn=Rounding.CEIL,
    supply_transfer=Rounding.CEIL,
    supply_balance=Rounding.FLOOR,
    debt_mint=Rounding.CEIL,
    debt_burn=Rounding.FLOOR,
    debt_balance=Rounding.CEIL,
    debt_value=Rounding.CEIL,
    collateral_needed=Rounding.CEIL,
    available_borrows=Rounding.FLOOR,
    debt_of_seized=Rounding.CEIL,
    flash_premium=Rounding.CEIL,
    accrues_on_index_step=True,
    averages_borrow_rate=False,
    has_virtual_balance=True,
    pays_premium_to_suppliers=False,
    checks_scaled_amounts=True,
    checks_borrow_after=True,
    cuts_average_threshold=False,
    enables_received_collateral=False,
    checks_health_after_repaying_with_supply=True,
    has_emode_sets=True,
    burns_bad_debt=True,
    accrues_both_roles=True,
)
"""Source: @aave-dao/aave-v3-origin 3.6.0. The default of the simulated venue."""

VERSIONS: Final = {rules.version: rules for rules in (AAVE_V3_0_2, AAVE_V3_6)}
