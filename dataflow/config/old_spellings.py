"""Old spellings of configuration: folded into today's before validation, each with a warning (rulings 15, 17, 32).

One value has one home. A value in an old place moves to its home; an equal duplicate is dropped; an unequal one is a
fault, because nobody can say which the author meant.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from dataflow.config.yaml_lines import Document, Mark, YamlFault, YamlValue
from schemas.errors import InvalidPositionKeyError
from schemas.models.catalogue import Catalogue
from schemas.models.config_base import Location
from schemas.models.config_run import SUBSCRIPTIONS
from schemas.units import FUNDING_HOURS, HOURS_PER_YEAR

_WRITING: Final = ("event_logger", "event_logging_settings")
_RETENTION: Final = ("event_logger", "log_retention_policy")
_LIMITS: Final = ("component_config", "risk_monitor", "risk_limits")
_CALCULATION: Final = ("component_config", "strategy_manager", "position_calculation")
_EXECUTION: Final = ("component_config", "execution_manager")


@dataclass(frozen=True)
class Move:
    """An old place and the home of the same value; ``is_block`` merges key by key.

    factor: what a number of the old unit is multiplied by, ``unit`` names that of its home.
    is_short: a place of today, for the files of modes that name their family; nobody is told to rename it.
    """

    old: tuple[str, ...]
    home: tuple[str, ...]
    is_block: bool = False
    factor: float = 1.0
    unit: str = ""
    is_short: bool = False

    def today(self, value: YamlValue) -> YamlValue:
        """The value in the unit of its home; what is no number stays, for the model to refuse."""
        if self.unit and isinstance(value, int | float) and not isinstance(value, bool):
            return value * self.factor
        return value


_FUNDING_ENTER: Final = ("strategy_config", "funding_enter_apr")
_FUNDING_LEAVE: Final = ("strategy_config", "funding_leave_apr")


def _per_eight_hours(old: tuple[str, ...], home: tuple[str, ...]) -> Move:
    """A rate per settlement of eight hours whose home is a yearly rate."""
    return Move(old, home, factor=HOURS_PER_YEAR / FUNDING_HOURS, unit="a yearly rate")


MOVES: Final = (
    Move(("asset",), ("strategy_config", "delta_tracking_asset"), is_short=True),
    Move(("allocation",), (*_CALCULATION, "hedge_allocation"), is_short=True),
    Move(("risk_limits",), _LIMITS, is_block=True, is_short=True),
    Move(("component_config", "venue_manager"), _EXECUTION, is_block=True),
    Move((*_EXECUTION, "max_retries"), (*_EXECUTION, "max_retry_attempts")),
    _per_eight_hours(("funding_threshold",), _FUNDING_ENTER),
    _per_eight_hours(("strategy_config", "funding_threshold"), _FUNDING_ENTER),
    _per_eight_hours(("strategy_config", "funding_enter"), _FUNDING_ENTER),
    _per_eight_hours(("strategy_config", "funding_leave"), _FUNDING_LEAVE),
    Move(("position_deviation_threshold",), ("strategy_config", "position_deviation_threshold")),
    Move(("target_ltv",), ("strategy_config", "target_ltv")),
    Move((*_CALCULATION, "target_ltv"), ("strategy_config", "target_ltv")),
    Move(("delta_tracking_asset",), ("strategy_config", "delta_tracking_asset")),
    Move(
        ("component_config", "risk_monitor", "delta_tracking_asset"),
        ("strategy_config", "delta_tracking_asset"),
    ),
    Move(("strategy_config", "signal_threshold"), ("ml_config", "signal_threshold")),
    Move((*_CALCULATION, "signal_threshold"), ("ml_config", "signal_threshold")),
    Move(("strategy_config", "max_position_size"), ("ml_config", "max_position_size")),
    Move(("max_stake_spread_move",), (*_LIMITS, "max_stake_spread_move")),
    Move(("delta_tolerance",), (*_LIMITS, "delta_tolerance")),
    Move(("strategy_config", "delta_tolerance"), (*_LIMITS, "delta_tolerance")),
    Move(("hedge_allocation",), (*_CALCULATION, "hedge_allocation")),
    Move(("strategy_config", "hedge_allocation"), (*_CALCULATION, "hedge_allocation")),
)

IGNORED: Final[dict[tuple[str, ...], str]] = {
    ("ml_config", "confidence_threshold"): "signal_threshold alone decides",
    ("ml_config", "feature_importance_threshold"): "it belongs to the training of the model",
    ("ml_config", "retraining_frequency"): "it belongs to the training of the model",
    ("ml_config", "stop_loss_pct"): "stop_loss_sd sets the stop",
    ("strategy_config", "confidence_threshold"): "signal_threshold alone decides",
    ("strategy_config", "stop_loss_pct"): "stop_loss_sd sets the stop",
    (*_CALCULATION, "stop_loss_pct"): "stop_loss_sd sets the stop",
    (*_CALCULATION, "target_position"): "the mode's sizing rule sets the position",
    ("ml_config", "signal_granularity"): "predictions are as far apart as the rows of the clock",
    ("component_config", "strategy_manager", "actions"): "the rules of the mode say what it does",
    ("component_config", "strategy_manager", "rebalancing_triggers"): "the rules of the mode say when it acts",
    (
        "component_config",
        "position_monitor",
        "dust_tokens",
    ): "rewards_mode says which rewards are paid, and to the wallet",
    ("component_config", "settlement", "seasonal_rewards_frequency"): "rewards are settled when the data pay them",
    ("component_config", "exposure_monitor"): "exposure follows from the subscriptions",
    ("component_config", "results_store"): "a run keeps all that it records",
    ("component_config", "live_trading_service"): "a backtest has no live session",
    ("health_error_systems",): "a backtest has no live session",
    ("deadline_seconds",): "a simulated transaction is in the row's block",
    ("time_throttle_interval",): "a backtest has no throttle",
    ("time_throttle",): "a backtest has no throttle",
    ("component_config", "time_throttle"): "a backtest has no throttle",
    ("strategy_factory",): "the mode is its own factory",
    ("component_config", "strategy_factory"): "the mode is its own factory",
    (*_LIMITS, "cex_margin_ratio_min"): "strategy_config.margin_levels holds the levels",
    (*_LIMITS, "maintenance_margin_ratio"): "strategy_config.margin_levels holds the levels",
    ("component_config", "risk_monitor", "maintenance_margin_ratio"): "strategy_config.margin_levels holds the levels",
    ("enable_market_impact",): "slippage grows with the notional in any case",
    ("event_logger", "log_path"): "--logs says where logs go",
    ("event_logger", "log_format"): "logs are JSON lines",
    ("event_logger", "event_categories"): "every event is written and exported",
    (*_WRITING, "export_format"): "results hold the events as JSON lines and as CSV",
    (*_WRITING, "async_logging"): "a chunk of events is written between two windows",
    (*_WRITING, "compression"): "files that are full stay as they are, so that they can be read and verified",
    (*_RETENTION, "retention_days"): "basis runs prune says how long runs stay",
    (*_RETENTION, "compression_after_days"): "basis runs prune says how long runs stay",
}
"""Keys that are accepted without effect, and what rules instead."""

REMOVED: Final[dict[str, str]] = {
    "use_flash_loan": "leverage_enabled with strategy_config.target_ltv says it all",
    "unwind_mode": "exits follow the rules of the mode",
}
"""Key names that are refused wherever they stand, and what replaces them."""

MODE_ALIASES: Final[dict[str, str]] = {
    "usdt_eth_staking_hedged_leveraged": "usdt_market_neutral",
    "usdt_eth_staking_hedged_simple": "usdt_market_neutral_no_leverage",
}

ATTRIBUTION_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "lending_pnl": ("supply_yield",),
    "staking_pnl": ("staking_yield_oracle", "staking_yield_rewards"),
    "borrow_costs": ("borrow_cost",),
    "borrowing_costs": ("borrow_cost",),
    "basis_spread_pnl": ("basis_pnl",),
}

RISK_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "health_factor": ("liquidation_risk",),
    "liquidation_threshold": ("liquidation_risk",),
    "ltv_ratio": ("ltv_risk",),
}

_LISTS: Final[dict[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    ("component_config", "pnl_monitor", "attribution_types"): ATTRIBUTION_ALIASES,
    ("component_config", "risk_monitor", "enabled_risk_types"): RISK_ALIASES,
    ("supported_strategies",): {old: (new,) for old, new in MODE_ALIASES.items()},
}
_SCALARS: Final[dict[tuple[str, ...], dict[str, str]]] = {
    ("mode",): MODE_ALIASES,
    ("component_config", "strategy_manager", "strategy_type"): MODE_ALIASES,
}


@dataclass
class Folding:
    """What folding one document found."""

    warnings: list[YamlFault]
    faults: list[YamlFault]


def canonical_location(location: Location) -> Location:
    """Return where a location has its home today.

    >>> canonical_location(("component_config", "venue_manager", "max_retries"))
    ('component_config', 'execution_manager', 'max_retry_attempts')
    """
    for move in MOVES:
        if location[: len(move.old)] == move.old:
            location = (*move.home, *location[len(move.old) :])
    return location


def fold_old_spellings(document: Document) -> Folding:
    """Rewrite a document into today's spelling, in place; return the warnings and what cannot be reconciled."""
    folding = Folding([], [])
    _refuse_removed(document, document.root, (), folding)
    for move in MOVES:
        told = folding if not move.is_short else Folding([], folding.faults)
        _move(document, move, told)
    for key, reason in IGNORED.items():
        if document.has(key):
            _note(folding.warnings, document.mark(key), key, f"has no effect: {reason}; remove it")
            document.remove(key)
    for key, aliases in _LISTS.items():
        _fold_list(document, key, aliases, folding)
    for key, names in _SCALARS.items():
        _fold_scalar(document, key, names, folding)
    _fold_case(document, ("lst_type",), folding)
    return folding


def fold_position_keys(document: Document, catalogue: Catalogue) -> None:
    """Rewrite the position keys of a mode into today's spelling, in place; what exists in none stays."""
    venues = document.root.get("venues")
    names = tuple(venues) if isinstance(venues, dict) else ()
    for where in (SUBSCRIPTIONS, *(("venues", name, "instruments") for name in names)):
        written = document.get(where) if document.has(where) else None
        if not isinstance(written, list):
            continue
        for index, text in enumerate(written):
            with suppress(InvalidPositionKeyError):
                written[index] = str(catalogue.key(str(text)))


def _note(notes: list[YamlFault], mark: Mark, key: Location, message: str) -> None:
    notes.append(YamlFault(mark, key, message))


def _refuse_removed(document: Document, value: YamlValue, location: Location, folding: Folding) -> None:
    if not isinstance(value, dict):
        return
    for name in list(value):
        here = (*location, name)
        if name in REMOVED:
            _note(folding.faults, document.mark(here), here, f"was removed: {REMOVED[name]}; delete this line")
            document.remove(here)
        else:
            _refuse_removed(document, value[name], here, folding)


def _move(document: Document, move: Move, folding: Folding) -> None:
    """Bring one value home, or drop it where its home has the same."""
    old, home = move.old, move.home
    if not document.has(old):
        return
    mark, value, name = document.mark(old), move.today(document.get(old)), _dotted(home)
    if document.has(home):
        standing = document.get(home)
        if move.is_block and isinstance(value, dict) and isinstance(standing, dict):
            for key in list(value):
                _move(document, Move((*old, key), (*home, key), is_block=True), folding)
            _note(folding.warnings, mark, old, f"old spelling of {name}: rename it")
        elif value is None or value == standing:
            _note(folding.warnings, mark, old, f"repeats {name}: remove it")
        else:
            other = document.mark(home)
            message = f"says {value!r} but {name} says {standing!r} ({other.file}:{other.line}): one value has one home"
            _note(folding.faults, mark, old, message)
    elif value is None:
        _note(folding.warnings, mark, old, f"old spelling of {name}, and empty: remove it")
    else:
        marks = {known: each for known, each in document.marks.items() if known[: len(old)] == old}
        if not document.put(home, value, mark):
            _note(folding.faults, mark, old, f"has its home at {name}, whose parent is not a mapping")
        document.marks.update({(*home, *known[len(old) :]): each for known, each in marks.items()})
        remedy = f"write {home[-1]}: {value} ({move.unit})" if move.unit else "rename it"
        _note(folding.warnings, mark, old, f"old spelling of {name}: {remedy}")
    if document.has(old):
        document.remove(old)


def _fold_list(document: Document, key: Location, aliases: dict[str, tuple[str, ...]], folding: Folding) -> None:
    """Replace old names in a list; a name that is already there is not repeated."""
    written = document.get(key) if document.has(key) else None
    if not isinstance(written, list) or not any(isinstance(item, str) and item in aliases for item in written):
        return
    names: list[YamlValue] = []
    marks: list[Mark] = []
    for index, item in enumerate(written):
        mark = document.mark((*key, index))
        today = aliases.get(item) if isinstance(item, str) else None
        if today is not None:
            _note(folding.warnings, mark, (*key, index), f"{item} is an old spelling of {' and '.join(today)}")
        for name in today or (item,):
            if today is None or name not in names + written:
                names.append(name)
                marks.append(mark)
    document.put(key, names, document.mark(key))
    document.marks.update({(*key, index): mark for index, mark in enumerate(marks)})


def _fold_scalar(document: Document, key: Location, names: dict[str, str], folding: Folding) -> None:
    written = document.get(key) if document.has(key) else None
    if isinstance(written, str) and written in names:
        mark = document.mark(key)
        _note(folding.warnings, mark, key, f"{written} is an old spelling of {names[written]}")
        document.put(key, names[written], mark)


def _fold_case(document: Document, key: Location, folding: Folding) -> None:
    """Write a name in lower case (weETH is accepted for weeth)."""
    written = document.get(key) if document.has(key) else None
    if isinstance(written, str) and written != written.lower():
        mark = document.mark(key)
        _note(folding.warnings, mark, key, f"{written} is written {written.lower()}")
        document.put(key, written.lower(), mark)


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)
