"""What a caller of the engine says: what to run over a market, and where what happens goes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from dataflow.execution.venue_set import VenueSetup
from dataflow.graph.state import RunState
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.sequencer import Envelope
from dataflow.records.log.event_log import DomainEventLogger
from schemas.flows import DueFlow
from schemas.units import Column, Instants

ColumnSink = Callable[[str, Instants, Mapping[str, Column]], None]
"""Takes the validated columns of one stage of a chunk."""


@dataclass(frozen=True)
class RunRequest:
    """A run, or a partition of one.

    capital: share-class units, paid in on the first row of a run. venues: makes those of this run, or partition. state:
    what the partition before left, None for the first. is_final: whether the run ends here. flows: deposits and
    withdrawals of the whole run, whatever partition this is, as ``schedule`` gives them. watch_from: the first break
    counts from this instant on.
    """

    capital: float
    seed: int
    venues: VenueSetup
    state: RunState | None = None
    is_final: bool = True
    flows: tuple[DueFlow, ...] = ()
    watch_from: np.datetime64 | None = None


@dataclass(frozen=True)
class Recording:
    """Where the events, component records and columns of a run go; what is None is not kept."""

    envelope: Envelope
    log: DomainEventLogger | None = None
    components: ComponentLogs | None = None
    sink: ColumnSink | None = None

    @classmethod
    def into(
        cls, log: DomainEventLogger, components: ComponentLogs | None = None, sink: ColumnSink | None = None
    ) -> Self:
        """Events under the name of the log that keeps them."""
        return cls(Envelope(log.correlation_id, log.pid, log.real_utc_time), log, components, sink)
