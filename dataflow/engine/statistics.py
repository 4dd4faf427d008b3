"""Numbers of a whole run, gathered chunk by chunk and computed once over the recorded columns. [domain] ruling 2."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dataflow.maths.returns import (
    FlowHistory,
    annualised_return,
    max_drawdown,
    money_weighted_return,
    sharpe_ratio,
    unit_values,
)
from schemas.units import NOT_APPLICABLE, SECONDS_PER_DAY, Column, Instants

_KEPT = ("equity_share_class", "unexplained_pnl", "worst_margin_ratio", "health_factor", "ltv", "net_delta_fraction")


@dataclass
class RunStatistics:
    """Columns that the summary needs over the whole run, and the last row of all of them."""

    instants: list[Instants] = field(default_factory=list)
    kept: dict[str, list[Column]] = field(default_factory=dict)
    last: dict[str, Column] = field(default_factory=dict)
    rows: int = 0

    def add(self, instants: Instants, columns: Mapping[str, Column]) -> None:
        """Take the rows of a chunk."""
        self.instants.append(instants)
        for name in _KEPT:
            if name in columns:
                self.kept.setdefault(name, []).append(columns[name])
        self.last = {name: column[-1] for name, column in columns.items()}
        self.rows += len(instants)

    def column(self, name: str) -> Column:
        """A kept column over the whole run; empty where the mode has none."""
        return np.concatenate(self.kept[name]) if name in self.kept else np.empty(0)

    def returns(self, flows: FlowHistory) -> dict[str, float | None]:
        """Returns, drawdown and Sharpe ratio of the share-class equity, flows removed.

        Both returns are since the first flow, which a partition before this one may have seen; drawdown and Sharpe
        ratio are of the rows here. Fractions of one; None where a figure does not exist.
        """
        instants, equity = np.concatenate(self.instants), self.column("equity_share_class")
        values = unit_values(instants, equity, flows)
        total, ended = float(values[-1]) - 1.0, float(instants[-1].astype(np.int64))
        return {
            "total_return": total,
            "annualized_return": annualised_return(total, (ended - float(flows.seconds[0])) / SECONDS_PER_DAY),
            "money_weighted_return": money_weighted_return(flows, ended, float(equity[-1])),
            "max_drawdown": max_drawdown(values),
            "sharpe_ratio": sharpe_ratio(instants, values),
        }

    def extremes(self) -> dict[str, float | None]:
        """Worst value of each risk ratio; None where it never existed."""
        return {
            "min_health_factor": _least(self.column("health_factor")),
            "max_ltv": _most(self.column("ltv")),
            "min_margin_ratio": _least(self.column("worst_margin_ratio")),
            "max_abs_net_delta_fraction": _most(self.column("net_delta_fraction"), zero_exists=True),
        }

    def largest_unexplained(self) -> float:
        """Unexplained P&L of the row where it was largest, share class, signed."""
        values = self.column("unexplained_pnl")
        return float(values[np.argmax(np.abs(values))])


def _least(values: Column) -> float | None:
    existing = values[values != NOT_APPLICABLE]
    return float(existing.min()) if len(existing) else None


def _most(values: Column, *, zero_exists: bool = False) -> float | None:
    existing = values[(values != NOT_APPLICABLE) & (zero_exists | (values != 0.0))]
    return float(existing.max()) if len(existing) else None
