"""What a name of the documentation means: a symbol of the code, a command of the command line."""

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def imported(name: str) -> object:
    """The module, or the attribute of one, that a dotted name means; AttributeError or AssertionError for no such."""
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        for part in parts[depth:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"no module of {name}")


def _basis() -> "click.Command":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Typer imports names that Click has deprecated
        from typer.main import get_command

        from dataflow.cli.main import app

        return get_command(app)


def options_of(words: Sequence[str]) -> set[str]:
    """The long options of the command that the first words name; AssertionError for an unknown command."""
    found = _basis()
    for word in words:
        commands: dict[str, click.Command] | None = getattr(found, "commands", None)
        if commands is None:
            break
        assert word in commands, f"no command basis {' '.join(words)}"
        found = commands[word]
    options = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    return {option for option in options if option.startswith("--")}
