"""One small run of btc_basis, made of round numbers: two days in which it enters, is rebalanced, leaves and comes back.

``python -m tests.golden.small_run`` records what the run does into ``small_run.json``. Do that only in a commit that
says why a number moved.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import orjson

from dataflow.market.market import Market
from tests.support.markets import LOOK_BACK_ROWS, VENUES, quiet_market
from tests.support.runs import MemoryRun, prepared, run_in_memory

RECORDED: Final = Path(__file__).with_name("small_run.json")
MODE: Final = "btc_basis"
ROWS: Final = 64

Record = dict[str, Any]


def small_market() -> Market:
    """Bitcoin steps through round prices; Bybit's perpetual sinks for a day; funding turns against shorts and back."""
    rows = ROWS + LOOK_BACK_ROWS
    at = np.arange(rows) - LOOK_BACK_ROWS
    price = np.select([at < 10, at < 30, at < 50], [60_000.0, 63_000.0, 57_000.0], 61_500.0)
    spot = np.asfortranarray(price[:, None] + np.array([0.0, 12.0, -8.0]))
    premium = np.select([(at >= 14) & (at < 40), at >= 52], [-6_000.0, 70.0], 25.0)
    mark = np.asfortranarray(spot + np.stack([np.full(rows, 20.0), premium, np.full(rows, 15.0)], axis=1))
    settles = (np.arange(rows) % 8 == 0).astype(np.float64)
    rate = np.where((at >= 32) & (at < 49), -2e-4, 1.5e-4) * settles
    return quiet_market(
        MODE,
        ROWS,
        reference_price=price,
        spot_price=spot,
        perp_mark=mark,
        funding_rate=np.asfortranarray(np.tile(rate[:, None], (1, len(VENUES)))),
        gas_price_gwei=np.full(rows, 20.0),
    )


def observed(run: MemoryRun) -> Record:
    """What the run decided and did, and where it ended; every number that a change of the engine could move."""
    decisions = [event for event in run.events("strategy_decisions") if event["decision_type"] != "hold"]
    return {
        "decisions": [
            {name: event[name] for name in ("timestamp", "decision_type", "decision_reason", "orders_generated")}
            for event in decisions
        ],
        "operations": [
            {
                **{
                    name: event[name]
                    for name in ("timestamp", "operation_type", "venue", "actual_deltas", "fee_amount")
                },
                "operation_id": event["operation_id"],
            }
            for event in run.events("operation_executions")
        ],
        "event_counts": {name: len(lines) for name, lines in run.lines.items()},
        "final_positions": run.final_positions(),
        "equity_usd": run.column("equity_usd").tolist(),
        "attribution": {name: float(run.column(name)[-1]) for name in run.backtest.attribution_types},
    }


def make_run(directory: Path) -> MemoryRun:
    """Run the mode as shipped over the small market."""
    return run_in_memory(prepared(MODE), small_market(), directory)


def record() -> None:
    """Write what the run does now."""
    with TemporaryDirectory() as directory:
        found = observed(make_run(Path(directory)))
    RECORDED.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    record()
