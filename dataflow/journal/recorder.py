"""The journal of a run: turns rows and operations into the twelve events, numbered in the order they happened.

What happens is told to the part that records its kind; all parts take their numbers from one ``Sequencer``. A row's
events stand in fixed phases: health, initial capital, funding, position, exposure, risk, breach, decision, operations,
P&L. Rows without a decision are counted in bulk (``IdleRows``). Nothing is written before ``flush``, which the engine
calls when the columns of a chunk have passed their frames: an event is numbered now and written later
(``dataflow.journal.sequencer``).
"""

from dataflow.journal.assessments import AssessmentEvents
from dataflow.journal.balances import BalanceEvents
from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.errors import ErrorEvents
from dataflow.journal.event_fields import Columns
from dataflow.journal.execution import ExecutionEvents
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.idle_lines import IdleLines
from dataflow.journal.idle_rows import Flags, IdleRows
from dataflow.journal.run_facts import RunFacts
from dataflow.journal.sequencer import Envelope, Sequencer
from dataflow.records.audit.replay import DELTA_TOLERANCE
from dataflow.records.log.event_log import DomainEventLogger
from schemas.models.events import DomainEvent, SystemErrorEvent
from schemas.models.results import EventDetail
from schemas.units import Instants


class Journal:
    """The parts that record a run, and their one order; written when a chunk is complete and valid.

    log: None keeps nothing. detail: how much is said of rows without a decision. reconciliation_tolerance: relative,
    with which the changes of an operation are compared.
    """

    def __init__(
        self,
        log: DomainEventLogger | None,
        envelope: Envelope,
        facts: RunFacts,
        *,
        components: ComponentLogs | None = None,
        watch: BreakWatch | None = None,
        detail: EventDetail = "every-step",
        reconciliation_tolerance: float = DELTA_TOLERANCE,
    ) -> None:
        components, watch = components or ComponentLogs.silent(), watch or BreakWatch()
        self.sequencer = sequencer = Sequencer(envelope)
        self.balances = BalanceEvents(sequencer, components, watch, facts)
        self.assessments = AssessmentEvents(sequencer, components, facts)
        self.execution = ExecutionEvents(sequencer, components, watch, facts.mode, reconciliation_tolerance)
        self.errors = ErrorEvents(sequencer, components, watch)
        self.idle_rows = IdleRows(sequencer, components, watch, self.errors, facts.groups, detail)
        self.watch = watch
        self._log, self._facts, self._components = log, facts, components

    @property
    def pending(self) -> list[DomainEvent]:
        """The single events of the chunk through their models, in the order in which they happened."""
        return self.sequencer.pending

    def resume(self, order: int, *, is_breached: bool) -> None:
        """Go on where the partition before ended: the number of the next event, and whether a limit is crossed."""
        self.sequencer.resume(order)
        self.errors.resume(is_breached=is_breached)

    def discard(self, order: int) -> None:
        """Forget what a chunk that its frames refused had to say, but for its errors: component logs have them already.

        order: the number that the chunk's first event would have had; its errors are numbered from there.
        """
        self.idle_rows.clear()
        self.sequencer.discard(order, SystemErrorEvent)

    def flush(self, instants: Instants, columns: Columns, idle: Flags) -> None:
        """Write the chunk: ``instants`` and ``columns`` are all its rows, ``idle`` marks those without a decision."""
        if self._log is None:
            self.sequencer.clear()
            self.idle_rows.clear()
        else:
            self._write(self._log, instants, columns, idle)

    def _write(self, log: DomainEventLogger, instants: Instants, columns: Columns, idle: Flags) -> None:
        try:
            self.idle_rows.write(IdleLines(log, self._facts), instants, columns, idle)
            self.sequencer.write(log.log)
        finally:
            self.idle_rows.clear()
        log.flush()
        self._components.flush()
