"""What the engine answers to each question of the accountant, by the name of the question on the page."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from dataflow.nodes.risk import health_factor__debt, margin_ratio
from schemas.units import Column
from tests.docs.accountant_book import Book, FaultWitness
from tests.support.runs import flow_history

Answer = Any
"""Numbers, texts, and lists and mappings of them."""

ANSWERS: Final[dict[str, Callable[[Book], Answer]]] = {}
_CLOSE: Final = 1e-9


def answers(question: Callable[[Book], Answer]) -> Callable[[Book], Answer]:
    """Register the engine's answer to the question of the same name."""
    ANSWERS[question.__name__] = question
    return question


def _sums(pairs: "list[tuple[str, float]]") -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for name, amount in pairs:
        total[name] += amount
    return dict(total)


def _last(book: Book, name: str) -> float:
    column = book.column(name)
    return float(column[-1].sum())


# -- capital


@answers
def capital_paid_in(book: Book) -> Answer:
    return book.backtest.deposit(book.backtest.config.initial_capital)


@answers
def where_the_capital_is(book: Book) -> Answer:
    venues = dict(zip(book.backtest.config.cex_venues, book.column("venue_equity_usd")[-1].tolist(), strict=True))
    return {"wallet": _last(book, "wallet_value_usd"), **venues}


@answers
def every_balance_is_the_sum_of_its_parts(book: Book) -> Answer:
    return book.run.final_positions()


@answers
def what_moved_through_the_wallet(book: Book) -> Answer:
    moved = [("initial_capital wallet:BaseToken:USDT", book.backtest.config.initial_capital)]
    for fill in book.fills:
        changes = fill.handshake.actual_deltas.items()
        moved += [(f"{fill.order.operation} {key}", change) for key, change in changes if key.startswith("wallet:")]
        if fill.handshake.fee_amount and book.paid_by(fill).startswith("wallet:"):
            moved.append((f"fee {book.paid_by(fill)}", -fill.handshake.fee_amount))
    return _sums(moved)


@answers
def what_was_deployed_when(book: Book) -> Answer:
    notional = book.column("perp_notional_usd").sum(axis=1)
    return {book.instant(row): notional[row] for row, _ in book.decided}


@answers
def equity_is_collateral_less_debt(book: Book) -> Answer:
    found = {
        "collateral": _last(book, "supplied_quantity"),
        "debt": abs(_last(book, "debt_quantity")),
        "wallet": _last(book, "wallet_quantity"),
    }
    equity = _last(book, "equity_share_class")
    assert abs(found["collateral"] - found["debt"] + found["wallet"] - equity) < _CLOSE * equity
    return {**found, "equity": equity}


@answers
def least_cash_in_the_wallet(book: Book) -> Answer:
    cash = book.column("wallet_units", "USDT")
    row = int(np.argmin(cash))
    return [book.instant(row), cash[row]]


@answers
def equity_at_an_instant(book: Book) -> Answer:
    return book.column("equity_share_class")[book.row("2024-01-15T12:00")]


@answers
def profit_by_month(book: Book) -> Answer:
    profit, months = book.column("total_pnl_share_class"), book.run.instants.astype("datetime64[M]")
    ends = [int(np.flatnonzero(months == month)[-1]) for month in np.unique(months)]
    return {str(months[end]): profit[end] - (profit[ends[at - 1]] if at else 0.0) for at, end in enumerate(ends)}


@answers
def deepest_drawdown(book: Book) -> Answer:
    equity = book.column("equity_share_class")
    fall = 1.0 - equity / np.maximum.accumulate(equity)
    row = int(np.argmax(fall))
    deepest = book.run.outcome.statistics.returns(flow_history(book.run))["max_drawdown"]
    return [book.instant(row), deepest]


# -- costs


def _costs(book: Book) -> list[tuple[str, float]]:
    """Cost of each fill by operation id, held against the costs that the engine booked."""
    costs = [(fill.order.operation_id, fill.cost) for fill in book.fills]
    booked = -float(book.column("transaction_costs")[-1])
    assert abs(sum(cost for _, cost in costs) - booked) < _CLOSE * book.backtest.config.initial_capital
    return costs


@answers
def what_each_operation_cost(book: Book) -> Answer:
    return dict(_costs(book))


@answers
def what_each_kind_of_operation_cost(book: Book) -> Answer:
    return _sums([(fill.order.operation.value, fill.cost) for fill in book.fills])


@answers
def fees_and_slippage(book: Book) -> Answer:
    fees = sum(fill.handshake.fee_amount for fill in book.fills)
    assert abs(fees - book.run.outcome.counts.fees) < _CLOSE * fees
    return {"fees": fees, "slippage": sum(fill.slippage for fill in book.fills)}


@answers
def fees_by_venue(book: Book) -> Answer:
    return _sums([(fill.order.venue, fill.handshake.fee_amount) for fill in book.fills])


@answers
def dearest_operation(book: Book) -> Answer:
    dearest = max(book.fills, key=lambda fill: fill.cost)
    reason = next(rule.reason for row, rule in book.decided if book.instant(row) == dearest.timestamp)
    return [dearest.timestamp, dearest.order.operation.value, dearest.order.venue, dearest.cost, reason]


@answers
def what_each_decision_cost(book: Book) -> Answer:
    costs = -np.diff(book.column("transaction_costs"), prepend=0.0)
    return {f"{book.instant(row)} {rule.reason}": costs[row] for row, rule in book.decided}


@answers
def gas_of_the_entry(book: Book) -> Answer:
    gas = sum(fill.handshake.fee_amount for fill in book.fills if fill.handshake.fee_currency == "ETH")
    assert abs(gas + float(book.column("transaction_costs")[-1])) < _CLOSE
    return gas


@answers
def fee_rates_that_were_applied(book: Book) -> Answer:
    fees = {name: venue.fees for name, venue in book.backtest.config.venues.items() if venue.fees is not None}
    return {
        f"{venue} {product}": getattr(rates, product).taker
        for venue, rates in fees.items()
        for product in ("spot", "perp")
    }


@answers
def distance_of_fills_from_mid(book: Book) -> Answer:
    priced = [fill for fill in book.fills if fill.slippage]
    worst: dict[str, float] = {}
    for fill in priced:
        bps = abs(float(fill.details["executed_price"]) / float(fill.details["mid_price"]) - 1.0) * 1e4
        worst[fill.order.operation.value] = max(bps, worst.get(fill.order.operation.value, 0.0))
    return worst


# -- yield


@answers
def profit_by_part(book: Book) -> Answer:
    return {name: book.column(name)[-1] for name in book.backtest.attribution_types}


@answers
def the_parts_explain_the_profit(book: Book) -> Answer:
    parts = sum(book.column(name) for name in book.backtest.attribution_types)
    gap = np.abs(book.column("equity_share_class") - book.backtest.config.initial_capital - parts)
    return bool(np.max(gap) <= _CLOSE * book.backtest.config.initial_capital)


@answers
def which_yield_came_from_which_reserve(book: Book) -> Answer:
    return {
        "weETH supplied": book.column("supply_yield")[-1],
        "weETH staked": book.column("staking_yield_oracle")[-1],
        "WETH borrowed": book.column("borrow_cost")[-1],
    }


def _funding(book: Book) -> Column:
    """Funding of each row and venue, on what was held before the row, held against what the engine booked."""
    held = np.vstack([np.zeros((1, len(book.backtest.config.cex_venues))), book.column("perp_units")[:-1]])
    flows: Column = -held * book.column("perp_mark") * book.column("funding_rate")
    assert abs(flows.sum() - book.column("funding_pnl")[-1]) < _CLOSE * book.backtest.config.initial_capital
    return flows


@answers
def funding_by_venue(book: Book) -> Answer:
    return dict(zip(book.backtest.config.cex_venues, _funding(book).sum(axis=0).tolist(), strict=True))


@answers
def best_and_worst_settlement(book: Book) -> Answer:
    flows = _funding(book).sum(axis=1)
    return [[book.instant(row), flows[row]] for row in (int(np.argmax(flows)), int(np.argmin(flows)))]


@answers
def settlements_that_were_paid_and_received(book: Book) -> Answer:
    flows = _funding(book).sum(axis=1)
    return {"received": int(np.count_nonzero(flows > 0.0)), "paid": int(np.count_nonzero(flows < 0.0))}


@answers
def net_return_of_a_levered_unit(book: Book) -> Answer:
    return book.column("total_pnl_share_class")[-1] / book.backtest.config.initial_capital


# -- decisions


@answers
def what_was_decided_and_why(book: Book) -> Answer:
    sent = Counter(instant for instant, _ in book.witness.sent)
    return [
        [book.instant(row), rule.decision_type.value, rule.reason, sent[book.instant(row)]]
        for row, rule in book.decided
    ]


@answers
def why_nothing_was_done_at_an_instant(book: Book) -> Answer:
    row, strategy = book.row("2024-02-10T08:00"), book.backtest.config.mode.strategy_config
    assert book.column("decision")[row] == 0.0
    assert strategy.margin_levels is not None
    return {
        "funding": [book.column("funding_trailing_apr")[row], strategy.funding_leave_apr],
        "margin": [book.column("worst_margin_ratio")[row], strategy.margin_levels.reduce],
        "net delta": [book.column("net_delta_fraction")[row], strategy.net_delta_trade],
    }


@answers
def why_it_left(book: Book) -> Answer:
    row, rule = next((row, rule) for row, rule in book.decided if rule.decision_type.value == "exit")
    return [book.instant(row), rule.reason, book.column("funding_trailing_apr")[row]]


@answers
def hours_in_position(book: Book) -> Answer:
    return int(np.count_nonzero(np.abs(book.column("perp_units")).sum(axis=1)))


@answers
def what_the_model_said_at_each_deal(book: Book) -> Answer:
    return [[book.instant(row), book.column("signal")[row], book.column("confidence")[row]] for row, _ in book.decided]


@answers
def signals_below_the_threshold(book: Book) -> Answer:
    config = book.backtest.config.mode.ml_config
    assert config is not None
    directed = np.abs(book.column("signal")) == 1.0
    return int(np.count_nonzero(directed & (book.column("confidence") <= config.signal_threshold)))


@answers
def stops_and_targets_touched(book: Book) -> Answer:
    return {name: int(book.column(f"{name}_touched").any(axis=1).sum()) for name in ("stop", "target")}


# -- operations and failures


@answers
def how_the_operations_ended(book: Book) -> Answer:
    confirmed = len(book.fills)
    counts = book.run.outcome.counts
    assert counts.orders == confirmed + counts.operations_failed
    return {"confirmed": confirmed, "failed": counts.operations_failed}


@answers
def which_operations_were_retried(book: Book) -> Answer:
    return {name[:8]: times - 1 for name, times in Counter(book.sent_ids).items() if times > 1}


@answers
def which_operations_failed(book: Book) -> Answer:
    done = {fill.order.operation_id for fill in book.fills}
    return {
        name[:8]: next(order.operation.value for _, order in book.witness.sent if order.operation_id == name)
        for name in dict.fromkeys(book.sent_ids)
        if name not in done
    }


@answers
def what_was_filled_in_part(book: Book) -> Answer:
    partial = [fill for fill in book.fills if float(fill.details["executed_amount"]) < fill.order.amount]
    return {fill.order.operation_id[:8]: float(fill.details["executed_amount"]) / fill.order.amount for fill in partial}


@answers
def which_faults_were_injected(book: Book) -> Answer:
    assert isinstance(book.witness, FaultWitness)
    return dict(Counter(fault.kind.value for fault in book.witness.injected))


@answers
def errors_by_code(book: Book) -> Answer:
    return dict(book.run.outcome.errors)


@answers
def mismatches_in_reconciliation(book: Book) -> Answer:
    return book.run.outcome.reconciliation_failures


@answers
def an_atomic_group_and_its_members(book: Book) -> Answer:
    return [order.operation.value for _, order in book.witness.sent if order.atomic_group_id is not None]


@answers
def the_log_is_whole(book: Book) -> Answer:
    return {"events": book.run.state.order, "missing": 0}


# -- risk


@answers
def lowest_health_factor(book: Book) -> Answer:
    health = book.column("health_factor")
    row = int(np.argmin(health))
    assert health[row] == book.run.outcome.statistics.extremes()["min_health_factor"]
    return [book.instant(row), health[row]]


@answers
def loan_to_value_against_its_target(book: Book) -> Answer:
    return [book.column("ltv")[-1], book.backtest.config.mode.strategy_config.target_ltv]


@answers
def lowest_margin_ratio_of_each_venue(book: Book) -> Answer:
    ratios = book.column("margin_ratio")
    worst = ratios.argmin(axis=0).tolist()
    venues = book.backtest.config.cex_venues
    return {
        venue: [book.instant(row), ratios[row, at]] for at, (venue, row) in enumerate(zip(venues, worst, strict=True))
    }


@answers
def largest_net_delta(book: Book) -> Answer:
    drift = np.abs(book.column("net_delta_fraction"))
    row = int(np.argmax(drift))
    return [book.instant(row), drift[row]]


@answers
def since_when_a_limit_is_crossed(book: Book) -> Answer:
    row = int(np.argmax(book.column("breach_detected") > 0.0))
    assert book.column("delta_breach")[row] == 1.0
    return [book.instant(row), "delta_risk"]


@answers
def what_would_have_been_liquidated_first(book: Book) -> Answer:
    """Each risk node is asked with moved prices until it gives the level of liquidation."""
    row, config = len(book.run.instants) - 1, book.backtest.config
    levels = config.mode.strategy_config.margin_levels
    assert levels is not None
    found = {"aave_v3 (fall of weETH against ETH)": _root(lambda fall: _health(book, row, fall) - 1.0)}
    for at, venue in enumerate(config.cex_venues):
        found[f"{venue} (rise of ETH)"] = _root(
            lambda rise, at=at: _margin(book, row, at, rise) - levels.liquidation  # type: ignore[misc]  # the default fixes its type
        )
    return dict(sorted(found.items(), key=lambda entry: entry[1]))


def _health(book: Book, row: int, fall: float) -> float:
    def one(name: str) -> Column:
        return book.column(name)[row : row + 1]

    thresholds = book.backtest.parameters.inputs["reserve_liquidation_threshold"]
    assert isinstance(thresholds, np.ndarray)
    price = one("supplied_price_usd") * (1.0 - fall)
    health = health_factor__debt(one("a_token_units"), one("liquidity_index"), price, thresholds, one("debt_usd"))
    return float(health[0])


def _margin(book: Book, row: int, at: int, rise: float) -> float:
    def one(column: Column) -> Column:
        return column[row : row + 1, at : at + 1]

    units, mark = one(book.column("perp_units")), one(book.column("perp_mark")) * (1.0 + rise)
    return float(
        margin_ratio(
            one(book.column("spot_value_usd")) * (1.0 + rise),
            one(book.column("quote_units")),
            units * (mark - one(book.column("perp_entry_price"))),
            np.abs(units) * mark,
            np.array([book.backtest.config.venues[book.backtest.config.cex_venues[at]].collateral_factor]),
        )[0, 0]
    )


def _root(above: Callable[[float], float]) -> float:
    """Where a falling function of a move crosses zero, by halving; a move between nothing and fifty times the price."""
    low, high = 0.0, 50.0
    for _ in range(200):
        middle = (low + high) / 2.0
        low, high = (middle, high) if above(middle) > 0.0 else (low, middle)
    return low


# -- where it all came from


@answers
def where_the_prices_came_from(book: Book) -> Answer:
    source = book.market.provenance
    return {
        "data set": source.name,
        "synthetic": source.synthetic,
        "series": len(source.coverage),
        "filled": dict(source.fills),
    }


@answers
def what_was_changed_in_the_configuration(book: Book) -> Answer:
    return {
        name: venue.collateral_factor
        for name, venue in book.backtest.config.venues.items()
        if name in book.backtest.config.cex_venues
    }
