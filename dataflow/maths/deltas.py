"""Expected changes of balances, one function for each of the twelve operations. [domain] 5.2.

Each function returns (position key, change) pairs, gross of fees, in the unit of the key; ``held`` are the balances
before. A change that would leave no more than 1e-9 of itself behind takes the whole balance (ruling 8).
"""

from collections.abc import Mapping
from typing import Final

from schemas.instruments import PositionKey, a_token_key, cex_key, claim_key, debt_key, lst_key, perp_key, wallet_key
from schemas.units import BPS

Deltas = tuple[tuple[str, float], ...]
Held = Mapping[str, float]

RESIDUE: Final = 1e-9
"""Share of a flow below which what it leaves behind is nothing. [domain] ruling 8."""


def snapped(deltas: Deltas, held: Held) -> Deltas:
    """The same changes, with those that all but empty a balance made to empty it.

    >>> snapped((("wallet:BaseToken:USDT", -100.0),), {"wallet:BaseToken:USDT": 100.00000001})
    (('wallet:BaseToken:USDT', -100.00000001),)
    """
    return tuple(
        (key, -held[key] if held.get(key) and abs(held[key] + change) <= RESIDUE * abs(change) else change)
        for key, change in deltas
    )


def wallet_debit(token: str, amount: float, held: Held) -> Deltas:
    """What the wallet pays: of ETH and WETH, which are one asset, WETH goes first. [domain] ruling 7.

    >>> wallet_debit("WETH", 3.0, {"wallet:BaseToken:WETH": 1.0, "wallet:BaseToken:ETH": 5.0})
    (('wallet:BaseToken:WETH', -1.0), ('wallet:BaseToken:ETH', -2.0))
    """
    if token not in ("ETH", "WETH"):
        return ((wallet_key(token), -amount),)
    wrapped, native = wallet_key("WETH"), wallet_key("ETH")
    from_wrapped = min(amount, max(held.get(wrapped, 0.0), 0.0))
    rest = amount - from_wrapped
    parts = ((wrapped, -from_wrapped), (native, -rest))
    return tuple((key, change) for key, change in parts if abs(change) > RESIDUE * amount)


def fee_deltas(key: str, fee: float, held: Held) -> Deltas:
    """A fee on the balance that pays it, > 0 is paid; ETH of the wallet is paid from WETH first.

    >>> fee_deltas("okx:BaseToken:USDT", 2.0, {})
    (('okx:BaseToken:USDT', -2.0),)
    >>> fee_deltas("wallet:BaseToken:ETH", 2.0, {"wallet:BaseToken:WETH": 5.0})
    (('wallet:BaseToken:WETH', -2.0),)
    """
    parsed = PositionKey.parse(key)
    return wallet_debit(parsed.token, fee, held) if parsed.prefix == "wallet" else ((key, -fee),)


def spot_trade_deltas(venue: str, base_asset: str, direction: int, amount: float, price: float) -> Deltas:
    """Coins against USDT at the executed price.

    >>> spot_trade_deltas("binance", "BTC", 1, 0.5, 60_000.0)
    (('binance:BaseToken:BTC', 0.5), ('binance:BaseToken:USDT', -30000.0))
    """
    return (
        (cex_key(venue, base_asset), direction * amount),
        (cex_key(venue, "USDT"), -direction * amount * price),
    )


def perp_trade_deltas(venue: str, base_asset: str, direction: int, amount: float) -> Deltas:
    """The position alone: realised profit and fees are settlements of their own.

    >>> perp_trade_deltas("okx", "ETH", -1, 2.0)
    (('okx:PerpPosition:ETH-PERP', -2.0),)
    """
    return ((perp_key(venue, base_asset), direction * amount),)


def supply_deltas(token: str, amount: float, supply_index: float, held: Held) -> Deltas:
    """Scaled aToken units for underlying.

    supply_index: scaled units per unit of underlying, the reciprocal of the liquidity index.

    >>> supply_deltas("USDT", 100.0, 0.8, {})
    (('aave:aToken:aUSDT', 80.0), ('wallet:BaseToken:USDT', -100.0))
    """
    source = ((lst_key(token), -amount),) if token in ("weETH", "wstETH") else wallet_debit(token, amount, held)
    return ((a_token_key(token), amount * supply_index), *source)


def withdraw_deltas(token: str, amount: float, supply_index: float, held: Held, *, closes_all: bool = False) -> Deltas:
    """Underlying for scaled aToken units; a full withdrawal burns the whole scaled balance.

    >>> withdraw_deltas("USDT", 100.0, 0.8, {"aave:aToken:aUSDT": 80.5})
    (('aave:aToken:aUSDT', -80.0), ('wallet:BaseToken:USDT', 100.0))
    """
    scaled = held[a_token_key(token)] if closes_all else amount * supply_index
    credited = (lst_key(token) if token in ("weETH", "wstETH") else wallet_key(token), amount)
    return ((a_token_key(token), -scaled), credited)


def borrow_deltas(token: str, amount: float, borrow_index: float) -> Deltas:
    """Underlying for scaled debt units.

    >>> borrow_deltas("WETH", 10.0, 0.5)
    (('aave:debtToken:debtWETH', 5.0), ('wallet:BaseToken:WETH', 10.0))
    """
    return ((debt_key(token), amount * borrow_index), (wallet_key(token), amount))


def repay_deltas(token: str, amount: float, borrow_index: float, held: Held, *, closes_all: bool = False) -> Deltas:
    """Scaled debt units for underlying; a full repayment burns the whole scaled debt.

    >>> repay_deltas("WETH", 10.0, 0.5, {"wallet:BaseToken:WETH": 10.0})
    (('aave:debtToken:debtWETH', -5.0), ('wallet:BaseToken:WETH', -10.0))
    """
    scaled = held[debt_key(token)] if closes_all else amount * borrow_index
    return ((debt_key(token), -scaled), *wallet_debit(token, amount, held))


def stake_deltas(lst: str, amount: float, conversion_rate: float, held: Held) -> Deltas:
    """LST units for ETH or WETH.

    conversion_rate: LST units per ETH, the reciprocal of the oracle ratio.

    >>> stake_deltas("weETH", 2.0, 0.5, {})
    (('etherfi:LST:weETH', 1.0), ('wallet:BaseToken:ETH', -2.0))
    """
    return ((lst_key(lst), amount * conversion_rate), *wallet_debit("ETH", amount, held))


def unstake_deltas(lst: str, amount: float, conversion_rate: float) -> Deltas:
    """A claim on ETH at the protocol for LST units; the queue pays it to the wallet later. [domain] ruling 10.

    amount: LST units.

    >>> unstake_deltas("weETH", 1.0, 0.5)
    (('etherfi:LST:weETH', -1.0), ('etherfi:BaseToken:ETH', 2.0))
    """
    return ((lst_key(lst), -amount), (claim_key(lst), amount / conversion_rate))


def unstake_claim_deltas(claim: str, amount: float, held: Held) -> Deltas:
    """ETH that a withdrawal queue pays to the wallet, as WETH. [domain] rulings 7 and 10.

    claim: key of what the queue owes. amount: ETH; what rounding would leave behind goes too.

    >>> unstake_claim_deltas("etherfi:BaseToken:ETH", 2.0, {"etherfi:BaseToken:ETH": 2.0000000001})
    (('etherfi:BaseToken:ETH', -2.0000000001), ('wallet:BaseToken:WETH', 2.0000000001))
    """
    ((_, change),) = snapped(((claim, -amount),), held)
    return ((claim, change), (wallet_key("WETH"), -change))


def swap_deltas(source_token: str, target_token: str, amount: float, rate: float, held: Held) -> Deltas:
    """One token for another on a DEX.

    rate: target units per source unit after slippage.

    >>> swap_deltas("weETH", "WETH", 2.0, 1.05, {})
    (('etherfi:LST:weETH', -2.0), ('wallet:BaseToken:WETH', 2.1))
    """
    target = lst_key(target_token) if target_token in ("weETH", "wstETH") else wallet_key(target_token)
    if source_token in ("weETH", "wstETH"):
        return ((lst_key(source_token), -amount), (target, amount * rate))
    return (*wallet_debit(source_token, amount, held), (target, amount * rate))


def transfer_deltas(source_venue: str, target_venue: str, token: str, amount: float, held: Held) -> Deltas:
    """A token from one venue to another, one to one; exchanges hold ETH, never WETH.

    >>> transfer_deltas("wallet", "okx", "USDT", 5.0, {})
    (('wallet:BaseToken:USDT', -5.0), ('okx:BaseToken:USDT', 5.0))
    """
    source = (
        wallet_debit(token, amount, held) if source_venue == "wallet" else ((cex_key(source_venue, token), -amount),)
    )
    target = (
        wallet_key(token) if target_venue == "wallet" else cex_key(target_venue, "ETH" if token == "WETH" else token)
    )
    return (*source, (target, amount))


def flash_borrow_deltas(token: str, amount: float) -> Deltas:
    """A loan for the length of one transaction.

    >>> flash_borrow_deltas("WETH", 5.0)
    (('wallet:BaseToken:WETH', 5.0),)
    """
    return ((wallet_key(token), amount),)


def flash_repay_deltas(token: str, amount: float, fee_bps: float, held: Held) -> Deltas:
    """The loan and its fee.

    >>> flash_repay_deltas("WETH", 10_000.0, 5.0, {"wallet:BaseToken:WETH": 20_000.0})
    (('wallet:BaseToken:WETH', -10005.0),)
    """
    return wallet_debit(token, amount * (1.0 + fee_bps * BPS), held)
