"""The order of keys in mappings, and of items in sets, is the author's: it changes no decision, no column, no event.

Every mode is run over a violent random market, once as it is written and once as other authors could have written its
files: the blocks, mappings and sets of mode, venues, share class and scenario in random orders. ``make laws`` does it a
hundred times a mode over ten days, ``make test`` ten times over as many rows as ten days of hours have.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dataflow.config.files import CONFIG_ROOT, load_run_config
from dataflow.engine.backtest import Backtest
from dataflow.market.history.loading import load_market
from dataflow.market.market import Market
from dataflow.market.synthetic.data_set import synthetic_data_set
from dataflow.market.synthetic.random_markets import random_market
from schemas.units import SECONDS_PER_DAY
from tests.support.modes import MODES
from tests.support.orders_of_files import another_order, reversed_order
from tests.support.runs import MemoryRun, assert_same_business, bits_of, prepared, run_in_memory

DAYS, ROWS = 10, 240
MARKET_SEED = 2
ROUNDS, ALL_ROUNDS = 10, 100

AsWritten = Callable[[str, int], MemoryRun]
each_mode = pytest.mark.parametrize("mode", sorted(MODES))


@cache
def _market(mode: str, rows: int) -> Market:
    return random_market(prepared(mode).market_request(), MARKET_SEED, rows, calm_rows=rows)


@pytest.fixture(scope="module")
def as_written(tmp_path_factory: pytest.TempPathFactory) -> AsWritten:
    """A function from a mode and a number of rows to the run of its shipped files."""

    @cache
    def run(mode: str, rows: int) -> MemoryRun:
        return run_in_memory(prepared(mode), _market(mode, rows), tmp_path_factory.mktemp("written"))

    return run


def _assert_same_in_orders(mode: str, seeds: range, written: MemoryRun, directory: Path) -> None:
    config, market = prepared(mode).config, _market(mode, len(written.instants))
    for seed in seeds:
        backtest = Backtest(another_order(config, seed))
        assert backtest.config.config_digest == config.config_digest
        assert_same_business(written, run_in_memory(backtest, market, directory / str(seed)))


@each_mode
def test_files_written_backwards_give_the_same_run(mode: str, as_written: AsWritten, tmp_path: Path) -> None:
    written, config = as_written(mode, ROWS), prepared(mode).config
    backwards = reversed_order(config)
    assert written.outcome.counts.orders > 0
    assert backwards.canonical_json == config.canonical_json
    assert backwards.model_dump_json() != config.model_dump_json()
    assert_same_business(written, run_in_memory(Backtest(backwards), _market(mode, ROWS), tmp_path))


@each_mode
def test_files_in_any_order_give_the_same_run(mode: str, as_written: AsWritten, tmp_path: Path) -> None:
    _assert_same_in_orders(mode, range(ROUNDS), as_written(mode, ROWS), tmp_path)


@pytest.mark.laws
@each_mode
def test_files_in_a_hundred_orders_give_the_same_run(mode: str, as_written: AsWritten, tmp_path: Path) -> None:
    rows = DAYS * SECONDS_PER_DAY // prepared(mode).config.mode.clock_step_seconds
    _assert_same_in_orders(mode, range(ALL_ROUNDS), as_written(mode, rows), tmp_path)


def test_a_market_is_loaded_the_same_whatever_the_order_of_its_columns_and_fill_rules() -> None:
    mode, directory = prepared("usdt_market_neutral"), synthetic_data_set(seed=7)
    start, end = np.datetime64("2024-06-01", "s"), np.datetime64("2024-06-10", "s")
    requests = [each.market_request() for each in (mode, Backtest(reversed_order(mode.config)))]
    one, other = (load_market(directory, replace(request, start=start, end=end)) for request in requests)
    assert one.columns.keys() == other.columns.keys()
    assert [name for name in one.columns if bits_of(one.columns[name]) != bits_of(other.columns[name])] == []
    assert one.axes == other.axes


@pytest.mark.parametrize("mode", ["usdt_market_neutral", "usdt_market_neutral_no_leverage"])
def test_the_line_of_usdt_may_stand_below_those_of_the_coins(mode: str, tmp_path: Path) -> None:
    line = "      - wallet:BaseToken:USDT\n"
    text = (CONFIG_ROOT / "modes" / f"{mode}.yaml").read_text()
    head, subscribed, rest = re.split(r"(    position_subscriptions:.*\n)", text)
    assert rest.startswith(line)
    coins = ["      - wallet:BaseToken:ETH\n", "      - wallet:BaseToken:WETH\n"]
    lines = rest.removeprefix(line).splitlines(keepends=True)
    assert lines[:2] == coins
    path = tmp_path / f"{mode}.yaml"
    path.write_text(head + subscribed + "".join([*lines[:2], line, *lines[2:]]))
    moved, shipped = load_run_config(str(path)).config, prepared(mode).config
    assert moved.mode.subscriptions != shipped.mode.subscriptions
    assert moved.position_keys == shipped.position_keys
    assert moved.config_digest == shipped.config_digest
