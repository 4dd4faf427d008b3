"""Liquidation of perpetuals at an exchange: what an account is left with.

Source: [domain] ruling 21; what happens to collateral that no longer backs a loan: ADR 0014.
"""

from typing import NamedTuple


class ClosedAccount(NamedTuple):
    """An account at an exchange after its perpetuals were closed.

    margin: in the token that margins perpetuals, >= 0 unless coins back a loan. coins: what is left of the coins beside
    it. venue_loss: what was owed beyond the equity, in the margin token, >= 0.
    """

    margin: float
    coins: float
    venue_loss: float


def closed_account(
    margin: float,
    profit: float,
    fee: float,
    *,
    coins: float = 0.0,
    coin_price: float = 0.0,
    collateral_factor: float = 0.0,
    sale_fee: float = 0.0,
) -> ClosedAccount:
    """The account after a liquidation: profit and fee settled, coins sold where they do not back what is owed.

    margin, profit (> 0 is a gain) and fee (>= 0): in the margin token. coins: base units beside the margin, at
    ``coin_price`` margin tokens each, of which ``collateral_factor`` backs a loan; ``sale_fee`` is a fraction of their
    value. Equity never falls below 0: the rest is the venue's loss.

    >>> closed_account(100.0, -60.0, 0.5)
    ClosedAccount(margin=39.5, coins=0.0, venue_loss=0.0)
    >>> closed_account(0.0, -70.0, 0.5, coins=1.0, coin_price=100.0, collateral_factor=0.95)
    ClosedAccount(margin=-70.5, coins=1.0, venue_loss=0.0)
    >>> closed_account(0.0, -98.0, 0.5, coins=1.0, coin_price=100.0, collateral_factor=0.95, sale_fee=0.01)
    ClosedAccount(margin=0.5, coins=0.0, venue_loss=0.0)
    >>> closed_account(100.0, -120.0, 0.5)
    ClosedAccount(margin=0.0, coins=0.0, venue_loss=20.5)
    """
    left = margin + profit - fee
    if left >= -collateral_factor * coins * coin_price:
        return ClosedAccount(left, coins, 0.0)
    left += coins * coin_price * (1.0 - sale_fee)
    return ClosedAccount(max(left, 0.0), 0.0, max(-left, 0.0))
