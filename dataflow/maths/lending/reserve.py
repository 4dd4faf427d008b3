"""One reserve: parameters, state, accrual of interest, rates.

Indexes and rates are rays, amounts token wei, ``scaled`` amounts are divided by an index and do not move with time.
Source: ReserveLogic.sol, TokenMath.sol, ReserveConfiguration.sol of both versions.
"""

from dataclasses import dataclass, replace

from dataflow.maths.lending.fixed_point import PERCENT, RAY, Rounding, minus, percent_mul, ray_div, ray_mul
from dataflow.maths.lending.interest import debt_growth, supply_growth
from dataflow.maths.lending.interest_rates import RateStrategy, rates_at
from dataflow.maths.lending.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveTerms:
    """Parameters of a reserve. Ratios in basis points, caps in whole tokens (0: none)."""

    symbol: str
    decimals: int
    strategy: RateStrategy
    ltv_bps: int
    liquidation_threshold_bps: int
    liquidation_bonus_bps: int
    """10,500 seizes 5 % more than was repaid."""
    reserve_factor_bps: int
    liquidation_protocol_fee_bps: int = 0
    """Share of the bonus."""
    supply_cap: int = 0
    borrow_cap: int = 0
    is_active: bool = True
    is_paused: bool = False
    is_frozen: bool = False
    is_borrowing_enabled: bool = True
    is_flash_loan_enabled: bool = True

    def __post_init__(self) -> None:
        assert 0 <= self.reserve_factor_bps <= PERCENT, f"{self.symbol}: reserve factor {self.reserve_factor_bps} bps"

    @property
    def unit(self) -> int:
        """Wei of one token."""
        return int(10**self.decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """State of a reserve, as the contracts store it."""

    terms: ReserveTerms
    liquidity_index: int = RAY
    liquidity_rate: int = 0
    variable_borrow_index: int = RAY
    variable_borrow_rate: int = 0
    updated_at: int = 0
    """Unix seconds of the last accrual."""
    accrued_to_treasury: int = 0
    """Scaled."""
    scaled_supply: int = 0
    scaled_debt: int = 0
    cash: int = 0
    """What the aToken contract holds of the underlying."""
    virtual_balance: int = 0
    """Cash that went through the pool (3.1 and later)."""
    deficit: int = 0
    """Bad debt burnt and not yet covered."""


def normalised_income(reserve: Reserve, now: int, rules: Rules) -> int:
    """Liquidity index with the interest since the last update. Source: ReserveLogic.getNormalizedIncome."""
    if reserve.updated_at == now:
        return reserve.liquidity_index
    return ray_mul(supply_growth(reserve.liquidity_rate, now - reserve.updated_at, rules), reserve.liquidity_index)


def normalised_debt(reserve: Reserve, now: int, rules: Rules) -> int:
    """Variable borrow index with the interest since the last update. Source: ReserveLogic.getNormalizedDebt.

    It grows at the base rate even without debt, while the stored index does not.
    """
    if reserve.updated_at == now:
        return reserve.variable_borrow_index
    growth = debt_growth(reserve.variable_borrow_rate, now - reserve.updated_at, rules)
    return ray_mul(growth, reserve.variable_borrow_index)


def accrued(reserve: Reserve, now: int, rules: Rules) -> Reserve:
    """Return the reserve with interest at the old rates up to now, the treasury's share included.

    Source: ReserveLogic.updateState.
    """
    if reserve.updated_at == now:
        return reserve
    income = normalised_income(reserve, now, rules) if reserve.liquidity_rate else reserve.liquidity_index
    debt = normalised_debt(reserve, now, rules) if reserve.scaled_debt else reserve.variable_borrow_index
    treasury = reserve.accrued_to_treasury + _treasury_share(reserve, income, debt, rules)
    return replace(
        reserve, liquidity_index=income, variable_borrow_index=debt, accrued_to_treasury=treasury, updated_at=now
    )


def _treasury_share(reserve: Reserve, next_income: int, next_debt: int, rules: Rules) -> int:
    """Return the scaled supply that the reserve factor earns of new interest. Source: _accrueToTreasury."""
    if rules.accrues_on_index_step:
        interest = ray_mul(reserve.scaled_debt, next_debt - reserve.variable_borrow_index, Rounding.FLOOR)
    else:
        interest = ray_mul(reserve.scaled_debt, next_debt) - ray_mul(reserve.scaled_debt, reserve.variable_borrow_index)
    share = percent_mul(interest, reserve.terms.reserve_factor_bps)
    return ray_div(share, next_income, rules.supply_mint)


def with_rates(reserve: Reserve, rules: Rules, *, added: int = 0, taken: int = 0) -> Reserve:
    """Return the reserve with the rates that follow from the liquidity after an action.

    added, taken: underlying that the action moves in and out, in wei. The virtual balance moves here; cash moves when
    the token is transferred. Source: updateInterestRates (3.0.2), updateInterestRatesAndVirtualBalance (3.6).
    """
    total_debt = ray_mul(reserve.scaled_debt, reserve.variable_borrow_index, rules.debt_balance)
    held = reserve.virtual_balance if rules.has_virtual_balance else reserve.cash
    is_counted = rules.has_virtual_balance or total_debt != 0
    available = minus(held + added, taken) if is_counted else held
    rates = rates_at(
        reserve.terms.strategy,
        total_debt=total_debt,
        available=available,
        deficit=reserve.deficit,
        reserve_factor_bps=reserve.terms.reserve_factor_bps,
        rules=rules,
    )
    return replace(
        reserve,
        liquidity_rate=rates.liquidity,
        variable_borrow_rate=rates.variable_borrow,
        virtual_balance=available if rules.has_virtual_balance else reserve.virtual_balance,
    )


def with_premium_in_index(reserve: Reserve, premium: int, rules: Rules) -> Reserve:
    """Return the reserve whose suppliers have shared a flash premium through the index (3.0.2).

    Source: ReserveLogic.cumulateToLiquidityIndex as _handleFlashLoanRepayment calls it.
    """
    supply = ray_mul(reserve.scaled_supply, reserve.liquidity_index, rules.supply_balance)
    total = supply + ray_mul(reserve.accrued_to_treasury, reserve.liquidity_index, rules.supply_balance)
    return replace(reserve, liquidity_index=ray_mul(ray_div(premium, total) + RAY, reserve.liquidity_index))
