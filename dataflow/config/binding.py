"""From a document to a model, or to every fault of the document with its file, line and key."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Final, Generic, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dataflow.config.yaml_lines import Document, YamlFault, YamlValue
from schemas.errors import ErrorCode
from schemas.models.config_base import ConfigModel, FaultKind, Location, Rule, RuleFault, broken_rules
from schemas.spelling import close_match

ModelT = TypeVar("ModelT", bound=ConfigModel)

CODE_OF_KIND: Final[Mapping[str, ErrorCode]] = {
    FaultKind.RULE.value: ErrorCode.CONFIG_VALIDATION_FAILED,
    FaultKind.MISSING.value: ErrorCode.CONFIG_KEY_MISSING,
    FaultKind.VENUE.value: ErrorCode.CONFIG_VENUE_INVALID,
}

_LISTED_KEYS_MAX: Final = 12
"""Longer lists of allowed keys help nobody in a one-line message."""


@dataclass(frozen=True, order=True)
class ConfigFault:
    """One fault (or warning) of a configuration: where it is written and what is wrong."""

    file: str
    line: int
    """Counted from 1; for ``--set`` the number of the override."""
    key: str
    """Dotted; empty for the file as a whole."""
    code: ErrorCode
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.key}: {self.message}".replace(" : ", ": ")


@dataclass(frozen=True)
class Bound(Generic[ModelT]):
    """What became of a document.

    ``model`` is complete when ``faults`` is empty. Otherwise it holds the keys that are sound and lacks those named
    in ``unreadable`` (dotted), and only rules that read none of these may look at it.
    """

    model: ModelT
    unreadable: tuple[str, ...]
    faults: tuple[ConfigFault, ...]


def dotted(location: Location) -> str:
    """Return the key of a location as a user writes it.

    >>> dotted(("venues", "okx", "instruments", 0))
    'venues.okx.instruments.0'
    """
    return ".".join(str(part) for part in location)


def place(document: Document, location: Location, code: ErrorCode, message: str) -> ConfigFault:
    """Return a fault at the line of a location."""
    mark = document.mark(location)
    return ConfigFault(mark.file, mark.line, dotted(location), code, message)


def faults_of(notes: Iterable[YamlFault], code: ErrorCode) -> list[ConfigFault]:
    """Return what the YAML reader or the folding of old spellings found."""
    return [ConfigFault(note.mark.file, note.mark.line, dotted(note.key), code, note.message) for note in notes]


def bind(
    document: Document, model: type[ModelT], settings: type[ModelT], rules: Iterable[Rule[ModelT]]
) -> Bound[ModelT]:
    """Validate a document.

    ``settings`` is the model without its rules between keys (``model`` itself where these cannot be told apart) and
    ``rules`` are those rules; they are run on the sound keys when other keys are at fault.
    """
    raw = json.dumps(document.root)
    try:
        return Bound(model.model_validate_json(raw), (), ())
    except ValidationError as error:
        details = error.errors(include_url=False)
    faults = [_fault(document, model, detail) for detail in details]
    unreadable = tuple(
        dotted(_location(detail)) for detail in details if detail["type"] not in (FaultKind.RULE, "extra_forbidden")
    )
    partial = sound_part(settings, document.root)
    if not any(detail["type"] == FaultKind.RULE for detail in details):
        faults += place_rules(document, broken_rules(partial, rules, unreadable))
    return Bound(partial, unreadable, tuple(faults))


def place_rules(document: Document, faults: Iterable[RuleFault]) -> list[ConfigFault]:
    """Return the faults of rules at their lines."""
    return [place(document, fault.key, CODE_OF_KIND[fault.kind.value], fault.message) for fault in faults]


def _location(detail: ErrorDetails) -> Location:
    """Drop the marker that Pydantic appends for a faulty mapping key."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def _fault(document: Document, model: type[BaseModel], detail: ErrorDetails) -> ConfigFault:
    location, kind = _location(detail), detail["type"]
    if kind == FaultKind.RULE:
        context = detail["ctx"]
        return place(document, location, CODE_OF_KIND[context["kind"]], str(context["fault"]))
    if kind == "missing":
        return place(document, location, ErrorCode.CONFIG_KEY_MISSING, "a required key is missing: write it")
    if kind == "extra_forbidden":
        known = field_names(model, location[:-1])
        hint = close_match(str(location[-1]), known)
        if not hint and len(known) <= _LISTED_KEYS_MAX:
            hint = f"; keys here: {', '.join(known)}" if known else "; this block has no keys"
        return place(document, location, ErrorCode.CONFIG_VALIDATION_FAILED, f"unknown key{hint}")
    is_mode = (location, kind) in ((("mode",), "enum"), (("family",), "literal_error"))
    code = ErrorCode.CONFIG_MODE_INVALID if is_mode else ErrorCode.CONFIG_VALIDATION_FAILED
    return place(document, location, code, _value_message(detail))


def _value_message(detail: ErrorDetails) -> str:
    """Say in one line what the value must be and what it is."""
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message = f"{message[:1].lower()}{message[1:]}"
    if detail["type"] == "value_error":
        return message
    expected = str(detail.get("ctx", {}).get("expected", ""))
    choices = [choice.strip("' ") for choice in expected.replace(" or ", ",").split(",")]
    written = detail["input"]
    shown = "a block" if isinstance(written, dict) else "a list" if isinstance(written, list) else repr(written)
    return f"{message}, not {shown}{close_match(str(written), choices)}"


def field_names(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    """Return the keys that a model allows at a location; () where there is no model."""
    annotation: object = model
    for part in location:
        annotation = _unwrapped(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[str(part)].annotation
        elif get_origin(annotation) in (dict, tuple):
            arguments = get_args(annotation)
            annotation = arguments[1] if get_origin(annotation) is dict else arguments[0]
    annotation = _unwrapped(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return tuple(annotation.model_fields)
    return ()


def _unwrapped(annotation: object) -> object:
    """Strip ``Annotated`` and ``| None``."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation


def sound_part(model: type[ModelT], raw: Mapping[str, YamlValue]) -> ModelT:
    """Build a model from the keys that validate by themselves; the others, and missing ones, are left unset."""
    values = dict(_sound_values(model, raw))
    return cast(ModelT, model.model_construct(None, **values))  # Pydantic's plug-in forgets the type variable


def _sound_values(model: type[ConfigModel], raw: Mapping[str, YamlValue]) -> Iterator[tuple[str, object]]:
    for name, info in model.model_fields.items():
        if name not in raw:
            continue
        value = raw[name]
        inner = _unwrapped(info.annotation)
        try:
            adapter = TypeAdapter[object](Annotated[info.annotation, info])  # type: ignore[arg-type]  # a type at run time
            yield name, adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError:
            if isinstance(inner, type) and issubclass(inner, ConfigModel) and isinstance(value, dict):
                yield name, sound_part(inner, value)
            elif get_origin(inner) is dict and isinstance(value, dict):
                yield name, _sound_items(inner, value)


def _sound_items(annotation: object, raw: Mapping[str, YamlValue]) -> dict[str, object]:
    """Build a mapping of models as far as each item goes; items that are no models and do not validate are left out."""
    item = _unwrapped(get_args(annotation)[1])
    if not (isinstance(item, type) and issubclass(item, ConfigModel)):
        return {}
    return {key: sound_part(item, value) for key, value in raw.items() if isinstance(value, dict)}
