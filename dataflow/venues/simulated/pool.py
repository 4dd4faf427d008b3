"""The lending pool of the simulated world: the contracts' own integers, at the indexes of history.

Before each operation the run's scaled balances are read into an exact pool (``dataflow.maths.lending.pool``), which
mints, burns, rounds, checks and reverts as the contracts do. Every amount passes as a ray, whatever the decimals of its
token: a backtest rounds no balance to them ([domain] ruling 9), and a ray is finer than a float64 can tell. See
``docs/adr/0015-exact-lending-venue.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dataflow.maths.deltas import RESIDUE
from dataflow.maths.lending.accounts import NO_EMODE, Account, EModeCategory
from dataflow.maths.lending.fixed_point import MAX_UINT256, RAY
from dataflow.maths.lending.interest_rates import RateStrategy
from dataflow.maths.lending.pool import Pool, PoolTerms
from dataflow.maths.lending.reserve import Reserve, ReserveTerms
from dataflow.maths.lending.rules import AAVE_V3_6, Rules
from schemas.holdings import Holdings
from schemas.instruments import PositionKey, PositionType
from schemas.snapshot import MarketSnapshot
from schemas.units import BPS, RAY_DECIMALS, exact_ray, to_wei

USER: Final = "run"
"""The account of the run; all others together are the pool's depth."""

_EMODE: Final = NO_EMODE + 1
_PRICE_DECIMALS: Final = 8
"""The oracle's prices are 1e8 a US dollar."""

_DEPTH: Final = 10**12 * RAY
"""What others have supplied to each reserve: more than a run moves, since the data says nothing of it."""

_NO_RATES: Final = RateStrategy(9_000, 0, 0, 0)
"""Indexes come from history, so that the rates which would follow from an operation are nobody's."""


@dataclass(frozen=True)
class LendingTerms:
    """What the pool of a run allows: parameters by token, the e-mode the run is in, the version of the contracts."""

    reserves: Mapping[str, ReserveTerms] = field(default_factory=dict)
    category: EModeCategory | None = None
    rules: Rules = AAVE_V3_6


def reserve_terms(token: str, *, ltv: float, liquidation_threshold: float, liquidation_bonus: float) -> ReserveTerms:
    """Parameters of a reserve, fractions of one; a bonus of 0.05 seizes 5 % more than was repaid.

    >>> reserve_terms("USDT", ltv=0.75, liquidation_threshold=0.78, liquidation_bonus=0.045).liquidation_bonus_bps
    10450
    """
    return ReserveTerms(
        symbol=token,
        decimals=RAY_DECIMALS,
        strategy=_NO_RATES,
        ltv_bps=basis_points(ltv),
        liquidation_threshold_bps=basis_points(liquidation_threshold),
        liquidation_bonus_bps=basis_points(1.0 + liquidation_bonus),
        reserve_factor_bps=0,
    )


def basis_points(fraction: float) -> int:
    """A fraction of one as whole basis points.

    >>> basis_points(0.805)
    8050
    """
    return round(fraction / BPS)


def pool_at(terms: LendingTerms, snapshot: MarketSnapshot, books: Holdings, now: int) -> Pool:
    """The pool at one instant, with what the run has there. now: Unix seconds.

    Errors: MissingPriceError (DATA-005) where the snapshot lacks an index or a price of what the run holds.
    """
    supplied, borrowed = _scaled(books, PositionType.A_TOKEN), _scaled(books, PositionType.DEBT_TOKEN)
    reserves = {
        token: Reserve(
            terms=reserve,
            liquidity_index=exact_ray(snapshot.liquidity_index.get(token, 1.0)),
            variable_borrow_index=exact_ray(snapshot.variable_borrow_index.get(token, 1.0)),
            updated_at=now,
            scaled_supply=_DEPTH + supplied.get(token, 0),
            scaled_debt=borrowed.get(token, 0),
            cash=_DEPTH,
            virtual_balance=_DEPTH,
        )
        for token, reserve in terms.reserves.items()
    }
    account = Account(
        supplied=supplied,
        borrowed=borrowed,
        collateral=frozenset(token for token, units in supplied.items() if units),
        borrowing=frozenset(token for token, units in borrowed.items() if units),
        emode=NO_EMODE if terms.category is None else _EMODE,
    )
    categories = {} if terms.category is None else {_EMODE: terms.category}
    return Pool(
        terms=PoolTerms(rules=terms.rules, categories=categories),
        reserves=reserves,
        prices={token: to_wei(snapshot.price(token), _PRICE_DECIMALS) for token in {**supplied, **borrowed}},
        now=now,
        accounts={USER: account},
    )


def _scaled(books: Holdings, kind: PositionType) -> dict[str, int]:
    """Scaled balances of one kind by underlying token, as rays."""
    keys = ((PositionKey.parse(text), units) for text, units in books.units.items())
    return {key.underlying: exact_ray(max(units, 0.0)) for key, units in keys if key.position_type is kind}


def asked_of(amount: float, held: int) -> int:
    """An amount as the contracts take it: all that is held, where it leaves no more than a residue ([domain] ruling 8).

    held: underlying that is supplied or owed, as a ray.
    """
    wanted = exact_ray(amount)
    return MAX_UINT256 if abs(wanted - held) <= RESIDUE * wanted else wanted
