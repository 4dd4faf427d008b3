"""What all messages share: frozen, no unknown field, finite numbers, and the types of their fields.

Messages are built thousands of times a run, so field types do the work in the core of Pydantic and Python validators
are few: one parse of a key is cached, an instant is one ``fromisoformat``.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import InvalidPositionKeyError, JsonScalar
from schemas.instruments import canonical_key, normalise_pair

Number = Annotated[float, Field(strict=True)]
"""A finite float; an int is taken, a bool or a text is not."""

PositiveNumber = Annotated[float, Field(strict=True, gt=0.0)]
NonNegativeNumber = Annotated[float, Field(strict=True, ge=0.0)]
UnitNumber = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
"""A fraction of one between 0 and 1."""

SignedUnitNumber = Annotated[float, Field(strict=True, ge=-1.0, le=1.0)]
"""A fraction of one between -1 and 1."""

Count = Annotated[int, Field(strict=True, ge=0)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, StringConstraints(min_length=1)]
Details = dict[str, JsonValue]
"""Named facts that differ by operation or venue: prices, indexes, hashes; finite numbers only."""


def _known_key(text: str) -> str:
    try:
        return canonical_key(text)
    except InvalidPositionKeyError as error:
        raise ValueError(error.message) from error


def _known_keys(amounts: dict[str, float]) -> dict[str, float]:
    """The same amounts with every key in canonical spelling; one call a mapping, since these are the most there are."""
    try:
        spelled = [canonical_key(key) for key in amounts]
    except InvalidPositionKeyError as error:
        raise ValueError(error.message) from error
    if spelled == list(amounts):
        return amounts
    if len(set(spelled)) < len(spelled):
        raise ValueError(f"a position key comes in two spellings: {', '.join(amounts)}")
    return dict(zip(spelled, amounts.values(), strict=True))


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _instant_text(text: str) -> str:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        return text
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat()


KeyText = Annotated[str, AfterValidator(_known_key)]
"""A position key; a type in its old spelling becomes the canonical one."""

Amounts = Annotated[dict[str, Number], AfterValidator(_known_keys)]
"""Position key to an amount in the unit of the key."""

VenueId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""A venue id; which venues there are is asked of the catalogue, where an order is routed."""

PairText = Annotated[str, StringConstraints(min_length=1), AfterValidator(normalise_pair)]
"""A trading pair, stored without separator."""

UtcInstant = Annotated[datetime, AfterValidator(_utc)]
"""An aware UTC instant; a naive one is read as UTC."""

InstantText = Annotated[str, AfterValidator(_instant_text)]
"""ISO-8601 UTC without offset; one with an offset is converted."""


class Message(BaseModel):
    """Base of every message: frozen, no unknown field, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


RawMessage = Mapping[str, object] | str | bytes
"""A message as it arrives: a mapping, or JSON text."""

AnyMessage = TypeVar("AnyMessage", bound=Message)

_FORMAT_FAULTS: Final = ("missing", "extra_forbidden", "json_invalid", "enum")


def validate_raw(model: type[AnyMessage], raw: RawMessage) -> AnyMessage:
    """Build the message that ``raw`` spells; raises Pydantic's ValidationError."""
    return model.model_validate_json(raw) if isinstance(raw, str | bytes) else model.model_validate(dict(raw))


def is_format_fault(error: ValidationError) -> bool:
    """Whether any fault is one of form (missing, unknown, wrong type) and not of a rule."""
    return any(fault["type"] in _FORMAT_FAULTS or fault["type"].endswith("_type") for fault in error.errors())


def _given(fault: ErrorDetails) -> str:
    """Quote a scalar that was refused; a whole message would drown the line."""
    value = fault["input"]
    return f" (given {value!r})" if fault["loc"] and isinstance(value, str | int | float) else ""


def describe_faults(noun: str, raw: RawMessage, error: ValidationError) -> tuple[str, dict[str, JsonScalar]]:
    """Return one line that names every fault, and the operation and first faulty field where known, as context."""
    faults = error.errors(include_url=False, include_context=False)
    fields = [".".join(str(part) for part in fault["loc"]) for fault in faults]
    texts = [
        f"{field or noun}: {fault['msg'].removeprefix('Value error, ')}{_given(fault)}"
        for field, fault in zip(fields, faults, strict=True)
    ]
    operation_id = raw.get("operation_id") if isinstance(raw, Mapping) else None
    context: dict[str, JsonScalar] = {}
    if isinstance(operation_id, str):
        context["operation_id"] = operation_id
    if fields[0]:
        context["field"] = fields[0]
    return f"{noun} refused: {'; '.join(texts)}", context
