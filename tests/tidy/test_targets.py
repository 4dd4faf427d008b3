"""Each mark of a long test has a target in the Makefile, and each target of that list a mark."""

import re
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
WITHOUT_TARGET: Final = {"real_data"}
"""Marks that say what a test needs, not how long it takes."""


def test_marks_and_targets_are_the_same() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    marks = {line.split(":")[0] for line in options["markers"]} - WITHOUT_TARGET
    makefile = (ROOT / "Makefile").read_text()
    (long,) = re.findall(r"^LONG := (.*)$", makefile, re.MULTILINE)
    assert set(long.split()) == marks, "a mark in pyproject.toml and the list LONG of the Makefile go together"
    for mark in marks:
        assert re.search(rf"^{mark}: setup ## .+\n\t\$\(RUN_TESTS\).* -m {mark}$", makefile, re.MULTILINE), mark


def test_ci_and_the_nightly_run_every_target_but_the_one_that_needs_a_browser() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (long,) = re.findall(r"^LONG := (.*)$", makefile, re.MULTILINE)
    (checked,) = re.findall(r"^check: (.*) ##", makefile, re.MULTILINE)
    (nightly,) = re.findall(r"^nightly: check (.*) ##", makefile, re.MULTILINE)
    assert set(long.split()) - set(checked.split()) - set(nightly.split()) == {"browser"}
