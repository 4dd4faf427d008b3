"""The runs from which the examples of the logging guide are taken; the guide shows their commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.models.results import RunSummary

LOW_COLLATERAL: Final = (
    *(f"venue:{venue}.collateral_factor=0.35" for venue in ("binance", "bybit", "okx")),
    "margin_ratio_target=0.35",
)
"""Coins count so little as margin that the run crosses its margin limit."""

EXAMPLE_RUNS: Final[Mapping[str, Mapping[str, object]]] = {
    "lending": {"mode": "pure_lending_usdt"},
    "leveraged": {"mode": "eth_leveraged"},
    "basis": {"mode": "btc_basis", "overrides": LOW_COLLATERAL},
}

VOLATILE: Final = frozenset({"real_utc_time", "correlation_id", "pid"})
"""Fields that differ between two runs of one seed, beside durations."""


@dataclass(frozen=True)
class ExampleRun:
    """A finished run and the directory in which ``logs`` and ``results`` stand."""

    root: Path
    summary: RunSummary

    @property
    def log_dir(self) -> Path:
        """``logs/{correlation_id}/{pid}``."""
        assert self.summary.log_dir is not None
        return Path(self.summary.log_dir)

    def filled(self, text: str) -> str:
        """A text of the documentation with its ``{placeholders}`` replaced by the facts of this run."""
        operations = self.events("operation_executions")
        facts = {
            "correlation_id": self.summary.correlation_id,
            "pid": self.log_dir.name,
            "run_id": self.summary.run_id,
            "operation_id": str(operations[0]["operation_id"]),
        }
        for name, fact in facts.items():
            text = text.replace(f"{{{name}}}", fact)
        return text

    def events(self, stem: str) -> list[dict[str, object]]:
        """The events of one file."""
        lines = (self.log_dir / "events" / f"{stem}.jsonl").read_bytes().splitlines()
        return [orjson.loads(line) for line in lines]


def make_run(name: str, root: Path) -> ExampleRun:
    """Run one of the examples with its logs and results under ``root``."""
    request = BacktestRequest.model_validate(
        {
            **EXAMPLE_RUNS[name],
            "start": "2024-01-01",
            "end": "2024-02-29T23:00",
            "logs": root / "logs",
            "results": root / "results",
        }
    )
    return ExampleRun(root, run_backtest(request).summary)


def comparable(event: object) -> object:
    """An event without what differs between two runs of one seed; floats to nine digits."""
    if isinstance(event, dict):
        return {
            key: comparable(value)
            for key, value in event.items()
            if key not in VOLATILE and not key.endswith("_duration_ms")
        }
    if isinstance(event, list):
        return [comparable(value) for value in event]
    return float(f"{event:.9g}") if isinstance(event, float) else event
