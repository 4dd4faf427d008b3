"""Modes that live outside the project: a mode file anywhere, its strategy module beside it under the same name."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from dataflow.config.files import LoadedConfig
from dataflow.config.loader import strategy_beside
from dataflow.engine.backtest import Backtest, EngineOptions
from schemas.errors import InvalidModeError
from strategies.families import OUTSIDE_PACKAGE
from strategies.rules import ModeSpec


def backtest_of(loaded: LoadedConfig, options: EngineOptions | None = None) -> Backtest:
    """The backtest of a loaded mode: its strategy is that of its family, unless a module beside its file has another.

    Raises InvalidModeError (CONFIG-001) for a module that cannot be imported or is not of the mode.
    """
    beside = strategy_beside(loaded.path)
    return Backtest(loaded.config, options, spec=None if beside is None else _spec_in(_imported(beside), loaded))


def _spec_in(module: ModuleType, loaded: LoadedConfig) -> ModeSpec:
    """The specification that a module gives of the mode."""
    spec, name = getattr(module, "MODE", None), loaded.config.mode.mode
    if not isinstance(spec, ModeSpec):
        raise InvalidModeError(
            f"strategy module {module.__file__} has no MODE; write MODE = ModeSpec(mode={name!r}, ...)", mode=name
        )
    if spec.mode != name:
        message = f"strategy module {module.__file__} is of mode {spec.mode}, its file of {name}; give both one name"
        raise InvalidModeError(message, mode=name)
    return spec


def _imported(file: Path) -> ModuleType:
    """A module of its own, imported anew."""
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
    return module
