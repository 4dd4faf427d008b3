"""Rewards on the real history agree with a computation that uses the files and the csv module, none of our code."""

import csv
import gzip
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.real.conftest import RealRun

pytestmark = pytest.mark.real_data

START, END = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in ("2024-05-12", "2025-03-31"))
KEEP = ("rewards_mode=base_eigen_seasonal", "dust_delta=1.0", "scenario:gas=false", "scenario:gas_reserve=false")


def rows_of(directory: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(directory / f"{name}.csv.gz", "rt") as file:
        return list(csv.DictReader(file))


def values_of(directory: Path, name: str, column: str) -> dict[datetime, float]:
    return {datetime.fromisoformat(row["timestamp"]): float(row[column]) for row in rows_of(directory, name)}


def test_staked_eth_is_paid_what_the_files_say(real_data: Path, real_run: RealRun) -> None:
    ratio = values_of(real_data, "lst_weeth_oracle_1d", "eth_per_lst")
    staked = 100.0 / ratio[START]
    value = 0.0
    for name, token in (("rewards_etherfi_eigen_weekly", "eigen"), ("rewards_etherfi_ethfi_topups", "ethfi")):
        price = values_of(real_data, f"dex_ohlcv_uniswapv3_{token}weth_1h", "open")
        for row in rows_of(real_data, name):
            paid = datetime.fromisoformat(row["timestamp"])
            first, last = (
                datetime.fromisoformat(f"{row[name]}T00:00:00+00:00") for name in ("period_start", "period_end")
            )
            days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
            mean = sum(staked * ratio[day] for day in days) / len(days)
            rate = (
                float(row["eigen_earned"]) / (float(row["eth_restaked"]) + float(row["eth_not_restaked"]))
                if token == "eigen"
                else float(row["ethfi_per_eeth_distributed"])
            )
            if START < paid <= END:
                value += mean * rate * price[paid]
    summary = real_run("eth_staking_only", overrides=KEEP).summary
    assert value > 0.5
    assert summary.pnl_attribution["staking_yield_rewards"] == pytest.approx(value, rel=1e-12)
    assert abs(summary.unexplained_pnl) <= 1e-9 * summary.initial_capital
