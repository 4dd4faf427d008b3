"""A port that does to orders what venues do in life, by a seeded plan.

An order meets at most two faults: one that changes the fill (partial, off its price, booked twice) and one that
changes whether and how the answer arrives. Chance belongs to the operation, so results do not depend on windows.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from dataflow.venues.faults.draws import Draws
from dataflow.venues.faults.plan import FILL_FAULTS, FaultKind, FaultPlan, FaultRule, FaultTarget
from dataflow.venues.faults.report import FaultReport, InjectedFault
from dataflow.venues.simulated.world import FillTerms, SimulatedWorld
from schemas.clock import Clock
from schemas.errors import (
    ErrorCode,
    JsonScalar,
    VenueAuthenticationError,
    VenueError,
    VenueRateLimitError,
    VenueTimeoutError,
    VenueUnavailableError,
)
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus
from schemas.port import OrderPort

_REFUSALS: Final[Mapping[FaultKind, str]] = {
    FaultKind.REJECT: "Order rejected",
    FaultKind.INSUFFICIENT_BALANCE: "Insufficient balance",
}
_UNSENT: Final[Mapping[FaultKind, tuple[type[VenueError], str]]] = {
    FaultKind.TIMEOUT_BEFORE: (VenueTimeoutError, "the request timed out"),
    FaultKind.RATE_LIMITED: (VenueRateLimitError, "too many requests"),
    FaultKind.AUTHENTICATION_FAILED: (VenueAuthenticationError, "the key was refused"),
}
_LOST: Final = frozenset({FaultKind.TIMEOUT_AFTER, FaultKind.LOST_HANDSHAKE})


@dataclass
class _Met:
    """What one order meets, and how far it has come. ``hidden``: look-ups that will not find it."""

    fill: FaultRule | None = None
    delivery: FaultRule | None = None
    attempts: int = 0
    is_filled: bool = False
    hidden: int = 0
    pending_until: float | None = None
    fill_marks: dict[str, JsonScalar] = field(default_factory=dict)
    delivery_mark: FaultKind | None = None

    def marks(self) -> dict[str, JsonScalar]:
        """What the handshake carries of the faults; ``fault`` names the one that changed the fill, if one did."""
        if self.delivery_mark is None:
            return self.fill_marks
        return {**self.fill_marks, "delivery_fault" if self.fill_marks else "fault": self.delivery_mark.value}


@dataclass(frozen=True)
class _Late:
    """An order, or a group, that is on its way to a venue: when it arrives, and what its first order meets."""

    due: float
    orders: Sequence[Order]
    rule: FaultRule
    met: _Met


class FaultyPort:
    """Orders through a plan of faults to another port.

    world: the simulated venues behind the port, told how to fill. row: row of the run, from 0. execution_timeout:
    seconds after which a slow answer is no answer. valid_for: seconds after which a venue takes no order up any more.
    operations_before: attempted before this partition.
    """

    def __init__(
        self,
        port: OrderPort,
        plan: FaultPlan,
        *,
        mode: str,
        seed: int,
        world: SimulatedWorld,
        clock: Clock,
        row: Callable[[], int],
        execution_timeout: float,
        valid_for: float = math.inf,
        operations_before: int = 0,
    ) -> None:
        self._port, self._world, self._clock, self._row = port, world, clock, row
        rules = [(number, rule) for number, rule in enumerate(plan.rules) if not rule.modes or mode in rule.modes]
        self._rules = {target: [each for each in rules if each[1].target is target] for target in FaultTarget}
        self._draws, self._timeout, self._valid_for = Draws(seed), execution_timeout, valid_for
        self._late: list[_Late] = []
        self._operations = operations_before
        self._report: FaultReport = lambda _: None
        self._met: dict[str, _Met] = {}
        self._instant = ""
        self._last: Order | None = None
        self._questions = 0

    def report_to(self, report: FaultReport) -> None:
        """Send every fault from now on to ``report``."""
        self._report = report

    # -- the port

    def execute(self, order: Order) -> ExecutionHandshake:
        """Pass the order on, or do to it what the plan says."""
        self._take_up_late()
        met = self._meeting(order)
        met.attempts += 1
        self._refuse_outage(FaultTarget.ORDER, order)
        rule = met.delivery if met.delivery is not None and met.attempts <= met.delivery.attempts else None
        if rule is None:
            return self._filled(order, met)
        if rule.kind in _REFUSALS:
            self._tell(rule, order)
            return self._failed(order, rule, _REFUSALS[rule.kind])
        if rule.kind in _UNSENT:
            self._raise_unsent(rule, order)
        if rule.kind is FaultKind.LATE_ACCEPTANCE:
            self._postpone(rule, (order,), met)
        if rule.kind is FaultKind.PENDING:
            return self._pending(order, met, rule)
        handshake = self._filled(order, met)
        met.delivery_mark = rule.kind
        return self._delivered(order, met, rule, handshake)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        """Pass the group on, let one member revert, or lose the answer."""
        first = orders[0]
        self._begin(first, len(orders))
        self._refuse_outage(FaultTarget.GROUP, first)
        rule = self._hit(FaultTarget.GROUP, first, lambda _: True)
        if rule is None:
            return self._port.execute_group(orders)
        if rule.kind in _UNSENT:
            self._raise_unsent(rule, first)
        if rule.kind is FaultKind.LATE_ACCEPTANCE:
            self._postpone(rule, orders, _Met())
        if rule.kind is FaultKind.REVERT:
            return self._reverted(orders, rule)
        handshakes = self._port.execute_group(orders)
        if rule.kind is FaultKind.TIMEOUT_AFTER:
            self._tell(rule, first)
            raise VenueTimeoutError("the group was sent, its answer was lost", venue=first.venue)
        self._wait(rule, first, first.operation_id)
        return handshakes

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """What became of an operation, as far as the venue shows it."""
        self._refuse_blind(venue)
        self._take_up_late()
        met = self._met.get(operation_id)
        if met is None:
            return self._port.find(operation_id, venue)
        if met.pending_until is not None and self._clock.monotonic() < met.pending_until:
            return self._open(operation_id, met)
        if met.hidden > 0:
            met.hidden -= 1
            return None
        found = self._port.find(operation_id, venue)
        return None if found is None else self._marked(found, met)

    def cancel(self, operation_id: str, venue: str) -> None:
        """End an open order that is not to be filled; for one that is filled already, it comes too late."""
        self._refuse_blind(venue)
        self._take_up_late()
        met = self._met.get(operation_id)
        if met is not None and met.delivery is not None and not met.delivery.filled:
            met.pending_until = None
        self._port.cancel(operation_id, venue)

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """The venues' balances, late or not at all where the plan says so."""
        self._questions += 1
        self._take_up_late()
        if self._last is not None:
            if venues is None or self._last.venue in venues:
                self._refuse_blind(self._last.venue)
            rule = self._hit(FaultTarget.BALANCES, self._last, lambda each: self._questions <= each.attempts)
            if rule is not None and rule.kind in _UNSENT:
                self._raise_unsent(rule, self._last)
            if rule is not None:
                self._wait(rule, self._last, f"{self._last.operation_id} {self._questions}")
        return self._port.balances(venues)

    # -- what an order meets

    def _begin(self, order: Order, operations: int) -> None:
        """Count a new unit, and forget what earlier instants met."""
        if self._world.snapshot.timestamp != self._instant:
            self._instant = self._world.snapshot.timestamp
            self._met.clear()
            for late in self._late:
                self._tell(late.rule, late.orders[0], filled_unseen=True)
            self._late.clear()
        self._operations += operations
        self._last, self._questions = order, 0

    def _meeting(self, order: Order) -> _Met:
        """What this order meets: decided at its first attempt."""
        if order.operation_id not in self._met or self._world.snapshot.timestamp != self._instant:
            self._begin(order, 1)
            self._met[order.operation_id] = _Met(
                fill=self._hit(FaultTarget.ORDER, order, lambda rule: rule.kind in FILL_FAULTS),
                delivery=self._hit(FaultTarget.ORDER, order, lambda rule: rule.kind not in FILL_FAULTS),
            )
        return self._met[order.operation_id]

    def _hit(self, target: FaultTarget, order: Order, accept: Callable[[FaultRule], bool]) -> FaultRule | None:
        """The first accepted rule that meets the order."""
        row = self._row()
        for number, rule in self._rules[target]:
            if rule.kind is FaultKind.VENUE_OUTAGE or not accept(rule) or not self._applies(rule, order, row):
                continue
            if self._draws.unit("hit", number, order.operation_id) < rule.probability:
                return rule
        return None

    def _applies(self, rule: FaultRule, order: Order, row: int) -> bool:
        if rule.kind in FILL_FAULTS and not order.is_cex_trade() and rule.kind is not FaultKind.DUPLICATE_CONFIRMATION:
            return False  # a transaction on chain happens as a whole, at the price of its block
        return (
            (not rule.venues or order.venue in rule.venues)
            and (not rule.operations or order.operation in rule.operations)
            and self._in_window(rule, row)
            and self._operations > rule.after_operations
        )

    def _in_window(self, rule: FaultRule, row: int) -> bool:
        return rule.from_row <= row and (rule.to_row is None or row <= rule.to_row)

    # -- outages

    def _outage(self, target: FaultTarget, venue: str, *, reads: bool) -> FaultRule | None:
        """The rule that keeps a venue away at this row."""
        row = self._row()
        for number, rule in self._rules[target]:
            is_out = (
                rule.kind is FaultKind.VENUE_OUTAGE
                and (rule.reads or not reads)
                and (not rule.venues or venue in rule.venues)
                and self._in_window(rule, row)
                and self._operations > rule.after_operations
                and self._draws.unit("outage", number, venue, row // rule.rows) < rule.probability
            )
            if is_out:
                return rule
        return None

    def _refuse_outage(self, target: FaultTarget, order: Order) -> None:
        rule = self._outage(target, order.venue, reads=False)
        if rule is not None and (not rule.operations or order.operation in rule.operations):
            self._tell(rule, order)
            raise VenueUnavailableError(f"{order.venue} is away", venue=order.venue, operation_id=order.operation_id)

    def _refuse_blind(self, venue: str) -> None:
        """Refuse a question to a venue that is wholly away; the order that met the outage has told of it."""
        for target in (FaultTarget.ORDER, FaultTarget.GROUP):
            if self._outage(target, venue, reads=True) is not None:
                raise VenueUnavailableError(f"{venue} is away", venue=venue)

    # -- fills

    def _filled(self, order: Order, met: _Met) -> ExecutionHandshake:
        """Pass the order on with the terms it meets; what the venue refuses by itself met none."""
        rule = None if met.is_filled else met.fill
        if rule is not None and rule.kind is not FaultKind.DUPLICATE_CONFIRMATION:
            self._world.terms[order.operation_id] = self._terms(order, rule)
        handshake = self._port.execute(order)
        if rule is None or not handshake.was_successful():
            return self._marked(handshake, met)
        met.is_filled = True
        facts: dict[str, JsonScalar] = {}
        if rule.kind is FaultKind.DUPLICATE_CONFIRMATION:
            self._world.book(order, handshake)
        else:
            terms = self._world.terms[order.operation_id]
            facts = {"share": terms.share} if rule.kind is FaultKind.PARTIAL_FILL else {"shift": terms.price_shift}
        met.fill_marks = {"fault": rule.kind.value, **facts}
        self._tell(rule, order, **facts)
        return self._marked(handshake, met)

    def _terms(self, order: Order, rule: FaultRule) -> FillTerms:
        if rule.kind is FaultKind.PARTIAL_FILL:
            return FillTerms(share=self._draws.between(rule.share, "share", order.operation_id))
        return FillTerms(price_shift=self._draws.between(rule.shift, "shift", order.operation_id))

    def _reverted(self, orders: Sequence[Order], rule: FaultRule) -> tuple[ExecutionHandshake, ...]:
        first = orders[0]
        drawn = self._draws.below(len(orders), "member", first.operation_id)
        member = drawn if rule.member is None else min(rule.member, len(orders) - 1)
        self._world.terms[orders[member].operation_id] = FillTerms(reverts="Execution reverted")
        self._tell(rule, orders[member], member=member)
        handshakes = self._port.execute_group(orders)
        marks = _Met(fill_marks={"fault": rule.kind.value, "member": member})
        return tuple(self._marked(handshake, marks) for handshake in handshakes)

    # -- answers

    def _delivered(self, order: Order, met: _Met, rule: FaultRule, handshake: ExecutionHandshake) -> ExecutionHandshake:
        """What reaches the caller of an answer that the venue has given."""
        if rule.kind in _LOST:
            met.hidden = int(rule.kind is FaultKind.LOST_HANDSHAKE)
            self._tell(rule, order)
            raise VenueTimeoutError("the answer was lost", venue=order.venue, operation_id=order.operation_id)
        if rule.kind is FaultKind.INVALID_ANSWER:
            self._tell(rule, order)
            return self._marked(handshake, met).model_copy(update={"operation_id": f"{order.operation_id}_other"})
        self._wait(rule, order, f"{order.operation_id} {met.attempts}")
        return self._marked(handshake, met)

    def _wait(self, rule: FaultRule, order: Order, question: str) -> None:
        """Let a slow answer take its time; beyond the timeout it is none."""
        seconds = self._draws.between(rule.seconds, "seconds", question)
        self._tell(rule, order, seconds=seconds)
        self._clock.sleep(min(seconds, self._timeout))
        if seconds > self._timeout:
            raise VenueTimeoutError(
                f"no answer within {self._timeout:g} s", venue=order.venue, operation_id=order.operation_id
            )

    def _pending(self, order: Order, met: _Met, rule: FaultRule) -> ExecutionHandshake:
        """Answer that the outcome is open; it is decided at the venue already and shows later."""
        seconds = self._draws.between(rule.seconds, "seconds", order.operation_id)
        met.pending_until = self._clock.monotonic() + seconds
        met.delivery_mark = rule.kind
        self._tell(rule, order, seconds=seconds, filled=rule.filled)
        if rule.filled:
            self._filled(order, met)
        else:
            self._failed(order, rule, "Order rejected")
        return self._open(order.operation_id, met)

    def _postpone(self, rule: FaultRule, orders: Sequence[Order], met: _Met) -> NoReturn:
        """Lose the answer, and let the order arrive later: never, where the venue takes it up no more by then."""
        first = orders[0]
        seconds = self._draws.between(rule.seconds, "seconds", first.operation_id)
        if seconds <= self._valid_for:
            self._late.append(_Late(self._clock.monotonic() + seconds, orders, rule, met))
        self._tell(rule, first, seconds=seconds)
        raise VenueTimeoutError("the request timed out", venue=first.venue, operation_id=first.operation_id)

    def _take_up_late(self) -> None:
        """Let arrive what is due. An exchange knows the ids of open orders alone: what was filled is filled again."""
        now = self._clock.monotonic()
        due = [late for late in self._late if late.due <= now]
        self._late = [late for late in self._late if late.due > now]
        for late in due:
            first, known = late.orders[0], self._world.answers.get(late.orders[0].operation_id)
            late.met.delivery_mark = late.rule.kind
            if len(late.orders) > 1:
                self._port.execute_group(late.orders)
            elif known is None or not known.was_successful():
                self._filled(first, late.met)
            elif first.is_cex_trade():
                self._world.book(first, known)
                self._tell(late.rule, first, filled_again=True)

    def _open(self, operation_id: str, met: _Met) -> ExecutionHandshake:
        return ExecutionHandshake(
            operation_id=operation_id,
            status=ExecutionStatus.PENDING,
            submitted_at=self._world.instant,
            venue_metadata=met.marks(),
            simulated=True,
        )

    def _failed(self, order: Order, rule: FaultRule, message: str) -> ExecutionHandshake:
        """A refusal that look-ups find as well."""
        refused = self._world.refused(order, ErrorCode.EXEC_ORDER_FAILED, message)
        return refused.model_copy(update={"venue_metadata": {"fault": rule.kind.value}})

    def _marked(self, handshake: ExecutionHandshake, met: _Met) -> ExecutionHandshake:
        marks = met.marks()
        if not marks:
            return handshake
        return handshake.model_copy(update={"venue_metadata": {**handshake.venue_metadata, **marks}})

    # -- telling

    def _raise_unsent(self, rule: FaultRule, order: Order) -> NoReturn:
        """An order or a question that never arrived."""
        error, message = _UNSENT[rule.kind]
        self._tell(rule, order)
        raise error(message, venue=order.venue, operation_id=order.operation_id)

    def _tell(self, rule: FaultRule, order: Order, **facts: JsonScalar) -> None:
        self._report(
            InjectedFault(
                rule.kind, self._world.snapshot.timestamp, order.operation_id, order.venue, tuple(facts.items())
            )
        )
