"""Numbers now, writing later: whatever is put off, the events of a run are numbered without a gap and written once."""

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.journal.sequencer import Envelope, Sequencer
from schemas.errors import LogWriteError
from schemas.models.events import DomainEvent, HealthStatusEvent, PositionSnapshot, SystemErrorEvent

INSTANT = "2024-05-12T00:00:00"
HEALTH = {"overall_status": "healthy", "component_statuses": {}, "health_score": 1.0}
BALANCES = {"positions": {}, "total_value_usd": 0.0, "position_type": "simulated", "trigger_source": "test"}
ERROR = {"error_code": "ENGINE-004", "error_message": "m", "component": "c", "severity": "HIGH", "stack_trace": "t"}

STEPS = st.lists(st.sampled_from(("now", "put off", "error", "bulk")), max_size=30)


def _sequencer() -> Sequencer:
    return Sequencer(Envelope("run", 1, lambda: INSTANT))


def _play(sequencer: Sequencer, steps: Sequence[str]) -> set[int]:
    """Let the steps happen; the numbers that rows in bulk took."""
    bulk: set[int] = set()
    for step in steps:
        if step == "now":
            sequencer.emit(HealthStatusEvent, INSTANT, **HEALTH)
        elif step == "error":
            sequencer.emit(SystemErrorEvent, INSTANT, **ERROR)
        elif step == "bulk":
            first = sequencer.take(5)
            bulk |= set(range(first, first + 5))
        else:
            order = sequencer.take()
            sequencer.keep_when_valued(partial(sequencer.keep, PositionSnapshot, INSTANT, order, **BALANCES))
    return bulk


def _orders(events: Sequence[DomainEvent]) -> list[int]:
    return [event.order for event in events if event.order is not None]


@given(first=st.integers(0, 10_000), steps=STEPS)
def test_numbers_have_no_gap_and_none_comes_twice(first: int, steps: Sequence[str]) -> None:
    sequencer = _sequencer()
    sequencer.resume(first)
    bulk = _play(sequencer, steps)
    sequencer.keep_valued()
    single = _orders(sequencer.pending)
    assert sorted([*single, *bulk]) == list(range(first, sequencer.next_order))


@given(steps=STEPS)
def test_a_number_tells_when_an_event_happened_not_when_it_was_kept(steps: Sequence[str]) -> None:
    at_once, put_off = _sequencer(), _sequencer()
    _play(at_once, ["now" if step == "put off" else step for step in steps])
    _play(put_off, steps)
    put_off.keep_valued()
    assert sorted(_orders(put_off.pending)) == _orders(at_once.pending)


@given(steps=STEPS, refused=st.integers(0, 30))
def test_a_disk_that_refuses_is_given_each_event_once(steps: Sequence[str], refused: int) -> None:
    sequencer = _sequencer()
    _play(sequencer, steps)
    sequencer.keep_valued()
    expected, given_away = list(sequencer.pending), list[DomainEvent]()

    def take(event: DomainEvent) -> None:
        given_away.append(event)
        if len(given_away) == refused + 1:
            raise LogWriteError("no space left")

    if refused < len(expected):
        with pytest.raises(LogWriteError):
            sequencer.write(take)
        assert given_away == expected[: refused + 1]
    sequencer.write(take)
    assert given_away == expected
    assert sequencer.pending == []


@given(first=st.integers(0, 100), steps=STEPS)
def test_a_refused_chunk_leaves_its_errors_alone_numbered_from_where_it_began(first: int, steps: Sequence[str]) -> None:
    sequencer = _sequencer()
    sequencer.resume(first)
    _play(sequencer, steps)
    sequencer.discard(first, SystemErrorEvent)
    errors = steps.count("error")
    assert [type(event) for event in sequencer.pending] == [SystemErrorEvent] * errors
    assert _orders(sequencer.pending) == list(range(first, first + errors))
    assert sequencer.next_order == first + errors
