"""What can be done and how it is said: the enumerations of orders, handshakes and events.

Values are the text of the logs: lower case, except the sides of a trade. Risk levels and statuses that events carry
live here too, so that no boundary passes a bare string where a typo would become a state.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class OperationType(StrEnum):
    """The twelve instructions that can be sent to a venue."""

    SPOT_TRADE = "spot_trade"
    PERP_TRADE = "perp_trade"
    SUPPLY = "supply"
    BORROW = "borrow"
    REPAY = "repay"
    WITHDRAW = "withdraw"
    STAKE = "stake"
    UNSTAKE = "unstake"
    SWAP = "swap"
    TRANSFER = "transfer"
    FLASH_BORROW = "flash_borrow"
    FLASH_REPAY = "flash_repay"


CEX_TRADES: Final = frozenset({OperationType.SPOT_TRADE, OperationType.PERP_TRADE})
FLASH_OPERATIONS: Final = frozenset({OperationType.FLASH_BORROW, OperationType.FLASH_REPAY})
DEFI_OPERATIONS: Final = frozenset(OperationType) - CEX_TRADES - {OperationType.TRANSFER}

_EVERY_ORDER: Final = (
    "operation_id",
    "operation",
    "venue",
    "amount",
    "source_venue",
    "target_venue",
    "source_token",
    "target_token",
    "expected_deltas",
)

REQUIRED_FIELDS: Final[Mapping[OperationType, tuple[str, ...]]] = MappingProxyType(
    {
        operation: (*_EVERY_ORDER, "pair", "side") if operation in CEX_TRADES else _EVERY_ORDER
        for operation in OperationType
    }
)
"""Fields that an order of each operation must give; the rest have defaults."""


class OrderSide(StrEnum):
    """Side of a trade; ``BUY`` and ``LONG`` are one direction, ``SELL`` and ``SHORT`` the other."""

    BUY = "BUY"
    SELL = "SELL"
    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def direction(self) -> int:
        """+1 where the trade adds to the position, -1 where it takes from it."""
        return 1 if self in (OrderSide.BUY, OrderSide.LONG) else -1


class OrderType(StrEnum):
    """How a trade is priced."""

    MARKET = "market"
    LIMIT = "limit"


class ExecutionMode(StrEnum):
    """Alone, or as a member of a group that succeeds or fails as one."""

    SEQUENTIAL = "sequential"
    ATOMIC = "atomic"


class ExecutionStatus(StrEnum):
    """The venue's answer to an order."""

    CONFIRMED = "confirmed"
    PENDING = "pending"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


class StrategyIntent(StrEnum):
    """The five actions of a strategy."""

    ENTRY_FULL = "entry_full"
    ENTRY_PARTIAL = "entry_partial"
    EXIT_FULL = "exit_full"
    EXIT_PARTIAL = "exit_partial"
    SELL_DUST = "sell_dust"


class DecisionType(StrEnum):
    """The coarser kind of a decision, as its event shows it."""

    ENTRY = "entry"
    EXIT = "exit"
    REBALANCE = "rebalance"
    HOLD = "hold"
    EMERGENCY_EXIT = "emergency_exit"
    SELL_DUST = "sell_dust"


class DeltaType(StrEnum):
    """Why positions changed."""

    EXECUTION_DELTAS = "execution_deltas"
    INITIAL_CAPITAL = "initial_capital"
    FUNDING = "funding"
    SEASONAL_REWARDS = "seasonal_rewards"
    REALIZED_PNL = "realized_pnl"
    FEE = "fee"
    LIQUIDATION = "liquidation"
    CAPITAL_FLOW = "capital_flow"
    UNSTAKE_CLAIM = "unstake_claim"


class RiskLevel(StrEnum):
    """Band of the risk score; any breach of a critical limit forces ``critical``."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class PositionSource(StrEnum):
    """Where a position snapshot comes from: our own accounting or the venues' balances."""

    SIMULATED = "simulated"
    REAL = "real"


class HealthStatus(StrEnum):
    """State of a component or of the whole."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
    NOT_READY = "not_ready"
    NOT_CONFIGURED = "not_configured"


class GroupStatus(StrEnum):
    """Outcome of an atomic group."""

    COMPLETED = "completed"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


class ReconciliationType(StrEnum):
    """What is reconciled: the deltas of an execution, or balances found at a venue."""

    EXECUTION_DELTAS = "execution_deltas"
    POSITION_DISCOVERY = "position_discovery"
