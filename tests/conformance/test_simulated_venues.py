"""The simulated venues pass the numbered cases of ``dataflow.venues.conformance``, so that a backtest proves something.

Each case runs at each venue; it is skipped only where the venue does not declare a feature the case needs, and the
declarations are themselves held to: a venue that declares less than it does, or a suite that no broken venue fails,
would prove nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from dataflow.venues.capabilities import Capabilities, Feature
from dataflow.venues.conformance import CASES, Bench, Case, NonConformanceError, Verdict, verdicts
from schemas.errors import ErrorCode
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus, OperationType
from schemas.port import OrderPort
from tests.conformance.bench import SimulatedBench
from tests.support.catalogue import SIMULATED

_BY_NUMBER = {case.number: case for case in CASES}


_DECLARED = [
    pytest.param(venue, case, id=f"{venue}-{case.number}")
    for venue, capabilities in SIMULATED.items()
    for case in CASES
    if not case.missing(capabilities)
]


@pytest.mark.parametrize(("venue", "case"), _DECLARED)
def test_venue_passes_case(venue: str, case: Case) -> None:
    case.check(SimulatedBench(venue))


def test_every_case_is_met_by_some_venue() -> None:
    for case in CASES:
        assert any(not case.missing(capabilities) for capabilities in SIMULATED.values()), case.number


def test_case_numbers_are_one_to_n() -> None:
    assert [case.number for case in CASES] == [f"C{n:02d}" for n in range(1, len(CASES) + 1)]


def test_every_operation_has_a_simulated_venue_that_may_do_it() -> None:
    for operation in OperationType:
        assert any(operation in capabilities.operations for capabilities in SIMULATED.values()), operation


def test_verdicts_say_what_passed_and_why_the_rest_was_skipped() -> None:
    found = verdicts(SimulatedBench("wallet"))
    assert found["C01"] == (Verdict.PASSED, "")
    assert found["C18"] == (Verdict.SKIPPED, "needs atomic groups")
    assert Verdict.BROKEN not in {verdict for verdict, _ in found.values()}


# -- venues that break a case are found out


class Faulty:
    """A venue that is right but for one thing."""

    def __init__(self, port: OrderPort) -> None:
        self.inner = port

    def execute(self, order: Order) -> ExecutionHandshake:
        return self.inner.execute(order)

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        return self.inner.execute_group(orders)

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        return self.inner.find(operation_id, venue)

    def cancel(self, operation_id: str, venue: str) -> None:
        """Pass a cancellation on."""
        self.inner.cancel(operation_id, venue)

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        return self.inner.balances(venues)


class Misnames(Faulty):
    """Answers about another operation."""

    def execute(self, order: Order) -> ExecutionHandshake:
        return self.inner.execute(order).model_copy(update={"operation_id": "another"})


class TouchesOthers(Faulty):
    """Reports a change at a venue that has no part in the order."""

    def execute(self, order: Order) -> ExecutionHandshake:
        done = self.inner.execute(order)
        strange = {**done.actual_deltas, "bybit:BaseToken:ETH": 1.0}
        return done.model_copy(update={"actual_deltas": strange})


class FillsOff(Faulty):
    """Fills 0.1 % beside what is expected."""

    def execute(self, order: Order) -> ExecutionHandshake:
        done = self.inner.execute(order)
        return done.model_copy(update={"actual_deltas": {k: 1.001 * v for k, v in done.actual_deltas.items()}})


class Infinite(Faulty):
    """Charges an infinite fee."""

    def execute(self, order: Order) -> ExecutionHandshake:
        return self.inner.execute(order).model_copy(update={"fee_amount": float("inf")})


class LivesInThePast(Faulty):
    """Has a clock of its own."""

    def execute(self, order: Order) -> ExecutionHandshake:
        done = self.inner.execute(order)
        return done.model_copy(update={"submitted_at": done.submitted_at.replace(year=2020)})


class GrantsEverything(Faulty):
    """Never says no."""

    def execute(self, order: Order) -> ExecutionHandshake:
        done = self.inner.execute(order)
        return done if done.was_successful() else done.model_copy(update={"status": ExecutionStatus.CONFIRMED})


class ForgetsWhatItDid(Faulty):
    """Finds nothing."""

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        return None


class FindsAnything(Faulty):
    """Finds what never was."""

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        return ExecutionHandshake(
            operation_id=operation_id, status=ExecutionStatus.PENDING, submitted_at="2024-05-12T00:00:00"
        )


class FillsTwice(Faulty):
    """Takes every order for a new one."""

    count = 0

    def execute(self, order: Order) -> ExecutionHandshake:
        self.count += 1
        return self.inner.execute(order.model_copy(update={"operation_id": f"{order.operation_id}-{self.count}"}))


class TakesTwoForOne(Faulty):
    """Looks at what an order says and not at its id."""

    def execute(self, order: Order) -> ExecutionHandshake:
        named = order.operation_id.removesuffix("-again")
        done = self.inner.execute(order.model_copy(update={"operation_id": named}))
        return done.model_copy(update={"operation_id": order.operation_id})


class HidesItsFee(Faulty):
    """Charges a fee and does not say so."""

    def execute(self, order: Order) -> ExecutionHandshake:
        return self.inner.execute(order).model_copy(update={"fee_amount": 0.0})


class ChargesInCoins(Faulty):
    """Charges in neither asset of the pair."""

    def execute(self, order: Order) -> ExecutionHandshake:
        return self.inner.execute(order).model_copy(update={"fee_currency": "ETHFI"})


class NeverForgives(Faulty):
    """Refuses for ever what it refused once."""

    def __init__(self, port: OrderPort) -> None:
        super().__init__(port)
        self.refused: dict[str, ExecutionHandshake] = {}

    def execute(self, order: Order) -> ExecutionHandshake:
        if order.operation_id in self.refused:
            return self.refused[order.operation_id]
        done = self.inner.execute(order)
        if done.was_failed():
            self.refused[order.operation_id] = done
        return done


class DoesGroupsOneByOne(Faulty):
    """Knows no transactions."""

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        return tuple(self.inner.execute(order) for order in orders)


class TakesEveryRoute(Faulty):
    """Invents what it cannot do."""

    def execute(self, order: Order) -> ExecutionHandshake:
        is_supply = order.operation is OperationType.SUPPLY
        return self.inner.execute(order.model_copy(update={"venue": "aave_v3"}) if is_supply else order)


class ChargesEveryMember(Faulty):
    """Charges gas for each member of a group."""

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        return self.inner.execute_group([o.model_copy(update={"gas_cost_type": "atomic_entry"}) for o in orders])


class BlamesEveryone(Faulty):
    """Gives every member of a failed group a code of its own."""

    def execute_group(self, orders: Sequence[Order]) -> tuple[ExecutionHandshake, ...]:
        done = self.inner.execute_group(orders)
        return tuple(
            h.model_copy(update={"error_code": ErrorCode.EXEC_ORDER_FAILED}) if h.was_rolled_back() else h for h in done
        )


class ForgetsTheCancelled(Faulty):
    """Loses track of what somebody wanted to cancel."""

    is_asked = False

    def cancel(self, operation_id: str, venue: str) -> None:
        """Lose it."""
        self.is_asked = True

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        """Nothing, from then on."""
        return None if self.is_asked else self.inner.find(operation_id, venue)


class TellsEverything(Faulty):
    """Reports all balances whoever is asked."""

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        """Those of every venue."""
        return self.inner.balances()


class FaultyBench(SimulatedBench):
    """A bench whose venue has a fault."""

    def __init__(self, venue: str, fault: Callable[[OrderPort], OrderPort]) -> None:
        super().__init__(venue)
        self._fault = fault

    def port(self) -> OrderPort:
        return self._fault(super().port())


@pytest.mark.parametrize(
    ("fault", "venue", "number"),
    [
        (Misnames, "binance", "C01"),
        (TouchesOthers, "binance", "C02"),
        (FillsOff, "binance", "C03"),
        (Infinite, "binance", "C04"),
        (LivesInThePast, "wallet", "C05"),
        (GrantsEverything, "aave_v3", "C06"),
        (TakesEveryRoute, "binance", "C08"),
        (ForgetsWhatItDid, "etherfi", "C09"),
        (FindsAnything, "etherfi", "C10"),
        (FillsTwice, "okx", "C11"),
        (TakesTwoForOne, "lido", "C12"),
        (NeverForgives, "aave_v3", "C13"),
        (HidesItsFee, "binance", "C14"),
        (HidesItsFee, "binance", "C15"),
        (ChargesInCoins, "binance", "C15"),
        (HidesItsFee, "aave_v3", "C16"),
        (DoesGroupsOneByOne, "aave_v3", "C19"),
        (BlamesEveryone, "aave_v3", "C19"),
        (ChargesEveryMember, "aave_v3", "C20"),
        (DoesGroupsOneByOne, "morpho", "C22"),
        (ForgetsTheCancelled, "okx", "C24"),
        (TellsEverything, "okx", "C25"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_venue_that_breaks_a_case_is_found_out(
    fault: Callable[[OrderPort], OrderPort], venue: str, number: str
) -> None:
    with pytest.raises(NonConformanceError):
        _BY_NUMBER[number].check(FaultyBench(venue, fault))
    assert verdicts(FaultyBench(venue, fault))[number][0] is Verdict.BROKEN


def test_a_case_is_skipped_for_a_missing_feature_and_for_nothing_else() -> None:
    bench: Bench = SimulatedBench("binance")
    without = Capabilities(bench.capabilities.operations, bench.capabilities.features - {Feature.LOOK_UP})
    bench.capabilities = without
    skipped = {number for number, (verdict, _) in verdicts(bench).items() if verdict is Verdict.SKIPPED}
    assert {"C09", "C10"} <= skipped
    assert replace(_BY_NUMBER["C01"], needs=frozenset()).missing(without) == ()
