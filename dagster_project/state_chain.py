"""States between months: each month of a run starts from the file that the month before left.

A file appears only when its month is complete and proven. Running a month again removes its state and those of all
later months first, for they began from what is about to be replaced.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from dagster_project.partitions import MonthOfRun, Months
from dataflow.graph.state import RunState
from dataflow.services.backtest import SYNTHETIC
from schemas.errors import LogWriteError, StateInconsistentError

_DIGEST_LENGTH: Final = 16
_IN_THE_CONFIGURATION: Final = frozenset({"scenarios", "overrides"})
"""Fields of a request that the digest of the configuration covers."""
_SAME_RESULTS: Final = frozenset({"end", "executor", "window", "validation", "logs", "results"})
"""Fields of a request that change no row before its end."""


@dataclass(frozen=True)
class StateChain:
    """The states of one run: one mode, one configuration, data set, seed, capital and start."""

    directory: Path
    months: Months

    @classmethod
    def of(cls, root: Path, part: MonthOfRun, config_digest: str, months: Months) -> Self:
        """The chain of the run that a month belongs to, under ``root``.

        Whatever changes results is part of its name; the end of the run and what _SAME_RESULTS lists are not.
        """
        request = part.request
        data = request.data if request.data == SYNTHETIC else str(Path(request.data).resolve())
        asked = request.model_dump(mode="json", exclude=set(_IN_THE_CONFIGURATION | _SAME_RESULTS))
        identity = {**asked, "data": data, "start": part.run_start, "configuration": config_digest}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_DIGEST_LENGTH]
        return cls(root / "states" / request.mode / digest, months)

    def path(self, month: str) -> Path:
        """File of the state after a month."""
        return self.directory / f"{month}.json"

    def start_of(self, part: MonthOfRun) -> RunState | None:
        """The state that a month starts from, None for the first month of the run.

        Raises StateInconsistentError (ENGINE-003), naming the partition to materialise first, when it is missing.
        """
        if part.is_first:
            return None
        before = self.months.before(part.month)
        try:
            return RunState.from_json(self.path(before).read_bytes())
        except FileNotFoundError as error:
            raise StateInconsistentError(
                f"{part.request.mode} {part.month} starts from the state of {before}, which is not there; "
                f"materialise partition {before} first, with the same configuration",
                mode=part.request.mode,
                partition=part.month,
                materialise_first=before,
            ) from error

    def forget_from(self, month: str) -> None:
        """Remove the states of a month and of all after it."""
        for path in self.directory.glob("*.json"):
            if path.stem >= month:
                path.unlink()

    def keep(self, month: str, state: RunState) -> Path:
        """Write the state after a month, whole or not at all; LogWriteError (LOG-001) when the disk refuses."""
        final = self.path(month)
        partial = final.with_suffix(".partial")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(state.to_json())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
        except OSError as error:
            raise LogWriteError(
                f"cannot write the state of {month}: {error.strerror}; free space, then materialise it again",
                path=str(final),
            ) from error
        return final
