"""Liquidations of a row: venues take what is theirs, the graph says what that must be, and both go on record.

A liquidation is a settlement, not an order: it comes after funding and before the decision, at the row's prices. The
venue's statement is held against the graph's own expectation and its balances against the books; a difference stops
the run, as it does after an order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from dataflow.execution.reconciliation import balance_mismatches
from dataflow.graph.executors import Executor, Target, Values, value_of
from dataflow.journal.recorder import Journal
from dataflow.maths.deltas import Deltas
from schemas.clock import Clock
from schemas.errors import ReconciliationMismatchError
from schemas.holdings import Holdings
from schemas.liquidations import Liquidation
from schemas.snapshot import MarketSnapshot

_RELATIVE_TOLERANCE = 1e-9
"""Of the gross change of a key: what rounding may leave between the venue's statement and the expectation."""


AT_EXCHANGE: Final[Target[Deltas]] = Target("expected_exchange_liquidation", tuple)
AT_POOL: Final[Target[Deltas]] = Target("expected_pool_liquidation", tuple)
"""What a liquidation is to change, where the mode can meet one."""


class Liquidator(Protocol):
    """The venues' own liquidation engines."""

    def liquidate(
        self, snapshot: MarketSnapshot, books: Holdings, spared: Sequence[str] = ()
    ) -> tuple[Liquidation, ...]:
        """Take what is due at the snapshot's instant from the balances given, but for the venues to be spared."""
        ...

    def balances(self) -> Holdings:
        """The venues' own balances."""
        ...


@dataclass(frozen=True)
class LiquidationRow:
    """The row at which venues may act: its instant, market, prices of each key, and what its nodes are known from."""

    timestamp: str
    snapshot: MarketSnapshot
    prices: Mapping[str, float]
    known: Values
    spared: tuple[str, ...]


class Liquidations:
    """Asks the venues, checks their answer and writes it down."""

    def __init__(self, executor: Executor, journal: Journal, liquidator: Liquidator, clock: Clock) -> None:
        self._executor, self._journal, self._liquidator, self._clock = executor, journal, liquidator, clock

    def taken(self, row: LiquidationRow, holdings: Holdings) -> tuple[Liquidation, ...]:
        """What the venues take at the row from the balances; () where every account is safe after all."""
        return self._liquidator.liquidate(row.snapshot, holdings, row.spared)

    def booked(
        self,
        row: LiquidationRow,
        taken: Sequence[Liquidation],
        holdings: Holdings,
        equity_usd: Callable[[Holdings], float],
    ) -> Holdings:
        """The balances after the liquidations, each step of which is written to the journal.

        Raises :class:`ReconciliationMismatchError` (POS-005) where a venue took something else than was due.
        """
        for liquidation in taken:
            started = self._clock.monotonic()
            self._journal.errors.liquidation(row.timestamp, liquidation)
            holdings = self._applied(row, liquidation, holdings, equity_usd)
            self._reconcile(row, liquidation, started)
        found = balance_mismatches(
            holdings, self._liquidator.balances().units, None, relative_tolerance=_RELATIVE_TOLERANCE
        )
        if found:
            raise ReconciliationMismatchError(
                f"{found[0].position_key} is {found[0].reported!r} at the venue after a liquidation and "
                f"{found[0].held!r} in the books; {len(found)} key(s) differ",
                position_key=found[0].position_key,
            )
        return holdings

    def _applied(
        self, row: LiquidationRow, liquidation: Liquidation, holdings: Holdings, equity_usd: Callable[[Holdings], float]
    ) -> Holdings:
        entries = {**holdings.entry_price, **dict.fromkeys(liquidation.closed, 0.0)}
        for step in liquidation.steps:
            holdings = Holdings(holdings.applied(step.deltas).units, entries)
            self._journal.balances.liquidated(
                row.timestamp, step, holdings=holdings, equity_usd=equity_usd(holdings), prices=row.prices
            )
        return holdings

    def _reconcile(self, row: LiquidationRow, liquidation: Liquidation, started: float) -> None:
        """Hold the venue's statement against what the graph expects of it, key by key."""
        expected, actual = self._expected(row, liquidation), liquidation.changes()
        mismatches = []
        for key in (*expected, *(key for key in actual if key not in expected)):
            due, (done, size) = expected.get(key, 0.0), actual.get(key, (0.0, 0.0))
            if abs(done - due) > _RELATIVE_TOLERANCE * max(abs(due), size):
                mismatches.append({"position_key": key, "expected": due, "actual": done, "diff": done - due})
        self._journal.execution.reconciliation(
            row.timestamp,
            reconciliation_type="execution_deltas",
            trigger_source="liquidation",
            reconciliation_success=not mismatches,
            expected_deltas_count=len(expected),
            actual_deltas_count=len(actual),
            reconciliation_duration_ms=1e3 * (self._clock.monotonic() - started),
            mismatches=mismatches,
        )
        if mismatches:
            first = mismatches[0]
            raise ReconciliationMismatchError(
                f"the liquidation at {liquidation.venue} changed {first['position_key']} by {first['actual']!r}, "
                f"expected {first['expected']!r}; {len(mismatches)} key(s) differ",
                position_key=str(first["position_key"]),
                venue=liquidation.venue,
            )

    def _expected(self, row: LiquidationRow, liquidation: Liquidation) -> dict[str, float]:
        known = {**row.known, "liquidated_venue": liquidation.venue}
        target = AT_EXCHANGE if liquidation.closed else AT_POOL
        changes = value_of(self._executor, target, known)
        return dict(changes)
