"""One pass over configuration files: read, fold, override, bind, and run the rules between files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, get_args

from dataflow.config.binding import Bound, ConfigFault, bind, dotted, faults_of, place, place_rules
from dataflow.config.catalogue import CatalogueFiles, ConfigTree, FileReaders, read_catalogue
from dataflow.config.implied import complete
from dataflow.config.old_spellings import fold_old_spellings, fold_position_keys
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
from schemas.models.config_base import SHARE_CLASSES, RuleFault, broken_rules
from schemas.models.config_facts import SWITCHES
from schemas.models.config_mode import FamilyName, ModeSettings
from schemas.models.config_rules import MODE_RULES
from schemas.models.config_run import FACTS, unjudged, unknown_names
from schemas.models.config_tokens import NetworkConfig, TokenFile
from schemas.models.config_venues import SHARE_CLASS_RULES, VENUE_RULES
from schemas.spelling import close_match

_NAME_KEY: Final = {
    "modes": "mode",
    "venues": "venue",
    "networks": "network",
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
    return path.suffix in (".yaml", ".yml") and path.is_file()


def strategy_beside(path: Path) -> Path | None:
    """Return the strategy module of a mode file outside the project: beside it, under its name; None without one."""
    module = path.with_suffix(".py")
    return module if module.is_file() else None


def family_of(path: Path) -> str:
    """Return the family of a file: by its directory, else by the keys it has."""
    if path.parent.name in _NAME_KEY:
        return path.parent.name
    keys = set(read_document(path, shown(path)).root)
    if "chain_id" in keys or keys == {"tokens"}:
        return "networks" if "chain_id" in keys else "tokens"
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

    tree: ConfigTree
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

    @cached_property
    def catalogue(self) -> CatalogueFiles:
        """Every token, network and venue of the directories; their faults are collected when it is first asked for."""
        found = read_catalogue(self.tree, FileReaders(self._tokens, self._network, self._venue))
        self.faults += found.faults
        return found

    def run(self, path: Path, scenarios: Sequence[str]) -> RunConfig | None:
        """Return the configuration of a mode file and its companions, or None with the faults collected."""
        document, mode = self._mode(path)
        venue_names = _written_venues(document)
        self._missing_venues(document, venue_names)
        share_class = self._share_class(document)
        scenario = self.scenario(scenarios)
        self._unused_overrides(venue_names)
        self._between_files(document, mode, venue_names, share_class)
        if self.faults or share_class is None or not isinstance(mode.model, ModeConfig):
            return None
        catalogue = self.catalogue.model
        return RunConfig(mode=mode.model, catalogue=catalogue, share_class=share_class.model, scenario=scenario)

    def check(self, path: Path) -> None:
        """Collect the faults of one file, a mode with its companions."""
        match family_of(path):
            case "modes":
                document, mode = self._mode(path)
                venue_names = _written_venues(document)
                self._missing_venues(document, venue_names)
                self._between_files(document, mode, venue_names, self._share_class(document))
            case "venues":
                self._venue(path)
            case "networks":
                self._network(path)
            case "tokens":
                self._tokens(path)
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
        unknown = [] if bound.faults else self._unknown_venues(document, bound.model)
        self._collect(path, "faults", document, [*bound.faults, *unknown])
        return None if document.faults or bound.faults or unknown else bound.model

    def _unknown_venues(self, document: Document, plan: FaultPlan) -> list[ConfigFault]:
        """Find venues of a fault plan that the catalogue lacks."""
        named = [
            (("rules", number, "venues", index), venue)
            for number, rule in enumerate(plan.rules)
            for index, venue in enumerate(rule.venues)
        ]
        known = self.catalogue.model.venues if named else {}
        return [
            place(document, key, _FAULT_CODE, f"no venue {venue}{close_match(venue, known)}; known: {', '.join(known)}")
            for key, venue in named
            if venue not in known
        ]

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
        if self.catalogue.is_sound:
            fold_position_keys(document, self.catalogue.model)
            complete(document, self.catalogue.model)
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

    def _tokens(self, path: Path) -> tuple[Document, Bound[TokenFile]]:
        document = self._document(path, "tokens", _FAULT_CODE, "tokens")
        bound = bind(document, TokenFile, TokenFile, ())
        self.faults += bound.faults
        return document, bound

    def _network(self, path: Path) -> tuple[Document, Bound[NetworkConfig]]:
        document = self._document(path, "networks", _FAULT_CODE, f"network:{path.stem}")
        bound = bind(document, NetworkConfig, NetworkConfig, ())
        self._collect(path, "networks", document, bound.faults)
        return document, bound

    def _venue(self, path: Path) -> tuple[Document, Bound[VenueConfig]]:
        code = ErrorCode.CONFIG_VENUE_INVALID
        document = self._document(path, "venues", code, f"venue:{path.stem}")
        bound = bind(document, VenueConfig, VenueConfig, VENUE_RULES)
        faults = [ConfigFault(each.file, each.line, each.key, code, each.message) for each in bound.faults]
        self._collect(path, "venues", document, faults)
        return document, bound

    def _missing_venues(self, mode_document: Document, names: Iterable[str]) -> None:
        """Find the venues of a mode that have no file; a fault at the mode's line."""
        for name in names:
            if name not in self.catalogue.venues:
                code = ErrorCode.CONFIG_VENUE_INVALID
                self.faults.append(place(mode_document, ("venues", name), code, missing_venue_message(name)))

    def _class_file(self, path: Path) -> Bound[ShareClassConfig]:
        document = self._document(path, "share_classes", _FAULT_CODE, "share_class")
        bound = bind(document, ShareClassConfig, ShareClassConfig, SHARE_CLASS_RULES)
        self._collect(path, "share_classes", document, bound.faults)
        return bound

    def _share_class(self, mode_document: Document) -> Bound[ShareClassConfig] | None:
        name = mode_document.root.get("share_class")
        if name not in SHARE_CLASSES:
            return None
        path = self.tree.find("share_classes", str(name))
        if path is not None:
            return self._class_file(path)
        message = f"no share class file configs/share_classes/{name}.yaml"
        self.faults.append(place(mode_document, ("share_class",), _FAULT_CODE, message))
        return None

    def _scenario_file(self, path: Path) -> Document:
        document = self._document(path, "scenarios", _FAULT_CODE, "scenario-file")
        bound = bind(document, ScenarioConfig, ScenarioConfig, ())
        unknown = self._unknown_names(document, bound)
        self._collect(path, "scenarios", document, [*bound.faults, *unknown])
        return document

    def _unknown_names(self, document: Document, bound: Bound[ScenarioConfig]) -> list[ConfigFault]:
        """Find venues and tokens of a scenario that the catalogue lacks."""
        if bound.faults or not bound.model.shocks.present() or not self.catalogue.is_sound:
            return []
        return place_rules(document, unknown_names(bound.model, self.catalogue.model))

    def scenario(self, names: Sequence[str]) -> ScenarioConfig:
        """Merge scenarios, later ones win key by key and shock by shock, and the overrides over all of them."""
        merged = Document(OVERRIDE_FILE)
        known = self.tree.files("scenarios")
        for name in names:
            if name not in known:
                message = f"no scenario {name!r}{close_match(name, known)}; known: {', '.join(known) or 'none'}"
                self.faults.append(ConfigFault("--scenario", 1, name, _FAULT_CODE, message))
                continue
            overlay(merged, self._scenario_file(known[name]))
        if names:
            merged.root["name"] = "+".join(names)
        for override in self.overrides:
            if override.address == "scenario":
                self.faults += apply_override(merged, override).faults
        bound = bind(merged, ScenarioConfig, ScenarioConfig, ())
        self.faults += [*bound.faults, *self._unknown_names(merged, bound)]
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
        venue_names: Iterable[str],
        share_class: Bound[ShareClassConfig] | None,
    ) -> None:
        """Run the rules between files on all that is sound; their faults stand in the mode file."""
        venues = self.catalogue.venues
        unreadable = [f"mode.{key}" for key in mode.unreadable]
        unreadable += [
            f"catalogue.venues.{name}.{key}"
            for name in venue_names
            if name in venues
            for key in venues[name].unreadable
        ]
        unreadable += unjudged(venue_names, self.catalogue.model) if self.catalogue.is_sound else (FACTS,)
        parts: dict[str, Any] = {"mode": mode.model, "catalogue": self.catalogue.model}
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
    """Return the faults of a mode file and, where nothing says how its mode decides, that one first."""
    has_switch = any(document.root.get(switch) is True for switch in SWITCHES) or "ml_config" in document.root
    if "family" in document.root or has_switch or not document.root or strategy_beside(path) is not None:
        return faults
    families = ", ".join(get_args(FamilyName))
    message = f"nothing says how the mode decides: write family (one of {families}), or {path.stem}.py beside the file"
    return [place(document, ("mode",), ErrorCode.CONFIG_MODE_INVALID, message), *faults]


def _written_venues(document: Document) -> tuple[str, ...]:
    """Return the venues that a mode file names, sound or not."""
    venues = document.root.get("venues")
    return tuple(venues) if isinstance(venues, dict) else ()
