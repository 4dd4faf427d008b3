"""Prices of tokens, as a snapshot has them."""


def token_prices(eth: float, **ratios: float) -> dict[str, float]:
    """USD a unit: a stablecoin at its peg, ETH and WETH at the price given, staking tokens at their oracle ratios."""
    return {"USDT": 1.0, "ETH": eth, "WETH": eth, **{token: ratio * eth for token, ratio in ratios.items()}}
