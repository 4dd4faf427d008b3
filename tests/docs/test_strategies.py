"""The worked examples of the strategy pages: the engine, run on their few rows, gives the numbers that stand there."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
import pytest

from dataflow.services.backtest import BacktestRequest, run_backtest
from schemas.decisions import DecisionRule
from schemas.models.results import RunSummary
from strategies.basis import rules as basis
from strategies.lending import rules as lending
from tests.docs.markdown import DOCS, fences, tables

LENDING: Final = DOCS / "strategies" / "pure_lending.md"
BASIS: Final = DOCS / "strategies" / "basis.md"
HOURS: Final = [f"2024-01-0{1 + hour // 24}T{hour % 24:02d}:00:00Z" for hour in range(25)]
SETTLEMENTS: Final = HOURS[::8]


def write_my_data(directory: Path) -> Path:
    """The data set that running.md shows."""
    directory.mkdir()
    for fence in fences(DOCS / "running.md", "csv"):
        (directory / fence.checks["file"]).write_text(f"{fence.text}\n", encoding="utf-8")
    return directory


def write_basis_data(directory: Path) -> Path:
    """25 hours at one price, but for the last one, when coin and perpetual have risen."""
    directory.mkdir()

    def series(name: str, column: str, hours: Sequence[str], value: Callable[[str], float]) -> None:
        rows = "".join(f"{hour},{value(hour)}\n" for hour in hours)
        (directory / f"{name}.csv").write_text(f"timestamp,{column}\n{rows}", encoding="utf-8")

    def candles(name: str, first: float, last: float) -> None:
        series(name, "open,high,low,close,volume", HOURS, lambda hour: last if hour == HOURS[-1] else first)
        path = directory / f"{name}.csv"
        text = re.sub(r",([\d.]+)$", r",\1,\1,\1,\1,1", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")

    for venue in ("binance", "bybit"):
        candles(f"spot_ohlcv_{venue}_btcusdt_1h", 50_000.0, 51_000.0)
    for venue in ("binance", "bybit", "okx"):
        candles(f"perp_ohlcv_{venue}_btcusdt_1h", 50_000.0, 51_010.0)
        series(f"funding_{venue}_btcusdt", "funding_rate", SETTLEMENTS, lambda _: 0.0001)
    candles("spot_ohlcv_binance_ethusdt_1h", 2_000.0, 2_000.0)
    series("gas_prices_1h", "gas_price_avg_gwei", HOURS, lambda _: 10.0)
    return directory


def run(mode: str, data: Path, capital: float, start: str | None = None) -> RunSummary:
    request = BacktestRequest(
        mode=mode, data=str(data), capital=capital, start=start, logs=data / "logs", results=data / "results"
    )
    return run_backtest(request).summary


def table_of(page: Path, heading: str) -> dict[str, str]:
    """First cell to last cell of the table whose first heading is given."""
    rows = next(table for table in tables(page) if table[0][0] == heading)
    return {row[0].strip("`"): row[-1].replace(",", "") for row in rows[1:]}


def assert_shown(shown: Mapping[str, str], actual: Mapping[str, float]) -> None:
    """Every number of the page is the engine's, to the digits that stand there."""
    assert shown
    for name, text in shown.items():
        digits = len(text.partition(".")[2])
        assert f"{actual[name] + 0.0:.{digits}f}" == text, name


def assert_page_agrees(page: Path, summary: RunSummary) -> None:
    numbers = {**summary.pnl_attribution, **summary.model_dump(include={"total_pnl_share_class", "final_equity"})}
    assert_shown(table_of(page, "Summary"), numbers)
    assert summary.log_dir is not None
    last = (Path(summary.log_dir) / "events" / "positions.jsonl").read_bytes().splitlines()[-1]
    assert_shown(table_of(page, "Position key"), orjson.loads(last)["positions"])


def test_lending_gives_the_numbers_of_its_page(tmp_path: Path) -> None:
    summary = run("pure_lending_usdt", write_my_data(tmp_path / "my_data"), 1_000.0)
    assert_page_agrees(LENDING, summary)


def test_basis_gives_the_numbers_of_its_page(tmp_path: Path) -> None:
    summary = run("btc_basis", write_basis_data(tmp_path / "data"), 10_042.0, "2024-01-01T16:00")
    assert_page_agrees(BASIS, summary)


@pytest.mark.parametrize(("page", "rules"), [(LENDING, lending.RULES), (BASIS, basis.RULES)])
def test_the_page_lists_the_rules_in_their_priority(page: Path, rules: Sequence[DecisionRule]) -> None:
    table = next(table for table in tables(page) if table[0][0] == "Rule")
    listed = [(row[0], row[1].strip("`"), row[3]) for row in table[1:-1]]
    assert listed == [(str(rule.code), rule.reason, rule.decision_type.value) for rule in rules]
