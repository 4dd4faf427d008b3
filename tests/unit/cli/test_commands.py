"""Claim: each command does what section 8 of the architecture says of it.

One finished run is read by every reading command; ``--json`` prints one object and nothing else; tables name the facts.
"""

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from schemas.models.config import RunConfig
from schemas.models.results import DataProvenance, Manifest
from tests.unit.cli.conftest import Basis, FinishedRun

SUMMARY_FIELDS = (
    "run_id correlation_id mode share_class data_set start end steps initial_capital final_equity "
    "total_pnl_share_class total_pnl_usd total_return annualized_return max_drawdown sharpe_ratio pnl_attribution "
    "unexplained_pnl decisions orders operations_failed reconciliation_failures total_fees min_health_factor max_ltv "
    "min_margin_ratio max_abs_net_delta_fraction liquidations event_counts log_dir results_dir "
    "engine_seconds records_seconds"
)
EVENT_FILES = 12


def test_modes_name_share_class_holdings_and_thesis(basis: Basis) -> None:
    table, rows = basis("modes"), basis("modes", "--json").json()["modes"]
    assert isinstance(rows, list)
    assert {"pure_lending_usdt", "pure_lending_eth", "btc_basis", "eth_basis"} <= {row["mode"] for row in rows}
    assert all(row["thesis"] and row["holds"] and row["venues"] for row in rows)
    assert "btc_basis" in table.out


def test_backtest_json_is_the_summary_on_disk(finished: FinishedRun) -> None:
    assert set(SUMMARY_FIELDS.split()) <= set(finished.summary)
    on_disk = json.loads((finished.results / finished.run_id / "summary.json").read_text())
    assert on_disk == finished.summary


def test_a_run_keeps_its_configuration_and_where_its_data_came_from(finished: FinishedRun) -> None:
    directory = finished.results / finished.run_id
    manifest = Manifest.model_validate_json((directory / "manifest.json").read_bytes())
    config = (directory / "config.json").read_bytes()
    assert hashlib.sha256(config).hexdigest() == manifest.config_digest
    assert RunConfig.model_validate_json(config).mode.mode == "btc_basis"
    data = DataProvenance.model_validate_json((directory / "data.json").read_bytes())
    assert (data.digest, data.synthetic) == (manifest.data_digest, True)
    assert data.coverage["funding_okx_btcusdt"].rows > 0


def test_every_recorded_column_says_its_unit_and_what_it_is(finished: FinishedRun) -> None:
    schemas = [pq.read_schema(path) for path in sorted((finished.results / finished.run_id).glob("*.parquet"))]
    fields = [field for schema in schemas for field in schema if field.name != "instant"]
    assert len(schemas) == 6
    assert [field.name for field in fields if not {b"unit", b"description"} <= (field.metadata or {}).keys()] == []
    signs = {field.name: (field.metadata or {}).get(b"sign") for field in fields}
    assert signs["funding_pnl"] is None
    assert signs["funding_pnl_step"] == b"> 0 is received."


def test_backtest_prints_tables_and_says_that_data_is_synthetic(basis: Basis, data_set: Path, tmp_path: Path) -> None:
    answer = basis(
        *("backtest", "pure_lending_eth", "--data", data_set, "--start", "2024-01-05", "--end", "2024-01-06"),
        *("--results", tmp_path / "r", "--logs", tmp_path / "l", "--capital", "50", "--scenario", "frictionless"),
    )
    assert answer.exit_code == 0
    for fact in ("final equity", "Sharpe ratio", "supply_yield", "decisions: entry", "summary.md", "SYNTHETIC"):
        assert fact in answer.out
    assert "Synthetic data" in answer.err


def test_set_changes_the_run(basis: Basis, data_set: Path, tmp_path: Path) -> None:
    answer = basis(
        *("backtest", "btc_basis", "--data", data_set, "--start", "2024-01-05", "--end", "2024-01-06", "--json"),
        *("--set", "strategy_config.funding_enter_apr=40", "--results", tmp_path / "r", "--logs", tmp_path / "l"),
    )
    assert answer.exit_code == 0
    assert answer.json()["orders"] == 0


def test_runs_list_show_and_compare(basis: Basis, finished: FinishedRun) -> None:
    rows = basis("runs", "list", *finished.places, "--json").json()["runs"]
    assert isinstance(rows, list)
    assert [row["mode"] for row in rows] == ["pure_lending_usdt", "btc_basis"]
    shown = basis("runs", "show", finished.run_id, *finished.places, "--json").json()
    assert shown["summary"] == finished.summary
    other = str(rows[0]["run_id"])
    side_by_side = basis("runs", "compare", other, finished.run_id, *finished.places)
    assert side_by_side.exit_code == 0
    assert "supply_yield" in side_by_side.out
    assert "funding_pnl" in side_by_side.out
    explained = basis("runs", "compare", other, finished.run_id, *finished.places, "--json").json()["difference"]
    assert isinstance(explained, dict)
    assert {"transaction_costs", "funding_pnl", "unexplained"} <= {part["name"] for part in explained["parts"]}
    for fact in ("Why the results differ", "largest part: ", "First row that differs", "First event that differs"):
        assert fact in side_by_side.out
    alike = basis("runs", "compare", other, other, *finished.places).out
    assert "No event differs" in alike
    for command in (("list",), ("show", finished.run_id)):
        assert finished.run_id in basis("runs", *command, *finished.places).out


def test_runs_list_of_no_directory_is_empty(basis: Basis, tmp_path: Path) -> None:
    assert basis("runs", "list", "--results", tmp_path / "none", "--json").json() == {"runs": []}


def test_runs_prune_shows_what_it_would_remove_and_removes_it_with_yes(
    basis: Basis, finished: FinishedRun, tmp_path: Path
) -> None:
    import shutil

    results, run = tmp_path / "results", finished.results / finished.run_id
    shutil.copytree(run, results / finished.run_id)
    places = ("--results", results, "--logs", tmp_path / "logs")
    shown = basis("runs", "prune", "--older-than", 0, *places)
    assert finished.run_id in shown.out
    assert "nothing was removed" in shown.out
    assert (results / finished.run_id).is_dir()
    assert basis("runs", "prune", *places, "--json").json() == {"removed": False, "runs": [], "bytes": 0}
    removed = basis("runs", "prune", "--older-than", 0, "--yes", *places, "--json").json()
    assert removed["removed"] is True
    assert isinstance(removed["runs"], list)
    assert [entry["run"] for entry in removed["runs"]] == [finished.run_id]
    assert list(results.iterdir()) == []


def test_compare_needs_two_runs(basis: Basis, finished: FinishedRun) -> None:
    answer = basis("runs", "compare", finished.run_id, *finished.places)
    assert answer.exit_code == 2
    assert answer.error_line.startswith("CONFIG-003")


def test_events_counts_are_those_of_the_summary(basis: Basis, finished: FinishedRun) -> None:
    answer = basis("events", finished.run_id, *finished.places, "--json").json()
    assert answer["event_counts"] == finished.summary["event_counts"]
    assert "strategy_decisions" in basis("events", finished.run_id, *finished.places).out


def test_a_run_is_found_by_path_and_by_correlation_id(basis: Basis, finished: FinishedRun) -> None:
    for name in (finished.results / finished.run_id, finished.summary["correlation_id"]):
        answer = basis("events", name, *finished.places, "--json")
        assert answer.json()["event_counts"] == finished.summary["event_counts"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("decision_type=hold", lambda event: event["decision_type"] == "hold"),
        ("decision_type!=hold", lambda event: event["decision_type"] != "hold"),
        ("orders_generated>0", lambda event: event["orders_generated"] > 0),
        ("timestamp>=2024-01-12", lambda event: event["timestamp"] >= "2024-01-12"),
    ],
)
def test_where_keeps_the_events_that_pass(
    basis: Basis, finished: FinishedRun, condition: str, expected: "object"
) -> None:
    every = basis("events", finished.run_id, "strategy_decisions", *finished.places, "--json").json()["events"]
    kept = basis(
        "events", finished.run_id, "strategy_decisions", "--where", condition, *finished.places, "--json"
    ).json()["events"]
    assert isinstance(every, list)
    assert callable(expected)
    assert kept == [event for event in every if expected(event)]


def test_start_and_end_keep_the_events_of_a_time(basis: Basis, finished: FinishedRun) -> None:
    arguments = ("events", finished.run_id, "positions", "--start", "2024-01-11", "--end", "2024-01-11T05:00Z")
    found = basis(*arguments, "--limit", 2, *finished.places, "--json").json()
    events = found["events"]
    assert isinstance(events, list)
    assert [event["timestamp"] for event in events] == ["2024-01-11T00:00:00", "2024-01-11T00:00:00"]
    every = basis("events", finished.run_id, "positions", *finished.places, "--json").json()["events"]
    assert isinstance(every, list)
    assert found["matched"] == sum(
        "2024-01-11T00:00:00" <= event["timestamp"] <= "2024-01-11T05:00:00" for event in every
    )


def test_trace_follows_an_operation_from_its_decision_to_its_balances(basis: Basis, finished: FinishedRun) -> None:
    operations = basis("events", finished.run_id, "operation_executions", *finished.places, "--json").json()["events"]
    assert isinstance(operations, list)
    asked = str(operations[3]["operation_id"])
    found = basis("trace", finished.run_id, asked[:8], *finished.places, "--json").json()
    assert (found["subject"], found["operations"]) == (asked, [asked])
    steps, balances = found["steps"], found["balances"]
    assert isinstance(steps, list)
    assert isinstance(balances, list)
    assert steps[0]["event"] == "StrategyDecision"
    assert steps[-1]["event"] == "TightLoopExecutionEvent"
    assert set(operations[3]["actual_deltas"]) <= {balance["position_key"] for balance in balances}
    table = basis("trace", finished.run_id, asked, *finished.places)
    for fact in ("decision", "handshake", "reconciliation", "tight loop", "equity, USD", asked):
        assert fact in table.out


def test_trace_of_an_unknown_operation_names_the_nearest(basis: Basis, finished: FinishedRun) -> None:
    operations = basis("events", finished.run_id, "operation_executions", *finished.places, "--json").json()["events"]
    assert isinstance(operations, list)
    known = str(operations[0]["operation_id"])
    answer = basis("trace", finished.run_id, f"{known[:-1]}x", *finished.places)
    assert answer.exit_code == 2
    assert answer.error_line.startswith("CONFIG-003")
    assert known in answer.error_line


def test_a_wide_type_is_shown_by_what_matters_and_every_field_on_demand(basis: Basis, finished: FinishedRun) -> None:
    asked = ("events", finished.run_id, "operation_executions", "--limit", 1, *finished.places)
    few, whole = basis(*asked), basis(*asked, "--columns", "all")
    assert "operation_details" not in few.out
    assert "operation_details" in whole.out
    chosen = basis(*asked, "--columns", "order,venue")
    assert "status" not in chosen.out
    assert basis(*asked, "--columns", "order,venu").exit_code == 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param(("--where", "total_value_usd>abc"), 2, id="number-against-text"),
        pytest.param(("--start", "2024-01-12", "--end", "2024-01-11"), 2, id="end-before-start"),
        pytest.param(("--where", "timestamp>noon"), 2, id="no-instant"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(
    options: tuple[str, ...], code: int, basis: Basis, finished: FinishedRun
) -> None:
    assert basis("events", finished.run_id, "positions", *options, *finished.places).exit_code == code


def test_an_instant_in_a_condition_may_be_short(basis: Basis, finished: FinishedRun) -> None:
    asked = ("events", finished.run_id, "positions", *finished.places, "--json", "--where")
    after = basis(*asked, "timestamp>2024-01-11T20").json()["events"]
    assert isinstance(after, list)
    assert min(event["timestamp"] for event in after) > "2024-01-11T20:00:00"


def test_events_table_is_limited_and_says_so(basis: Basis, finished: FinishedRun) -> None:
    answer = basis("events", finished.run_id, "positions", "--limit", 3, *finished.places)
    assert answer.exit_code == 0
    assert "3 shown of" in answer.out


@pytest.mark.parametrize(
    "arguments",
    [("strategy_decisions", "--where", "decision_tipe=hold"), ("strategy_decisions", "--where", "x"), ("decision",)],
    ids=["unknown-field", "no-condition", "unknown-type"],
)
def test_events_refuses_what_it_cannot_ask(basis: Basis, finished: FinishedRun, arguments: tuple[str, ...]) -> None:
    answer = basis("events", finished.run_id, *arguments, *finished.places)
    assert answer.exit_code == 2
    assert answer.error_line.startswith("CONFIG-003")


def test_replay_verifies(basis: Basis, finished: FinishedRun) -> None:
    answer = basis("replay", finished.run_id, *finished.places, "--json")
    assert answer.exit_code == 0
    assert answer.json()["verified"] is True
    assert "verified" in basis("replay", finished.run_id, *finished.places).out


def test_replay_of_a_changed_log_fails_and_names_the_key(basis: Basis, finished: FinishedRun, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(finished.results / finished.run_id, copy)
    log = copy / "logs" / "events" / "execution_deltas.jsonl"
    lines = log.read_text().splitlines()
    record = json.loads(lines[0])
    record["deltas"][0]["delta_amount"] += 1.0
    log.unlink()
    log.write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n")
    answer = basis("replay", copy, "--json")
    assert answer.exit_code == 1
    assert answer.json()["verified"] is False
    assert answer.error_line.startswith("POS-005")


def test_replay_of_a_log_that_was_cut_says_where_it_is_complete(
    basis: Basis, finished: FinishedRun, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(finished.results / finished.run_id, copy)
    log = copy / "logs" / "events" / "tight_loop.jsonl"
    kept = log.read_bytes().splitlines(keepends=True)[:-1]
    log.write_bytes(b"".join(kept))
    answer = basis("replay", copy, "--json")
    assert answer.exit_code == 1
    found = answer.json()
    begun = json.loads((log.parent / "operation_executions.jsonl").read_bytes().splitlines()[-1])
    whole = json.loads(basis("replay", finished.run_id, *finished.places, "--json").out)
    assert found["complete_through"] == begun["order"] - 1, "the last operation has no end any more"
    assert found["left_out"] == whole["events"] - 1 - begun["order"], "all from there on but the one that is gone"
    assert whole["left_out"] == 0
    shown = basis("replay", copy).out
    assert "complete through order" in shown
    assert "events left out" in shown


def test_export_writes_twelve_files(basis: Basis, finished: FinishedRun, tmp_path: Path) -> None:
    answer = basis("export", finished.run_id, "--out", tmp_path / "csv", *finished.places, "--json")
    files = answer.json()["files"]
    assert isinstance(files, list)
    assert len(files) == EVENT_FILES
    assert all(Path(file).is_file() for file in files)


def test_config_show_is_yaml_with_scenario_and_overrides(basis: Basis) -> None:
    arguments = ("config", "show", "btc_basis", "--scenario", "frictionless", "--set", "target_apy=0.09")
    merged = yaml.safe_load(basis(*arguments).out)
    assert merged["mode"]["target_apy"] == 0.09
    assert merged["scenario"]["fees"] is False
    assert basis(*arguments, "--json").json()["config"] == merged


def test_config_check_accepts_the_shipped_files(basis: Basis) -> None:
    answer = basis("config", "check", "--json")
    assert answer.exit_code == 0
    assert answer.json()["faults"] == []


def test_config_check_names_file_line_key_and_code_of_every_fault(basis: Basis, tmp_path: Path) -> None:
    path = tmp_path / "modes" / "btc_basis.yaml"
    path.parent.mkdir()
    text = (Path(__file__).parents[3] / "configs" / "modes" / "btc_basis.yaml").read_text()
    path.write_text(text.replace("target_apy:", "target_api:").replace("binance: 0.4,", "binance: 0.5,"))
    answer = basis("config", "check", path)
    assert answer.exit_code == 2
    lines = answer.out.splitlines()
    line = 1 + text.splitlines().index("target_apy: 0.08 # domain 3.1")
    assert any(f"{path}:{line} target_api: CONFIG-003" in fault for fault in lines)
    assert any("target_apy: CONFIG-002" in fault for fault in lines)
    assert any("hedge_allocation: CONFIG-003" in fault for fault in lines)


def test_data_make_is_the_same_twice_and_data_check_accepts_it(basis: Basis, tmp_path: Path) -> None:
    arguments = ("--days", 20, "--seed", 3, "--start", "2024-03-01")
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second, first):
        assert basis("data", "make", directory, *arguments).exit_code == 0
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
    answer = basis("data", "check", first, "--mode", "eth_basis", "--json")
    assert answer.exit_code == 0
    assert answer.json()["synthetic"] is True
    assert "funding_okx_ethusdt" in basis("data", "check", first).out


def test_data_make_spares_foreign_files(basis: Basis, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    answer = basis("data", "make", tmp_path, "--days", 1)
    assert answer.exit_code == 2
    assert answer.error_line.startswith("CONFIG-003")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


def test_report_writes_both_pages_into_the_results(basis: Basis, finished: FinishedRun) -> None:
    directory = finished.results / finished.run_id
    answer = basis("report", finished.run_id, *finished.places, "--json")
    assert answer.json() == {
        "run": str(directory),
        "files": [str(directory / "report.html"), str(directory / "report.md")],
    }
    printed = basis("report", finished.run_id, *finished.places, "--format", "md")
    assert printed.out.strip() == (directory / "report.md").read_text().strip()
    assert f"report   {directory}/report.html" in basis("runs", "show", finished.run_id, *finished.places).out


def test_report_of_no_run_names_it(basis: Basis, finished: FinishedRun) -> None:
    answer = basis("report", "no_such_run", *finished.places)
    assert answer.exit_code == 1
    assert answer.error_line.startswith("LOG-003")


@pytest.mark.parametrize("wanted", [(), ("--report",)], ids=["not-asked", "asked"])
def test_backtest_makes_a_report_only_when_asked(
    basis: Basis, data_set: Path, tmp_path: Path, wanted: tuple[str, ...]
) -> None:
    answer = basis(
        *("backtest", "pure_lending_usdt", "--data", data_set, "--start", "2024-01-05", "--end", "2024-01-06"),
        *("--results", tmp_path / "r", "--logs", tmp_path / "l", *wanted),
    )
    assert answer.exit_code == 0
    assert len(list(tmp_path.glob("r/*/report.html"))) == len(wanted)
    assert ("basis report" in answer.out) is not bool(wanted)
