"""Aave v3: the exact integer model of the contracts, and the float64 view that the columns use.

    float_view       scaled units, indexes and health factor in float64: what nodes, strategies and venues call
    rules            every number, rounding and procedure in which contract versions differ, as one value
    fixed_point      ray, wad and per-cent arithmetic on integers
    reverts          the contracts' reasons for refusing an action, by their own names
    interest         growth factors of the indexes
    interest_rates   borrow and supply rates from usage
    reserve          one reserve: indexes, totals, accrual, rates
    accounts         balances, flags and e-mode of one user; account data (LTV, health factor)
    pool             all reserves and users at one instant, changed by atomic actions
    checks           what the contracts require before or after an action, in their order
    supplying, borrowing, flash_loans, liquidation
                     the actions

The exact model knows no floats; ``schemas.units`` holds the conversions. Only the float view is imported here, so that
those who need no integers do not load them.
"""

from dataflow.maths.lending.float_view import borrow_index, health_factor, supply_index, underlying_of

__all__ = ["borrow_index", "health_factor", "supply_index", "underlying_of"]
