"""Run the matrix of trust, print it and write its page: ``make trust``. 1 where a cell that should hold does not."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.trust.columns import INSTRUMENTS, MODES
from tests.trust.matrix import PAGE, Cell, Said, cells, rendered, table
from tests.trust.subjects import Subject

_WIDTH = 200


def main() -> int:
    """Check every cell, print both tables, write the page."""
    found = {(cell.invariant.name, cell.subject.name): cell.found() for cell in cells()}

    def say(cell: Cell) -> str:
        return found[cell.invariant.name, cell.subject.name]

    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_shown("Instruments", INSTRUMENTS, say))
    console.print(_shown("Modes", MODES, say))
    PAGE.write_text(rendered(say), encoding="utf-8")
    broken = [cell for cell in cells() if say(cell) != cell.declared]
    for cell in broken:
        console.print(f"{cell.invariant.name}, {cell.subject.name}: {say(cell)}, declared: {cell.declared}")
    return 1 if broken else 0


def _shown(title: str, subjects: Sequence[Subject], say: Said) -> Table:
    heading, *rows = table(subjects, say)
    shown = Table(*(name.replace("_", " ") for name in heading), title=title, title_justify="left")
    for row in rows:
        shown.add_row(*(cell.replace("**", "") for cell in row))
    return shown


if __name__ == "__main__":
    sys.exit(main())
