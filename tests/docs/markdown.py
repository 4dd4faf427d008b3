"""Markdown as the documentation tests see it: fenced blocks, what a comment above a block asks to check, and tables.

A block is checked as the comment right above it says, for example

    <!-- check: run=lending cwd=. prints=1 -->

where each word is ``key=value``. The keys are those of the test that reads them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"

_FENCE = re.compile(r"(?P<ticks>```+)(?P<language>\w*)[^\n]*\n(?P<text>.*?)\n?(?P=ticks)(?=\n|$)", re.DOTALL)
_CHECK = re.compile(r"<!-- check: (?P<words>[^>]*) -->\s*\Z")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
_CODE_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Fence:
    """One fenced block of a page."""

    page: Path
    line: int
    """Line of the opening fence, from 1."""
    language: str
    text: str
    checks: Mapping[str, str]
    """What the comment above the block asks for; empty without one."""

    @property
    def name(self) -> str:
        """Page and line, as a test shows it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page of the documentation, the generated reference included."""
    return sorted(DOCS.rglob("*.md"))


def fences(page: Path, language: str = "") -> list[Fence]:
    """The fenced blocks of a page in their order, of one language or of all."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        if match.start() and text[match.start() - 1] != "\n":
            continue
        if language and match["language"] != language:
            continue
        asked = _CHECK.search(text[: match.start()])
        words = asked["words"].split() if asked is not None else []
        checks = dict(word.split("=", 1) for word in words)
        found.append(Fence(page, text.count("\n", 0, match.start()) + 1, match["language"], match["text"], checks))
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    """Every link target and image of the page's prose."""
    for match in _LINK.finditer(prose(page)):
        yield match["target"] or match["image"]


def code_spans(page: Path) -> Iterator[str]:
    """Every `code span` of the page's prose."""
    for match in _CODE_SPAN.finditer(prose(page)):
        yield match[1]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(page: Path) -> Iterator[list[list[str]]]:
    """Every table of the page: rows of cells, the heading first, the rule below it left out."""
    rows: list[list[str]] = []
    for line in [*prose(page).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]])
        elif rows:
            yield [row for row in rows if not all(set(cell) <= set("-: ") for cell in row)]
            rows = []
