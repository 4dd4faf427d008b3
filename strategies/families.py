"""From a configuration to what its mode is to the engine: each family of modes says it in ``strategies/<family>``."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final, get_args

from schemas.decisions import DecisionRule
from schemas.models.config_facts import family_of
from schemas.models.config_mode import FamilyName, ModeSettings
from strategies.rules import ModeSpec

OUTSIDE_PACKAGE: Final = "outside_strategies"
"""Where strategy modules that are not of the project stand in ``sys.modules``, so that their names hide no other."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family of modes: the rules that they share, and how the configuration of one becomes its specification."""

    name: FamilyName
    rules: tuple[DecisionRule, ...]
    spec_of: Callable[[ModeSettings], ModeSpec]


class _Families(Mapping[FamilyName, Family]):
    """Name to family: asking for one imports its package alone."""

    def __getitem__(self, name: FamilyName) -> Family:
        if name not in get_args(FamilyName):
            raise KeyError(name)
        family = import_module(f"strategies.{name}.family").FAMILY
        assert isinstance(family, Family), f"strategies.{name}.family has a FAMILY"
        return family

    def __iter__(self) -> Iterator[FamilyName]:
        return iter(get_args(FamilyName))

    def __len__(self) -> int:
        return len(get_args(FamilyName))


FAMILIES: Final[Mapping[FamilyName, Family]] = _Families()


def spec_of(mode: ModeSettings) -> ModeSpec:
    """What a mode is to the engine, as its family makes it of its configuration."""
    return FAMILIES[family_of(mode)].spec_of(mode)
