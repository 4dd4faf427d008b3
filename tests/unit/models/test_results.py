"""Summary and manifest hold finite numbers or null, have every field of the command line contract, and survive JSON."""

import orjson
import pytest
from pydantic import ValidationError

from schemas.models.results import Manifest, RunStatus, RunSummary

CONTRACT = [
    "run_id",
    "correlation_id",
    "mode",
    "share_class",
    "data_set",
    "start",
    "end",
    "steps",
    "initial_capital",
    "final_equity",
    "total_pnl_share_class",
    "total_pnl_usd",
    "total_return",
    "annualized_return",
    "max_drawdown",
    "sharpe_ratio",
    "pnl_attribution",
    "unexplained_pnl",
    "decisions",
    "orders",
    "operations_failed",
    "reconciliation_failures",
    "total_fees",
    "min_health_factor",
    "max_ltv",
    "min_margin_ratio",
    "max_abs_net_delta_fraction",
    "liquidations",
    "event_counts",
    "log_dir",
    "results_dir",
    "engine_seconds",
    "records_seconds",
]


def raw_summary(**changes: object) -> dict[str, object]:
    """Return the summary of a lending run of one day, with ``changes``."""
    return {
        "run_id": "r1",
        "correlation_id": "c1",
        "mode": "pure_lending_usdt",
        "share_class": "USDT",
        "data_set": "synthetic",
        "synthetic": True,
        "seed": 0,
        "start": "2024-05-12T00:00:00",
        "end": "2024-05-13T00:00:00",
        "steps": 25,
        "initial_capital": 100_000.0,
        "final_equity": 100_013.7,
        "total_pnl_share_class": 13.7,
        "total_pnl_usd": 13.7,
        "total_return": 0.000137,
        "annualized_return": 0.0513,
        "max_drawdown": 0.0,
        "sharpe_ratio": None,
        "pnl_attribution": {"supply_yield": 13.7, "transaction_costs": 0.0},
        "unexplained_pnl": 0.0,
        "decisions": {"entry": 1, "hold": 24},
        "orders": 1,
        "operations_failed": 0,
        "reconciliation_failures": 0,
        "total_fees": 0.0,
        "open_at_end": True,
        "min_health_factor": None,
        "max_ltv": None,
        "min_margin_ratio": None,
        "max_abs_net_delta_fraction": None,
        "liquidations": 0,
        "event_counts": {"positions": 25},
        "log_dir": None,
        "results_dir": None,
        "engine_seconds": 0.1,
        "records_seconds": 0.1,
        **changes,
    }


def raw_manifest(**changes: object) -> dict[str, object]:
    """Return the manifest of a run that has just begun, with ``changes``."""
    return {
        "run_id": "r1",
        "correlation_id": "c1",
        "pid": 1,
        "status": "running",
        "mode": "pure_lending_usdt",
        "share_class": "USDT",
        "data_set": "synthetic",
        "synthetic": True,
        "initial_capital": 100_000.0,
        "seed": 0,
        "config_digest": "a",
        "data_digest": "b",
        "code_version": "0.1.0",
        "package_versions": {"numpy": "2.4"},
        "created_at": "2025-01-15T10:30:00",
        **changes,
    }


def test_the_summary_has_every_field_of_the_contract() -> None:
    assert set(CONTRACT) <= set(RunSummary.model_fields)


def test_a_summary_survives_json() -> None:
    summary = RunSummary.model_validate(raw_summary(errors_by_code={"DATA-004": 2}))
    assert RunSummary.model_validate_json(orjson.dumps(summary.model_dump(mode="json"))) == summary


@pytest.mark.parametrize("field", ["final_equity", "total_return", "sharpe_ratio", "min_health_factor"])
def test_non_finite_numbers_are_refused(field: str) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            RunSummary.model_validate(raw_summary(**{field: value}))


@pytest.mark.parametrize("field", ["min_health_factor", "max_ltv", "min_margin_ratio", "sharpe_ratio"])
def test_what_does_not_apply_must_be_said(field: str) -> None:
    raw = raw_summary()
    del raw[field]
    with pytest.raises(ValidationError):
        RunSummary.model_validate(raw)


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_manifest_survives_json_in_every_status(status: RunStatus) -> None:
    manifest = Manifest.model_validate(raw_manifest(status=status))
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_a_status_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(raw_manifest(status="done"))
