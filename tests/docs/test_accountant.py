"""The accountant's page: each query, on a fresh run's directory alone, gives what stands there and the engine knows."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.accountant import PAGE, Answer, make_directory, questions, shown
from tests.docs.accountant_answers import ANSWERS
from tests.docs.accountant_book import ACCOUNTANT_RUNS, make_book

RELATIVE: Final = 1e-9
ABSOLUTE: Final = 1e-6
"""In the unit of the answer: what adding in another order leaves of a sum that is zero."""

QUESTIONS: Final = questions()


def differences(name: str, found: Answer, due: Answer) -> Iterator[str]:
    """Where an answer is not the engine's."""
    if isinstance(due, dict) and isinstance(found, dict) and found.keys() == due.keys():
        for key, value in due.items():
            yield from differences(f"{name}[{key}]", found[key], value)
    elif isinstance(due, list | tuple) and isinstance(found, list) and len(found) == len(due):
        for place, (one, other) in enumerate(zip(found, due, strict=True)):
            yield from differences(f"{name}[{place}]", one, other)
    elif isinstance(found, float) and not isinstance(due, str | dict | list):
        if not math.isclose(found, float(due), rel_tol=RELATIVE, abs_tol=ABSOLUTE):
            yield f"{name}: the records say {found!r}, the engine {due!r}"
    elif found != due:
        yield f"{name}: the records say {found!r}, the engine {due!r}"


@pytest.mark.parametrize("run", ACCOUNTANT_RUNS)
def test_the_records_answer_as_the_engine_does_and_as_the_page_shows(run: str, tmp_path: Path) -> None:
    directory, book = make_directory(run, tmp_path), make_book(run, tmp_path)
    wrong: list[str] = []
    for question in QUESTIONS:
        if question.run == run:
            found = question.asked_of(directory)
            wrong += differences(question.name, found, ANSWERS[question.name](book))
            if shown(found) != question.answer.text:
                wrong.append(
                    f"{question.name}: the page shows\n{question.answer.text}\nand the run gives\n{shown(found)}"
                )
    assert not wrong, "\n".join([*wrong, "if the runs are right: python -m tests.docs.refresh_examples"])


def test_there_are_thirty_questions_at_least_and_each_has_an_answer_of_the_engine() -> None:
    names = [question.name for question in QUESTIONS]
    assert len(names) >= 30
    assert sorted(names) == sorted(ANSWERS)
    assert {question.run for question in QUESTIONS} == set(ACCOUNTANT_RUNS)


def test_questions_are_numbered_and_every_answer_is_a_block_of_text() -> None:
    numbers = re.findall(r"^### (\d+)\. .+\?$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(QUESTIONS) + 1)]
    assert {question.answer.language for question in QUESTIONS} == {"text"}


def test_the_queries_need_nothing_of_this_project() -> None:
    imported = set(re.findall(r"^(?:import|from) (\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert imported == {"json", "pathlib", "pandas"}


def test_a_wrong_answer_is_seen() -> None:
    assert list(differences("q", {"a": [1.0, "x"]}, {"a": [1.0, "x"]})) == []
    for wrong in ({"a": [1.1, "x"]}, {"a": [1.0, "y"]}, {"b": [1.0, "x"]}, {"a": [1.0]}, 1.0, None):
        assert list(differences("q", wrong, {"a": [1.0, "x"]}))
