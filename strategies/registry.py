"""The modes that exist. A new mode is one module here and one YAML file in ``configs/modes``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from strategies import (
    btc_basis,
    eth_basis,
    eth_leveraged,
    eth_staking_only,
    ml_btc_directional_btc_margin,
    ml_btc_directional_usdt_margin,
    pure_lending_eth,
    pure_lending_usdt,
    usdt_market_neutral,
    usdt_market_neutral_no_leverage,
)
from strategies.rules import ModeSpec

MODES: Final[Mapping[str, ModeSpec]] = MappingProxyType(
    {
        module.MODE.mode: module.MODE
        for module in (
            pure_lending_usdt,
            pure_lending_eth,
            btc_basis,
            eth_basis,
            eth_staking_only,
            eth_leveraged,
            usdt_market_neutral_no_leverage,
            usdt_market_neutral,
            ml_btc_directional_usdt_margin,
            ml_btc_directional_btc_margin,
        )
    }
)
"""Mode name to its specification."""
