"""Reference A: the basis strategy as one hand-written NumPy loop over the engine's windows, with the same columns.

No graph, no models, no records: what one would write for this one strategy alone. Every column that the mode's graph
computes is filled, equal to the bit.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflow.engine.windows import CAP_ROWS, WindowPolicy
from dataflow.market.market import Market
from schemas.units import HOURS_PER_YEAR, Column
from tests.benchmarks.hand_book import ENTRY, EXIT_FUNDING, FINISH_EXIT, REPAY_LOAN, SCALE_DOWN, Book, Prices, Settings

Columns = dict[str, Column]

_SCALE_UP, _EXIT_MARGIN, _REDUCE_MARGIN, _ADJUST_DELTA = 8.0, 1.0, 2.0, 6.0
_NEVER: Final = -1e18
_GWEI: Final = 1e-9
_SETTLEMENTS: Final = 3
_INTERVAL_HOURS: Final = 8.0
_SECONDS_PER_MONTH: Final = 86_400 * 30.4375


@dataclass
class Carried:
    """What goes from row to row beside the book."""

    capital: float
    reference_equity: float
    start: float
    funding_pnl: float = 0.0
    delta_pnl: float = 0.0
    basis_pnl: float = 0.0
    costs: float = 0.0
    entry_quantity: float = 0.0
    last_risk_exit: float = _NEVER


def numpy_loop(market: Market, settings: Settings, capital: float) -> tuple[Columns, list[tuple[int, int]], Book]:
    """Run the strategy; every column, the decisions as (row, rule), and the book at the end."""
    whole = _market_columns(market, settings)
    rows = len(market.instants)
    venues = len(settings.allocation)
    book = Book(capital, [0.0] * venues, [0.0] * venues, [0.0] * venues, [0.0] * venues)
    carried = Carried(capital, capital, float(whole["epoch_seconds"][0]))
    windows = WindowPolicy(CAP_ROWS["plan"])
    pieces: dict[str, list[Column]] = {}
    decisions: list[tuple[int, int]] = []
    start = 0
    while start < rows:
        end = start + 1 if start == 0 else min(rows, start + windows.next_rows())
        part = {name: column[start:end] for name, column in whole.items()}
        seen = _observe(part, settings, book, carried, is_new=1.0)
        acts = np.flatnonzero(seen["decision"])
        quiet = end - start if len(acts) == 0 else int(acts[0])
        if quiet:
            for name, column in seen.items():
                pieces.setdefault(name, []).append(column[:quiet])
            _carry(seen, quiet - 1, book, carried)
        if len(acts) == 0:
            if start:
                windows.idle(end - start)
            start = end
            continue
        windows.event(quiet + 1)
        row = start + quiet
        rule = int(seen["decision"][quiet])
        decisions.append((row, rule))
        _carry(seen, quiet, book, carried)
        at_row = {name: column[row : row + 1] for name, column in whole.items()}
        after = _decide(rule, quiet, seen, at_row, settings, book, carried)
        after["decision"] = seen["decision"][quiet : quiet + 1]
        for name, column in after.items():
            pieces.setdefault(name, []).append(column)
        start = row + 1
    recorded = {name: np.concatenate(parts) for name, parts in pieces.items()}
    return {**whole, **recorded}, decisions, book


def _carry(seen: Columns, row: int, book: Book, carried: Carried) -> None:
    book.quote = seen["quote_units"][row].tolist()
    carried.funding_pnl = float(seen["funding_pnl"][row])
    carried.delta_pnl = float(seen["delta_pnl"][row])
    carried.basis_pnl = float(seen["basis_pnl"][row])


def _decide(
    rule: int, row: int, seen: Columns, part: Columns, settings: Settings, book: Book, carried: Carried
) -> Columns:
    prices = Prices(part["spot_price"][0].tolist(), part["perp_mark"][0].tolist(), float(part["gas_unit_usd"][0]))
    book.decide(rule, settings, prices, float(seen["deployable_usd"][row]), float(seen["equity_deviation"][row]))
    carried.costs -= book.cost
    after = _observe(part, settings, book, carried, is_new=0.0)
    carried.reference_equity = float(after["equity_share_class"][0])
    if rule == ENTRY:
        carried.entry_quantity = float(after["long_leg_units"][0])
    return after


def _step(levels: Column) -> Column:
    change = np.zeros_like(levels)
    np.subtract(levels[1:], levels[:-1], out=change[1:])
    return change


def _three(values: Column) -> Column:
    total: Column = values[:, 0] + values[:, 1] + values[:, 2]
    return total


def _running(flows: Column, start: float | Column) -> Column:
    seeded = flows.copy()
    seeded[0] += start
    return np.add.accumulate(seeded, axis=0)


def _trailing_apr(rate: Column, settled: Column, allocation: tuple[float, ...]) -> Column:
    at = np.flatnonzero(settled[:, 0])
    paid = rate[at]
    hourly = (paid[:-2] + paid[1:-1] + paid[2:]) / (_SETTLEMENTS * _INTERVAL_HOURS)
    levels = np.concatenate([np.zeros(_SETTLEMENTS), _three(hourly * np.array(allocation)) * HOURS_PER_YEAR])
    return levels[np.searchsorted(at, np.arange(len(settled)), side="right")]


def _market_columns(market: Market, settings: Settings) -> Columns:
    """Columns of the data set and what they imply, once a run."""
    raw = dict(market.columns)
    reference, eth = raw["reference_price"], raw["eth_price"]
    gas_unit = raw["gas_price_gwei"] * _GWEI * eth
    gas_units = len(settings.allocation) * settings.transfer_gas
    settled = raw["funding_settled"]
    settles = np.minimum(_three(settled), 1.0)
    return raw | {
        "epoch_seconds": market.instants.astype(np.int64).astype(np.float64),
        "row_number": np.arange(len(reference), dtype=np.float64),
        "usd_per_share_class": np.ones_like(eth),
        "delta_price_usd": reference,
        "token_price_usd": np.stack([np.ones_like(eth), reference, eth], axis=1),
        "wallet_price_usd": np.ones((len(eth), 1)),
        "reference_price_step": _step(reference),
        "spot_premium_step": _step(raw["spot_price"] - reference[:, None]),
        "perp_premium_step": _step(raw["perp_mark"] - reference[:, None]),
        "gas_unit_usd": gas_unit,
        "entry_gas_usd": gas_unit * gas_units,
        "gas_reserve_usd": gas_unit * ((gas_units + gas_units) * settings.gas_reserve_multiple),
        "funding_settles": settles,
        "funding_interval_hours": np.where(np.add.accumulate(settled) >= 2, _INTERVAL_HOURS, 0.0),
        "funding_trailing_apr": _trailing_apr(raw["funding_rate"], settled, settings.allocation),
        "funding_known": (np.add.accumulate(settles) >= _SETTLEMENTS).astype(np.float64),
    }


def _observe(part: Columns, settings: Settings, book: Book, carried: Carried, *, is_new: float) -> Columns:
    """Every column of a window, on the assumption that nothing is traded in it."""
    seen = _exposure(part, book, carried, is_new)
    seen |= _risk(seen, settings)
    seen |= _liquidation(seen, settings)
    seen |= _pnl(part, seen, settings, carried, is_new)
    return seen | _decision(part, seen, settings, carried)


def _exposure(part: Columns, book: Book, carried: Carried, is_new: float) -> Columns:
    spot_price, mark = part["spot_price"], part["perp_mark"]
    rows, venues = spot_price.shape
    shape = (rows, venues)
    held, short, entered = np.array(book.spot), np.array(book.perp), np.array(book.entry)
    spot, perp, entry = np.broadcast_to(held, shape), np.broadcast_to(short, shape), np.broadcast_to(entered, shape)
    wallet = np.broadcast_to(np.array([book.wallet]), (rows, 1))
    flow = -short * mark * part["funding_rate"] * is_new + 0.0
    quote = _running(flow, np.array(book.quote))
    spot_value, unrealised = held * spot_price, short * (mark - entered)
    long_leg = _three(spot)
    at_exchanges, worth = np.empty((rows, 2), order="F"), np.empty((rows, 2), order="F")
    in_wallet, wallet_worth = np.zeros((rows, 2), order="F"), np.zeros((rows, 2), order="F")
    at_exchanges[:, 0] = long_leg + _three(perp)
    at_exchanges[:, 1] = _three(quote)
    worth[:, 0] = _three(spot_value) + _three(unrealised)
    worth[:, 1] = at_exchanges[:, 1]
    in_wallet[:, 1] = wallet[:, 0]
    wallet_worth[:, 1] = wallet[:, 0] * part["wallet_price_usd"][:, 0]
    quantity, value = in_wallet + at_exchanges, wallet_worth + worth
    equity = value[:, 0] + value[:, 1]
    gross = np.abs(value[:, 0]) + np.abs(value[:, 1])
    leg = np.maximum(long_leg, carried.entry_quantity)
    return {
        "perp_entry_price": entry,
        "perp_units": perp,
        "funding_flow": flow,
        "quote_units": quote,
        "spot_units": spot,
        "tradable_spot_units": spot,
        "wallet_units": wallet,
        "exchange_quantity": at_exchanges,
        "long_leg_units": long_leg,
        "perp_notional_usd": np.abs(short) * mark,
        "perp_unrealised_pnl_usd": unrealised,
        "spot_value_usd": spot_value,
        "exchange_value_usd": worth,
        "venue_equity_usd": quote + spot_value + unrealised,
        "wallet_quantity": in_wallet,
        "asset_quantity": quantity,
        "net_delta_units": quantity[:, 0],
        "net_delta_fraction": np.abs(quantity[:, 0]) / np.where(leg > 0.0, leg, 1.0),
        "net_delta_usd": quantity[:, 0] * part["delta_price_usd"],
        "wallet_value_usd": wallet_worth,
        "asset_value_usd": value,
        "asset_share": value / np.where(gross > 0.0, gross, 1.0)[:, None],
        "equity_usd": equity,
        "equity_share_class": equity / part["usd_per_share_class"],
    }


def _risk(seen: Columns, settings: Settings) -> Columns:
    notional = seen["perp_notional_usd"]
    is_open = notional > 0.0
    backing = (
        seen["spot_value_usd"] * np.array(settings.collateral) + seen["quote_units"] + seen["perp_unrealised_pnl_usd"]
    )
    ratio = np.where(is_open, backing / np.where(is_open, notional, 1.0), 999.0)
    worst = ratio.min(axis=1)
    never = np.full(len(worst), 999.0)
    none = np.zeros(len(worst))
    steps = (worst < 0.50) * 1.0 + (worst < 0.30) + (worst < 0.20) + (worst < 0.10)
    score = np.clip(0.3 * (0.25 * steps), 0.0, 1.0)
    margin_breach = (worst < settings.margin_reduce).astype(np.float64)
    delta_breach = (seen["net_delta_fraction"] > settings.delta_tolerance).astype(np.float64)
    breach = np.maximum(margin_breach, delta_breach)  # the exchanges' leverage is far below the level that reduces
    level = (score >= 0.25) * 1.0 + (score >= 0.5) + (score >= 0.75)
    return {
        "delta_breach": delta_breach,
        "health_factor": never,
        "liquidation_threshold": never,
        "ltv": none,
        "margin_ratio": ratio,
        "worst_margin_ratio": worst,
        "margin_breach": margin_breach,
        "venue_leverage_breach": (worst < settings.venue_margin).astype(np.float64),
        "breach_detected": breach,
        "margin_usage": 1.0 - np.clip(worst, 0.0, 1.0),
        "risk_score": score,
        "risk_level": np.where(breach > 0.0, 3.0, level),
        **dict.fromkeys(("near_margin_limit", "risk_warning"), (worst < settings.margin_warning).astype(np.float64)),
    }


def _liquidation(seen: Columns, settings: Settings) -> Columns:
    units, rate = seen["perp_units"], np.array(settings.maintenance_margin)
    collateral = seen["quote_units"] + np.array(settings.collateral) * seen["spot_value_usd"]
    side = np.sign(units)
    backing = collateral / np.where(side == 0.0, 1.0, np.abs(units))
    price = np.maximum((seen["perp_entry_price"] - side * backing) / (1.0 - side * rate), 0.0) * np.abs(side)
    due = (seen["worst_margin_ratio"] < settings.margin_liquidation).astype(np.float64)
    return {
        "margin_liquidation_due": due,
        "liquidation_due": due,
        "liquidation_price": price,
        "liquidation_cost_usd": _three(seen["perp_notional_usd"] * np.array(settings.forced_close_fee)),
    }


def _pnl(part: Columns, seen: Columns, settings: Settings, carried: Carried, is_new: float) -> Columns:
    spot, perp, unit = seen["spot_units"], seen["perp_units"], part["usd_per_share_class"]
    moved = _three(perp * part["perp_premium_step"]) + _three(spot * part["spot_premium_step"])
    basis_step = moved / unit * is_new
    net = seen["exchange_quantity"][:, 0]
    delta_step = net * part["reference_price_step"] / unit * is_new
    funding_step = _three(seen["funding_flow"]) / unit
    basis, delta = _running(basis_step, carried.basis_pnl), _running(delta_step, carried.delta_pnl)
    funding = _running(funding_step, carried.funding_pnl)
    costs = np.full(len(unit), carried.costs)
    total = seen["equity_share_class"] - carried.capital
    attributed = funding + delta + basis + costs
    unexplained = total - attributed
    months = (part["epoch_seconds"] - carried.start) / _SECONDS_PER_MONTH
    allowed = carried.capital * np.maximum(settings.pnl_tolerance * months / 12.0, 1e-6)
    return {
        "basis_pnl_step": basis_step,
        "basis_pnl": basis,
        "delta_pnl_step": delta_step,
        "delta_pnl": delta,
        "funding_pnl_step": funding_step,
        "funding_pnl": funding,
        "total_pnl_share_class": total,
        "total_pnl_usd": seen["equity_usd"] - carried.capital,
        "transaction_costs": costs,
        "attributed_pnl": attributed,
        "unexplained_pnl": unexplained,
        "is_reconciled": (np.abs(unexplained) <= allowed).astype(np.float64),
    }


def _decision(part: Columns, seen: Columns, settings: Settings, carried: Carried) -> Columns:
    over = (part["epoch_seconds"] - carried.last_risk_exit >= settings.cooldown_seconds).astype(np.float64)
    equity, quote = seen["equity_usd"], seen["quote_units"]
    deployable = seen["wallet_units"][:, 0] - part["entry_gas_usd"] - part["gas_reserve_usd"]
    idle = np.where(deployable > settings.deviation * equity, deployable, 0.0)
    checked = (part["funding_settles"] > 0.0) & (part["funding_known"] > 0.0)
    a_year = part["funding_trailing_apr"]
    entry = checked & (over > 0.0) & (a_year > settings.funding_enter_apr) & (deployable > settings.min_trade_usd)
    leave = checked & (a_year < settings.funding_leave_apr)
    deviation = seen["equity_share_class"] / carried.reference_equity - 1.0
    flat = seen["long_leg_units"] + _three(np.abs(seen["perp_units"])) == 0.0
    venue_equity = seen["venue_equity_usd"]
    loan = (np.maximum(-quote, 0.0) / np.where(venue_equity > 0.0, venue_equity, 1.0)).max(axis=1)
    invested = _three(np.maximum(quote, 0.0)) + idle
    sold = -deviation * _three(seen["spot_value_usd"])
    size = np.where(deviation > 0.0, invested, np.maximum(sold, 0.0))
    is_worth_it = size > settings.min_trade_usd
    down = np.where((deviation < -settings.deviation) & is_worth_it, float(SCALE_DOWN), 0.0)
    scaling = np.where(((deviation > settings.deviation) | (idle > 0.0)) & is_worth_it, _SCALE_UP, down)
    worst = seen["worst_margin_ratio"]
    when_open = np.where(seen["net_delta_fraction"] > settings.net_delta_trade, _ADJUST_DELTA, scaling)
    when_open = np.where(loan > settings.loan_limit, float(REPAY_LOAN), when_open)
    held = _three(np.abs(seen["perp_units"])) > 0.0
    unfinished = np.where(flat, _three(quote) > settings.min_trade_usd, ~held & (over == 0.0))
    when_open = np.where(unfinished, float(FINISH_EXIT), when_open)
    when_open = np.where(leave, float(EXIT_FUNDING), when_open)
    when_open = np.where(worst < settings.margin_reduce, _REDUCE_MARGIN, when_open)
    when_open = np.where(worst < settings.margin_exit, _EXIT_MARGIN, when_open)
    total = _three(venue_equity)
    share = venue_equity / np.where(total > 0.0, total, 1.0)[:, None]
    gap = np.abs(share - np.array(settings.allocation)).max(axis=1)
    return {
        "cooldown_over": over,
        "was_liquidated": (part["epoch_seconds"] == _NEVER).astype(np.float64),
        "deployable_usd": deployable,
        "deployable_idle_usd": idle,
        "entry_is_due": entry.astype(np.float64),
        "equity_deviation": deviation,
        "funding_exit_is_due": leave.astype(np.float64),
        "exit_is_unfinished": unfinished.astype(np.float64),
        "is_first_row": (part["row_number"] == 0.0).astype(np.float64),
        "is_flat": flat.astype(np.float64),
        "margin_loan_fraction": loan,
        "scaling_order_usd": size,
        "scaling_rule": scaling,
        "decision": np.where(
            flat, np.where(entry, float(ENTRY), np.where(unfinished, float(FINISH_EXIT), 0.0)), when_open
        ),
        "venue_share_gap": np.where(total > 0.0, gap, 0.0),
    }
