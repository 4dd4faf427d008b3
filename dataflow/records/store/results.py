"""The results of a run: written beside their place, and put there, under ``results/{run_id}``, only when complete.

While a run goes on its files are in the hidden directory ``.{run_id}.partial``, whose lock the process holds. A
partial directory without a holder was interrupted: the next look removes it and leaves ``.{run_id}.crashed.json``, the
manifest with that status. A run that failed leaves ``.{run_id}.failed.json`` in the same way. A manifest is replaced as
a whole, so that a process may die at any moment and its run is still known.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from pydantic import BaseModel, ValidationError

from dataflow.records.log.event_csv import export_events
from dataflow.records.log.log_directory import METADATA_FILE, LogDirectoryManager, validate_run_ids
from dataflow.records.store.parquet_stages import ColumnMetadata, StageFile
from dataflow.records.store.summary_page import summary_page
from schemas.errors import LogDirectoryError, LogWriteError, StateInconsistentError
from schemas.models.results import Manifest, RunStatus, RunSummary
from schemas.units import Column, Instants

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)

Item = TypeVar("Item")

MANIFEST_FILE: Final = "manifest.json"
SUMMARY_FILE: Final = "summary.json"
SUMMARY_PAGE: Final = "summary.md"
CONFIG_FILE: Final = "config.json"
"""The merged configuration; its SHA-256 is the manifest's ``config_digest``."""
DATA_FILE: Final = "data.json"
"""Where the market data came from: digest, fills, coverage of each series."""
LOGS_DIRECTORY: Final = "logs"
_LOCK_FILE: Final = ".lock"
PRUNED: Final = ".pruned"
"""End of the name that a directory has while it is being removed."""
_PARTIAL: Final = ".partial"
_UNFINISHED_MANIFEST: Final = ".manifest.unfinished"
_RESERVE: Final = ".reserve"
_RESERVE_BYTES: Final = 16 * 1024
"""Kept free for the manifest of a run that ends because the disk is full."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run as ``list_results`` finds it."""

    run_id: str
    status: RunStatus
    path: Path
    """The results directory; the manifest left behind, or the partial directory, of a run that is not complete."""
    manifest: Manifest


class ResultsStore:
    """Writes the results of one run; as a context manager it abandons what was not completed.

    ``prepare`` first, then ``add_file`` and ``add_columns`` as they are known, then ``complete`` or ``abandon``.
    """

    def __init__(self, results_dir: Path | str, run_id: str) -> None:
        validate_run_ids(run_id, os.getpid())
        self.run_id = run_id
        self.results_dir = Path(results_dir)
        self._partial = self.results_dir / f".{run_id}{_PARTIAL}"
        self._stages: dict[str, StageFile] = {}
        self._lock = -1

    @property
    def path(self) -> Path:
        """The directory in which the results will stand."""
        return self.results_dir / self.run_id

    @property
    def tables(self) -> Path:
        """The directory for the tables that the event log writes while the run goes on."""
        self._require_prepared()
        return self._partial

    def prepare(self, manifest: Manifest) -> None:
        """Make sure, before the run begins, that its results can be written; write the running manifest.

        Raises ``LogDirectoryError`` (LOG-003), with the path, when the directory cannot be written or the run exists.
        """
        with _directory_faults(self.results_dir):
            self.results_dir.mkdir(parents=True, exist_ok=True)
            sweep_interrupted(self.results_dir)
            with _exclusive(self.results_dir):
                if self.path.exists() or self._partial.exists():
                    raise LogDirectoryError(
                        "results of this run exist or are being written; remove them or choose another --results",
                        path=str(self.path),
                    )
                self._partial.mkdir()
                self._lock = _open_lock(self._partial)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _write_manifest(self._partial, manifest)
                (self._partial / _RESERVE).write_bytes(bytes(_RESERVE_BYTES))

    def add_columns(
        self,
        stage: str,
        instants: Instants,
        columns: Mapping[str, Column],
        axes: Mapping[str, tuple[str, ...]],
        *,
        metadata: ColumnMetadata | None = None,
    ) -> None:
        """Append rows to ``{stage}.parquet``: columns ``name``, or ``name.label`` of a two-dimensional one.

        Shape:  columns (rows,) or (rows, labels); ``axes`` gives the labels of the latter. ``metadata`` (unit, sign,
                description of each column) counts on the first call of a stage.
        Raises: ``LogSerialisationError`` (LOG-004) on a changed set of columns; ``LogWriteError`` (LOG-001).
        """
        self._require_prepared()
        if stage not in self._stages:
            self._stages[stage] = StageFile(self._partial / f"{stage}.parquet", metadata or {})
        with _write_faults(self._partial):
            self._stages[stage].add(instants, columns, axes)

    def add_file(self, name: str, content: bytes) -> None:
        """Write a file of the run as it is. Raises ``LogWriteError`` (LOG-001) when the disk refuses."""
        self._require_prepared()
        with _write_faults(self._partial):
            (self._partial / name).write_bytes(content)

    def complete(self, summary: RunSummary, manifest: Manifest, log_dir: Path | str) -> Path:
        """Write everything that is left, make it durable and move it to its place; return the place.

        The logs must be closed or flushed. They are hard-linked where the file system allows, else copied.
        Raises ``LogWriteError`` (LOG-001) when the disk refuses; nothing then stands under the final name.
        """
        self._require_prepared()
        with _write_faults(self._partial):
            _side_by_side(StageFile.close, self._stages.values())
            (self._partial / SUMMARY_FILE).write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
            (self._partial / SUMMARY_PAGE).write_text(summary_page(summary, manifest), encoding="utf-8")
            shutil.copytree(log_dir, self._partial / LOGS_DIRECTORY, copy_function=_link_or_copy)
            _write_manifest(self._partial, manifest.model_copy(update={"file_digests": file_digests(self._partial)}))
            _sync_tree(self._partial)
            with _exclusive(self.results_dir):
                for working in (_RESERVE, _LOCK_FILE):
                    (self._partial / working).unlink()
                self._partial.rename(self.path)
                self._release()
                for status in (RunStatus.FAILED, RunStatus.CRASHED):
                    _left_manifest(self.results_dir, self.run_id, status).unlink(missing_ok=True)
            _sync(self.results_dir)
        return self.path

    def abandon(self, manifest: Manifest | None = None) -> None:
        """Remove what was written; a failed ``manifest`` is kept as ``.{run_id}.failed.json``. Safe to call twice.

        What was written goes first: the manifest then has room on a full disk. After ``complete`` nothing is removed.
        """
        if self._lock < 0:
            return
        for stage in self._stages.values():
            stage.discard()
        try:
            with _directory_faults(self.results_dir), _exclusive(self.results_dir):
                if self.path.exists():
                    return  # interrupted after it had got its name
                if manifest is not None:
                    _leave_manifest(self._partial, manifest)
                shutil.rmtree(self._partial)
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def _require_prepared(self) -> None:
        if self._lock < 0:
            raise StateInconsistentError("the results store is not open; call prepare() first", run_id=self.run_id)

    def _release(self) -> None:
        os.close(self._lock)
        self._lock = -1


def sweep_interrupted(results_dir: Path | str) -> list[Manifest]:
    """Remove partial directories whose process is gone; return their manifests, marked and kept as crashed."""
    root = Path(results_dir)
    crashed = []
    with _directory_faults(root), _exclusive(root):
        for partial in sorted(root.glob(f".*{_PARTIAL}")):
            lock = _open_lock(partial)
            try:
                if not _try_lock(lock):
                    continue
                manifest = _read_manifest(partial / MANIFEST_FILE)
                if manifest is not None and not _has_failed(root, manifest):
                    manifest = manifest.model_copy(update={"status": RunStatus.CRASHED})
                    _leave_manifest(partial, manifest)
                    crashed.append(manifest)
                shutil.rmtree(partial)
            finally:
                os.close(lock)
    return crashed


def list_results(results_dir: Path | str) -> list[RunEntry]:
    """Return all runs under a results directory, oldest first: complete, running, failed and crashed ones.

    Interrupted runs are recognised and marked on the way. A directory that does not exist has no runs.
    """
    root = Path(results_dir)
    if not root.is_dir():
        return []
    if os.access(root, os.W_OK):
        sweep_interrupted(root)
    candidates = [
        *((path, path / MANIFEST_FILE) for path in root.iterdir() if path.is_dir() and path.suffix != PRUNED),
        *((path, path) for path in root.glob(".*.json")),
    ]
    entries = [
        RunEntry(manifest.run_id, manifest.status, path, manifest)
        for path, file in candidates
        if (manifest := _read_manifest(file)) is not None
    ]
    return sorted(entries, key=lambda entry: (entry.manifest.created_at, entry.run_id))


def load_summary(run_dir: Path | str) -> RunSummary:
    """Return the summary of a results directory; raises ``LogDirectoryError`` (LOG-003) without a sound one."""
    return load_record(RunSummary, Path(run_dir) / SUMMARY_FILE)


def load_manifest(run_dir: Path | str) -> Manifest:
    """Return the manifest of a results directory; raises ``LogDirectoryError`` (LOG-003) without a sound one."""
    return load_record(Manifest, Path(run_dir) / MANIFEST_FILE)


def load_record(model: type[AnyRecord], path: Path) -> AnyRecord:
    """Return a file of a results directory as its model; raises as ``load_summary``."""
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LogDirectoryError(
            f"no {path.stem} of a run: {error.strerror}; pass results/<run id> of a run that is complete "
            "(`basis runs list` says which are; of others `basis events` reads the log)",
            path=str(path),
        ) from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise LogDirectoryError(
            f"the {path.stem} cannot be read at {field or 'its start'}: {fault['msg']}; where another version of basis "
            "wrote it (code_version in its manifest) read it with that one, else run the backtest again",
            path=str(path),
        ) from error


def find_run(run: str, results_dir: Path | str = "results", logs_dir: Path | str = "logs") -> Path:
    """Return the directory that ``run`` means: a path, a run id, a correlation id, or the unique start of an id.

    Results win over logs; of several processes of one correlation id the one that started last is taken. The id of a
    run that failed or crashed means its logs.
    Raises ``LogDirectoryError`` (LOG-003) when nothing or more than one run matches.
    """
    as_path = Path(run)
    if as_path.is_dir() and ((as_path / MANIFEST_FILE).exists() or (as_path / METADATA_FILE).exists()):
        return as_path
    results = {path.parent.name: path.parent for path in Path(results_dir).glob(f"[!.]*/{MANIFEST_FILE}")}
    logs = {path.parent.name: path for path in LogDirectoryManager.list_runs(logs_dir)}
    left = {
        entry.run_id: directory
        for path in Path(results_dir).glob(".*.json")
        if (entry := _read_manifest(path)) is not None
        and (directory := Path(logs_dir) / entry.correlation_id / str(entry.pid)).is_dir()
    }
    for known in (results, logs, left):
        matches = [run] if run in known else sorted(name for name in known if run and name.startswith(run))
        if len(matches) == 1:
            return known[matches[0]]
        if matches:
            raise LogDirectoryError(
                f"{run!r} is the start of {len(matches)} runs: {', '.join(matches[:5])}; give more of the id", run=run
            )
    raise LogDirectoryError(
        f"no run {run!r} in {results_dir} or {logs_dir}; see `basis runs list`, or pass the path of a run", run=run
    )


def export_csv(run_dir: Path | str, out: Path | str) -> list[Path]:
    """Write the twelve event types of a run as CSV into ``out``; return the files. Raises as ``export_events``."""
    return export_events(Path(run_dir), Path(out))


def _left_manifest(results_dir: Path, run_id: str, status: RunStatus) -> Path:
    return results_dir / f".{run_id}.{status}.json"


def _has_failed(results_dir: Path, manifest: Manifest) -> bool:
    """Whether a run was interrupted after it had left word of its failure."""
    failed = _read_manifest(_left_manifest(results_dir, manifest.run_id, RunStatus.FAILED))
    return failed is not None and failed.created_at == manifest.created_at


def _leave_manifest(partial: Path, manifest: Manifest) -> None:
    """Remove what a run wrote, which makes room on a full disk, and leave word of its end beside it."""
    for entry in partial.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name not in (MANIFEST_FILE, _LOCK_FILE):
            entry.unlink()
    _write_manifest(partial, manifest, _left_manifest(partial.parent, manifest.run_id, manifest.status))


def _write_manifest(partial: Path, manifest: Manifest, path: Path | None = None) -> None:
    """Write the manifest of a partial directory, or ``path`` from within it: whole, or as if never begun."""
    unfinished = partial / _UNFINISHED_MANIFEST
    unfinished.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path if path is not None else partial / MANIFEST_FILE)


def _read_manifest(path: Path) -> Manifest | None:
    """Return a manifest, None where there is none or it is no manifest."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def _open_lock(partial: Path) -> int:
    return os.open(partial / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Hold the lock of the results directory: runs appear and disappear one at a time."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copy2(source, target)


def file_digests(run_dir: Path) -> dict[str, str]:
    """SHA-256 of the files of a results directory by name, without the manifest that is to name them, and hidden ones.

    The event log, a directory below, is not among them: its seal stands for it.
    """
    named = (path for path in sorted(run_dir.iterdir()) if path.is_file() and not path.name.startswith("."))
    files = [path for path in named if path.name != MANIFEST_FILE]
    with ThreadPoolExecutor() as pool:
        digests = pool.map(_digest, files)
        return {path.name: digest for path, digest in zip(files, digests, strict=True)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _side_by_side(work: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Do work that waits for the disk or the compressor in threads; the first error is raised when all are done."""
    with ThreadPoolExecutor() as pool:
        deque(pool.map(work, items), maxlen=0)


def _sync_tree(root: Path) -> None:
    """Make every file durable: one wait for the disk then serves many."""
    _side_by_side(_sync, (*root.rglob("*"), root))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _directory_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LogDirectoryError(
            f"the results directory cannot be used: {error.strerror}; choose a writable one with --results",
            path=str(path),
        ) from error


@contextmanager
def _write_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except shutil.Error as error:
        raise LogWriteError(f"cannot copy the logs: {error.args[0][0][2]}", path=str(path)) from error
    except OSError as error:
        raise LogWriteError(
            f"cannot write the results: {error.strerror or error}; free space, then run again", path=str(path)
        ) from error
