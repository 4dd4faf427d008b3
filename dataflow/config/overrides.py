"""Overrides of single values: ``--set strategy_config.min_trade_usd=50``, ``--set venue:okx.fees.spot.taker=0``."""

import re
from dataclasses import dataclass, field
from typing import Final

from dataflow.config.binding import ConfigFault, dotted, faults_of
from dataflow.config.old_spellings import canonical_location, fold_old_spellings
from dataflow.config.yaml_lines import Document, Mark, YamlValue, compose_document
from schemas.errors import ErrorCode

OVERRIDE_FILE: Final = "--set"
"""Stands for the file in faults; the line is the number of the override."""

_CODE: Final = ErrorCode.CONFIG_VALIDATION_FAILED
_FORM: Final = re.compile(
    r"(?:(?P<family>mode|share_class|scenario|venue):)?(?P<path>[^=\s]+?)\s*=(?P<value>.*)", re.DOTALL
)


@dataclass(frozen=True)
class Override:
    """One ``--set``: which file (``mode``, ``share_class``, ``scenario``, ``venue:okx``), which key, which value."""

    number: int
    address: str
    location: tuple[str, ...]
    value: YamlValue


@dataclass
class OverrideNotes:
    """What applying one override found."""

    faults: list[ConfigFault] = field(default_factory=list)
    warnings: list[ConfigFault] = field(default_factory=list)


def parse_override(text: str, number: int) -> Override | ConfigFault:
    """Read ``[family:]a.b=c``; the value is YAML. A text of another form is a fault.

    >>> parse_override("strategy_config.funding_enter_apr=0.1", 1)
    Override(number=1, address='mode', location=('strategy_config', 'funding_enter_apr'), value=0.1)
    >>> parse_override("venue:okx.fees.spot.taker=0", 2).address
    'venue:okx'
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return ConfigFault(OVERRIDE_FILE, number, text, _CODE, "is not of the form key.key=value")
    family = match["family"] or "mode"
    parts = tuple(match["path"].split("."))
    if family == "venue":
        family, parts = f"venue:{parts[0]}", parts[1:]
    if not parts or not all(parts):
        return ConfigFault(OVERRIDE_FILE, number, text, _CODE, "has an empty key; write key.key=value")
    parsed = compose_document(f"value: {match['value'].strip()}", OVERRIDE_FILE)
    if parsed.faults or set(parsed.root) != {"value"}:
        return ConfigFault(OVERRIDE_FILE, number, dotted(parts), _CODE, f"the value {match['value']!r} is not YAML")
    return Override(number, family, parts, parsed.root["value"])


def apply_override(document: Document, override: Override) -> OverrideNotes:
    """Write an override over a document whose old spellings are folded; old spellings in its key are folded too."""
    mark = Mark(OVERRIDE_FILE, override.number)
    location = _resolved(document, override.location)
    alone = Document(OVERRIDE_FILE)
    alone.put(location, override.value, mark)
    folding = fold_old_spellings(alone)
    notes = OverrideNotes(faults_of(folding.faults, _CODE), faults_of(folding.warnings, _CODE))
    home = canonical_location(location)
    if not alone.has(home):
        return notes
    if document.has(home):
        document.remove(home)
    if not document.put(home, alone.get(home), mark):
        message = "a key above it holds a value, not keys"
        notes.faults.append(ConfigFault(OVERRIDE_FILE, override.number, dotted(location), _CODE, message))
    return notes


def _resolved(document: Document, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Join parts that are one key with dots in it, such as ``fill_rules`` / ``spot_price.okx``."""
    resolved: list[str] = []
    here: YamlValue = document.root
    rest = list(parts)
    while rest:
        taken = 1
        if isinstance(here, dict):
            taken = next((n for n in range(len(rest), 0, -1) if ".".join(rest[:n]) in here), 1)
        key = ".".join(rest[:taken])
        here = here.get(key) if isinstance(here, dict) else None
        resolved.append(key)
        rest = rest[taken:]
    return tuple(resolved)
