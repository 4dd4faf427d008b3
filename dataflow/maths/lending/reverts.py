"""Why the contracts refuse an action, by the names that the contracts give their reasons.

Version 3.0.2 reverts with numbered strings whose constants are upper case, 3.6 with custom errors. Arithmetic below
zero or beyond 256 bits is the compiler's own panic in both.
"""

from enum import Enum

from schemas.errors import OrderExecutionError


class Fault(Enum):
    """One reason; its value is (name in 3.0.2, name in 3.6). Source: libraries/helpers/Errors.sol of each version."""

    INVALID_AMOUNT = ("INVALID_AMOUNT", "InvalidAmount")
    INVALID_MINT_AMOUNT = ("INVALID_MINT_AMOUNT", "InvalidMintAmount")
    INVALID_BURN_AMOUNT = ("INVALID_BURN_AMOUNT", "InvalidBurnAmount")
    RESERVE_INACTIVE = ("RESERVE_INACTIVE", "ReserveInactive")
    RESERVE_PAUSED = ("RESERVE_PAUSED", "ReservePaused")
    RESERVE_FROZEN = ("RESERVE_FROZEN", "ReserveFrozen")
    SUPPLY_CAP_EXCEEDED = ("SUPPLY_CAP_EXCEEDED", "SupplyCapExceeded")
    BORROW_CAP_EXCEEDED = ("BORROW_CAP_EXCEEDED", "BorrowCapExceeded")
    BORROWING_NOT_ENABLED = ("BORROWING_NOT_ENABLED", "BorrowingNotEnabled")
    FLASHLOAN_DISABLED = ("FLASHLOAN_DISABLED", "FlashloanDisabled")
    NOT_ENOUGH_BALANCE = ("NOT_ENOUGH_AVAILABLE_USER_BALANCE", "NotEnoughAvailableUserBalance")
    UNDERLYING_BALANCE_ZERO = ("UNDERLYING_BALANCE_ZERO", "UnderlyingBalanceZero")
    LTV_ZERO = ("USER_IN_ISOLATION_MODE_OR_LTV_ZERO", "UserInIsolationModeOrLtvZero")
    COLLATERAL_BALANCE_IS_ZERO = ("COLLATERAL_BALANCE_IS_ZERO", "CollateralBalanceIsZero")
    COLLATERAL_CANNOT_COVER_NEW_BORROW = ("COLLATERAL_CANNOT_COVER_NEW_BORROW", "CollateralCannotCoverNewBorrow")
    LTV_VALIDATION_FAILED = ("LTV_VALIDATION_FAILED", "LtvValidationFailed")
    HEALTH_FACTOR_TOO_LOW = (
        "HEALTH_FACTOR_LOWER_THAN_LIQUIDATION_THRESHOLD",
        "HealthFactorLowerThanLiquidationThreshold",
    )
    HEALTH_FACTOR_NOT_BELOW_THRESHOLD = ("HEALTH_FACTOR_NOT_BELOW_THRESHOLD", "HealthFactorNotBelowThreshold")
    INCONSISTENT_EMODE_CATEGORY = ("INCONSISTENT_EMODE_CATEGORY", "InconsistentEModeCategory")
    NOT_BORROWABLE_IN_EMODE = ("INCONSISTENT_EMODE_CATEGORY", "NotBorrowableInEMode")
    INVALID_DEBT_IN_EMODE = ("INCONSISTENT_EMODE_CATEGORY", "InvalidDebtInEmode")
    INVALID_COLLATERAL_IN_EMODE = ("INCONSISTENT_EMODE_CATEGORY", "InvalidCollateralInEmode")
    NO_DEBT_OF_SELECTED_TYPE = ("NO_DEBT_OF_SELECTED_TYPE", "NoDebtOfSelectedType")
    COLLATERAL_CANNOT_BE_LIQUIDATED = ("COLLATERAL_CANNOT_BE_LIQUIDATED", "CollateralCannotBeLiquidated")
    CURRENCY_NOT_BORROWED = ("SPECIFIED_CURRENCY_NOT_BORROWED_BY_USER", "SpecifiedCurrencyNotBorrowedByUser")
    SELF_LIQUIDATION = ("SELF_LIQUIDATION", "SelfLiquidation")
    MUST_NOT_LEAVE_DUST = ("MUST_NOT_LEAVE_DUST", "MustNotLeaveDust")
    ARITHMETIC = ("Panic(0x11)", "Panic(0x11)")
    DIVISION_BY_ZERO = ("Panic(0x12)", "Panic(0x12)")
    TOKEN_BALANCE = ("ERC20: transfer amount exceeds balance", "ERC20: transfer amount exceeds balance")


class AaveRevertError(OrderExecutionError):
    """The contracts revert: nothing of the action has happened. ``revert`` is the reason by the contracts' name."""

    @property
    def revert(self) -> str:
        """The reason as the contract of that version calls it, for example ``BorrowCapExceeded``."""
        return str(self.context["revert"])


def revert_error(name: str) -> AaveRevertError:
    """Return the error of a revert.

    >>> revert_error("ReserveFrozen").revert
    'ReserveFrozen'
    """
    return AaveRevertError(f"Aave reverts with {name}; nothing of the action took place", revert=name)
