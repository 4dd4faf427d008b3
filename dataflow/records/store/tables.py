"""Tables of facts that pages show, and how numbers are written in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ABSENT: Final = "n/a"

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of text under a title. A header of empty texts is none; all columns but the first hold numbers, unless said.

    note: one sentence on what the rows are and in which unit.
    """

    title: str
    header: Row
    rows: tuple[Row, ...]
    note: str = ""
    numbers: bool = True

    @property
    def has_header(self) -> bool:
        """Whether any column has a name."""
        return any(self.header)


def facts(title: str, rows: Iterable[tuple[str, str]], note: str = "") -> Table:
    """Return a table of names and facts, without a header."""
    return Table(title, ("", ""), tuple(rows), note)


def markdown(table: Table) -> str:
    """Return the table as Markdown that is aligned in a terminal, its title a heading of the second level.

    >>> print(markdown(Table("Parts", ("part", "USDT"), (("funding", "600.25"),))))
    ## Parts
    <BLANKLINE>
    | part    |   USDT |
    | ------- | -----: |
    | funding | 600.25 |
    <BLANKLINE>
    """
    rows = [tuple(cell.replace("|", "\\|") for cell in row) for row in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    is_right = [table.numbers and table.has_header and place > 0 for place in range(len(widths))]
    rule = [f"{'-' * (width - 1)}:" if right else "-" * width for width, right in zip(widths, is_right, strict=True)]
    lines = [_line(row, widths, is_right) for row in (rows[0], tuple(rule), *rows[1:])]
    return "\n".join([f"## {table.title}", "", *([table.note, ""] if table.note else []), *lines, ""])


def _line(cells: Row, widths: list[int], is_right: list[bool]) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, is_right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def amount(value: float) -> str:
    """Write an amount: two decimals for thousands, six significant digits below.

    >>> amount(104512.3456), amount(0.0123456789)
    ('104,512.35', '0.0123457')
    """
    return f"{value:,.2f}" if abs(value) >= 1_000.0 else f"{value:.6g}"


def percent(fraction: float | None, decimals: int = 4) -> str:
    """Write a fraction of one in per cent.

    >>> percent(0.0451234), percent(None)
    ('4.5123%', 'n/a')
    """
    return ABSENT if fraction is None else f"{fraction:.{decimals}%}"


def ratio(value: float | None) -> str:
    """Write a plain ratio.

    >>> ratio(1.23456), ratio(None)
    ('1.235', 'n/a')
    """
    return ABSENT if value is None else f"{value:.3f}"
