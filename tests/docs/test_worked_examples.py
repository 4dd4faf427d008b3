"""Every mode has a page with an example worked by hand: the engine and the arithmetic of the page give one number each.

A page states its inputs (YAML), its calculation (Python), and in tables every order, every change of a balance and
every part of the P&L, with the expression that gives it. Here the inputs are run and the expressions evaluated.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
import yaml

from tests.docs.markdown import DOCS, fences, tables
from tests.support.modes import MODES
from tests.support.paths import Paths
from tests.support.runs import Event, MemoryRun, prepared, run_in_memory

PAGES: Final = {mode: DOCS / "strategies" / f"{mode}.md" for mode in MODES}


@cache
def inputs_of(mode: str) -> dict[str, Any]:
    """Capital, options, and the paths of the market."""
    (fence,) = (fence for fence in fences(PAGES[mode], "yaml") if fence.checks.get("example") == "inputs")
    inputs: dict[str, Any] = yaml.safe_load(fence.text)
    return inputs


@cache
def run_of(mode: str) -> MemoryRun:
    """The engine on the inputs of the page."""
    inputs = dict(inputs_of(mode))
    capital, options = float(inputs.pop("capital")), tuple(inputs.pop("options", ()))
    backtest = prepared(mode, overrides=options)
    with TemporaryDirectory() as directory:
        return run_in_memory(backtest, Paths(**inputs).market(backtest), Path(directory), capital=capital)


@cache
def by_hand(mode: str) -> dict[str, Any]:
    """The names that the calculation of the page defines."""
    (fence,) = (fence for fence in fences(PAGES[mode], "python") if fence.checks.get("example") == "by-hand")
    names: dict[str, Any] = {}
    exec(fence.text, names)  # noqa: S102 - the arithmetic of our own page
    return names


def table_of(mode: str, heading: str) -> list[list[str]]:
    """Rows of the page's table that begins with a heading."""
    found = next(table for table in tables(PAGES[mode]) if table[0][0] == heading)
    return [[cell.strip("`") for cell in row] for row in found[1:]]


def assert_both_give(shown: str, engine: float, expression: str, mode: str) -> None:
    """Demand that the engine's number and that of the expression are the one that is shown, to its digits."""
    digits = len(shown.partition(".")[2])
    hand = float(eval(expression, by_hand(mode)))  # noqa: S307 - as above
    texts = [f"{value:,.{digits}f}".replace("-0." + "0" * digits, "0." + "0" * digits) for value in (engine, hand)]
    assert texts == [shown, shown], expression


def operations(run: MemoryRun) -> Iterator[tuple[str, Event]]:
    """Row and event of every operation."""
    rows = {str(instant): str(row) for row, instant in enumerate(run.instants)}
    for event in run.events("operation_executions"):
        assert event["status"] == "confirmed"
        yield rows[str(event["timestamp"])], event


def deltas(run: MemoryRun) -> Iterator[tuple[str, str, str, float]]:
    """Row, type, key and amount of every change of a balance."""
    rows = {str(instant): str(row) for row, instant in enumerate(run.instants)}
    for event in run.events("execution_deltas"):
        changes = event["deltas"]
        assert isinstance(changes, Sequence)
        for change in changes:
            yield (
                rows[str(event["timestamp"])],
                str(event["delta_type"]).replace("execution_deltas", str(change["operation_type"])),
                str(change["position_key"]),
                float(change["delta_amount"]),
            )


def parts(run: MemoryRun) -> Mapping[str, float]:
    """Every part of the P&L that the mode attributes, the sum, and the equity that they lead to."""
    names = (*run.backtest.attribution_types, "total_pnl_share_class", "equity_share_class")
    return {name: float(run.column(name)[-1]) for name in names}


@pytest.mark.parametrize("mode", MODES)
def test_the_orders_of_the_page_are_those_of_the_run(mode: str) -> None:
    rows, done = table_of(mode, "Row"), list(operations(run_of(mode)))
    assert [row[:3] for row in rows] == [[row, str(e["operation_type"]), str(e["venue"])] for row, e in done]
    for (*_, amount, expression), (_, event) in zip(rows, done, strict=True):
        assert_both_give(amount, float(str(event["executed_amount"])), expression, mode)


@pytest.mark.parametrize("mode", MODES)
def test_the_deltas_of_the_page_are_those_of_the_run(mode: str) -> None:
    rows, done = table_of(mode, "At"), list(deltas(run_of(mode)))
    assert [tuple(row[:3]) for row in rows] == [change[:3] for change in done]
    for (*_, amount, expression), change in zip(rows, done, strict=True):
        assert_both_give(amount, change[3], expression, mode)


@pytest.mark.parametrize("mode", MODES)
def test_the_parts_of_the_page_are_those_of_the_run(mode: str) -> None:
    run, rows = run_of(mode), table_of(mode, "Part")
    found = parts(run)
    shown = [row[0] for row in rows]
    assert {name for name, value in found.items() if value} <= set(shown) <= set(found)
    for name, amount, expression in rows:
        assert_both_give(amount, found[name], expression, mode)
    assert abs(float(run.column("unexplained_pnl")[-1])) <= 1e-9 * float(run.column("equity_share_class")[0])
