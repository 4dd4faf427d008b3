"""Take the examples of the logging guide and the accountant's answers from fresh runs, after a change of their numbers.

    .venv/bin/python -m tests.docs.refresh_examples

The tests compare the guide with fresh runs; this writes what they would accept. Read the difference before committing.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.docs import accountant
from tests.docs.accountant_book import ACCOUNTANT_RUNS
from tests.docs.markdown import DOCS
from tests.docs.runs import EXAMPLE_RUNS, ExampleRun, make_run

GUIDE: Final = DOCS / "LOGGING_GUIDE.md"
SHOWN: Final = {"real_utc_time": "2026-01-15T10:30:00.123456", "correlation_id": "4f1c9a", "pid": 12345}

_EVENT = re.compile(r"(<!-- check: run=(\w+) event=(\w+) order=(\d+) -->\n```json\n).*?(\n```)", re.DOTALL)
_OUTPUT = re.compile(
    r"(<!-- check: run=(\w+) cwd=\S+ output=next -->\n```bash\n(.*?)\n```\n\n```text\n).*?(```)", re.DOTALL
)


def shown(event: dict[str, object]) -> str:
    """An event as the guide shows it: indented, what differs between runs replaced."""
    durations = {key: 0.5 for key in event if key.endswith("_duration_ms")}
    text = json.dumps({**event, **SHOWN, **durations}, indent=2)
    return re.sub(r"\[\s+\]|\{\s+\}", lambda match: match[0][0] + match[0][-1], text)


def refresh(text: str, runs: dict[str, ExampleRun]) -> str:
    """The guide with its examples taken from ``runs``."""

    def event(match: re.Match[str]) -> str:
        found = next(e for e in runs[match[2]].events(match[3]) if e["order"] == int(match[4]))
        return f"{match[1]}{shown(found)}{match[5]}"

    def output(match: re.Match[str]) -> str:
        run = runs[match[2]]
        done = subprocess.run(["bash", "-c", run.filled(match[3])], cwd=run.root, capture_output=True, text=True)
        return f"{match[1]}{done.stdout}{match[4]}"

    return _OUTPUT.sub(output, _EVENT.sub(event, text))


def answered(text: str, directories: dict[str, Path]) -> str:
    """The accountant's page with the answers that the ``directories`` of its runs give."""
    for question in accountant.questions():
        code = f"{question.query.text}\n```\n\n```text\n"
        found = accountant.shown(question.asked_of(directories[question.run]))
        text = text.replace(f"{code}{question.answer.text}\n```", f"{code}{found}\n```")
    return text


def main() -> None:
    """Rewrite both pages."""
    with tempfile.TemporaryDirectory() as directory:
        runs = {name: make_run(name, Path(directory) / name) for name in EXAMPLE_RUNS}
        GUIDE.write_text(refresh(GUIDE.read_text(encoding="utf-8"), runs), encoding="utf-8")
        asked = {name: accountant.make_directory(name, Path(directory) / "asked") for name in ACCOUNTANT_RUNS}
        page = accountant.PAGE
        page.write_text(answered(page.read_text(encoding="utf-8"), asked), encoding="utf-8")


if __name__ == "__main__":
    main()
