"""Claim: no field is renamed, no bound loosened and no YAML broken without ``basis schemas check`` naming it.

Committed files are changed in a copy, so that the code differs from them as it would after an edit.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dataflow.cli.main import app
from dataflow.config.files import CONFIG_ROOT
from dataflow.reference.schema_gate import REFERENCE, check_gate, compare_schemas, write_pages, write_schemas

Document = dict[str, Any]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the code would commit now."""
    place = tmp_path_factory.mktemp("reference")
    write_schemas(place / "schemas")
    write_pages(place)
    return place


@pytest.fixture
def committed(exported: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "reference"))


def _edit(path: Path, change: Callable[[Document], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _lines(reference: Path) -> list[str]:
    return [str(difference) for difference in check_gate(reference).differences]


def test_committed_reference_is_that_of_the_code() -> None:
    assert _lines(REFERENCE) == []


def test_export_agrees_with_itself(committed: Path) -> None:
    assert _lines(committed) == []


def test_renamed_field_is_named_with_its_new_name(committed: Path) -> None:
    def rename(document: Document) -> None:
        document["properties"]["venue_name"] = document["properties"].pop("venue")
        document["required"] = [name if name != "venue" else "venue_name" for name in document["required"]]

    _edit(committed / "schemas" / "Order.json", rename)
    assert "Order.json Order.venue_name: is renamed to venue" in _lines(committed)


def test_loosened_bound_of_a_model_is_named(committed: Path) -> None:
    path = committed / "schemas" / "RunSummary.json"
    _edit(path, lambda document: document["properties"]["max_drawdown"].update(minimum=1.0))
    assert _lines(committed) == ["RunSummary.json RunSummary.max_drawdown: minimum is 0.0, committed is 1.0"]


def test_loosened_bound_of_a_nested_model_is_named(committed: Path) -> None:
    def tighten(document: Document) -> None:
        document["$defs"]["MarginLevels"]["properties"]["exit"]["exclusiveMinimum"] = 0.5

    _edit(committed / "schemas" / "ModeConfig.json", tighten)
    assert [line.partition(":")[0] for line in _lines(committed)] == ["ModeConfig.json MarginLevels.exit"]


def test_loosened_bound_of_a_frame_is_named(committed: Path) -> None:
    path = committed / "schemas" / "RiskFrame.json"

    def tighten(document: Document) -> None:
        document["properties"]["health_factor"]["checks"]["less_than_or_equal_to"]["max_value"] = 10.0

    _edit(path, tighten)
    assert [line.partition(": ")[0] for line in _lines(committed)] == ["RiskFrame.json RiskFrame.health_factor"]


def test_changed_unit_and_dtype_of_a_frame_are_named(committed: Path) -> None:
    path = committed / "schemas" / "PnlFrame.json"
    _edit(path, lambda document: document["properties"]["total_pnl_usd"].update(unit="share_class", dtype="float32"))
    assert len([line for line in _lines(committed) if line.startswith("PnlFrame.json PnlFrame.total_pnl_usd")]) == 2


def test_added_and_removed_fields_and_files_are_named(committed: Path) -> None:
    _edit(committed / "schemas" / "Manifest.json", lambda document: document["properties"].pop("seed"))
    (committed / "schemas" / "Order.json").unlink()
    (committed / "schemas" / "Ghost.json").write_text("{}")
    lines = _lines(committed)
    assert "Manifest.json Manifest.seed: is added" in lines
    assert any(line.startswith("Order.json Order: has no committed schema") for line in lines)
    assert "Ghost.json Ghost: is committed, but there is no such model or frame" in lines


def test_field_that_is_no_longer_required_is_named() -> None:
    before: Document = {"properties": {"price": {"type": "number"}}, "required": ["price"]}
    after: Document = {"properties": {"price": {"type": "number"}}, "required": []}
    differences = list(compare_schemas("Quote.json", before, after))
    assert [(each.field, each.what) for each in differences] == [("price", "is no longer required")]


def test_drifted_page_is_named_with_its_line(committed: Path) -> None:
    page = committed / "errors.md"
    page.write_text(page.read_text().replace("# Error codes", "# Codes"))
    assert _lines(committed) == ["errors.md: differs from the code from line 1 on"]


def test_broken_yaml_is_named_with_line_and_key(committed: Path, tmp_path: Path) -> None:
    configs = Path(shutil.copytree(CONFIG_ROOT, tmp_path / "configs"))
    path = configs / "venues" / "okx.yaml"
    path.write_text(path.read_text() + "\nunheard_of: 1\n")
    differences = check_gate(committed, configs).differences
    assert any(each.field == "unheard_of" and "okx.yaml:" in each.file for each in differences)


def test_command_exits_with_1_and_names_the_difference(committed: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["schemas", "check", "--reference", str(committed)]).exit_code == 0
    _edit(committed / "schemas" / "Order.json", lambda document: document["properties"].pop("venue"))
    answer = runner.invoke(app, ["schemas", "check", "--reference", str(committed)])
    assert answer.exit_code == 1
    assert "Order.json Order.venue: is added" in answer.stdout
    listed = json.loads(runner.invoke(app, ["schemas", "check", "--reference", str(committed), "--json"]).stdout)
    assert ("Order", "venue") in {(each["model"], each["field"]) for each in listed["differences"]}


def test_schema_that_is_no_json_is_one_line(committed: Path) -> None:
    (committed / "schemas" / "Order.json").write_text("{")
    answer = CliRunner().invoke(app, ["schemas", "check", "--reference", str(committed)])
    assert answer.exit_code == 1
    assert answer.stderr.startswith("DATA-002: ")


def test_export_writes_a_file_a_model_and_the_pages(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["schemas", "export", str(tmp_path / "s"), "--pages", str(tmp_path), "--json"])
    assert answer.exit_code == 0
    assert {Path(file).name for file in json.loads(answer.stdout)["files"]} >= {
        "Order.json",
        "PnlFrame.json",
        "errors.md",
    }
