"""The simulated venues as the conformance cases meet them: one prepared world, one order an operation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from dataflow.maths.costs import CostModel, Slippage
from dataflow.nodes import execution
from dataflow.venues.simulated.router import SimulatedPort
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.holdings import Holdings
from schemas.instruments import LST_VENUES, perp_key
from schemas.intents import OrderIntent, perp_trade, spot_trade, supply, transfer, withdraw
from schemas.models.orders import Order
from schemas.operations import OperationType, OrderSide, StrategyIntent
from schemas.port import OrderPort
from schemas.snapshot import MarketSnapshot
from tests.support.catalogue import CATALOGUE, EXCHANGES, SIMULATED
from tests.support.lending import lending_terms
from tests.support.prices import token_prices

TOO_MUCH: Final = 1e6
"""Times the amount of the order that can be carried out."""

ENTRY: Final = StrategyIntent.ENTRY_FULL
PRICE, ENTRY_PRICE, ORACLE = 60_000.0, 58_000.0, 1.04
OPERATIONS: Final = tuple(operation.value for operation in OperationType)

SNAPSHOT: Final = MarketSnapshot(
    timestamp="2024-05-12T00:00:00",
    prices=token_prices(3_000.0, weETH=ORACLE, wstETH=1.17),
    gas_unit_usd=3_000.0 * 20e-9,
    base_asset="BTC",
    spot_price=dict.fromkeys(EXCHANGES, PRICE),
    perp_mark=dict.fromkeys(EXCHANGES, 1.001 * PRICE),
    liquidity_index={"USDT": 1.08, "WETH": 1.02, "weETH": 1.0003, "wstETH": 1.0004},
    variable_borrow_index={"USDT": 1.11, "WETH": 1.03},
    lst_oracle_ratio={"weETH": ORACLE, "wstETH": 1.17},
    lst_market_ratio={"weETH": 1.038, "wstETH": 1.169},
)
BUCKETS: Final = Slippage((5.0, 7.0, 13.0), (50_000.0, 500_000.0))
COSTS: Final = CostModel(
    taker_fee={(product, venue): 0.001 for product in ("spot", "perp") for venue in EXCHANGES},
    slippage_by_pair={
        **{(product, venue, "BTCUSDT"): BUCKETS for product in ("spot", "perp") for venue in EXCHANGES},
        ("swap", "uniswap", "ETHweETH"): BUCKETS,
    },
    gas_units={**dict.fromkeys(OPERATIONS, 200_000.0), "atomic_entry": 1_250_000.0},
    gas_charged=True,
)


def prepared_holdings() -> Holdings:
    """Enough of everything that an order of the bench needs."""
    units = {
        "wallet:BaseToken:USDT": 10_000.0,
        "wallet:BaseToken:ETH": 20.0,
        "wallet:BaseToken:WETH": 5.0,
        "aave:aToken:aUSDT": 5_000.0,
        "aave:aToken:aWETH": 0.0,
        "aave:aToken:aweETH": 10.0,
        "aave:aToken:awstETH": 10.0,
        "aave:debtToken:debtWETH": 1.0,
        "etherfi:LST:weETH": 5.0,
        "etherfi:BaseToken:ETH": 0.0,
        "lido:LST:wstETH": 5.0,
        "lido:BaseToken:ETH": 0.0,
    }
    for venue in EXCHANGES:
        units |= {f"{venue}:BaseToken:USDT": 20_000.0, f"{venue}:BaseToken:BTC": 1.0}
        units[perp_key(venue, "BTC")] = -0.5
    entries = {perp_key(venue, "BTC"): ENTRY_PRICE for venue in EXCHANGES}
    return Holdings(units, entries)


def _on_chain(operation: OperationType, venue: str, amount: float, source: str, target: str) -> OrderIntent:
    return OrderIntent(operation, venue, amount, "wallet", venue, source, target, ENTRY)


def intents(venue: str) -> Mapping[OperationType, OrderIntent]:
    """One order of every operation that a venue can carry out alone."""
    if venue in EXCHANGES:
        return {
            OperationType.SPOT_TRADE: spot_trade(venue, "BTC", OrderSide.BUY, 0.1, ENTRY),
            OperationType.PERP_TRADE: perp_trade(venue, "BTC", OrderSide.LONG, 0.2, ENTRY),
        }
    lst = next((token for token, issuer in LST_VENUES.items() if issuer == venue and token != "stETH"), "weETH")
    return {
        OperationType.TRANSFER: transfer("wallet", "okx", "USDT", 100.0, ENTRY),
        OperationType.SUPPLY: supply("USDT", 100.0, ENTRY),
        OperationType.WITHDRAW: withdraw("USDT", 100.0, ENTRY),
        OperationType.BORROW: _on_chain(OperationType.BORROW, venue, 0.5, "debtWETH", "WETH"),
        OperationType.REPAY: _on_chain(OperationType.REPAY, venue, 0.5, "WETH", "debtWETH"),
        OperationType.STAKE: _on_chain(OperationType.STAKE, venue, 1.0, "ETH", lst),
        OperationType.UNSTAKE: _on_chain(OperationType.UNSTAKE, venue, 1.0, lst, "ETH"),
        OperationType.SWAP: _on_chain(OperationType.SWAP, venue, 1.0, "weETH", "WETH"),
    }


def group_intents(venue: str) -> list[OrderIntent]:
    """A flash-loan group in which the venue has a part; its last member carries the gas."""
    lender = venue if venue in ("morpho", "instadapp") else "morpho"
    flash = (
        _on_chain(OperationType.FLASH_BORROW, lender, 3.0, "WETH", "WETH"),
        replace(
            _on_chain(OperationType.FLASH_REPAY, lender, 3.0, "WETH", "WETH"),
            flash_fee_bps=0.0,
            gas_cost_type="atomic_entry",
        ),
    )
    if venue == "uniswap":
        inner = [intents(venue)[OperationType.SWAP]]
    elif venue == "lido":
        inner = [_on_chain(OperationType.STAKE, "lido", 3.0, "WETH", "wstETH")]
    else:
        staked = 3.0
        inner = [
            _on_chain(OperationType.STAKE, "etherfi", staked, "WETH", "weETH"),
            supply("weETH", staked / ORACLE, ENTRY),
            _on_chain(OperationType.BORROW, "aave_v3", 1.5, "debtWETH", "WETH"),
        ]
    members = [flash[0], *inner, flash[1]]
    return [replace(m, atomic_group="group", sequence_in_group=n) for n, m in enumerate(members)]


class SimulatedBench:
    """One simulated venue, amid the others."""

    tolerance = 1e-9

    def __init__(self, venue: str) -> None:
        self.venue, self.capabilities = venue, SIMULATED[venue]
        self._holdings = prepared_holdings()

    def __repr__(self) -> str:
        return self.venue

    def port(self) -> OrderPort:
        """A new world in the prepared state."""
        terms = lending_terms(USDT=0.78, WETH=0.83, weETH=0.95, wstETH=0.95)
        world = SimulatedWorld(COSTS, False, SNAPSHOT, self._holdings, terms)
        return SimulatedPort(world, CATALOGUE, tuple(SIMULATED))

    def instant(self) -> datetime:
        """The snapshot's instant."""
        return datetime.fromisoformat(f"{SNAPSHOT.timestamp}+00:00")

    def entry_price(self, position_key: str) -> float:
        """Entry price of the prepared shorts."""
        return self._holdings.entry_price[position_key]

    def order(self, operation: OperationType, operation_id: str) -> Order:
        """An order within the balances."""
        return self._order(intents(self.venue)[operation], operation_id, self._holdings)

    def unaffordable(self, operation: OperationType, operation_id: str) -> Order | None:
        """An order far beyond them; a perpetual needs none, and of a repayment the pool takes no more than is owed."""
        if operation in (OperationType.PERP_TRADE, OperationType.REPAY):
            return None
        intent = intents(self.venue)[operation]
        return self._order(replace(intent, amount=TOO_MUCH * intent.amount), operation_id, self._holdings)

    def unsupported(self, operation_id: str) -> Order:
        """An order for the first operation that the venue does not declare, in the words of one that does."""
        operation = next(o for o in OperationType if o not in self.capabilities.operations and o in intents("wallet"))
        able = next(venue for venue, declared in SIMULATED.items() if operation in declared.operations)
        return self._order(replace(intents(able)[operation], venue=self.venue), operation_id, self._holdings)

    def group(self, group_id: str) -> Sequence[Order]:
        """The group of the venue."""
        return self._group(group_intents(self.venue), group_id)

    def broken_group(self, group_id: str) -> Sequence[Order]:
        """Its second member is far beyond the balances."""
        members = group_intents(self.venue)
        members[1] = replace(members[1], amount=TOO_MUCH * members[1].amount)
        return self._group(members, group_id)

    def unpaid_group(self, group_id: str) -> Sequence[Order]:
        """The loan is never paid back."""
        return self._group(group_intents(self.venue)[:-1], group_id)

    def _group(self, members: Sequence[OrderIntent], group_id: str) -> Sequence[Order]:
        held, orders = self._holdings, []
        for number, intent in enumerate(members, start=1):
            order = self._order(intent, f"{group_id}_{number}", held, group_id)
            orders.append(order)
            held = held.applied((delta.position_key, delta.delta_amount) for delta in order.expected_deltas)
        return orders

    @staticmethod
    def _order(intent: OrderIntent, operation_id: str, held: Holdings, group: str | None = None) -> Order:
        quote = execution.quote(intent, SNAPSHOT, COSTS)
        expected = execution.expected_deltas(intent, quote, held)
        order: Order = execution.order(intent, quote, expected, operation_id, "conformance", group, "conformance")
        return order
