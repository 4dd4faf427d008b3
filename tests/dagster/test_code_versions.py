"""A node's code version changes with what it computes with, and with nothing else.

It covers the node's own source, the functions, classes and constants of ours that it reaches, and its ancestors; prose
does not count. Versions are read from source files, so the tests write small packages beside the real ones.
"""

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from dagster_project import code_versions as versions
from dagster_project.code_versions import Symbol, code_versions, source_of
from dataflow.config.files import load_run_config
from dataflow.engine.backtest import Backtest

Package = Callable[..., dict[Symbol, str]]

NUMBERS = count()

NODE = '''
from {package}.maths import accrued, settings
from {package} import maths as rates

LIMIT = 3


def interest(units, limit):
    """Interest."""
    return accrued(units) + rates.rate(settings) + {constant}
'''
MATHS = '''
settings = {{"day": {days}}}


def accrued(units):
    """{prose}"""
    return _scaled(units)  # {prose}


def _scaled(units):
    return units * {factor}


def rate(given):
    return given["day"]


def limit():
    return {unrelated}
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Writes a package of ours and gives the source that its node reaches."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**changes: object) -> dict[Symbol, str]:
        name = f"fake_package_{next(NUMBERS)}"
        said = {"constant": 0, "days": 365, "prose": "Accrued.", "factor": 2, "unrelated": 1, **changes}
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "node.py").write_text(NODE.format(package=name, constant=said["constant"]))
        (tmp_path / name / "maths.py").write_text(MATHS.format(**said))
        monkeypatch.setattr(versions, "_OURS", (name,))
        found = source_of(Symbol(f"{name}.node", "interest"))
        for module in [each for each in sys.modules if each.startswith(name)]:
            monkeypatch.delitem(sys.modules, module)
        return {Symbol(symbol.module.removeprefix(name), symbol.name): text for symbol, text in found.items()}

    return write


def test_source_reaches_functions_constants_and_modules_but_not_namesakes_of_parameters(package: Package) -> None:
    found = {(symbol.module, symbol.name) for symbol in package()}
    assert found == {
        (".node", "interest"),
        (".maths", "accrued"),
        (".maths", "_scaled"),
        (".maths", "rate"),
        (".maths", "settings"),
    }


@pytest.mark.parametrize("change", [{"constant": 1}, {"factor": 3}, {"days": 366}])
def test_source_changes_with_what_is_computed(package: Package, change: dict[str, object]) -> None:
    assert package(**change) != package()


@pytest.mark.parametrize("change", [{"prose": "Said otherwise."}, {"unrelated": 2}])
def test_source_does_not_change_with_prose_or_with_what_is_not_reached(
    package: Package, change: dict[str, object]
) -> None:
    assert package(**change) == package()


def test_a_change_reaches_the_node_and_its_descendants_only(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Backtest(load_run_config("btc_basis").config).graph
    before = code_versions(graph)
    real = versions.source_of

    def changed(symbol: Symbol) -> dict[Symbol, str]:
        found = dict(real(symbol))
        return {**found, symbol: "changed"} if symbol.name == "funding_flow" else found

    monkeypatch.setattr(versions, "source_of", changed)
    after = code_versions(graph)
    differing = {name for name in before if before[name] != after[name]}
    assert {"funding_flow", "quote_units", "funding_pnl", "equity_usd", "decision"} <= differing
    assert not differing & {"wallet_units", "perp_units", "funding_trailing_apr", "basis_pnl"}


def test_the_maths_that_a_node_calls_is_covered() -> None:
    found = source_of(Symbol("dataflow.nodes.execution", "expected_deltas"))
    assert Symbol("dataflow.maths.deltas", "supply_deltas") in found
