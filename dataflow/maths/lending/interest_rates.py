"""Borrow and supply rates from usage: two slopes with a kink at the optimal usage ratio.

Source: DefaultReserveInterestRateStrategy.sol (3.0.2), DefaultReserveInterestRateStrategyV2.sol (3.6).
"""

from dataclasses import dataclass
from typing import Final

from dataflow.maths.lending.fixed_point import PERCENT, RAY, RAYS_PER_WAD, minus, percent_mul, ray_div, ray_mul
from dataflow.maths.lending.rules import Rules

_RAY_OF_BASIS_POINT: Final = RAY // PERCENT


@dataclass(frozen=True, slots=True)
class RateStrategy:
    """Parameters of the curve, in basis points as the configurator takes them; ``optimal_usage`` 100 to 9900."""

    optimal_usage_bps: int
    base_bps: int
    slope1_bps: int
    slope2_bps: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates a year, rays."""

    liquidity: int
    variable_borrow: int


def rates_at(
    strategy: RateStrategy, *, total_debt: int, available: int, deficit: int, reserve_factor_bps: int, rules: Rules
) -> Rates:
    """Rates of a reserve after an action.

    total_debt, available, deficit: token wei; ``available`` is what is left to borrow after the action.
    Source: calculateInterestRates.
    """
    if total_debt == 0:
        return Rates(0, strategy.base_bps * _RAY_OF_BASIS_POINT)
    usage = ray_div(total_debt, available + total_debt)
    borrow_rate = _borrow_rate(strategy, usage)
    earning = _averaged(borrow_rate, total_debt) if rules.averages_borrow_rate else borrow_rate
    supply_usage = ray_div(total_debt, available + total_debt + deficit)
    liquidity = percent_mul(ray_mul(earning, supply_usage), PERCENT - reserve_factor_bps)
    return Rates(liquidity, borrow_rate)


def _borrow_rate(strategy: RateStrategy, usage: int) -> int:
    """Return the variable borrow rate at a usage ratio (both rays)."""
    base = strategy.base_bps * _RAY_OF_BASIS_POINT
    slope1 = strategy.slope1_bps * _RAY_OF_BASIS_POINT
    optimal = strategy.optimal_usage_bps * _RAY_OF_BASIS_POINT
    if usage <= optimal:
        return base + ray_div(ray_mul(slope1, usage), optimal)
    excess = ray_div(minus(usage, optimal), RAY - optimal)
    return base + slope1 + ray_mul(strategy.slope2_bps * _RAY_OF_BASIS_POINT, excess)


def _averaged(borrow_rate: int, total_debt: int) -> int:
    """Return the rate averaged over the debt, of which all is variable. Source: _getOverallBorrowRate, 3.0.2."""
    debt = total_debt * RAYS_PER_WAD
    return ray_div(ray_mul(debt, borrow_rate), debt)
