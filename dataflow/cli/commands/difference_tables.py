"""Why two runs differ, as tables: parts of the P&L, what they were made from, where they first part."""

from collections.abc import Sequence
from typing import Final

from dataflow.cli.commands.output import ABSENT, print_line, print_table
from dataflow.records.audit.comparison import Change, Comparison, FirstEvent, FirstRow

_SHOWN_MAX: Final = 12
_CELL_CHARACTERS_MAX: Final = 60


def print_difference(found: Comparison) -> None:
    """Print the comparison of two runs; what is the same in both is left out."""
    header = ("part", "first", "second", "difference")
    rows = [(p.name, _digits(p.first), _digits(p.second), _digits(p.difference)) for p in (*found.parts, found.total)]
    print_table(f"Why the results differ, {found.unit}", header, rows, right=(1, 2, 3))
    if (largest := found.largest_part) is not None:
        print_line(f"largest part: {largest.name}, {_digits(largest.difference)} of {_digits(found.total.difference)}")
    _print_changes("Made from", (*found.made_from, *found.configuration))
    _print_row(found.first_row)
    _print_event(found.first_event)


def _print_changes(title: str, changes: Sequence[Change]) -> None:
    if not changes:
        print_line(f"{title}: the same in both")
        return
    rows = [(change.name, _cell(change.first), _cell(change.second)) for change in changes[:_SHOWN_MAX]]
    print_table(title, ("", "first", "second"), rows)
    if len(changes) > _SHOWN_MAX:
        print_line(f"and {len(changes) - _SHOWN_MAX} more; see --json")


def _print_row(row: FirstRow | None) -> None:
    if row is None:
        print_line("No recorded column differs.")
        return
    shown = list(row.columns.items())[:_SHOWN_MAX]
    title = f"First row that differs: {row.instant} (row {row.row}), {len(row.columns)} columns"
    print_table(title, ("column", "first", "second"), [(name, *map(_cell, pair)) for name, pair in shown], right=(1, 2))


def _print_event(event: FirstEvent | None) -> None:
    if event is None:
        print_line("No event differs, but for clocks and ids.")
        return
    first, second = (kind or "none: the run has ended" for kind in event.types)
    told = first if first == second else f"{first} and {second}"
    print_table(
        f"First event that differs: {told} at {event.timestamp} (event {event.number})",
        ("field", "first", "second"),
        [(change.name, _cell(change.first), _cell(change.second)) for change in event.changes[:_SHOWN_MAX]],
    )


def _digits(value: float) -> str:
    return f"{value:,.6f}" if abs(value) >= 1e-6 or value == 0.0 else f"{value:.3g}"


def _cell(value: object) -> str:
    if value is None:
        return ABSENT
    text = repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= _CELL_CHARACTERS_MAX else f"{text[: _CELL_CHARACTERS_MAX - 3]}..."
