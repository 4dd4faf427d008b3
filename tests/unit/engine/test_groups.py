"""The units of a decision, and when a group counts as done.

A decision's orders are single, or stand together under one label with numbers 0..n-1; anything else is EXEC-004 before
anything is sent. A venue answers for a group as a whole, or nobody knows what is held (EXEC-008).
"""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.execution.units import is_committed, units_of
from schemas.errors import ErrorCode, HandshakeInvalidError, OrderValidationError
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus, OperationType, StrategyIntent

IDS = ("g_1", "g_2", "g_3")


def intent(group: str | None = None, number: int | None = None) -> OrderIntent:
    """One transfer, alone or in a group."""
    return OrderIntent(
        OperationType.TRANSFER,
        "wallet",
        1.0,
        "wallet",
        "okx",
        "USDT",
        "USDT",
        StrategyIntent.ENTRY_FULL,
        atomic_group=group,
        sequence_in_group=number,
    )


@given(layout=st.lists(st.integers(0, 4), max_size=8), data=st.data())
def test_every_order_is_in_one_unit_and_members_are_in_sequence(layout: list[int], data: st.DataObject) -> None:
    """layout: 0 is an order alone, n > 0 a group of n members in any order."""
    orders: list[OrderIntent] = []
    for place, size in enumerate(layout):
        numbers = data.draw(st.permutations(range(size)))
        orders += [intent(f"group{place}", number) for number in numbers] or [intent()]
    units = units_of(orders)
    assert [len(unit.sequences) for unit in units] == [max(size, 1) for size in layout]
    assert sorted(place for unit in units for place in unit.sequences) == list(range(len(orders)))
    for unit in units:
        if unit.group is not None:
            assert [orders[place].sequence_in_group for place in unit.sequences] == list(range(len(unit.sequences)))


@pytest.mark.parametrize(
    "numbers", [(1, 2), (0, 0), (0, 2), (None, 0), (-1, 0)], ids=["from-one", "twice", "gap", "none", "negative"]
)
def test_numbers_other_than_0_to_n_are_refused(numbers: tuple[int | None, ...]) -> None:
    with pytest.raises(OrderValidationError):
        units_of([intent("a", number) for number in numbers])


def test_a_group_that_is_taken_up_again_is_refused() -> None:
    with pytest.raises(OrderValidationError):
        units_of([intent("a", 0), intent("b", 0), intent("a", 1)])


def orders() -> list[Order]:
    """Three members."""
    return [
        Order(
            operation_id=identifier,
            operation="transfer",
            venue="wallet",
            amount=1.0,
            source_venue="wallet",
            target_venue="okx",
            source_token="USDT",
            target_token="USDT",
            expected_deltas={"wallet:BaseToken:USDT": -1.0, "okx:BaseToken:USDT": 1.0},
            atomic_group_id="g",
            sequence_in_group=number,
        )
        for number, identifier in enumerate(IDS)
    ]


def answers(*statuses: ExecutionStatus) -> list[ExecutionHandshake]:
    """One answer a member."""
    return [
        ExecutionHandshake(
            operation_id=identifier,
            status=status,
            error_code=ErrorCode.EXEC_ORDER_FAILED if status is ExecutionStatus.FAILED else None,
            submitted_at=datetime(2024, 5, 12, tzinfo=UTC),
        )
        for identifier, status in zip(IDS, statuses, strict=False)
    ]


DONE, FAILED, UNDONE = ExecutionStatus.CONFIRMED, ExecutionStatus.FAILED, ExecutionStatus.ROLLED_BACK


def test_a_group_is_done_as_a_whole_or_not_at_all() -> None:
    assert is_committed("g", orders(), answers(DONE, DONE, DONE))
    assert not is_committed("g", orders(), answers(UNDONE, UNDONE, UNDONE))


@pytest.mark.parametrize(
    "given_answers",
    [
        pytest.param(answers(DONE, FAILED, DONE), id="half"),
        pytest.param(answers(DONE, DONE), id="too-few"),
        pytest.param(list(reversed(answers(DONE, DONE, DONE))), id="out-of-order"),
    ],
)
def test_any_other_answer_is_exec_008(given_answers: list[ExecutionHandshake]) -> None:
    with pytest.raises(HandshakeInvalidError):
        is_committed("g", orders(), given_answers)
