"""Every cell of the matrix of trust is as declared, no cell is left out, and the page shows the declarations."""

from dataclasses import replace

import pytest

from schemas.operations import ExecutionStatus
from tests.support import modes as registry
from tests.trust.columns import INSTRUMENTS, MODES, SUBJECTS
from tests.trust.matrix import DOES_NOT_HOLD, HOLDS, INVARIANTS, PAGE, Cell, cells, rendered
from tests.trust.subjects import Instrument, Subject, Trait

_NAMED = ("spot", "perp", "aToken", "debt", "LST", "claim", "flash group", "transfer")


def _name(subject: Subject) -> str:
    return subject.name


def _parameter(cell: Cell) -> object:
    why = cell.known_failure
    marks = [] if why is None else [pytest.mark.xfail(reason=why, strict=True)]
    return pytest.param(cell, id=f"{cell.subject.name}-{cell.invariant.name}", marks=marks)


@pytest.mark.parametrize("cell", [_parameter(cell) for cell in cells() if cell.applies])
def test_cell_holds(cell: Cell) -> None:
    cell.invariant.check(cell.subject)


def test_the_matrix_has_every_instrument_and_every_mode() -> None:
    assert tuple(each.name for each in INSTRUMENTS) == _NAMED
    assert tuple(each.name for each in MODES) == tuple(registry.MODES)
    assert {name for cell in DOES_NOT_HOLD for name in cell} <= (
        {each.name for each in INVARIANTS} | {each.name for each in SUBJECTS}
    )


@pytest.mark.parametrize("mode", MODES, ids=_name)
def test_a_mode_lacks_only_what_its_graph_lacks(mode: Instrument) -> None:
    features = registry.MODES[mode.name].features
    assert (Trait.PERP in mode.traits) == features["perps"]
    assert (Trait.DEBT in mode.traits) == features["borrowing"]
    assert (Trait.INDEX in mode.traits) == (features["lending"] or features["staking"])


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=_name)
def test_an_instrument_lacks_only_what_its_operations_do_not_touch(instrument: Instrument) -> None:
    """The preparation is not the instrument: only what the opening moved counts."""
    opened = str(instrument.stood.instants[instrument.opened])
    touched = {
        str(key).split(":")[1]
        for event in instrument.stood.events("operation_executions")
        if event["timestamp"] == opened and event["status"] == ExecutionStatus.CONFIRMED.value
        for key in event["actual_deltas"]  # type: ignore[attr-defined]  # a mapping
    }
    assert (Trait.PERP in instrument.traits) == ("PerpPosition" in touched)
    assert (Trait.DEBT in instrument.traits) == ("debtToken" in touched)
    assert (Trait.INDEX in instrument.traits) == bool(touched & {"aToken", "debtToken", "LST"})
    assert Trait.EXIT in instrument.traits


def test_a_cell_that_does_not_hold_says_so() -> None:
    closed_form = next(each for each in INVARIANTS if each.name == "single-trade closed form")
    wrong = replace(INSTRUMENTS[0], profit=lambda _paths, _row: 1.0)
    assert Cell(closed_form, INSTRUMENTS[0]).found() == HOLDS
    assert Cell(closed_form, wrong).found() == "**does not hold**: AssertionError"


def test_the_page_is_what_the_matrix_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == rendered(), "run `make trust`"
