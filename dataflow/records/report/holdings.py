"""What a run held: value by place and asset, net delta, and units of each position."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from dataflow.records.report.charts import (
    INK,
    PLACE_COLOURS,
    QUIET,
    Panel,
    Series,
    Shape,
    Strip,
    TimeChart,
    coloured,
    is_flat,
    moving,
    spoken,
)
from dataflow.records.report.risk import net_delta_panels
from dataflow.records.report.run_files import RunFiles
from schemas.units import Column

_VALUE: Final = "_value_usd"
_ALL: Final = f"asset{_VALUE}"
"""Value of each asset; the places that it sums have the same labels."""

_NAMES: Final = {"exchange": "exchanges", "margined": "margin", "claim": "withdrawal queue", "dust": "rewards"}
"""Places that are called otherwise than their column."""

_UNITS: Final = "_units"
_POSITIONS: Final = {
    "perp_units": "Perpetuals at the exchanges, {base}",
    "spot_units": "Coins at the exchanges, {base}",
    "quote_units": "USDT at the exchanges",
    "wallet_units": "Wallet, {label}",
    "lst_units": "Staking tokens outside the pool, {label}",
    "a_token_units": "Supplied to the pool, scaled {label}",
    "debt_units": "Owed to the pool, scaled {label}",
    "dust_units": "Rewards, {label}",
    "claim_units": "Owed by the withdrawal queue, {label}",
}
"""Position column to the title of its panel; one panel a label where the title names it: their units differ."""


def exposure_chart(run: RunFiles) -> TimeChart:
    """Value by place, value by asset where there are several, and net delta."""
    unit = run.summary.share_class
    price = run.column("usd_per_share_class")
    places = {place: values / price for place, values in _places(run).items()}
    by_place = tuple(
        Series(place, values, PLACE_COLOURS.get(place, QUIET), Shape.STACKED)
        for place, values in places.items()
        if not is_flat(values)
    )
    equity = Series("equity", run.column("equity_share_class"), INK)
    panels = [Panel(f"Value by place, {unit}", run.instants, (*by_place, equity), height=230)]
    assets = {asset: values / price for asset, values in run.by_label(_ALL).items()}
    if len([values for values in assets.values() if not is_flat(values)]) > 1:
        panels += moving(Panel(f"Value by asset, {unit}", run.instants, coloured(assets), height=150))
    for panel in net_delta_panels(run):
        panels += moving(panel)
    note = "Debt counts negative and perpetuals at their unrealised profit; the places add up to equity."
    return TimeChart("exposure", "Exposures and net delta", note, tuple(panels))


def _places(run: RunFiles) -> dict[str, Column]:
    """Value of each place over all assets, USD; their sum is the equity."""
    assets = run.by_label(_ALL).keys()
    parts = {name: run.by_label(name) for name in run.names_ending(_VALUE) if name != _ALL}
    found = {name.removesuffix(_VALUE): columns for name, columns in parts.items() if columns.keys() == assets}
    return {_NAMES.get(name, name): np.sum(list(columns.values()), axis=0) for name, columns in found.items()}


def position_chart(run: RunFiles, operations: Strip) -> TimeChart:
    """Price of the tracked asset, units of each position, and the operations."""
    panels: list[Panel | Strip] = [*_price(run)]
    held = [name for name in run.names_ending(_UNITS) if name not in _POSITIONS and not name.startswith("net_")]
    for name in (*_POSITIONS, *held):
        title = _POSITIONS.get(name, f"{spoken(name)}, {{label}}")
        panels += _position_panels(run, title, run.by_label(name))
    if operations.marks:
        panels.append(operations)
    note = "Units as the books hold them; a short position is negative."
    return TimeChart("positions", "Positions and operations", note, tuple(panels))


def _price(run: RunFiles) -> Iterator[Panel]:
    asset = run.config.base_asset or "ETH"
    name = "reference_price" if run.has("reference_price") else "eth_price"
    if run.has(name):
        yield Panel(f"Price of {asset}, USD", run.instants, (Series(asset, run.column(name), QUIET),), height=110)


def _position_panels(run: RunFiles, title: str, columns: Mapping[str, Column]) -> Iterator[Panel]:
    base = run.config.base_asset or ""
    groups = [{label: values} for label, values in columns.items()] if "{label}" in title else [dict(columns)]
    for group in groups:
        named = title.format(base=base, label=next(iter(group), ""))
        shown = coloured(group, Shape.STEP)
        yield from moving(Panel(named, run.instants, shown, value_format=",.6~f", height=100, from_zero=True))
