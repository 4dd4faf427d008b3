"""The schema gate: models, frames, configuration files and generated pages against what is committed.

Every Pydantic model that crosses a boundary is a JSON Schema file, every Pandera frame a file of our own form (columns
with dtype, unit, checks, nullable, required). A difference names the file, the model and the field, so that a renamed
field or a loosened bound never goes unseen.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandera.pandas as pa
from pydantic import BaseModel

from dataflow.config.files import CONFIG_ROOT, check_paths
from dataflow.reference.configuration import render_configuration_markdown
from dataflow.reference.field_docs import DocumentedJsonSchema
from dataflow.reference.pages import render_errors_markdown
from dataflow.reference.rules_page import render_rules_markdown
from schemas.errors import DataValidationError, LogWriteError
from schemas.frames import FRAME_ERRORS, FRAMES
from schemas.models import EVENT_TYPES, ExecutionHandshake, ExpectedDelta, Order
from schemas.models.config import ModeConfig, RunConfig, ScenarioConfig, ShareClassConfig, VenueConfig
from schemas.models.config_tokens import NetworkConfig, TokenFile
from schemas.models.results import DataProvenance, Manifest, RunSummary

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

REFERENCE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"
"""The committed pages of this checkout."""

SCHEMAS_DIRECTORY: Final = "schemas"

MODELS: Final[tuple[type[BaseModel], ...]] = (
    Order,
    ExpectedDelta,
    ExecutionHandshake,
    *EVENT_TYPES,
    RunSummary,
    Manifest,
    DataProvenance,
    ModeConfig,
    VenueConfig,
    TokenFile,
    NetworkConfig,
    ShareClassConfig,
    ScenarioConfig,
    RunConfig,
)
"""Every model that crosses a boundary; the models they are made of are in their files."""

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "errors.md": render_errors_markdown,
    "configuration.md": render_configuration_markdown,
    "rules.md": render_rules_markdown,
}
"""Generated pages by file name."""

_ABSENT: Final = "absent"


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as committed.

    model and field are empty for a file as a whole. is_generated: an export would settle it.
    """

    file: str
    model: str
    field: str
    what: str
    is_generated: bool = True

    def __str__(self) -> str:
        place = ".".join(part for part in (self.model, self.field) if part)
        return f"{self.file} {place}: {self.what}" if place else f"{self.file}: {self.what}"


@dataclass(frozen=True)
class GateReport:
    """What the gate found; ``files`` counts the files compared."""

    files: int
    differences: tuple[Difference, ...]


def current_schemas() -> dict[str, Json]:
    """Return the schema of every model and frame by file name, as the code has it now."""
    models: dict[str, Json] = {
        f"{model.__name__}.json": _plain(model.model_json_schema(schema_generator=DocumentedJsonSchema))
        for model in MODELS
    }
    frames: dict[str, Json] = {f"{frame.__name__}.json": frame_form(stage, frame) for stage, frame in FRAMES.items()}
    return models | frames


def frame_form(stage: str, frame: type[pa.DataFrameModel]) -> Json:
    """Return a frame as JSON: its settings and every column with dtype, unit and checks."""
    schema = frame.to_schema()
    return {
        "title": frame.__name__,
        "description": " ".join((frame.__doc__ or "").split()),
        "stage": stage,
        "error": FRAME_ERRORS[stage].code.value,
        "strict": schema.strict is True,
        "coerce": bool(schema.coerce),
        "properties": {str(name): _column_form(column) for name, column in schema.columns.items()},
    }


def _column_form(column: pa.Column) -> Json:
    metadata: Mapping[str, object] = column.metadata or {}
    return {
        "dtype": str(column.dtype),
        "unit": str(metadata["unit"]),
        "nullable": bool(column.nullable),
        "required": bool(column.required),
        "is_pattern": bool(column.regex),
        "checks": {str(check.name): _plain(check.statistics) for check in column.checks},
    }


def write_schemas(directory: Path) -> list[Path]:
    """Write every schema into a directory; return the files. LogWriteError (LOG-001) when the disk refuses."""
    return _write(directory, {name: _text(schema) for name, schema in current_schemas().items()})


def write_pages(directory: Path) -> list[Path]:
    """Write the generated pages into a directory; return the files. LogWriteError (LOG-001) when the disk refuses."""
    return _write(directory, {name: render() for name, render in PAGES.items()})


def _write(directory: Path, texts: Mapping[str, str]) -> list[Path]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise LogWriteError(
            f"cannot write {directory}: {error.strerror}; choose a writable directory", path=str(directory)
        ) from error
    return [directory / name for name in texts]


def check_gate(reference: Path = REFERENCE, configs: Path | None = None) -> GateReport:
    """Compare everything with the committed files; the configuration files are held against their models.

    Raises DataValidationError (DATA-002) where a committed schema is not JSON.
    """
    schemas = current_schemas()
    differences = [
        *_schema_differences(schemas, reference / SCHEMAS_DIRECTORY),
        *_page_differences(reference),
        *_config_faults(configs or CONFIG_ROOT),
    ]
    return GateReport(len(schemas) + len(PAGES), tuple(differences))


def _schema_differences(schemas: Mapping[str, Json], directory: Path) -> Iterator[Difference]:
    committed = {path.name: path for path in sorted(directory.glob("*.json"))}
    for name, schema in schemas.items():
        if name not in committed:
            yield Difference(name, name.removesuffix(".json"), "", f"has no committed schema in {directory}")
        else:
            yield from compare_schemas(name, _read(committed[name]), schema)
    for name in committed.keys() - schemas.keys():
        yield Difference(name, name.removesuffix(".json"), "", "is committed, but there is no such model or frame")


def _page_differences(reference: Path) -> Iterator[Difference]:
    for name, render in PAGES.items():
        path = reference / name
        if not path.is_file():
            yield Difference(name, "", "", f"is not in {reference}")
            continue
        lines, now = path.read_text(encoding="utf-8").splitlines(), render().splitlines()
        if lines != now:
            same = sum(1 for _ in _common_start(lines, now))
            yield Difference(name, "", "", f"differs from the code from line {same + 1} on")


def _common_start(left: Sequence[str], right: Sequence[str]) -> Iterator[str]:
    for one, other in zip(left, right, strict=False):
        if one != other:
            return
        yield one


def _config_faults(root: Path) -> Iterator[Difference]:
    for fault in check_paths((root,), root):
        what = f"{fault.code.value} {fault.message}"
        yield Difference(f"{fault.file}:{fault.line}", "", fault.key, what, is_generated=False)


def compare_schemas(file: str, committed: Json, now: Json) -> Iterator[Difference]:
    """Yield the differences of one schema file, model by model and field by field."""
    before, after = _models(file, committed), _models(file, now)
    for model in dict.fromkeys((*before, *after)):
        if model not in after:
            yield Difference(file, model, "", "is committed, but no longer part of the schema")
        elif model not in before:
            yield Difference(file, model, "", "is new and not committed")
        else:
            yield from _model_differences(file, model, before[model], after[model])


def _models(file: str, schema: Json) -> dict[str, dict[str, Json]]:
    """Split a schema into its root model and the models it refers to."""
    if not isinstance(schema, dict):
        raise DataValidationError(f"{file} is not a JSON object; write it with `basis schemas export`", file=file)
    definitions = schema.get("$defs", {})
    root = {key: value for key, value in schema.items() if key != "$defs"}
    nested = definitions if isinstance(definitions, dict) else {}
    return {
        file.removesuffix(".json"): root,
        **{name: each for name, each in nested.items() if isinstance(each, dict)},
    }


def _model_differences(
    file: str, model: str, before: Mapping[str, Json], after: Mapping[str, Json]
) -> Iterator[Difference]:
    old, new = _fields(before), _fields(after)
    renamed = _renamed(old, new)
    for name in old:
        if name in renamed:
            yield Difference(file, model, name, f"is renamed to {renamed[name]}")
        elif name not in new:
            yield Difference(file, model, name, "is removed")
        else:
            yield from (Difference(file, model, name, what) for what in _changes(old[name], new[name], ""))
    for name in new.keys() - old.keys() - set(renamed.values()):
        yield Difference(file, model, name, "is added")
    rest = (set(before) | set(after)) - {"properties", "required"}
    for key in sorted(rest):
        changes = _changes(before.get(key, _ABSENT), after.get(key, _ABSENT), key)
        yield from (Difference(file, model, "", what) for what in changes)
    for name in sorted(_required(before) ^ _required(after)):
        if name in old and name in new:
            now = "now required" if name in _required(after) else "no longer required"
            yield Difference(file, model, name, f"is {now}")


def _fields(model: Mapping[str, Json]) -> dict[str, Json]:
    properties = model.get("properties", {})
    return properties if isinstance(properties, dict) else {}


def _required(model: Mapping[str, Json]) -> set[str]:
    required = model.get("required", [])
    return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()


def _renamed(old: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, str]:
    """Pair fields that vanished with fields that appeared where both say the same but for their title."""
    gone = [name for name in old if name not in new]
    come = [name for name in new if name not in old]
    pairs: dict[str, str] = {}
    for name in gone:
        match = next((other for other in come if _untitled(old[name]) == _untitled(new[other])), None)
        if match is not None:
            pairs[name] = match
            come.remove(match)
    return pairs


def _untitled(field: Json) -> Json:
    return {key: value for key, value in field.items() if key != "title"} if isinstance(field, dict) else field


def _changes(before: Json, after: Json, path: str) -> Iterator[str]:
    """Yield what changed between two values, leaf by leaf, as ``maximum is 2.0, committed is 1.0``."""
    if before == after and type(before) is type(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            where = f"{path}.{key}" if path else key
            yield from _changes(before.get(key, _ABSENT), after.get(key, _ABSENT), where)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _changes(one, other, f"{path}[{number}]")
    else:
        yield f"{path or 'it'} is {_shown(after)}, committed is {_shown(before)}"


def _shown(value: Json) -> str:
    return _ABSENT if value == _ABSENT else json.dumps(value)


def _read(path: Path) -> Json:
    try:
        return _plain(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise DataValidationError(
            f"{path.name} cannot be read ({error}); write it with `basis schemas export`", file=str(path)
        ) from error


def _text(schema: Json) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _plain(value: object) -> Json:
    """Return a value as JSON writes it: tuples and sets as lists, infinities as text."""
    plain: Json = json.loads(json.dumps(value, default=_listed))
    return plain


def _listed(value: object) -> list[str] | str:
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)
