"""A run is cut into half-open months, and a month starts from the state before it or says which one is missing."""

from pathlib import Path

import numpy as np
import pytest

from dagster_project.partitions import MonthOfRun, Months, month_of_run
from dagster_project.run_config import RunOptions, request_of
from dagster_project.state_chain import StateChain
from dataflow.graph.state import RunState
from dataflow.services.backtest import BacktestRequest
from schemas.errors import ConfigValidationError, LogWriteError, StateInconsistentError

MONTHS = Months("2024-01", "2024-03")


def part_of(month: str, *, start: str | None = None, end: str | None = None) -> MonthOfRun:
    return month_of_run(BacktestRequest(mode="btc_basis", start=start, end=end), month, MONTHS, 3_600)


@pytest.mark.parametrize(
    ("month", "start", "end", "expected"),
    [
        pytest.param("2024-01", None, None, ("2024-01-01T00:00:00", "2024-01-31T23:00:00", True, False), id="first"),
        pytest.param("2024-02", None, None, ("2024-02-01T00:00:00", "2024-02-29T23:00:00", False, False), id="middle"),
        pytest.param(
            "2024-02", "2024-02-10", None, ("2024-02-10T00:00:00", "2024-02-29T23:00:00", True, False), id="start"
        ),
        pytest.param(
            "2024-02", None, "2024-02-10T05:00", ("2024-02-01T00:00:00", "2024-02-10T05:00:00", False, True), id="end"
        ),
        pytest.param(
            "2024-02",
            None,
            "2024-02-29T23:00",
            ("2024-02-01T00:00:00", "2024-02-29T23:00:00", False, True),
            id="end-is-the-last-row",
        ),
        pytest.param(
            "2024-02",
            None,
            "2024-03-01T00:00",
            ("2024-02-01T00:00:00", "2024-02-29T23:00:00", False, False),
            id="end-is-the-first-row-of-the-next",
        ),
    ],
)
def test_a_month_is_its_part_of_the_run(
    month: str, start: str | None, end: str | None, expected: tuple[str, str, bool, bool]
) -> None:
    part = part_of(month, start=start, end=end)
    assert (part.request.start, part.request.end, part.is_first, part.is_final) == expected


@pytest.mark.parametrize(
    ("start", "end"), [pytest.param("2024-02-01", None, id="before"), pytest.param(None, "2023-12-31", id="after")]
)
def test_a_month_without_a_row_of_the_run_is_refused(start: str | None, end: str | None) -> None:
    with pytest.raises(ConfigValidationError) as caught:
        part_of("2024-01", start=start, end=end)
    assert caught.value.context["month"] == "2024-01"


def test_months_come_from_the_environment() -> None:
    months = Months.from_environment({"BASIS_FIRST_MONTH": "2024-05", "BASIS_LAST_MONTH": "2025-03"})
    keys = months.definition().get_partition_keys()
    assert (keys[0], keys[-1], len(keys)) == ("2024-05", "2025-03", 11)


def test_default_months_are_those_of_the_synthetic_set() -> None:
    keys = Months().definition().get_partition_keys()
    assert (keys[0], keys[-1], len(keys)) == ("2024-01", "2025-12", 24)


@pytest.mark.parametrize(
    "environment", [{"BASIS_FIRST_MONTH": "May"}, {"BASIS_FIRST_MONTH": "2024-5-1"}, {"BASIS_LAST_MONTH": "2023-12"}]
)
def test_months_that_make_no_sense_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigValidationError):
        Months.from_environment(environment)


def test_launchpad_has_every_field_of_the_request_but_the_mode_with_its_default() -> None:
    options = RunOptions().model_dump()
    request = BacktestRequest(mode="btc_basis")
    assert options.keys() == type(request).model_fields.keys() - {"mode"}
    assert request_of("btc_basis", options) == request


def test_launchpad_value_out_of_bounds_is_named() -> None:
    with pytest.raises(ConfigValidationError) as caught:
        request_of("btc_basis", {"capital": -1.0})
    assert caught.value.context["key"] == "capital"


STATE = RunState({"held_quote": np.array([0.1, 1e-300]), "peak": 2.0}, row=744, order=9)


def chain_of(root: Path, part: MonthOfRun, config_digest: str = "digest") -> StateChain:
    return StateChain.of(root, part, config_digest, MONTHS)


def test_a_kept_state_starts_the_next_month(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, part_of("2024-01"))
    chain.keep("2024-01", STATE)
    start = chain.start_of(part_of("2024-02"))
    assert start is not None
    assert start.to_json() == STATE.to_json()


def test_the_first_month_starts_fresh(tmp_path: Path) -> None:
    part = part_of("2024-01")
    assert chain_of(tmp_path, part).start_of(part) is None


def test_a_missing_state_names_the_partition_to_materialise_first(tmp_path: Path) -> None:
    part = part_of("2024-03")
    with pytest.raises(StateInconsistentError) as caught:
        chain_of(tmp_path, part).start_of(part)
    assert caught.value.context["materialise_first"] == "2024-02"


def test_running_a_month_again_forgets_it_and_all_later_ones(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, part_of("2024-01"))
    for month in ("2024-01", "2024-02", "2024-03"):
        chain.keep(month, STATE)
    chain.forget_from("2024-02")
    assert [path.stem for path in chain.directory.iterdir()] == ["2024-01"]


def test_runs_that_differ_do_not_share_states_and_their_ends_do_not_matter(tmp_path: Path) -> None:
    part = part_of("2024-01")
    other_seed = month_of_run(BacktestRequest(mode="btc_basis", seed=8), "2024-01", MONTHS, 3_600)
    other_window = month_of_run(BacktestRequest(mode="btc_basis", window=1, end="2024-03-05"), "2024-01", MONTHS, 3_600)
    directory = chain_of(tmp_path, part).directory
    assert chain_of(tmp_path, other_seed).directory != directory
    assert chain_of(tmp_path, part, "another configuration").directory != directory
    assert chain_of(tmp_path, part_of("2024-02", start="2024-02-01")).directory != directory
    assert chain_of(tmp_path, other_window).directory == directory


def test_a_state_that_cannot_be_written_is_an_error_of_the_log(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, part_of("2024-01"))
    chain.directory.parent.mkdir(parents=True)
    chain.directory.write_text("in the way")
    with pytest.raises(LogWriteError):
        chain.keep("2024-01", STATE)
