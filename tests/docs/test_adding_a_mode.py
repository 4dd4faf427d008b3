"""The tutorial works: its files and commands, in an empty directory, give an eleventh mode and the page's numbers."""

import doctest
import json
import shlex
import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pyarrow.parquet as arrow_parquet
import pytest
from typer.testing import CliRunner

from dataflow.cli.main import app
from dataflow.config.files import load_report, load_run_config
from dataflow.engine.backtest import EngineOptions
from dataflow.market.synthetic.random_markets import random_market
from dataflow.services.backtest import SYNTHETIC, resolve_data_set
from dataflow.services.mode_files import backtest_of
from tests.docs.markdown import DOCS, fences, tables
from tests.support.runs import assert_same_business, run_in_memory

PAGE = DOCS / "adding_a_mode.md"
MODULE, FILE, CHOICES = "wsteth_staking.py", "wsteth_staking.yaml", "two_venue_basis.yaml"
SCENARIO_OF_NONE = "none"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files of the page and nothing else."""
    root = tmp_path_factory.mktemp("tutorial")
    for fence in fences(PAGE):
        if "file" in fence.checks:
            (root / fence.checks["file"]).write_text(f"{fence.text}\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def answers(directory: Path) -> Mapping[str, dict[str, Any]]:
    """What every command of the page that gives JSON gave, by scenario; all of them succeed."""
    found: dict[str, dict[str, Any]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for line in "\n".join(fence.text for fence in fences(PAGE, "bash")).splitlines():
            done = CliRunner().invoke(app, shlex.split(line)[1:])
            assert done.exit_code == 0, f"{line}\n{done.output}"
            if "--json" in line:
                summary = json.loads(done.stdout)
                found[summary["scenarios"][0] if summary["scenarios"] else SCENARIO_OF_NONE] = summary
    return found


def test_the_tutorial_needs_one_module_and_two_yaml_files(directory: Path) -> None:
    assert {path.name for path in directory.iterdir() if path.suffix in (".py", ".yaml")} == {MODULE, FILE, CHOICES}


def test_a_mode_of_choices_is_short_and_the_same_in_every_window(directory: Path, tmp_path: Path) -> None:
    assert len((directory / CHOICES).read_text(encoding="utf-8").splitlines()) <= 25
    loaded = load_run_config(str(directory / CHOICES))
    backtest = backtest_of(loaded)
    market = random_market(backtest.market_request(), 3, 400)
    runs = [
        run_in_memory(backtest_of(loaded, EngineOptions(window=window)), market, tmp_path / str(window))
        for window in (None, 7, 1)
    ]
    assert runs[0].outcome.counts.orders > 0
    for run in runs[1:]:
        assert_same_business(runs[0], run)


def test_a_mode_file_that_says_nothing_of_how_it_decides_is_refused(directory: Path, tmp_path: Path) -> None:
    text = (directory / CHOICES).read_text(encoding="utf-8").replace("family: basis\n", "")
    (tmp_path / CHOICES).write_text(text, encoding="utf-8")
    faults = load_report(str(tmp_path / CHOICES)).faults
    assert any("nothing says how the mode decides" in fault.message for fault in faults)


def test_the_commands_give_the_table_of_the_page(answers: Mapping[str, dict[str, Any]]) -> None:
    table = next(table for table in tables(PAGE) if table[0][0] == "Scenario")
    shown = {row[0].strip("`"): (row[1], row[2]) for row in table[1:]}
    given = {}
    for scenario, summary in answers.items():
        decided = [f"{number} {kind}" for kind, number in summary["decisions"].items() if kind != "hold"]
        given[scenario] = (", ".join(decided), f"{summary['final_equity']:.4f}")
        assert summary["mode"] == "wsteth_staking"
        assert abs(summary["unexplained_pnl"]) <= 1e-9 * summary["initial_capital"]
    assert given == shown


def test_frictionless_it_earns_the_growth_of_the_oracle_ratio(answers: Mapping[str, dict[str, Any]]) -> None:
    summary = answers["frictionless"]
    series = resolve_data_set(SYNTHETIC, seed=7) / "lst_wsteth_oracle_1d.parquet"
    table = arrow_parquet.read_table(series)
    ratio = {
        str(at)[:10]: value
        for at, value in zip(*(table[name].to_pylist() for name in table.column_names[:2]), strict=True)
    }
    growth = ratio[summary["end"][:10]] / ratio[summary["start"][:10]]
    assert summary["final_equity"] == pytest.approx(100.0 * growth, rel=1e-12)


def test_the_example_of_its_node_is_right(directory: Path) -> None:
    spec = spec_from_file_location("tutorial_module", directory / MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    results = doctest.testmod(module)
    assert (results.failed, results.attempted > 0) == (0, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda text: f"{text}\n1 / 0\n", "ZeroDivisionError", id="does-not-import"),
        pytest.param(lambda text: text.replace("MODE = ", "OTHER = "), "has no MODE", id="no-mode"),
        pytest.param(
            lambda text: text.replace('mode="wsteth', 'mode="steth'), "of mode steth_staking", id="other-name"
        ),
    ],
)
def test_a_module_that_is_none_is_refused_with_its_name(
    change: Any, says: str, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(FILE).write_text((directory / FILE).read_text(encoding="utf-8"), encoding="utf-8")
    Path(MODULE).write_text(change((directory / MODULE).read_text(encoding="utf-8")), encoding="utf-8")
    done = CliRunner().invoke(app, ["backtest", FILE, "--json"])
    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["code"]) == (2, "CONFIG-001")
    assert says in error["message"]
    assert "wsteth_staking" in error["message"]


@pytest.mark.parametrize(
    ("slip", "code", "exit_code", "says"),
    [
        pytest.param(("min_trade_usd: float", "min_trade_us: float"), "ENGINE-001", 2, "'min_trade_usd'", id="input"),
        pytest.param(('"wallet_quantity"', '"wallet_qantity"'), "ENGINE-001", 2, "'wallet_quantity'", id="part"),
        pytest.param(("is_held = ", "is_held = 1 // 0 + "), "STRAT-001", 1, "ZeroDivisionError", id="raises"),
    ],
)
def test_a_slip_in_the_module_is_told_as_one(
    slip: tuple[str, str],
    code: str,
    exit_code: int,
    says: str,
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(FILE).write_text((directory / FILE).read_text(encoding="utf-8"), encoding="utf-8")
    Path(MODULE).write_text((directory / MODULE).read_text(encoding="utf-8").replace(*slip), encoding="utf-8")
    done = CliRunner().invoke(app, ["backtest", FILE, "--end", "2024-05-20", "--json"])
    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["code"]) == (exit_code, code), error
    assert says in error["message"]
    assert "fault of the program" not in done.output
