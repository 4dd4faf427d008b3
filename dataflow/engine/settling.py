"""What moves balances at a row before its decision: initial capital, settlements, liquidations."""

from collections.abc import Mapping

from dataflow.engine.carry import Carry
from dataflow.engine.counts import RunCounts
from dataflow.engine.observer import Observer
from dataflow.execution.liquidations import LiquidationRow, Liquidations
from dataflow.graph.state import RunState
from dataflow.journal.recorder import Journal
from dataflow.settlement.capital_flows import booked
from dataflow.settlement.settlements import Settlements
from schemas.operations import DeltaType
from schemas.units import Column

Columns = dict[str, Column]


class Settling:
    """Brings a row to the balances that its decision sees.

    deposit: where the initial capital arrives, native units by key.
    """

    def __init__(
        self,
        observer: Observer,
        carry: Carry,
        journal: Journal,
        settlements: Settlements,
        liquidations: Liquidations,
        deposit: Mapping[str, float],
        counts: RunCounts,
    ) -> None:
        self._observer, self._carry, self._journal = observer, carry, journal
        self._settlements, self._liquidations = settlements, liquidations
        self._deposit, self._counts = deposit, counts
        self._market, self._groups = observer.market, observer.parameters.groups

    def pay_in(self, row: int, state: RunState) -> RunState:
        """Initial capital, at the first row of a run."""
        timestamp = self._market.texts[row]
        holdings = self._groups.holdings(state.values).applied(self._deposit.items())
        prices = self._market.key_prices(row, self._groups.keys)
        value_usd = sum(amount * prices[key] for key, amount in self._deposit.items())
        self._journal.errors.health(timestamp)
        self._journal.balances.settled(
            timestamp,
            DeltaType.INITIAL_CAPITAL,
            tuple(self._deposit.items()),
            holdings=holdings,
            equity_usd=value_usd,
            prices=prices,
        )
        capital = self._market.in_share_class(row, value_usd)
        return state.with_values(
            {
                **self._groups.values(holdings),
                "deposited_usd": value_usd,
                "deposited_share_class": capital,
                "initial_capital": capital,
                "reference_equity": capital,
                **booked(state, float(self._market.epoch_seconds[row]), capital, 0.0),
            }
        )

    def settle(self, row: int, columns: Columns, state: RunState) -> tuple[RunState, Columns]:
        """Apply what is due at a row that was valued with what was held before it; the columns after it."""
        timestamp, settled = self._market.texts[row], False
        while (due := self._settlements.due(row, state)) is not None:
            state = state.with_values(due.changes)
            if due.refusal is not None:
                self._journal.errors.failure(timestamp, due.refusal, due.refusal.message)
            settled = settled or due.asks_again or bool(due.deltas)
            if not due.deltas:
                continue
            holdings = self._groups.holdings(state.values).applied(due.deltas)
            state = state.with_values(self._groups.values(holdings))
            self._journal.balances.settled(
                timestamp,
                due.delta_type,
                due.deltas,
                holdings=holdings,
                equity_usd=self._observer.equity_usd(row, state),
                prices=self._market.key_prices(row, self._groups.keys),
            )
        return self._valued_again(row, state) if settled else (state, columns)

    def liquidate(self, row: int, columns: Columns, state: RunState) -> tuple[RunState, Columns]:
        """What the venues take before the decision of a settled row; the state and the columns after it."""
        timestamp, before = self._market.texts[row], self._groups.holdings(state.values)
        place = LiquidationRow(
            timestamp,
            self._market.snapshot(row),
            self._market.key_prices(row, self._groups.keys),
            self._observer.known_at(row, columns),
            spared=self._closed_inside_candle(columns),
        )
        taken = self._liquidations.taken(place, before)
        if not taken:
            return state, columns
        self._journal.balances.position(timestamp, before, float(columns["equity_usd"][0]))
        self._journal.assessments.exposure_and_risk(timestamp, columns)
        self._journal.errors.breach_of_row(timestamp, columns)
        holdings = self._liquidations.booked(
            place,
            taken,
            before,
            lambda held: self._observer.equity_usd(row, state.with_values(self._groups.values(held))),
        )
        self._counts.liquidations += len(taken)
        self._counts.fees += self._market.in_share_class(row, sum(liquidation.fees_usd for liquidation in taken))
        cost_usd = sum(liquidation.cost_usd for liquidation in taken)
        instant = float(self._market.epoch_seconds[row])
        changes = {
            **self._groups.values(holdings),
            "transaction_costs_before": self._carry.costs_with(row, cost_usd, state),
            "last_risk_exit_seconds": instant,
            "last_liquidation_seconds": instant,
            **self._settlements.traded(row, before, holdings, state),
        }
        return self._valued_again(row, state.with_values(changes))

    def _valued_again(self, row: int, state: RunState) -> tuple[RunState, Columns]:
        columns = self._observer.settled(row, state, is_decided=False)
        return self._carry.after(columns, 0, state), columns

    def _closed_inside_candle(self, columns: Columns) -> tuple[str, ...]:
        """Venues whose position its stop or target closed before the row, although that is booked with the decision."""
        if "level_touched" not in columns:
            return ()
        venues = self._observer.parameters.axes["venues"]
        return tuple(v for v, touched in zip(venues, columns["level_touched"][0].tolist(), strict=True) if touched)
