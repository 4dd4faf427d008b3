"""Injected faults: each kind does to an order what it says, tells of it, and leaves venue and books consistent.

A port around the simulated exchange is asked directly for what a kind does; a whole run shows what the engine makes of
it: the codes in its log, the retries, and that chance does not depend on windows.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from dataflow.market.synthetic.random_markets import random_market
from dataflow.maths.costs import CostModel
from dataflow.services.fault_plans import fault_wrapper, list_fault_plans, load_fault_plan
from dataflow.services.simulated_venues import simulated_venues
from dataflow.venues.faults.draws import Draws
from dataflow.venues.faults.plan import FACTS, FaultKind, FaultPlan, FaultRule, FaultTarget
from dataflow.venues.faults.port import FaultyPort
from dataflow.venues.faults.report import InjectedFault
from dataflow.venues.simulated.clock import SimulatedClock
from dataflow.venues.simulated.router import SimulatedPort
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.errors import (
    ConfigValidationError,
    ErrorCode,
    PlatformError,
    VenueAuthenticationError,
    VenueRateLimitError,
    VenueTimeoutError,
    VenueUnavailableError,
)
from schemas.holdings import Holdings
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus, OperationType
from schemas.snapshot import MarketSnapshot
from tests.support.catalogue import CATALOGUE
from tests.support.prices import token_prices
from tests.support.runs import MemoryRun, assert_same_business, prepared, run_in_memory

USDT, ETH, PERP = "binance:BaseToken:USDT", "binance:BaseToken:ETH", "binance:PerpPosition:ETH-PERP"
WALLET, WETH, DEBT = "wallet:BaseToken:USDT", "wallet:BaseToken:WETH", "aave:debtToken:debtWETH"
PRICE = 2_000.0
TIMEOUT = 30.0
VEN_ERRORS = {
    FaultKind.TIMEOUT_BEFORE: VenueTimeoutError,
    FaultKind.TIMEOUT_AFTER: VenueTimeoutError,
    FaultKind.LOST_HANDSHAKE: VenueTimeoutError,
    FaultKind.RATE_LIMITED: VenueRateLimitError,
    FaultKind.AUTHENTICATION_FAILED: VenueAuthenticationError,
    FaultKind.VENUE_OUTAGE: VenueUnavailableError,
}


class Bench:
    """A simulated exchange and wallet behind a plan, with what was told of faults."""

    def __init__(self, *rules: FaultRule, seed: int = 1, row: int = 0, valid_for: float = math.inf) -> None:
        snapshot = MarketSnapshot(
            "2024-01-01T00:00:00",
            token_prices(PRICE),
            0.0,
            "ETH",
            {"binance": PRICE},
            {"binance": PRICE},
            {},
            {"WETH": 1.0},
        )
        units = {USDT: 100_000.0, ETH: 10.0, PERP: 0.0, WALLET: 1_000.0, WETH: 5.0, DEBT: 0.0}
        self.world = SimulatedWorld(
            CostModel.free(), False, snapshot, Holdings(units, {PERP: 0.0}), collateral_factor={"binance": 0.95}
        )
        self.clock = SimulatedClock()
        self.told: list[InjectedFault] = []
        self.port = FaultyPort(
            SimulatedPort(self.world, CATALOGUE, ("binance", "wallet", "aave_v3", "morpho")),
            FaultPlan(name="bench", description="one test", rules=rules),
            mode="eth_basis",
            seed=seed,
            world=self.world,
            clock=self.clock,
            row=lambda: row,
            execution_timeout=TIMEOUT,
            valid_for=valid_for,
        )
        self.port.report_to(self.told.append)

    @property
    def kinds(self) -> list[FaultKind]:
        """Kinds that were told of."""
        return [fault.kind for fault in self.told]

    def held(self, key: str) -> float:
        """Balance at the venue."""
        return self.world.books.units[key]


def rule(kind: FaultKind, **settings: object) -> FaultRule:
    """A rule that always hits."""
    return FaultRule.model_validate({"kind": kind, "probability": 1.0, **settings})


def trade(operation_id: str = "a" * 32, *, amount: float = 2.0, perp: bool = False) -> Order:
    """A purchase of ETH, or a short of its perpetual, at binance."""
    deltas = {PERP: -amount} if perp else {ETH: amount, USDT: -amount * PRICE}
    return Order.model_validate(
        {
            "operation_id": operation_id,
            "operation": OperationType.PERP_TRADE if perp else OperationType.SPOT_TRADE,
            "venue": "binance",
            "amount": amount,
            "source_venue": "binance",
            "target_venue": "binance",
            "source_token": "USDT",
            "target_token": "ETH-PERP" if perp else "ETH",
            "pair": "ETHUSDT",
            "side": "SHORT" if perp else "BUY",
            "expected_deltas": deltas,
        }
    )


def loan(sequence: int, operation: OperationType) -> Order:
    """A member of a group that borrows WETH for a moment."""
    borrows = operation is OperationType.FLASH_BORROW
    return Order.model_validate(
        {
            "operation_id": f"group_{sequence + 1}",
            "operation": operation,
            "venue": "morpho",
            "amount": 3.0,
            "source_venue": "morpho" if borrows else "wallet",
            "target_venue": "wallet" if borrows else "morpho",
            "source_token": "WETH",
            "target_token": "WETH",
            "expected_deltas": {WETH: 3.0 if borrows else -3.0},
            "atomic_group_id": "group",
            "sequence_in_group": sequence,
            "execution_mode": "atomic",
        }
    )


# -- one kind at a time


@pytest.mark.parametrize("perp", [False, True], ids=["spot", "perp"])
def test_a_partial_fill_is_one_share_of_everything(perp: bool) -> None:
    bench = Bench(rule(FaultKind.PARTIAL_FILL, share=(0.25, 0.25)))
    handshake = bench.port.execute(trade(perp=perp))
    assert handshake.status is ExecutionStatus.CONFIRMED
    assert handshake.execution_details["executed_amount"] == 0.5
    assert handshake.execution_details["executed_value"] == 0.5 * PRICE
    assert handshake.actual_deltas == ({PERP: -0.5} if perp else {ETH: 0.5, USDT: -0.5 * PRICE})
    assert bench.held(PERP if perp else ETH) == (-0.5 if perp else 10.5)
    assert handshake.venue_metadata == {"fault": "partial_fill", "share": 0.25}


def test_the_fee_of_a_partial_fill_is_that_of_its_share() -> None:
    bench = Bench(rule(FaultKind.PARTIAL_FILL, share=(0.25, 0.25)))
    bench.world.costs = CostModel({("spot", "binance"): 0.001}, {}, {}, gas_charged=False)
    handshake = bench.port.execute(trade())
    assert handshake.fee_amount == pytest.approx(0.25 * 2.0 * PRICE * 0.001)
    assert bench.held(USDT) == pytest.approx(100_000.0 - 0.5 * PRICE * 1.001)


def test_a_stale_price_moves_the_fill_and_not_the_mid() -> None:
    bench = Bench(rule(FaultKind.STALE_PRICE, shift=(0.03, 0.03)))
    handshake = bench.port.execute(trade())
    assert handshake.execution_details["executed_price"] == pytest.approx(PRICE * 1.03)
    assert handshake.execution_details["mid_price"] == PRICE
    assert bench.held(USDT) == pytest.approx(100_000.0 - 2.0 * PRICE * 1.03)


def test_a_duplicate_is_booked_twice_and_confirmed_once() -> None:
    bench = Bench(rule(FaultKind.DUPLICATE_CONFIRMATION))
    assert bench.port.execute(trade()).actual_deltas[ETH] == 2.0
    assert bench.held(ETH) == 14.0


@pytest.mark.parametrize("kind", [FaultKind.REJECT, FaultKind.INSUFFICIENT_BALANCE])
def test_a_refusal_changes_nothing_and_lasts_its_attempts(kind: FaultKind) -> None:
    bench = Bench(rule(kind, attempts=2))
    for _ in range(2):
        refused = bench.port.execute(trade())
        assert (refused.status, refused.error_code) == (ExecutionStatus.FAILED, ErrorCode.EXEC_ORDER_FAILED)
        assert bench.held(ETH) == 10.0
    assert bench.port.execute(trade()).was_successful()
    assert bench.held(ETH) == 12.0
    assert bench.kinds == [kind, kind]


@pytest.mark.parametrize(
    ("kind", "is_filled"),
    [
        pytest.param(FaultKind.TIMEOUT_BEFORE, False, id="timeout-before"),
        pytest.param(FaultKind.TIMEOUT_AFTER, True, id="timeout-after"),
        pytest.param(FaultKind.LOST_HANDSHAKE, True, id="lost-handshake"),
        pytest.param(FaultKind.RATE_LIMITED, False, id="rate-limited"),
        pytest.param(FaultKind.AUTHENTICATION_FAILED, False, id="authentication-failed"),
        pytest.param(FaultKind.VENUE_OUTAGE, False, id="venue-outage"),
    ],
)
def test_an_answer_that_does_not_come_is_an_error_of_the_venue(kind: FaultKind, is_filled: bool) -> None:
    bench = Bench(rule(kind))
    with pytest.raises(VEN_ERRORS[kind]) as raised:
        bench.port.execute(trade())
    assert raised.value.code is FACTS[kind].code
    assert bench.held(ETH) == (12.0 if is_filled else 10.0)
    assert bench.kinds == [kind]


def test_a_filled_order_is_found_after_its_timeout() -> None:
    bench = Bench(rule(FaultKind.TIMEOUT_AFTER))
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade())
    found = bench.port.find("a" * 32, "binance")
    assert found is not None
    assert found.actual_deltas[ETH] == 2.0
    assert found.venue_metadata == {"fault": "timeout_after"}


def test_a_lost_order_is_not_found_at_once_and_never_filled_twice() -> None:
    bench = Bench(rule(FaultKind.LOST_HANDSHAKE))
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade())
    assert bench.port.find("a" * 32, "binance") is None
    assert bench.port.execute(trade()).was_successful()
    assert bench.held(ETH) == 12.0


@pytest.mark.parametrize("filled", [True, False])
def test_a_pending_order_is_open_until_its_time(filled: bool) -> None:
    bench = Bench(rule(FaultKind.PENDING, seconds=(5.0, 5.0), filled=filled))
    assert bench.port.execute(trade()).is_pending()
    bench.clock.sleep(4.9)
    found = bench.port.find("a" * 32, "binance")
    assert found is not None
    assert found.is_pending()
    bench.clock.sleep(0.2)
    found = bench.port.find("a" * 32, "binance")
    assert found is not None
    assert found.was_successful() is filled
    assert bench.held(ETH) == (12.0 if filled else 10.0)


def test_a_slow_answer_takes_its_time() -> None:
    bench = Bench(rule(FaultKind.SLOW_ANSWER, seconds=(7.0, 7.0)))
    assert bench.port.execute(trade()).was_successful()
    assert bench.clock.waited == 7.0


def test_an_answer_slower_than_the_timeout_is_none() -> None:
    bench = Bench(rule(FaultKind.SLOW_ANSWER, seconds=(31.0, 31.0)))
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade())
    assert bench.clock.waited == TIMEOUT
    assert bench.held(ETH) == 12.0


def test_an_invalid_answer_is_about_another_operation() -> None:
    handshake = Bench(rule(FaultKind.INVALID_ANSWER)).port.execute(trade())
    assert handshake.operation_id != "a" * 32


@pytest.mark.parametrize("member", [0, 1])
def test_a_revert_leaves_no_trace_whichever_member_it_meets(member: int) -> None:
    bench = Bench(rule(FaultKind.REVERT, member=member))
    before = bench.world.books
    orders = [loan(0, OperationType.FLASH_BORROW), loan(1, OperationType.FLASH_REPAY)]
    handshakes = bench.port.execute_group(orders)
    assert bench.world.books is before
    assert [each.status for each in handshakes] == [ExecutionStatus.ROLLED_BACK] * 2
    codes = [ErrorCode.EXEC_GROUP_ROLLED_BACK] * 2
    codes[member] = ErrorCode.EXEC_ORDER_FAILED
    assert [each.error_code for each in handshakes] == codes
    assert bench.told[0].operation_id == orders[member].operation_id


def test_an_outage_that_takes_reads_leaves_nothing_to_ask() -> None:
    bench = Bench(rule(FaultKind.VENUE_OUTAGE, reads=True))
    with pytest.raises(VenueUnavailableError):
        bench.port.execute(trade())
    with pytest.raises(VenueUnavailableError):
        bench.port.find("a" * 32, "binance")
    with pytest.raises(VenueUnavailableError):
        bench.port.balances()


def test_an_outage_of_orders_leaves_reads() -> None:
    bench = Bench(rule(FaultKind.VENUE_OUTAGE))
    with pytest.raises(VenueUnavailableError):
        bench.port.execute(trade())
    assert bench.port.find("a" * 32, "binance") is None
    assert bench.port.balances() is not None


def test_balances_are_spoilt_for_so_many_questions() -> None:
    bench = Bench(rule(FaultKind.TIMEOUT_BEFORE, at=FaultTarget.BALANCES, attempts=2))
    bench.port.execute(trade())
    for _ in range(2):
        with pytest.raises(VenueTimeoutError):
            bench.port.balances()
    assert bench.port.balances() is not None


def test_a_fill_fault_and_a_delivery_fault_meet_one_order() -> None:
    bench = Bench(rule(FaultKind.PARTIAL_FILL, share=(0.5, 0.5)), rule(FaultKind.TIMEOUT_AFTER))
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade())
    found = bench.port.find("a" * 32, "binance")
    assert found is not None
    assert found.venue_metadata == {"fault": "partial_fill", "share": 0.5, "delivery_fault": "timeout_after"}
    assert bench.kinds == [FaultKind.PARTIAL_FILL, FaultKind.TIMEOUT_AFTER]


# -- filters and chance


@pytest.mark.parametrize(
    ("settings", "hits"),
    [
        pytest.param({"venues": ["bybit"]}, False, id="another-venue"),
        pytest.param({"venues": ["binance"]}, True, id="its-venue"),
        pytest.param({"operations": ["perp_trade"]}, False, id="another-operation"),
        pytest.param({"modes": ["btc_basis"]}, False, id="another-mode"),
        pytest.param({"modes": ["eth_basis"]}, True, id="its-mode"),
        pytest.param({"from_row": 8}, False, id="before-the-window"),
        pytest.param({"from_row": 7, "to_row": 7}, True, id="in-the-window"),
        pytest.param({"to_row": 6}, False, id="after-the-window"),
        pytest.param({"after_operations": 1}, False, id="too-few-operations"),
        pytest.param({"probability": 0.0}, False, id="never"),
    ],
)
def test_a_rule_meets_what_its_filters_let_through(settings: dict[str, object], hits: bool) -> None:
    made = FaultRule.model_validate_json(_json(kind="reject", **settings))
    bench = Bench(made, row=7)
    assert bench.port.execute(trade()).was_successful() is not hits


def _json(**settings: object) -> str:
    """A rule as a file spells it."""
    return json.dumps({"probability": 1.0, **settings})


def test_a_probability_is_how_often_a_rule_hits() -> None:
    bench = Bench(FaultRule(kind=FaultKind.REJECT, probability=0.3))
    refused = [bench.port.execute(trade(f"{number:032d}", amount=1e-6)).was_failed() for number in range(2_000)]
    assert np.mean(refused) == pytest.approx(0.3, abs=0.03)


def test_chance_belongs_to_the_operation_and_not_to_what_went_before() -> None:
    rules = [FaultRule(kind=FaultKind.REJECT, probability=0.5)]
    ids = [f"{number:032d}" for number in range(50)]
    one, other = Bench(*rules), Bench(*rules)
    forwards = {each: one.port.execute(trade(each, amount=1e-6)).was_failed() for each in ids}
    backwards = {each: other.port.execute(trade(each, amount=1e-6)).was_failed() for each in reversed(ids)}
    assert forwards == backwards
    assert len(set(forwards.values())) == 2


def test_draws_are_even() -> None:
    drawn = np.array([Draws(3).unit("even", number) for number in range(4_000)])
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    assert np.histogram(drawn, 8, (0.0, 1.0))[0].min() > 400


# -- plans


@pytest.mark.parametrize("name", list_fault_plans())
def test_every_shipped_plan_loads_under_its_name(name: str) -> None:
    assert load_fault_plan(name).name == name


def test_there_is_a_plan_for_every_kind_and_the_storm_has_all() -> None:
    kinds = {kind.value for kind in FaultKind}
    assert kinds <= set(list_fault_plans())
    assert {rule.kind.value for rule in load_fault_plan("storm").rules} == kinds


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"kind": "reject", "share": (0.1, 0.2)}, id="parameter-of-another-kind"),
        pytest.param({"kind": "partial_fill", "share": (0.9, 0.1)}, id="range-backwards"),
        pytest.param({"kind": "revert", "at": "order"}, id="target-of-another-kind"),
        pytest.param({"kind": "reject", "from_row": 9, "to_row": 3}, id="window-backwards"),
        pytest.param({"kind": "reject", "probability": 1.5}, id="probability-above-one"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultRule.model_validate_json(_json(**settings))


def test_a_broken_plan_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndescription: broken\nrules:\n  - kind: reject\n    probability: 2\n")
    with pytest.raises(ConfigValidationError) as raised:
        load_fault_plan(str(path))
    assert raised.value.code is ErrorCode.CONFIG_VALIDATION_FAILED
    assert "mine.yaml:5" in raised.value.message


def test_an_unknown_plan_is_a_fault_of_configuration() -> None:
    with pytest.raises(ConfigValidationError):
        load_fault_plan("strom")


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_has_its_facts(kind: FaultKind) -> None:
    facts = FACTS[kind]
    assert facts.targets
    assert set(facts.parameters) <= set(FaultRule.model_fields)
    assert FaultRule(kind=kind, probability=0.1).target is facts.targets[0]


# -- whole runs


def run_with(
    log_dir: Path, *rules: FaultRule, mode: str = "btc_basis", rows: int = 120, window: int | None = None, seed: int = 3
) -> MemoryRun:
    """A run of a mode over a calm random market under some rules, by the live policy."""
    backtest = prepared(mode, window=window)
    market = random_market(backtest.market_request(), seed, rows, calm_rows=rows)
    plan = FaultPlan(name="test", description="one test", rules=rules)
    venues = simulated_venues(fault_wrapper(plan, backtest, market, seed=7), live_policy=True)
    return run_in_memory(backtest, market, log_dir, venues=venues)


def stop_of(log_dir: Path, *rules: FaultRule) -> PlatformError:
    """The error that stops a run under some rules."""
    with pytest.raises(PlatformError) as raised:
        run_with(log_dir, *rules)
    return raised.value


LATE = {"after_operations": 6}


@pytest.mark.parametrize(
    ("made", "code"),
    [
        pytest.param(rule(FaultKind.DUPLICATE_CONFIRMATION, **LATE), "POS-005", id="duplicate"),
        pytest.param(
            rule(FaultKind.STALE_PRICE, shift=(-0.05, -0.05), operations=(OperationType.SPOT_TRADE,)),
            "EXEC-007",
            id="stale-price",
        ),
        pytest.param(rule(FaultKind.PENDING, seconds=(60.0, 60.0), **LATE), "EXEC-002", id="open-too-long"),
        pytest.param(rule(FaultKind.VENUE_OUTAGE, reads=True, **LATE), "EXEC-002", id="outage-with-reads"),
        pytest.param(rule(FaultKind.AUTHENTICATION_FAILED, **LATE), "EXEC-002", id="authentication"),
        pytest.param(rule(FaultKind.INVALID_ANSWER, **LATE), "EXEC-008", id="invalid-answer"),
        pytest.param(
            rule(FaultKind.SLOW_ANSWER, at=FaultTarget.BALANCES, seconds=(11.0, 11.0), **LATE),
            "EXEC-005",
            id="slow-balances",
        ),
        pytest.param(
            rule(FaultKind.RATE_LIMITED, at=FaultTarget.BALANCES, attempts=100, **LATE), "EXEC-002", id="no-balances"
        ),
    ],
)
def test_what_no_run_survives_stops_it_with_its_code(tmp_path: Path, made: FaultRule, code: str) -> None:
    assert stop_of(tmp_path, made).code.value == code


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(rule(FaultKind.REJECT, attempts=3), id="rejected-thrice"),
        pytest.param(rule(FaultKind.LATE_ACCEPTANCE, seconds=(0.1, 14.9)), id="late-acceptance"),
        pytest.param(rule(FaultKind.TIMEOUT_AFTER), id="timeout-after"),
        pytest.param(rule(FaultKind.LOST_HANDSHAKE), id="lost-handshake"),
        pytest.param(rule(FaultKind.RATE_LIMITED, attempts=2), id="rate-limited"),
        pytest.param(rule(FaultKind.PENDING, seconds=(1.0, 9.0)), id="pending"),
        pytest.param(rule(FaultKind.SLOW_ANSWER, seconds=(1.0, 60.0)), id="slow"),
        pytest.param(rule(FaultKind.RATE_LIMITED, at=FaultTarget.BALANCES, attempts=2), id="busy-balances"),
    ],
)
def test_what_retries_and_look_ups_mend_changes_no_balance(tmp_path: Path, made: FaultRule) -> None:
    calm, stormy = run_with(tmp_path / "calm"), run_with(tmp_path / "stormy", made)
    assert stormy.final_positions() == calm.final_positions()
    assert stormy.outcome.counts.operations_failed == 0
    assert stormy.outcome.counts.orders == calm.outcome.counts.orders > 5


def test_what_never_arrives_is_void_and_the_next_decision_s(tmp_path: Path) -> None:
    run = run_with(tmp_path, rule(FaultKind.TIMEOUT_BEFORE, operations=(OperationType.SPOT_TRADE,)))
    spot = [e for e in run.events("operation_executions") if e["operation_type"] == "spot_trade"]
    assert {event["status"] for event in spot} == {"failed"}
    assert len(run.events("system_errors")) >= len(spot) > 1
    assert not any(key.endswith(":PerpPosition:ETH-PERP") and units for key, units in run.final_positions().items())


@pytest.mark.parametrize("perp", [False, True])
def test_an_order_taken_up_late_is_there_from_its_time_on_and_once(perp: bool) -> None:
    bench = Bench(rule(FaultKind.LATE_ACCEPTANCE, seconds=(7.0, 7.0)))
    key = PERP if perp else ETH
    before = bench.held(key)
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade(perp=perp))
    bench.clock.sleep(6.9)
    assert bench.port.find("a" * 32, "binance") is None
    bench.clock.sleep(0.2)
    found = bench.port.find("a" * 32, "binance")
    assert found is not None
    assert found.venue_metadata == {"fault": "late_acceptance"}
    assert abs(bench.held(key) - before) == 2.0
    assert bench.port.find("a" * 32, "binance") == found
    assert abs(bench.held(key) - before) == 2.0


def test_an_exchange_that_is_sent_an_order_again_too_early_fills_it_twice_and_says_so() -> None:
    bench = Bench(rule(FaultKind.LATE_ACCEPTANCE, seconds=(7.0, 7.0)))
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade())
    assert bench.port.execute(trade()).was_successful()
    bench.clock.sleep(7.0)
    bench.port.balances()
    assert bench.held(ETH) == 14.0
    assert bench.told[-1].facts == (("filled_again", True),)


def test_an_order_given_up_before_it_arrives_is_told_of_at_the_next_instant() -> None:
    bench = Bench(rule(FaultKind.LATE_ACCEPTANCE, seconds=(7.0, 7.0), to_row=0))
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade())
    bench.world.advance_to(replace(bench.world.snapshot, timestamp="2024-01-01T01:00:00"), bench.world.books)
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade("b" * 32))
    assert (("filled_unseen", True),) in [fault.facts for fault in bench.told]


def test_a_venue_takes_nothing_up_that_is_not_valid_any_more() -> None:
    bench = Bench(rule(FaultKind.LATE_ACCEPTANCE, seconds=(20.0, 20.0)), valid_for=15.0)
    with pytest.raises(VenueTimeoutError):
        bench.port.execute(trade())
    bench.clock.sleep(60.0)
    assert bench.port.find("a" * 32, "binance") is None
    assert bench.held(ETH) == 10.0


def test_a_cancelled_order_that_was_not_to_be_filled_shows_at_once() -> None:
    bench = Bench(rule(FaultKind.PENDING, seconds=(50.0, 50.0), filled=False))
    assert bench.port.execute(trade()).is_pending()
    bench.port.cancel("a" * 32, "binance")
    found = bench.port.find("a" * 32, "binance")
    assert found is not None
    assert found.was_failed()


def test_every_fault_is_in_the_event_log_with_its_code(tmp_path: Path) -> None:
    run = run_with(tmp_path, rule(FaultKind.TIMEOUT_AFTER), rule(FaultKind.PARTIAL_FILL))
    operations = {str(event["operation_id"]): event for event in run.events("operation_executions")}
    kinds = {"timeout_after": 0, "partial_fill": 0}
    for event in run.events("system_errors"):
        metadata = event["metadata"]
        assert isinstance(metadata, dict)
        if "injected_fault" not in metadata:
            continue
        kinds[metadata["injected_fault"]] += 1
        assert event["error_code"] == FACTS[FaultKind(metadata["injected_fault"])].code.value
        marks = operations[metadata["operation_id"]]["venue_metadata"]
        assert isinstance(marks, dict)
        assert metadata["injected_fault"] in (marks.get("fault"), marks.get("delivery_fault"))
    trades = [each for each in operations.values() if str(each["operation_type"]).endswith("_trade")]
    assert kinds["timeout_after"] >= len(operations) > 5
    assert kinds["partial_fill"] == sum(each["status"] == "confirmed" for each in trades) > 3


def test_a_book_that_was_filled_in_part_is_hedged_again(tmp_path: Path) -> None:
    run = run_with(tmp_path, FaultRule(kind=FaultKind.PARTIAL_FILL, probability=0.3), rows=200)
    gap = run.column("net_delta_fraction") > 0.02
    assert gap.sum() > 3
    lengths = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], gap.astype(int), [0]]))))[::2]
    assert lengths.max() <= 6
    assert not gap[-1] or gap[-6:].sum() < 6


@pytest.mark.parametrize("window", [1, 37])
def test_faults_do_not_depend_on_windows(tmp_path: Path, window: int) -> None:
    rules = [each for each in load_fault_plan("storm").rules if not each.from_row]
    whole = run_with(tmp_path / "whole", *rules)
    assert_same_business(whole, run_with(tmp_path / "cut", *rules, window=window))
    assert sum(whole.outcome.errors.values()) > 20
