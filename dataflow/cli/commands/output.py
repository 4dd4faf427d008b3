"""What the commands print: one JSON object, or tables; errors and progress go to standard error.

Numbers are shown for people: amounts with two decimals from a thousand up and six significant digits below, ratios in
per cent. Rich is imported only when a table is printed.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

ABSENT: Final = "n/a"

_PIPED_WIDTH: Final = 160
"""Columns of a table that does not go to a terminal: wide enough that nothing is cut."""

Progress = Callable[[int, int], None]
"""Called with the units done and the units in all."""


def print_json(content: Mapping[str, object]) -> None:
    """Print the one JSON object of a command on standard output."""
    import orjson

    typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2, default=str).decode())


def print_error(line: str) -> None:
    """Print a line on standard error, exactly as it is."""
    typer.echo(line, err=True)


def console() -> "Console":
    """Return the console of standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False, soft_wrap=False)


def print_table(
    title: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[int] = (),
) -> None:
    """Print a table; ``right`` are the columns aligned to the right. A header of empty texts is left out.

    The first column, the name that one copies into the next command, is never broken.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_header=any(header))
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    screen = console()
    screen.print(Text(title, style="bold"), overflow="ignore", no_wrap=True, crop=False)
    screen.print(table)


def print_line(text: str, style: str = "") -> None:
    """Print a line of text on standard output, styled on a terminal; never wrapped."""
    typer.secho(text, fg=style or None) if sys.stdout.isatty() else typer.echo(text)


@contextmanager
def progress_bar(description: str, *, shown: bool) -> Iterator[Progress | None]:
    """Show a bar on standard error while the block runs, if asked for and standard error is a terminal."""
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def amount(value: float) -> str:
    """Show an amount of money or coins.

    >>> amount(104512.3456), amount(0.0123456789)
    ('104,512.35', '0.0123457')
    """
    return f"{value:,.2f}" if abs(value) >= 1_000.0 else f"{value:.6g}"


def percent(fraction: float | None) -> str:
    """Show a fraction of one in per cent.

    >>> percent(0.0451234), percent(None)
    ('4.5123 %', 'n/a')
    """
    return ABSENT if fraction is None else f"{fraction * 100.0:.4f} %"


def ratio(value: float | None) -> str:
    """Show a plain ratio.

    >>> ratio(1.23456), ratio(None)
    ('1.235', 'n/a')
    """
    return ABSENT if value is None else f"{value:.3f}"
