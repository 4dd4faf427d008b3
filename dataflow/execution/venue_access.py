"""The gateway with its faults on record: whoever asks a venue for a unit asks through it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dataflow.execution.gateway import Delivery, ExecutionPolicy
from dataflow.execution.outcomes import ExecutionRecords
from dataflow.execution.reconciliation import BalanceMismatch, balance_mismatches
from schemas.errors import ErrorCode, VenueError, VenueInterfaceUnavailableError
from schemas.holdings import Holdings
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order


class VenueAccess:
    """Reaches venues for the units of a decision."""

    def __init__(self, delivery: Delivery, records: ExecutionRecords, policy: ExecutionPolicy) -> None:
        self.delivery, self._records, self._policy = delivery, records, policy

    @contextmanager
    def reaching(self, timestamp: str, unit: str) -> Iterator[Delivery]:
        """Record every error of a venue met for an operation or group; one without recovery becomes EXEC-002.

        The outcome is then unknown, so the run must stop.
        """
        try:
            yield self.delivery
        except VenueError as error:
            if error.code is ErrorCode.VEN_ROUTING_FAILED:
                raise
            raise VenueInterfaceUnavailableError(error.one_line(), **error.context) from error
        finally:
            self._records.venue_faults(timestamp, self.delivery.faults, unit)
            self.delivery.faults.clear()

    def differing(
        self,
        timestamp: str,
        order: Order,
        holdings: Holdings,
        handshake: ExecutionHandshake | None,
        venues: frozenset[str] | None,
    ) -> tuple[BalanceMismatch, ...]:
        """Keys whose balance at the venues, None for all, is not that of the books, asked for again while there are."""

        def differing(reported: Mapping[str, float]) -> tuple[BalanceMismatch, ...]:
            tolerance = self._policy.relative_tolerance
            return balance_mismatches(holdings, reported, handshake, relative_tolerance=tolerance)

        with self.reaching(timestamp, order.atomic_group_id or order.operation_id) as delivery:
            reported = delivery.agreed_balances(lambda balances: not differing(balances), venues)
        if reported is None:
            return ()
        self._records.undeclared(timestamp, reported.keys() - holdings.units.keys())
        return differing(reported)
