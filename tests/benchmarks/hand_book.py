"""The trades of the basis strategy in plain floats: what both hand-written references do at a decision.

It knows the rules that the benchmark markets lead to (entry, exit on funding, repayment of a margin loan, scaling
down) and refuses any other. The arithmetic is that of the engine, operation by operation, so that the results are
equal to the bit; nothing here is shared with it.
"""

from dataclasses import dataclass, field
from typing import Final

from dataflow.engine.backtest import Backtest

EXIT_FUNDING, FINISH_EXIT, REPAY_LOAN, ENTRY, SCALE_DOWN = 3, 4, 5, 8, 10

_RESIDUE: Final = 1e-9
_SMALL_USD, _LARGE_USD = 50_000.0, 500_000.0


@dataclass(frozen=True)
class Settings:
    """Numbers of the strategy, read once from the mode's configuration; vectors by venue."""

    allocation: tuple[float, ...]
    collateral: tuple[float, ...]
    spot_fee: tuple[float, ...]
    perp_fee: tuple[float, ...]
    spot_slippage: tuple[tuple[float, float, float], ...]
    perp_slippage: tuple[tuple[float, float, float], ...]
    transfer_gas: float
    gas_reserve_multiple: float
    funding_enter_apr: float
    funding_leave_apr: float
    cooldown_seconds: float
    min_trade_usd: float
    deviation: float
    loan_limit: float
    net_delta_trade: float
    delta_tolerance: float
    pnl_tolerance: float
    venue_margin: float
    margin_warning: float
    margin_reduce: float
    margin_exit: float
    margin_liquidation: float
    maintenance_margin: tuple[float, ...]
    forced_close_fee: tuple[float, ...]

    @classmethod
    def of(cls, backtest: Backtest) -> "Settings":
        """The settings of a configured ``btc_basis`` run."""
        config, costs = backtest.config, backtest.parameters.costs
        strategy = config.mode.strategy_config
        levels, limits = strategy.margin_levels, config.mode.component_config.risk_monitor.risk_limits
        assert levels is not None
        assert limits.delta_tolerance is not None
        venues = config.cex_venues
        return cls(
            allocation=tuple(config.hedge_allocation.values()),
            collateral=tuple(config.venues[venue].collateral_factor or 0.0 for venue in venues),
            spot_fee=tuple(costs.fee("spot", venue) for venue in venues),
            perp_fee=tuple(costs.fee("perp", venue) for venue in venues),
            spot_slippage=tuple(costs.slippage_by_pair["spot", venue, "BTCUSDT"].bucket_bps for venue in venues),
            perp_slippage=tuple(costs.slippage_by_pair["perp", venue, "BTCUSDT"].bucket_bps for venue in venues),
            transfer_gas=costs.gas_units["transfer"],
            gas_reserve_multiple=strategy.gas_reserve_multiple,
            funding_enter_apr=_given(strategy.funding_enter_apr),
            funding_leave_apr=_given(strategy.funding_leave_apr),
            cooldown_seconds=_given(strategy.reentry_cooldown_hours) * 3_600.0,
            min_trade_usd=strategy.min_trade_usd,
            deviation=strategy.position_deviation_threshold,
            loan_limit=_given(strategy.margin_loan_limit),
            net_delta_trade=_given(strategy.net_delta_trade),
            delta_tolerance=limits.delta_tolerance,
            pnl_tolerance=config.mode.component_config.pnl_monitor.reconciliation_tolerance,
            venue_margin=max(1.0 / _given(config.venues[venue].max_leverage) for venue in venues),
            margin_warning=levels.warning,
            margin_reduce=levels.reduce,
            margin_exit=levels.exit,
            margin_liquidation=levels.liquidation,
            maintenance_margin=tuple(config.venues[venue].maintenance_margin_rate or 0.0 for venue in venues),
            forced_close_fee=tuple(costs.forced_close_fee(venue) for venue in venues),
        )


def _given(value: float | None) -> float:
    assert value is not None, "the mode sets every threshold of its strategy"
    return value


@dataclass(frozen=True)
class Prices:
    """Prices of the decision's row: spot and mark by venue, and one unit of gas in USD."""

    spot: list[float]
    mark: list[float]
    gas_unit_usd: float


@dataclass
class Book:
    """Balances by venue, and the costs paid so far (USDT, >= 0 in ``cost`` since the decision began)."""

    wallet: float
    quote: list[float]
    spot: list[float]
    perp: list[float]
    entry: list[float]
    cost: float = 0.0
    orders: int = field(default=0)

    def decide(self, rule: int, settings: Settings, prices: Prices, cash: float, deviation: float) -> None:
        """Do what a rule asks for. cash: deployable USDT of the wallet; deviation: change of equity, fraction."""
        self.cost = 0.0
        venues = range(len(self.quote))
        if rule == ENTRY:
            self._enter(settings, prices, max(cash, 0.0))
        elif rule == EXIT_FUNDING:
            home = [self._quote_after_closing(settings, prices, at, self.spot[at]) for at in venues]
            self._close(settings, prices, [abs(self.perp[at]) for at in venues], list(self.spot))
            for at, amount in enumerate(home):
                if amount > 0.0:
                    self._transfer(settings, prices, at, -amount)
        elif rule == REPAY_LOAN:
            sold = [min(self._unwind(settings, prices, at), self.spot[at]) for at in venues]
            self._close(settings, prices, sold, sold)
        elif rule == SCALE_DOWN:
            perps = [-deviation * abs(units) for units in self.perp]
            self._close(settings, prices, perps, [-deviation * units for units in self.spot])
        else:
            raise AssertionError(f"the benchmark market must not lead to rule {rule}")

    def _enter(self, settings: Settings, prices: Prices, cash: float) -> None:
        sent = [share * cash for share in settings.allocation]
        sizes = []
        for at, amount in enumerate(sent):
            available = self.quote[at] + amount
            sizes.append(_entry_quantity(settings, prices, at, available) if available > 0.0 else 0.0)
        for at, amount in enumerate(sent):
            if amount > 0.0:
                self._transfer(settings, prices, at, amount)
        for at, quantity in enumerate(sizes):
            if quantity > 0.0:
                self._trade_spot(settings, prices, at, quantity)
        for at, quantity in enumerate(sizes):
            if quantity > 0.0:
                self._trade_perp(settings, prices, at, -quantity)

    def _close(self, settings: Settings, prices: Prices, perps: list[float], coins: list[float]) -> None:
        for at, quantity in enumerate(perps):
            if quantity > 0.0:
                self._trade_perp(settings, prices, at, quantity)
        for at, quantity in enumerate(coins):
            if quantity > 0.0:
                self._trade_spot(settings, prices, at, -quantity)

    def _transfer(self, settings: Settings, prices: Prices, at: int, amount: float) -> None:
        """Wallet to venue for amount > 0, else home; the wallet pays the gas."""
        fee = settings.transfer_gas * prices.gas_unit_usd
        self.wallet += _snapped(self.wallet, -amount)
        self.quote[at] += _snapped(self.quote[at], amount)
        if fee > 0.0:
            self.wallet += _snapped(self.wallet, -fee)
        self.cost += fee
        self.orders += 1

    def _trade_spot(self, settings: Settings, prices: Prices, at: int, change: float) -> None:
        mid, amount = prices.spot[at], abs(change)
        direction = 1 if change > 0.0 else -1
        price = mid * (1.0 + direction * _slippage(settings.spot_slippage[at], amount * mid))
        paid = _snapped(self.quote[at], -change * price)
        self.spot[at] += _snapped(self.spot[at], change)
        self.quote[at] += paid
        self._charge(at, amount, price, mid, settings.spot_fee[at])

    def _trade_perp(self, settings: Settings, prices: Prices, at: int, change: float) -> None:
        mid, amount = prices.mark[at], abs(change)
        direction = 1 if change > 0.0 else -1
        price = mid * (1.0 + direction * _slippage(settings.perp_slippage[at], amount * mid))
        before, entry = self.perp[at], self.entry[at]
        change = _snapped(before, change)
        if before != 0.0 and (before > 0.0) != (change > 0.0):
            closed = min(abs(change), abs(before))
            self.quote[at] += closed * (price - entry) * (1.0 if before > 0.0 else -1.0)
        self.perp[at] = after = before + change
        self.entry[at] = _average_entry(before, entry, change, price, after)
        self._charge(at, amount, price, mid, settings.perp_fee[at])

    def _charge(self, at: int, amount: float, price: float, mid: float, rate: float) -> None:
        fee = amount * price * rate
        if fee > 0.0:
            self.quote[at] += _snapped(self.quote[at], -fee)
        self.cost += fee + amount * abs(price - mid)
        self.orders += 1

    def _quote_after_closing(self, settings: Settings, prices: Prices, at: int, quantity: float) -> float:
        slip_spot, slip_perp = _slippages(settings, prices, at, quantity)
        bought_back = prices.mark[at] * (1.0 + slip_perp)
        sold = prices.spot[at] * (1.0 - slip_spot)
        realised = min(quantity, abs(self.perp[at])) * (bought_back - self.entry[at]) * -1.0
        perp_fee = quantity * bought_back * settings.perp_fee[at]
        return self.quote[at] + realised - perp_fee + quantity * sold * (1.0 - settings.spot_fee[at])

    def _unwind(self, settings: Settings, prices: Prices, at: int) -> float:
        """Coins to sell with as much of the short until the venue owes nothing; 0 where it does not."""
        cash = -self.quote[at]
        if cash <= 0.0:
            return 0.0
        slip_spot, slip_perp = _slippages(settings, prices, at, 0.0)
        while True:
            bought_back = prices.mark[at] * (1.0 + slip_perp)
            per_unit = (
                prices.spot[at] * (1.0 - slip_spot) * (1.0 - settings.spot_fee[at])
                + self.entry[at]
                - bought_back * (1.0 + settings.perp_fee[at])
            )
            quantity = cash / per_unit
            at_spot, at_perp = _slippages(settings, prices, at, quantity)
            if at_spot <= slip_spot and at_perp <= slip_perp:
                return quantity
            slip_spot, slip_perp = max(slip_spot, at_spot), max(slip_perp, at_perp)


def _snapped(held: float, change: float) -> float:
    return -held if held and abs(held + change) <= _RESIDUE * abs(change) else change


def _slippage(buckets: tuple[float, float, float], notional_usd: float) -> float:
    if notional_usd <= _SMALL_USD:
        return buckets[0] * 1e-4
    return (buckets[1] if notional_usd <= _LARGE_USD else buckets[2]) * 1e-4


def _slippages(settings: Settings, prices: Prices, at: int, quantity: float) -> tuple[float, float]:
    return (
        _slippage(settings.spot_slippage[at], quantity * prices.spot[at]),
        _slippage(settings.perp_slippage[at], quantity * prices.mark[at]),
    )


def _entry_quantity(settings: Settings, prices: Prices, at: int, cash: float) -> float:
    slip_spot, slip_perp = _slippages(settings, prices, at, 0.0)
    while True:
        quantity = cash / (
            prices.spot[at] * (1.0 + slip_spot) * (1.0 + settings.spot_fee[at])
            + prices.mark[at] * (1.0 - slip_perp) * settings.perp_fee[at]
        )
        at_spot, at_perp = _slippages(settings, prices, at, quantity)
        if at_spot <= slip_spot and at_perp <= slip_perp:
            return quantity
        slip_spot, slip_perp = max(slip_spot, at_spot), max(slip_perp, at_perp)


def _average_entry(before: float, entry: float, change: float, price: float, after: float) -> float:
    if after == 0.0:
        return 0.0
    if before == 0.0 or (before > 0.0) != (after > 0.0):
        return price
    return (before * entry + change * price) / after if abs(after) > abs(before) else entry
