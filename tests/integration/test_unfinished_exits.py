"""What a failed or partial order leaves behind is picked up by the next decisions: nothing is stranded for good.

Each test spoils one step of an entry or an exit, in a whole run, and looks at where everything is at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dataflow.market.market import Market
from dataflow.market.synthetic.random_markets import random_market
from dataflow.services.fault_plans import fault_wrapper
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.faults.plan import FaultKind, FaultPlan, FaultRule
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType
from strategies.basis import rules as basis
from strategies.hedged import rules as hedged
from tests.support.markets import LOOK_BACK_ROWS, quiet_market
from tests.support.runs import MemoryRun, prepared, rules_fired, run_in_memory
from tests.support.venues import FakeVenues, FaultyRun, run_faulty

BASIS, HEDGED = "btc_basis", "usdt_market_neutral_no_leverage"
ROWS = 72
EXIT_ROW = 31
"""Row of the settlement at which the trailing mean of funding has turned."""


def turning_market() -> Market:
    """Funding of 1 bp a settlement, and of minus 10 bp from row 30 on; everything else stands still."""
    quiet = quiet_market(BASIS, ROWS)
    settled = quiet.columns["funding_settled"]
    rate = np.where(np.arange(len(settled)) < LOOK_BACK_ROWS + 30, 1e-4, -1e-3)[:, None] * settled
    return quiet_market(BASIS, ROWS, funding_rate=np.asfortranarray(rate))


def run_with(rule: FaultRule, log_dir: Path) -> MemoryRun:
    """A basis run over the turning market with one rule of faults."""
    backtest, market = prepared(BASIS), turning_market()
    plan = FaultPlan(name="one_rule", description="One rule.", rules=(rule,))
    return run_in_memory(
        backtest,
        market,
        log_dir,
        venues=simulated_venues(fault_wrapper(plan, backtest, market, seed=7), live_policy=True),
    )


def left_outside_the_wallet(run: MemoryRun) -> dict[str, float]:
    """Balances that are not in the wallet at the end, rounding aside."""
    return {k: u for k, u in run.final_positions().items() if not k.startswith("wallet") and abs(u) > 1e-6}


def transfers_from(run: MemoryRun, venue: str) -> list[object]:
    """Statuses of the transfers out of an exchange."""
    return [
        event["status"]
        for event in run.events("operation_executions")
        if event["operation_type"] == "transfer" and event["source_venue"] == venue
    ]


def test_without_faults_the_exit_ends_in_the_wallet_at_once(tmp_path: Path) -> None:
    run = run_in_memory(prepared(BASIS), turning_market(), tmp_path)
    assert rules_fired(run)[basis.EXIT_FUNDING.reason] == 1
    assert rules_fired(run)[basis.FINISH_EXIT.reason] == 0
    assert left_outside_the_wallet(run) == {}


def test_usdt_stays_with_a_short_that_closed_in_part_and_follows_once_it_is_closed(tmp_path: Path) -> None:
    rule = FaultRule(
        kind=FaultKind.PARTIAL_FILL,
        probability=1.0,
        venues=("okx",),
        operations=(OperationType.PERP_TRADE,),
        from_row=EXIT_ROW - 1,
        to_row=EXIT_ROW + 1,
        share=(0.5, 0.5),
    )
    run = run_with(rule, tmp_path)
    exit_row = int((run.column("decision") == basis.EXIT_FUNDING.code).argmax())
    assert run.column("perp_units")[exit_row, 2] < 0.0
    assert run.column("quote_units")[exit_row, 2] > 1_000.0, "the margin of what is still short"
    assert run.column("quote_units")[exit_row, 0] == pytest.approx(0.0, abs=1e-6)
    assert transfers_from(run, "okx") == ["confirmed"], "not even tried before the short was closed"
    fired = rules_fired(run)
    assert fired[basis.ADJUST_DELTA.reason] >= 1
    assert fired[basis.FINISH_EXIT.reason] == 1
    assert left_outside_the_wallet(run) == {}


@pytest.mark.parametrize("operation", [OperationType.SPOT_TRADE, OperationType.TRANSFER, OperationType.PERP_TRADE])
def test_an_exit_of_which_one_step_fails_is_finished_later(operation: OperationType, tmp_path: Path) -> None:
    rule = FaultRule(
        kind=FaultKind.REJECT,
        probability=1.0,
        operations=(operation,),
        from_row=EXIT_ROW - 1,
        to_row=EXIT_ROW + 2,
        attempts=100,
    )
    run = run_with(rule, tmp_path)
    assert run.outcome.counts.operations_failed > 0
    assert left_outside_the_wallet(run) == {}


@dataclass
class Refusing(FakeVenues):
    """Venues that refuse the first ``times`` orders of a kind."""

    matches: Callable[[Order], bool] = lambda _: False
    times: int = 1

    def answer(self, order: Order) -> ExecutionHandshake:
        if self.times > 0 and self.matches(order):
            self.times -= 1
            return self.failed(order)
        return self.port.execute(order)


def run_hedged(matches: Callable[[Order], bool], log_dir: Path, rows: int = 40) -> FaultyRun:
    """A hedged run over a calm market of which one order is refused."""
    backtest = prepared(HEDGED)
    market = random_market(backtest.market_request(), 5, rows, calm_rows=rows)

    return run_faulty(backtest, market, log_dir, partial(Refusing, matches=matches), live=False)


@pytest.mark.parametrize(
    "matches",
    [
        pytest.param(lambda o: o.operation is OperationType.STAKE, id="stake"),
        pytest.param(lambda o: o.operation is OperationType.TRANSFER and o.source_token == "ETH", id="transfer"),
    ],
)
def test_eth_that_was_bought_and_not_staked_is_staked_by_a_later_decision(
    matches: Callable[[Order], bool], tmp_path: Path
) -> None:
    found = run_hedged(matches, tmp_path)
    run = found.run
    assert run is not None, found.error
    assert run.outcome.counts.operations_failed >= 1
    assert rules_fired(run)[hedged.STAKE_IDLE.reason] == 1
    staked_at = int((run.column("decision") == hedged.STAKE_IDLE.code).argmax())
    waiting = run.column("idle_eth_usd")[:staked_at].max()
    assert waiting > 1_000.0
    assert run.column("idle_eth_usd")[staked_at] < 0.05 * waiting, "all but what gas may need"
    assert run.column("net_delta_fraction")[staked_at:].max() < 0.03
