"""Event lines from columns: many quiet rows of one event class in one pass, without an object a row.

Each column is encoded once by orjson and cut at its commas; the rows are joined with the text between them, in the
field order of the model. Columns that hold one value only become part of that text. The result is, byte for byte, what
``schemas.models.events.event_line`` writes for the same rows: the first row of every new shape of batch is parsed into
its model and written again, and must come out the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import repeat
from types import UnionType
from typing import Annotated, Final, NamedTuple, TypeAlias, Union, get_args, get_origin

import numpy as np
import numpy.typing as npt
import orjson
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from dataflow.records.log.event_csv import cell, inside_quotes
from schemas.errors import LogSerialisationError
from schemas.models.events import DomainEvent, event_line
from schemas.units import INSTANT_DTYPE, Column, Instants

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FieldValue: TypeAlias = (
    Column
    | Instants
    | Counts
    | Flags
    | str
    | int
    | float
    | bool
    | tuple[str, ...]
    | Sequence["FieldValue"]
    | Mapping[str, "FieldValue"]
    | None
)
"""What a field of a batch may hold.

- an array (rows,) of float64, int64, bool or datetime64[s]: one value a row;
- a text, number, bool or None: one value for all rows;
- a tuple of texts: one text a row (also a list, where the field of the model is a text);
- a list: a JSON array on every row, whose elements are again field values;
- a mapping: a JSON object on every row, whose values are again field values.
"""

_DTYPES: Final = (np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_), INSTANT_DTYPE)
_NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY
_PLACE: Final = b"\0"
"""Stands for the token of a row: JSON never has this byte."""

_ROWS_WORTH_A_LOOK: Final = 8
_FIELDS_OF_THE_LOG: Final = ("timestamp", "real_utc_time", "correlation_id", "pid", "order")


class _Template:
    """The literal text between the columns of a batch, the columns' tokens, and the shape that identifies both."""

    def __init__(self, event_class: type[DomainEvent], rows: int, *, with_table: bool) -> None:
        self.event_class, self.rows, self._with_table = event_class, rows, with_table
        self.parts: list[bytes] = []
        self.columns: list[Sequence[bytes]] = []
        self.shape: list[str] = []
        self._cells: list[bytes] = []
        self._texts: dict[int, Callable[[bytes], bytes]] = {}
        """Places of the columns of texts, and what a table makes of one."""

    def lines(self) -> list[bytes]:
        return self._filled(b"".join(self.parts) + b"}\n", self.columns)

    def table_rows(self) -> list[bytes]:
        """The same rows as ``dataflow.records.log.event_csv`` writes them."""
        columns = [
            column if place not in self._texts else _mapped(self._texts[place], column)
            for place, column in enumerate(self.columns)
        ]
        return self._filled(b",".join(self._cells) + b"\n", columns)

    def _filled(self, template: bytes, columns: Sequence[Sequence[bytes]]) -> list[bytes]:
        first, *others = template.split(_PLACE)
        pieces: list[Iterable[bytes]] = [repeat(first, self.rows)]
        for column, literal in zip(columns, others, strict=True):
            pieces += (column, repeat(literal, self.rows))
        return list(map(b"".join, zip(*pieces, strict=True)))

    def field(self, lead: bytes, value: FieldValue, name: str) -> None:
        """Add a field of the event with the text before it."""
        self.shape.append(name)
        self.parts.append(lead)
        part, column = len(self.parts), len(self.columns)
        self.add(value, name)
        if self._with_table:
            self._add_cell(part, column)

    def _add_cell(self, part: int, column: int) -> None:
        """Add to the table what was added to the lines, from a part and a column on."""
        text = b"".join(self.parts[part:])
        self._cells.append(cell(text))
        for place, tokens in enumerate(self.columns[column:], start=column):
            if not tokens[0].startswith(b'"'):
                continue
            if text != _PLACE:
                self._texts[place] = inside_quotes
            elif any(b"\\" in token for token in tokens):
                self._texts[place] = cell

    def add(self, value: FieldValue, path: str) -> None:
        """Add a field value; ``path`` names it in errors."""
        if isinstance(value, np.ndarray):
            self._add_array(value, path)
        elif isinstance(value, tuple):
            self._add_texts(value, path)
        elif isinstance(value, Mapping):
            self._add_object(value, path)
        elif isinstance(value, str | int | float | None):
            self.shape.append(type(value).__name__)
            if isinstance(value, str):
                self._check_enumeration(path, (value,))
            self.parts.append(_encode_constant(value, path))
        elif isinstance(value, Sequence):
            self._add_list(value, path)
        else:
            raise _fault(f"{type(value).__name__} cannot be written", self.event_class, path)

    def _column(self, tokens: Sequence[bytes]) -> None:
        self.parts.append(_PLACE)
        self.columns.append(tokens)

    def _add_array(self, array: npt.NDArray[np.generic], path: str) -> None:
        if array.shape != (self.rows,):
            raise _fault(f"shape {array.shape} where ({self.rows},) is needed", self.event_class, path)
        self.shape.append(array.dtype.str)
        if array.dtype not in _DTYPES:
            raise _fault(f"a column of {array.dtype} cannot be written", self.event_class, path)
        bits = array.view(np.int64) if array.dtype == np.float64 else array  # -0.0 and 0.0 are two texts
        constant = self.rows >= _ROWS_WORTH_A_LOOK and bits[0] == bits[-1] and bool((bits == bits[0]).all())
        unknown = np.isnat(array) if array.dtype == INSTANT_DTYPE else None
        tokens = b"null" if unknown is not None and unknown.any() else _encode_array(array[:1] if constant else array)
        if b"null" in tokens:
            row = int(np.argmax(~np.isfinite(array) if unknown is None else unknown))
            raise _fault(f"a value that is not finite at row {row}", self.event_class, path)
        if constant:
            self.parts.append(tokens)
        else:
            self._column(tokens.split(b","))

    def _add_texts(self, texts: tuple[str, ...], path: str) -> None:
        if len(texts) != self.rows:
            raise _fault(f"{len(texts)} texts where {self.rows} are needed", self.event_class, path)
        self.shape.append("texts")
        token = {text: _encode_constant(text, path) for text in set(texts)}
        self._check_enumeration(path, texts)
        if len(token) == 1:
            self.parts.append(token[texts[0]])
        else:
            self._column([token[text] for text in texts])

    def _check_enumeration(self, path: str, texts: Iterable[str]) -> None:
        allowed = _enumerations(self.event_class).get(path)
        unknown = set(texts) - allowed if allowed is not None else None
        if unknown:
            raise _fault(f"{min(unknown)!r} is none of {', '.join(sorted(allowed or ()))}", self.event_class, path)

    def _add_object(self, mapping: Mapping[str, FieldValue], path: str) -> None:
        members = [(_encode_constant(key, path) + b":", key, value) for key, value in mapping.items()]
        self._nest(b"{", b"}", members, path)

    def _add_list(self, values: Sequence[FieldValue], path: str) -> None:
        self._nest(b"[", b"]", [(b"", str(place), value) for place, value in enumerate(values)], path)

    def _nest(self, start: bytes, end: bytes, members: list[tuple[bytes, str, FieldValue]], path: str) -> None:
        self.shape.append(start.decode())
        self.parts.append(start)
        for place, (lead, name, value) in enumerate(members):
            self.shape.append(name)
            self.parts.append(b"," + lead if place else lead)
            self.add(value, f"{path}.{name}")
        self.shape.append(end.decode())
        self.parts.append(end)


class Batch(NamedTuple):
    """Rows of one event class, ready for their files."""

    lines: list[bytes]
    table_rows: list[bytes]
    """Empty where no table is wanted."""


class BulkEncoder:
    """Turns batches of quiet rows of one run into event lines, and into rows of its tables."""

    def __init__(self, correlation_id: str, pid: int) -> None:
        self._correlation_id, self._pid = correlation_id, pid
        self._proven: set[tuple[type[DomainEvent], tuple[str, ...]]] = set()

    def encode(
        self,
        event_class: type[DomainEvent],
        *,
        order: Counts,
        timestamps: Instants,
        real_utc_time: str,
        fields: Mapping[str, FieldValue],
        with_table: bool = False,
    ) -> Batch:
        """Return one line a row, in the order given; fields left out take the default of the model.

        Raises ``LogSerialisationError`` (LOG-004), naming event and field, on an unknown or missing field, a wrong
        type or length, a value that is not finite, and whatever the model refuses or would write differently.
        """
        layout = _layout(event_class)
        _check_names(event_class, layout, fields)
        if len(order) == 0:
            return Batch([], [])
        given: dict[str, FieldValue] = {
            **fields,
            "timestamp": timestamps,
            "real_utc_time": real_utc_time,
            "correlation_id": self._correlation_id,
            "pid": self._pid,
            "order": order,
        }
        template = _Template(event_class, len(order), with_table=with_table)
        for name, field in layout.items():
            value = given.get(name, field.default)
            template.field(field.lead, tuple(value) if field.is_text and isinstance(value, list) else value, name)
        lines = template.lines()
        self._prove(event_class, tuple(template.shape), lines[0])
        return Batch(lines, template.table_rows() if with_table else [])

    def _prove(self, event_class: type[DomainEvent], shape: tuple[str, ...], line: bytes) -> None:
        """Hold the first line of a new shape against the model path."""
        if (event_class, shape) in self._proven:
            return
        try:
            of_the_model = event_line(event_class.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False)[0]
            path = ".".join(str(part) for part in fault["loc"])
            raise _fault(fault["msg"], event_class, path) from error
        if of_the_model != line:
            raise _fault(_difference(line, of_the_model), event_class, "line")
        self._proven.add((event_class, shape))


@dataclass(frozen=True, slots=True)
class _FieldLayout:
    """How one field of a model is written: the text before it, and what stands there if it is not given."""

    lead: bytes
    default: FieldValue
    is_required: bool
    is_text: bool
    """Whether the value is a text, where a list therefore means one text a row."""


@lru_cache
def _layout(event_class: type[DomainEvent]) -> Mapping[str, _FieldLayout]:
    """Fields of a model in the order of its lines."""
    layout = {}
    for place, (name, field) in enumerate(event_class.model_fields.items()):
        default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        layout[name] = _FieldLayout(
            lead=f'{"," if place else "{"}"{name}":'.encode(),
            default=default,
            is_required=field.is_required(),
            is_text=any(issubclass(kind, str) for kind in _kinds(field)),
        )
    return layout


def _check_names(
    event_class: type[DomainEvent], layout: Mapping[str, _FieldLayout], fields: Mapping[str, FieldValue]
) -> None:
    for name in fields:
        if name not in layout:
            raise _fault("the event has no such field", event_class, name)
        if name in _FIELDS_OF_THE_LOG:
            raise _fault("the log fills this field; leave it out", event_class, name)
    for name, field in layout.items():
        if field.is_required and name not in fields and name not in _FIELDS_OF_THE_LOG:
            raise _fault("a required field is missing", event_class, name)


def _mapped(change: Callable[[bytes], bytes], tokens: Sequence[bytes]) -> list[bytes]:
    changed = {token: change(token) for token in set(tokens)}
    return [changed[token] for token in tokens]


def _encode_array(array: npt.NDArray[np.generic]) -> bytes:
    return orjson.dumps(np.ascontiguousarray(array), option=_NUMPY)[1:-1]


def _encode_constant(value: str | float | bool | None, path: str) -> bytes:
    try:
        text = orjson.dumps(value, option=_NUMPY)
    except orjson.JSONEncodeError as error:
        raise LogSerialisationError(f"cannot be written as JSON: {error}", field=path) from error
    if text == b"null" and value is not None:
        raise LogSerialisationError("a value that is not finite cannot be written as JSON", field=path)
    return text


@lru_cache
def _enumerations(event_class: type[DomainEvent]) -> Mapping[str, frozenset[str]]:
    """Fields whose value is one of an enumeration, and its values."""
    return {
        name: frozenset(member.value for member in kind)
        for name, field in event_class.model_fields.items()
        for kind in _kinds(field)
        if issubclass(kind, StrEnum)
    }


def _kinds(field: FieldInfo) -> list[type]:
    """Return the plain classes that the annotation of a field allows, without containers."""
    annotation = field.annotation
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    bare = [get_args(option)[0] if get_origin(option) is Annotated else option for option in options]
    return [kind for kind in bare if isinstance(kind, type)]


def _difference(line: bytes, of_the_model: bytes) -> str:
    ours, theirs = orjson.loads(line), orjson.loads(of_the_model)
    for name, value in theirs.items():
        written, modelled = orjson.dumps(ours[name]).decode(), orjson.dumps(value).decode()
        if written != modelled:
            return f"{name} would be {written}, the model writes {modelled}"
    return "the fields are in another order than in the model"


def _fault(what: str, event_class: type[DomainEvent], path: str) -> LogSerialisationError:
    return LogSerialisationError(
        f"cannot write {event_class.__name__}.{path}: {what}", event=event_class.__name__, field=path
    )
