"""What took long: ``python -m tests.tidy.durations DIR`` reads the JUnit files that the targets left in a directory.

Writes ``durations.txt`` beside them and prints what should be mended: a `make test` over its budget, and the modules in
it that deserve a mark and a target of their own. It tells and never fails: a time is a fact of the machine.
Needs nothing but Python, so that it also speaks when the environment could not be built.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

TEST_MINUTES_MAX: Final = 10.0
"""What `make test` may take on two cores."""

MODULE_SECONDS_MAX: Final = 20.0
"""What the tests of one module may take in `make test`; beyond it they get a mark."""

SLOWEST: Final = 30
"""Tests that are listed."""


class TimedTest(NamedTuple):
    """One test and its time, with those of its fixtures that were made for it."""

    target: str
    module: str
    name: str
    seconds: float


class Target(NamedTuple):
    """The tests that one target of the Makefile ran, and the time from its start to its end."""

    name: str
    seconds: float
    tests: tuple[TimedTest, ...]


def read_targets(directory: Path) -> tuple[Target, ...]:
    """The targets whose JUnit files lie in a directory, in the order of their names."""
    return tuple(_target(file) for file in sorted(directory.glob("*.xml")) if file.name != "coverage.xml")


def _target(file: Path) -> Target:
    root = ET.parse(file).getroot()  # noqa: S314 - written by our own pytest a moment ago
    tests = tuple(
        TimedTest(file.stem, case.get("classname", ""), case.get("name", ""), float(case.get("time", "0")))
        for case in root.iter("testcase")
    )
    return Target(file.stem, sum(float(suite.get("time", "0")) for suite in root.iter("testsuite")), tests)


def page(targets: tuple[Target, ...]) -> str:
    """Targets, slowest tests and slowest modules as one text."""
    lines = [f"{target.seconds:9.1f} s  make {target.name} ({len(target.tests)} tests)" for target in targets]
    slowest = sorted((test for target in targets for test in target.tests), key=lambda test: -test.seconds)[:SLOWEST]
    lines += ["", f"The {SLOWEST} slowest tests:"]
    lines += [f"{test.seconds:9.1f} s  {test.module} {test.name} ({test.target})" for test in slowest]
    return "\n".join([*lines, "", *complaints(targets)]).rstrip() + "\n"


def complaints(targets: tuple[Target, ...]) -> list[str]:
    """What to do about `make test`, a sentence each; empty where nothing is too slow."""
    found = []
    for target in targets:
        if target.name != "test":
            continue
        if target.seconds > 60.0 * TEST_MINUTES_MAX:
            found.append(f"make test took {target.seconds / 60.0:.1f} minutes, more than {TEST_MINUTES_MAX:g}.")
        for module, seconds in _seconds_of_modules(target).items():
            if seconds > MODULE_SECONDS_MAX:
                found.append(
                    f"{module} took {seconds:.1f} s of make test, more than {MODULE_SECONDS_MAX:g}: leave a smoke in "
                    f"it and give the rest the mark of a target (tests/support/marks.py)."
                )
    return found


def _seconds_of_modules(target: Target) -> dict[str, float]:
    """Seconds by module, longest first."""
    total: dict[str, float] = defaultdict(float)
    for test in target.tests:
        total[test.module] += test.seconds
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def main(directory: Path) -> None:
    """Write and print what took long."""
    targets = read_targets(directory)
    text = page(targets)
    (directory / "durations.txt").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
