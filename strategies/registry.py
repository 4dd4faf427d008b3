"""The modes that exist: every module of this package that has a ``MODE``.

A new mode is one module here, which names itself in its ``MODE``, and one YAML file in ``configs/modes``.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Final

import strategies
from schemas.errors import InvalidModeError
from schemas.models.config_base import ModeName
from strategies.rules import ModeSpec

OUTSIDE_PACKAGE: Final = "outside_strategies"
"""Where strategy modules that are not of the project stand in ``sys.modules``, so that their names hide no other."""


def spec_of_module(module: ModuleType) -> ModeSpec:
    """The specification that a strategy module gives of its mode.

    Raises InvalidModeError (CONFIG-001) where it gives none, or one of another name than its own.
    """
    spec, name = getattr(module, "MODE", None), module.__name__.rpartition(".")[2]
    if not isinstance(spec, ModeSpec):
        raise InvalidModeError(
            f"strategy module {name} has no MODE; write MODE = ModeSpec(mode={name!r}, ...)", mode=name
        )
    if spec.mode != name:
        raise InvalidModeError(f"strategy module {name} is of mode {spec.mode}; give both one name", mode=name)
    return spec


class _Registered(Mapping[str, ModeSpec]):
    """Mode name to its specification: one mode imports its module alone, all of them the whole package."""

    def __getitem__(self, name: str) -> ModeSpec:
        full_name = f"{strategies.__name__}.{name}"
        if not name.isidentifier() or find_spec(full_name) is None:
            raise KeyError(name)
        return spec_of_module(import_module(full_name))

    def __contains__(self, name: object) -> bool:
        return any(name == each for each in self)

    def __iter__(self) -> Iterator[str]:
        """The modes of domain 3.1 in its order, then others by name."""
        modules = [import_module(f"{strategies.__name__}.{found.name}") for found in iter_modules(strategies.__path__)]
        names = {spec_of_module(module).mode for module in modules if hasattr(module, "MODE")}
        return iter((*(mode.value for mode in ModeName if mode in names), *sorted(names - set(ModeName))))

    def __len__(self) -> int:
        return sum(1 for _ in self)


MODES: Final[Mapping[str, ModeSpec]] = _Registered()
