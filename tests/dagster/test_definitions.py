"""What Dagster loads is what the graphs say.

The snapshot makes a lost asset, check or job show in review; the rest holds what is generated against the graph it is
generated from: keys, groups, dependencies, documentation, column schemas and code versions.
"""

import shutil
from pathlib import Path

import dagster as dg
import pytest

import dagster_project.definitions as definitions_module
from dagster_project.assets import mode_assets
from dagster_project.definitions import build_definitions, defs
from dagster_project.outline import outline_text
from dagster_project.partitions import Months
from tests.support.modes import MODES

SNAPSHOT = Path(__file__).with_name("definitions.json")


def test_the_code_location_loads_and_validates() -> None:
    dg.Definitions.validate_loadable(defs)


def test_keys_groups_checks_and_jobs_are_those_of_the_snapshot() -> None:
    renew = "python -m dagster_project.outline > tests/dagster/definitions.json"
    assert outline_text() == SNAPSHOT.read_text(encoding="utf-8"), f"a change that is meant is renewed by: {renew}"


@pytest.mark.parametrize("mode", tuple(MODES))
def test_every_node_is_an_asset_of_its_stage_with_its_dependencies(mode: str) -> None:
    assets = mode_assets(mode, Months())
    specs = {spec.key: spec for spec in assets.specs()}
    for node in assets.graph.nodes:
        spec = specs[dg.AssetKey([mode, node.name])]
        assert spec.group_name == f"{mode}_{node.stage}"
        taken = {source for _, source in node.arguments if source in assets.graph.by_name}
        assert {dep.asset_key.path[-1] for dep in spec.deps} - {"market_data"} == taken
        assert spec.description == node.documentation
        assert spec.description


@pytest.mark.parametrize("mode", tuple(MODES))
def test_the_data_set_is_the_one_root_of_a_mode(mode: str) -> None:
    roots = [spec.key.path for spec in mode_assets(mode, Months()).specs() if not list(spec.deps)]
    assert roots == [[mode, "market_data"]]


def test_column_schema_has_a_column_a_venue_with_unit_and_bounds() -> None:
    specs = {spec.key.path[-1]: spec for spec in mode_assets("btc_basis", Months()).specs()}
    schema = specs["margin_ratio"].metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns] == [f"margin_ratio.{v}" for v in ("binance", "bybit", "okx")]
    assert {column.type for column in schema.columns} == {"float64"}
    assert {column.description for column in schema.columns} == {"unit: fraction"}
    assert all(len(column.constraints.other) == 2 and not column.constraints.nullable for column in schema.columns)


def test_checks_are_partitioned_and_blocking_but_for_the_targets() -> None:
    definitions = build_definitions(Months("2024-01", "2024-02"))
    specs = [spec for asset in definitions.resolve_asset_graph().assets_defs for spec in asset.check_specs]
    assert {spec.name for spec in specs if not spec.blocking} == {"target_apy", "max_drawdown"}
    assert all(spec.partitions_def is not None for spec in specs)


def test_jobs_run_in_one_process_by_default() -> None:
    job = build_definitions(Months()).resolve_job_def("btc_basis_backtest")
    assert job.executor_def is dg.in_process_executor


def test_an_instance_with_the_projects_settings_sends_nothing_and_greets_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(Path(definitions_module.__file__).with_name("dagster.yaml"), tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 1
