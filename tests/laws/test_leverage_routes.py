"""The sequential loop ends where the flash loan does, up to its stop, and is never less safe on the way.

Orders are applied to collateral and debt as the pool would, without costs, so that only the route differs.
"""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from dataflow.maths.costs import CostModel
from dataflow.maths.leverage import LoopTerms
from schemas.intents import OrderIntent
from schemas.operations import OperationType, StrategyIntent
from strategies.leverage.orders import LeverageBook

PRICE, ORACLE = 2_000.0, 1.05
LTV_LIMIT = 0.93
INTENT = StrategyIntent.ENTRY_FULL

ltvs = st.floats(0.05, 0.86)
stops = st.floats(1.0, 50_000.0)
amounts = st.floats(1.0, 10_000.0)


@dataclass(frozen=True)
class Pool:
    """Collateral (at the oracle) and debt of a position, and WETH in the wallet, all in ETH."""

    collateral: float
    debt: float
    cash: float

    def after(self, order: OrderIntent, market_ratio: float) -> "Pool":
        """The position after one order; what is staked is supplied with it."""
        amount = order.amount
        moves = {
            OperationType.STAKE: (0.0, 0.0, -amount),
            OperationType.SUPPLY: (amount * ORACLE, 0.0, 0.0),
            OperationType.BORROW: (0.0, amount, amount),
            OperationType.WITHDRAW: (-amount * ORACLE, 0.0, 0.0),
            OperationType.SWAP: (0.0, 0.0, amount * market_ratio),
            OperationType.REPAY: (0.0, -amount, -amount),
            OperationType.FLASH_BORROW: (0.0, 0.0, amount),
            OperationType.FLASH_REPAY: (0.0, 0.0, -amount),
        }
        collateral, debt, cash = moves[order.operation]
        return Pool(self.collateral + collateral, self.debt + debt, self.cash + cash)

    @property
    def ltv(self) -> float:
        """Debt over collateral."""
        return self.debt / self.collateral if self.collateral > 0.0 else 0.0


def book_of(pool: Pool, target_ltv: float, *, stop_usd: float | None, market_ratio: float = ORACLE) -> LeverageBook:
    """The order builder of a position; without a stop it takes the flash loan."""
    return LeverageBook(
        lst="weETH",
        collateral_lst=pool.collateral / ORACLE,
        debt_eth=pool.debt,
        oracle_ratio=ORACLE,
        market_ratio=market_ratio,
        eth_price=PRICE,
        gas_unit_usd=0.0,
        target_ltv=target_ltv,
        loop=None if stop_usd is None else LoopTerms(stop_usd, LTV_LIMIT),
        costs=CostModel.free(),
    )


def path_of(pool: Pool, orders: list[OrderIntent], market_ratio: float = ORACLE) -> list[Pool]:
    """The position after each order."""
    path = [pool]
    for order in orders:
        path.append(path[-1].after(order, market_ratio))
    return path


@given(own=amounts, target=ltvs, stop=stops)
def test_an_entry_ends_at_the_atomic_position_up_to_its_stop(own: float, target: float, stop: float) -> None:
    empty = Pool(0.0, 0.0, own)
    looped = path_of(empty, book_of(empty, target, stop_usd=stop).enter(own, INTENT))
    atomic = path_of(empty, book_of(empty, target, stop_usd=None).enter(own, INTENT))[-1]
    missing = atomic.collateral - looped[-1].collateral
    assert -1e-9 * own <= missing <= stop / PRICE / (1.0 - target) + 1e-9 * own
    assert abs((atomic.debt - looped[-1].debt) - missing) <= 1e-9 * atomic.collateral
    assert all(pool.ltv <= target + 1e-9 for pool in looped)
    assert min(pool.cash for pool in looped) >= -1e-9 * own


@given(own=amounts, start=ltvs, target=ltvs)
def test_a_change_of_target_ends_at_the_atomic_position(own: float, start: float, target: float) -> None:
    stop = 1e-6 * own * PRICE
    pool = Pool(own / (1.0 - start), own * start / (1.0 - start), 0.0)
    looped, atomic = book_of(pool, target, stop_usd=stop), book_of(pool, target, stop_usd=None)
    change = LeverageBook.increase if start < target else LeverageBook.reduce
    ends = [path_of(pool, change(book, INTENT))[-1] for book in (looped, atomic)]
    assert abs(ends[0].collateral - ends[1].collateral) <= 2e-6 * own / (1.0 - target)
    assert abs(ends[0].ltv - target) <= 2e-6


@given(own=amounts, start=ltvs, share=st.floats(0.01, 1.0), peg=st.floats(0.97, 1.0))
def test_an_exit_repays_and_brings_what_the_atomic_one_does(own: float, start: float, share: float, peg: float) -> None:
    pool = Pool(own / (1.0 - start), own * start / (1.0 - start), 0.0)
    market = peg * ORACLE
    looped = book_of(pool, start, stop_usd=10.0, market_ratio=market)
    atomic = replace(looped, loop=None)
    path = path_of(pool, looped.leave_share(share, INTENT), market)
    assert abs(path[-1].debt - (1.0 - share) * pool.debt) <= 1e-9 * pool.collateral
    assert abs(path[-1].collateral - (1.0 - share) * pool.collateral) <= 1e-9 * pool.collateral
    assert abs(path[-1].cash - atomic.slice_proceeds(share)) <= 1e-9 * pool.collateral
    assert abs(looped.slice_proceeds(share) - atomic.slice_proceeds(share)) <= 1e-9 * pool.collateral
    assert all(step.ltv <= LTV_LIMIT + 1e-9 for step in path if step.debt > 1e-9 * pool.collateral)
    assert min(step.cash for step in path) >= -1e-9 * pool.collateral


@given(own=amounts)
def test_a_position_without_room_leaves_by_the_flash_loan(own: float) -> None:
    pool = Pool(own / 0.05, own * 0.95 / 0.05, 0.0)
    orders = book_of(pool, 0.65, stop_usd=10.0).leave(INTENT)
    assert orders[0].operation is OperationType.FLASH_BORROW
    assert path_of(pool, orders)[-1].debt <= 1e-9 * pool.collateral
