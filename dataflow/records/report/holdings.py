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
)
from dataflow.records.report.risk import net_delta_panels
from dataflow.records.report.run_files import RunFiles
from schemas.units import Column

_PLACES: Final = {
    "wallet_value_usd": "wallet",
    "exchange_value_usd": "exchanges",
    "margined_value_usd": "margin",
    "staked_value_usd": "staked",
    "supplied_value_usd": "supplied",
    "debt_value_usd": "debt",
}
"""Exposure column, by asset, to the place whose value it is; a mode sums those that it has."""

_POSITIONS: Final = {
    "perp_units": "Perpetuals at the exchanges, {base}",
    "spot_units": "Coins at the exchanges, {base}",
    "quote_units": "USDT at the exchanges",
    "wallet_units": "Wallet, {label}",
    "lst_units": "Staking tokens outside the pool, {label}",
    "a_token_units": "Supplied to the pool, scaled {label}",
    "debt_units": "Owed to the pool, scaled {label}",
}
"""Position column to the title of its panel; one panel a label where the title names it: their units differ."""


def exposure_chart(run: RunFiles) -> TimeChart:
    """Value by place, value by asset where there are several, and net delta."""
    unit = run.summary.share_class
    price = run.column("usd_per_share_class")
    places = {
        place: np.sum(list(columns.values()), axis=0) / price
        for name, place in _PLACES.items()
        if (columns := run.by_label(name))
    }
    by_place = tuple(
        Series(place, values, PLACE_COLOURS[place], Shape.STACKED)
        for place, values in places.items()
        if not is_flat(values)
    )
    equity = Series("equity", run.column("equity_share_class"), INK)
    panels = [Panel(f"Value by place, {unit}", run.instants, (*by_place, equity), height=230)]
    assets = {asset: values / price for asset, values in run.by_label("asset_value_usd").items()}
    if len([values for values in assets.values() if not is_flat(values)]) > 1:
        panels += moving(Panel(f"Value by asset, {unit}", run.instants, coloured(assets), height=150))
    for panel in net_delta_panels(run):
        panels += moving(panel)
    note = "Debt counts negative and perpetuals at their unrealised profit; the places add up to equity."
    return TimeChart("exposure", "Exposures and net delta", note, tuple(panels))


def position_chart(run: RunFiles, operations: Strip) -> TimeChart:
    """Price of the tracked asset, units of each position, and the operations."""
    panels: list[Panel | Strip] = [*_price(run)]
    for name, title in _POSITIONS.items():
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
