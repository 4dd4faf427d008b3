"""The accountant's page as a program: its queries are asked of the directory of a run, and their answers shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from dataflow.services.backtest import run_backtest
from tests.docs.accountant_book import request_of
from tests.docs.markdown import DOCS, Fence, fences

PAGE: Final = DOCS / "accountant.md"

Answer = Any
"""Numbers, texts, and lists and mappings of them."""


@dataclass(frozen=True)
class Question:
    """One question of the page: its name, the run that it is asked of, its query, and the answer that stands there."""

    name: str
    run: str
    query: Fence
    answer: Fence

    def asked_of(self, directory: Path) -> Answer:
        """What the query gives for the directory of a run, with nothing but the readers of the page."""
        known: dict[str, Any] = {"run": directory}
        for fence in (readers(), self.query):
            program = compile("\n" * fence.line + fence.text, str(fence.page), "exec")
            exec(program, known)  # noqa: S102 - the page's own program
        return plain(known["answer"])


def readers() -> Fence:
    """The block that defines what every query uses."""
    (fence,) = (fence for fence in fences(PAGE, "python") if "readers" in fence.checks)
    return fence


def questions() -> list[Question]:
    """Every question of the page, in its order."""
    blocks = fences(PAGE)
    return [
        Question(fence.checks["question"], fence.checks["run"], fence, blocks[place + 1])
        for place, fence in enumerate(blocks)
        if "question" in fence.checks
    ]


def make_directory(name: str, root: Path) -> Path:
    """Run one of the accountant's runs as the command line would; its results directory."""
    return Path(str(run_backtest(request_of(name, root)).summary.results_dir))


def plain(answer: Answer) -> Answer:
    """An answer as plain Python: a series is a mapping, an instant its text."""
    if isinstance(answer, pd.Series):
        return {plain_key(key): plain(value) for key, value in answer.items()}
    if isinstance(answer, Mapping):
        return {plain_key(key): plain(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [plain(value) for value in answer]
    if isinstance(answer, pd.Timestamp):
        return answer.isoformat()
    return answer.item() if isinstance(answer, np.generic) else answer


def plain_key(key: Any) -> str:
    """The text of a key."""
    return str(plain(key))


def shown(answer: Answer) -> str:
    """An answer as the page shows it: a line for each entry, numbers with six digits."""
    if isinstance(answer, dict):
        width = max(map(len, answer), default=0)
        return "\n".join(f"{key:<{width}}  {_cell(value)}" for key, value in answer.items())
    if isinstance(answer, list) and answer and isinstance(answer[0], list):
        return "\n".join(map(_cell, answer))
    return _cell(answer)


def _cell(value: Answer) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return "  ".join(map(_cell, value))
    # What rounding leaves of a sum is shown as the zero that it stands for.
    return f"{round(value, 9) + 0.0:,.6g}" if isinstance(value, float) else str(value)
