"""The configuration of a run in Dagster: the fields of ``BacktestRequest``, in types that Dagster's launchpad knows.

Values are checked by ``BacktestRequest`` itself when the run starts, so that there is one truth.
"""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import dagster as dg
from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from dataflow.services.backtest import BacktestRequest
from schemas.errors import ConfigValidationError

_MODE_FIELD: Final = "mode"
"""Known from the asset."""


def _known_to_dagster(annotation: Any) -> Any:
    """The type of a field, as Dagster's configuration has it."""
    if annotation is Path:
        return str
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _known_to_dagster(arguments[0])
    if origin is tuple:
        return list[_known_to_dagster(arguments[0])]  # type: ignore[misc]  # made at run time
    if origin in (Union, UnionType):
        (given,) = (each for each in arguments if each is not NoneType)
        # Dagster has no choice that may be left open: a text then, which the request itself checks.
        return (str if get_origin(given) is Literal else _known_to_dagster(given)) | None
    return annotation


def _field(name: str, field: FieldInfo) -> tuple[Any, Any]:
    default = field.default
    if isinstance(default, Path):
        default = str(default)
    elif isinstance(default, tuple):
        default = list(default)
    said = {
        "start": "First row of the run, ISO-8601; else the first month there is",
        "end": "Last row of the run, ISO-8601, which is closed there; else it stays open for the next month",
    }
    return _known_to_dagster(field.annotation), Field(default=default, description=said.get(name, field.description))


_FIELDS: Final[dict[str, Any]] = {
    name: _field(name, field) for name, field in BacktestRequest.model_fields.items() if name != _MODE_FIELD
}

RunOptions: Final[type[dg.Config]] = create_model("RunOptions", __base__=dg.Config, **_FIELDS)
"""What the launchpad asks for; the months of one run share it."""


def request_of(mode: str, options: Mapping[str, object]) -> BacktestRequest:
    """The run that a launchpad configuration means; ConfigValidationError (CONFIG-003) for a value out of bounds."""
    try:
        return BacktestRequest.model_validate({_MODE_FIELD: mode, **options})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise ConfigValidationError(
            f"run configuration, {key}: {fault['msg']}; correct it in the launchpad", key=key
        ) from error
