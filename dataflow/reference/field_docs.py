"""What the docstrings under the fields of a model say, for the pages and JSON Schemas made of it.

Pydantic can read them while a class is made (``use_attribute_docstrings``); that parses every source file again in
each process, and only documentation needs it.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_PROPERTIES: Final = "properties"


def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstring of each field of a model that has one, inherited fields included."""
    return {
        name: text
        for kind in reversed(model.__mro__)
        if issubclass(kind, BaseModel) and kind is not BaseModel
        for name, text in _of_module(kind.__module__).get(kind.__qualname__, {}).items()
        if name in model.model_fields
    }


class DocumentedJsonSchema(GenerateJsonSchema):
    """The JSON Schema of a model, with the docstrings of its fields as descriptions."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Describe the properties of one model."""
        described = super().model_schema(schema)
        for name, text in field_docs(schema["cls"]).items():
            described[_PROPERTIES][name].setdefault("description", text)
        return described


@lru_cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Docstrings of fields by class, of the classes at the top of a module."""
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: dict(_of_class(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(node.body, node.body[1:], strict=False):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
