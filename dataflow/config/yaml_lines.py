"""YAML that remembers where every value came from.

A configuration fault names a line, so a file is composed into nodes (which carry marks) and built here instead of
being loaded. The scalars are those of JSON plus plain text: ``1e-4`` is a number and ``no`` is a text, unlike in
YAML 1.1. Duplicate keys, tags and anchors are faults: each would let a file say something other than it shows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from schemas.models.config_base import Location

YamlValue = bool | int | float | str | None | list["YamlValue"] | dict[str, "YamlValue"]

_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}


class _TextLoader(yaml.SafeLoader):
    """A loader that resolves no plain scalar: types are decided in this module."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  overrides PyYAML's own


@dataclass(frozen=True)
class Mark:
    """Where a value was written: a file (or ``--set``) and a line, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True)
class YamlFault:
    """What cannot be read, and where."""

    mark: Mark
    key: Location
    message: str


@dataclass
class Document:
    """A file as a mapping, with the mark of every key and list item, and what could not be read.

    ``root`` and ``marks`` change while old spellings are folded; a location without a mark of its own has the mark of
    its nearest parent.
    """

    file: str
    root: dict[str, YamlValue] = field(default_factory=dict)
    marks: dict[Location, Mark] = field(default_factory=dict)
    faults: list[YamlFault] = field(default_factory=list)

    def mark(self, location: Location) -> Mark:
        """Return where a location, or else its nearest written parent, stands."""
        for length in range(len(location), 0, -1):
            if (found := self.marks.get(location[:length])) is not None:
                return found
        return Mark(self.file, 1)

    def get(self, location: Location) -> YamlValue:
        """Return the value at a location; raises KeyError where nothing is written."""
        value: YamlValue = self.root
        for part in location:
            if isinstance(value, dict) and part in value:
                value = value[str(part)]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                raise KeyError(location)
        return value

    def has(self, location: Location) -> bool:
        """Whether something is written at a location, null included."""
        try:
            self.get(location)
        except KeyError:
            return False
        return True

    def put(self, location: Location, value: YamlValue, mark: Mark) -> bool:
        """Write a value, creating the mappings above it; False where a parent is not a mapping."""
        target = self.root
        for depth, part in enumerate(location[:-1], start=1):
            if str(part) not in target:
                target[str(part)] = {}
                self.marks[location[:depth]] = mark
            child = target[str(part)]
            if not isinstance(child, dict):
                return False
            target = child
        target[str(location[-1])] = value
        self.marks[location] = mark
        return True

    def remove(self, location: Location) -> None:
        """Take a key away, and its marks with it; its parent must be a mapping."""
        parent = self.get(location[:-1])
        assert isinstance(parent, dict)
        del parent[str(location[-1])]
        for known in [known for known in self.marks if known[: len(location)] == location]:
            del self.marks[known]


def parse_scalar(text: str) -> YamlValue:
    """Return the value that a plain YAML scalar spells.

    >>> [parse_scalar(text) for text in ("1e-4", "3", "true", "~", "no", "0x1F")]
    [0.0001, 3, True, None, 'no', '0x1F']
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def read_document(path: Path, name: str) -> Document:
    """Compose a file; what cannot be read is in ``faults``, never raised."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return Document(name, faults=[YamlFault(Mark(name, 1), (), f"cannot be read: {reason}")])
    return compose_document(text, name)


def compose_document(text: str, name: str) -> Document:
    """Build a document from YAML text; ``name`` stands for the file in marks."""
    document = Document(name)
    try:
        node = yaml.compose(text, Loader=_TextLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        document.faults.append(YamlFault(Mark(name, line), (), f"is not YAML: {error.problem or error.context}"))
        return document
    except yaml.YAMLError as error:  # a control character: the reader knows a position, not a line
        document.faults.append(YamlFault(Mark(name, 1), (), f"is not YAML: {' '.join(str(error).split())}"))
        return document
    if not isinstance(node, yaml.MappingNode):
        document.faults.append(YamlFault(Mark(name, 1), (), "must be a mapping of keys to values"))
        return document
    document.root = _Builder(document).mapping(node, ())
    return document


class _Builder:
    """Turns nodes into values and records their marks and faults in a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._built: dict[int, YamlValue] = {}

    def mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, YamlValue]:
        """Build a mapping whose keys are texts, each once."""
        built: dict[str, YamlValue] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, location, "a key must be a text")
                continue
            key = str(key_node.value)
            here = (*location, key)
            if key in built:
                first = self._document.marks[here].line
                self._fault(key_node, here, f"duplicate key; first on line {first}: remove one")
                continue
            self._document.marks[here] = self._mark(key_node)
            built[key] = self._value(value_node, here)
        return built

    def _value(self, node: yaml.Node, location: Location) -> YamlValue:
        if not node.tag.startswith(_TAG) or node.tag.removeprefix(_TAG) not in ("str", "map", "seq"):
            self._fault(node, location, f"tag {node.tag} is not used here: write the plain value")
        if id(node) in self._built:
            mark = self._document.mark(location)  # the node's own mark is that of the anchor
            self._document.faults.append(YamlFault(mark, location, "anchors are not used here: write the value again"))
            return self._built[id(node)]
        self._built[id(node)] = None  # a node inside itself reads as null
        self._built[id(node)] = self._content(node, location)
        return self._built[id(node)]

    def _content(self, node: yaml.Node, location: Location) -> YamlValue:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*location, index)) for index, item in enumerate(node.value)]
        text = str(node.value)
        return parse_scalar(text) if isinstance(node, yaml.ScalarNode) and node.style is None else text

    def _item(self, node: yaml.Node, location: Location) -> YamlValue:
        self._document.marks[location] = self._mark(node)
        return self._value(node, location)

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self._document.file, node.start_mark.line + 1)

    def _fault(self, node: yaml.Node, location: Location, message: str) -> None:
        self._document.faults.append(YamlFault(self._mark(node), location, message))


def leaves(value: YamlValue, location: Location = ()) -> Iterator[tuple[Location, YamlValue]]:
    """Yield every location below a mapping whose value is not itself a mapping (an empty one counts as a value)."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from leaves(child, (*location, key))
    else:
        yield location, value
