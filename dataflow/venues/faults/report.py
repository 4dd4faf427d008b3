"""How a port that injects faults tells what it did."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dataflow.venues.faults.plan import FACTS, FaultKind
from schemas.errors import ErrorCode, JsonScalar


@dataclass(frozen=True)
class InjectedFault:
    """One fault as it happened.

    timestamp: engine clock, text of the logs. operation_id: of the order it met, of the first order for a group or a
    question for balances. facts: what was drawn, for example the share that was filled.
    """

    kind: FaultKind
    timestamp: str
    operation_id: str
    venue: str
    facts: tuple[tuple[str, JsonScalar], ...] = ()

    @property
    def code(self) -> ErrorCode:
        """Code of the event that shows the fault."""
        return FACTS[self.kind].code

    @property
    def message(self) -> str:
        """The fault in one line."""
        facts = "".join(f", {name} {value}" for name, value in self.facts)
        return f"injected fault {self.kind.value} at {self.venue}{facts}"

    def metadata(self) -> dict[str, JsonScalar]:
        """Metadata of its event."""
        return {
            "injected_fault": self.kind.value,
            "operation_id": self.operation_id,
            "venue": self.venue,
            **dict(self.facts),
        }


FaultReport = Callable[[InjectedFault], None]
"""Takes each fault at the moment it is injected."""


@runtime_checkable
class FaultSource(Protocol):
    """A port that injects faults and says so."""

    def report_to(self, report: FaultReport) -> None:
        """Send every fault from now on to ``report``."""
        ...
