"""Bounds of an entry at its row: they keep a mode out, they never make it sell; leverage that grew later is told."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from schemas.models.results import BreakKind
from schemas.units import Column
from strategies.hedged import rules as hedged
from tests.support.runs import MemoryRun, prepared, run_in_memory

MODE: Final = "eth_leveraged"
MOVE: Final = "component_config.risk_monitor.risk_limits.max_stake_spread_move"
ROWS: Final = 24
DEPEGGED: Final = 0.7
"""Market over oracle ratio: an LTV of .65 is .93 of what the collateral would fetch."""


def _market(peg: Column, *, borrow_growth: float = 0.0) -> Market:
    """Calm rows with a constant oracle ratio, the market ratio at ``peg`` of it and a borrow index that grows a row."""
    market = random_market(prepared(MODE).market_request(), 1, ROWS, calm_rows=ROWS)
    rows = len(market.instants)
    oracle = np.full(rows, 1.05)
    changed = {
        "lst_oracle_ratio": oracle,
        "lst_market_ratio": oracle * np.concatenate([np.full(rows - ROWS, peg[0]), peg]),
        "liquidity_index": np.ones_like(market.columns["liquidity_index"]),
        "variable_borrow_index": np.asfortranarray(np.exp(borrow_growth * np.arange(rows))[:, None]),
    }
    return replace(market, columns={**market.columns, **changed})


def _run(log_dir: Path, market: Market, *overrides: str) -> MemoryRun:
    return run_in_memory(prepared(MODE, overrides=overrides), market, log_dir)


def test_no_loan_is_taken_that_a_further_fall_of_the_staking_token_would_endanger(tmp_path: Path) -> None:
    market = _market(np.full(ROWS, DEPEGGED))
    assert _run(tmp_path / "bold", market, f"{MOVE}=0.0").column("decision").any()
    assert not _run(tmp_path / "careful", market, f"{MOVE}=0.1").column("decision").any()


def test_a_fall_of_the_staking_token_is_never_a_reason_to_sell(tmp_path: Path) -> None:
    peg = np.where(np.arange(ROWS) < ROWS // 2, 1.0, DEPEGGED)
    bold, careful = (_run(tmp_path / move, _market(peg), f"{MOVE}={move}") for move in ("0.0", "0.1"))
    assert careful.column("decision").any()
    assert careful.column("decision").tolist() == bold.column("decision").tolist()
    assert not careful.column("entry_survives")[-1]


def test_margin_that_a_move_would_use_up_lets_nothing_be_added_and_nothing_be_sold() -> None:
    zero, one = np.zeros(1), np.ones(1)
    facts = {
        "is_flat": zero,
        "worst_margin_ratio": 0.5 * one,
        "was_liquidated": zero,
        "health_is_low": zero,
        "exit_is_unfinished": zero,
        "net_delta_fraction": zero,
        "dust_is_due": zero,
        "deployable_usdt": zero,
        "idle_usdt": 50.0 * one,
        "idle_eth_is_due": zero,
        "cooldown_over": one,
        "is_first_row": zero,
        "equity_usd": 100.0 * one,
    }
    limits = {
        "margin_exit": 0.2,
        "margin_warning": 0.4,
        "margin_excess": 2.0,
        "net_delta_trade": 0.02,
        "min_trade_usd": 10.0,
        "position_deviation_threshold": 0.02,
        "withdrawal_pending": 0.0,
    }
    added, kept = (
        hedged.decision(**facts, **limits, entry_survives=survives, entry_only=False).tolist()
        for survives in (one, zero)
    )
    assert (added, kept) == ([float(hedged.ADD_IDLE.code)], [0.0])


def test_leverage_above_that_of_the_share_class_is_a_breach(tmp_path: Path) -> None:
    market = _market(np.ones(ROWS), borrow_growth=1e-3)
    strict = _run(tmp_path / "strict", market, "share_class:max_leverage=2.86")
    assert strict.column("leverage_breach")[-1] == 1.0
    assert strict.outcome.first_break is not None
    assert (strict.outcome.first_break.kind, strict.outcome.first_break.what) == (BreakKind.RISK_BREACH, "leverage")
    assert not _run(tmp_path / "shipped", market).column("leverage_breach").any()


def test_notional_above_what_an_exchange_allows_is_a_breach() -> None:
    """Of the strictest exchange: 2 there is a margin ratio of a half."""
    inputs = prepared("btc_basis", overrides=("venue:okx.max_leverage=2",)).parameters.inputs
    assert inputs["margin_ratio_of_venue_leverage"] == 0.5
