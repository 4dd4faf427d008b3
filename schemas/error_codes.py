"""The registry of error codes: what each means, how bad it is, who logs it, what the operator does.

It holds every code of the platform, also those whose components are not built yet. Codes are append only, never
renumbered, never reused. ``docs/reference/errors.md`` is generated from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Severity(StrEnum):
    """How bad an error is, worst first; the value is upper case in logs."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


class ErrorCode(StrEnum):
    """Every code; the member's name is the fact, its value the number that logs show."""

    POS_UPDATE_FAILED = "POS-001"
    POS_KEY_INVALID = "POS-002"
    POS_CALCULATION_FAILED = "POS-003"
    POS_NEGATIVE = "POS-004"
    POS_RECONCILIATION_MISMATCH = "POS-005"

    EXP_CALCULATION_FAILED = "EXP-001"
    EXP_MARKET_DATA_MISSING = "EXP-002"
    EXP_POSITION_DATA_UNAVAILABLE = "EXP-003"
    EXP_CONFIG_INVALID = "EXP-004"
    EXP_CONVERSION_FAILED = "EXP-005"

    RISK_LIMIT_BREACHED = "RISK-001"
    RISK_LTV_ABOVE_THRESHOLD = "RISK-002"
    RISK_MARGIN_CALL = "RISK-003"
    RISK_HEALTH_FACTOR_FAILED = "RISK-004"
    RISK_LIQUIDATION_THRESHOLD_EXCEEDED = "RISK-005"
    RISK_ASSESSMENT_FAILED = "RISK-006"

    PNL_CALCULATION_FAILED = "PNL-001"
    PNL_INPUT_MISSING = "PNL-002"
    PNL_HISTORY_UNAVAILABLE = "PNL-003"
    PNL_ATTRIBUTION_FAILED = "PNL-004"
    PNL_SETTLEMENT_FAILED = "PNL-005"

    STRAT_DECISION_FAILED = "STRAT-001"
    STRAT_EXPECTED_DELTAS_FAILED = "STRAT-002"
    STRAT_ORDER_INVALID = "STRAT-003"
    STRAT_INIT_FAILED = "STRAT-004"
    STRAT_TARGET_FAILED = "STRAT-005"
    STRAT_MARKET_DATA_UNAVAILABLE = "STRAT-006"

    EXEC_ORDER_FAILED = "EXEC-001"
    EXEC_INTERFACE_UNAVAILABLE = "EXEC-002"
    EXEC_ORDER_FORMAT_INVALID = "EXEC-003"
    EXEC_ORDER_VALIDATION_FAILED = "EXEC-004"
    EXEC_RECONCILIATION_TIMEOUT = "EXEC-005"
    EXEC_GROUP_ROLLED_BACK = "EXEC-006"
    EXEC_POSITION_MISMATCH = "EXEC-007"
    EXEC_HANDSHAKE_INVALID = "EXEC-008"

    VEN_ROUTING_FAILED = "VEN-001"
    VEN_TIMEOUT = "VEN-002"
    VEN_UNAVAILABLE = "VEN-003"
    VEN_INTERFACE_NOT_FOUND = "VEN-004"
    VEN_AUTHENTICATION_FAILED = "VEN-005"
    VEN_RATE_LIMITED = "VEN-006"

    ENGINE_INIT_FAILED = "ENGINE-001"
    ENGINE_COMPONENT_INIT_FAILED = "ENGINE-002"
    ENGINE_STATE_INCONSISTENT = "ENGINE-003"
    ENGINE_CRITICAL = "ENGINE-004"

    CONFIG_MODE_INVALID = "CONFIG-001"
    CONFIG_KEY_MISSING = "CONFIG-002"
    CONFIG_VALIDATION_FAILED = "CONFIG-003"
    CONFIG_VENUE_INVALID = "CONFIG-004"

    DATA_FETCH_FAILED = "DATA-001"
    DATA_VALIDATION_FAILED = "DATA-002"
    DATA_SOURCE_UNAVAILABLE = "DATA-003"
    DATA_GAP = "DATA-004"
    DATA_PRICE_MISSING = "DATA-005"

    LOG_WRITE_FAILED = "LOG-001"
    LOG_BUFFER_OVERFLOW = "LOG-002"
    LOG_DIRECTORY_FAILED = "LOG-003"
    LOG_SERIALISATION_FAILED = "LOG-004"
    LOG_ROTATION_FAILED = "LOG-005"

    UTIL_PRICE_CONVERSION_FAILED = "UTIL-001"
    UTIL_INDEX_FETCH_FAILED = "UTIL-002"
    UTIL_RATE_FAILED = "UTIL-003"
    UTIL_TOKEN_METADATA_MISSING = "UTIL-004"


COMPONENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CONFIG": "ConfigManager",
        "DATA": "DataProvider",
        "UTIL": "UtilityManager",
        "POS": "PositionMonitor",
        "EXP": "ExposureMonitor",
        "RISK": "RiskMonitor",
        "STRAT": "StrategyManager",
        "VEN": "VenueInterfaceManager",
        "EXEC": "ExecutionManager",
        "PNL": "PnLMonitor",
        "ENGINE": "EventDrivenStrategyEngine",
        "LOG": "DomainEventLogger",
    }
)
"""Prefix of a code to the component that logs it, in the order in which a run meets them: the order of precedence."""


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """What the registry knows about a code.

    ``is_retryable`` says that the same call may succeed later without anybody changing anything; a call that moves
    money is still only repeated after its ``operation_id`` was looked up at the venue. ``reserved`` says why nothing
    raises the code; a test holds that every other code is raised.
    """

    code: ErrorCode
    severity: Severity
    meaning: str
    action: str
    is_retryable: bool = False
    reserved: str | None = None

    @property
    def area(self) -> str:
        """The prefix, for example ``EXEC``."""
        return self.code.value.partition("-")[0]

    @property
    def component(self) -> str:
        """The component that logs the code, for example ``ExecutionManager``."""
        return COMPONENTS[self.area]


_C, _H, _M = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM

_SPECS: Final = (
    ErrorSpec(
        ErrorCode.POS_UPDATE_FAILED,
        _H,
        "A position update could not be applied.",
        "Compare the last ExecutionDeltaEvent with the last PositionSnapshot; nothing was applied: fix it and rerun.",
    ),
    ErrorSpec(
        ErrorCode.POS_KEY_INVALID,
        _M,
        "A position key is malformed, unknown or not subscribed by the mode.",
        "Write the key as venue:PositionType:TOKEN and declare it in position_subscriptions of the mode.",
    ),
    ErrorSpec(
        ErrorCode.POS_CALCULATION_FAILED,
        _H,
        "The positions of a row could not be computed or broke their frame.",
        "Read the named column and row; rerun with --validate every-call to find the node that produced it.",
    ),
    ErrorSpec(
        ErrorCode.POS_NEGATIVE,
        _H,
        "A balance that cannot be negative went below zero.",
        "Find the operation that debited the key: its order exceeded the balance; check sizing, fees and gas reserve.",
    ),
    ErrorSpec(
        ErrorCode.POS_RECONCILIATION_MISMATCH,
        _C,
        "Simulated and real positions differ beyond the tolerance.",
        "Explain every mismatch of the ReconciliationEvent at the venue before a restart; nothing heals it by itself.",
    ),
    ErrorSpec(
        ErrorCode.EXP_CALCULATION_FAILED,
        _H,
        "The exposure of a row could not be computed or broke its frame.",
        "Read the named column and row; check positions and prices there before rerunning.",
    ),
    ErrorSpec(
        ErrorCode.EXP_MARKET_DATA_MISSING,
        _H,
        "A price, index or ratio needed to value a position is missing.",
        "Run `basis data check` on the data set for the named series and supply it, or declare a fill rule.",
        reserved="a series that a mode needs is checked before the first row (DATA-003 to DATA-005)",
    ),
    ErrorSpec(
        ErrorCode.EXP_POSITION_DATA_UNAVAILABLE,
        _H,
        "Exposure was asked for before positions were known.",
        "Check that the position stage ran for this row; in live, that the venue answered the balance query.",
        reserved="the graph computes positions before exposure; for a live session whose balance query fails",
    ),
    ErrorSpec(
        ErrorCode.EXP_CONFIG_INVALID,
        _H,
        "The exposure configuration cannot be used.",
        "Correct the named key of the mode's exposure settings and run `basis config check`.",
        reserved="a configuration is refused as a whole before the run (CONFIG-003)",
    ),
    ErrorSpec(
        ErrorCode.EXP_CONVERSION_FAILED,
        _H,
        "An amount could not be converted to the tracking asset or to USD.",
        "Check that the data set has the named asset's price, index or staking ratio at that instant.",
        reserved="conversion is part of the exposure stage, whose frame refuses what is not finite (EXP-001)",
    ),
    ErrorSpec(
        ErrorCode.RISK_LIMIT_BREACHED,
        _H,
        "A risk limit was crossed.",
        "Read the breaches of the RiskAssessment; if no reducing orders of the strategy followed, reduce by hand.",
    ),
    ErrorSpec(
        ErrorCode.RISK_LTV_ABOVE_THRESHOLD,
        _H,
        "Loan to value is above the configured maximum.",
        "Repay debt or add collateral until LTV is below max_ltv; then check why the drift rule did not act first.",
        reserved="one event, RISK-001, tells that a limit was crossed, and its breaches name which",
    ),
    ErrorSpec(
        ErrorCode.RISK_MARGIN_CALL,
        _C,
        "A venue's margin ratio is below its margin-call level.",
        "Move collateral to the venue or close part of its perpetuals at once.",
        reserved="one event, RISK-001, tells that a limit was crossed, and its breaches name which",
    ),
    ErrorSpec(
        ErrorCode.RISK_HEALTH_FACTOR_FAILED,
        _H,
        "The health factor could not be computed.",
        "Treat the position as at risk: check collateral, debt, index and price of the named market.",
        reserved="the health factor is a column of the risk stage, whose frame refuses a bad one (RISK-006)",
    ),
    ErrorSpec(
        ErrorCode.RISK_LIQUIDATION_THRESHOLD_EXCEEDED,
        _C,
        "A venue liquidated: margin ratio or health factor crossed its liquidation threshold.",
        "Read the deltas of type liquidation and their cost; ask why the rules above the threshold did not act first.",
    ),
    ErrorSpec(
        ErrorCode.RISK_ASSESSMENT_FAILED,
        _H,
        "The risk of a row could not be assessed or broke its frame.",
        "Read the named column and row; no new risk may be taken until the assessment works again.",
    ),
    ErrorSpec(
        ErrorCode.PNL_CALCULATION_FAILED,
        _H,
        "The P&L of a row could not be computed or broke its frame.",
        "Read the named column and row; positions are unaffected, so the P&L can be recomputed from the event log.",
    ),
    ErrorSpec(
        ErrorCode.PNL_INPUT_MISSING,
        _M,
        "A price or position that P&L needs is missing.",
        "Supply the named series; until then the P&L of that row is not to be relied on.",
        reserved="a missing price stops the run where it is read (DATA-005), before P&L",
    ),
    ErrorSpec(
        ErrorCode.PNL_HISTORY_UNAVAILABLE,
        _H,
        "The earlier values that a P&L period starts from are not available.",
        "Load the state of the previous partition, or start the run at its first row.",
        reserved="what P&L needs of the past is in the carried state, which is refused as a whole (ENGINE-003)",
    ),
    ErrorSpec(
        ErrorCode.PNL_ATTRIBUTION_FAILED,
        _H,
        "The attribution does not add up to the change of equity.",
        "Find the row where unexplained_pnl starts; an operation or settlement there has a delta without a P&L part.",
    ),
    ErrorSpec(
        ErrorCode.PNL_SETTLEMENT_FAILED,
        _M,
        "A settlement was made in part: a withdrawal asked for more than is held or can be freed.",
        "Ask for less; withdrawals_unpaid of the summary has what is missing.",
    ),
    ErrorSpec(
        ErrorCode.STRAT_DECISION_FAILED,
        _H,
        "The decision of a row could not be made or broke its frame.",
        "Read the named column and row; the strategy holds, so decide by hand whether to reduce.",
    ),
    ErrorSpec(
        ErrorCode.STRAT_EXPECTED_DELTAS_FAILED,
        _H,
        "The expected deltas of an order could not be computed.",
        "Check the operation's price, index or rate in the market data; the order was not sent.",
    ),
    ErrorSpec(
        ErrorCode.STRAT_ORDER_INVALID,
        _H,
        "A strategy gave something else than a list of order intents.",
        "Correct the node `orders` of the strategy; nothing of the decision was sent.",
    ),
    ErrorSpec(
        ErrorCode.STRAT_INIT_FAILED,
        _C,
        "The strategy of a mode could not be built.",
        "Run `basis config check` for the mode and correct what it names, then restart.",
        reserved="a mode that cannot be built is refused by its configuration (CONFIG-001, CONFIG-003)",
    ),
    ErrorSpec(
        ErrorCode.STRAT_TARGET_FAILED,
        _H,
        "The target position could not be computed.",
        "Check equity, allocation and prices of the row; a zero or missing price is the usual cause.",
        reserved="targets are part of the decision stage, whose frame refuses a bad one (STRAT-001)",
    ),
    ErrorSpec(
        ErrorCode.STRAT_MARKET_DATA_UNAVAILABLE,
        _H,
        "A series that the decision reads is not available.",
        "Supply the named series, or wait for the feed; the strategy takes no new risk meanwhile.",
        reserved="a series that a mode needs is checked before the first row (DATA-003 to DATA-005)",
    ),
    ErrorSpec(
        ErrorCode.EXEC_ORDER_FAILED,
        _H,
        "A venue refused or failed an order.",
        "Look the operation_id up at the venue first; then read error_message and repeat or drop the order.",
        is_retryable=True,
    ),
    ErrorSpec(
        ErrorCode.EXEC_INTERFACE_UNAVAILABLE,
        _C,
        "The interface of an order's venue is not available.",
        "Restore the venue's connection or disable the venue in the mode, then restart.",
    ),
    ErrorSpec(
        ErrorCode.EXEC_ORDER_FORMAT_INVALID,
        _M,
        "An order could not be parsed: a field is missing, unknown or of the wrong type.",
        "Correct the named field at the sender; the order was not sent.",
    ),
    ErrorSpec(
        ErrorCode.EXEC_ORDER_VALIDATION_FAILED,
        _M,
        "An order parses but breaks a rule, or the balance cannot pay for it.",
        "Correct the named field or fund the named key; the order was not sent.",
    ),
    ErrorSpec(
        ErrorCode.EXEC_RECONCILIATION_TIMEOUT,
        _C,
        "Positions could not be reconciled within the time allowed.",
        "Stop, read the balances at the venue, and restart only when they agree with the log.",
    ),
    ErrorSpec(
        ErrorCode.EXEC_GROUP_ROLLED_BACK,
        _H,
        "One order of an atomic group failed; the group left no trace.",
        "Read the failing member's own code; later orders of that decision were skipped and are decided again.",
    ),
    ErrorSpec(
        ErrorCode.EXEC_POSITION_MISMATCH,
        _C,
        "Actual deltas differ from the expected ones beyond the tolerance.",
        "Compare both per key in the OperationExecutionEvent, settle the difference at the venue, then restart.",
    ),
    ErrorSpec(
        ErrorCode.EXEC_HANDSHAKE_INVALID,
        _H,
        "A venue's answer is not a valid handshake.",
        "Look the operation_id up at the venue: the order may have been filled; report the raw answer.",
    ),
    ErrorSpec(
        ErrorCode.VEN_ROUTING_FAILED,
        _H,
        "An operation does not belong to the venue it names.",
        "Correct the venue of the order, or the venues of the mode.",
    ),
    ErrorSpec(
        ErrorCode.VEN_TIMEOUT,
        _H,
        "A venue did not answer in time.",
        "Look the operation_id up at the venue before repeating: a late answer may be a fill.",
        is_retryable=True,
    ),
    ErrorSpec(
        ErrorCode.VEN_UNAVAILABLE,
        _H,
        "A venue is down or refuses connections.",
        "Check the venue's status page; repeated calls are safe once it answers.",
        is_retryable=True,
    ),
    ErrorSpec(
        ErrorCode.VEN_INTERFACE_NOT_FOUND,
        _C,
        "No interface is registered for a venue.",
        "Enable the venue in the mode and give it a file in configs/venues, then restart.",
    ),
    ErrorSpec(
        ErrorCode.VEN_AUTHENTICATION_FAILED,
        _C,
        "A venue rejected the credentials.",
        "Renew the credentials and their permissions at the venue, then restart; repeating may lock the account.",
    ),
    ErrorSpec(
        ErrorCode.VEN_RATE_LIMITED,
        _M,
        "A venue limits the request rate.",
        "Nothing at first: calls back off; if it lasts, lower the polling rate.",
        is_retryable=True,
    ),
    ErrorSpec(
        ErrorCode.ENGINE_INIT_FAILED,
        _C,
        "The graph of a mode does not fit its engine: an input, a column or a unit.",
        "Correct the node or input that the message names, in the strategy module or its mode file, and rerun.",
    ),
    ErrorSpec(
        ErrorCode.ENGINE_COMPONENT_INIT_FAILED,
        _C,
        "A component of the engine could not be built.",
        "Read the component's own error just before this one, correct it and restart.",
        reserved="components are built from a checked configuration; for services that start their own",
    ),
    ErrorSpec(
        ErrorCode.ENGINE_STATE_INCONSISTENT,
        _C,
        "The carried state does not fit the run.",
        "Do not edit the state: rerun from the last partition that verifies with `basis replay`.",
    ),
    ErrorSpec(
        ErrorCode.ENGINE_CRITICAL,
        _C,
        "An unexpected failure stopped the engine.",
        "Rerun with --debug and report the traceback with the run's manifest.",
    ),
    ErrorSpec(
        ErrorCode.CONFIG_MODE_INVALID,
        _C,
        "The mode does not exist.",
        "Choose one of the modes that `basis modes` lists.",
    ),
    ErrorSpec(
        ErrorCode.CONFIG_KEY_MISSING,
        _C,
        "A required configuration key is missing.",
        "Add the named key to the named file; limits have no default on purpose.",
    ),
    ErrorSpec(
        ErrorCode.CONFIG_VALIDATION_FAILED,
        _C,
        "A configuration value is unknown, out of range or contradicts another.",
        "Run `basis config check` and correct every fault it lists with file, line and key.",
    ),
    ErrorSpec(
        ErrorCode.CONFIG_VENUE_INVALID,
        _C,
        "A venue has no file, or its configuration cannot be used.",
        "Add or correct configs/venues/<venue>.yaml and run `basis config check`.",
    ),
    ErrorSpec(
        ErrorCode.DATA_FETCH_FAILED,
        _H,
        "A series could not be read or downloaded.",
        "Check the named path or address and its permissions, then repeat.",
        is_retryable=True,
        reserved="data sets are files, which are there or not (DATA-003); for feeds that are downloaded",
    ),
    ErrorSpec(
        ErrorCode.DATA_VALIDATION_FAILED,
        _H,
        "A series is not what its schema says.",
        "Correct the named column and row in the source file; `basis data check` lists every fault.",
    ),
    ErrorSpec(
        ErrorCode.DATA_SOURCE_UNAVAILABLE,
        _C,
        "A data set or a feed that the mode needs is not there.",
        "Give an existing directory to --data, or use the synthetic set; in live, restore the feed and restart.",
        is_retryable=True,
    ),
    ErrorSpec(
        ErrorCode.DATA_GAP,
        _M,
        "A series has a hole, or does not cover the run.",
        "Shorten --start/--end to the coverage in the message, supply the rows, or declare a fill rule.",
    ),
    ErrorSpec(
        ErrorCode.DATA_PRICE_MISSING,
        _H,
        "A price that a held or traded position needs is missing.",
        "Supply the named series at that instant or declare a fill rule; it is never assumed.",
    ),
    ErrorSpec(
        ErrorCode.LOG_WRITE_FAILED,
        _H,
        "An event or log line could not be written.",
        "Free disk space or correct permissions of the log directory; the summary counts what was lost.",
        is_retryable=True,
    ),
    ErrorSpec(
        ErrorCode.LOG_BUFFER_OVERFLOW,
        _M,
        "Events arrive faster than they can be written.",
        "Use a faster disk or a larger buffer; check the event counts of the summary.",
    ),
    ErrorSpec(
        ErrorCode.LOG_DIRECTORY_FAILED,
        _C,
        "The log directory cannot be created, or its name is not allowed.",
        "Give a writable directory to --logs and an id without path separators, then restart.",
    ),
    ErrorSpec(
        ErrorCode.LOG_SERIALISATION_FAILED,
        _H,
        "An event could not be written as JSON, or read back as it was written.",
        "Report the event's type and field. Restore a file whose lines were changed, lost or moved from "
        "results/<run id>/logs or a backup; a torn last line of a killed run is expected and reported with this code.",
    ),
    ErrorSpec(
        ErrorCode.LOG_ROTATION_FAILED,
        _M,
        "A log file could not be rotated.",
        "Check space and permissions; writing goes on in the old file.",
    ),
    ErrorSpec(
        ErrorCode.UTIL_PRICE_CONVERSION_FAILED,
        _H,
        "A price could not be converted between currencies.",
        "Check that both currencies have a price at that instant.",
        reserved="conversions are columns of the graph; their inputs are refused under DATA codes",
    ),
    ErrorSpec(
        ErrorCode.UTIL_INDEX_FETCH_FAILED,
        _H,
        "A lending index is not available.",
        "Supply the index of the named reserve from before the first row of the run.",
        reserved="indexes are columns of the market, refused under DATA codes",
    ),
    ErrorSpec(
        ErrorCode.UTIL_RATE_FAILED,
        _H,
        "A funding, lending or staking rate is not available.",
        "Supply the named rate series or declare its fill rule.",
        reserved="rates are columns of the market, refused under DATA codes",
    ),
    ErrorSpec(
        ErrorCode.UTIL_TOKEN_METADATA_MISSING,
        _M,
        "The platform does not know a token.",
        "Use one of the tokens of configs/tokens.yaml, or add it there.",
        reserved="tokens are known from their position keys; an unknown one is POS-002",
    ),
)

REGISTRY: Final[Mapping[ErrorCode, ErrorSpec]] = MappingProxyType({spec.code: spec for spec in _SPECS})
"""Every code with its severity, component, meaning and the operator's action."""


def precedence(code: ErrorCode) -> tuple[int, int, str]:
    """Sort key of faults found together: worst severity, then the earlier component of a run, then the number.

    >>> sorted([ErrorCode.EXEC_ORDER_FAILED, ErrorCode.DATA_GAP, ErrorCode.ENGINE_CRITICAL], key=precedence)[0].value
    'ENGINE-004'
    """
    spec = REGISTRY[code]
    return list(Severity).index(spec.severity), list(COMPONENTS).index(spec.area), code.value
