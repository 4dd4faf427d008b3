"""The pages name what exists: links, headings, files, symbols, error codes, configuration keys, commands and options.

Python examples run as doctests.
"""

import doctest
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from dataflow.config.files import list_modes, load_run_config
from schemas.error_codes import ErrorCode
from tests.docs.markdown import DOCS, ROOT, Fence, anchors, code_spans, fences, links, pages, prose
from tests.docs.names import imported, options_of
from tests.docs.runs import ExampleRun

PAGES: Final = pages()
GENERATED: Final = DOCS / "reference"
WRITTEN: Final = [page for page in PAGES if GENERATED not in page.parents]
EXAMPLES: Final = [
    fence
    for page in WRITTEN
    if page.name != "accountant.md"
    for fence in fences(page, "python")
    if not fence.checks.keys() & {"file", "example"}
]

_CODE = re.compile(r"\b(?:POS|EXP|RISK|PNL|STRAT|EXEC|VEN|ENGINE|CONFIG|DATA|UTIL|LOG)-\d{3}\b")
_PATH = re.compile(r"(?:schemas|dataflow|strategies|dagster_project|tests|configs|docs)(?:/[\w.-]+)+/?")
_SYMBOL = re.compile(r"(?:schemas|dataflow|strategies|dagster_project)(?:\.\w+)+")
_KEY = re.compile(r"(?:strategy_config|component_config)(?:\.\w+)+")
_COMMAND = re.compile(r"^(?:\.venv/bin/)?basis (?P<words>.+)$", re.MULTILINE)


def by_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=by_page)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{target} of {by_page(page)} leads nowhere"
        if anchor:
            assert anchor in anchors(found), f"{target} of {by_page(page)} names no heading"


def test_every_page_is_reached_from_the_index() -> None:
    reached, pending = set(), [DOCS / "README.md"]
    while pending:
        page = pending.pop()
        if page in reached or not page.is_relative_to(DOCS):
            continue
        reached.add(page)
        pending += [(page.parent / t.partition("#")[0]).resolve() for t in links(page) if ".md" in t and "://" not in t]
    assert reached >= set(WRITTEN)


@pytest.mark.parametrize("page", WRITTEN, ids=by_page)
def test_named_files_exist(page: Path) -> None:
    for span in code_spans(page):
        if _PATH.fullmatch(span):
            assert (ROOT / span).exists(), f"{by_page(page)} names {span}"


@pytest.mark.parametrize("page", WRITTEN, ids=by_page)
def test_named_symbols_exist(page: Path) -> None:
    for span in code_spans(page):
        if _SYMBOL.fullmatch(span) and not span.endswith((".py", ".yaml")):
            imported(span)


@pytest.mark.parametrize("page", PAGES, ids=by_page)
def test_named_error_codes_exist(page: Path) -> None:
    known = {code.value for code in ErrorCode}
    assert set(_CODE.findall(page.read_text(encoding="utf-8"))) <= known


@cache
def configurations() -> list[dict[str, Any]]:
    return [load_run_config(mode).config.mode.model_dump() for mode in list_modes()]


def has_key(values: dict[str, Any], parts: list[str]) -> bool:
    for part in parts:
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


@pytest.mark.parametrize("page", WRITTEN, ids=by_page)
def test_named_configuration_keys_exist(page: Path) -> None:
    for key in _KEY.findall(page.read_text(encoding="utf-8")):
        assert any(has_key(values, key.split(".")) for values in configurations()), f"{by_page(page)} names {key}"


@pytest.mark.parametrize("page", WRITTEN, ids=by_page)
def test_named_commands_and_options_exist(page: Path) -> None:
    spans = [span for span in code_spans(page) if span.startswith("basis ")]
    blocks = [match[0] for fence in fences(page, "bash") for match in _COMMAND.finditer(fence.text)]
    for text in [*spans, *blocks]:
        words = text.removeprefix("basis ").split()
        given = {word for word in words if word.startswith("--")}
        assert given <= options_of([word for word in words if not word.startswith("-")]), f"{by_page(page)}: {text}"


def test_the_options_that_running_lists_are_those_of_backtest() -> None:
    listed = {
        word
        for span in code_spans(DOCS / "running.md")
        for word in span.split()
        if word.startswith("--") and not span.startswith("basis ")
    }
    assert options_of(["backtest"]) <= listed | {"--debug", "--help"}


@pytest.mark.parametrize("fence", EXAMPLES, ids=lambda fence: fence.name)
def test_python_examples_run(
    fence: Fence, example_runs: dict[str, ExampleRun], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = fence.text
    if "run" in fence.checks:
        run = example_runs[fence.checks["run"]]
        text = run.filled(text)
        monkeypatch.chdir(run.root)
    else:
        monkeypatch.chdir(tmp_path)
    if "runs" in fence.checks:
        (tmp_path / "results").mkdir()
        for run in example_runs.values():
            (tmp_path / "results" / run.summary.run_id).symlink_to(str(run.summary.results_dir))
    examples = doctest.DocTestParser().get_doctest(f"{text}\n", {}, fence.name, str(fence.page), fence.line)
    assert examples.examples, f"{fence.name} holds no example"
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples, out=report.append)
    assert result.failed == 0, "".join(report)


def test_decisions_have_a_number_a_title_and_five_parts() -> None:
    decisions = sorted((DOCS / "adr").glob("*.md"))
    numbers = [int(page.name[:4]) for page in decisions]
    assert numbers == sorted(set(numbers)), "a number names one decision"
    parts = ["Context", "Options", "Decision", "Consequences", "What would change our mind"]
    for page in decisions:
        text = prose(page)
        assert text.startswith(f"# {page.name[:4]}: ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == parts, page.name


def test_symbols_are_found_by_the_full_name() -> None:
    assert isinstance(imported("dataflow.nodes.risk"), ModuleType)
    with pytest.raises(AttributeError):
        imported("dataflow.nodes.risk.no_such_node")
