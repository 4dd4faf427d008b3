"""``docs/reference/rules.md``: the rules of every family in the order in which they win, from the code."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from schemas.decisions import DecisionRule
from strategies.basis import rules as basis
from strategies.hedged import rules as hedged
from strategies.lending import rules as lending
from strategies.leverage import rules as leverage
from strategies.ml import rules as ml
from strategies.staking import rules as staking

_HEAD: Final = """# Rules of decision

Generated from `strategies/*/rules.py` by `render_rules_markdown`; do not edit.

At each row a mode takes the first rule of its family's list that applies; where none does it holds, with the reason
`no_rule_applies`. The code is a name: it stands in the `decision` column, and says nothing of the order.

"""
_RULES: Final[Mapping[str, Sequence[DecisionRule]]] = {
    "lending": lending.RULES,
    "basis": basis.RULES,
    "staking": staking.RULES,
    "leverage": leverage.RULES,
    "hedged": hedged.RULES,
    "ml": ml.RULES,
}


def render_rules_markdown() -> str:
    """Return the page as Markdown, the same text for the same code."""
    return _HEAD + "\n".join(_lines())


def _lines() -> Iterator[str]:
    for family, rules in _RULES.items():
        yield from (
            f"## `{family}`",
            "",
            "| Code | Reason in the log | Decision | Intent | Cooldown |",
            "|---|---|---|---|---|",
        )
        for rule in rules:
            cooldown = "starts" if rule.is_risk_exit else ""
            yield f"| {rule.code} | `{rule.reason}` | {rule.decision_type.value} | {rule.intent.value} | {cooldown} |"
        yield ""
