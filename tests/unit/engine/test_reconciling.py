"""Reconciliation of balances: what counts as a difference, and what it most likely is.

Rounding is none; a difference is named after the fee, the fill or its repetition that it equals, and anything else is a
movement from outside. Nothing is ever changed by looking.
"""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.execution.reconciliation import MismatchKind, balance_mismatches
from schemas.holdings import Holdings
from schemas.models.handshake import ExecutionHandshake
from schemas.operations import ExecutionStatus

COINS, CASH = "okx:BaseToken:BTC", "okx:BaseToken:USDT"
FILL = ExecutionHandshake(
    operation_id="one",
    status=ExecutionStatus.CONFIRMED,
    actual_deltas={COINS: 0.5, CASH: -30_000.0},
    fee_amount=30.0,
    submitted_at=datetime(2024, 5, 12, tzinfo=UTC),
)
HELD = Holdings({COINS: 2.0, CASH: 1_000.0}, {})


def found(off: dict[str, float], tolerance: float = 1e-9) -> dict[str, MismatchKind]:
    """Differing keys and their kinds where reported balances are off."""
    reported = {key: units + off.get(key, 0.0) for key, units in HELD.units.items()}
    mismatches = balance_mismatches(HELD, reported, FILL, relative_tolerance=tolerance)
    return {mismatch.position_key: mismatch.kind for mismatch in mismatches}


@pytest.mark.parametrize(
    ("off", "kind"),
    [
        pytest.param({CASH: -30.0}, MismatchKind.FEE, id="fee-charged-twice"),
        pytest.param({CASH: 30.0}, MismatchKind.FEE, id="fee-not-charged"),
        pytest.param({COINS: -0.5}, MismatchKind.MISSING_FILL, id="coins-did-not-come"),
        pytest.param({CASH: 30_000.0}, MismatchKind.MISSING_FILL, id="cash-did-not-go"),
        pytest.param({COINS: 0.5}, MismatchKind.DUPLICATE_FILL, id="coins-came-twice"),
        pytest.param({CASH: -30_000.0}, MismatchKind.DUPLICATE_FILL, id="cash-went-twice"),
        pytest.param({COINS: 1e-7}, MismatchKind.ROUNDING, id="rounding"),
        pytest.param({CASH: 12.5}, MismatchKind.EXTERNAL_MOVEMENT, id="somebody-paid-in"),
    ],
)
def test_a_difference_is_named_after_what_it_equals(off: dict[str, float], kind: MismatchKind) -> None:
    assert found(off) == {next(iter(off)): kind}


def test_every_key_that_differs_is_named() -> None:
    assert found({COINS: -0.5, CASH: 30_000.0}) == dict.fromkeys((COINS, CASH), MismatchKind.MISSING_FILL)


def test_without_a_fill_a_difference_comes_from_outside() -> None:
    (only,) = balance_mismatches(HELD, {COINS: 1.5}, None, relative_tolerance=1e-9)
    assert only.kind is MismatchKind.EXTERNAL_MOVEMENT
    assert (only.held, only.reported) == (2.0, 1.5)


def test_a_key_that_no_venue_reports_is_not_compared() -> None:
    assert balance_mismatches(HELD, {}, FILL, relative_tolerance=0.0) == ()


amounts = st.floats(-1e9, 1e9)


@given(units=amounts, tolerance=st.floats(0.0, 0.1))
def test_a_balance_agrees_with_itself(units: float, tolerance: float) -> None:
    held = Holdings({COINS: units}, {})
    assert balance_mismatches(held, {COINS: units}, FILL, relative_tolerance=tolerance) == ()


@given(units=amounts, reported=amounts, tolerance=st.floats(1e-9, 0.1))
def test_agreement_is_symmetric_and_kept_by_a_wider_tolerance(units: float, reported: float, tolerance: float) -> None:
    def agree(one: float, other: float, within: float) -> bool:
        held = Holdings({COINS: one}, {})
        return not balance_mismatches(held, {COINS: other}, None, relative_tolerance=within)

    assert agree(units, reported, tolerance) == agree(reported, units, tolerance)
    assert not agree(units, reported, tolerance) or agree(units, reported, 2.0 * tolerance)
