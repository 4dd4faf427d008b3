"""How leverage is taken on and off: what each route costs, and where it ends."""

from pathlib import Path

import numpy as np
import pytest

from dataflow.market.random_markets import random_market
from tests.support.runs import MemoryRun, prepared, run_in_memory

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
