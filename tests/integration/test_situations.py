"""The situation table of [domain] 5.6, row by row and column by column, in whole runs with faulty venues.

Each row has a test for a backtest and one for a live session. Venues are the simulated ones behind a fake line; time
is the injected clock; what happened is read from the event log. Then the rules around the table: no order is sent
twice without a look-up, delays double, what depends on a lost order is skipped and the rest is not, and a balance that
differs is classified and never healed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from dataflow.execution.gateway import LOOKS_APART
from dataflow.venues.simulated.router import SimulatedPort
from schemas.errors import REGISTRY, ErrorCode
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import OperationType
from tests.support.catalogue import CATALOGUE
from tests.support.markets import quiet_market
from tests.support.runs import Event, prepared
from tests.support.venues import FakeVenues, FaultyRun, MakeVenues, Unreachable, run_faulty

LENDING, BASIS = "pure_lending_usdt", "btc_basis"
BASIS_ROWS = 9
"""Rows of a quiet basis run: the first settlement, and with it the entry, is on one of them."""

RETRIES = 3
EXECUTION_TIMEOUT = 30.0
DELAYS = (0.1, 0.2, 0.4)


def run_lending(make: MakeVenues, log_dir: Path, *, live: bool, rows: int = 1) -> FaultyRun:
    """One supply of the whole wallet on the first row."""
    return run_faulty(prepared(LENDING), quiet_market(LENDING, rows), log_dir, make, live=live)


def run_basis(make: MakeVenues, log_dir: Path, *, live: bool) -> FaultyRun:
    """Three transfers, three purchases and three shorts at one row."""
    return run_faulty(prepared(BASIS), quiet_market(BASIS, BASIS_ROWS), log_dir, make, live=live)


def the(events: list[Event]) -> Event:
    """The only event there is."""
    (event,) = events
    return event


def the_tight_loop(run: FaultyRun) -> Event:
    return the(run.events("tight_loop"))


@dataclass
class Refusing(FakeVenues):
    """Venues that refuse every order of some kind."""

    code: ErrorCode = ErrorCode.EXEC_ORDER_FAILED
    operation: OperationType | None = None
    at: str | None = None
    times: int = 10**9

    def answer(self, order: Order) -> ExecutionHandshake:
        matches = self.operation in (None, order.operation) and self.at in (None, order.venue, order.target_venue)
        if matches and self.times > 0:
            self.times -= 1
            return self.failed(order, self.code)
        return self.port.execute(order)


@dataclass
class Pending(FakeVenues):
    """Venues that take an order in and do it only when they were asked about it ``polls`` times."""

    polls: int = 10**9
    can_cancel: bool = False
    is_cancelled: bool = False

    def answer(self, order: Order) -> ExecutionHandshake:
        self._order = order
        return self.pending(order.operation_id)

    def cancel(self, operation_id: str, venue: str) -> None:
        self.is_cancelled = self.can_cancel

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        self.looked_up.append(operation_id)
        if self.is_cancelled:
            return self.failed(self._order)
        if len(self.looked_up) < self.polls:
            return self.pending(operation_id)
        return self.port.execute(self._order)


@dataclass
class Misreporting(FakeVenues):
    """Venues that report 5 % more than they did, and correct themselves at look-up number ``corrected_at``."""

    corrected_at: int = 10**9

    def answer(self, order: Order) -> ExecutionHandshake:
        return _inflated(self.port.execute(order))

    def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
        self.looked_up.append(operation_id)
        found = self.port.find(operation_id, venue)
        assert found is not None
        return found if len(self.looked_up) >= self.corrected_at else _inflated(found)


def _inflated(handshake: ExecutionHandshake) -> ExecutionHandshake:
    return handshake.model_copy(
        update={"actual_deltas": {key: 1.05 * change for key, change in handshake.actual_deltas.items()}}
    )


@dataclass
class SlowBalances(FakeVenues):
    """Venues that take ``seconds`` to say what they hold."""

    seconds: float = 0.0

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        self.clock.sleep(self.seconds)
        return self.port.balances(venues)


@dataclass
class WrongBalances(FakeVenues):
    """Venues whose balances are off by ``off`` once something was traded there."""

    off: Mapping[str, float] | None = None
    asked: int = 0

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        self.asked += 1
        reported = self.port.balances(venues)
        assert reported is not None
        return {key: units + (self.off or {}).get(key, 0.0) for key, units in reported.items()}


# -- row 1: venue raises / failed


@pytest.mark.parametrize("fault", ["raises", "failed"])
def test_venue_raises_or_failed_in_a_backtest_is_exec_001_without_retry(fault: str, tmp_path: Path) -> None:
    make: MakeVenues = Unreachable if fault == "raises" else Refusing
    run = run_lending(make, tmp_path, live=False)
    assert run.error is None
    assert len(run.venues.sent) == 1
    assert run.operations() == [("supply", "failed")]
    assert run.codes()[-1] == "EXEC-001"
    assert the_tight_loop(run)["execution_success"] is False
    assert the_tight_loop(run)["retry_count"] == 0


@pytest.mark.parametrize("fault", ["raises", "failed"])
def test_venue_raises_or_failed_live_is_retried_three_times_then_exec_001(fault: str, tmp_path: Path) -> None:
    make: MakeVenues = Unreachable if fault == "raises" else Refusing
    run = run_lending(make, tmp_path, live=True)
    assert run.error is None
    assert len(run.venues.sent) == 1 + RETRIES
    assert len(set(run.venues.sent)) == 1, "a retry keeps the operation id"
    assert run.operations() == [("supply", "failed")]
    assert run.codes()[-1] == "EXEC-001"
    assert the_tight_loop(run)["retry_count"] == RETRIES == the_tight_loop(run)["max_retries"]


def test_venue_failed_live_and_then_able_is_one_fill(tmp_path: Path) -> None:
    run = run_lending(partial(Refusing, times=2), tmp_path, live=True)
    assert run.operations() == [("supply", "confirmed")]
    assert the_tight_loop(run)["retry_count"] == 2
    assert run.codes() == []


# -- row 2: pending


@pytest.mark.parametrize("mode", [LENDING, BASIS])
def test_pending_is_impossible_in_a_backtest(mode: str, tmp_path: Path) -> None:
    run = run_faulty(prepared(mode), quiet_market(mode, BASIS_ROWS), tmp_path, FakeVenues, live=False)
    assert run.operations()
    assert {status for _, status in run.operations()} == {"confirmed"}
    assert run.venues.clock.monotonic() == 0.0


def test_pending_live_is_polled_until_the_execution_timeout_then_cancelled_and_exec_001(tmp_path: Path) -> None:
    run = run_lending(partial(Pending, can_cancel=True), tmp_path, live=True)
    assert run.error is None
    assert len(run.venues.sent) == 1, "an open order is never sent again"
    assert len(run.venues.looked_up) > RETRIES
    assert run.venues.clock.monotonic() == pytest.approx(EXECUTION_TIMEOUT)
    assert run.operations() == [("supply", "failed")]
    assert run.codes() == ["EXEC-001"]


def test_pending_live_that_cannot_be_cancelled_is_unknown_and_exec_002(tmp_path: Path) -> None:
    run = run_lending(Pending, tmp_path, live=True)
    assert run.error is not None
    assert run.error.code is ErrorCode.EXEC_INTERFACE_UNAVAILABLE
    assert run.venues.clock.monotonic() == pytest.approx(EXECUTION_TIMEOUT)
    assert run.operations() == [("supply", "pending")]


def test_pending_live_that_settles_is_one_fill(tmp_path: Path) -> None:
    run = run_lending(partial(Pending, polls=3), tmp_path, live=True)
    assert run.operations() == [("supply", "confirmed")]
    assert len(run.venues.sent) == 1
    assert len(run.events("execution_deltas")) == 2, "initial capital and one fill"


# -- row 3: deltas off beyond tolerance


def test_deltas_off_beyond_tolerance_in_a_backtest_is_exec_007_and_pos_005_and_aborts(tmp_path: Path) -> None:
    run = run_lending(Misreporting, tmp_path, live=False, rows=5)
    assert run.error is not None
    assert run.error.code is ErrorCode.EXEC_POSITION_MISMATCH
    assert run.codes() == ["POS-005", "EXEC-007"]
    assert run.venues.looked_up == []
    assert the(run.events("reconciliation"))["reconciliation_success"] is False
    assert the_tight_loop(run)["system_failure_triggered"] is True
    assert len(run.events("execution_deltas")) == 1, "nothing but the initial capital was applied"


def test_deltas_off_beyond_tolerance_live_asks_the_venue_again_then_exec_007(tmp_path: Path) -> None:
    run = run_lending(Misreporting, tmp_path, live=True, rows=5)
    assert run.error is not None
    assert run.error.code is ErrorCode.EXEC_POSITION_MISMATCH
    assert len(run.venues.looked_up) == RETRIES
    assert run.codes() == ["POS-005", "EXEC-007"]
    assert the_tight_loop(run)["system_failure_triggered"] is True


def test_deltas_off_live_that_the_venue_corrects_go_on(tmp_path: Path) -> None:
    run = run_lending(partial(Misreporting, corrected_at=2), tmp_path, live=True)
    assert run.error is None
    assert len(run.venues.looked_up) == 2
    assert run.codes() == []
    assert the(run.events("reconciliation"))["reconciliation_success"] is True


# -- row 4: reconciliation too slow


def test_reconciliation_too_slow_cannot_happen_in_a_backtest(tmp_path: Path) -> None:
    run = run_basis(FakeVenues, tmp_path, live=False)
    assert run.error is None
    assert run.venues.clock.monotonic() == 0.0, "simulated venues take no time, so no timeout can pass"


def test_reconciliation_too_slow_live_is_exec_005_and_stops(tmp_path: Path) -> None:
    run = run_lending(partial(SlowBalances, seconds=11.0), tmp_path, live=True, rows=5)
    assert run.error is not None
    assert run.error.code is ErrorCode.EXEC_RECONCILIATION_TIMEOUT
    assert run.codes() == ["EXEC-005"]
    assert the_tight_loop(run)["system_failure_triggered"] is True


def test_reconciliation_just_in_time_live_goes_on(tmp_path: Path) -> None:
    run = run_lending(partial(SlowBalances, seconds=9.0), tmp_path, live=True)
    assert run.error is None
    assert run.codes() == []


@dataclass
class SlowThroughout(FakeVenues):
    """Venues that take ``answer_seconds`` for an order and ``balance_seconds`` to say what they hold."""

    answer_seconds: float = 0.0
    balance_seconds: float = 0.0

    def answer(self, order: Order) -> ExecutionHandshake:
        self.clock.sleep(self.answer_seconds)
        return self.port.execute(order)

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        self.clock.sleep(self.balance_seconds)
        return self.port.balances(venues)


SHORT_LOOP = ("component_config.execution_manager.tight_loop_timeout=35",)


@pytest.mark.parametrize(("answer_seconds", "stops"), [(28.0, True), (26.0, False)])
def test_tight_loop_too_slow_live_is_exec_005_though_each_step_is_in_time(
    answer_seconds: float, stops: bool, tmp_path: Path
) -> None:
    make = partial(SlowThroughout, answer_seconds=answer_seconds, balance_seconds=8.0)
    run = run_faulty(prepared(LENDING, overrides=SHORT_LOOP), quiet_market(LENDING, 1), tmp_path, make, live=True)
    assert run.codes() == (["EXEC-005"] if stops else [])
    assert (run.error is not None) == stops
    assert run.venues.clock.monotonic() == answer_seconds + 8.0 * (1 if stops else 2), "once more after the decision"
    assert (the_tight_loop(run).get("system_failure_triggered") is True) == stops


def test_no_look_up_begins_after_the_tight_loop_timeout(tmp_path: Path) -> None:
    @dataclass
    class SlowLookUps(Unreachable):
        def find(self, operation_id: str, venue: str) -> ExecutionHandshake | None:
            self.clock.sleep(70.0)
            return super().find(operation_id, venue)

    run = run_lending(partial(SlowLookUps, accepts=True, lookups_fail=True), tmp_path, live=True)
    assert len(run.venues.looked_up) == 2, "of the four that the policy allows"
    assert run.error is not None
    assert run.error.code is ErrorCode.EXEC_INTERFACE_UNAVAILABLE
    assert run.operations() == [("supply", "pending")]


# -- row 5: venue missing


@dataclass
class WithoutOkx(FakeVenues):
    """Venues among which there is no OKX."""

    def __post_init__(self) -> None:
        self.port = SimulatedPort(self.world, CATALOGUE, ("wallet", "binance", "bybit"))


def _assert_stopped_without_okx(run: FaultyRun) -> None:
    assert run.error is not None
    assert run.error.code is ErrorCode.EXEC_INTERFACE_UNAVAILABLE
    assert run.codes() == ["VEN-004", "EXEC-002"]
    assert run.operations()[-1] == ("spot_trade", "failed")
    assert run.events("operation_executions")[-1]["venue"] == "okx"


def test_venue_missing_in_a_backtest_is_ven_004_and_exec_002_and_aborts(tmp_path: Path) -> None:
    _assert_stopped_without_okx(run_basis(WithoutOkx, tmp_path, live=False))


def test_venue_missing_live_is_exec_002_and_stops_the_loop(tmp_path: Path) -> None:
    run = run_basis(WithoutOkx, tmp_path, live=True)
    _assert_stopped_without_okx(run)
    assert run.venues.clock.monotonic() == 0.0, "a missing interface is not waited for"


# -- row 6: source of positions


def test_positions_source_of_a_backtest_is_simulated_and_says_so(tmp_path: Path) -> None:
    run = run_basis(FakeVenues, tmp_path, live=False)
    assert {event["position_type"] for event in run.events("positions")} == {"simulated"}
    assert {event["simulated"] for event in run.events("operation_executions")} == {True}
    assert run.run is not None
    assert dict(run.venues.world.books.units) == run.run.final_positions()


def test_positions_source_live_is_what_the_venues_report(tmp_path: Path) -> None:
    make = partial(WrongBalances, off={"aave:aToken:aUSDT": 5_000.0})
    run = run_lending(make, tmp_path, live=True, rows=5)
    assert isinstance(run.venues, WrongBalances)
    assert run.venues.asked == 1 + RETRIES, "asked again before a mismatch is declared"
    assert run.error is not None
    assert run.error.code is ErrorCode.POS_RECONCILIATION_MISMATCH
    reported = the(run.events("reconciliation"))
    assert reported["reconciliation_success"] is False


# -- never sent twice


@pytest.mark.parametrize("live", [False, True], ids=["backtest", "live"])
def test_a_timeout_after_acceptance_is_looked_up_and_is_one_fill(live: bool, tmp_path: Path) -> None:
    run = run_lending(partial(Unreachable, accepts=True), tmp_path, live=live)
    assert run.error is None
    assert len(run.venues.sent) == 1
    assert run.venues.looked_up == run.venues.sent
    assert run.operations() == [("supply", "confirmed")]
    assert run.run is not None
    assert dict(run.venues.world.books.units) == run.run.final_positions()
    assert run.codes() == ["VEN-002"], "the fault is on record although it was overcome"


def test_every_order_that_may_be_filled_is_looked_up_until_it_cannot_be_before_it_is_sent_again(tmp_path: Path) -> None:
    run = run_lending(partial(Unreachable, times=2), tmp_path, live=True)
    assert len(run.venues.sent) == 3
    assert set(run.venues.looked_up) == set(run.venues.sent)
    manager = prepared(LENDING).config.mode.component_config.execution_manager
    waits = [later - earlier for earlier, later in pairwise(run.venues.sent_at)]
    assert min(waits) >= manager.validity_window + manager.void_margin + LOOKS_APART
    assert run.operations() == [("supply", "confirmed")]


@pytest.mark.parametrize("live", [False, True], ids=["backtest", "live"])
def test_an_order_whose_look_up_fails_stops_the_run_instead_of_being_sent_again(live: bool, tmp_path: Path) -> None:
    run = run_lending(partial(Unreachable, accepts=True, lookups_fail=True), tmp_path, live=live)
    assert len(run.venues.sent) == 1
    assert run.error is not None
    assert run.error.code is ErrorCode.EXEC_INTERFACE_UNAVAILABLE
    assert run.operations() == [("supply", "pending")], "on record with its id, to be looked up by hand"


def test_delays_between_attempts_double(tmp_path: Path) -> None:
    run = run_lending(Refusing, tmp_path, live=True)
    at = run.venues.sent_at
    assert [round(later - earlier, 9) for earlier, later in pairwise(at)] == list(DELAYS)


def test_no_attempt_begins_after_the_execution_timeout(tmp_path: Path) -> None:
    @dataclass
    class Slow(FakeVenues):
        def answer(self, order: Order) -> ExecutionHandshake:
            self.clock.sleep(20.0)
            return self.failed(order)

    run = run_lending(Slow, tmp_path, live=True)
    assert len(run.venues.sent) == 2
    assert max(run.venues.sent_at) < EXECUTION_TIMEOUT
    assert run.codes() == ["EXEC-001"]


def test_an_order_that_is_refused_for_itself_is_not_tried_again(tmp_path: Path) -> None:
    run = run_lending(partial(Refusing, code=ErrorCode.EXEC_ORDER_VALIDATION_FAILED), tmp_path, live=True)
    assert len(run.venues.sent) == 1
    assert run.codes() == ["EXEC-004"]


# -- dependent and independent orders


def test_what_depends_on_a_lost_order_is_skipped_transitively_and_the_rest_is_done(tmp_path: Path) -> None:
    """[domain] ruling 29: without its USDT, OKX gets neither coins nor short; the other venues get both."""
    make = partial(Refusing, operation=OperationType.TRANSFER, at="okx", times=1)
    run = run_basis(make, tmp_path, live=False)
    first = run.events("operation_executions")[0]["timestamp"]
    done = [e for e in run.events("operation_executions") if e["timestamp"] == first]
    tried = [(e["operation_type"], e["target_venue"], e["status"]) for e in done]
    assert ("transfer", "okx", "failed") in tried
    assert [t for t in tried if t[1] == "okx"] == [("transfer", "okx", "failed")]
    for venue in ("binance", "bybit"):
        assert [t[0] for t in tried if t[1] == venue and t[2] == "confirmed"] == [
            "transfer",
            "spot_trade",
            "perp_trade",
        ]
    loops = {e["operation_id"] for e in run.events("tight_loop")}
    assert loops == {e["operation_id"] for e in run.events("operation_executions")}


def test_a_short_is_skipped_where_its_coins_could_not_be_bought(tmp_path: Path) -> None:
    make = partial(Refusing, operation=OperationType.SPOT_TRADE, at="bybit", times=1)
    run = run_basis(make, tmp_path, live=False)
    first = run.events("operation_executions")[0]["timestamp"]
    shorts = [
        e["venue"]
        for e in run.events("operation_executions")
        if e["timestamp"] == first and e["operation_type"] == "perp_trade"
    ]
    assert shorts == ["binance", "okx"]


# -- POS-005: what a difference most likely is

SUPPLIED = "aave:aToken:aUSDT"
WALLET = "wallet:BaseToken:USDT"


@dataclass
class Differing(FakeVenues):
    """Venues whose balance of one key is off by a share of the last fill, by its fee, or by an amount."""

    key: str = WALLET
    of_fill: float = 0.0
    of_fee: float = 0.0
    of_held: float = 0.0
    amount: float = 0.0

    def answer(self, order: Order) -> ExecutionHandshake:
        self._last = self.port.execute(order)
        return self._last

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        reported = self.port.balances(venues)
        assert reported is not None
        if self.key not in reported:
            return reported
        off = self.amount + self.of_fee * self._last.fee_amount + self.of_held * reported[self.key]
        off += self.of_fill * self._last.actual_deltas.get(self.key, 0.0)
        return {**reported, self.key: reported[self.key] + off}


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(partial(Differing, of_fee=-1.0, key="binance:BaseToken:USDT"), "fee", id="fee-charged-twice"),
        pytest.param(partial(Differing, of_fee=1.0, key="binance:BaseToken:USDT"), "fee", id="fee-not-charged"),
        pytest.param(partial(Differing, of_held=1e-8, key="binance:BaseToken:BTC"), "rounding", id="rounding"),
        pytest.param(partial(Differing, of_fill=-1.0, key="binance:BaseToken:BTC"), "missing_fill", id="missing-fill"),
        pytest.param(
            partial(Differing, of_fill=1.0, key="binance:BaseToken:BTC"), "duplicate_fill", id="duplicate-fill"
        ),
        pytest.param(
            partial(Differing, amount=-12.5, key="bybit:BaseToken:USDT"), "external_movement", id="external-movement"
        ),
    ],
)
def test_a_balance_that_differs_is_classified_and_not_healed(make: MakeVenues, kind: str, tmp_path: Path) -> None:
    @dataclass
    class AfterTheFirstPurchase(FakeVenues):
        """Differs once Binance has bought coins, so that a fee and a fill are there to be mistaken."""

        bought: bool = False

        def __post_init__(self) -> None:
            self.inner = make(self.port, self.world, self.clock)

        def answer(self, order: Order) -> ExecutionHandshake:
            self.bought = self.bought or (order.operation is OperationType.SPOT_TRADE and order.venue == "binance")
            return self.inner.execute(order)

        def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
            return self.inner.balances(venues) if self.bought else self.port.balances(venues)

    run = run_basis(AfterTheFirstPurchase, tmp_path, live=False)
    assert run.error is not None
    assert run.error.code is ErrorCode.POS_RECONCILIATION_MISMATCH
    assert run.error.context["kind"] == kind
    failing = run.events("reconciliation")[-1]
    assert failing["reconciliation_success"] is False
    assert failing["metadata"] == {"classification": {run.error.context["position_key"]: kind}}
    last = run.events("system_errors")[-1]
    assert (last["error_code"], last["severity"]) == ("POS-005", REGISTRY[ErrorCode("POS-005")].severity.value)
    assert run.operations()[-1] == ("spot_trade", "confirmed"), "nothing is sent after the mismatch"


@dataclass
class Asked(FakeVenues):
    """Venues that keep count of the balances that they are asked for: one request a venue."""

    requests: int = 0

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        self.requests += len(self.venues) if venues is None else len(venues)
        return self.port.balances(venues)

    venues: tuple[str, ...] = ("wallet", "binance", "bybit", "okx")


def test_an_entry_asks_for_the_balances_that_it_touches_and_once_for_all(tmp_path: Path) -> None:
    run = run_basis(Asked, tmp_path, live=False)
    assert isinstance(run.venues, Asked)
    decisions = len({str(event["timestamp"]) for event in run.events("operation_executions")})
    transfers = sum(kind == "transfer" for kind, _ in run.operations())
    trades = len(run.operations()) - transfers
    assert trades >= 6
    assert run.venues.requests == 2 * transfers + trades + len(run.venues.venues) * decisions
    assert run.venues.requests <= 40 * decisions, "63 where every order asked every venue"


# -- fees in the base asset


@dataclass
class ChargesCoins(FakeVenues):
    """Exchanges that take the fee of a purchase out of the coins bought; they do not tell their balances."""

    def answer(self, order: Order) -> ExecutionHandshake:
        done = self.port.execute(order)
        if order.operation is not OperationType.SPOT_TRADE:
            return done
        price = done.execution_details["executed_price"]
        assert isinstance(price, float)
        return done.model_copy(update={"fee_amount": done.fee_amount / price, "fee_currency": "BTC"})

    def balances(self, venues: Collection[str] | None = None) -> Mapping[str, float] | None:
        return None


def test_a_fee_in_the_base_asset_is_paid_in_coins_and_costs_what_they_are_worth(tmp_path: Path) -> None:
    in_coins = run_basis(ChargesCoins, tmp_path / "coins", live=False)
    in_cash = run_basis(FakeVenues, tmp_path / "cash", live=False)
    assert in_coins.error is None
    assert in_coins.run is not None
    assert in_cash.run is not None
    assert abs(in_coins.run.column("unexplained_pnl")).max() < 1e-6
    costs = [run.column("transaction_costs")[-1] for run in (in_coins.run, in_cash.run)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-2), "the fee is a few dollars of coins, not a few cents"
    coins = "binance:BaseToken:BTC"
    assert in_coins.run.final_positions()[coins] < in_cash.run.final_positions()[coins]
