"""What the events of a row carry beside the numbers of the row."""

from dataclasses import dataclass

from dataflow.graph.risk_flags import RiskFlags
from dataflow.graph.state import PositionGroups
from schemas.operations import PositionSource


@dataclass(frozen=True)
class RunFacts:
    """The mode and what it keeps books of. run_start: text of the first instant of the run.

    position_source: whose balances the books are. limits: the flags of the mode's limits.
    """

    mode: str
    run_start: str
    groups: PositionGroups
    assets: tuple[str, ...]
    attribution_types: tuple[str, ...]
    position_source: PositionSource
    limits: RiskFlags
