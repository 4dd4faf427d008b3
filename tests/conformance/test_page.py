"""``docs/venues.md`` is what the declarations and the cases say."""

from pathlib import Path

from dataflow.reference.pages import render_venues_markdown
from dataflow.venues.conformance import CASES
from tests.support.catalogue import SIMULATED

PAGE = Path(__file__).parents[2] / "docs" / "venues.md"


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_venues_markdown(), "run `python -m dataflow.reference.pages`"


def test_the_page_names_every_venue_and_every_case() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for venue in SIMULATED:
        assert venue in page
    for case in CASES:
        assert f"| {case.number} | {case.claim} |" in page
