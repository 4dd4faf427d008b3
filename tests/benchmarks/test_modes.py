"""What the benchmarks of modes compare with is what a run really sends and writes."""

from schemas.units import SECONDS_PER_HOUR
from tests.benchmarks.markets import basis_market
from tests.benchmarks.modes import messages_of_an_order
from tests.benchmarks.runs import basis_backtest


def test_the_messages_of_an_order_are_one_order_one_handshake_and_four_events() -> None:
    messages = messages_of_an_order(basis_backtest(), basis_market(200, SECONDS_PER_HOUR, "rebalances"))
    names = [type(model.model_validate(values)).__name__ for model, values in messages]
    assert names == [
        "Order",
        "ExecutionHandshake",
        "OperationExecutionEvent",
        "ExecutionDeltaEvent",
        "ReconciliationEvent",
        "TightLoopExecutionEvent",
    ]
