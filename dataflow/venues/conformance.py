"""The numbered cases that every venue behind the port must pass, simulated or real.

A venue joins by a bench: a port in a known state and orders that it can, or cannot, carry out. Cases are never changed
for a venue; one is skipped only where the venue does not declare a feature that the case needs. ``docs/venues.md``
lists cases and capabilities.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from dataflow.maths.perps import realised_pnl
from dataflow.venues.capabilities import Capabilities, Feature
from schemas.errors import ErrorCode, RoutingError
from schemas.instruments import PositionKey, PositionType, cex_key, wallet_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import FLASH_OPERATIONS, ExecutionStatus, OperationType
from schemas.port import OrderPort


class NonConformanceError(AssertionError):
    """A venue broke a case."""


class Bench(Protocol):
    """A venue as the cases meet it.

    tolerance: share of an expected change by which an actual one may differ; 1e-9 where nothing moves meanwhile.
    """

    venue: str
    capabilities: Capabilities
    tolerance: float

    def port(self) -> OrderPort:
        """A port whose venue is in the prepared state: every order below is within its means."""
        ...

    def instant(self) -> datetime:
        """The engine's instant, UTC."""
        ...

    def entry_price(self, position_key: str) -> float:
        """Average entry price of a prepared perpetual, quote per base."""
        ...

    def order(self, operation: OperationType, operation_id: str) -> Order:
        """An order of the venue that can be carried out; a perpetual order reduces the prepared position."""
        ...

    def unaffordable(self, operation: OperationType, operation_id: str) -> Order | None:
        """The same order for more than is held; None where the operation needs no balance."""
        ...

    def unsupported(self, operation_id: str) -> Order:
        """An order for an operation that the venue does not declare."""
        ...

    def group(self, group_id: str) -> Sequence[Order]:
        """An atomic group with an order of the venue in it; its last member carries the gas."""
        ...

    def broken_group(self, group_id: str) -> Sequence[Order]:
        """The same group with one member, not the first, for more than is held."""
        ...

    def unpaid_group(self, group_id: str) -> Sequence[Order]:
        """The same group without the repayment of its flash loan."""
        ...


@dataclass(frozen=True)
class Case:
    """One claim about every venue that has the features it needs."""

    number: str
    claim: str
    needs: frozenset[Feature]
    check: Callable[[Bench], None]

    def missing(self, capabilities: Capabilities) -> tuple[Feature, ...]:
        """Features that the case needs and the venue does not declare: the only reason to skip it."""
        return tuple(feature for feature in Feature if feature in self.needs - capabilities.features)


class Verdict(StrEnum):
    """What became of a case."""

    PASSED = "passed"
    SKIPPED = "skipped"
    BROKEN = "broken"


def verdicts(bench: Bench) -> dict[str, tuple[Verdict, str]]:
    """Every case at one venue: case number to verdict and, where it did not pass, why."""
    found: dict[str, tuple[Verdict, str]] = {}
    for case in CASES:
        missing = case.missing(bench.capabilities)
        if missing:
            found[case.number] = (Verdict.SKIPPED, f"needs {', '.join(missing)}")
            continue
        try:
            case.check(bench)
        except NonConformanceError as error:
            found[case.number] = (Verdict.BROKEN, str(error))
        else:
            found[case.number] = (Verdict.PASSED, "")
    return found


def _demand(holds: bool, fault: str) -> None:
    if not holds:
        raise NonConformanceError(fault)


def _alone(bench: Bench) -> list[OperationType]:
    return sorted(bench.capabilities.operations - FLASH_OPERATIONS)


def _filled(bench: Bench, operation: OperationType) -> tuple[OrderPort, Order, ExecutionHandshake]:
    """An order that the venue has confirmed."""
    port, order = bench.port(), bench.order(operation, f"{bench.venue}-{operation}")
    handshake = port.execute(order)
    _demand(
        handshake.status is ExecutionStatus.CONFIRMED,
        f"{operation} within the balances is {handshake.status}: {handshake.error_message}",
    )
    return port, order, handshake


def _balances(port: OrderPort) -> dict[str, float]:
    """Reported balances, ETH and WETH of the wallet as the one asset they are (ruling 7)."""
    reported = port.balances()
    _demand(reported is not None, "the venue declares balances and reports none")
    assert reported is not None
    return _merged(reported)


def _merged(amounts: Mapping[str, float]) -> dict[str, float]:
    merged = {key: amount for key, amount in amounts.items() if key != wallet_key("ETH")}
    if wallet_key("ETH") in amounts:
        merged[wallet_key("WETH")] = merged.get(wallet_key("WETH"), 0.0) + amounts[wallet_key("ETH")]
    return merged


def _fee_key(order: Order, handshake: ExecutionHandshake) -> str:
    if order.is_cex_trade():
        return cex_key(order.venue, handshake.fee_currency)
    return wallet_key("WETH" if handshake.fee_currency == "ETH" else handshake.fee_currency)


def _moves(bench: Bench, orders: Sequence[Order], handshakes: Sequence[ExecutionHandshake]) -> dict[str, float]:
    """What fills must do to balances: their deltas, less their fees, plus the profit that they realise."""
    moves: dict[str, float] = {}
    for order, handshake in zip(orders, handshakes, strict=True):
        changes = list(_merged(handshake.actual_deltas).items())
        changes.append((_fee_key(order, handshake), -handshake.fee_amount))
        changes += [
            (cex_key(order.venue, "USDT"), _realised(bench, key, change, handshake))
            for key, change in handshake.actual_deltas.items()
            if PositionKey.parse(key).position_type is PositionType.PERP
        ]
        for key, change in changes:
            moves[key] = moves.get(key, 0.0) + change
    return moves


def _realised(bench: Bench, key: str, change: float, handshake: ExecutionHandshake) -> float:
    before = (bench.port().balances() or {})[key]
    price = handshake.execution_details["executed_price"]
    _demand(isinstance(price, float), "a perpetual fill gives no executed_price")
    assert isinstance(price, float)
    return realised_pnl(before, bench.entry_price(key), change, price)


def _demand_moved(before: Mapping[str, float], after: Mapping[str, float], moves: Mapping[str, float]) -> None:
    for key in {*before, *after, *moves}:
        expected = before.get(key, 0.0) + moves.get(key, 0.0)
        scale = max(abs(before.get(key, 0.0)), abs(moves.get(key, 0.0)), 1.0)
        gap = after.get(key, 0.0) - expected
        _demand(abs(gap) <= 1e-9 * scale, f"{key} is off by {gap!r} of what the answers say")


# -- the cases


def _echoes(bench: Bench) -> None:
    for operation in _alone(bench):
        _, order, handshake = _filled(bench, operation)
        _demand(handshake.operation_id == order.operation_id, f"{operation} answers about {handshake.operation_id}")


def _own_keys(bench: Bench) -> None:
    for operation in _alone(bench):
        _, order, handshake = _filled(bench, operation)
        touched = {"wallet", order.venue, order.source_venue, order.target_venue}
        touched |= {delta.venue for delta in order.expected_deltas}
        strange = [key for key in handshake.actual_deltas if PositionKey.parse(key).venue not in touched]
        _demand(not strange, f"{operation} changed {', '.join(strange)}")


def _as_expected(bench: Bench) -> None:
    for operation in _alone(bench):
        _, order, handshake = _filled(bench, operation)
        executed = handshake.execution_details.get("executed_amount", order.amount)
        assert isinstance(executed, int | float)
        share = executed / order.amount
        for delta in order.expected_deltas:
            actual, expected = handshake.actual_deltas.get(delta.position_key, 0.0), delta.delta_amount * share
            within = abs(actual - expected) <= bench.tolerance * abs(expected)
            _demand(within, f"{operation} changed {delta.position_key} by {actual!r}, expected {expected!r}")
        extra = set(handshake.actual_deltas) - {delta.position_key for delta in order.expected_deltas}
        _demand(not extra, f"{operation} changed {', '.join(sorted(extra))} unexpectedly")


def _finite(bench: Bench) -> None:
    for operation in _alone(bench):
        _, order, handshake = _filled(bench, operation)
        details = [value for value in handshake.execution_details.values() if isinstance(value, float)]
        numbers = [*handshake.actual_deltas.values(), handshake.fee_amount, *details]
        _demand(all(math.isfinite(number) for number in numbers), f"{operation} answers a number that is not finite")
        executed = handshake.execution_details.get("executed_amount", order.amount)
        assert isinstance(executed, int | float)
        _demand(0.0 < executed <= order.amount, f"{operation} executed {executed!r} of {order.amount!r}")
        price = handshake.execution_details.get("executed_price")
        if order.is_cex_trade():
            _demand(isinstance(price, float) and price > 0.0, f"{operation} gives executed_price {price!r}")


def _instants(bench: Bench) -> None:
    for operation in _alone(bench):
        _, _, handshake = _filled(bench, operation)
        _demand(handshake.submitted_at == bench.instant(), f"{operation} was submitted at {handshake.submitted_at}")
        done = handshake.executed_at
        _demand(done is not None and done >= handshake.submitted_at, f"{operation} was executed at {done}")


def _refuses_unaffordable(bench: Bench) -> None:
    for operation in _alone(bench):
        order = bench.unaffordable(operation, f"{bench.venue}-{operation}-too-much")
        if order is None:
            continue
        handshake = bench.port().execute(order)
        _demand(handshake.was_failed(), f"{operation} for more than is held is {handshake.status}")
        _demand(bool(handshake.error_code and handshake.error_message), f"{operation} is refused without a reason")


def _refusal_changes_nothing(bench: Bench) -> None:
    for operation in _alone(bench):
        order = bench.unaffordable(operation, f"{bench.venue}-{operation}-too-much")
        if order is None:
            continue
        port = bench.port()
        before = dict(port.balances() or {})
        handshake = port.execute(order)
        _demand(not handshake.actual_deltas and handshake.fee_amount == 0.0, f"a refused {operation} reports changes")
        _demand(before == dict(port.balances() or {}), f"a refused {operation} changed a balance")


def _refuses_unsupported(bench: Bench) -> None:
    port, order = bench.port(), bench.unsupported(f"{bench.venue}-unsupported")
    before = port.balances()
    try:
        handshake = port.execute(order)
    except RoutingError:
        _demand(before == port.balances(), "an order that was not routed changed a balance")
        return
    raise NonConformanceError(f"{order.operation} is not declared and is {handshake.status}")


def _finds(bench: Bench) -> None:
    for operation in _alone(bench):
        port, order, handshake = _filled(bench, operation)
        _demand(port.find(order.operation_id, order.venue) == handshake, f"{operation} is found as something else")
        refused = bench.unaffordable(operation, f"{bench.venue}-{operation}-too-much")
        if refused is not None:
            answer = port.execute(refused)
            _demand(port.find(refused.operation_id, order.venue) == answer, f"a refused {operation} is found otherwise")


def _finds_nothing(bench: Bench) -> None:
    _demand(bench.port().find("never-sent", bench.venue) is None, "an operation that never was is found")


def _fills_once(bench: Bench) -> None:
    for operation in _alone(bench):
        port, order, handshake = _filled(bench, operation)
        before = dict(port.balances() or {})
        _demand(port.execute(order) == handshake, f"{operation} sent twice is answered differently")
        _demand(before == dict(port.balances() or {}), f"{operation} sent twice is filled twice")


def _fills_each(bench: Bench) -> None:
    for operation in _alone(bench):
        port, order, handshake = _filled(bench, operation)
        before = dict(port.balances() or {})
        other = port.execute(order.model_copy(update={"operation_id": f"{order.operation_id}-again"}))
        _demand(other.operation_id != handshake.operation_id, f"{operation} under another id is taken for the first")
        _demand(before != dict(port.balances() or {}), f"{operation} under another id is not filled")


def _retries(bench: Bench) -> None:
    for operation in _alone(bench):
        identifier = f"{bench.venue}-{operation}-retried"
        refused = bench.unaffordable(operation, identifier)
        if refused is None:
            continue
        port = bench.port()
        port.execute(refused)
        handshake = port.execute(bench.order(operation, identifier))
        _demand(handshake.was_successful(), f"{operation} refused once is {handshake.status} for ever")


def _balances_move(bench: Bench) -> None:
    for operation in _alone(bench):
        before = _balances(bench.port())
        port, order, handshake = _filled(bench, operation)
        _demand_moved(before, _balances(port), _moves(bench, [order], [handshake]))


def _quote_fee(bench: Bench) -> None:
    for operation in _alone(bench):
        _, order, handshake = _filled(bench, operation)
        assert order.pair is not None
        _demand(handshake.fee_amount > 0.0, f"{operation} is free")
        _demand(order.pair.endswith(handshake.fee_currency), f"{operation} is charged in {handshake.fee_currency}")


def _gas(bench: Bench) -> None:
    for operation in _alone(bench):
        _, _, handshake = _filled(bench, operation)
        _demand(handshake.fee_amount > 0.0, f"{operation} pays no gas")
        _demand(handshake.fee_currency in ("ETH", "USDT"), f"{operation} pays gas in {handshake.fee_currency}")


def _realises(bench: Bench) -> None:
    _, order, handshake = _filled(bench, OperationType.PERP_TRADE)
    moves = _moves(bench, [order], [handshake])
    profit = moves[cex_key(order.venue, "USDT")] + handshake.fee_amount
    _demand(profit != 0.0, "reducing a perpetual away from its entry price realises nothing")


def _group_done(bench: Bench) -> None:
    port, orders = bench.port(), bench.group("group")
    before = _balances(port)
    handshakes = port.execute_group(orders)
    asked = [order.operation_id for order in orders]
    _demand([h.operation_id for h in handshakes] == asked, "a group is not answered member by member, in sequence")
    _demand(all(h.was_successful() for h in handshakes), f"a group within its means is {handshakes[-1].status}")
    _demand_moved(before, _balances(port), _moves(bench, orders, handshakes))


def _demand_undone(port: OrderPort, orders: Sequence[Order], before: Mapping[str, float] | None) -> None:
    handshakes = port.execute_group(orders)
    _demand(all(h.was_rolled_back() for h in handshakes), "a member of a failed group is not rolled_back")
    _demand(not any(h.actual_deltas or h.fee_amount for h in handshakes), "a rolled back member reports changes")
    own = [h for h in handshakes if h.error_code is not ErrorCode.EXEC_GROUP_ROLLED_BACK]
    _demand(len(own) == 1, f"{len(own)} members of a failed group have a code of their own, not one")
    _demand(before == port.balances(), "a failed group changed a balance")


def _group_undone(bench: Bench) -> None:
    port = bench.port()
    _demand_undone(port, bench.broken_group("broken"), port.balances())


def _group_gas(bench: Bench) -> None:
    handshakes = bench.port().execute_group(bench.group("group"))
    paid = [handshake.fee_amount for handshake in handshakes if handshake.fee_amount > 0.0]
    _demand(len(paid) == 1, f"{len(paid)} members of a group paid gas, not one")


def _group_once(bench: Bench) -> None:
    port, orders = bench.port(), bench.group("group")
    first = port.execute_group(orders)
    before = port.balances()
    _demand(port.execute_group(orders) == first, "a group sent twice is answered differently")
    _demand(before == port.balances(), "a group sent twice is done twice")


def _loan_repaid(bench: Bench) -> None:
    port = bench.port()
    _demand_undone(port, bench.unpaid_group("unpaid"), port.balances())


def _loan_grouped(bench: Bench) -> None:
    port, order = bench.port(), bench.group("group")[0]
    alone = order.model_copy(
        update={"atomic_group_id": None, "sequence_in_group": None, "execution_mode": "sequential"}
    )
    before = port.balances()
    _demand(port.execute(alone).was_failed(), "a flash loan outside a group is granted")
    _demand(before == port.balances(), "a flash loan outside a group changed a balance")


def _cancels_nothing_done(bench: Bench) -> None:
    for operation in _alone(bench):
        port, order, handshake = _filled(bench, operation)
        before = dict(port.balances() or {})
        port.cancel(order.operation_id, order.venue)
        _demand(port.find(order.operation_id, order.venue) == handshake, f"a filled {operation} was cancelled")
        _demand(before == dict(port.balances() or {}), f"cancelling a filled {operation} changed a balance")
    bench.port().cancel("never-sent", bench.venue)


def _balances_by_venue(bench: Bench) -> None:
    port = bench.port()
    everything = dict(port.balances() or {})
    own = {key: units for key, units in everything.items() if PositionKey.parse(key).venue == bench.venue}
    _demand(dict(port.balances((bench.venue,)) or {}) == own, "asked for one venue, others answer, or not all of it")
    _demand(not port.balances(()), "asked for no venue, one answers")


_SINGLE, _FIND, _BOOKS = Feature.SINGLE_ORDERS, Feature.LOOK_UP, Feature.BALANCES
_GROUP = Feature.ATOMIC_GROUPS

_CLAIMS: Final[Sequence[tuple[str, Sequence[Feature], Callable[[Bench], None]]]] = (
    ("The answer names the operation id of the order.", (_SINGLE,), _echoes),
    ("A fill changes balances of the order's venues and of the wallet alone.", (_SINGLE,), _own_keys),
    (
        "A fill changes the keys that the order expects, by what it expects for the filled share.",
        (_SINGLE,),
        _as_expected,
    ),
    (
        "Numbers are finite, the executed amount is above 0 and at most the order's, a trade has a price.",
        (_SINGLE,),
        _finite,
    ),
    ("Instants are the engine's, UTC, and none is executed before it was submitted.", (_SINGLE,), _instants),
    (
        "An order for more than is held is a failed handshake with code and reason, not an exception.",
        (_SINGLE,),
        _refuses_unaffordable,
    ),
    ("A failed order changes nothing and costs nothing.", (_SINGLE, _BOOKS), _refusal_changes_nothing),
    ("An operation that the venue does not declare is refused with VEN-001.", (), _refuses_unsupported),
    ("A look-up gives the very answer that the order got, fill or refusal.", (_SINGLE, _FIND), _finds),
    ("A look-up of an operation that was never sent gives none.", (_FIND,), _finds_nothing),
    ("The same operation id twice is one fill and one answer.", (_SINGLE, Feature.IDEMPOTENCE, _BOOKS), _fills_once),
    ("The same order under two operation ids is two fills.", (_SINGLE, _BOOKS), _fills_each),
    ("An order that was refused can be sent again under its id.", (_SINGLE,), _retries),
    (
        "Balances move by the deltas, the fee and the realised profit, and by nothing else.",
        (_SINGLE, _BOOKS),
        _balances_move,
    ),
    ("A trade is charged a fee in the quote asset.", (_SINGLE, Feature.FEE_IN_QUOTE), _quote_fee),
    ("An on-chain operation pays gas from the wallet, in ETH or USDT.", (_SINGLE, Feature.GAS), _gas),
    ("Reducing a perpetual realises profit or loss in USDT.", (Feature.REALISED_PROFIT, _BOOKS), _realises),
    ("A group is answered member by member in sequence, and balances move by the sum.", (_GROUP, _BOOKS), _group_done),
    (
        "A group of which one member fails changes nothing; all are rolled back, one keeps its own code.",
        (_GROUP, _BOOKS),
        _group_undone,
    ),
    ("A group pays gas once.", (_GROUP, Feature.GAS), _group_gas),
    ("A group sent twice is done once.", (_GROUP, Feature.IDEMPOTENCE, _BOOKS), _group_once),
    ("A group that leaves a flash loan unpaid is undone.", (Feature.FLASH_LOANS, _GROUP, _BOOKS), _loan_repaid),
    ("A flash loan outside a group is refused.", (Feature.FLASH_LOANS, _BOOKS), _loan_grouped),
    (
        "Cancelling an operation that is done changes nothing; of one that never was, it is no error.",
        (_SINGLE, _FIND, _BOOKS),
        _cancels_nothing_done,
    ),
    ("Balances asked for some venues are all of those venues and none of others.", (_BOOKS,), _balances_by_venue),
)

CASES: Final = tuple(
    Case(f"C{number:02d}", claim, frozenset(needs), check)
    for number, (claim, needs, check) in enumerate(_CLAIMS, start=1)
)
"""Every case. The list is append only, so that a number keeps its claim."""
