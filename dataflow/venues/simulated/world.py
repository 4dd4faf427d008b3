"""What all simulated venues share: the market at one instant, the balances they keep, and the answers they gave."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import Deltas, fee_deltas, snapped
from dataflow.maths.perps import average_entry, realised_pnl
from dataflow.venues.simulated.pool import LendingTerms
from schemas.errors import ErrorCode, JsonScalar, VenueConfigError
from schemas.holdings import Holdings
from schemas.instruments import PositionKey, PositionType, cex_key, perp_key, wallet_key
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import ExecutionStatus
from schemas.snapshot import MarketSnapshot
from schemas.trade_rules import TradeRuleBook

_ROUNDING = 1e-9
"""Share of a flow by which a balance may fall short through rounding. [domain] ruling 8."""

Fee = tuple[float, str]
"""Amount, >= 0, and currency."""

NO_FEE: Fee = (0.0, "USDT")


@dataclass(frozen=True, slots=True)
class FillTerms:
    """How a venue departs from its quote for one order.

    share: of the amount that is filled, above 0, at most 1; trades only. price_shift: distance of the executed price
    from the quoted one as a fraction of it, > 0 is higher; trades only. reverts: why the transaction reverts.
    """

    share: float = 1.0
    price_shift: float = 0.0
    reverts: str | None = None


_AS_QUOTED: Final = FillTerms()


@dataclass
class SimulatedWorld:
    """Market and balances of every simulated venue.

    books: the venues' own balances; they begin a decision as a copy of the engine's and then go their own way, fill by
    fill. lending: what the lending pool allows. largest_trade_usd: exchange to the largest order. collateral_factor:
    exchange to the share of its coins' value that backs perpetuals. margin_min: margin ratio below which an exchange
    lets nothing out. trade_rules: lots and least sizes of the exchanges.
    terms: operation id to how its fill departs from the quote; none by default.
    """

    costs: CostModel
    allow_negative_balances: bool
    snapshot: MarketSnapshot
    books: Holdings
    lending: LendingTerms = field(default_factory=LendingTerms)
    largest_trade_usd: Mapping[str, float] = field(default_factory=dict)
    collateral_factor: Mapping[str, float] = field(default_factory=dict)
    margin_min: float = 0.0
    trade_rules: TradeRuleBook = field(default_factory=TradeRuleBook)
    answers: dict[str, ExecutionHandshake] = field(default_factory=dict)
    terms: dict[str, FillTerms] = field(default_factory=dict)

    def advance_to(self, snapshot: MarketSnapshot, books: Holdings) -> None:
        """Move the venues to another instant, with the engine's balances as theirs."""
        self.snapshot, self.books = snapshot, books
        self.answers.clear()
        self.terms.clear()

    def terms_of(self, order: Order) -> FillTerms:
        """How an order is filled: as quoted, unless something else was arranged."""
        return self.terms.get(order.operation_id, _AS_QUOTED)

    @property
    def instant(self) -> datetime:
        """The snapshot's instant, UTC."""
        return datetime.fromisoformat(self.snapshot.timestamp).replace(tzinfo=UTC)

    def confirmed(
        self, order: Order, deltas: Deltas, details: Mapping[str, JsonScalar], fee: Fee = NO_FEE
    ) -> ExecutionHandshake:
        """A fill at the snapshot's instant, booked at the venue; of the whole amount unless the details say less."""
        if (reason := self.terms_of(order).reverts) is not None:
            return self.refused(order, ErrorCode.EXEC_ORDER_FAILED, reason)
        instant = self.instant
        handshake = ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.CONFIRMED,
            actual_deltas=dict(snapped(deltas, self.books.units)),
            execution_details={"executed_amount": order.amount, **details},
            fee_amount=fee[0],
            fee_currency=fee[1],
            submitted_at=instant,
            executed_at=instant,
            simulated=True,
        )
        self.book(order, handshake)
        return handshake

    def book(self, order: Order, handshake: ExecutionHandshake) -> None:
        """Change the venue's own balances by a fill: its deltas, the profit it realises and its fee."""
        before = self.books
        after = before.applied(handshake.actual_deltas.items())
        for key, change in handshake.actual_deltas.items():
            if PositionKey.parse(key).position_type is PositionType.PERP:
                units, entry, price = before.units[key], before.entry_price[key], handshake.executed_price
                after = after.entered(key, average_entry(units, entry, change, price))
                realised = realised_pnl(units, entry, change, price)
                if realised != 0.0:
                    gained = self.snapshot.margin_units(realised, handshake.mid_price)
                    after = after.applied([(cex_key(order.venue, self.snapshot.margin_token), gained)])
        if handshake.fee_amount > 0.0:
            charged = fee_deltas(order.fee_key(handshake.fee_currency), handshake.fee_amount, after.units)
            after = after.applied(snapped(charged, after.units))
        self.books = after
        self.answers[order.operation_id] = handshake

    def refused(self, order: Order, code: ErrorCode, message: str) -> ExecutionHandshake:
        """A failed order that changed nothing."""
        handshake = ExecutionHandshake(
            operation_id=order.operation_id,
            status=ExecutionStatus.FAILED,
            error_code=code,
            error_message=message,
            submitted_at=self.instant,
            simulated=True,
        )
        self.answers[order.operation_id] = handshake
        return handshake

    def shortfall(self, deltas: Deltas) -> str | None:
        """What the changes would overdraw, in words; None where the balances suffice."""
        if self.allow_negative_balances:
            return None
        for key, change in deltas:
            held = self.books.units.get(key, 0.0)
            if change < 0.0 and held + change < -_ROUNDING * abs(change):
                return f"Insufficient balance: {key} holds {held!r}, needs {-change!r}"
        return None

    def margin_call(self, venue: str, deltas: Deltas, price: float | None = None) -> str | None:
        """Why an exchange refuses changes: its perpetuals would stand without margin after them; None if it takes them.

        price: at which a change of the perpetual is done, USDT per base.
        Source: the margin ratio of [domain] ruling 17 against the level of liquidation.
        """
        if self.allow_negative_balances:
            return None
        ratio = self.margin_ratio(venue, self.books.applied(deltas), fill_price=price)
        if ratio is None or ratio >= self.margin_min:
            return None
        return f"Insufficient margin: {venue} would be left with a margin ratio of {ratio!r}, below {self.margin_min!r}"

    def margin_ratio(self, venue: str, after: Holdings, fill_price: float | None = None) -> float | None:
        """Margin balance of an exchange over the notional of its perpetual; None where it has none.

        after: the balances to look at; what they hold of the perpetual beside the books was traded at ``fill_price``,
        USDT per base.
        Source: [domain] ruling 17; with coins as margin, ruling 27.
        """
        snapshot, base = self.snapshot, self.snapshot.base_asset
        if base is None:
            return None
        key = perp_key(venue, base)
        units = after.units.get(key, 0.0)
        if units == 0.0:
            return None
        held, entry = self.books.units[key], self.books.entry_price[key]
        mark = snapshot.value_of("perp_mark", venue)
        coins = after.units.get(cex_key(venue, base), 0.0)
        coins_usd = coins * snapshot.value_of("spot_price", venue) * self._backing_share(venue) if coins else 0.0
        usdt = after.units.get(cex_key(venue, "USDT"), 0.0)
        profit = held * (mark - entry) + (0.0 if fill_price is None else (units - held) * (mark - fill_price))
        if snapshot.margin_token != "USDT":  # paid in coins at the mark, which are worth the price of the coin
            profit *= snapshot.value_of("spot_price", venue) / mark
        backing = coins_usd + usdt + profit
        return backing / (abs(units) * mark)

    def _backing_share(self, venue: str) -> float:
        """Share of the value of its coins that an exchange takes as margin; CONFIG-004 where its file says none."""
        share = self.collateral_factor.get(venue)
        if share is None:
            raise VenueConfigError(f"{venue} holds coins and has no collateral_factor: write it", venue=venue)
        return share

    def gas(self, order: Order, item: str, deltas: Deltas) -> Fee | None:
        """Gas fee and its currency, paid from the wallet after the changes; None where the wallet cannot pay it.

        ETH (or WETH) where held, else USDT at its own price (ruling 12). A member of an atomic group pays only where it
        carries the group's gas item.
        """
        if order.atomic_group_id is not None:
            if order.gas_cost_type is None:
                return NO_FEE
            item = order.gas_cost_type
        cost_usd = self.costs.gas_usd(item, self.snapshot.gas_unit_usd)
        if cost_usd == 0.0:
            return NO_FEE
        after = self.books.applied(deltas).units
        in_eth = cost_usd / self.snapshot.eth_price
        held_eth = sum(max(after.get(wallet_key(token), 0.0), 0.0) for token in ("ETH", "WETH"))
        if held_eth >= in_eth * (1.0 - _ROUNDING):
            return in_eth, "ETH"
        in_usdt = cost_usd / self.snapshot.price("USDT")
        held_usdt = after.get(wallet_key("USDT"))
        if held_usdt is not None and (self.allow_negative_balances or held_usdt >= in_usdt * (1.0 - _ROUNDING)):
            return in_usdt, "USDT"
        return None

    def on_chain(
        self, order: Order, item: str, deltas: Deltas, details: Mapping[str, JsonScalar]
    ) -> ExecutionHandshake:
        """An on-chain operation: refused where a balance or the gas is short, else confirmed."""
        if missing := self.shortfall(deltas):
            return self.refused(order, ErrorCode.EXEC_ORDER_FAILED, missing)
        fee = self.gas(order, item, deltas)
        if fee is None:
            return self.refused(order, ErrorCode.EXEC_ORDER_VALIDATION_FAILED, "The wallet cannot pay the gas")
        return self.confirmed(order, deltas, {**details, "gas_used": self.costs.gas_units.get(item, 0.0)}, fee)
