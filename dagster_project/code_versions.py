"""Code versions of nodes: what a node computes with, as a digest.

A version covers the node's source, every function, class and constant of ours that it reaches, and the versions of the
nodes it takes, since Dagster's staleness is not transitive by itself. Comments and docstrings do not count.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from dataflow.graph.build import Graph, Node

_OURS: Final = ("schemas", "dataflow", "strategies")
_LENGTH: Final = 12


class Symbol(NamedTuple):
    """A name at the top of a module of ours."""

    module: str
    name: str


def code_versions(graph: Graph) -> dict[str, str]:
    """Node name to its code version."""
    versions: dict[str, str] = {}
    for node in graph.nodes:  # in running order: what a node takes has its version already
        versions[node.name] = _version(node, versions)
    return versions


def _version(node: Node, versions: Mapping[str, str]) -> str:
    code = source_of(Symbol(node.module, node.source_function.__name__))
    parts = [f"{symbol.module}.{symbol.name}\n{text}" for symbol, text in sorted(code.items())]
    parts += [f"{parameter}={source}@{versions.get(source, 'input')}" for parameter, source in node.arguments]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_LENGTH]


@cache
def source_of(symbol: Symbol) -> Mapping[Symbol, str]:
    """Source without prose of a definition and of all definitions of ours that it reaches."""
    found: dict[Symbol, str] = {}
    pending = [symbol]
    while pending:
        each = pending.pop()
        definition = _definitions(each.module).get(each.name)
        if isinstance(definition, Symbol):
            pending.append(definition)
        elif definition is not None and each not in found:
            found[each] = ast.unparse(definition)
            pending.extend(_reached(definition, each.module))
    return found


@cache
def _definitions(module: str) -> Mapping[str, ast.stmt | Symbol]:
    """Names at the top of a module: what defines them, or where of ours they come from."""
    spec = find_spec(module)
    assert spec is not None, f"{module} does not exist"
    assert spec.origin is not None, f"{module} has no source"
    tree = _WithoutProse().visit(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    names: dict[str, ast.stmt | Symbol] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            names |= dict.fromkeys(_stored(statement), statement)
        elif isinstance(statement, ast.ImportFrom) and _is_ours(statement.module):
            for alias in statement.names:
                names[alias.asname or alias.name] = Symbol(str(statement.module), alias.name)
    return names


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in _OURS


def _stored(node: ast.AST) -> frozenset[str]:
    names = (each for each in ast.walk(node) if isinstance(each, ast.Name))
    return frozenset(name.id for name in names if isinstance(name.ctx, ast.Store))


@cache
def _module_named(symbol: Symbol) -> str | None:
    """The module that ``from package import name`` gives, None where the name is no module."""
    if symbol.name in _definitions(symbol.module):
        return None
    full = f"{symbol.module}.{symbol.name}"
    return full if find_spec(full) is not None else None


class _WithoutProse(ast.NodeTransformer):
    """Replaces docstrings, which are expressions of a bare text, by ``pass``."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """Drop a bare text."""
        is_prose = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.copy_location(ast.Pass(), node) if is_prose else node


def _reached(definition: ast.stmt, module: str) -> Iterator[Symbol]:
    """Names at the top of modules of ours that a definition uses; ``module.name`` is followed into the module."""
    names = _definitions(module)
    for node in _loads(definition, frozenset()):
        if isinstance(node, ast.Name):
            if node.id in names:
                yield Symbol(module, node.id)
        elif isinstance(node.value, ast.Name):
            imported = names.get(node.value.id)
            if isinstance(imported, Symbol) and (owner := _module_named(imported)) is not None:
                yield Symbol(owner, node.attr)


def _loads(node: ast.AST, local: frozenset[str]) -> Iterator[ast.Name | ast.Attribute]:
    """Names and attributes that are not local: the parameters of a node have the names of other nodes."""
    if isinstance(node, ast.Name | ast.Attribute):
        owner = node.value if isinstance(node, ast.Attribute) else node
        if not (isinstance(owner, ast.Name) and owner.id in local):
            yield node
    inner, body = local, getattr(node, "body", [])
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        inner |= {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        inner |= _stored(node)
    inside = {id(each) for each in (body if isinstance(body, list) else [body])}
    for child in ast.iter_child_nodes(node):
        yield from _loads(child, inner if id(child) in inside else local)
