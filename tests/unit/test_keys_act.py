"""Every key of the configuration acts, or says why it is there: none is read by nobody.

Attribute reads are found in the syntax trees, by name: a key with the name of another thing's attribute is taken for
read. Rules that only refuse (``MODE_RULES`` and their like) do not count as acting; a key that only they read says so.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Final, get_args

import pytest
from pydantic import BaseModel

from schemas.models.config import RUN_RULES, RunConfig
from schemas.models.config_base import BOUNDS, FOR_PEOPLE, MUST_AGREE, ConfigModel, Purpose
from schemas.models.config_rules import MODE_RULES
from schemas.models.config_scenario import Shocks
from schemas.models.config_venues import SHARE_CLASS_RULES, VENUE_RULES

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("dataflow", "strategies", "schemas", "dagster_project")
CHECKS: Final = frozenset(
    rule.check.__name__ for rules in (MODE_RULES, VENUE_RULES, SHARE_CLASS_RULES, RUN_RULES) for rule in rules
)
READ_AS_A_WHOLE: Final[tuple[type[BaseModel], ...]] = (Shocks,)
"""Models that go through all their keys (``Shocks.present``)."""


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and those of its keys, depth first."""
    yield model
    for info in model.model_fields.values():
        for block in _blocks_of(info.annotation):
            yield from _models(block)


def _blocks_of(annotation: object) -> list[type[BaseModel]]:
    """Models in the type of a key."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [block for part in get_args(annotation) for block in _blocks_of(part)]


@cache
def _read(*, by_checks: bool) -> frozenset[str]:
    """Names of attributes that the code reads; ``by_checks`` those, and the texts, in rules that only refuse."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            checks = CHECKS if path.is_relative_to(ROOT / "schemas" / "models") else frozenset()
            _collect(ast.parse(path.read_text()), found, checks, by_checks=by_checks, inside=False)
    return frozenset(found)


def _collect(node: ast.AST, found: set[str], checks: frozenset[str], *, by_checks: bool, inside: bool) -> None:
    inside = inside or (isinstance(node, ast.FunctionDef) and node.name in checks)
    if inside == by_checks:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(node.attr)
        if by_checks and isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    for child in ast.iter_child_nodes(node):
        _collect(child, found, checks, by_checks=by_checks, inside=inside)


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, str, Purpose | None]]:
    """Model, key and purpose of every key below a model, blocks aside: theirs are looked at one by one."""
    for each in dict.fromkeys(_models(model)):
        if each not in READ_AS_A_WHOLE:
            for name, info in each.model_fields.items():
                if _blocks_of(info.annotation):
                    continue
                purpose = next((item for item in info.metadata if isinstance(item, Purpose)), None)
                yield each.__name__, name, purpose


def _dead(model: type[BaseModel]) -> list[str]:
    acting = _read(by_checks=False)
    return [f"{owner}.{name}" for owner, name, purpose in _keys(model) if purpose is None and name not in acting]


def test_every_key_acts_or_says_why_it_is_there() -> None:
    """If it fails: read the key, declare its purpose, or remove it and list it in IGNORED with what rules instead."""
    assert _dead(RunConfig) == []


@pytest.mark.parametrize("purpose", [MUST_AGREE, BOUNDS], ids=["must-agree", "bounds"])
def test_a_key_that_a_rule_holds_is_read_by_a_rule(purpose: Purpose) -> None:
    checked = _read(by_checks=True)
    assert [f"{owner}.{name}" for owner, name, why in _keys(RunConfig) if why is purpose and name not in checked] == []


def test_a_key_that_nobody_reads_is_found() -> None:
    class Planted(ConfigModel):
        """A key that promises something, and one that says that it does not."""

        run: RunConfig
        key_that_nobody_reads: float
        another: Annotated[float, FOR_PEOPLE]

    assert _dead(Planted) == ["Planted.key_that_nobody_reads"]


def test_what_is_for_people_is_said_on_the_page() -> None:
    rows = (ROOT / "docs" / "reference" / "configuration.md").read_text().splitlines()
    for _, name, why in _keys(RunConfig):
        said = [row for row in rows if row.startswith(f"| `{name}` |") and FOR_PEOPLE.meaning in row]
        assert bool(said) or why is not FOR_PEOPLE, name
