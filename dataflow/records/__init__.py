"""What a run leaves behind: the event log, component logs, replay, results.

The three names that the user's documents fix are importable from here; they are loaded on first use, so that
``import dataflow.records`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dataflow.records.log.component_logs import StructuredLogger
    from dataflow.records.log.event_log import DomainEventLogger
    from dataflow.records.log.log_directory import LogDirectoryManager

__all__ = ["DomainEventLogger", "LogDirectoryManager", "StructuredLogger"]

_HOMES: Final = {
    "DomainEventLogger": "dataflow.records.log.event_log",
    "LogDirectoryManager": "dataflow.records.log.log_directory",
    "StructuredLogger": "dataflow.records.log.component_logs",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
