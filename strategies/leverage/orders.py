"""Orders of a leveraged staking position: enter, increase, reduce, leave; by flash loan, or in a sequential loop."""

from dataclasses import dataclass

from dataflow.maths.costs import CostModel
from dataflow.maths.deltas import RESIDUE
from dataflow.maths.leverage import LoopTerms, entry_loan, increase_loan, loop_loans, repayment
from schemas.instruments import LST_VENUES
from schemas.intents import (
    OrderIntent,
    atomic_group,
    borrow,
    flash_borrow,
    flash_repay,
    repay,
    stake,
    supply,
    swap,
    withdraw,
)
from schemas.operations import StrategyIntent
from schemas.units import BPS

_ENTRY_GAS, _EXIT_GAS = "atomic_entry", "atomic_deleverage_one_swap"
_GROUP = "leverage"
_ROUND_IN, _ROUND_OUT, _SALE = ("borrow", "stake", "supply"), ("withdraw", "swap", "repay"), ("withdraw", "swap")


@dataclass(frozen=True, slots=True)
class _Unwinding:
    """Orders that take leverage off, and the WETH that they leave after debt, fees and their own gas."""

    orders: list[OrderIntent]
    proceeds: float


@dataclass(frozen=True, slots=True)
class LeverageBook:
    """The position at one row.

    collateral_lst: staking tokens supplied. debt_eth: WETH owed. oracle_ratio, market_ratio: ETH per token.
    gas_unit_usd: USD a gas unit. loop: terms of the sequential loop, None where leverage comes from a flash loan.
    """

    lst: str
    collateral_lst: float
    debt_eth: float
    oracle_ratio: float
    market_ratio: float
    eth_price: float
    gas_unit_usd: float
    target_ltv: float
    loop: LoopTerms | None
    costs: CostModel

    @property
    def collateral_eth(self) -> float:
        """Collateral at the oracle ratio, ETH."""
        return self.collateral_lst * self.oracle_ratio

    def enter(self, own_eth: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Stake own ETH at the target leverage; a target of 0 needs no loan and no group."""
        if self.loop is not None:
            return self._staked(own_eth, intent) + self._loop_in(own_eth, intent)
        loan = entry_loan(own_eth, self.target_ltv, self._flash_fee)
        if loan == 0.0:
            return self._staked(own_eth, intent)
        return self._lever(own_eth, loan, intent)

    def increase(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Borrow and stake more until the loan-to-value is the target."""
        if self.loop is not None:
            return self._loop_in(0.0, intent)
        return self._lever(
            0.0, increase_loan(self.collateral_eth, self.debt_eth, self.target_ltv, self._flash_fee), intent
        )

    def reduce(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Sell collateral and repay until the loan-to-value is the target."""
        cost = self._exit_cost(self.collateral_eth)
        owed = repayment(self.collateral_eth, self.debt_eth, self.target_ltv, cost)
        cost = self._exit_cost(owed / (1.0 - cost))
        owed = repayment(self.collateral_eth, self.debt_eth, self.target_ltv, cost)
        if (looped := self._loop_out(owed, intent)) is not None:
            return looped.orders
        sold = min(owed * (1.0 + self._flash_fee) / (1.0 - cost) / self.oracle_ratio, self.collateral_lst)
        return self._unwind(owed, sold, intent)

    def leave_share(self, share: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Repay a share of the debt, withdraw the same share of the collateral and sell it. [domain] ruling 19."""
        return self._leaving(share, intent).orders

    def slice_proceeds(self, share: float) -> float:
        """WETH that a share of the position leaves after its debt, the loan's fee and gas are paid."""
        return self._leaving(share, StrategyIntent.EXIT_PARTIAL).proceeds

    def entry_gas_eth(self, own_eth: float) -> float:
        """Gas of entering with own ETH, in ETH."""
        if self.loop is None:
            return self._gas_eth(_ENTRY_GAS)
        rounds = len(self._loans(own_eth))
        return self._gas_eth("stake", "supply") + rounds * self._gas_eth(*_ROUND_IN)

    def free(self, own_eth: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Unwind the share that brings at least so much WETH to the wallet, or everything.

        What a whole exit loses a unit bounds what a slice does, so the slice always suffices.
        """
        whole = self.slice_proceeds(1.0)
        return self.leave_share(own_eth / whole if own_eth < whole else 1.0, intent)

    def leave(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Repay everything, withdraw everything and sell it; what is left is WETH in the wallet."""
        return self.leave_share(1.0, intent)

    def _leaving(self, share: float, intent: StrategyIntent) -> _Unwinding:
        """Take off a share of the position: in a loop where that is the route and there is room, else in one group."""
        owed, sold_eth = share * self.debt_eth, share * self.collateral_eth
        looped = self._loop_out(owed, intent, sold_eth, closes_all=share == 1.0)
        if looped is not None:
            return looped
        kept = sold_eth * (1.0 - self._exit_cost(sold_eth))
        return _Unwinding(
            self._unwind(owed, share * self.collateral_lst, intent, closes_all=share == 1.0),
            kept - owed * (1.0 + self._flash_fee) - self._gas_eth(_EXIT_GAS),
        )

    # -- the sequential loop

    def _staked(self, amount: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Stake ETH and supply what it gives."""
        return [
            stake(self.lst, LST_VENUES[self.lst], amount, intent),
            supply(self.lst, amount / self.oracle_ratio, intent),
        ]

    def _loans(self, own_eth: float) -> list[float]:
        assert self.loop is not None
        least = self.loop.stop_usd / self.eth_price
        return loop_loans(self.collateral_eth + own_eth, self.debt_eth, self.target_ltv, least)

    def _loop_in(self, own_eth: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Borrow up to the target, stake and supply what was borrowed, again and again until a loan is too small."""
        return [
            order
            for loan in self._loans(own_eth)
            for order in (borrow("WETH", loan, intent), *self._staked(loan, intent))
        ]

    def _loop_out(
        self, owed: float, intent: StrategyIntent, sold_eth: float | None = None, *, closes_all: bool = False
    ) -> _Unwinding | None:
        """Withdraw down to the limit, sell, repay, again and again; then withdraw and sell the rest of ``sold_eth``.

        Each round pays its gas out of what it sold. None where the route is not the loop, or where the position is too
        close to its limit for a round that is worth its gas: a flash loan is then the only way out.
        """
        if self.loop is None:
            return None
        orders: list[OrderIntent] = []
        collateral, debt, left, proceeds = self.collateral_eth, self.debt_eth, owed, 0.0
        gas = self._gas_eth(*_ROUND_OUT)
        while left > 0.0:
            needed = self._sale_for(left + gas)
            sale = min(collateral - debt / self.loop.ltv_limit, needed)
            paid = left if sale == needed else sale * (1.0 - self._exit_cost(max(sale, 0.0))) - gas
            if sale <= 0.0 or paid <= 0.0:
                return None
            orders += self._sold(sale, intent)
            orders.append(repay("WETH", paid, intent, closes_all=closes_all and paid == left))
            collateral, debt, left = collateral - sale, debt - paid, left - paid
        rest = 0.0 if sold_eth is None else sold_eth - (self.collateral_eth - collateral)
        if rest > RESIDUE * self.collateral_eth:
            orders += self._sold(rest, intent, closes_all=closes_all)
            proceeds = rest * (1.0 - self._exit_cost(rest)) - self._gas_eth(*_SALE)
        return _Unwinding(orders, proceeds)

    def _sold(self, amount: float, intent: StrategyIntent, *, closes_all: bool = False) -> list[OrderIntent]:
        """Withdraw collateral worth so much ETH at the oracle, and sell it."""
        tokens = amount / self.oracle_ratio
        return [
            withdraw(self.lst, tokens, intent, closes_all=closes_all),
            swap(self.lst, LST_VENUES[self.lst], tokens, intent),
        ]

    def _sale_for(self, received: float) -> float:
        """ETH at the oracle whose sale brings so much WETH; the slippage is that of the sale's size."""
        sale = received / (1.0 - self._exit_cost(received))
        return received / (1.0 - self._exit_cost(sale))

    # -- the atomic group

    def _unwind(
        self, owed: float, sold: float, intent: StrategyIntent, *, closes_all: bool = False
    ) -> list[OrderIntent]:
        """One group that repays ``owed`` WETH out of ``sold`` staking tokens; without a debt there is no loan in it."""
        freed = [
            withdraw(self.lst, sold, intent, closes_all=closes_all),
            swap(self.lst, LST_VENUES[self.lst], sold, intent),
        ]
        if owed == 0.0:
            return atomic_group(_GROUP, _EXIT_GAS, freed)
        loan = [flash_borrow("WETH", owed, intent), repay("WETH", owed, intent, closes_all=closes_all)]
        return atomic_group(
            _GROUP, _EXIT_GAS, [*loan, *freed, flash_repay("WETH", owed, self.costs.flash_fee_bps, intent)]
        )

    def _lever(self, own_eth: float, loan: float, intent: StrategyIntent) -> list[OrderIntent]:
        fee_bps = self.costs.flash_fee_bps
        return atomic_group(
            _GROUP,
            _ENTRY_GAS,
            [
                flash_borrow("WETH", loan, intent),
                stake(self.lst, LST_VENUES[self.lst], own_eth + loan, intent),
                supply(self.lst, (own_eth + loan) / self.oracle_ratio, intent),
                borrow("WETH", loan * (1.0 + self._flash_fee), intent),
                flash_repay("WETH", loan, fee_bps, intent),
            ],
        )

    @property
    def _flash_fee(self) -> float:
        return self.costs.flash_fee_bps * BPS

    def _gas_eth(self, *items: str) -> float:
        return sum(self.costs.gas_usd(item, self.gas_unit_usd) for item in items) / self.eth_price

    def _exit_cost(self, sold_eth: float) -> float:
        """Share of the oracle value that selling this much loses: slippage and the gap of the market to the oracle."""
        slippage = self.costs.slippage("swap", "uniswap", f"ETH{self.lst}", sold_eth * self.eth_price)
        return 1.0 - self.market_ratio / self.oracle_ratio * (1.0 - slippage)
