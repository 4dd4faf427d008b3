"""One pass over configuration files: read, fold, override, bind, and run the rules between files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from dataflow.config.binding import Bound, ConfigFault, bind, dotted, faults_of, place, place_rules
from dataflow.config.old_spellings import fold_old_spellings
from dataflow.config.overrides import OVERRIDE_FILE, Override, apply_override, parse_override
from dataflow.config.yaml_lines import Document, read_document
from dataflow.venues.faults.plan import FaultPlan
from schemas.errors import ErrorCode
from schemas.models.config import (
    RUN_RULES,
    ModeConfig,
    RunConfig,
    RunSettings,
    ScenarioConfig,
    ShareClassConfig,
    VenueConfig,
    missing_venue_message,
)
from schemas.models.config_base import SHARE_CLASSES, ModeName, RuleFault, broken_rules
from schemas.models.config_mode import ModeSettings
from schemas.models.config_rules import MODE_RULES
from schemas.models.config_venues import SHARE_CLASS_RULES, VENUE_RULES
from schemas.spelling import close_match

_SUFFIXES: Final = (".yaml", ".yml")
_NAME_KEY: Final = {
    "modes": "mode",
    "venues": "venue",
    "share_classes": "share_class",
    "scenarios": "name",
    "faults": "name",
}
"""Family (a directory below the root) to the key that repeats the name of the file."""

_FAULT_CODE: Final = ErrorCode.CONFIG_VALIDATION_FAILED
_TARGET_APY_MAX: Final = 1.0
_MAX_DRAWDOWN_MAX: Final = 0.5


def shown(path: Path) -> str:
    """Return a path as faults show it: relative to the working directory where it lies below."""
    absolute, here = path.resolve(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def is_yaml(path: Path) -> bool:
    """Return whether a path is that of a YAML file that exists."""
    return path.suffix in _SUFFIXES and path.is_file()


def strategy_beside(path: Path) -> Path | None:
    """Return the strategy module of a mode file outside the project: beside it, under its name; None without one."""
    module = path.with_suffix(".py")
    return module if module.is_file() else None


def yaml_files(directory: Path) -> list[Path]:
    """Return the YAML files in a directory, its own ones only, sorted."""
    return sorted(path for path in directory.glob("*") if path.suffix in _SUFFIXES)


def family_of(path: Path) -> str:
    """Return the family of a file: by its directory, else by the keys it has."""
    if path.parent.name in _NAME_KEY:
        return path.parent.name
    keys = set(read_document(path, shown(path)).root)
    if keys & {"mode", "component_config", "strategy_config"}:
        return "modes"
    if "venue" in keys:
        return "venues"
    if "rules" in keys:
        return "faults"
    return "share_classes" if "share_class" in keys else "scenarios"


@dataclass
class ConfigLoader:
    """One pass over files: what is read, and the faults and warnings collected on the way."""

    root: Path
    override_texts: Sequence[str]
    faults: list[ConfigFault] = field(default_factory=list)
    warnings: list[ConfigFault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.overrides: list[Override] = []
        for number, text in enumerate(self.override_texts, start=1):
            override = parse_override(text, number)
            if isinstance(override, ConfigFault):
                self.faults.append(override)
            else:
                self.overrides.append(override)

    def run(self, path: Path, scenarios: Sequence[str]) -> RunConfig | None:
        """Return the configuration of a mode file and its companions, or None with the faults collected."""
        document, mode = self._mode(path)
        venue_names = _written_venues(document)
        venues = self._venues(document, venue_names)
        share_class = self._share_class(document)
        scenario = self.scenario(scenarios)
        self._unused_overrides(venue_names)
        self._between_files(document, mode, venues, share_class)
        if self.faults or share_class is None or not isinstance(mode.model, ModeConfig):
            return None
        models = {name: bound.model for name, bound in venues.items()}
        return RunConfig(mode=mode.model, venues=models, share_class=share_class.model, scenario=scenario)

    def check(self, path: Path) -> None:
        """Collect the faults of one file, a mode with its companions."""
        match family_of(path):
            case "modes":
                document, mode = self._mode(path)
                venues = self._venues(document, _written_venues(document))
                self._between_files(document, mode, venues, self._share_class(document))
            case "venues":
                self._venue(path)
            case "share_classes":
                self._class_file(path)
            case "faults":
                self.fault_plan(path)
            case _:
                self._scenario_file(path)

    def fault_plan(self, path: Path) -> FaultPlan | None:
        """Return the fault plan of a file, or None with its faults collected."""
        document = self._document(path, "faults", _FAULT_CODE, "faults")
        bound = bind(document, FaultPlan, FaultPlan, ())
        self._collect(path, "faults", document, bound.faults)
        return None if document.faults or bound.faults else bound.model

    def _document(self, path: Path, family: str, code: ErrorCode, address: str) -> Document:
        """Read a file, fold old spellings and apply the overrides for it."""
        document = read_document(path, shown(path))
        self.faults += faults_of(document.faults, code)
        if family in ("modes", "share_classes"):  # venue and scenario files never had another spelling
            folding = fold_old_spellings(document)
            self.faults += faults_of(folding.faults, code)
            self.warnings += faults_of(folding.warnings, code)
        for override in self.overrides:
            if override.address == address:
                notes = apply_override(document, override)
                self.faults += notes.faults
                self.warnings += notes.warnings
        return document

    def _collect(self, path: Path, family: str, document: Document, faults: Sequence[ConfigFault]) -> None:
        """Keep the faults of a file, and check that a file in the family's directory has the name that it gives."""
        if document.faults and not document.root:
            return  # nothing was read: that every key is missing would say no more
        self.faults += faults
        key = _NAME_KEY[family]
        name = document.root.get(key)
        is_named_otherwise = path.parent.name == family and isinstance(name, str) and name != path.stem
        if is_named_otherwise and not any(fault.key == key for fault in faults):
            code = ErrorCode.CONFIG_VENUE_INVALID if family == "venues" else _FAULT_CODE
            self.faults.append(place(document, (key,), code, f"{key} {name} is not the name of the file, {path.stem}"))

    def _mode(self, path: Path) -> tuple[Document, Bound[ModeSettings]]:
        document = self._document(path, "modes", _FAULT_CODE, "mode")
        bound = bind(document, ModeConfig, ModeSettings, MODE_RULES)
        self._collect(path, "modes", document, _with_strategy(path, document, bound.faults))
        self._alarm(document, "target_apy", _TARGET_APY_MAX)
        self._alarm(document, "max_drawdown", _MAX_DRAWDOWN_MAX)
        self._idle_queue(document)
        return document, bound

    def _alarm(self, document: Document, key: str, bound: float) -> None:
        """Warn about a target that is probably a percentage (domain section 10)."""
        value = document.root.get(key)
        if isinstance(value, int | float) and value > bound:
            message = f"{value:g} is above {bound:g}: fractions are meant, .08 is 8 %"
            self.warnings.append(place(document, (key,), _FAULT_CODE, message))

    def _idle_queue(self, document: Document) -> None:
        """Warn about a withdrawal queue in a mode that never waits for one."""
        strategy = document.root.get("strategy_config")
        queued = isinstance(strategy, dict) and strategy.get("unstake_route") == "queue"
        if queued and (document.root.get("leverage_enabled") is True or document.root.get("margin_currency")):
            message = "leverage and margin cannot wait for a withdrawal queue: this mode always swaps"
            self.warnings.append(place(document, ("strategy_config", "unstake_route"), _FAULT_CODE, message))

    def _venue(self, path: Path) -> Bound[VenueConfig]:
        code = ErrorCode.CONFIG_VENUE_INVALID
        document = self._document(path, "venues", code, f"venue:{path.stem}")
        bound = bind(document, VenueConfig, VenueConfig, VENUE_RULES)
        faults = [ConfigFault(each.file, each.line, each.key, code, each.message) for each in bound.faults]
        self._collect(path, "venues", document, faults)
        return bound

    def _venues(self, mode_document: Document, names: Iterable[str]) -> dict[str, Bound[VenueConfig]]:
        """Read the file of each venue that a mode names; a missing one is a fault at the mode's line."""
        bound: dict[str, Bound[VenueConfig]] = {}
        for name in names:
            path = self.root / "venues" / f"{name}.yaml"
            if path.is_file() and path.parent == self.root / "venues":
                bound[name] = self._venue(path)
            else:
                code = ErrorCode.CONFIG_VENUE_INVALID
                self.faults.append(place(mode_document, ("venues", name), code, missing_venue_message(name)))
        return bound

    def _class_file(self, path: Path) -> Bound[ShareClassConfig]:
        document = self._document(path, "share_classes", _FAULT_CODE, "share_class")
        bound = bind(document, ShareClassConfig, ShareClassConfig, SHARE_CLASS_RULES)
        self._collect(path, "share_classes", document, bound.faults)
        return bound

    def _share_class(self, mode_document: Document) -> Bound[ShareClassConfig] | None:
        name = mode_document.root.get("share_class")
        if name not in SHARE_CLASSES:
            return None
        path = self.root / "share_classes" / f"{name}.yaml"
        if path.is_file():
            return self._class_file(path)
        message = f"no share class file configs/share_classes/{name}.yaml"
        self.faults.append(place(mode_document, ("share_class",), _FAULT_CODE, message))
        return None

    def _scenario_file(self, path: Path) -> Document:
        document = self._document(path, "scenarios", _FAULT_CODE, "scenario-file")
        bound = bind(document, ScenarioConfig, ScenarioConfig, ())
        self._collect(path, "scenarios", document, bound.faults)
        return document

    def scenario(self, names: Sequence[str]) -> ScenarioConfig:
        """Merge scenarios, later ones win key by key and shock by shock, and the overrides over all of them."""
        merged = Document(OVERRIDE_FILE)
        known = [path.stem for path in yaml_files(self.root / "scenarios")]
        for name in names:
            if name not in known:
                message = f"no scenario {name!r}{close_match(name, known)}; known: {', '.join(known) or 'none'}"
                self.faults.append(ConfigFault("--scenario", 1, name, _FAULT_CODE, message))
                continue
            overlay(merged, self._scenario_file(self.root / "scenarios" / f"{name}.yaml"))
        if names:
            merged.root["name"] = "+".join(names)
        for override in self.overrides:
            if override.address == "scenario":
                self.faults += apply_override(merged, override).faults
        bound = bind(merged, ScenarioConfig, ScenarioConfig, ())
        self.faults += bound.faults
        return ScenarioConfig() if self.faults else bound.model

    def _unused_overrides(self, venue_names: Sequence[str]) -> None:
        """Refuse an override of a venue that the mode does not use: it would be silently lost."""
        addresses = {"mode", "share_class", "scenario", *(f"venue:{name}" for name in venue_names)}
        for override in self.overrides:
            if override.address not in addresses:
                venue = override.address.removeprefix("venue:")
                message = f"the mode uses no venue {venue!r}{close_match(venue, venue_names)}"
                self.faults.append(
                    ConfigFault(OVERRIDE_FILE, override.number, dotted(override.location), _FAULT_CODE, message)
                )

    def _between_files(
        self,
        document: Document,
        mode: Bound[ModeSettings],
        venues: Mapping[str, Bound[VenueConfig]],
        share_class: Bound[ShareClassConfig] | None,
    ) -> None:
        """Run the rules between files on all that is sound; their faults stand in the mode file."""
        unreadable = [f"mode.{key}" for key in mode.unreadable]
        parts: dict[str, Any] = {"mode": mode.model, "venues": {name: each.model for name, each in venues.items()}}
        unreadable += [f"venues.{name}.{key}" for name, each in venues.items() for key in each.unreadable]
        if share_class is None:
            unreadable.append("share_class")
        else:
            parts["share_class"] = share_class.model
            unreadable += [f"share_class.{key}" for key in share_class.unreadable]
        run = RunSettings.model_construct(None, **parts)
        for fault in broken_rules(run, RUN_RULES, unreadable):
            if fault.key[0] == "mode":  # a venue that names itself wrongly was found in its own file
                self.faults += place_rules(document, [RuleFault(fault.key[1:], fault.message, fault.kind)])


def overlay(below: Document, above: Document) -> None:
    """Write a scenario over another: a key replaces a key, a shock the shock of its kind."""
    for key, value in above.root.items():
        written = below.root.get(key)
        blocks = [(key, kind) for kind in value] if isinstance(value, dict) and isinstance(written, dict) else [(key,)]
        for location in blocks:
            below.put(location, above.get(location), above.mark(location))
            below.marks |= {at: mark for at, mark in above.marks.items() if at[: len(location)] == location}


def _with_strategy(path: Path, document: Document, faults: Sequence[ConfigFault]) -> Sequence[ConfigFault]:
    """Return the faults of a mode file and, where its mode has no strategy module, that one first."""
    name = document.root.get("mode")
    is_named = isinstance(name, str) and name.isidentifier() and not any(fault.key == "mode" for fault in faults)
    if not is_named or strategy_beside(path) is not None or find_spec(f"strategies.{name}") is not None:
        return faults
    known = close_match(str(name), tuple(ModeName))
    message = f"mode {name} has no strategy: neither strategies/{name}.py nor {path.stem}.py beside the file{known}"
    unknown = place(document, ("mode",), ErrorCode.CONFIG_MODE_INVALID, message)
    return [unknown, *(fault for fault in faults if not fault.key.endswith(".strategy_type"))]


def _written_venues(document: Document) -> tuple[str, ...]:
    """Return the venues that a mode file names, sound or not."""
    venues = document.root.get("venues")
    return tuple(venues) if isinstance(venues, dict) else ()
