"""The small run does what it did when it was recorded: decisions, operations, equity at every row, attribution.

Numbers may differ by 1e-12 of themselves, which is rounding on another machine and no decision of anybody's.
"""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.golden.small_run import RECORDED, Record, make_run, observed

RELATIVE = 1e-12
ABSOLUTE = 1e-9
"""USD and units: zero that rounding makes of amounts of a hundred thousand."""


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What the run does now."""
    return observed(make_run(tmp_path_factory.mktemp("golden")))


@pytest.fixture(scope="module")
def then() -> Record:
    """What it did when it was recorded."""
    recorded: Record = orjson.loads(RECORDED.read_bytes())
    return recorded


@pytest.mark.parametrize("part", ["decisions", "event_counts"])
def test_facts_are_those_recorded(part: str, now: Record, then: Record) -> None:
    assert now[part] == then[part]


@pytest.mark.parametrize("part", ["final_positions", "equity_usd", "attribution"])
def test_numbers_are_those_recorded(part: str, now: Record, then: Record) -> None:
    assert now[part] == pytest.approx(then[part], rel=RELATIVE, abs=ABSOLUTE)


def test_operations_are_those_recorded(now: Record, then: Record) -> None:
    assert len(now["operations"]) == len(then["operations"])
    for done, recorded in zip(now["operations"], then["operations"], strict=True):
        assert _without_numbers(done) == _without_numbers(recorded)
        assert done["actual_deltas"] == pytest.approx(recorded["actual_deltas"], rel=RELATIVE)
        assert done["fee_amount"] == pytest.approx(recorded["fee_amount"], rel=RELATIVE)


def test_the_small_run_is_worth_recording(then: Record) -> None:
    kinds = {decision["decision_type"] for decision in then["decisions"]}
    assert kinds >= {"entry", "exit", "rebalance"}
    assert Path(RECORDED).stat().st_size < 100_000


def _without_numbers(operation: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in operation.items() if name not in ("actual_deltas", "fee_amount")}
