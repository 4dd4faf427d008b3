"""What a mode file need not write: a mode that names its family has the rest of its keys from there.

Every key that follows from the family and the choices is filled in where it is absent. What is written stays, and the
rules between keys hold it to the same facts.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast, get_args

from dataflow.config.binding import sound_part
from dataflow.config.yaml_lines import Document, YamlValue
from schemas.instruments import PositionKey
from schemas.models.catalogue import Catalogue
from schemas.models.config_base import SHARE_CLASSES, Location
from schemas.models.config_facts import emitted_keys, facts_of, required_columns, switches_of
from schemas.models.config_mode import FamilyName, ModeSettings

_COMPONENTS: Final = "component_config"
_ALLOCATION: Final = (_COMPONENTS, "strategy_manager", "position_calculation", "hedge_allocation")
_ASSET: Final = ("strategy_config", "delta_tracking_asset")
_LIMITS: Final = (_COMPONENTS, "risk_monitor", "risk_limits")

_SAYS: Final[Mapping[FamilyName, tuple[str, str, str]]] = {
    "lending": ("Supplies to a lending pool.", "Borrowers pay for leverage.", "a deposit"),
    "basis": (
        "Buys coins and sells the same quantity of perpetuals at each exchange.",
        "Longs pay shorts for leverage most of the time.",
        "spot + short perps",
    ),
    "staking": ("Stakes and holds the staking token.", "Staking pays a yield.", "a staking token"),
    "leverage": (
        "Stakes with a loan against the staking token.",
        "Staking pays more than the loan costs most of the time.",
        "a staking token less debt",
    ),
    "hedged": (
        "Stakes and shorts what it staked at each exchange.",
        "Staking and funding pay; the price does not matter.",
        "a staking token + short perps + margin",
    ),
    "ml": (
        "Follows a prediction with perpetuals.",
        "A model that is right a little more often than a coin earns the move.",
        "margin plus or minus perps",
    ),
}
"""What a mode does, why it should earn and what it holds, where its author does not say."""


def complete(document: Document, catalogue: Catalogue) -> None:
    """Fill in what follows from the family that a mode file names; nothing where it names none, or no family."""
    family = document.root.get("family")
    if family not in get_args(FamilyName):
        return
    _fill(document, _kinds_of_venues(document, catalogue))
    _fill(document, _fixed(document, cast(FamilyName, family)))
    if document.root.get("share_class") in SHARE_CLASSES:
        _fill(document, _derived(document, catalogue))


def _fill(document: Document, implied: Iterable[tuple[Location, YamlValue]]) -> None:
    """Write what is absent, at the line that names the family."""
    for location, value in implied:
        if not document.has(location):
            document.put(location, value, document.mark(("family",)))


def _kinds_of_venues(document: Document, catalogue: Catalogue) -> Iterator[tuple[Location, YamlValue]]:
    """The kind of each venue, from the venue itself; a list of names is made a block each."""
    written = document.root.get("venues")
    if isinstance(written, list) and all(isinstance(name, str) for name in written):
        document.put(("venues",), {str(name): {} for name in written}, document.mark(("venues",)))
    venues = document.root.get("venues")
    for name, use in venues.items() if isinstance(venues, dict) else ():
        if isinstance(use, dict) and name in catalogue.venues:
            yield ("venues", name, "venue_type"), catalogue.venues[name].venue_type.value


def _fixed(document: Document, family: FamilyName) -> Iterator[tuple[Location, YamlValue]]:
    """What the family alone says, and what repeats another key."""
    root = document.root
    for key, text in zip(("description", "thesis", "holds"), _SAYS[family], strict=True):
        yield (key,), text
    yield ("data_type",), "cefi" if family in ("basis", "ml") else "defi"
    yield ("clock_step_seconds",), 300 if family == "ml" else 3_600
    for switch, is_on in switches_of(family, levered=root.get("leverage_enabled") is True).items():
        yield (switch,), is_on
    share_class = root.get("share_class")
    trades = family in ("basis", "hedged", "ml")
    if trades:
        yield ("margin_currency",), share_class
        yield (_COMPONENTS, "settlement", "funding_enabled"), True
        yield (_COMPONENTS, "settlement", "margin_pnl_enabled"), True
    else:
        yield _ASSET, share_class
    if root.get("rewards_mode", "base_only") != "base_only":
        yield (_COMPONENTS, "settlement", "seasonal_rewards_enabled"), True
    yield _LIMITS, {}
    yield (_COMPONENTS, "pnl_monitor", "reporting_currency"), share_class
    yield (_COMPONENTS, "strategy_manager", "strategy_type"), root.get("mode")


def _derived(document: Document, catalogue: Catalogue) -> Iterator[tuple[Location, YamlValue]]:
    """What follows from the choices: risks, attribution, data, balances and where they are held."""
    mode = _sound_choices(document)
    facts = facts_of(mode)
    yield (_COMPONENTS, "risk_monitor", "enabled_risk_types"), [risk.value for risk in facts.risk_types]
    yield (_COMPONENTS, "pnl_monitor", "attribution_types"), [part.value for part in facts.attribution_types]
    yield ("data_requirements",), [column.value for column in required_columns(mode)]
    keys = emitted_keys(mode, catalogue)
    yield (_COMPONENTS, "position_monitor", "position_subscriptions"), [*keys]
    venues = document.root.get("venues")
    for venue in venues if isinstance(venues, dict) else ():
        yield (
            ("venues", venue, "instruments"),
            [key for key in keys if catalogue.venue_of(PositionKey.parse(key)) == venue],
        )


def _sound_choices(document: Document) -> ModeSettings:
    """The choices that can be read; for an asset that cannot, a fault of its own, the share class stands in."""
    root = document.root
    strategy = root["strategy_config"] if isinstance(root.get("strategy_config"), dict) else {}
    allocation = document.get(_ALLOCATION) if document.has(_ALLOCATION) else {}
    manager: YamlValue = {"strategy_manager": {"position_calculation": {"hedge_allocation": allocation}}}
    choices = {**root, "strategy_config": strategy, _COMPONENTS: manager}
    mode = sound_part(ModeSettings, choices)
    if _ASSET[-1] in mode.strategy_config.model_fields_set:
        return mode
    assert isinstance(strategy, dict), "as it was made"
    return sound_part(ModeSettings, {**choices, "strategy_config": {**strategy, _ASSET[-1]: root["share_class"]}})
