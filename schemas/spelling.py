"""A name that is not known, and the known one that was probably meant."""

from collections.abc import Collection
from difflib import get_close_matches


def close_match(name: str, known: Collection[str]) -> str:
    """Return ``; did you mean 'x'?`` or nothing.

    >>> close_match("funding_entr", ["funding_enter", "funding_leave"]), close_match("x", ["funding_enter"])
    ("; did you mean 'funding_enter'?", '')
    """
    found = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
