"""Laws 1 and 2 in all ten modes, on markets violent enough to reach whatever the mode has to survive.

Each market is random from a fixed seed, with gaps in prices, debt or peg on top. What each must lead to is counted
first: liquidation, stop, margin call, deleverage, sale below the peg, sale of rewards, rebalance. Then the run must be
the same to the bit for another window, as a chain of partitions that are cut at those very rows, and in Hamilton's
executor, which takes each of those rows from the state that the plan left before it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from dataflow.graph.state import RunState
from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from tests.support.events import rows_of_events
from tests.support.gaps import PRICES, with_gap
from tests.support.markets import partition
from tests.support.marks import all_but_first
from tests.support.modes import MODES
from tests.support.runs import HEALTH, MemoryRun, assert_same_business, chained, prepared, run_in_memory

ROWS = 240
DEBT = ("variable_borrow_index",)
PEG = ("lst_market_ratio",)

Gaps = tuple[tuple[int, float, Collection[str]], ...]


@dataclass(frozen=True)
class Storm:
    """A market of a mode and what it must lead to: seed, overrides, gaps as (row, factor, columns), events by kind."""

    mode: str
    least: Mapping[str, int]
    gaps: Gaps = ()
    overrides: tuple[str, ...] = ()
    seed: int = 2

    __hash__ = object.__hash__


_IN = ("strategy_config.funding_enter_apr=-50.0", "strategy_config.funding_leave_apr=-50.0")
_LEVERED = ("ml_config.max_position_size=3.0", "margin_ratio_target=0.31", "ml_config.signal_threshold=0.5")
_REWARDED = ("rewards_mode=base_eigen_seasonal",)
_RALLY: Gaps = ((40, 3.2, PRICES), (100, 9.0, PRICES), (160, 1 / 9.0, PRICES))
_SQUEEZE: Gaps = ((40, 1.5, PRICES), (90, 2.3, PRICES), (150, 1.5, PRICES))
_DEPEG: Gaps = ((30, 0.94, PEG), (120, 1 / 0.94, PEG), (140, 0.95, PEG))
_RATES: Gaps = ((50, 1.25, DEBT), (100, 1.49, DEBT), (170, 1.5, DEBT))

STORMS = (
    Storm("pure_lending_usdt", {"rebalance": 1}),
    Storm("pure_lending_eth", {"rebalance": 1}),
    Storm("btc_basis", {"liquidation": 1, "margin_call": 1, "rebalance": 5}, _RALLY, _IN),
    Storm("eth_basis", {"liquidation": 1, "margin_call": 1, "rebalance": 5}, _RALLY, _IN),
    Storm("eth_staking_only", {"dust": 1, "rebalance": 1}, (), _REWARDED),
    Storm(
        "eth_leveraged",
        {"liquidation": 2, "deleverage": 2, "depeg": 1, "dust": 1, "rebalance": 2},
        _RATES + _DEPEG,
        _REWARDED,
        seed=6,
    ),
    Storm(
        "usdt_market_neutral_no_leverage",
        {"liquidation": 1, "margin_call": 1, "depeg": 1, "dust": 1, "rebalance": 2},
        _SQUEEZE + _DEPEG,
        _REWARDED,
        seed=6,
    ),
    Storm(
        "usdt_market_neutral",
        {"liquidation": 2, "margin_call": 1, "deleverage": 1, "depeg": 1, "dust": 1, "rebalance": 2},
        ((40, 1.65, PRICES), *_SQUEEZE[1:], *_DEPEG, *_RATES, (215, 1.35, DEBT)),
        _REWARDED,
        seed=2,
    ),
    Storm(
        "ml_btc_directional_usdt_margin",
        {"liquidation": 1, "stop": 2, "margin_call": 1, "rebalance": 1},
        ((40, 1.4, PRICES),),
        _LEVERED,
        seed=6,
    ),
    Storm(
        "ml_btc_directional_btc_margin",
        {"liquidation": 1, "stop": 2, "margin_call": 1, "rebalance": 1},
        ((40, 1.7, PRICES),),
        _LEVERED,
        seed=6,
    ),
)

each_storm = pytest.mark.parametrize("storm", STORMS, ids=lambda storm: storm.mode)
Survived = Callable[[Storm], MemoryRun]


@cache
def market_of(storm: Storm) -> Market:
    """The market of a storm."""
    backtest = prepared(storm.mode, overrides=storm.overrides)
    market = random_market(backtest.market_request(), storm.seed, ROWS, calm_rows=ROWS)
    for row, factor, columns in storm.gaps:
        market = with_gap(market, row, factor, columns)
    return market


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Survived:
    """A function from a storm to the run through it."""

    @cache
    def run(storm: Storm) -> MemoryRun:
        backtest = prepared(storm.mode, overrides=storm.overrides)
        return run_in_memory(backtest, market_of(storm), tmp_path_factory.mktemp("storm"))

    return run


def test_every_mode_has_its_storm() -> None:
    assert sorted(storm.mode for storm in STORMS) == sorted(MODES)
    assert len(MODES) == 10


@each_storm
def test_the_market_leads_to_what_the_mode_must_survive(storm: Storm, survived: Survived) -> None:
    found = {kind: len(rows) for kind, rows in rows_of_events(survived(storm)).items()}
    assert {kind: found[kind] for kind, least in storm.least.items() if found[kind] < least} == {}, found


@each_storm
def test_window_size_changes_no_bit(storm: Storm, survived: Survived, tmp_path: Path) -> None:
    windowed = run_in_memory(prepared(storm.mode, overrides=storm.overrides, window=7), market_of(storm), tmp_path)
    assert_same_business(survived(storm), windowed)


@pytest.mark.parametrize("storm", all_but_first("laws", STORMS, kept=2), ids=lambda storm: storm.mode)
def test_partitions_and_executors_give_the_same_bits_at_every_kind_of_event(
    storm: Storm, survived: Survived, tmp_path: Path
) -> None:
    whole, market = survived(storm), market_of(storm)
    events = rows_of_events(whole)
    chosen = sorted({events[kind][0] for kind in storm.least})
    bounds = sorted({0, ROWS, *chosen, *(row + 1 for row in chosen)})
    parts, state = [], None
    for start, end in pairwise(bounds):
        part = _part(storm, market, (start, end), state, tmp_path / str(start))
        if start in chosen:
            hamilton = _part(storm, market, (start, end), state, tmp_path / f"{start}_hamilton", is_hamilton=True)
            assert_same_business(part, hamilton)
        parts.append(part)
        state = RunState.from_json(part.state.to_json())
    assert_same_business(whole, chained(parts), without=(HEALTH,))


def _part(
    storm: Storm,
    market: Market,
    rows: tuple[int, int],
    state: RunState | None,
    log_dir: Path,
    *,
    is_hamilton: bool = False,
) -> MemoryRun:
    backtest = prepared(storm.mode, overrides=storm.overrides, executor="hamilton" if is_hamilton else "plan")
    return run_in_memory(backtest, partition(market, *rows), log_dir, state=state, is_final=rows[1] == ROWS)
