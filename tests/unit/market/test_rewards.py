"""Payouts of staking rewards: read as they stand, refused where a period cannot be, priced where the DEX trades."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflow.market.history.loading import load_market
from dataflow.market.market import DUST_PRICE, REWARD_FEED, Market, MarketRequest, RewardPayout
from schemas.errors import DataSourceUnavailableError, DataValidationError
from schemas.units import SECONDS_PER_DAY

Table = dict[str, list[str | float]]
Save = Callable[..., Path]

MIDNIGHT = int(np.datetime64("2024-01-01T00:00:00", "s").astype(np.int64))
FIRST_TRADE = np.datetime64("2024-01-01T12:00:00")
EIGEN, ETHFI, DEX = "rewards_etherfi_eigen_weekly", "rewards_etherfi_ethfi_topups", "dex_ohlcv_uniswapv3_eigenweth_1h"
REQUEST = MarketRequest(
    columns=("eth_price", REWARD_FEED), reward_tokens=("EIGEN", "ETHFI"), required_when_used=(DUST_PRICE,)
)


@pytest.fixture
def rewarded(tables: dict[str, Table]) -> dict[str, Table]:
    """The small set with one payout of each token; EIGEN trades from noon of the first day to the end of the second."""
    hours: list[str | float] = [f"{FIRST_TRADE + np.timedelta64(row, 'h')}Z" for row in range(36)]
    tables[EIGEN] = {
        "timestamp": ["2024-01-02T00:00:00Z"],
        "period_start": ["2023-12-28"],
        "period_end": ["2024-01-02"],
        "eigen_earned": [50.0],
        "eth_restaked": [150.0],
        "eth_not_restaked": [100.0],
    }
    tables[ETHFI] = {
        "timestamp": ["2024-01-02T00:00:00Z"],
        "period_start": ["2023-12-20"],
        "period_end": ["2023-12-27"],
        "ethfi_per_eeth_distributed": [0.125],
    }
    tables[DEX] = {"timestamp": hours, "open": [0.002] * 36}
    return tables


def loaded(tables: Mapping[str, Table], save: Save, **options: Any) -> Market:
    return load_market(save(tables, **options), REQUEST)


def day(number: int) -> int:
    """Epoch second of the start of a day, counted from the first of 2024."""
    return MIDNIGHT + number * SECONDS_PER_DAY


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_payouts_are_tokens_for_one_staked_eth(rewarded: dict[str, Table], save: Save, suffix: str) -> None:
    assert loaded(rewarded, save, suffix=suffix).payouts == (
        RewardPayout("EIGEN", day(1), day(-4), day(1), 0.2),
        RewardPayout("ETHFI", day(1), day(-12), day(-5), 0.125),
    )


def test_a_dex_price_holds_for_a_day_and_is_missing_elsewhere(rewarded: dict[str, Table], save: Save) -> None:
    market = loaded(rewarded, save)
    eigen, ethfi = market.columns[DUST_PRICE].T
    assert np.flatnonzero(np.isnan(eigen)).tolist() == list(range(12))
    assert np.isnan(ethfi).all()


def test_a_series_of_payouts_is_needed_from_the_start(rewarded: dict[str, Table], save: Save) -> None:
    del rewarded[ETHFI]
    with pytest.raises(DataSourceUnavailableError) as raised:
        loaded(rewarded, save)
    assert raised.value.context["series"] == ETHFI
    assert raised.value.context["needed_by"] == "payouts.ETHFI"


@pytest.mark.parametrize(
    ("series", "column", "value", "at_fault"),
    [
        pytest.param(EIGEN, "period_end", "2024-01-03", "period_end", id="period-ends-after-the-payout"),
        pytest.param(EIGEN, "period_start", "2024-01-03", "period_end", id="period-ends-before-it-begins"),
        pytest.param(ETHFI, "period_start", "Christmas", "period_start", id="no-day"),
        pytest.param(ETHFI, "ethfi_per_eeth_distributed", -0.1, "ethfi_per_eeth_distributed", id="below-zero"),
    ],
)
def test_a_payout_that_cannot_be_is_refused_with_file_line_and_column(
    rewarded: dict[str, Table], save: Save, series: str, column: str, value: str | float, at_fault: str
) -> None:
    rewarded[series][column] = [value]
    with pytest.raises(DataValidationError) as raised:
        loaded(rewarded, save)
    context = raised.value.context
    assert (context["file"], context["row"], context["column"]) == (f"{series}.csv", 2, at_fault)


def test_a_reward_on_no_staked_eth_is_refused(rewarded: dict[str, Table], save: Save) -> None:
    rewarded[EIGEN] |= {"eth_restaked": [0.0], "eth_not_restaked": [0.0]}
    with pytest.raises(DataValidationError, match="eth_restaked"):
        loaded(rewarded, save)


def test_a_market_without_rewards_reads_none(rewarded: dict[str, Table], save: Save) -> None:
    market = load_market(save(rewarded), MarketRequest(columns=("eth_price",)))
    assert market.payouts == ()
    assert EIGEN not in market.provenance.coverage
