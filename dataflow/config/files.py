"""Configuration files on disk: load one run, check many files, list the modes.

A run is four families of YAML under one root: ``modes/{mode}.yaml``, ``venues/{venue}.yaml``,
``share_classes/{class}.yaml`` and ``scenarios/{name}.yaml``. All faults of all files are found in one pass.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dataflow.config.binding import ConfigFault
from dataflow.config.catalogue import ConfigTree, yaml_files
from dataflow.config.loader import ConfigLoader, is_yaml, shown
from dataflow.config.old_spellings import MODE_ALIASES
from schemas.errors import (
    ConfigError,
    ConfigValidationError,
    ErrorCode,
    InvalidModeError,
    MissingConfigKeyError,
    VenueConfigError,
)
from schemas.models.catalogue import Catalogue
from schemas.models.config import RunConfig
from schemas.models.config_base import ModeName
from schemas.models.config_scenario import ScenarioConfig
from schemas.spelling import close_match

__all__ = [
    "CONFIG_ROOT",
    "CheckReport",
    "ConfigFault",
    "LoadReport",
    "LoadedConfig",
    "check_paths",
    "check_report",
    "list_modes",
    "list_scenarios",
    "load_catalogue",
    "load_report",
    "load_run_config",
    "load_scenario",
]

CONFIG_ROOT: Final = Path(__file__).resolve().parents[2] / "configs"
"""The shipped files."""

_FAULT_CODE: Final = ErrorCode.CONFIG_VALIDATION_FAILED


class LoadedConfig(NamedTuple):
    """A valid configuration, what its author should know, and the mode file."""

    config: RunConfig
    warnings: tuple[ConfigFault, ...]
    path: Path


class CheckReport(NamedTuple):
    """What a check of files found; ``files`` are those read, in order."""

    files: tuple[str, ...]
    faults: tuple[ConfigFault, ...]
    warnings: tuple[ConfigFault, ...]


class LoadReport(NamedTuple):
    """Everything a load found; ``config`` is None exactly when there are faults."""

    config: RunConfig | None
    faults: tuple[ConfigFault, ...]
    warnings: tuple[ConfigFault, ...]
    path: Path


def load_report(
    mode: str, *, scenarios: Sequence[str] = (), overrides: Sequence[str] = (), root: Path = CONFIG_ROOT
) -> LoadReport:
    """Load the configuration of one run, with its faults as values.

    ``mode`` is the name of a mode file of ``root``, or the path of one anywhere. ``scenarios`` are names of overlays,
    later ones win. ``overrides`` are ``a.b=c`` on the mode file, or ``venue:binance.fees.spot.taker=0``,
    ``share_class:max_leverage=2`` and ``scenario:fees=false`` on the other files.

    Raises InvalidModeError (CONFIG-001) for a mode without a file.
    """
    name = MODE_ALIASES.get(mode, mode)
    path = root / "modes" / f"{name}.yaml"
    if is_yaml(outside := Path(mode)):
        path = outside
    elif name not in list_modes(root):
        raise _unknown_mode(mode, root)
    loader = ConfigLoader(ConfigTree((root,)), overrides)
    if name != mode:
        message = f"{mode} is an old spelling of {name}"
        loader.warnings.append(ConfigFault(shown(path), 1, "mode", _FAULT_CODE, message))
    config = loader.run(path, scenarios)
    return LoadReport(config, tuple(sorted(dict.fromkeys(loader.faults))), tuple(dict.fromkeys(loader.warnings)), path)


def load_run_config(
    mode: str, *, scenarios: Sequence[str] = (), overrides: Sequence[str] = (), root: Path = CONFIG_ROOT
) -> LoadedConfig:
    """Load the configuration of one run; arguments as for ``load_report``.

    Raises one error whose line names every fault: InvalidModeError (CONFIG-001), MissingConfigKeyError (CONFIG-002)
    or VenueConfigError (CONFIG-004) where all faults are of that code, else ConfigValidationError (CONFIG-003).
    """
    report = load_report(mode, scenarios=scenarios, overrides=overrides, root=root)
    if report.config is None:
        raise _error_of(mode, report.faults)
    return LoadedConfig(report.config, report.warnings, report.path)


def list_modes(root: Path = CONFIG_ROOT) -> tuple[str, ...]:
    """Return the modes that have a file: those of domain 3.1 in its order, then others by name."""
    found = {path.stem for path in yaml_files(root / "modes")}
    return (*(mode.value for mode in ModeName if mode in found), *sorted(found - set(ModeName)))


def list_scenarios(root: Path = CONFIG_ROOT) -> tuple[str, ...]:
    """Return the names of the scenarios, sorted."""
    return tuple(path.stem for path in yaml_files(root / "scenarios"))


def load_scenario(name: str, root: Path = CONFIG_ROOT) -> ScenarioConfig:
    """Return a scenario by itself; ConfigValidationError (CONFIG-003) with every fault of its file."""
    loader = ConfigLoader(ConfigTree((root,)), ())
    scenario = loader.scenario((name,))
    if loader.faults:
        raise _error_of(f"scenario {name}", sorted(dict.fromkeys(loader.faults)))
    return scenario


def load_catalogue(root: Path = CONFIG_ROOT) -> Catalogue:
    """Return the catalogue of tokens, networks and venues; ConfigValidationError (CONFIG-003) with its faults."""
    loader = ConfigLoader(ConfigTree((root,)), ())
    catalogue = loader.catalogue.model
    if loader.faults:
        raise _error_of("the catalogue", sorted(dict.fromkeys(loader.faults)))
    return catalogue


def check_paths(paths: Sequence[Path] = (), root: Path = CONFIG_ROOT) -> list[ConfigFault]:
    """Return every fault of the given files and directories; of all files under ``root`` when none is given."""
    return list(check_report(paths, root).faults)


def check_report(paths: Sequence[Path] = (), root: Path = CONFIG_ROOT) -> CheckReport:
    """Check files; a mode file is checked together with the venues and the share class that ``root`` has for it."""
    loader = ConfigLoader(ConfigTree((root,)), ())
    files = _files_of(paths or (root,))
    for path in files:
        loader.check(path)
    if not files:
        loader.faults.append(ConfigFault(shown(root), 1, "", _FAULT_CODE, "no YAML file here"))
    faults = sorted(dict.fromkeys(loader.faults))
    warnings = sorted(dict.fromkeys(loader.warnings))
    return CheckReport(tuple(shown(path) for path in files), tuple(faults), tuple(warnings))


def _files_of(paths: Sequence[Path]) -> list[Path]:
    """Return files as given and the YAML files below directories, each once."""
    files: dict[Path, None] = {}
    for path in paths:
        below = (each for family in sorted(path.rglob("*")) if family.is_dir() for each in yaml_files(family))
        files.update(dict.fromkeys([*yaml_files(path), *below] if path.is_dir() else [path]))
    return list(files)


def _unknown_mode(mode: str, root: Path) -> InvalidModeError:
    known = list_modes(root)
    if MODE_ALIASES.get(mode, mode) in tuple(ModeName):
        message = (
            f"mode {mode} has no file {shown(root / 'modes' / mode)}.yaml; modes here: {', '.join(known) or 'none'}"
        )
    else:
        message = f"unknown mode {mode!r}{close_match(mode, known)}; modes: {', '.join(known) or 'none'}"
    return InvalidModeError(message, mode=mode)


def _error_of(mode: str, faults: Sequence[ConfigFault]) -> ConfigError:
    """Return the one error that stands for all faults of a run."""
    kinds: dict[ErrorCode, type[ConfigError]] = {
        ErrorCode.CONFIG_MODE_INVALID: InvalidModeError,
        ErrorCode.CONFIG_KEY_MISSING: MissingConfigKeyError,
        ErrorCode.CONFIG_VENUE_INVALID: VenueConfigError,
    }
    codes = {fault.code for fault in faults}
    kind = kinds.get(codes.pop(), ConfigValidationError) if len(codes) == 1 else ConfigValidationError
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    listed = "; ".join(map(str, faults))
    first = faults[0]
    where: dict[str, str | int] = {"file": first.file, "line": first.line, "key": first.key}
    return kind(f"{count} in the configuration of {mode}: {listed}", mode=mode, faults=len(faults), **where)
