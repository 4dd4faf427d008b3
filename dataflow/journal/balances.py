"""Events of balances: what changed them, and what they are afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass

from dataflow.journal.component_logs import ComponentLogs
from dataflow.journal.event_fields import Columns, position_columns
from dataflow.journal.first_break import BreakWatch
from dataflow.journal.funding import funding_deltas, is_funded, margin_price_usd
from dataflow.journal.interim import Valued
from dataflow.journal.run_facts import RunFacts
from dataflow.journal.sequencer import Sequencer
from dataflow.maths.deltas import Deltas
from schemas.holdings import Holdings
from schemas.instruments import PositionKey
from schemas.liquidations import LiquidationStep
from schemas.models.events import ExecutionDeltaEvent, PositionSnapshot
from schemas.operations import DeltaType, OperationType

UPDATER = "PositionUpdateHandler"
"""The component that applies changes."""

_EXECUTION = "execution_manager"
_LIQUIDATION = "liquidation"


@dataclass(frozen=True)
class Source:
    """Where a change of balances comes from: what set it off and, where that is an operation, which and at what price.

    fee: >= 0, and its currency.
    """

    trigger: str
    operation: OperationType | None = None
    operation_id: str | None = None
    executed_price: float | None = None
    fee: tuple[float, str] = (0.0, "")


class BalanceEvents:
    """Records settlements, changes by operations and liquidations, and the balances that each leaves."""

    def __init__(self, sequencer: Sequencer, components: ComponentLogs, watch: BreakWatch, facts: RunFacts) -> None:
        self._sequencer, self._components, self._watch, self._facts = sequencer, components, watch, facts

    def position(self, timestamp: str, holdings: Holdings, equity_usd: float) -> None:
        """The balances at the start of a row."""
        self._snapshot(timestamp, self._sequencer.take(), holdings.units, equity_usd, "position_refresh")

    def settled(
        self,
        timestamp: str,
        delta_type: DeltaType,
        deltas: Deltas,
        *,
        holdings: Holdings,
        equity_usd: float,
        prices: Mapping[str, float],
    ) -> None:
        """A settlement and the balances after it: initial capital, funding."""
        trigger = "initial_capital" if delta_type is DeltaType.INITIAL_CAPITAL else delta_type.value
        order = self._sequencer.take(2)
        self._components.info(UPDATER, f"{trigger} applied", timestamp, deltas=dict(deltas))
        self._changed(timestamp, order, delta_type, deltas, prices, Source(trigger))
        self._snapshot(timestamp, order + 1, holdings.units, equity_usd, trigger)

    def funding_of_row(self, timestamp: str, columns: Columns) -> None:
        """Funding settled at a one-row set of columns, if any."""
        if not is_funded(columns, 1)[0]:
            return
        groups = self._facts.groups
        keys = groups.margin_keys
        units = {key: float(column[0]) for key, column in position_columns(columns, groups).items()}
        self.settled(
            timestamp,
            DeltaType.FUNDING,
            funding_deltas(keys, columns["funding_flow"][0].tolist()),
            holdings=Holdings(units, {}),
            equity_usd=float(columns["equity_usd"][0]),
            prices=dict.fromkeys(keys, float(margin_price_usd(columns, groups)[0])),
        )

    def applied(
        self,
        timestamp: str,
        delta_type: DeltaType,
        deltas: Deltas,
        *,
        books: Valued,
        prices: Mapping[str, float],
        operation: OperationType,
        operation_id: str,
        executed_price: float | None,
        fee: tuple[float, str],
    ) -> None:
        """Changes of one operation and the balances after them, these once they are valued."""
        charged = fee if delta_type is DeltaType.FEE else (0.0, "")
        source = Source(_EXECUTION, operation, operation_id, executed_price, charged)
        order = self._sequencer.take(2)
        self._changed(timestamp, order, delta_type, deltas, prices, source)
        self._sequencer.keep_when_valued(
            lambda: self._snapshot(timestamp, order + 1, books.holdings.units, books.equity_usd, _EXECUTION)
        )
        self._components.info(
            "PositionMonitor", f"{delta_type.value} applied", timestamp, operation_id=operation_id, deltas=dict(deltas)
        )

    def liquidated(
        self,
        timestamp: str,
        step: LiquidationStep,
        *,
        holdings: Holdings,
        equity_usd: float,
        prices: Mapping[str, float],
    ) -> None:
        """One change by a liquidation and the balances after it."""
        order = self._sequencer.take(2)
        source = Source(_LIQUIDATION, step.operation, None, step.price, step.fee)
        self._changed(timestamp, order, step.delta_type, step.deltas, prices, source)
        self._snapshot(timestamp, order + 1, holdings.units, equity_usd, _LIQUIDATION)
        self._components.info(UPDATER, f"{step.delta_type.value} applied", timestamp, deltas=dict(step.deltas))

    def _changed(
        self,
        timestamp: str,
        order: int,
        delta_type: DeltaType,
        deltas: Deltas,
        prices: Mapping[str, float],
        source: Source,
    ) -> None:
        if delta_type is DeltaType.LIQUIDATION:
            self._watch.liquidation(timestamp, deltas)
        self._sequencer.keep(
            ExecutionDeltaEvent,
            timestamp,
            order,
            delta_type=delta_type,
            trigger_source=source.trigger,
            deltas_applied=len(deltas),
            total_delta_value_usd=sum(abs(change) * prices[key] for key, change in deltas),
            source_operation_id=source.operation_id,
            deltas=structured_deltas(deltas, delta_type, source.operation, source.executed_price, source.fee),
        )

    def _snapshot(
        self, timestamp: str, order: int, units: Mapping[str, float], equity_usd: float, trigger: str
    ) -> None:
        self._sequencer.keep(
            PositionSnapshot,
            timestamp,
            order,
            positions=dict(units),
            total_value_usd=equity_usd,
            position_type=self._facts.position_source,
            trigger_source=trigger,
        )


def structured_deltas(
    deltas: Deltas,
    delta_type: DeltaType,
    operation: OperationType | None,
    executed_price: float | None,
    fee: tuple[float, str],
) -> list[dict[str, object]]:
    """Changes in the form of the log; the fee stands once, on the first record in its currency."""
    source = operation if operation is not None and delta_type is DeltaType.EXECUTION_DELTAS else delta_type
    records: list[dict[str, object]] = []
    unpaid = fee[0]
    for key, change in deltas:
        is_fee = unpaid > 0.0 and PositionKey.parse(key).token == fee[1]
        records.append(
            {
                "position_key": key,
                "delta_amount": change,
                "operation_type": operation,
                "source": source,
                "price": executed_price,
                "fee": unpaid if is_fee else 0.0,
            }
        )
        unpaid = 0.0 if is_fee else unpaid
    return records
