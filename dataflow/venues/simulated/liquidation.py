"""What the simulated venues take by themselves.

An exchange closes perpetuals whose margin has run out; at the lending pool a liquidator repays debt of an unhealthy
account for its collateral, as the contracts let it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dataflow.maths.deltas import Deltas, snapped
from dataflow.maths.lending.fixed_point import MAX_UINT256, WAD, ray_div
from dataflow.maths.lending.liquidation import Liquidated, LiquidationCall, liquidate
from dataflow.maths.lending.pool import Pool
from dataflow.maths.perps import realised_pnl
from dataflow.venues.simulated.pool import USER, pool_at
from dataflow.venues.simulated.world import SimulatedWorld
from schemas.holdings import Holdings
from schemas.instruments import a_token_key, cex_key, debt_key, perp_key
from schemas.liquidations import Liquidation, LiquidationStep
from schemas.operations import DeltaType, OperationType
from schemas.snapshot import MarketSnapshot
from schemas.units import from_ray

_LIQUIDATOR: Final = "liquidator"


class SimulatedLiquidator:
    """The liquidation engines of all simulated venues."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def liquidate(
        self, snapshot: MarketSnapshot, books: Holdings, spared: Iterable[str] = ()
    ) -> tuple[Liquidation, ...]:
        """Take what is due at the snapshot's instant, venue by venue; nothing where every account is safe.

        books: the balances before. spared: venues whose perpetuals were closed before that instant.
        """
        self._world.advance_to(snapshot, books)
        left_alone = frozenset(spared)
        taken = [self._close_perpetual(venue) for venue in self._world.collateral_factor if venue not in left_alone]
        return tuple(liquidation for liquidation in (*taken, self._seize_collateral()) if liquidation is not None)

    def balances(self) -> Holdings:
        """The venues' own balances."""
        return self._world.books

    def _close_perpetual(self, venue: str) -> Liquidation | None:
        """Close the perpetual of one exchange at its mark where its margin ratio is too low. [domain] ruling 21."""
        world = self._world
        ratio = world.margin_ratio(venue, world.books)
        if ratio is None or ratio >= world.margin_min:
            return None
        account = _Account(world, venue)
        account.close()
        facts = {"margin_ratio": ratio, "margin_ratio_min": world.margin_min, "mark_price": account.mark}
        return account.statement(facts)

    def _seize_collateral(self) -> Liquidation | None:
        """Let a liquidator repay all the debt it may for the collateral of an unhealthy account. [domain] ruling 22.

        It picks the largest debt and the largest collateral.
        """
        world = self._world
        pool = pool_at(world.lending, world.snapshot, world.books, int(world.instant.timestamp()))
        before = pool.account_data(USER)
        if before.health_factor >= WAD or not before.collateral_value:
            return None
        account = pool.account(USER)
        debt = max(account.borrowing, key=lambda token: pool.owed(USER, token) * pool.prices[token])
        collateral = max(account.collateral, key=lambda token: pool.supplied(USER, token) * pool.prices[token])
        done = liquidate(pool, LiquidationCall(_LIQUIDATOR, USER, debt, collateral, MAX_UINT256))
        return self._loan_statement(pool, debt, collateral, done, before.health_factor / WAD)

    def _loan_statement(
        self, pool: Pool, debt: str, collateral: str, done: Liquidated, health_factor: float
    ) -> Liquidation:
        """Book what the liquidator did as its repayment and its withdrawal, and debt that nothing backs as burnt."""
        world, after = self._world, pool.account(USER)
        owed, held = debt_key(debt), a_token_key(collateral)
        left = from_ray(after.borrowed.get(debt, 0))
        repaid = from_ray(ray_div(done.debt, pool.reserves[debt].variable_borrow_index))
        burnt = from_ray(pool.reserves[debt].deficit)
        seized = from_ray(after.supplied.get(collateral, 0)) - world.books.units[held]
        closed = left - world.books.units[owed]
        steps = [
            LiquidationStep(DeltaType.LIQUIDATION, OperationType.REPAY, ((owed, -repaid if burnt else closed),)),
            LiquidationStep(DeltaType.LIQUIDATION, OperationType.WITHDRAW, ((held, seized),)),
        ]
        world.books = world.books.applied(delta for step in steps for delta in step.deltas)
        if burnt:
            rest: Deltas = ((owed, -world.books.units[owed]),)
            steps.append(LiquidationStep(DeltaType.LIQUIDATION, OperationType.REPAY, rest))
            world.books = world.books.applied(rest)
        snapshot = world.snapshot
        seized_usd = from_ray(done.collateral + done.protocol_fee) * snapshot.price(collateral)
        repaid_usd = from_ray(done.debt) * snapshot.price(debt)
        loss_usd = burnt * snapshot.price(debt)
        return Liquidation(
            venue="aave_v3",
            steps=tuple(steps),
            closed=(),
            cost_usd=seized_usd - repaid_usd - loss_usd,
            fees_usd=0.0,
            venue_loss_usd=loss_usd,
            facts={
                "health_factor": health_factor,
                "repaid_usd": repaid_usd,
                "seized_usd": seized_usd,
                "venue_loss_usd": loss_usd,
            },
        )


@dataclass
class _Account:
    """One exchange's account while it is liquidated; each step changes the world's balances."""

    world: SimulatedWorld
    venue: str
    steps: list[LiquidationStep] = field(default_factory=list)
    fees_usd: float = 0.0
    venue_loss_usd: float = 0.0

    def __post_init__(self) -> None:
        base = self.world.snapshot.base_asset
        assert base is not None
        self._perp, self._coins = perp_key(self.venue, base), cex_key(self.venue, base)
        self.mark = self.world.snapshot.value_of("perp_mark", self.venue)
        self._margin = cex_key(self.venue, self.world.snapshot.margin_token)

    def close(self) -> None:
        """Close the whole position at its mark, for its profit, taker fee and liquidation fee.

        Where coins beside the margin do not back what is then owed, they are sold first (ADR 0014); what is owed with
        nothing behind it is the venue's loss. So no balance passes below what the venue lets it be.
        """
        world, books = self.world, self.world.books
        units, entry = books.units[self._perp], books.entry_price[self._perp]
        profit = world.snapshot.margin_units(realised_pnl(units, entry, -units, self.mark), self.mark)
        fee_usd = abs(units) * self.mark * world.costs.forced_close_fee(self.venue)
        fee = world.snapshot.margin_units(fee_usd, self.mark)
        self._book(DeltaType.LIQUIDATION, OperationType.PERP_TRADE, ((self._perp, -units),), self.mark)
        world.books = world.books.entered(self._perp, 0.0)
        self._cover(profit - fee)
        if profit != 0.0:
            self._book(DeltaType.REALIZED_PNL, OperationType.PERP_TRADE, ((self._margin, profit),), self.mark)
        self._charge(OperationType.PERP_TRADE, fee)

    def _cover(self, result: float) -> None:
        """Sell coins, and write off the rest, where margin and coins do not bear a result, in the margin token."""
        world = self.world
        coins = 0.0 if self._coins == self._margin else world.books.units.get(self._coins, 0.0)
        price = world.snapshot.value_of("spot_price", self.venue) if coins else 0.0
        if world.books.units[self._margin] + result >= -world.collateral_factor.get(self.venue, 0.0) * coins * price:
            return
        if coins:
            sold: Deltas = ((self._coins, -coins), (self._margin, coins * price))
            self._book(DeltaType.LIQUIDATION, OperationType.SPOT_TRADE, sold, price)
            self._charge(OperationType.SPOT_TRADE, coins * price * world.costs.fee("spot", self.venue))
        missing = -(world.books.units[self._margin] + result)
        if missing > 0.0:
            self.venue_loss_usd = missing * self._margin_price
            self._book(DeltaType.LIQUIDATION, OperationType.PERP_TRADE, ((self._margin, missing),))

    def statement(self, facts: dict[str, float]) -> Liquidation:
        """What was done."""
        return Liquidation(
            venue=self.venue,
            steps=tuple(self.steps),
            closed=(self._perp,),
            cost_usd=self.fees_usd - self.venue_loss_usd,
            fees_usd=self.fees_usd,
            venue_loss_usd=self.venue_loss_usd,
            facts={**facts, "fees_usd": self.fees_usd, "venue_loss_usd": self.venue_loss_usd},
        )

    @property
    def _margin_price(self) -> float:
        snapshot = self.world.snapshot
        return snapshot.price_at(self.venue, snapshot.margin_token)

    def _charge(self, operation: OperationType, fee: float) -> None:
        """Take a fee, in the margin token."""
        if fee > 0.0:
            token = self.world.snapshot.margin_token
            charged = snapped(((self._margin, -fee),), self.world.books.units)
            self._book(DeltaType.FEE, operation, charged, fee=(fee, token))
            self.fees_usd += fee * self._margin_price

    def _book(
        self,
        delta_type: DeltaType,
        operation: OperationType,
        deltas: Deltas,
        price: float | None = None,
        fee: tuple[float, str] = (0.0, ""),
    ) -> None:
        self.world.books = self.world.books.applied(deltas)
        self.steps.append(LiquidationStep(delta_type, operation, deltas, price, fee))
