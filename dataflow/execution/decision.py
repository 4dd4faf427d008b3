"""A decision that is to be executed, and what executing it led to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dataflow.execution.dependencies import Unfinished
from dataflow.graph.executors import Target, Values
from dataflow.journal.interim import PassedBooks
from schemas.decisions import DecisionRule
from schemas.errors import InvalidStrategyOutputError
from schemas.holdings import Holdings
from schemas.intents import OrderIntent
from schemas.models.orders import Order
from schemas.snapshot import MarketSnapshot

ORDERS: Final[Target[list[OrderIntent]]] = Target("orders", list)


def checked_intents(asked: object) -> list[OrderIntent]:
    """What a strategy asks for; InvalidStrategyOutputError (STRAT-003) where it is no list of order intents."""
    if not isinstance(asked, list):
        raise InvalidStrategyOutputError(f"node orders gave {asked!r}, not a list of order intents", node="orders")
    for place, intent in enumerate(asked):
        if not isinstance(intent, OrderIntent):
            raise InvalidStrategyOutputError(
                f"node orders gave {intent!r} at place {place}, not an order intent", node="orders", place=place
            )
    return asked


@dataclass(frozen=True)
class Decision:
    """A decision that is to be executed at one row.

    prices: USD a unit of each position key. known: what the graph's execute stages are given.
    """

    timestamp: str
    rule: DecisionRule
    orders: Sequence[OrderIntent]
    snapshot: MarketSnapshot
    prices: Mapping[str, float]
    known: Values


@dataclass
class Outcome:
    """What executing a decision led to. Amounts in USD, >= 0 but the move of triggered orders, which has a sign.

    holdings: what is held now. passed: the books on the way there. unfinished: what was not done, or not
    in full. last: the order sent last.
    """

    holdings: Holdings
    passed: PassedBooks
    cost_usd: float = 0.0
    triggered_move_usd: float = 0.0
    fees_usd: float = 0.0
    attempted: int = 0
    confirmed: int = 0
    failed: int = 0
    unfinished: Unfinished = field(default_factory=Unfinished)
    last: Order | None = None
