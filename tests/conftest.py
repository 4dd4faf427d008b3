"""Shared fixtures: the real history (skipped with a reason where absent), small data sets, finished runs."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("project")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the many rounds of ``laws`` to those who ask for them (``-m laws``)."""
    if "laws" not in config.option.markexpr:
        asked = [item for item in items if item.get_closest_marker("laws") is None]
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("laws")])
        items[:] = asked


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Directory of the real history; the test is skipped where it is not there."""
    directory = Path(os.environ.get("BASIS_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not directory.is_dir():
        pytest.skip(f"no real history at {directory}; set BASIS_REAL_DATA to its directory")
    return directory


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Directory of the golden vectors; the test is skipped where it is not there."""
    directory = Path(os.environ.get("BASIS_GOLDEN_DIR", ROOT.parent / "shared" / "golden"))
    if not directory.is_dir():
        pytest.skip(f"no golden vectors at {directory}; set BASIS_GOLDEN_DIR to their directory")
    return directory


@pytest.fixture(scope="session", autouse=True)
def _cache_directory(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the synthetic data set of the tests in one place of its own, unless the caller chose one."""
    os.environ.setdefault("BASIS_CACHE_DIR", str(Path(os.environ.get("XDG_CACHE_HOME", ROOT / ".cache")) / "tests"))
