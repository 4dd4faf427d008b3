"""A run that is killed at any step on its way to the disk leaves a log that is read, replayed and listed.

Claims, each for every step of a short run (``tests.crash.crashing``: ``os._exit`` before each write of a log, half-way
through it, and before each change of a directory), for nine orders in a row and for an atomic group of five:

- event files hold the first lines of the whole run, byte for byte, and at most a torn tail, which reading reports;
- *the state at the last complete operation* is what a replay gives. Events count up to the first ``order`` that no file
  holds. An operation or an atomic group is complete with the event of its tight loop, a settlement with the position
  snapshot after it; what is not complete is left out as if it had not begun;
- what was on disk without a gap is never lost by dying later;
- there is a whole results directory or none, and the next look sweeps what is hidden and says that the run crashed.
"""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dataflow.cli.main import app
from dataflow.market.synthetic.data_set import write_synthetic
from dataflow.records.log.reading import torn_tails
from dataflow.records.store.results import RunEntry, list_results, load_summary
from schemas.models.results import RunStatus
from tests.crash.left_behind import (
    Log,
    Tail,
    WholeRun,
    assert_component_logs_parse,
    assert_prefix,
    assert_replays,
    log_directories,
    open_positions,
)

pytestmark = pytest.mark.crash

ROOT = Path(__file__).resolve().parents[2]
MODES = ("btc_basis", "eth_leveraged")


@dataclass(frozen=True)
class Crash:
    """What a process left that died at one step."""

    number: int
    kind: str
    path: str
    place: Path

    @property
    def said(self) -> str:
        """The step, for a failing assertion."""
        return f"step {self.number}: {self.kind} {self.path}"

    @cached_property
    def log(self) -> Log | None:
        """Its event log; None where it had not begun."""
        found = log_directories(self.place / "logs")
        return Log(found[0]) if found else None

    @cached_property
    def listed(self) -> list[RunEntry]:
        """What ``basis runs list`` finds, the first time it looks."""
        return list_results(self.place / "results")


@dataclass(frozen=True)
class Crashes:
    """Every crash of one run, in the order of its steps, and the run itself."""

    whole: WholeRun
    run: Path
    crashes: tuple[Crash, ...]

    @property
    def with_log(self) -> list[tuple[Crash, Log]]:
        """Crashes after the event log had begun."""
        return [(crash, crash.log) for crash in self.crashes if crash.log is not None]


@pytest.fixture(scope="module", params=MODES)
def crashes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Crashes:
    """All crashes of a mode."""
    place = tmp_path_factory.mktemp("crashes")
    data = write_synthetic(place / "data", days=40)
    program = [sys.executable, "-m", "tests.crash.crashing", request.param, str(data), str(place / "killed")]
    subprocess.run(program, cwd=ROOT, check=True, timeout=300)
    steps = json.loads((place / "killed" / "crashes.json").read_text())
    run = place / "killed" / "run"
    (log_dir,) = log_directories(run / "logs")
    return Crashes(
        WholeRun(Log(log_dir)),
        run,
        tuple(
            Crash(number, step["kind"], step["path"], place / "killed" / "crashes" / f"{number:04}")
            for number, step in enumerate(steps)
        ),
    )


def test_the_steps_reach_every_part_of_a_run(crashes: Crashes) -> None:
    kinds = Counter(crash.kind for crash in crashes.crashes)
    assert kinds["in write"] == kinds["before write"] >= 40
    assert {"before open", "before os.mkdir", "before os.rename", "before os.link"} <= kinds.keys()
    cuts = [log.report.complete_through < log.last_order_without_gap for _, log in crashes.with_log]
    assert any(cuts), "no crash within an operation"
    assert sum(bool(log.tails) for _, log in crashes.with_log) >= 20
    statuses = {entry.status for crash in crashes.crashes for entry in crash.listed}
    assert statuses == {RunStatus.CRASHED, RunStatus.COMPLETE}


def test_event_files_hold_the_first_lines_of_the_run_and_a_reported_torn_tail(crashes: Crashes) -> None:
    for crash, log in crashes.with_log:
        assert_prefix(log, crashes.whole.log, crash.said)
        assert {Tail(tail.file.name, tail.byte_offset) for tail in torn_tails(log.log_dir)} == log.tails, crash.said
        assert set(log.report.torn_tails) == set(torn_tails(log.log_dir)), crash.said


def test_component_logs_parse_up_to_a_torn_tail(crashes: Crashes) -> None:
    for crash, log in crashes.with_log:
        assert_component_logs_parse(log.log_dir, crash.said)


def test_replay_gives_the_state_at_the_last_complete_operation(crashes: Crashes) -> None:
    for crash, log in crashes.with_log:
        assert_replays(log, crashes.whole, crash.said)
    assert {log.report.complete_through for _, log in crashes.with_log} >= {-1, crashes.whole.last_order}


def test_replay_finds_nothing_wrong_with_what_is_complete(crashes: Crashes) -> None:
    for crash, log in crashes.with_log:
        through = log.report.complete_through
        assert [f for f in log.report.faults if f.order is not None and f.order <= through] == [], crash.said
        assert log.report.ok or through < crashes.whole.last_order or log.tails, crash.said


def test_what_was_whole_on_disk_is_never_lost(crashes: Crashes) -> None:
    reached = [log.last_order_without_gap for _, log in crashes.with_log]
    assert reached == sorted(reached)
    assert len(set(reached)) > 4


def test_no_results_directory_is_half_there(crashes: Crashes) -> None:
    (finished,) = list_results(crashes.run / "results")
    for crash in crashes.crashes:
        statuses = [entry.status for entry in crash.listed]
        left = list((crash.place / "results").glob("*"))
        if statuses == [RunStatus.COMPLETE]:
            assert left == [crash.listed[0].path], crash.said
            assert _files(left[0]) == _files(finished.path), crash.said
            assert load_summary(left[0]).run_id == finished.run_id
        else:
            assert [path.name for path in left] == [f".{entry.run_id}.crashed.json" for entry in crash.listed], (
                crash.said
            )


def test_a_run_is_listed_from_its_first_manifest_on(crashes: Crashes) -> None:
    """It is crashed until its results have their name, and complete from then on."""
    listed = [tuple(entry.status for entry in crash.listed) for crash in crashes.crashes]
    renames = [crash.number for crash in crashes.crashes if crash.kind == "before os.rename"]
    first, last = renames[0] + 1, renames[-1] + 1
    assert listed[:first] == [()] * first
    assert listed[first:last] == [(RunStatus.CRASHED,)] * (last - first)
    assert listed[last:] == [(RunStatus.COMPLETE,)] * (len(listed) - last)


def test_runs_list_and_replay_name_a_crashed_run(crashes: Crashes) -> None:
    crash, log = next((crash, log) for crash, log in crashes.with_log if log.tails and log.report.complete_through > 0)
    places = ["--results", str(crash.place / "results"), "--logs", str(crash.place / "logs"), "--json"]
    (entry,) = json.loads(CliRunner().invoke(app, ["runs", "list", *places]).stdout)["runs"]
    assert entry["status"] == "crashed"
    answer = CliRunner().invoke(app, ["replay", entry["run_id"], *places])
    replayed = json.loads(answer.stdout)
    assert (answer.exit_code, replayed["verified"]) == (1, False)
    assert open_positions(replayed["final_positions"]) == crashes.whole.positions_after(log.report.complete_through)


def _files(directory: Path) -> dict[Path, bytes]:
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
