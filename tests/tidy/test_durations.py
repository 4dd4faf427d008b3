"""The page on durations names what is too slow, and only in `make test`."""

from pathlib import Path

import pytest

from tests.tidy.durations import SLOWEST, complaints, main, read_targets

JUNIT = (
    """<?xml version="1.0"?><testsuites><testsuite name="pytest" time="{seconds}">{cases}</testsuite></testsuites>"""
)
CASE = '<testcase classname="{module}" name="{name}" time="{seconds}"/>'


def leave(directory: Path, target: str, seconds: float, *cases: tuple[str, str, float]) -> None:
    tests = "".join(CASE.format(module=module, name=name, seconds=time) for module, name, time in cases)
    (directory / f"{target}.xml").write_text(JUNIT.format(seconds=seconds, cases=tests))


@pytest.mark.parametrize(("target", "seconds", "said"), [
    pytest.param("test", 599.0, [], id="in-time"),
    pytest.param("test", 660.0, ["make test took 11.0 minutes, more than 10."], id="too-long"),
    pytest.param("soak", 6_000.0, [], id="a-long-target"),
])  # fmt: skip
def test_a_long_make_test_is_told(target: str, seconds: float, said: list[str], tmp_path: Path) -> None:
    leave(tmp_path, target, seconds)
    assert complaints(read_targets(tmp_path)) == said


def test_a_slow_module_is_named_with_what_to_do(tmp_path: Path) -> None:
    leave(tmp_path, "test", 60.0, ("tests.slow", "a", 12.0), ("tests.slow", "b", 9.0), ("tests.fast", "c", 19.0))
    (said,) = complaints(read_targets(tmp_path))
    assert said.startswith("tests.slow took 21.0 s of make test")
    assert "mark" in said


def test_the_page_lists_the_slowest_tests_of_all_targets(tmp_path: Path) -> None:
    leave(tmp_path, "test", 60.0, *(("tests.fast", f"fast{number}", 0.1) for number in range(SLOWEST)))
    leave(tmp_path, "soak", 60.0, ("tests.storm", "seed", 9.0))
    (tmp_path / "coverage.xml").write_text("<coverage/>")
    main(tmp_path)
    lines = (tmp_path / "durations.txt").read_text().splitlines()
    assert lines[:2] == ["     60.0 s  make soak (1 tests)", "     60.0 s  make test (30 tests)"]
    first = lines.index("The 30 slowest tests:") + 1
    assert lines[first] == "      9.0 s  tests.storm seed (soak)"
    assert len(lines[first:]) == SLOWEST
