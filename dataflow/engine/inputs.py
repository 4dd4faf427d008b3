"""What the engine gives to the nodes of a graph, by the kind of evaluation: the contract that a graph is held to."""

from typing import Final

from dataflow.execution.decision import ORDERS
from dataflow.execution.liquidations import AT_EXCHANGE, AT_POOL
from dataflow.execution.stages import EXECUTED, ORDER
from dataflow.graph.build import OBSERVE_STAGES, RAW_STAGE, Graph
from dataflow.graph.inputs import Parameters
from dataflow.graph.proof import Evaluation
from dataflow.graph.state import NEVER, PositionGroups
from dataflow.market.market import STABLE_PRICE, columns_given
from dataflow.settlement.capital_flows import nothing_due
from schemas.units import Column

RUN_START: Final = "run_start_seconds"
WITHDRAWAL: Final = "withdrawal_pending"

ROW_INPUTS: Final = ("row_number", "row_is_new", "candle_is_new", "epoch_seconds")
"""What the engine says of every row beside market and state."""

ORDER_INPUTS: Final = (
    "sequence",
    "holdings",
    "operation_id",
    "atomic_group_id",
    "timestamp_group",
    "snapshot",
)
"""What the tight loop says of the order whose turn it is."""

ANSWER_INPUTS: Final = ("execution_handshake", "reconciliation_tolerance", "reconciliation_floor")
"""What it says beside of the answer to it."""


def carried_at_start(graph: Graph, groups: PositionGroups) -> dict[str, float | Column]:
    """What every run carries from row to row, before its first row but for the instant of it; settlements add theirs.

    The names are the state that a node may ask for.
    """
    tagged = (
        node.tags[tag]
        for node in graph.in_stages(OBSERVE_STAGES)
        for tag in ("carry", "carry_on_execution", "carry_on_entry")
        if tag in node.tags and node.stage != RAW_STAGE
    )
    return {
        **dict.fromkeys(tagged, 0.0),
        "transaction_costs_before": 0.0,
        "staking_yield_rewards_before": 0.0,
        "dust_pnl_before": 0.0,
        "deposited_usd": 0.0,
        "deposited_share_class": 0.0,
        "initial_capital": 0.0,
        **nothing_due(),
        "last_risk_exit_seconds": NEVER,
        "last_liquidation_seconds": NEVER,
        "entry_quantity": 0.0,
        "breach_before": 0.0,
        "risk_level_before": 0.0,
        **groups.empty(),
    }


def evaluations(graph: Graph, parameters: Parameters, requested: tuple[str, ...]) -> tuple[Evaluation, ...]:
    """Every kind of evaluation of a run, each with what is given to it.

    requested: columns and feeds that the mode asks its data set for.
    """

    def names(*stages: str) -> tuple[str, ...]:
        return tuple(node.name for node in graph.in_stages(stages))

    rows = names(*(stage for stage in OBSERVE_STAGES if stage != RAW_STAGE))
    settings = frozenset(parameters.inputs)
    read = settings | columns_given(requested) | {STABLE_PRICE}
    market = read | set(names(RAW_STAGE))
    state = {*carried_at_start(graph, parameters.groups), RUN_START}
    row = market | set(rows)
    decision = row | {WITHDRAWAL}
    order = decision | {"orders", *ORDER_INPUTS}
    answer = order | {"order", *ANSWER_INPUTS}
    liquidated = tuple(target for target in (AT_EXCHANGE, AT_POOL) if target.name in graph.by_name)
    return (
        Evaluation(f"the {RAW_STAGE} stage", names(RAW_STAGE), read),
        Evaluation("a row", rows, market | state | set(ROW_INPUTS)),
        Evaluation.of("a decision", (ORDERS,), decision),
        Evaluation.of("an order", (ORDER,), order),
        Evaluation.of("an answer", (EXECUTED,), answer),
        Evaluation.of("a liquidation", liquidated, row | {"liquidated_venue"}),
    )
