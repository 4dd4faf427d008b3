"""What an entry of the configuration starts with: its leverage, its margin, and what a bad move leaves of them.

All of it follows from the files alone, so a configuration whose entry would break one of its own limits is refused when
it is loaded, and the largest legal value of the key that decides is named.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from schemas.models.config_base import Rule, RuleFault
from schemas.models.config_facts import facts_of
from schemas.models.config_mode import ModeSettings
from schemas.models.config_venues import ShareClassConfig, VenueConfig

_TARGET_LTV: Final = ("mode", "strategy_config", "target_ltv")
_STAKE_SHARE: Final = ("mode", "stake_allocation_percentage")
_POSITION_SIZE: Final = ("mode", "ml_config", "max_position_size")
_UNDERLYING_MOVE: Final = ("mode", "max_underlying_move")
_MARGIN_TARGET: Final = ("mode", "margin_ratio_target")
_ROUNDING: Final = 1e-9
"""A share of a bound: what two ways of writing one number may differ by."""


class RunFiles(Protocol):
    """The files of a run, of which an entry is made."""

    @property
    def mode(self) -> ModeSettings:
        """The mode."""
        ...

    @property
    def venues(self) -> Mapping[str, VenueConfig]:
        """Venue files by venue."""
        ...

    @property
    def share_class(self) -> ShareClassConfig:
        """The share class."""
        ...


def staked_share(mode: ModeSettings) -> float:
    """Share of the equity that is staked: all of it but in hedged modes, 0 where nothing is."""
    if not mode.staking_enabled:
        return 0.0
    share = mode.stake_allocation_percentage if facts_of(mode).is_hedged_staking else 1.0
    return 1.0 if share is None else share


def leverage_at_entry(mode: ModeSettings) -> float:
    """What an entry holds over its equity: assets that loans pay for included, or the notional of a directional bet.

    assets / equity = staked / (1 - target LTV) + 1 - staked
    """
    if facts_of(mode).is_ml and mode.ml_config is not None:
        return max(1.0, mode.ml_config.max_position_size)
    staked, target = staked_share(mode), mode.strategy_config.target_ltv
    if not mode.leverage_enabled or target is None:
        return 1.0
    return staked / (1.0 - target) + 1.0 - staked


def notional_over_margin(mode: ModeSettings) -> float | None:
    """Notional of the perpetuals over the value that backs them, at entry; None where a mode holds no perpetual.

    A basis book is backed by its coins, a hedged one by what it does not stake, a directional one by all its equity.
    """
    if facts_of(mode).traded_asset is None:
        return None
    if facts_of(mode).is_hedged_staking:
        staked = staked_share(mode)
        return staked / (1.0 - staked) if staked < 1.0 else float("inf")
    return mode.ml_config.max_position_size if mode.ml_config is not None else 1.0


def margin_ratio_at_entry(files: RunFiles, venue: str) -> float | None:
    """Margin ratio of an entry at an exchange, coins at their collateral factor; None without perpetuals."""
    notional = notional_over_margin(files.mode)
    if notional is None or notional == 0.0:
        return None
    return (_collateral_factor(files, venue) if _is_backed_by_coins(files.mode) else 1.0) / notional


def margin_ratio_after_move(files: RunFiles, venue: str, move: float) -> float | None:
    """The same after the price has moved against the perpetuals by a fraction of itself.

    A short loses on a rise: ratio = (margin - move) / (1 + move), where margin in coins rises too. Of a directional
    book, which is short or long, the worse counts.
    """
    start = margin_ratio_at_entry(files, venue)
    if start is None:
        return None
    in_coins = _is_backed_by_coins(files.mode)
    after_rise = start - move / (1.0 + move) if in_coins else (start - move) / (1.0 + move)
    if not facts_of(files.mode).is_ml:
        return after_rise
    if move >= 1.0:
        return -float("inf")
    after_fall = start - move / (1.0 - move) if in_coins else (start - move) / (1.0 - move)
    return min(after_rise, after_fall)


def _is_backed_by_coins(mode: ModeSettings) -> bool:
    """Whether the margin is the traded coin itself: of a basis book, and of one margined in coins."""
    facts = facts_of(mode)
    return not facts.is_hedged_staking and (not facts.is_ml or mode.margin_currency == facts.traded_asset)


def _collateral_factor(files: RunFiles, venue: str) -> float:
    factor = files.venues[venue].collateral_factor if venue in files.venues else None
    return 1.0 if factor is None else factor


def _stake_spread(files: RunFiles) -> Iterator[RuleFault]:
    """Check that the LTV at target stays below its liquidation threshold after max_stake_spread_move."""
    mode, limits = files.mode, files.mode.component_config.risk_monitor.risk_limits
    target, move = mode.strategy_config.target_ltv, limits.max_stake_spread_move
    if target is None or move is None or not mode.leverage_enabled:
        return
    pool = files.venues.get(mode.lending_protocol or "")
    emode = pool.emode.liquidation_threshold if pool is not None and pool.emode is not None else None
    thresholds = [limit for limit in (limits.liquidation_threshold, emode) if limit is not None]
    if not thresholds:
        return
    bound = min(thresholds) * (1.0 - move)
    if target >= bound:
        message = (
            f"target_ltv {target:g} would be liquidated after a fall of the LST by max_stake_spread_move {move:g}: "
            f"it must be below {bound:.4f}"
        )
        yield RuleFault(_TARGET_LTV, message)


def _underlying_move(files: RunFiles) -> Iterator[RuleFault]:
    """Check that the margin of an entry survives max_underlying_move above margin_levels.exit."""
    levels, move = files.mode.strategy_config.margin_levels, files.mode.max_underlying_move
    if levels is None or move is None:
        return
    for venue in files.mode.hedge_allocation:
        left = margin_ratio_after_move(files, venue, move)
        if left is not None and left <= levels.exit:
            message = (
                f"a move of {move:g} would take the margin ratio of an entry at {venue} to {left:.4g}, "
                f"not above margin_levels.exit {levels.exit:g}: {_remedy(files.mode, levels.exit, move)}"
            )
            yield RuleFault(_UNDERLYING_MOVE, message)
            return


def _remedy(mode: ModeSettings, ratio: float, move: float) -> str:
    """Which allocation would keep a margin ratio after a move."""
    least = ratio * (1.0 + move) + move
    if facts_of(mode).is_hedged_staking:
        return f"stake_allocation_percentage must be below {1.0 / (1.0 + least):.4f}"
    if facts_of(mode).is_ml and not _is_backed_by_coins(mode):
        return f"ml_config.max_position_size must be below {1.0 / least:.4f}"
    return "allow a smaller move, or a lower exit level"


def _margin_target(files: RunFiles) -> Iterator[RuleFault]:
    """Check that no entry starts below margin_ratio_target."""
    mode, target = files.mode, files.mode.margin_ratio_target
    if target is None:
        return
    for venue in mode.hedge_allocation:
        start = margin_ratio_at_entry(files, venue)
        if start is None or start >= target * (1.0 - _ROUNDING):
            continue
        message = f"an entry at {venue} would start with a margin ratio of {start:.4g}, below {target:g}: "
        if facts_of(mode).is_hedged_staking:
            message += f"stake_allocation_percentage may be at most {1.0 / (1.0 + target):.4f}"
        elif mode.ml_config is not None:
            factor = _collateral_factor(files, venue) if _is_backed_by_coins(mode) else 1.0
            message += f"ml_config.max_position_size may be at most {factor / target:.4f}"
        else:
            message += f"coins count at {start:.4g} of their value there"
        yield RuleFault(_MARGIN_TARGET, message)
        return


def _class_leverage(files: RunFiles) -> Iterator[RuleFault]:
    """Check that no entry holds more over its equity than max_leverage of the share class."""
    mode, bound = files.mode, files.share_class.max_leverage
    held = leverage_at_entry(mode)
    if held <= bound * (1.0 + _ROUNDING):
        return
    message = f"an entry would hold {held:.4g} times its equity, above max_leverage {bound:g} of the share class: "
    if facts_of(mode).is_ml:
        yield RuleFault(_POSITION_SIZE, f"{message}max_position_size may be at most {bound:g}")
        return
    staked = staked_share(mode)
    largest = 1.0 - staked / (bound - 1.0 + staked) if bound - 1.0 + staked > 0.0 else 0.0
    yield RuleFault(_TARGET_LTV, f"{message}target_ltv may be at most {max(largest, 0.0):.4f}")


def _venue_leverage(files: RunFiles) -> Iterator[RuleFault]:
    """Check that no entry opens more notional over its margin than max_leverage of an exchange."""
    held = notional_over_margin(files.mode)
    if held is None:
        return
    for venue in files.mode.hedge_allocation:
        bound = files.venues[venue].max_leverage if venue in files.venues else None
        if bound is None or held <= bound * (1.0 + _ROUNDING):
            continue
        message = f"an entry would open {held:.4g} times its margin, above max_leverage {bound:g} of {venue}: "
        if facts_of(files.mode).is_hedged_staking:
            message += f"stake_allocation_percentage may be at most {bound / (1.0 + bound):.4f}"
            yield RuleFault(_STAKE_SHARE, message)
        else:
            yield RuleFault(_POSITION_SIZE, f"{message}max_position_size may be at most {bound:g}")
        return


_FACTS: Final = (
    "mode.mode",
    "mode.family",
    "mode.margin_currency",
    "mode.lending_enabled",
    "mode.staking_enabled",
    "mode.borrowing_enabled",
    "mode.data_requirements",
    "mode.strategy_config.delta_tracking_asset",
    "mode.stake_allocation_percentage",
    "mode.ml_config",
)
"""What the size of an entry follows from."""

_EXCHANGES: Final = (
    "mode.component_config.strategy_manager.position_calculation.hedge_allocation",
    "mode.venues",
    "catalogue.venues",
)

ENTRY_RULES: Final[tuple[Rule[RunFiles], ...]] = (
    Rule(
        (
            "mode.leverage_enabled",
            "mode.lending_protocol",
            "mode.strategy_config.target_ltv",
            "mode.component_config.risk_monitor.risk_limits",
            "mode.venues",
            "catalogue.venues",
        ),
        _stake_spread,
    ),
    Rule((*_FACTS, *_EXCHANGES, "mode.max_underlying_move", "mode.strategy_config.margin_levels"), _underlying_move),
    Rule((*_FACTS, *_EXCHANGES, "mode.margin_ratio_target"), _margin_target),
    Rule((*_FACTS, "mode.leverage_enabled", "mode.strategy_config.target_ltv", "share_class"), _class_leverage),
    Rule((*_FACTS, *_EXCHANGES), _venue_leverage),
)
"""Every rule that an entry of the configuration must keep."""
