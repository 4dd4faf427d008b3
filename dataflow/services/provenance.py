"""Which code and which packages made a result."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("apache-hamilton", "numpy", "orjson", "pandas", "pandera", "pyarrow", "pydantic")
_SOURCES: Final = ("schemas", "dataflow", "strategies")


@cache
def code_version() -> str:
    """The version of the project and a digest of its source: the same text for the same code."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in _SOURCES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{version('basis-strategy')}+{digest.hexdigest()[:12]}"


@cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that numbers pass through."""
    return {name: version(name) for name in _PACKAGES}
