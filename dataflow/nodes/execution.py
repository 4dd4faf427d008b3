"""Execution: from one order of a decision to the balances after it, one node a step.

orders -> intent -> quote -> expected deltas -> order, which is sent; its handshake -> reconciliation with what was
expected -> settlements -> holdings after -> executed order. No node has an effect: the answer of the venue is an input.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hamilton.function_modifiers import tag

from dataflow.maths import deltas as calculators
from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import Deltas
from dataflow.maths.lending import borrow_index, supply_index
from dataflow.maths.perps import average_entry, realised_pnl
from schemas.decisions import DecisionRule
from schemas.errors import ExpectedDeltaError, JsonScalar
from schemas.holdings import Holdings
from schemas.instruments import DUST_TOKENS, PositionKey, PositionType, cex_key, lst_key, wallet_key
from schemas.intents import OrderIntent
from schemas.models.handshake import ExecutionHandshake
from schemas.models.orders import Order
from schemas.operations import DeltaType, ExecutionMode, ExecutionStatus, OperationType, OrderType
from schemas.snapshot import MarketSnapshot
from schemas.units import BPS, Column


@dataclass(frozen=True, slots=True)
class Quote:
    """What an order is expected to be done at.

    factor: scaled units per underlying (lending), LST per ETH (staking), target per source (swap), USDT per base
    (spot), 1 elsewhere. executed_price, mid_price: USDT per base of a trade, else None.
    """

    factor: float
    executed_price: float | None
    mid_price: float | None
    details: Mapping[str, JsonScalar]


@dataclass(frozen=True, slots=True)
class Settlement:
    """Changes that follow an operation without being ordered: realised profit, fee."""

    delta_type: DeltaType
    deltas: Deltas


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One key whose actual change is not the expected one."""

    position_key: str
    expected: float
    actual: float


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Expected against actual changes of one operation, per key."""

    expected_count: int
    actual_count: int
    mismatches: tuple[Mismatch, ...]

    @property
    def success(self) -> bool:
        """Whether every key changed as expected."""
        return not self.mismatches


@dataclass(frozen=True, slots=True)
class ExecutedOrder:
    """A confirmed order and all that follows from it; where it was not as expected, nothing follows.

    cost_usd and triggered_move_usd: USD. before, after: balances around it.
    """

    order: Order
    handshake: ExecutionHandshake
    reconciliation: Reconciliation
    settlements: tuple[Settlement, ...]
    cost_usd: float
    triggered_move_usd: float
    before: Holdings
    after: Holdings

    @property
    def is_partial(self) -> bool:
        """Whether less was done than was ordered, rounding aside."""
        return self.handshake.executed_amount(self.order.amount) < self.order.amount * (1.0 - calculators.RESIDUE)


@tag(stage="orders")
def decision_rule(decision: Column, rules: tuple[DecisionRule, ...]) -> DecisionRule:
    """The rule that the decision's row names.

    decision: (1,), the code of the row; > 0.
    """
    return next(rule for rule in rules if rule.code == decision[0])


@tag(stage="orders")
def intent(orders: list[OrderIntent], sequence: int) -> OrderIntent:
    """The order of the decision whose turn it is; ``sequence`` counts from 0."""
    return orders[sequence]


def _trade_quote(intent: OrderIntent, snapshot: MarketSnapshot, costs: CostModel) -> Quote:
    assert intent.pair is not None
    assert intent.side is not None
    is_spot = intent.operation is OperationType.SPOT_TRADE
    if intent.limit_price is not None:
        level = intent.limit_price
        return Quote(level, level, level, {"mid_price": level, "expected_price": level})
    mid = snapshot.value_of("spot_price" if is_spot else "perp_mark", intent.venue)
    price = costs.executed_price(
        "spot" if is_spot else "perp",
        intent.venue,
        intent.pair,
        direction=intent.side.direction,
        mid_price=mid,
        amount=intent.amount,
    )
    return Quote(price, price, mid, {"mid_price": mid, "expected_price": price})


def _lending_quote(intent: OrderIntent, snapshot: MarketSnapshot, costs: CostModel) -> Quote:
    if intent.operation in (OperationType.SUPPLY, OperationType.WITHDRAW):
        token = intent.source_token if intent.operation is OperationType.SUPPLY else intent.target_token
        index = snapshot.value_of("liquidity_index", token)
        details = {"aave_supply_index": supply_index(index), "aave_liquidity_index": index}
        return Quote(supply_index(index), None, None, details)
    token = intent.target_token if intent.operation is OperationType.BORROW else intent.source_token
    index = snapshot.value_of("variable_borrow_index", token)
    details = {"aave_borrow_index": borrow_index(index), "aave_variable_borrow_index": index}
    return Quote(borrow_index(index), None, None, details)


def _staking_quote(intent: OrderIntent, snapshot: MarketSnapshot, costs: CostModel) -> Quote:
    lst = intent.target_token if intent.operation is OperationType.STAKE else intent.source_token
    ratio = snapshot.value_of("lst_oracle_ratio", lst)
    return Quote(1.0 / ratio, None, None, {"lst_oracle_ratio": ratio, "conversion_rate": 1.0 / ratio})


def _swap_quote(intent: OrderIntent, snapshot: MarketSnapshot, costs: CostModel) -> Quote:
    ratio, pair = snapshot.dex_market(intent.source_token)
    slippage = costs.slippage("swap", intent.venue, pair, intent.amount * ratio * snapshot.eth_price)
    return Quote(ratio * (1.0 - slippage), None, None, {"market_ratio": ratio})


def _plain_quote(intent: OrderIntent, snapshot: MarketSnapshot, costs: CostModel) -> Quote:
    return Quote(1.0, None, None, {})


_QUOTES: Final[Mapping[OperationType, Callable[[OrderIntent, MarketSnapshot, CostModel], Quote]]] = {
    OperationType.SPOT_TRADE: _trade_quote,
    OperationType.PERP_TRADE: _trade_quote,
    OperationType.SUPPLY: _lending_quote,
    OperationType.WITHDRAW: _lending_quote,
    OperationType.BORROW: _lending_quote,
    OperationType.REPAY: _lending_quote,
    OperationType.STAKE: _staking_quote,
    OperationType.UNSTAKE: _staking_quote,
    OperationType.SWAP: _swap_quote,
    OperationType.TRANSFER: _plain_quote,
    OperationType.FLASH_BORROW: _plain_quote,
    OperationType.FLASH_REPAY: _plain_quote,
}


@tag(stage="deltas")
def quote(intent: OrderIntent, snapshot: MarketSnapshot, costs: CostModel) -> Quote:
    """What the order is expected to be done at: price with slippage, index, conversion rate.

    Errors: MissingPriceError (DATA-005) where the snapshot lacks the price.
    Source: [domain] 4.6 and 5.2.
    """
    return _QUOTES[intent.operation](intent, snapshot, costs)


def _trade_deltas(intent: OrderIntent, factor: float, held: calculators.Held) -> Deltas:
    assert intent.pair is not None
    assert intent.side is not None
    base = intent.pair.removesuffix("USDT")
    if intent.operation is OperationType.SPOT_TRADE:
        return calculators.spot_trade_deltas(intent.venue, base, intent.side.direction, intent.amount, factor)
    return calculators.perp_trade_deltas(intent.venue, base, intent.side.direction, intent.amount)


_CALCULATORS: Final[Mapping[OperationType, Callable[[OrderIntent, float, calculators.Held], Deltas]]] = {
    OperationType.SPOT_TRADE: _trade_deltas,
    OperationType.PERP_TRADE: _trade_deltas,
    OperationType.SUPPLY: lambda i, f, held: calculators.supply_deltas(i.source_token, i.amount, f, held),
    OperationType.WITHDRAW: lambda i, f, held: calculators.withdraw_deltas(
        i.target_token, i.amount, f, held, closes_all=i.closes_all
    ),
    OperationType.BORROW: lambda i, f, _: calculators.borrow_deltas(i.target_token, i.amount, f),
    OperationType.REPAY: lambda i, f, held: calculators.repay_deltas(
        i.source_token, i.amount, f, held, closes_all=i.closes_all
    ),
    OperationType.STAKE: lambda i, f, held: calculators.stake_deltas(i.target_token, i.amount, f, held),
    OperationType.UNSTAKE: lambda i, f, _: calculators.unstake_deltas(i.source_token, i.amount, f),
    OperationType.SWAP: lambda i, f, held: calculators.swap_deltas(i.source_token, i.target_token, i.amount, f, held),
    OperationType.TRANSFER: lambda i, _, held: calculators.transfer_deltas(
        i.source_venue, i.target_venue, i.source_token, i.amount, held
    ),
    OperationType.FLASH_BORROW: lambda i, _, __: calculators.flash_borrow_deltas(i.target_token, i.amount),
    OperationType.FLASH_REPAY: lambda i, _, held: calculators.flash_repay_deltas(
        i.source_token, i.amount, i.flash_fee_bps or 0.0, held
    ),
}


@tag(stage="deltas")
def expected_deltas(intent: OrderIntent, quote: Quote, holdings: Holdings) -> Deltas:
    """Changes that the order is to cause, (key, change) pairs gross of fees, in the unit of each key.

    Errors: ExpectedDeltaError (STRAT-002) where a balance that the operation needs is not held.
    Source: [domain] 5.2.
    """
    try:
        changes = _CALCULATORS[intent.operation](intent, quote.factor, holdings.units)
    except KeyError as error:
        raise ExpectedDeltaError(
            f"{intent.operation.value} of {intent.amount!r} {intent.source_token} needs balance {error.args[0]!r}, "
            "which the mode does not subscribe",
            operation=intent.operation.value,
            position_key=str(error.args[0]),
        ) from error
    return calculators.snapped(changes, holdings.units)


@tag(stage="orders")
def order(
    intent: OrderIntent,
    quote: Quote,
    expected_deltas: Deltas,
    operation_id: str,
    timestamp_group: str,
    atomic_group_id: str | None,
    mode: str,
) -> Order:
    """The complete, validated order: the intent with its price, protective levels and expected deltas.

    Errors: Pydantic's ValidationError on a broken rule, which the executor raises as EXEC-004.
    Source: [domain] 5.1.
    """
    return Order(
        operation_id=operation_id,
        operation=intent.operation,
        venue=intent.venue,
        amount=intent.amount,
        source_venue=intent.source_venue,
        target_venue=intent.target_venue,
        source_token=intent.source_token,
        target_token=intent.target_token,
        expected_deltas=[
            {"position_key": key, "delta_amount": change, "operation_type": intent.operation}
            for key, change in expected_deltas
        ],
        operation_details=dict(quote.details),
        pair=intent.pair,
        side=intent.side,
        price=quote.executed_price,
        order_type=OrderType.MARKET if intent.limit_price is None else OrderType.LIMIT,
        stop_loss=_level(intent, quote, intent.stop_fraction, -1),
        take_profit=_level(intent, quote, intent.target_fraction, 1),
        execution_mode=ExecutionMode.SEQUENTIAL if atomic_group_id is None else ExecutionMode.ATOMIC,
        atomic_group_id=atomic_group_id,
        flash_fee_bps=intent.flash_fee_bps,
        gas_cost_type=intent.gas_cost_type,
        sequence_in_group=intent.sequence_in_group,
        timestamp_group=timestamp_group,
        strategy_intent=intent.strategy_intent,
        strategy_id=mode,
    )


def _level(intent: OrderIntent, quote: Quote, fraction: float | None, sign: int) -> float | None:
    """Price so far from the executed one, with the position (+1) or against it (-1); None where there is none."""
    if fraction is None or intent.side is None or quote.executed_price is None:
        return None
    level = quote.executed_price * (1.0 + sign * intent.side.direction * fraction)
    return level if level > 0.0 else None


@tag(stage="reconciliation")
def fill(execution_handshake: ExecutionHandshake, reconciliation: Reconciliation) -> ExecutionHandshake | None:
    """The venue's answer where it confirms the order and changed what was expected; None for any other.

    Source: [domain] 5.6, nothing heals itself.
    """
    is_booked = execution_handshake.was_successful() and reconciliation.success
    return execution_handshake if is_booked else None


@tag(stage="reconciliation")
def settlements(
    order: Order, fill: ExecutionHandshake | None, holdings: Holdings, snapshot: MarketSnapshot
) -> tuple[Settlement, ...]:
    """What follows the fill: profit realised on a perpetual, credited in its margin token, and the fee.

    Source: [domain] 4.2, 5.4 and ruling 27.
    """
    if fill is None:
        return ()
    following: list[Settlement] = []
    after = holdings.applied(fill.actual_deltas.items())
    if order.operation is OperationType.PERP_TRADE:
        (key, change), *_ = fill.actual_deltas.items()
        realised = realised_pnl(holdings.units[key], holdings.entry_price[key], change, fill.executed_price)
        if realised != 0.0:
            gained = snapshot.margin_units(realised, fill.mid_price)
            credited: Deltas = ((cex_key(order.venue, snapshot.margin_token), gained),)
            following.append(Settlement(DeltaType.REALIZED_PNL, credited))
            after = after.applied(credited)
    if fill.fee_amount > 0.0:
        charged = calculators.fee_deltas(order.fee_key(fill.fee_currency), fill.fee_amount, after.units)
        following.append(Settlement(DeltaType.FEE, calculators.snapped(charged, after.units)))
    return tuple(following)


def fee_usd(order: Order, handshake: ExecutionHandshake, snapshot: MarketSnapshot) -> float:
    """The fee of an operation in USD: at the venue's own price where a trade is charged in its base asset."""
    if handshake.fee_amount == 0.0:
        return 0.0
    currency = handshake.fee_currency
    price = snapshot.price_at(order.venue, currency) if order.is_cex_trade() else snapshot.price(currency)
    return handshake.fee_amount * price


@tag(stage="reconciliation")
def transaction_cost_usd(order: Order, fill: ExecutionHandshake | None, snapshot: MarketSnapshot) -> float:
    """What the operation cost: fee, gas, fee of a flash loan, and slippage against the mid price.

    Units:  USD.
    Sign:   >= 0 at the quoted price; < 0 where a fill so much better than the mid price brings more than the fee.
    Source: [domain] ruling 23.
    """
    if fill is None:
        return 0.0
    fee = fee_usd(order, fill, snapshot)
    if order.operation is OperationType.SWAP:
        return fee + _swap_gap_usd(order, fill, snapshot)
    if order.operation is OperationType.FLASH_REPAY:
        lent_usd = order.amount * snapshot.price(order.source_token)
        return fee + lent_usd * (order.flash_fee_bps or 0.0) * BPS
    if not order.is_cex_trade() or "mid_price" not in fill.execution_details:
        return fee
    executed, mid = fill.executed_amount(order.amount), fill.mid_price
    slipped = order.direction * executed * (fill.executed_price - mid)
    if order.operation is not OperationType.PERP_TRADE:
        return fee + slipped * snapshot.price(snapshot.quote_token)
    return fee + _margin_usd(snapshot.margin_units(slipped, mid), order.venue, snapshot)


def _margin_usd(units: float, venue: str, snapshot: MarketSnapshot) -> float:
    """USD of an amount of the margin token."""
    return units * snapshot.price_at(venue, snapshot.margin_token)


@tag(stage="reconciliation")
def triggered_move_usd(
    order: Order, fill: ExecutionHandshake | None, holdings: Holdings, snapshot: MarketSnapshot
) -> float:
    """Profit of a position between the row's mark and the level at which it had been closed before the row.

    The level was touched inside the candle that closed at the row, so the move from the level to the mark was never
    made: it is taken back from ``delta_pnl``, which holds the position to the mark. 0 for every order at the mark.

    Units:  USD.
    Sign:   > 0 where the level is better than the mark.
    Source: [domain] rulings 23, 26 and 27.
    """
    if order.order_type is not OrderType.LIMIT or fill is None:
        return 0.0
    (key, change), *_ = fill.actual_deltas.items()
    entry, level, mark = holdings.entry_price[key], fill.mid_price, snapshot.value_of("perp_mark", order.venue)
    at_level = snapshot.margin_units(-change * (level - entry), level)
    at_mark = snapshot.margin_units(-change * (mark - entry), mark)
    return _margin_usd(at_level - at_mark, order.venue, snapshot)


def _swap_gap_usd(order: Order, fill: ExecutionHandshake, snapshot: MarketSnapshot) -> float:
    """What a swap gives up: slippage, and for a staking token the market's gap to the oracle ratio.

    Source: [domain] ruling 23.
    """
    token, received = order.source_token, fill.actual_deltas[wallet_key(order.target_token)]
    if token in DUST_TOKENS:
        worth = -fill.actual_deltas[wallet_key(token)] * snapshot.value_of("dust_price_eth", token)
    else:
        worth = -fill.actual_deltas[lst_key(token)] * snapshot.value_of("lst_oracle_ratio", token)
    return (worth - received) * snapshot.eth_price


@tag(stage="reconciliation")
def reconciliation(
    order: Order,
    execution_handshake: ExecutionHandshake,
    reconciliation_tolerance: float,
    reconciliation_floor: float,
) -> Reconciliation:
    """Actual against expected changes, per key; a partial fill is compared with its share of the expectation.

    reconciliation_tolerance: relative to the expected change of the key. reconciliation_floor: difference, in the unit
    of the key, that is never one.
    Source: [domain] 5.4, 5.6 and ruling 29.
    """
    actual = execution_handshake.actual_deltas
    if execution_handshake.status is not ExecutionStatus.CONFIRMED:
        return Reconciliation(len(order.expected_deltas), len(actual), ())
    filled = execution_handshake.executed_amount(order.amount) / order.amount
    expected = {delta.position_key: delta.delta_amount * filled for delta in order.expected_deltas}
    mismatches = tuple(
        Mismatch(key, expected.get(key, 0.0), actual.get(key, 0.0))
        for key in (*expected, *(key for key in actual if key not in expected))
        if abs(actual.get(key, 0.0) - expected.get(key, 0.0))
        > max(reconciliation_floor, reconciliation_tolerance * abs(expected.get(key, 0.0)))
    )
    return Reconciliation(len(expected), len(actual), mismatches)


@tag(stage="reconciliation")
def holdings_after(
    fill: ExecutionHandshake | None, settlements: tuple[Settlement, ...], holdings: Holdings
) -> Holdings:
    """Balances and entry prices once fill, realised profit and fee are applied; those before, where there is no fill.

    Source: [domain] 5.6.
    """
    if fill is None:
        return holdings
    after = holdings.applied(fill.actual_deltas.items())
    for key, change in fill.actual_deltas.items():
        if PositionKey.parse(key).position_type is PositionType.PERP:
            entry = average_entry(holdings.units[key], holdings.entry_price[key], change, fill.executed_price)
            after = after.entered(key, entry)
    for settlement in settlements:
        after = after.applied(settlement.deltas)
    return after


@tag(stage="reconciliation")
def executed_order(
    order: Order,
    execution_handshake: ExecutionHandshake,
    reconciliation: Reconciliation,
    settlements: tuple[Settlement, ...],
    transaction_cost_usd: float,
    triggered_move_usd: float,
    holdings: Holdings,
    holdings_after: Holdings,
) -> ExecutedOrder:
    """Everything that an answered order leads to, in one value.

    Source: [domain] 5.6.
    """
    return ExecutedOrder(
        order,
        execution_handshake,
        reconciliation,
        settlements,
        transaction_cost_usd,
        triggered_move_usd,
        holdings,
        holdings_after,
    )
