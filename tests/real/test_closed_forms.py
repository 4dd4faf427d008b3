"""Must-show 2: without costs and after one entry, each mode meets the closed form computed without any code of ours.

The numbers are read from the table in ``../shared/data/expected.md``, to 1e-6 of capital.
"""

from pathlib import Path

import pytest

from tests.real.conftest import HOURLY_MODES, RealRun
from tests.support.markets import BASIS_MODES

pytestmark = pytest.mark.real_data

OF_CAPITAL = 1e-6
FRICTIONLESS = ("frictionless",)
UNHEDGED = ("pure_lending_usdt", "pure_lending_eth", "eth_staking_only", "eth_leveraged")
COLUMNS = ("equity", "funding", "basis")


@pytest.fixture(scope="module")
def expected(real_data: Path) -> dict[str, dict[str, float]]:
    """Final equity, funding part and basis part by mode, where the table gives them."""
    table: dict[str, dict[str, float]] = {}
    for line in (real_data / "expected.md").read_text().splitlines():
        mode, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if mode in HOURLY_MODES:
            numbers = (cell.partition(" ")[0].replace(",", "") for cell in cells)
            table[mode] = {name: float(number) for name, number in zip(COLUMNS, numbers, strict=True) if number}
    return table


@pytest.mark.parametrize("mode", HOURLY_MODES)
def test_final_equity_meets_the_closed_form(
    mode: str, real_run: RealRun, expected: dict[str, dict[str, float]]
) -> None:
    summary = real_run(mode, scenarios=FRICTIONLESS).summary
    assert summary.final_equity == pytest.approx(expected[mode]["equity"], abs=OF_CAPITAL * summary.initial_capital)


@pytest.mark.parametrize("mode", [mode for mode in HOURLY_MODES if mode not in UNHEDGED])
def test_funding_part_meets_the_closed_form(
    mode: str, real_run: RealRun, expected: dict[str, dict[str, float]]
) -> None:
    summary = real_run(mode, scenarios=FRICTIONLESS).summary
    tolerance = OF_CAPITAL * summary.initial_capital
    assert summary.pnl_attribution["funding_pnl"] == pytest.approx(expected[mode]["funding"], abs=tolerance)


@pytest.mark.parametrize("mode", BASIS_MODES)
def test_basis_part_meets_the_closed_form_and_a_hedge_earns_no_delta(
    mode: str, real_run: RealRun, expected: dict[str, dict[str, float]]
) -> None:
    summary = real_run(mode, scenarios=FRICTIONLESS).summary
    tolerance = OF_CAPITAL * summary.initial_capital
    assert summary.pnl_attribution["basis_pnl"] == pytest.approx(expected[mode]["basis"], abs=tolerance)
    assert summary.pnl_attribution["delta_pnl"] == pytest.approx(0.0, abs=tolerance)


@pytest.mark.parametrize("mode", HOURLY_MODES)
def test_frictionless_enters_once_and_pays_nothing(mode: str, real_run: RealRun) -> None:
    summary = real_run(mode, scenarios=FRICTIONLESS).summary
    assert summary.decisions == {"entry": 1, "hold": summary.steps - 1}
    assert summary.total_fees == 0.0
    assert summary.pnl_attribution["transaction_costs"] == 0.0
    assert abs(summary.unexplained_pnl) <= 1e-9 * summary.initial_capital
