"""The map of the planning documents: each name has one home, and each home exists."""

import re
from typing import Final

import pytest

from tests.docs.markdown import DOCS, tables
from tests.docs.names import imported

PAGE: Final = DOCS / "specs" / "README.md"
HOMES: Final = sorted(
    {home for table in tables(PAGE) for row in table[1:] for home in re.findall(r"`([a-z_]+(?:\.\w+)+)`", row[1])}
)

STEPS: Final = (
    "_process_single_order",
    "_process_atomic_group",
    "_reconcile_with_retry",
    "_log_operation_execution",
    "_log_atomic_group_execution",
    "_log_tight_loop_execution",
    "_convert_deltas_to_structured_format",
    "_calculate_expected_deltas",
    *(
        f"_calculate_{operation}_deltas"
        for operation in (
            "spot_trade", "perp_trade", "supply", "borrow", "repay", "withdraw", "stake", "unstake", "swap", "transfer",
        )
    ),
)  # fmt: skip
"""Private steps that the planning documents fix."""

COMPONENTS: Final = (
    "PositionMonitor",
    "ExposureMonitor",
    "RiskMonitor",
    "PnLMonitor",
    "StrategyManager",
    "ExecutionManager",
    "VenueInterfaceManager",
    "PositionUpdateHandler",
    "EventDrivenStrategyEngine",
    "BacktestService",
    "HealthMonitor",
    "DomainEventLogger",
    "StructuredLogger",
    "LogDirectoryManager",
)


def left_cells() -> str:
    return "\n".join(row[0] for table in tables(PAGE) for row in table[1:])


@pytest.mark.parametrize("home", HOMES)
def test_a_home_exists(home: str) -> None:
    assert imported(home) is not None


@pytest.mark.parametrize("name", [*STEPS, *COMPONENTS])
def test_a_name_of_the_planning_documents_has_a_home(name: str) -> None:
    assert re.search(rf"\b{name}\b", left_cells())
