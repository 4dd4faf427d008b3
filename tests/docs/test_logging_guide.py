"""The logging guide says what a fresh run does.

Claims: every example event is a line of a fresh run; every field table names the fields of its event; every command
prints what the guide says it prints; the directory tree is the one that a run leaves.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from dataflow.records.log.log_directory import COMPONENTS, component_log_name
from schemas import models
from schemas.models.events import EVENT_TYPES, DomainEvent
from tests.docs.markdown import DOCS, Fence, fences, tables
from tests.docs.refresh_examples import shown
from tests.docs.runs import EXAMPLE_RUNS, LOW_COLLATERAL, ExampleRun, comparable

GUIDE: Final = DOCS / "LOGGING_GUIDE.md"
FENCES: Final = fences(GUIDE)
COMMANDS: Final = [fence for fence in FENCES if fence.language == "bash" and fence.checks]
EXAMPLES: Final = [fence for fence in FENCES if fence.language == "json"]
ENVELOPE: Final = set(DomainEvent.model_fields)


def by_line(fence: Fence) -> str:
    return str(fence.line)


def shell(command: str, directory: Path) -> str:
    """What a command of the guide prints; nothing may go to standard error."""
    if re.search(r"\bjq\b", command) and shutil.which("jq") is None:
        pytest.skip("jq is not on this machine (apt-get install jq); the guide's Python twins are tested all the same")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=directory, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.stderr == "", done.stderr
    return done.stdout


def values_of(text: str) -> int:
    """How many JSON values a text holds, one after the other."""
    decoder, position, count = json.JSONDecoder(), 0, 0
    while (text := text[position:].lstrip()) != "":
        _, position = decoder.raw_decode(text)
        count += 1
    return count


@pytest.mark.parametrize("fence", COMMANDS, ids=by_line)
def test_a_command_prints_what_the_guide_says(fence: Fence, example_runs: dict[str, ExampleRun]) -> None:
    run, asked = example_runs[fence.checks["run"]], fence.checks
    printed = shell(run.filled(fence.text), run.log_dir if asked["cwd"] == "log_dir" else run.root)
    if "has" in asked:
        assert [word for word in asked["has"].replace("_", " ").split(",") if word not in printed] == []
    elif "prints" in asked:
        assert values_of(printed) == int(asked["prints"])
    elif "lines" in asked:
        every = sum(run.summary.event_counts.values())
        assert printed.count("\n") == (every if asked["lines"] == "all" else int(asked["lines"]))
    else:
        shown_output = FENCES[FENCES.index(fence) + 1]
        assert (asked["output"], shown_output.language) == ("next", "text")
        assert printed.rstrip("\n") == shown_output.text


@pytest.mark.parametrize("query", [
    """jq 'select(.status == "failed")' logs/""",
    """jq -r '.operation_type' logs/""",
    """| sort | uniq -c""",
    """jq '.positions["aave:aToken:aUSDT"]' logs/""",
    """jq 'select(.reconciliation_success == false)' logs/""",
    """jq -r '[.timestamp, .total_value_usd] | @csv' events/positions.jsonl""",
    """jq 'select(.execution_duration_ms > 1000)' events/operation_executions.jsonl""",
    """grep '"operation_type":"supply"' events/operation_executions.jsonl""",
    """grep '"severity":"CRITICAL"' *.log""",
])  # fmt: skip
def test_a_query_that_users_know_is_in_the_guide(query: str) -> None:
    assert any(query in fence.text for fence in COMMANDS)


@pytest.mark.parametrize("fence", [fence for fence in EXAMPLES if "run" in fence.checks], ids=by_line)
def test_an_example_is_a_line_of_a_fresh_run(fence: Fence, example_runs: dict[str, ExampleRun]) -> None:
    run = example_runs[fence.checks["run"]]
    events = {event["order"]: event for event in run.events(fence.checks["event"])}
    event = events[int(fence.checks["order"])]
    assert comparable(json.loads(fence.text)) == comparable(event)
    assert list(json.loads(fence.text)) == list(json.loads(shown(event))), "the fields stand in the order of the file"


def test_every_event_has_an_example_that_its_model_accepts() -> None:
    shown_events = set()
    for fence in EXAMPLES:
        names = (fence.checks.get("model"), f"{fence.checks.get('event')}.jsonl")
        event = next(kind for kind in EVENT_TYPES if kind.__name__ in names or kind.file_name in names)
        event.model_validate_json(fence.text)
        shown_events.add(event)
    assert shown_events == set(EVENT_TYPES)


def test_every_field_table_names_the_fields_of_its_event() -> None:
    described = [
        {name for row in table[1:] for name in re.findall(r"`(\w+)`", row[0])}
        for table in tables(GUIDE)
        if table[0] == ["Field", "Type", "Meaning"]
    ]
    assert described[0] == ENVELOPE
    assert described[1:] == [set(kind.model_fields) - ENVELOPE for kind in EVENT_TYPES]


def test_the_sections_follow_the_order_of_the_events() -> None:
    headings = re.findall(r"^### \d+\. (\w+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [kind.__name__ for kind in EVENT_TYPES]
    assert all(hasattr(models, name) for name in headings)


def test_the_directory_tree_is_the_one_of_a_run(example_runs: dict[str, ExampleRun]) -> None:
    tree = next(fence for fence in FENCES if fence.language == "text" and "metadata.json" in fence.text)
    drawn = set(re.findall(r"[\w.]+\.(?:jsonl|json|log|chain)\b", tree.text))
    found = {path.name for path in example_runs["lending"].log_dir.rglob("*") if path.is_file()}
    assert drawn == found
    assert {component_log_name(component) for component in COMPONENTS} <= drawn


def test_the_commands_at_the_top_make_the_runs_of_the_examples() -> None:
    first = next(fence for fence in FENCES if fence.language == "bash")
    assert re.findall(r"--set (\S+)", first.text) == list(LOW_COLLATERAL)
    assert first.text.count("--start 2024-01-01 --end 2024-02-29T23:00") == len(EXAMPLE_RUNS)
    assert re.findall(r"basis backtest (\w+)", first.text) == [run["mode"] for run in EXAMPLE_RUNS.values()]
