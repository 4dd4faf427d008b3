"""Queries on the event log of a run: conditions on fields and on time."""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from dataflow.records.log.instant_options import parse_instant
from dataflow.records.log.reading import EventRecord, event_class_of, read_events
from schemas.errors import ConfigValidationError
from schemas.models.events import DomainEvent

_FORM: Final = re.compile(r"(?P<field>[^=<>!\s]+)\s*(?P<test>==|!=|>=|<=|=|>|<)\s*(?P<value>.*)", re.DOTALL)

_TESTS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True)
class Condition:
    """A test of one field: numbers compare as numbers, everything else (instants too) as text."""

    path: tuple[str, ...]
    test: str
    value: str

    def holds(self, record: EventRecord) -> bool:
        """Whether an event passes; one without the field never does."""
        found = _field(record, self.path)
        if found is None:
            return False
        if isinstance(found, bool):
            return _TEXT_TESTS[self.test](str(found).lower(), self.value.lower())
        if isinstance(found, int | float):
            return _TESTS[self.test](float(found), self._wanted())
        return isinstance(found, str) and _TEXT_TESTS[self.test](found, self.value)

    def _wanted(self) -> float:
        try:
            return float(self.value)
        except ValueError as error:
            field = ".".join(self.path)
            raise ConfigValidationError(f"--where {field}{self.test}{self.value}: {field} is a number") from error


def parse_condition(text: str, event_class: type[DomainEvent]) -> Condition:
    """Read ``field=value``; also ``!=``, ``>``, ``>=``, ``<``, ``<=``, and ``metadata.key`` for nested fields.

    Raises ConfigValidationError (CONFIG-003) on another form and on a field that the event does not have.

    >>> from schemas.models.events import StrategyDecision
    >>> parse_condition("orders_generated>2", StrategyDecision)
    Condition(path=('orders_generated',), test='>', value='2')
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ConfigValidationError(
            f"--where {text!r} is not a condition; write a field, one of {' '.join(_TESTS)}, and a value", where=text
        )
    path = tuple(match["field"].split("."))
    known = tuple(event_class.model_fields)
    if path[0] not in known:
        close = get_close_matches(path[0], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"fields: {', '.join(known)}"
        raise ConfigValidationError(
            f"--where {text!r}: {event_class.__name__} has no field {path[0]}; {hint}", where=text
        )
    value = match["value"].strip()
    if path == ("timestamp",):
        value = str(parse_instant(value, "--where timestamp"))
    return Condition(path, match["test"], value)


def find_events(
    run_dir: Path, event_type: str, conditions: Sequence[str], *, start: str | None = None, end: str | None = None
) -> Iterator[EventRecord]:
    """Yield the events of one type that pass every condition, in the order of the log.

    start, end: first and last instant of the engine's clock, both taken in.
    Raises ConfigValidationError (CONFIG-003) on an unknown type, a bad condition or instant, and what ``read_events``
    raises.
    """
    event_class = event_class_of(event_type)
    tests = [parse_condition(text, event_class) for text in conditions]
    bounds = [
        Condition(("timestamp",), test, str(parse_instant(text, option)))
        for option, test, text in (("--start", ">=", start), ("--end", "<=", end))
        if text is not None
    ]
    if len(bounds) == 2 and bounds[0].value > bounds[1].value:
        raise ConfigValidationError(f"--start {start} is after --end {end}; exchange them")
    tests += bounds
    return (record for record in read_events(run_dir, event_class) if all(test.holds(record) for test in tests))


def _field(record: EventRecord, path: tuple[str, ...]) -> JsonValue:
    found: JsonValue = record
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
