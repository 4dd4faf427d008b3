"""Orders of a leveraged staking position: enter, increase, reduce, leave."""

from dataclasses import dataclass

from dataflow.maths.costs import CostModel
from dataflow.maths.leverage import entry_loan, increase_loan, repayment
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


@dataclass(frozen=True, slots=True)
class LeverageBook:
    """The position at one row.

    collateral_lst: staking tokens supplied. debt_eth: WETH owed. oracle_ratio, market_ratio: ETH per token.
    """

    lst: str
    collateral_lst: float
    debt_eth: float
    oracle_ratio: float
    market_ratio: float
    eth_price: float
    target_ltv: float
    costs: CostModel

    @property
    def collateral_eth(self) -> float:
        """Collateral at the oracle ratio, ETH."""
        return self.collateral_lst * self.oracle_ratio

    def enter(self, own_eth: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Stake own ETH at the target leverage; a target of 0 needs no loan and no group."""
        loan = entry_loan(own_eth, self.target_ltv, self._flash_fee)
        if loan == 0.0:
            return [
                stake(self.lst, LST_VENUES[self.lst], own_eth, intent),
                supply(self.lst, own_eth / self.oracle_ratio, intent),
            ]
        return self._lever(own_eth, loan, intent)

    def increase(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Borrow and stake more until the loan-to-value is the target."""
        return self._lever(
            0.0, increase_loan(self.collateral_eth, self.debt_eth, self.target_ltv, self._flash_fee), intent
        )

    def reduce(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Sell collateral and repay until the loan-to-value is the target."""
        cost = self._exit_cost(self.collateral_eth)
        owed = repayment(self.collateral_eth, self.debt_eth, self.target_ltv, cost)
        cost = self._exit_cost(owed / (1.0 - cost))
        owed = repayment(self.collateral_eth, self.debt_eth, self.target_ltv, cost)
        sold = min(owed * (1.0 + self._flash_fee) / (1.0 - cost) / self.oracle_ratio, self.collateral_lst)
        return self._unwind(owed, sold, intent)

    def leave_share(self, share: float, intent: StrategyIntent) -> list[OrderIntent]:
        """Repay a share of the debt, withdraw the same share of the collateral and sell it. [domain] ruling 19."""
        return self._unwind(share * self.debt_eth, share * self.collateral_lst, intent, closes_all=share == 1.0)

    def slice_proceeds(self, share: float) -> float:
        """WETH that a share of the position leaves after its debt and the loan's fee are paid."""
        sold_eth = share * self.collateral_eth
        kept = sold_eth * (1.0 - self._exit_cost(sold_eth))
        return kept - share * self.debt_eth * (1.0 + self._flash_fee)

    def leave(self, intent: StrategyIntent) -> list[OrderIntent]:
        """Repay everything, withdraw everything and sell it; what is left is WETH in the wallet."""
        return self.leave_share(1.0, intent)

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

    def _exit_cost(self, sold_eth: float) -> float:
        """Share of the oracle value that selling this much loses: slippage and the gap of the market to the oracle."""
        slippage = self.costs.slippage("swap", "uniswap", f"ETH{self.lst}", sold_eth * self.eth_price)
        return 1.0 - self.market_ratio / self.oracle_ratio * (1.0 - slippage)
