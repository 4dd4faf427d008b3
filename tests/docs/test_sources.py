"""Whatever code or configuration cites stands on the page of sources."""

import re

from tests.docs.citations import cited, tags
from tests.docs.markdown import DOCS, tables

PAGE = DOCS / "sources.md"


def stated() -> set[str]:
    """The citations that the page explains, and its tags."""
    return {row[0] for table in tables(PAGE) if table[0][0] in ("Citation", "Tag") for row in table[1:]}


def test_every_citation_of_the_domain_is_explained() -> None:
    assert cited() - stated() == set()


def test_every_tag_is_explained() -> None:
    known = {tag for name in stated() for tag in re.findall(r"\[(\w[\w-]*)\]", name)}
    assert tags() <= known


def test_citations_are_found() -> None:
    assert {"ruling 12", "section 4.5"} <= cited()
