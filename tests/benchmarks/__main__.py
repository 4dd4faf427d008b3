"""Print the benchmarks: ``make bench``, or ``python -m tests.benchmarks [SECTION]...``."""

import os
import sys

from rich.console import Console
from rich.table import Table

from tests.benchmarks.modes import cost_of_a_decision, every_mode
from tests.benchmarks.sections import (
    Line,
    command_line,
    parts_of_a_run,
    plan_against_numpy,
    records_against_floats,
    records_by_line,
    ten_years_against_one,
)

SECTIONS = {
    "numpy": ("Plan against a hand-written NumPy loop over the same windows", plan_against_numpy),
    "floats": ("Engine and event log against a plain-Python float loop", records_against_floats),
    "modes": ("A year of every mode on the synthetic data set, engine alone", every_mode),
    "decisions": ("A decision against validation alone, a quiet row against a float loop", cost_of_a_decision),
    "parts": ("Where a run of a year of hours spends its time", parts_of_a_run),
    "years": ("Ten years of hours against one", ten_years_against_one),
    "process": ("Whole process against bare imports", command_line),
    "records": ("Records", records_by_line),
}


def main(names: list[str]) -> int:
    """Run the sections named, all when none is; 2 for an unknown name."""
    unknown = set(names) - SECTIONS.keys()
    console = Console(width=None if sys.stdout.isatty() else 150)
    if unknown:
        console.print(f"unknown section {', '.join(sorted(unknown))}; known are {', '.join(SECTIONS)}")
        return 2
    console.print(
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}. Ratios are medians of interleaved pairs in this "
        "process; seconds are for information."
    )
    for name in names or SECTIONS:
        title, section = SECTIONS[name]
        table = Table("what", "ratio", "target", "details", title=title, title_justify="left", expand=True)
        for line in section():
            table.add_row(*_cells(line))
        console.print(table)
    return 0


def _cells(line: Line) -> tuple[str, str, str, str]:
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    target = "" if line.target is None else f"<= {line.target:g}"
    return line.what, ratio, target, line.note


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
