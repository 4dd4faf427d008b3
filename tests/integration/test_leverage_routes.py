"""How leverage is taken on and off: what each route costs, and where it ends."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.records.audit.replay import replay
from tests.support.runs import (
    HEALTH,
    MemoryRun,
    assert_same_business,
    prepared,
    run_in_memory,
    run_in_partitions,
)

ROWS = 3
FEE_BPS = 5.0
TARGET_LTV = 0.65

NO_GAS = ("scenario:gas=false", "scenario:slippage=false")


def entered(*overrides: str, log_dir: Path) -> MemoryRun:
    """The levered mode over the first rows of a market, which enter and hold."""
    backtest = prepared("eth_leveraged", overrides=(*NO_GAS, *overrides))
    return run_in_memory(backtest, random_market(backtest.market_request(), 1, ROWS, calm_rows=ROWS), log_dir)


def test_a_flash_fee_is_paid_once_and_booked_as_a_cost(tmp_path: Path) -> None:
    run = entered(f"venue:morpho.flash_loan_fee_bps={FEE_BPS}", log_dir=tmp_path)
    fee = FEE_BPS * 1e-4
    loan = 100.0 * TARGET_LTV / (1.0 - TARGET_LTV + fee)
    assert run.column("transaction_costs")[0] == pytest.approx(-loan * fee, rel=1e-12)
    assert run.column("ltv")[0] == pytest.approx(TARGET_LTV, rel=1e-12)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0


def test_a_free_flash_loan_costs_nothing(tmp_path: Path) -> None:
    run = entered(log_dir=tmp_path)
    assert run.column("transaction_costs")[0] == 0.0
    assert run.column("ltv")[0] == pytest.approx(TARGET_LTV, rel=1e-12)


LOOP = "strategy_config.leverage_route=loop"


def test_the_loop_holds_the_atomic_position_but_for_its_stop(tmp_path: Path) -> None:
    stop_usd = 50.0
    atomic = entered(log_dir=tmp_path / "flash")
    looped = entered(LOOP, f"strategy_config.loop_stop_usd={stop_usd}", log_dir=tmp_path / "loop")
    price = looped.column("eth_price")[0]
    missing = atomic.column("supplied_value_usd")[0].sum() - looped.column("supplied_value_usd")[0].sum()
    assert 0.0 < missing <= stop_usd / (1.0 - TARGET_LTV)
    assert looped.column("equity_usd")[0] == pytest.approx(atomic.column("equity_usd")[0], abs=1e-9 * 100.0 * price)
    assert looped.column("ltv")[0] == pytest.approx(TARGET_LTV, abs=1e-3)
    assert looped.column("transaction_costs")[0] == 0.0
    operations = {event["operation_type"] for event in looped.events("operation_executions")}
    assert operations == {"stake", "supply", "borrow"}


def test_the_loop_pays_the_gas_of_every_operation(tmp_path: Path) -> None:
    gas = ("scenario:slippage=false",)
    backtest = prepared("eth_leveraged", overrides=(LOOP, *gas))
    market = random_market(backtest.market_request(), 1, ROWS, calm_rows=ROWS)
    run = run_in_memory(backtest, market, tmp_path)
    units = {"stake": 150_000, "supply": 250_000, "borrow": 300_000}
    done = [e for e in run.events("operation_executions") if e["timestamp"] == str(run.instants[0])]
    paid = sum(units[str(event["operation_type"])] for event in done) * run.column("gas_price_gwei")[0] * 1e-9
    assert len(done) > 10
    assert run.column("transaction_costs")[0] == pytest.approx(-paid, rel=1e-12)
    assert np.abs(run.column("unexplained_pnl")).max() <= 1e-9 * 100.0


PRICES = ("eth_price", "reference_price", "spot_price", "perp_mark")
JUMP_ROW = 60


def jumping(market: Market, factor: float, *names: str) -> Market:
    """The market with cheap gas, and some of its columns a factor higher from a row on."""
    scale = np.where(np.arange(len(market.instants)) < market.first_row + JUMP_ROW, 1.0, factor)
    higher = {name: np.asfortranarray((column.T * scale).T) for name, column in market.columns.items() if name in names}
    cheap = {"gas_price_gwei": np.full(len(market.instants), 5.0)}
    return replace(market, columns={**market.columns, **cheap, **higher})


@pytest.mark.parametrize(
    ("mode", "factor", "names"),
    [
        pytest.param("eth_leveraged", 1.06, ("variable_borrow_index",), id="debt-grows-above-its-target"),
        pytest.param("usdt_market_neutral", 1.8, PRICES, id="shorts-run-out-of-margin"),
    ],
)
def test_the_loop_holds_its_laws_on_the_way_in_and_out(
    mode: str, factor: float, names: tuple[str, ...], tmp_path: Path
) -> None:
    backtest = prepared(mode, overrides=(LOOP,))
    market = jumping(random_market(backtest.market_request(), 8, 150, calm_rows=150), factor, *names)
    one = run_in_memory(backtest, market, tmp_path / "one")
    assert one.outcome.counts.operations_failed == 0
    assert {"withdraw", "swap", "repay", "borrow"} <= {e["operation_type"] for e in one.events("operation_executions")}
    assert np.abs(one.column("unexplained_pnl")).max() <= 1e-9 * backtest.config.initial_capital
    assert replay(tmp_path / "one").ok
    windowed = run_in_memory(prepared(mode, overrides=(LOOP,), window=7), market, tmp_path / "window")
    assert_same_business(one, windowed)
    chained = run_in_partitions(backtest, market, tmp_path / "chained", [1, 48, 130])
    assert_same_business(one, chained, without=(HEALTH,))
