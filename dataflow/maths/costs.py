"""What a trade or a transaction costs: fees, slippage by size, gas.

Strategy and simulated venue price with the same model, so that in a backtest the expected and the executed price are
one number. Slippage moves the executed price away from the mid price; the fee is charged beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from schemas.units import BPS

GWEI: Final = 1e-9
"""ETH per gwei."""

Product = Literal["spot", "perp", "swap"]


@dataclass(frozen=True, slots=True)
class Slippage:
    """Slippage of a pair by size of the order.

    bucket_bps: basis points in the first, second and last bucket. bounds_usd: notional up to which the first and the
    second hold. Source: [domain] 4.6.
    """

    bucket_bps: tuple[float, float, float]
    bounds_usd: tuple[float, float]

    def fraction(self, notional_usd: float) -> float:
        """Slippage of a market order of one size at mid, USD, >= 0, as a fraction of one, >= 0.

        >>> pair = Slippage((5.0, 7.0, 13.0), (50_000.0, 500_000.0))
        >>> [round(pair.fraction(notional), 6) for notional in (50_000.0, 50_000.01, 1e6)]
        [0.0005, 0.0007, 0.0013]
        """
        for bound, bps in zip(self.bounds_usd, self.bucket_bps[:2], strict=True):
            if notional_usd <= bound:
                return bps * BPS
        return self.bucket_bps[2] * BPS


@dataclass(frozen=True)
class CostModel:
    """Fees, slippage and gas of a run; a scenario switches each off by zero rates.

    taker_fee: (product, venue) to fraction of notional. slippage_by_pair: (product, venue, pair) to its slippage.
    gas_units: operation to gas units. flash_fee_bps: fee of a flash loan. liquidation_fee: exchange to fraction of the
    notional of a perpetual that it closes, beside the taker fee.
    Sources: [domain] rulings 12, 13 and 21, section 4.6.
    """

    taker_fee: Mapping[tuple[Product, str], float]
    slippage_by_pair: Mapping[tuple[Product, str, str], Slippage]
    gas_units: Mapping[str, float]
    gas_charged: bool
    flash_fee_bps: float = 0.0
    liquidation_fee: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def free(cls) -> "CostModel":
        """A world without costs.

        >>> CostModel.free().fee("spot", "binance")
        0.0
        """
        return cls(taker_fee={}, slippage_by_pair={}, gas_units={}, gas_charged=False)

    def fee(self, product: Product, venue: str) -> float:
        """Taker fee as a fraction of notional; 0 where the run charges none."""
        return self.taker_fee[product, venue] if self.taker_fee else 0.0

    def forced_close_fee(self, venue: str) -> float:
        """What an exchange charges for closing a perpetual itself, as a fraction of notional: taker fee and its own.

        Source: [domain] ruling 21.

        >>> CostModel({("perp", "okx"): 0.0005}, {}, {}, False, liquidation_fee={"okx": 0.005}).forced_close_fee("okx")
        0.0055
        """
        return self.fee("perp", venue) + (self.liquidation_fee[venue] if self.liquidation_fee else 0.0)

    def slippage(self, product: Product, venue: str, pair: str, notional_usd: float) -> float:
        """Slippage of one order as a fraction of its mid price; 0 where the run charges none."""
        if not self.slippage_by_pair:
            return 0.0
        return self.slippage_by_pair[product, venue, pair].fraction(notional_usd)

    def executed_price(
        self, product: Product, venue: str, pair: str, *, direction: int, mid_price: float, amount: float
    ) -> float:
        """Price a market order fills at: mid moved against the taker.

        direction: +1 buys, -1 sells. mid_price: quote per base. amount: base units, > 0.

        >>> CostModel.free().executed_price("spot", "binance", "BTCUSDT", direction=1, mid_price=100.0, amount=2.0)
        100.0
        """
        return mid_price * (1.0 + direction * self.slippage(product, venue, pair, amount * mid_price))

    def gas_usd(self, operation: str, gas_unit_usd: float) -> float:
        """Gas of one operation in USD; 0 where the run charges none."""
        return self.gas_units[operation] * gas_unit_usd if self.gas_charged else 0.0
