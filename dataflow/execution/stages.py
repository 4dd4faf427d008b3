"""The execute stages of a graph as typed functions: the order of an intent, and what its answer leads to."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from dataflow.execution.decision import Decision
from dataflow.execution.gateway import ExecutionPolicy
from dataflow.graph.executors import Executor, Target, value_of
from dataflow.nodes.execution import ExecutedOrder
from schemas.errors import ExpectedDeltaError, OrderFormatError, OrderValidationError
from schemas.holdings import Holdings
from schemas.models.handshake import ExecutionHandshake
from schemas.models.message import describe_faults, is_format_fault
from schemas.models.orders import Order

ORDER: Final = Target("order", Order)
EXECUTED: Final = Target("executed_order", ExecutedOrder)


class OrderStages:
    """Evaluates the stages before an order is sent once, and those after it once an answer."""

    def __init__(self, executor: Executor, policy: ExecutionPolicy) -> None:
        self._executor, self._policy = executor, policy

    def order(self, decision: Decision, sequence: int, holdings: Holdings, identifier: str, group: str | None) -> Order:
        """The complete order of an intent of a decision.

        Raises :class:`OrderFormatError` (EXEC-003), :class:`OrderValidationError` (EXEC-004) or
        :class:`ExpectedDeltaError` (STRAT-002) for an order that breaks a rule.
        """
        known = {
            **decision.known,
            "sequence": sequence,
            "holdings": holdings,
            "operation_id": identifier,
            "atomic_group_id": group,
            "timestamp_group": f"{decision.rule.intent.value}_{decision.timestamp}",
            "snapshot": decision.snapshot,
        }
        try:
            return value_of(self._executor, ORDER, known)
        except ValidationError as error:
            if error.errors()[0]["loc"][:1] == ("expected_deltas",):
                raise ExpectedDeltaError(f"the expected deltas of operation {identifier} are not numbers") from error
            refusal = OrderFormatError if is_format_fault(error) else OrderValidationError
            message, context = describe_faults("order", {"operation_id": identifier}, error)
            raise refusal(message, **context) from error

    def executed(
        self, decision: Decision, order: Order, handshake: ExecutionHandshake, holdings: Holdings
    ) -> ExecutedOrder:
        """What the answer to an order leads to, from the balances that it met."""
        known: Mapping[str, object] = {
            **decision.known,
            "order": order,
            "execution_handshake": handshake,
            "holdings": holdings,
            "snapshot": decision.snapshot,
            "reconciliation_tolerance": self._policy.relative_tolerance,
            "reconciliation_floor": self._policy.absolute_tolerance,
        }
        return value_of(self._executor, EXECUTED, known)
