"""What can go wrong at a venue, and a plan that says how often, where and how badly."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple, Self

from pydantic import Field, model_validator

from schemas.errors import ErrorCode
from schemas.models.config_base import ConfigModel, ListOrder, ModeName, SetOf
from schemas.models.message import VenueId
from schemas.operations import OperationType


class FaultKind(StrEnum):
    """The faults; the value is the text of plans and of the event log."""

    REJECT = "reject"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    PARTIAL_FILL = "partial_fill"
    STALE_PRICE = "stale_price"
    DUPLICATE_CONFIRMATION = "duplicate_confirmation"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    LOST_HANDSHAKE = "lost_handshake"
    PENDING = "pending"
    SLOW_ANSWER = "slow_answer"
    RATE_LIMITED = "rate_limited"
    VENUE_OUTAGE = "venue_outage"
    AUTHENTICATION_FAILED = "authentication_failed"
    INVALID_ANSWER = "invalid_answer"
    REVERT = "revert"
    LATE_ACCEPTANCE = "late_acceptance"


class FaultTarget(StrEnum):
    """What a rule meets: a single order, an atomic group, or the question for balances after either."""

    ORDER = "order"
    GROUP = "group"
    BALANCES = "balances"


class FaultFacts(NamedTuple):
    """What is fixed about a kind: the code of its event, what it can meet, the parameters it reads."""

    code: ErrorCode
    targets: tuple[FaultTarget, ...]
    parameters: tuple[str, ...]


_ORDER, _GROUP, _BALANCES = FaultTarget.ORDER, FaultTarget.GROUP, FaultTarget.BALANCES

FACTS: Final[Mapping[FaultKind, FaultFacts]] = MappingProxyType(
    {
        FaultKind.REJECT: FaultFacts(ErrorCode.EXEC_ORDER_FAILED, (_ORDER,), ("attempts",)),
        FaultKind.INSUFFICIENT_BALANCE: FaultFacts(ErrorCode.EXEC_ORDER_FAILED, (_ORDER,), ("attempts",)),
        FaultKind.PARTIAL_FILL: FaultFacts(ErrorCode.EXEC_ORDER_FAILED, (_ORDER,), ("share",)),
        FaultKind.STALE_PRICE: FaultFacts(ErrorCode.EXEC_POSITION_MISMATCH, (_ORDER,), ("shift",)),
        FaultKind.DUPLICATE_CONFIRMATION: FaultFacts(ErrorCode.POS_RECONCILIATION_MISMATCH, (_ORDER,), ()),
        FaultKind.TIMEOUT_BEFORE: FaultFacts(ErrorCode.VEN_TIMEOUT, (_ORDER, _GROUP, _BALANCES), ("attempts",)),
        FaultKind.TIMEOUT_AFTER: FaultFacts(ErrorCode.VEN_TIMEOUT, (_ORDER, _GROUP), ("attempts",)),
        FaultKind.LOST_HANDSHAKE: FaultFacts(ErrorCode.VEN_TIMEOUT, (_ORDER,), ("attempts",)),
        FaultKind.PENDING: FaultFacts(ErrorCode.VEN_TIMEOUT, (_ORDER,), ("seconds", "filled")),
        FaultKind.SLOW_ANSWER: FaultFacts(ErrorCode.VEN_TIMEOUT, (_ORDER, _GROUP, _BALANCES), ("seconds", "attempts")),
        FaultKind.RATE_LIMITED: FaultFacts(ErrorCode.VEN_RATE_LIMITED, (_ORDER, _GROUP, _BALANCES), ("attempts",)),
        FaultKind.VENUE_OUTAGE: FaultFacts(ErrorCode.VEN_UNAVAILABLE, (_ORDER, _GROUP), ("rows", "reads")),
        FaultKind.AUTHENTICATION_FAILED: FaultFacts(ErrorCode.VEN_AUTHENTICATION_FAILED, (_ORDER, _GROUP), ()),
        FaultKind.INVALID_ANSWER: FaultFacts(ErrorCode.EXEC_HANDSHAKE_INVALID, (_ORDER,), ()),
        FaultKind.REVERT: FaultFacts(ErrorCode.EXEC_GROUP_ROLLED_BACK, (_GROUP,), ("member",)),
        FaultKind.LATE_ACCEPTANCE: FaultFacts(ErrorCode.VEN_TIMEOUT, (_ORDER, _GROUP), ("seconds",)),
    }
)
"""Kind to its facts; the table of ``docs/faults.md``."""

FILL_FAULTS: Final = frozenset({FaultKind.PARTIAL_FILL, FaultKind.STALE_PRICE, FaultKind.DUPLICATE_CONFIRMATION})
"""Kinds that change what the venue does; all others change whether and how its answer arrives."""

_PARAMETERS: Final = frozenset(name for facts in FACTS.values() for name in facts.parameters)

Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)]
Shift = Annotated[float, Field(gt=-0.5, lt=0.5, allow_inf_nan=False)]
Wait = Annotated[float, Field(ge=0.0, le=86_400.0, allow_inf_nan=False)]
Rows = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class FaultRule(ConfigModel):
    """One kind of fault: how probable it is, what it meets, how bad it is.

    A filter that is empty lets everything through. Ranges are drawn from evenly.
    """

    kind: FaultKind
    """What happens."""
    probability: Probability
    """For each order, group or question that passes the filters; of an outage, for each venue and block of rows."""
    at: FaultTarget | None = None
    """What it meets; without one the first thing that the kind can meet."""
    venues: SetOf[VenueId] = ()
    """Only orders at these venues."""
    operations: SetOf[OperationType] = ()
    """Only these operations; of a group, that of its first member."""
    modes: SetOf[ModeName] = ()
    """Only runs of these modes."""
    from_row: Rows = 0
    """First row, 0 is the first of the run."""
    to_row: Rows | None = None
    """Last row; none: the end of the run."""
    after_operations: Rows = 0
    """Only once the run has attempted so many operations."""
    attempts: Count = 1
    """How many attempts at one order, or questions in a row, it spoils."""
    share: Annotated[tuple[Share, Share], ListOrder.SEQUENCE] = (0.1, 0.9)
    """Share of the amount that is filled, least and most."""
    shift: Annotated[tuple[Shift, Shift], ListOrder.SEQUENCE] = (-0.005, 0.005)
    """Distance of the executed price from the quoted one, as a fraction of it; > 0 is higher."""
    seconds: Annotated[tuple[Wait, Wait], ListOrder.SEQUENCE] = (0.1, 5.0)
    """How long the answer takes, or the venue to take the order up."""
    filled: bool = True
    """Whether a pending order turns out to be filled, or else rejected."""
    rows: Count = 1
    """Length of an outage; blocks of so many rows are out or not as a whole."""
    reads: bool = False
    """Whether an outage also takes look-ups and balances away."""
    member: Annotated[int, Field(ge=0)] | None = None
    """Member of the group that reverts, from 0, the last one where the group is shorter; none: any."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        facts = FACTS[self.kind]
        if self.at is not None and self.at not in facts.targets:
            raise ValueError(f"{self.kind} cannot meet {self.at}; it can meet {', '.join(facts.targets)}")
        unread = sorted((self.model_fields_set & _PARAMETERS) - set(facts.parameters))
        if unread:
            raise ValueError(f"{self.kind} does not read {', '.join(unread)}; remove it")
        for name in ("share", "shift", "seconds"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name} must give the smaller number first: write [{most:g}, {least:g}]")
        if self.to_row is not None and self.to_row < self.from_row:
            raise ValueError("to_row is before from_row")
        return self

    @property
    def target(self) -> FaultTarget:
        """What the rule meets."""
        return self.at or FACTS[self.kind].targets[0]


class FaultPlan(ConfigModel):
    """A named list of rules.

    The first rule that hits among those that change the fill, and the first among the others, meet an order.
    """

    name: Annotated[str, Field(min_length=1)]
    """Name, that of its file."""
    description: str
    """What it is for, in a sentence."""
    rules: Annotated[tuple[FaultRule, ...], ListOrder.SEQUENCE] = ()
    """The rules."""
