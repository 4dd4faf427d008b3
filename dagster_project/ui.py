"""Open the project in Dagster: ``python -m dagster_project.ui``, which is what ``make ui`` does.

The instance lives in ``DAGSTER_HOME``, else in ``.dagster`` of the current directory, under the project's settings.
Arguments are passed on to ``dagster dev``, for instance ``-p 3001``.
"""

import os
import shutil
import sys
from pathlib import Path


def main() -> None:
    """Put the settings in place and become ``dagster dev``."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(Path(".dagster").resolve())))
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("dagster.yaml"), home)
    command = [sys.executable, "-m", "dagster", "dev", "-m", "dagster_project.definitions", *sys.argv[1:]]
    os.execv(sys.executable, command)  # noqa: S606  # no shell is meant


if __name__ == "__main__":
    main()
