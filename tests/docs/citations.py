"""Citations of sources in code and configuration: ``[domain] 4.5``, ``domain section 8``, ``ruling 12``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.docs.markdown import ROOT

SEARCHED: Final = ("schemas", "dataflow", "strategies", "dagster_project", "configs")

_NUMBER = r"\d+(?:\.\d+)?"
_LIST = rf"{_NUMBER}(?:(?:, | and | to ){_NUMBER})*"
_SECTIONS = re.compile(
    rf"(?:\[domain\]|[Dd]omain(?: specification)?,?)\s+(?:sections?\s+)?(?P<list>{_LIST})"
    rf"|(?<=ction )(?P<alone>\d\.\d)\b"
)
_RULINGS = re.compile(rf"[Rr]ulings?\s+(?P<list>{_LIST})")
_TAGS = re.compile(r"Source:\s+\[(?P<tag>[a-z][a-z0-9-]*)\]")


def sources() -> Iterator[Path]:
    """Every Python and YAML file that may cite."""
    for folder in SEARCHED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml"):
                yield path


def _expanded(text: str) -> Iterator[str]:
    for part in re.split(r", | and ", text):
        first, _, last = part.partition(" to ")
        if last and "." not in part:
            yield from map(str, range(int(first), int(last) + 1))
        else:
            yield from filter(None, (first, last))


def cited() -> set[str]:
    """Every citation, as ``section 4.5`` or ``ruling 12``."""
    found: set[str] = set()
    for path in sources():
        text = re.sub(r"\s*\n\s*#?\s*", " ", path.read_text(encoding="utf-8"))
        for match in _SECTIONS.finditer(text):
            found.update(f"section {number}" for number in _expanded(match["list"] or match["alone"]))
        for match in _RULINGS.finditer(text):
            found.update(f"ruling {number}" for number in _expanded(match["list"]))
    return found


def tags() -> set[str]:
    """Every tag that a ``Source:`` line of a docstring names."""
    return {match["tag"] for path in sources() for match in _TAGS.finditer(path.read_text(encoding="utf-8"))}
