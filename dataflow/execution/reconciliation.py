"""Books against venues: what a difference between held and reported balances most likely is. Nothing is healed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.holdings import Holdings
from schemas.models.handshake import ExecutionHandshake

_ROUNDING = 1e-9
_SAME = 1e-6
"""Relative closeness at which a difference counts as the amount it is compared with."""


class MismatchKind(StrEnum):
    """The likely cause of a balance that is not what the books say."""

    FEE = "fee"
    ROUNDING = "rounding"
    MISSING_FILL = "missing_fill"
    DUPLICATE_FILL = "duplicate_fill"
    EXTERNAL_MOVEMENT = "external_movement"


@dataclass(frozen=True, slots=True)
class BalanceMismatch:
    """One key whose reported balance is not the one held."""

    position_key: str
    held: float
    reported: float
    kind: MismatchKind


def balance_mismatches(
    holdings: Holdings,
    reported: Mapping[str, float],
    handshake: ExecutionHandshake | None,
    *,
    relative_tolerance: float,
) -> tuple[BalanceMismatch, ...]:
    """Keys whose reported balance differs from the held one by more than rounding, each with its likely cause.

    relative_tolerance: share of the larger of the two balances. Keys that a venue does not report are not compared.
    Source: [domain] 5.6.
    """
    found = []
    for key, held in holdings.units.items():
        if key not in reported:
            continue
        gap = reported[key] - held
        if abs(gap) > max(relative_tolerance * max(abs(held), abs(reported[key])), _ROUNDING):
            found.append(BalanceMismatch(key, held, reported[key], _kind(key, gap, held, handshake)))
    return tuple(found)


def _kind(key: str, gap: float, held: float, handshake: ExecutionHandshake | None) -> MismatchKind:
    if abs(gap) <= _SAME * abs(held):
        return MismatchKind.ROUNDING
    if handshake is None:
        return MismatchKind.EXTERNAL_MOVEMENT
    filled = handshake.actual_deltas.get(key, 0.0)
    for kind, amount in (
        (MismatchKind.FEE, handshake.fee_amount),
        (MismatchKind.MISSING_FILL, -filled),
        (MismatchKind.DUPLICATE_FILL, filled),
    ):
        if (
            amount != 0.0
            and abs(abs(gap) - abs(amount)) <= _SAME * abs(amount)
            and (kind is MismatchKind.FEE or gap * amount > 0.0)
        ):
            return kind
    return MismatchKind.EXTERNAL_MOVEMENT
