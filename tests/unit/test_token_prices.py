"""One price of a token: by name, the same for node, snapshot, pool and fee, and DATA-005 where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.execution.trade_sizes import order_value_usd
from dataflow.graph.prices import price_sources
from dataflow.nodes import market
from schemas.catalogue import TOKENS
from schemas.errors import MissingPriceError
from schemas.intents import supply, swap, withdraw
from schemas.models.config_base import DataColumn
from schemas.operations import StrategyIntent
from schemas.snapshot import MarketSnapshot
from tests.support.modes import MODES
from tests.support.prices import token_prices
from tests.support.runs import prepared

ORACLE, ETH = 1.04, 3_000.0
SNAPSHOT = MarketSnapshot("2024-05-12T00:00:00", {**token_prices(ETH, weETH=ORACLE), "EIGEN": math.nan}, 0.0)
INTENT = StrategyIntent.EXIT_PARTIAL

positive = st.floats(1e-3, 1e6)


@pytest.mark.parametrize("token", ["USDC", "BTC", "EIGEN"])
def test_a_token_without_a_price_is_neither_a_dollar_nor_an_eth(token: str) -> None:
    with pytest.raises(MissingPriceError, match=f"{token} has no price"):
        SNAPSHOT.price(token)


def test_a_staking_token_is_valued_at_its_oracle_ratio_whatever_is_done_with_it() -> None:
    for order in (
        supply("weETH", 2.0, INTENT),
        withdraw("weETH", 2.0, INTENT),
        swap("weETH", "etherfi", 2.0, INTENT),
    ):
        assert order_value_usd(order, SNAPSHOT) == pytest.approx(2.0 * ORACLE * ETH)


@given(
    usdt=st.floats(0.5, 1.5),
    eth=positive,
    btc=positive,
    ratio=st.floats(1.0, 2.0),
    tokens=st.permutations(sorted(TOKENS)),
)
def test_prices_follow_names_in_any_order(usdt: float, eth: float, btc: float, ratio: float, tokens: list[str]) -> None:
    known = {"BTC": btc, "weETH": ratio, "ETH": eth}
    priced = [token for token in tokens if token in ("USDT", "WETH", *known)]
    labels = tuple(token for token in priced if token in known)
    prices = market.token_price_usd(
        [np.array([known[label]]) for label in labels],
        labels,
        np.array([[usdt]]),
        ("USDT",),
        tuple(priced),
        {name: token.claim_on for name, token in TOKENS.items()},
    )
    expected = {"USDT": usdt, "BTC": btc, "ETH": eth, "WETH": eth, "weETH": eth * ratio}
    assert dict(zip(priced, prices[0].tolist(), strict=True)) == expected


@pytest.mark.parametrize("mode", sorted(MODES))
def test_every_token_that_a_mode_holds_has_a_price(mode: str) -> None:
    config = prepared(mode).config
    sources = price_sources(config)
    assert {config.mode.share_class, config.quote_token} <= set(sources.tokens)
    assert set(config.supplied_tokens) | set(config.borrowed_tokens) <= set(sources.tokens)


@pytest.mark.parametrize(
    ("mode", "column"),
    [("pure_lending_eth", DataColumn.ETH_PRICE), ("eth_staking_only", DataColumn.LST_ORACLE_RATIO)],
)
def test_a_mode_that_reads_no_price_of_what_it_holds_is_refused(mode: str, column: DataColumn) -> None:
    config = prepared(mode).config
    asked = tuple(each for each in config.mode.data_requirements if each != column)
    without = config.model_copy(update={"mode": config.mode.model_copy(update={"data_requirements": asked})})
    with pytest.raises(MissingPriceError, match=f"add .*{column.value} to data_requirements"):
        price_sources(without)
