"""``docs/reference/rules.md``: the rules of every family in the order in which they win, from the code."""

from collections.abc import Iterator
from typing import Final

from strategies.families import FAMILIES

_HEAD: Final = """# Rules of decision

Generated from `strategies/*/rules.py` by `render_rules_markdown`; do not edit.

At each row a mode takes the first rule of its family's list that applies; where none does it holds, with the reason
`no_rule_applies`. The code is a name: it stands in the `decision` column, and says nothing of the order.

"""


def render_rules_markdown() -> str:
    """Return the page as Markdown, the same text for the same code."""
    return _HEAD + "\n".join(_lines())


def _lines() -> Iterator[str]:
    for name, family in FAMILIES.items():
        yield from (
            f"## `{name}`",
            "",
            "| Code | Reason in the log | Decision | Intent | Cooldown |",
            "|---|---|---|---|---|",
        )
        for rule in family.rules:
            cooldown = "starts" if rule.is_risk_exit else ""
            yield f"| {rule.code} | `{rule.reason}` | {rule.decision_type.value} | {rule.intent.value} | {cooldown} |"
        yield ""
