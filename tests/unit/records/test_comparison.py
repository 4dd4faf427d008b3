"""Comparing two runs: the parts sum to the difference, and the first row and event are those that a plain search finds.

The plain search reads everything into memory with other tools than the comparison does.
"""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.records.audit.comparison import Comparison, changes, compare_runs, first_event, left_over
from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.errors import LogDirectoryError
from schemas.models.results import RunSummary
from tests.support.data_sets import violent_data_set
from tests.support.runs import business_lines, read_lines

MODES = ("btc_basis", "pure_lending_usdt", "pure_lending_eth")
FEE = "catalogue.venues.bybit.fees.spot.taker"
START = "2024-01-04T01:00"
CHANGES: dict[str, dict[str, Any]] = {
    "base": {},
    "again": {},
    "fee": {"overrides": ("venue:bybit.fees.spot.taker=0.0012",)},
    "brief": {"events": "operations"},
    "brief fee": {"events": "on-change", "overrides": ("venue:bybit.fees.spot.taker=0.0012",)},
    "shorter": {"end": "2024-01-07T12:00"},
    "seed": {"seed": 8},
    "lending": {"mode": "pure_lending_usdt"},
    "ether": {"mode": "pure_lending_eth"},
}


@dataclass(frozen=True)
class Runs:
    """Finished runs by name."""

    summaries: dict[str, RunSummary]

    def path(self, name: str) -> Path:
        return Path(str(self.summaries[name].results_dir))

    def compared(self, first: str, second: str) -> Comparison:
        return compare_runs(self.path(first), self.path(second))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs of one violent market that differ in one thing each; a lending run has a market of its own."""
    root = tmp_path_factory.mktemp("compared")
    data = {mode: str(violent_data_set(root / mode, mode, 5, 150)) for mode in MODES}
    summaries = {}
    for name, change in CHANGES.items():
        mode = change.get("mode", "btc_basis")
        request = {"mode": mode, "data": data[mode], "start": START, "logs": root / "logs", "results": root / "results"}
        summaries[name] = run_backtest(BacktestRequest(**{**request, **change})).summary
    return Runs(summaries)


def sorted_lines(path: Path) -> list[bytes]:
    """The business of every line, in the order of the run."""
    lines = [line for lines in business_lines(read_lines(path / "logs")).values() for line in lines]
    return sorted(lines, key=lambda line: int(line.partition(b'"order":')[2].partition(b",")[0]))


def first_line(one: Path, other: Path) -> int | None:
    """Number of the first line that is not the same."""
    pairs = zip_longest(sorted_lines(one), sorted_lines(other))
    return next((number for number, (first, second) in enumerate(pairs) if first != second), None)


def first_instant(one: Path, other: Path) -> pd.Timestamp | None:
    """The earliest row of any stage on which any column differs."""
    found = []
    for path in one.glob("*.parquet"):
        left, right = (pd.read_parquet(directory / path.name).set_index("instant") for directory in (one, other))
        rows = left.index.intersection(right.index)
        differs = (left.loc[rows].ne(right.loc[rows]) & ~(left.loc[rows].isna() & right.loc[rows].isna())).any(axis=1)
        found += list(differs.index[differs][:1])
    return min(found) if found else None


def test_one_fee_is_named_as_cost_as_key_and_where_it_first_tells(runs: Runs) -> None:
    found = runs.compared("base", "fee")
    assert found.largest_part is not None
    assert found.largest_part.name == "transaction_costs"
    assert found.largest_part.difference < 0.0
    assert [(change.name, change.first, change.second) for change in found.configuration] == [(FEE, 0.001, 0.0012)]
    assert found.made_from == ()
    assert found.first_event is not None
    assert found.first_row is not None
    base, fee = runs.path("base"), runs.path("fee")
    assert found.first_event.number == first_line(base, fee)
    assert found.first_row.instant == found.first_event.timestamp == first_instant(base, fee).isoformat()  # type: ignore[union-attr]  # they part
    assert "pnl.transaction_costs" in found.first_row.columns
    event = orjson.loads(
        (base / "logs" / "events" / "strategy_decisions.jsonl").read_bytes().splitlines()[found.first_row.row]
    )
    assert event["decision_type"] == "entry"
    assert found.first_event.types == ("StrategyDecision", "StrategyDecision")
    assert [(change.name, change.first) for change in found.first_event.changes] == [
        ("total_order_value_usd", event["total_order_value_usd"])
    ]


@pytest.mark.parametrize("other", ["fee", "shorter", "lending"])
def test_the_parts_sum_to_the_difference_of_the_total(runs: Runs, other: str) -> None:
    found = runs.compared("base", other)
    one, two = runs.summaries["base"], runs.summaries[other]
    assert found.total.difference == two.total_pnl_share_class - one.total_pnl_share_class
    assert math.fsum(part.difference for part in found.parts) == found.total.difference
    assert {part.name for part in found.parts} == {*one.pnl_attribution, *two.pnl_attribution, "unexplained"}
    assert abs(found.parts[-1].difference) <= 1e-9 * one.initial_capital


@given(
    total=st.floats(-1e9, 1e9, allow_subnormal=False),
    parts=st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), max_size=12),
)
def test_what_is_left_over_completes_the_total(total: float, parts: list[float]) -> None:
    rest = left_over(total, parts)
    assert abs(math.fsum([*parts, rest]) - total) <= math.ulp(rest)


def test_two_runs_of_one_business_have_no_difference(runs: Runs) -> None:
    found = runs.compared("base", "again")
    assert found.largest_part is None
    assert (found.made_from, found.configuration, found.first_row, found.first_event) == ((), (), None, None)


def test_logs_of_two_details_are_compared_by_what_both_tell(runs: Runs) -> None:
    alike, unlike = runs.compared("base", "brief"), runs.compared("brief", "brief fee")
    assert (alike.made_from, alike.configuration, alike.first_row, alike.first_event) == ((), (), None, None)
    whole = runs.compared("base", "fee").first_event
    assert unlike.first_event is not None
    assert whole is not None
    assert (unlike.first_event.timestamp, unlike.first_event.types) == (whole.timestamp, whole.types)
    assert unlike.first_event.changes == whole.changes


def test_another_seed_gives_other_ids_and_the_same_business(runs: Runs) -> None:
    found = runs.compared("base", "seed")
    assert [(change.name, change.first, change.second) for change in found.made_from] == [("seed", 7, 8)]
    assert (found.first_row, found.first_event) == (None, None)
    base, seed = runs.path("base"), runs.path("seed")
    assert first_line(base, seed) is not None, "the ids do differ"


def test_a_run_that_ends_before_the_other_parts_from_it_there(runs: Runs) -> None:
    found = runs.compared("shorter", "base")
    assert found.first_row is not None
    assert found.first_row.instant == "2024-01-07T13:00:00"
    assert found.first_row.row == runs.summaries["shorter"].steps
    assert {first for first, _ in found.first_row.columns.values()} == {None}
    assert found.first_event is not None
    # The shorter run ends with its last look at health, the longer one goes on with its next row.
    assert found.first_event.types[0] == "HealthStatusEvent"


@pytest.mark.parametrize(("mode", "unit"), [("lending", "USDT"), ("ether", "of capital")])
def test_runs_of_two_share_classes_are_compared_by_shares_of_their_capital(runs: Runs, mode: str, unit: str) -> None:
    found, one, other = runs.compared("base", mode), runs.summaries["base"], runs.summaries[mode]
    assert found.unit == unit
    assert found.total.second == other.total_pnl_share_class / (1.0 if unit == "USDT" else other.initial_capital)
    assert ("mode", one.mode, other.mode) in [(change.name, change.first, change.second) for change in found.made_from]
    assert found.first_row is not None
    assert found.first_row.row == 0


def test_an_event_log_that_ends_early_is_told(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    source = runs.path("base") / "logs" / "events"
    for path in source.iterdir():
        (tmp_path / "events" / path.name).write_bytes(path.read_bytes())
    positions = tmp_path / "events" / "health_status.jsonl"
    positions.write_bytes(b"".join(positions.read_bytes().splitlines(keepends=True)[:-1]))
    found = first_event(runs.path("base"), tmp_path)
    assert found is not None
    assert found.types == ("HealthStatusEvent", None)


def test_results_without_configuration_are_refused_by_file(runs: Runs, tmp_path: Path) -> None:
    for name in ("summary.json", "manifest.json"):
        (tmp_path / name).write_bytes((runs.path("base") / name).read_bytes())
    with pytest.raises(LogDirectoryError) as refused:
        compare_runs(runs.path("base"), tmp_path)
    assert refused.value.context == {"path": str(tmp_path / "config.json")}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(first=JSON, second=JSON)
def test_changes_are_the_same_from_either_side(first: Any, second: Any) -> None:
    assert list(changes(first, first)) == []
    one = Counter((change.name, repr(change.first), repr(change.second)) for change in changes(first, second))
    other = Counter((change.name, repr(change.second), repr(change.first)) for change in changes(second, first))
    assert one == other
