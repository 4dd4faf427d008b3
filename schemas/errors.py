"""The error tree; its codes are those of the registry in ``schemas.error_codes``, which is re-exported here.

    PlatformError
    ├── PositionError     POS     balances and keys
    ├── ExposureError     EXP     exposure stage
    ├── RiskError         RISK    risk stage
    ├── PnlError          PNL     P&L stage and attribution
    ├── StrategyError     STRAT   decisions and the orders they make
    ├── ExecutionError    EXEC    orders, handshakes, reconciliation after execution
    ├── VenueError        VEN     routing and the venues themselves
    ├── EngineError       ENGINE  the loop and its state
    ├── ConfigError       CONFIG  what the user wrote
    ├── DataError         DATA    what the market data holds
    └── LogError          LOG     records on disk

A leaf names one fact and carries one code; a handler catches the leaf or the area.
"""

from functools import partial
from typing import ClassVar

from schemas.error_codes import COMPONENTS as COMPONENTS
from schemas.error_codes import REGISTRY as REGISTRY
from schemas.error_codes import ErrorCode as ErrorCode
from schemas.error_codes import ErrorSpec as ErrorSpec
from schemas.error_codes import Severity as Severity
from schemas.error_codes import precedence as precedence

JsonScalar = str | int | float | bool | None
"""What the context of an error may hold: it must survive logs, pickles and HTTP."""


class PlatformError(Exception):
    """An expected failure whose code survives logs, pickles and HTTP.

    The message says in one line what is wrong, where, and how to fix it; ``context`` has the same facts as values.
    Only leaves are raised: the bases have no code.
    """

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, /, **context: JsonScalar) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def __reduce__(self) -> tuple[object, ...]:
        # The default forgets keywords, and Dagster's executors pickle what they raise.
        return partial(type(self), self.message, **self.context), ()

    @property
    def severity(self) -> Severity:
        """Severity of the code in the registry."""
        return REGISTRY[self.code].severity

    @property
    def component(self) -> str:
        """Component that logs the code, for example ``ExecutionManager``."""
        return REGISTRY[self.code].component

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later without a change: a property of the kind, not of the catcher."""
        return REGISTRY[self.code].is_retryable

    def one_line(self) -> str:
        """``CODE: message [key=value ...]`` on a single line, for terminals and logs.

        >>> MissingPriceError("no mark", venue="okx").one_line()
        'DATA-005: no mark [venue=okx]'
        """
        facts = " ".join(f"{key}={value}" for key, value in self.context.items())
        return " ".join(f"{self.code}: {self.message}{f' [{facts}]' if facts else ''}".split())


class PositionError(PlatformError):
    """Balances and their keys."""


class PositionUpdateError(PositionError):
    """A change names a balance that is not kept, so it cannot be applied."""

    code = ErrorCode.POS_UPDATE_FAILED


class InvalidPositionKeyError(PositionError):
    """A position key is malformed, unknown or not subscribed."""

    code = ErrorCode.POS_KEY_INVALID


class PositionsFrameError(PositionError):
    """The positions stage produced a frame that its schema refuses."""

    code = ErrorCode.POS_CALCULATION_FAILED


class NegativePositionError(PositionError):
    """A balance that cannot be negative went below zero."""

    code = ErrorCode.POS_NEGATIVE


class ReconciliationMismatchError(PositionError):
    """Simulated and venue balances differ beyond the tolerance."""

    code = ErrorCode.POS_RECONCILIATION_MISMATCH


class ExposureError(PlatformError):
    """The exposure stage."""


class ExposureFrameError(ExposureError):
    """The exposure stage produced a frame that its schema refuses."""

    code = ErrorCode.EXP_CALCULATION_FAILED


class RiskError(PlatformError):
    """The risk stage."""


class RiskFrameError(RiskError):
    """The risk stage produced a frame that its schema refuses."""

    code = ErrorCode.RISK_ASSESSMENT_FAILED


class PnlError(PlatformError):
    """The P&L stage and its attribution."""


class PnlFrameError(PnlError):
    """The P&L stage produced a frame that its schema refuses."""

    code = ErrorCode.PNL_CALCULATION_FAILED


class AttributionError(PnlError):
    """The attribution parts do not sum to the change of equity."""

    code = ErrorCode.PNL_ATTRIBUTION_FAILED


class SettlementError(PnlError):
    """A withdrawal was paid in part: more was asked for than is held or can be freed."""

    code = ErrorCode.PNL_SETTLEMENT_FAILED


class StrategyError(PlatformError):
    """Decisions and the orders they make."""


class DecisionFrameError(StrategyError):
    """The decision stage produced a frame that its schema refuses, or a strategy of the user failed in it."""

    code = ErrorCode.STRAT_DECISION_FAILED


class ExpectedDeltaError(StrategyError):
    """The expected deltas of an order could not be computed."""

    code = ErrorCode.STRAT_EXPECTED_DELTAS_FAILED


class InvalidStrategyOutputError(StrategyError):
    """A strategy gave something else than a list of order intents."""

    code = ErrorCode.STRAT_ORDER_INVALID


class ExecutionError(PlatformError):
    """Orders, handshakes and reconciliation after execution."""


class OrderExecutionError(ExecutionError):
    """A venue refused or failed an order."""

    code = ErrorCode.EXEC_ORDER_FAILED


class VenueInterfaceUnavailableError(ExecutionError):
    """The interface of an order's venue is not available."""

    code = ErrorCode.EXEC_INTERFACE_UNAVAILABLE


class OrderFormatError(ExecutionError):
    """An order has a missing or unknown field, or one of the wrong type."""

    code = ErrorCode.EXEC_ORDER_FORMAT_INVALID


class OrderValidationError(ExecutionError):
    """An order parses but breaks a rule, or the balance cannot pay for it."""

    code = ErrorCode.EXEC_ORDER_VALIDATION_FAILED


class ReconciliationTimeoutError(ExecutionError):
    """Comparing the books with the venues took longer than it may."""

    code = ErrorCode.EXEC_RECONCILIATION_TIMEOUT


class AtomicGroupRolledBackError(ExecutionError):
    """One order of an atomic group failed and the group left no trace."""

    code = ErrorCode.EXEC_GROUP_ROLLED_BACK


class PositionMismatchError(ExecutionError):
    """Actual deltas differ from the expected ones beyond the tolerance."""

    code = ErrorCode.EXEC_POSITION_MISMATCH


class HandshakeInvalidError(ExecutionError):
    """A venue's answer is not a valid handshake."""

    code = ErrorCode.EXEC_HANDSHAKE_INVALID


class VenueError(PlatformError):
    """Routing and the venues themselves."""


class RoutingError(VenueError):
    """An operation does not belong to the venue it names."""

    code = ErrorCode.VEN_ROUTING_FAILED


class VenueTimeoutError(VenueError):
    """A venue did not answer in time; the order may have been accepted."""

    code = ErrorCode.VEN_TIMEOUT


class VenueUnavailableError(VenueError):
    """A venue is down or refuses connections."""

    code = ErrorCode.VEN_UNAVAILABLE


class InterfaceNotFoundError(VenueError):
    """No interface is registered for a venue."""

    code = ErrorCode.VEN_INTERFACE_NOT_FOUND


class VenueAuthenticationError(VenueError):
    """A venue does not accept the credentials; trying again may lock the account."""

    code = ErrorCode.VEN_AUTHENTICATION_FAILED


class VenueRateLimitError(VenueError):
    """A venue was asked too often and wants to be asked later."""

    code = ErrorCode.VEN_RATE_LIMITED


class EngineError(PlatformError):
    """The loop and its state."""


class EngineInitError(EngineError):
    """The graph of a mode asks for what nobody gives, records what no frame has, or mixes units."""

    code = ErrorCode.ENGINE_INIT_FAILED


class StateInconsistentError(EngineError):
    """The carried state does not fit the run that is to continue it."""

    code = ErrorCode.ENGINE_STATE_INCONSISTENT


class CriticalEngineError(EngineError):
    """An unexpected failure stopped the engine."""

    code = ErrorCode.ENGINE_CRITICAL


class ConfigError(PlatformError):
    """What the user wrote in a file or on the command line."""


class InvalidModeError(ConfigError):
    """The mode does not exist."""

    code = ErrorCode.CONFIG_MODE_INVALID


class MissingConfigKeyError(ConfigError):
    """A required configuration key is missing."""

    code = ErrorCode.CONFIG_KEY_MISSING


class ConfigValidationError(ConfigError):
    """A configuration value is unknown, out of range or contradicts another."""

    code = ErrorCode.CONFIG_VALIDATION_FAILED


class VenueConfigError(ConfigError):
    """A venue has no file, or its configuration cannot be used."""

    code = ErrorCode.CONFIG_VENUE_INVALID


class DataError(PlatformError):
    """What the market data holds."""


class DataFetchError(DataError):
    """A series could not be read or downloaded."""

    code = ErrorCode.DATA_FETCH_FAILED


class DataValidationError(DataError):
    """A series, or the market frame made of them, is not what its schema says."""

    code = ErrorCode.DATA_VALIDATION_FAILED


class DataSourceUnavailableError(DataError):
    """A data set or feed that the mode needs is not there."""

    code = ErrorCode.DATA_SOURCE_UNAVAILABLE


class DataGapError(DataError):
    """A series has a hole, or does not cover the run."""

    code = ErrorCode.DATA_GAP


class MissingPriceError(DataError):
    """A position is held or traded at an instant that has no price."""

    code = ErrorCode.DATA_PRICE_MISSING


class LogError(PlatformError):
    """Records on disk."""


class LogWriteError(LogError):
    """An event or log line could not be written."""

    code = ErrorCode.LOG_WRITE_FAILED


class LogBufferOverflowError(LogError):
    """Events arrive faster than they can be written."""

    code = ErrorCode.LOG_BUFFER_OVERFLOW


class LogDirectoryError(LogError):
    """The log directory cannot be created, or its name is not allowed."""

    code = ErrorCode.LOG_DIRECTORY_FAILED


class LogSerialisationError(LogError):
    """An event could not be written as JSON or read back."""

    code = ErrorCode.LOG_SERIALISATION_FAILED


class LogRotationError(LogError):
    """A log file could not be rotated."""

    code = ErrorCode.LOG_ROTATION_FAILED
