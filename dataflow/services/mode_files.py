"""Modes that live outside the project: a mode file anywhere, its strategy module beside it under the same name."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from dataflow.config.files import LoadedConfig
from dataflow.config.loader import strategy_beside
from dataflow.engine.backtest import Backtest, EngineOptions
from schemas.errors import InvalidModeError
from strategies.registry import OUTSIDE_PACKAGE, spec_of_module
from strategies.rules import ModeSpec


def backtest_of(loaded: LoadedConfig, options: EngineOptions | None = None) -> Backtest:
    """The backtest of a loaded mode: its strategy is the registered one, unless one stands beside its file.

    Raises InvalidModeError (CONFIG-001) for a module that cannot be imported or is not of the mode.
    """
    beside = strategy_beside(loaded.path)
    return Backtest(loaded.config, options, spec=None if beside is None else _spec_of_file(beside))


def _spec_of_file(file: Path) -> ModeSpec:
    """The specification in a module of its own, imported anew."""
    name = f"{OUTSIDE_PACKAGE}.{file.stem}"
    found = spec_from_file_location(name, file)
    assert found is not None, "a path that ends in .py has a loader"
    assert found.loader is not None, "a path that ends in .py has a loader"
    module = module_from_spec(found)
    sys.modules[name] = module  # where Hamilton looks up whose a function is
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise InvalidModeError(
            f"strategy module {file} cannot be imported: {type(error).__name__}: {error}", file=str(file)
        ) from error
    return spec_of_module(module)
