"""Fixtures of the documentation tests: the example runs, made once for each worker."""

import pytest

from tests.docs.runs import EXAMPLE_RUNS, ExampleRun, make_run


@pytest.fixture(scope="session")
def example_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExampleRun]:
    """The fresh runs that the guide's examples are checked against, by name."""
    return {name: make_run(name, tmp_path_factory.mktemp(f"docs-{name}")) for name in EXAMPLE_RUNS}
