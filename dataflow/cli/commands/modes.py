"""``basis modes``: what can be run."""

from typing import TYPE_CHECKING

from dataflow.cli.commands.options import AsJson
from dataflow.cli.commands.output import print_json, print_table

if TYPE_CHECKING:
    from schemas.models.config import RunConfig

_TRADING_VENUES = ("cex", "defi")
"""Kinds of venues at which a mode holds something that earns."""


def modes(as_json: AsJson = False) -> None:
    """List the modes: share class, what is held where, target, and why it should pay.

    Example:  basis modes
    """
    from dataflow.config.files import list_modes, load_run_config

    configs = [load_run_config(name).config for name in list_modes()]
    if as_json:
        print_json({"modes": [_as_object(config) for config in configs]})
        return
    header = ("mode", "share class", "holds", "venues", "target a year", "thesis")
    print_table("Modes", header, [_row(config) for config in configs], right=(4,))


def _row(config: "RunConfig") -> tuple[str, ...]:
    mode = config.mode
    venues = [name for name, use in mode.venues.items() if use.venue_type in _TRADING_VENUES]
    return (
        mode.mode,
        mode.share_class,
        mode.holds,
        ", ".join(venues),
        f"{mode.target_apy * 100.0:g} %",
        mode.thesis,
    )


def _as_object(config: "RunConfig") -> dict[str, object]:
    mode = config.mode
    return {
        "mode": mode.mode,
        "share_class": mode.share_class,
        "holds": mode.holds,
        "venues": list(config.venues),
        "target_apy": mode.target_apy,
        "max_drawdown": mode.max_drawdown,
        "description": mode.description,
        "thesis": mode.thesis,
    }
