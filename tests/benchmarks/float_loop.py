"""Reference B: the basis strategy row by row in plain Python floats, recording the same columns into lists.

What one would write without NumPy: no windows, one pass, one tuple a row. Two-dimensional columns stand flattened, in
the order of ``COLUMNS``.
"""

from typing import Final

import numpy as np

from dataflow.market.market import Market
from schemas.units import HOURS_PER_YEAR, Column
from tests.benchmarks.hand_book import ENTRY, EXIT_FUNDING, FINISH_EXIT, REPAY_LOAN, SCALE_DOWN, Book, Prices, Settings

Row = tuple[float, ...]

_SECONDS_PER_MONTH: Final = 86_400 * 30.4375

MARKET_COLUMNS: Final = (
    ("usd_per_share_class", 0),
    ("delta_price_usd", 0),
    ("wallet_price_usd", 1),
    ("reference_price_step", 0),
    ("spot_premium_step", 3),
    ("perp_premium_step", 3),
    ("gas_unit_usd", 0),
    ("entry_gas_usd", 0),
    ("gas_reserve_usd", 0),
    ("funding_settles", 0),
    ("funding_interval_hours", 3),
    ("funding_trailing_apr", 0),
    ("funding_known", 0),
    ("token_price_usd", 3),
)
"""Name of each market column, and its number of labels; 0 for a column of one value a row."""

COLUMNS: Final = (
    ("wallet_units", 1),
    ("perp_entry_price", 3),
    ("perp_units", 3),
    ("spot_units", 3),
    ("tradable_spot_units", 3),
    ("funding_flow", 3),
    ("quote_units", 3),
    ("spot_value_usd", 3),
    ("perp_unrealised_pnl_usd", 3),
    ("perp_notional_usd", 3),
    ("venue_equity_usd", 3),
    ("margin_ratio", 3),
    ("wallet_quantity", 2),
    ("wallet_value_usd", 2),
    ("exchange_quantity", 2),
    ("exchange_value_usd", 2),
    ("asset_quantity", 2),
    ("asset_value_usd", 2),
    ("asset_share", 2),
    ("long_leg_units", 0),
    ("net_delta_units", 0),
    ("net_delta_fraction", 0),
    ("net_delta_usd", 0),
    ("equity_usd", 0),
    ("equity_share_class", 0),
    ("worst_margin_ratio", 0),
    ("margin_usage", 0),
    ("health_factor", 0),
    ("liquidation_threshold", 0),
    ("ltv", 0),
    ("margin_liquidation_due", 0),
    ("liquidation_due", 0),
    ("liquidation_price", 3),
    ("liquidation_cost_usd", 0),
    ("margin_breach", 0),
    ("delta_breach", 0),
    ("venue_leverage_breach", 0),
    ("breach_detected", 0),
    ("near_margin_limit", 0),
    ("risk_warning", 0),
    ("risk_score", 0),
    ("risk_level", 0),
    ("basis_pnl_step", 0),
    ("basis_pnl", 0),
    ("delta_pnl_step", 0),
    ("delta_pnl", 0),
    ("funding_pnl_step", 0),
    ("funding_pnl", 0),
    ("transaction_costs", 0),
    ("attributed_pnl", 0),
    ("total_pnl_share_class", 0),
    ("total_pnl_usd", 0),
    ("unexplained_pnl", 0),
    ("is_reconciled", 0),
    ("equity_deviation", 0),
    ("is_first_row", 0),
    ("is_flat", 0),
    ("cooldown_over", 0),
    ("was_liquidated", 0),
    ("deployable_usd", 0),
    ("deployable_idle_usd", 0),
    ("venue_share_gap", 0),
    ("scaling_order_usd", 0),
    ("margin_loan_fraction", 0),
    ("entry_is_due", 0),
    ("funding_exit_is_due", 0),
    ("exit_is_unfinished", 0),
    ("scaling_rule", 0),
    ("decision", 0),
)
"""The same for the columns of the other stages."""


class FloatLoop:
    """One run; what is carried from row to row is in the attributes."""

    def __init__(self, market: Market, settings: Settings, capital: float) -> None:
        self.rows = len(market.instants)
        self._seconds = market.instants.astype(np.int64).tolist()
        self._raw = {name: column.tolist() for name, column in market.columns.items()}
        self._settings, self._capital = settings, capital
        self.book = Book(capital, [0.0] * 3, [0.0] * 3, [0.0] * 3, [0.0] * 3)
        self.decisions: list[tuple[int, int]] = []
        self._reference_equity = capital
        self._funding_pnl = self._delta_pnl = self._basis_pnl = self._costs = self._entry_quantity = 0.0
        self._rates: list[list[float]] = []
        self._implied: list[Row] = []
        self._recorded: list[Row] = []
        self._before: tuple[float, list[float], list[float]] | None = None

    def run(self) -> None:
        """Go through all rows."""
        for row in range(self.rows):
            market = self._market(row)
            self._implied.append(market)
            self._recorded.append(self._row(row, market))

    def columns(self) -> dict[str, Column]:
        """What was recorded as arrays, (rows,) or (rows, labels), to compare with; not part of what is timed."""
        return {**_arrays(MARKET_COLUMNS, self._implied), **_arrays(COLUMNS, self._recorded)}

    def _market(self, row: int) -> Row:
        raw, settings = self._raw, self._settings
        reference, eth = raw["reference_price"][row], raw["eth_price"][row]
        spot = [price - reference for price in raw["spot_price"][row]]
        perp = [price - reference for price in raw["perp_mark"][row]]
        before, self._before = self._before, (reference, spot, perp)
        if before is None:
            before = self._before
        settles = min(sum(raw["funding_settled"][row]), 1.0)
        rates = self._rates
        if settles:
            rates.append(raw["funding_rate"][row])
        is_known = len(rates) >= 3
        interval = 8.0 if len(rates) >= 2 else 0.0
        a_year = 0.0
        if is_known:
            for at, share in enumerate(settings.allocation):
                a_year += share * (rates[-3][at] + rates[-2][at] + rates[-1][at]) / 24.0 * HOURS_PER_YEAR
        gas = raw["gas_price_gwei"][row] * 1e-9 * eth
        gas_units = 3 * settings.transfer_gas
        return (
            1.0,
            reference,
            1.0,
            reference - before[0],
            spot[0] - before[1][0],
            spot[1] - before[1][1],
            spot[2] - before[1][2],
            perp[0] - before[2][0],
            perp[1] - before[2][1],
            perp[2] - before[2][2],
            gas,
            gas * gas_units,
            gas * ((gas_units + gas_units) * settings.gas_reserve_multiple),
            settles,
            interval,
            interval,
            interval,
            a_year,
            1.0 if is_known else 0.0,
            1.0,
            reference,
            eth,
        )

    def _row(self, row: int, market: Row) -> Row:
        seen = self._observe(row, market, is_new=1.0)
        rule = int(seen[-1])
        if not rule:
            return seen
        self.decisions.append((row, rule))
        prices = Prices(self._raw["spot_price"][row], self._raw["perp_mark"][row], market[10])
        cash, deviation = seen[_PLACE["deployable_usd"]], seen[_PLACE["equity_deviation"]]
        self.book.decide(rule, self._settings, prices, cash, deviation)
        self._costs -= self.book.cost
        after = self._observe(row, market, is_new=0.0)
        self._reference_equity = after[_PLACE["equity_share_class"]]
        if rule == ENTRY:
            self._entry_quantity = after[_PLACE["long_leg_units"]]
        return (*after[:-1], float(rule))

    def _observe(self, row: int, market: Row, *, is_new: float) -> Row:
        """Settle, value and judge one row: one long function, since a call costs more than the arithmetic."""
        raw, settings, book, capital = self._raw, self._settings, self.book, self._capital
        spot_price, mark, rate = raw["spot_price"][row], raw["perp_mark"][row], raw["funding_rate"][row]
        spot, perp, entry, quote, wallet = book.spot, book.perp, book.entry, book.quote, book.wallet
        flow = [-perp[at] * mark[at] * rate[at] * is_new for at in (0, 1, 2)]
        for at in (0, 1, 2):
            quote[at] += flow[at]
        worth = [spot[at] * spot_price[at] for at in (0, 1, 2)]
        unrealised = [perp[at] * (mark[at] - entry[at]) for at in (0, 1, 2)]
        notional = [abs(perp[at]) * mark[at] for at in (0, 1, 2)]
        venue_equity = [quote[at] + worth[at] + unrealised[at] for at in (0, 1, 2)]
        ratio = [
            (worth[at] * settings.collateral[at] + quote[at] + unrealised[at]) / notional[at]
            if notional[at] > 0.0
            else 999.0
            for at in (0, 1, 2)
        ]
        triggers = [
            max((entry[at] + (quote[at] + settings.collateral[at] * worth[at]) / -perp[at]), 0.0)
            / (1.0 + settings.maintenance_margin[at])
            if perp[at] < 0.0
            else 0.0
            for at in (0, 1, 2)
        ]
        forced_cost = sum(notional[at] * settings.forced_close_fee[at] for at in (0, 1, 2))
        long_leg, all_quote = sum(spot), sum(quote)
        net = long_leg + sum(perp)
        base_value = sum(worth) + sum(unrealised)
        usdt_value = wallet + all_quote
        equity = base_value + usdt_value
        gross = abs(base_value) + abs(usdt_value) or 1.0
        fraction = abs(net) / (max(long_leg, self._entry_quantity) or 1.0)
        worst = min(ratio)
        margin_breach = 1.0 if worst < settings.margin_reduce else 0.0
        delta_breach = 1.0 if fraction > settings.delta_tolerance else 0.0
        breach = max(margin_breach, delta_breach)
        score = 0.3 * 0.25 * ((worst < 0.5) + (worst < 0.3) + (worst < 0.2) + (worst < 0.1))
        level = 3.0 if breach else float((score >= 0.25) + (score >= 0.5) + (score >= 0.75))
        basis_step = is_new * sum(perp[at] * market[7 + at] + spot[at] * market[4 + at] for at in (0, 1, 2))
        delta_step = is_new * net * market[3]
        funding_step = sum(flow)
        self._basis_pnl = basis = self._basis_pnl + basis_step
        self._delta_pnl = delta = self._delta_pnl + delta_step
        self._funding_pnl = funding = self._funding_pnl + funding_step
        attributed = funding + delta + basis + self._costs
        total = equity - capital
        unexplained = total - attributed
        months = (self._seconds[row] - self._seconds[0]) / _SECONDS_PER_MONTH
        allowed = capital * max(settings.pnl_tolerance * months / 12.0, 1e-6)
        deviation = equity / self._reference_equity - 1.0
        is_flat = long_leg == 0.0 and not any(perp)
        deployable = wallet - market[11] - market[12]
        idle = deployable if deployable > settings.deviation * equity else 0.0
        all_venues = sum(venue_equity)
        gap = (
            max(abs(venue_equity[at] / all_venues - settings.allocation[at]) for at in (0, 1, 2))
            if all_venues > 0.0
            else 0.0
        )
        invested = sum(max(each, 0.0) for each in quote) + idle
        size = invested if deviation > 0.0 else max(-deviation * sum(worth), 0.0)
        loan = max(max(-quote[at], 0.0) / (venue_equity[at] if venue_equity[at] > 0.0 else 1.0) for at in (0, 1, 2))
        is_checked = market[13] > 0.0 and market[18] > 0.0
        is_entry = is_checked and market[17] > settings.funding_enter_apr and deployable > settings.min_trade_usd
        is_exit = is_checked and market[17] < settings.funding_leave_apr
        # The references have no risk exit, so that coins without a hedge may always be hedged again.
        is_unfinished = is_flat and quote[0] + quote[1] + quote[2] > settings.min_trade_usd
        scaling = 0.0
        if size > settings.min_trade_usd:
            if deviation > settings.deviation or idle > 0.0:
                scaling = 8.0
            elif deviation < -settings.deviation:
                scaling = float(SCALE_DOWN)
        if is_flat:
            rule = float(ENTRY) if is_entry else float(FINISH_EXIT) if is_unfinished else 0.0
        elif worst < settings.margin_exit:
            rule = 1.0
        elif worst < settings.margin_reduce:
            rule = 2.0
        elif is_exit:
            rule = float(EXIT_FUNDING)
        elif loan > settings.loan_limit:
            rule = float(REPAY_LOAN)
        elif fraction > settings.net_delta_trade:
            rule = 6.0
        else:
            rule = scaling
        return (
            wallet,
            *entry,
            *perp,
            *spot,
            *spot,
            *flow,
            *quote,
            *worth,
            *unrealised,
            *notional,
            *venue_equity,
            *ratio,
            *(0.0, wallet, 0.0, wallet),
            *(net, all_quote, base_value, all_quote),
            *(net, usdt_value, base_value, usdt_value),
            *(base_value / gross, usdt_value / gross),
            *(long_leg, net, fraction, net * market[1], equity, equity),
            *(worst, 1.0 - min(max(worst, 0.0), 1.0), 999.0, 999.0, 0.0),
            *(
                *(1.0 if worst < settings.margin_liquidation else 0.0,) * 2,
                *triggers,
                forced_cost,
                margin_breach,
                delta_breach,
                1.0 if worst < settings.venue_margin else 0.0,
                breach,
                *(1.0 if worst < settings.margin_warning else 0.0,) * 2,
                score,
                level,
            ),
            *(basis_step, basis, delta_step, delta, funding_step, funding, self._costs, attributed),
            *(total, total, unexplained, 1.0 if abs(unexplained) <= allowed else 0.0),
            *(deviation, 0.0 if row else 1.0, 1.0 if is_flat else 0.0, 1.0, 0.0, deployable, idle, gap, size, loan),
            *(1.0 if is_entry else 0.0, 1.0 if is_exit else 0.0, 1.0 if is_unfinished else 0.0, scaling, rule),
        )


def _places() -> dict[str, int]:
    places, at = {}, 0
    for name, labels in COLUMNS:
        places[name] = at
        at += max(labels, 1)
    return places


_PLACE: Final = _places()


def _arrays(layout: tuple[tuple[str, int], ...], rows: list[Row]) -> dict[str, Column]:
    flat = np.array(rows)
    columns, at = {}, 0
    for name, labels in layout:
        columns[name] = flat[:, at : at + labels] if labels else flat[:, at]
        at += max(labels, 1)
    return columns
