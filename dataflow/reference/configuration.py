"""``docs/reference/configuration.md``: every key, its type, default and meaning, and every rule, from the code."""

import inspect
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from types import UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dataflow.config.old_spellings import ATTRIBUTION_ALIASES, IGNORED, MODE_ALIASES, MOVES, REMOVED, RISK_ALIASES, Move
from dataflow.reference.field_docs import field_docs
from schemas.models.catalogue import CATALOGUE_RULES
from schemas.models.config import RUN_RULES, ModeConfig, ScenarioConfig, ShareClassConfig, VenueConfig
from schemas.models.config_base import ListOrder, Purpose
from schemas.models.config_rules import MODE_RULES
from schemas.models.config_tokens import TOKEN_RULES, NetworkConfig, TokenFile
from schemas.models.config_venues import SHARE_CLASS_RULES, VENUE_RULES

_HEAD: Final = """# Configuration

Generated from `schemas/models/config*.py` by `render_configuration_markdown`; do not edit.

A run is a mode, its share class, any number of scenarios, and the catalogue that all runs read: every token, network
and venue below `configs/`. The catalogue alone says which venues and tokens there are, what can be held where, and what
a venue can do; position keys, routing and capabilities follow from it.
Unknown keys are errors. All faults are reported at once, each with file, line and key (`basis config check`).
Fractions are fractions of one: 0.02 is 2 %. A risk limit has no default. Numbers are plain YAML numbers, `1e-4`
included; duplicate keys, tags and anchors are refused. The order of the keys of a mapping means nothing. A list is a
*set*, whose order means nothing either, or a *sequence*, which is refused where it is out of order.

Single values are overridden with `--set a.b=c` on the mode file, and with `--set venue:okx.fees.spot.taker=0`,
`--set share_class:max_leverage=2` or `--set scenario:fees=false` on the others. `--scenario NAME` may be repeated;
later ones win.

"""
_FAMILIES: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("Mode: `configs/modes/{mode}.yaml`", ModeConfig),
    ("Venue: `configs/venues/{venue}.yaml`", VenueConfig),
    ("Tokens: `configs/tokens.yaml`", TokenFile),
    ("Network: `configs/networks/{network}.yaml`", NetworkConfig),
    ("Share class: `configs/share_classes/{class}.yaml`", ShareClassConfig),
    ("Scenario: `configs/scenarios/{name}.yaml`", ScenarioConfig),
)


def render_configuration_markdown() -> str:
    """Return the page as Markdown, the same text for the same code."""
    return _HEAD + "\n".join(_lines())


def _lines() -> Iterator[str]:
    for title, model in _FAMILIES:
        yield f"## {title}"
        yield ""
        for prefix, block in _blocks(model, ""):
            if prefix:
                yield f"### `{prefix}`"
                yield ""
            yield from _block(block)
    yield from _rules()
    yield from _old_spellings()


def _block(model: type[BaseModel]) -> Iterator[str]:
    yield " ".join(inspect.cleandoc(model.__doc__ or "").split())
    yield ""
    if model.model_fields:
        docs = field_docs(model)
        rows = (
            [f"`{name}`", _type(info), _default(info), _meaning(docs.get(name, ""), info)]
            for name, info in model.model_fields.items()
        )
        yield from _table(("key", "type", "default", "meaning"), rows)


def _blocks(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a model and, depth first, the models of its keys, each with its dotted key."""
    yield prefix, model
    for name, info in model.model_fields.items():
        inner, is_mapping = _inner(info.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            key = f"{prefix}.{name}" if prefix else name
            yield from _blocks(inner, f"{key}.*" if is_mapping else key)


def _inner(annotation: object) -> tuple[object, bool]:
    """Strip ``Annotated``, ``| None`` and the mapping around a model."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _inner(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return _inner(next(part for part in get_args(annotation) if part is not type(None)))
    if origin is dict:
        return _inner(get_args(annotation)[1])[0], True
    return annotation, False


def _type(info: FieldInfo) -> str:
    bounds = [text for item in info.metadata if (text := _bound(item))]
    return _listed(info.metadata, ", ".join([_name(info.annotation), *bounds]))


def _listed(metadata: Iterable[object], name: str) -> str:
    """Say of a list whether its order counts."""
    order = next((item for item in metadata if isinstance(item, ListOrder)), None)
    return name if order is None else f"{order} of {name}"


def _name(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _listed(arguments[1:], ", ".join([_name(arguments[0]), *_annotated_bounds(arguments[1:])]))
    if origin is Literal:
        return " / ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " / ".join("null" if part is type(None) else _name(part) for part in arguments)
    if origin is tuple:
        return _name(arguments[0]) if arguments[-1] is Ellipsis else f"{len(arguments)} numbers"
    if origin is dict:
        return f"mapping of {_name(arguments[0])} to {_name(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " / ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "block"
    names: dict[object, str] = {float: "number", int: "whole number", str: "text", bool: "true / false"}
    return names[annotation]


def _annotated_bounds(metadata: Iterable[object]) -> list[str]:
    items = (item for each in metadata for item in (each.metadata if isinstance(each, FieldInfo) else [each]))
    return [text for item in items if (text := _bound(item))]


def _bound(item: object) -> str:
    """Say a numeric bound; other constraints are in the meaning."""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [f"{sign} {getattr(item, name):g}" for name, sign in signs.items() if hasattr(item, name)]
    return " ".join(found)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "as below"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | int):
        return f"{value:g}"
    return f"`{value}`" if value else "empty"


def _meaning(text: str, info: FieldInfo) -> str:
    purposes = (item.meaning for item in info.metadata if isinstance(item, Purpose))
    return " ".join([*text.replace("``", "`").split(), *purposes])


def _table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(re.sub(r'[|]', '/', cell) for cell in row)} |"
    yield ""


def _rules() -> Iterator[str]:
    """List every rule by the sentence of its docstring."""
    yield "## Rules"
    yield ""
    groups = (
        ("Within a mode file", [rule.check for rule in MODE_RULES]),
        ("Within a venue file", [rule.check for rule in VENUE_RULES]),
        ("Within a token", [rule.check for rule in TOKEN_RULES]),
        ("Between tokens, networks and venues", [rule.check for rule in CATALOGUE_RULES]),
        ("Within a share class file", [rule.check for rule in SHARE_CLASS_RULES]),
        ("Between the files of a run", [rule.check for rule in RUN_RULES]),
    )
    for title, checks in groups:
        yield f"### {title}"
        yield ""
        for check in checks:
            sentence = " ".join(inspect.cleandoc(check.__doc__ or "").split()).removeprefix("Check ")
            yield f"- {sentence.removeprefix('that ')}"
        yield ""


def _home(move: Move) -> str:
    home = f"`{'.'.join(move.home)}`"
    return f"{home}, {move.unit}: the old value x {move.factor:g}" if move.unit else home


def _old_spellings() -> Iterator[str]:
    yield "## Old spellings"
    yield ""
    yield "Accepted with a warning. An equal duplicate is dropped; an unequal one is CONFIG-003."
    yield ""
    yield from _table(("old", "today"), ([f"`{'.'.join(move.old)}`", _home(move)] for move in MOVES))
    aliases = {**{old: (new,) for old, new in MODE_ALIASES.items()}, **ATTRIBUTION_ALIASES, **RISK_ALIASES}
    rows = ([f"`{old}`", " and ".join(f"`{name}`" for name in names)] for old, names in aliases.items())
    yield from _table(("old value", "today"), rows)
    yield "Accepted without effect, with a warning:"
    yield ""
    yield from _table(("key", "instead"), ([f"`{'.'.join(key)}`", reason] for key, reason in IGNORED.items()))
    yield "Refused wherever they stand:"
    yield ""
    yield from _table(("key", "instead"), ([f"`{key}`", reason] for key, reason in REMOVED.items()))
